"""What a dataset folder has stored: one picture written and measured, known again, and removed when nobody offers it any more."""

import hashlib
import io
import logging
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
from PIL import Image

from dataset.manifest import image_path, is_image_path
from fetch.candidates import Candidate, Offered
from fetch.quality import measure
from fetch.rejected import UNREADABLE, Rejection
from fetch.sources.config import IngestConfig
from plumbing.files import atomic_path, read_json_lines
from plumbing.images import open_rgb, upright_rgb
from plumbing.inside import remove_inside
from plumbing.parquet import read_columns
from plumbing.text import counted

MEASURES = "measures.parquet"
JOURNAL = ".ingest.jsonl"
"""What an unfinished run has stored so far, one picture a line."""
JPEG_QUALITY = 92

log = logging.getLogger(__name__)

MEASURES_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("luma_mean", pa.float64()),
        ("luma_std", pa.float64()),
        ("sharpness", pa.float64()),
        ("colourfulness", pa.float64()),
        ("extreme_share", pa.float64()),
        ("dhash", pa.uint64()),
        ("path", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sha256", pa.string()),
        ("fingerprint", pa.string()),
    ]
)
"""Columns of measures.parquet: `fetch.quality.Measures`, and by what a stored picture is known again."""
STORED = frozenset(MEASURES_SCHEMA.names)
STORED_KINDS: dict[str, type | tuple[type, ...]] = {
    "id": str, "sha256": str, "fingerprint": str, "width": int, "height": int, "dhash": int, "luma_mean": (int, float),
    "luma_std": (int, float), "sharpness": (int, float), "colourfulness": (int, float), "extreme_share": (int, float),
}  # fmt: skip
"""What a row says of a stored picture beside its path."""


def read_stored(out: Path) -> dict[str, dict[str, Any]]:
    """Return what earlier runs stored, finished or not, by id; rows that cannot be are passed by, and stored again."""
    rows: list[dict[str, Any]] = []
    if (out / MEASURES).is_file():
        again = f"delete it, and `python -m fetch` measures again what {out} holds"
        rows = read_columns(out / MEASURES, again=again).to_pylist()
    return {row["id"]: row for row in [*rows, *read_json_lines(out / JOURNAL)] if _is_stored(row)}


def _is_stored(row: Mapping[str, Any]) -> bool:
    """Say whether a row of the journal or of the measures is one of a picture inside `images` of its dataset."""
    return (
        row.keys() == STORED
        and all(isinstance(row[name], kind) for name, kind in STORED_KINDS.items())
        and is_image_path(row["path"])
    )


def stored_addresses(out: Path, addresses: Iterable[str], config: IngestConfig) -> set[str]:
    """Return those `known_by` whose pictures a dataset folder holds as they are wanted."""
    there = {row["fingerprint"] for row in read_stored(out).values() if (out / row["path"]).is_file()}
    return {address for address in addresses if _fingerprint(address, "", config.max_side) in there}


def store(
    out: Path, candidate: Candidate, photo_id: str, config: IngestConfig, before: Mapping[str, dict[str, Any]]
) -> dict[str, Any] | Rejection:
    """Store and measure one picture, unless the very same was stored before; `before` is by fingerprint."""
    path = image_path(photo_id, candidate.place_deg(), candidate.stated)
    try:
        fingerprint = _fingerprint(candidate.known_by or candidate.picture, path, config.max_side)
    except OSError as error:
        return Rejection(candidate.id, UNREADABLE, str(error))
    same = before.get(fingerprint)
    if same and (out / same["path"]).is_file():
        return same if same["path"] == path else _moved(out, same, photo_id, path)
    try:
        picture, encoded, measures = _decoded(candidate.picture, config.max_side)
    # What a hostile or torn picture makes a decoder or an encoder raise is not a closed list.
    except Exception as error:
        return Rejection(candidate.id, UNREADABLE, str(error) or type(error).__name__)
    with atomic_path(out / path) as partial:
        partial.write_bytes(encoded)
    return {
        "id": photo_id,
        "path": path,
        "width": picture.width,
        "height": picture.height,
        "sha256": hashlib.sha256(encoded).hexdigest(),
        **measures,
        "fingerprint": fingerprint,
    }


def _decoded(offered: Offered, max_side: int) -> tuple[Image.Image, bytes, dict[str, Any]]:
    """Return a picture upright and small enough, the JPEG of it, and its measures."""
    if isinstance(offered, Path | bytes):
        picture = open_rgb(offered, max_side)
    else:
        picture = upright_rgb(offered, max_side) if isinstance(offered, Image.Image) else offered(max_side)
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=JPEG_QUALITY)
    return picture, encoded.getvalue(), asdict(measure(picture))


def _moved(out: Path, same: dict[str, Any], photo_id: str, path: str) -> dict[str, Any]:
    """Store a picture under another name or in another cell, where its table now puts it."""
    with atomic_path(out / path) as partial:
        shutil.copyfile(out / same["path"], partial)
    return {**same, "id": photo_id, "path": path}


def _fingerprint(picture: Offered | str, path: str, max_side: int) -> str:
    """Return by what a stored picture is known to be the one offered again; by an address it is so in any place."""
    place = "" if isinstance(picture, str) else path
    digest = hashlib.blake2b(f"{place} {max_side} {JPEG_QUALITY} ".encode(), digest_size=8)
    if isinstance(picture, Path):
        stat = picture.stat()
        digest.update(f"{stat.st_size} {stat.st_mtime_ns}".encode())
    elif isinstance(picture, str):
        digest.update(picture.encode())
    elif isinstance(picture, bytes):
        digest.update(picture)
    else:
        assert isinstance(picture, Image.Image), "what is made is known by an address"
        digest.update(picture.tobytes())
    return digest.hexdigest()


def open_journal(out: Path) -> TextIO:
    """Open the journal; lines of an earlier, unfinished run stay."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: --out names a dataset folder")
    out.mkdir(parents=True, exist_ok=True)
    return (out / JOURNAL).open("a", encoding="utf-8")


def remove_stale(out: Path, known: Mapping[str, dict[str, Any]], kept: set[str]) -> None:
    """Remove pictures that an earlier run stored and that the dataset no longer lists."""
    stale = {row["path"] for row in known.values()} - kept
    kept_back = [path for path in sorted(stale) if not remove_inside(out, path)]
    if kept_back:
        log.warning(
            f"{counted(len(kept_back), 'picture', 'lie')} behind links out of {out}, such as {kept_back[0]}: not removed"
        )
    if gone := len(stale) - len(kept_back):
        log.info(f"{out}: removed {counted(gone, 'stored picture')} that the source no longer offers")
