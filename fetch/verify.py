"""`python -m fetch verify` and `status`: whether a dataset is whole, and what it holds."""

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from dataset.manifest import read_manifest
from fetch.config import StatusConfig, VerifyConfig
from fetch.dataset_counts import counts_report
from fetch.ingest import UNTHINNED
from fetch.pack import check_shards
from fetch.rejected import read_rejected, summary
from plumbing.files import sha256
from plumbing.images import open_rgb
from plumbing.inside import inside
from plumbing.progress import progress
from plumbing.text import agreeing, counted, printable

SHOWN = 20
BAD = 2
"""Exit code where a picture is not as the manifest says."""

log = logging.getLogger(__name__)


def run(config: VerifyConfig) -> int:
    """Hold every picture against the manifest; print those that do not agree and return the exit code.

    Raises:
        ValueError: there is not a dataset.
    """
    photos = read_manifest(config.data, ["id", "path", "sha256", "shard"])
    packed = photos["shard"].notna()
    rows = photos[~packed].to_dict("records")
    bad: list[tuple[str, str]] = []
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda row: problem(config.data, row, config.quick), rows)
        for row, what in zip(rows, progress(found, "verifying", "picture", len(rows)), strict=True):
            if what:
                bad.append((row["path"], what))
    for path, what in bad[:SHOWN]:
        print(printable(f"{what}: {path}"))
    if len(bad) > SHOWN:
        print(f"… and {len(bad) - SHOWN:,} more")
    broken = check_shards(config.data) if packed.any() else []
    for line in broken:
        print(printable(line))
    if packed.any():
        log.info(
            f"{counted(int(packed.sum()), 'picture')} in shards, "
            + ("some shards are damaged" if broken else "all shards whole")
        )
    kinds = "".join(f", {count:,} {what.split(' (')[0]}" for what, count in Counter(w for _, w in bad).most_common())
    good = len(rows) - len(bad)
    log.info(
        f"{config.data}: {good:,} of {counted(len(rows), 'picture')} {agreeing(good, 'are')} as the manifest says{kinds}"
    )
    return BAD if bad or broken else 0


def problem(data: Path, row: dict[str, Any], quick: bool = False) -> str:
    """Return what is wrong with a picture of a manifest, empty when nothing is."""
    path = inside(data, row["path"])
    if not path.is_file():
        return "missing"
    if isinstance(row["sha256"], str) and sha256(path) != row["sha256"]:
        return "changed"
    if quick:
        return ""
    try:
        open_rgb(path, 64)
    except ValueError:
        return "damaged"
    return ""


def status(config: StatusConfig) -> None:
    """Print what a dataset holds.

    Raises:
        ValueError: there is not a dataset.
    """
    photos = read_manifest(config.data)
    print(counts_report(photos))
    for column in ("source", "licence"):
        print(f"{column:<12}" + (_counts(photos[column]) or "not known"))
    print(f"{'creators':<12}{photos['creator'].nunique():,}   sequences {photos['sequence_id'].nunique():,}")
    print(f"{'disk':<12}{_stored(config.data, photos)}")
    rejected = read_rejected(config.data)
    print(f"{'rejected':<12}{summary(rejected, len(photos) + len(rejected))}")
    if (config.data / UNTHINNED).is_file():
        print("thinned: `python -m fetch thin` begins again from all that was stored")


def _stored(data: Path, photos: pd.DataFrame) -> str:
    """Return how many pictures lie in files and in shards, and how large they are."""
    files = [path for path in (data / "images").rglob("*") if path.is_file()]
    packed = photos[photos["shard"].notna()]
    found = []
    if files or not len(packed):
        found.append(
            f"{counted(len(files), 'picture')} in files, {sum(path.stat().st_size for path in files) / 1e6:,.1f} MB"
        )
    if len(packed):
        size = packed["size"].sum() / 1e6
        found.append(
            f"{counted(len(packed), 'picture')} in {counted(packed['shard'].nunique(), 'shard')}, {size:,.1f} MB"
        )
    return "; ".join(found)


def _counts(values: pd.Series) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in values.dropna().value_counts().head(5).items())
