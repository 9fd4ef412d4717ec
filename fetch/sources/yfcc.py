"""The metadata of YFCC100M: a hundred million photographs by address, tab-separated and without a header."""

import bz2
import gzip
import itertools
import logging
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import unquote_plus

import pandas as pd

from plumbing.text import counted

SHORT = (
    "id", "user", "nickname", "date_taken", "date_uploaded", "device", "title", "description", "user_tags",
    "machine_tags", "longitude", "latitude", "accuracy", "page", "download", "licence", "licence_url", "server", "farm",
    "secret", "secret_original", "extension", "marker",
)  # fmt: skip
"""Columns of the ten files yfcc100m_dataset-0 to -9 of 2014, as the README of Yahoo Webscope lists them."""

LONG = ("line", "id", "hash", *SHORT[1:])
"""Columns of yfcc100m_dataset as on the S3 store of Multimedia Commons: with the line's number and the photo's hash.

openai/CLIP (data_md/yfcc100m.md) names the first three; lbsn.vgiscience.org/tutorial/yfcc-introduction shows all."""

LAYOUTS = {len(columns): columns for columns in (SHORT, LONG)}
LINES = 200_000
"""Lines held at once."""

OPENERS: dict[str, Callable[..., IO[str]]] = {".bz2": bz2.open, ".gz": gzip.open}

log = logging.getLogger(__name__)


def is_yfcc(path: Path) -> bool:
    """Say whether a file is metadata of YFCC100M, by its first line."""
    try:
        with _open(path) as file:
            fields = file.readline(1 << 20).rstrip("\r\n").split("\t")
    except (OSError, UnicodeDecodeError, EOFError, zlib.error):
        return False
    columns = LAYOUTS.get(len(fields))
    if columns is None:
        return False
    line = dict(zip(columns, fields, strict=True))
    return line["marker"] in ("0", "1") and line["id"].isdigit() and line["download"].startswith("http")


def read_yfcc(path: Path) -> pd.DataFrame:
    """Read the photographs with coordinates; videos and the half without coordinates are counted in the log.

    Returns:
        Texts, as `dataset.tables.photo_table`. Times are left out: cameras noted them without a zone. Memory grows with
        the photographs found, about 1 GB for each million; of the whole set take a part.

    Raises:
        ValueError: a line has another number of columns, or no line has coordinates.
    """
    found, lines, videos = [], 0, 0
    with _open(path) as file:
        columns = LAYOUTS[len(file.readline().split("\t"))]
    with _open(path) as file:
        while block := list(itertools.islice(file, LINES)):
            rows = [line.rstrip("\r\n").split("\t") for line in block]
            bad = next((i for i, row in enumerate(rows) if len(row) != len(columns)), None)
            if bad is not None:
                raise ValueError(
                    f"{path}, line {lines + bad + 1}: {counted(len(rows[bad]), 'column')} instead of {len(columns)}"
                )
            table = pd.DataFrame(rows, columns=list(columns), dtype=object)
            lines, videos = lines + len(table), videos + int((table["marker"] == "1").sum())
            found.append(_photos(table[(table["marker"] == "0") & (table["longitude"] != "")]))
    photos = pd.concat(found, ignore_index=True)
    log.info(
        f"{path}: {counted(len(photos), 'photograph')} with coordinates in {counted(lines, 'line')} ({counted(videos, 'video')})"
    )
    if not len(photos):
        raise ValueError(f"{path} has no photograph with coordinates: there is nothing to import")
    return photos


def _photos(table: pd.DataFrame) -> pd.DataFrame:
    nickname = table["nickname"].map(unquote_plus)
    return pd.DataFrame(
        {
            "latitude": table["latitude"],
            "longitude": table["longitude"],
            "picture": table["id"],
            "id": table["id"],
            "creator": nickname.where(nickname != "", table["user"]),
            "licence": table["licence_url"],
            "url": table["page"],
            "source": "YFCC100M",
            "address": table["download"],
        }
    )


def _open(path: Path) -> IO[str]:
    return OPENERS.get(path.suffix.lower(), open)(path, "rt", encoding="utf-8", newline="\n")
