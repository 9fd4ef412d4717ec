"""From pictures with coordinates to a dataset folder: stored, measured, split, listed. Every source ends here."""

import hashlib
import io
import json
import logging
import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from dataset.manifest import SCHEMA, image_path, is_image_path, write_manifest
from fetch.dataset_counts import counts_report
from fetch.quality import measure
from fetch.rejected import REJECTED, UNREADABLE, Rejection, summary, write_rejected
from fetch.sources.config import IngestConfig
from fetch.splits import join_splits
from plumbing.config import as_plain
from plumbing.files import atomic_path, read_json_lines, write_json
from plumbing.images import open_rgb, upright_rgb
from plumbing.inside import remove_inside, unreserved
from plumbing.parquet import read_columns
from plumbing.progress import progress
from plumbing.text import counted

DATASET = "dataset.json"
MEASURES = "measures.parquet"
UNTHINNED = "unthinned.parquet"
"""All rows of a manifest that `python -m fetch thin` has shortened."""
JOURNAL = ".ingest.jsonl"
"""What an unfinished run has stored so far, one picture a line."""
FORMAT_VERSION = 1
JPEG_QUALITY = 92

Offered: TypeAlias = Image.Image | Path | bytes | Callable[[int], Image.Image]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A photograph that a source offers.

    Attributes:
        id: its name at the source; made safe for file names and unique when stored.
        latlon_deg: latitude and longitude in degrees; None where `fields` have a `country` or a `label` and no more is known.
        picture: a decoded picture, a file, the bytes of one, or what makes a picture whose longer side has at most so many
            pixels; that goes with `known_by`.
        fields: further columns of the manifest, by name. Where some rows have a `split`, it stays, and the others
            are shared out among the rest.
        known_by: by what it is known again instead of its bytes, such as the address that it was downloaded from;
            once stored, `picture` need not exist any more.
    """

    id: str
    latlon_deg: tuple[float, float] | None
    picture: Offered
    fields: Mapping[str, Any] = field(default_factory=dict)
    known_by: str = ""


@dataclass(frozen=True)
class IngestReport:
    """What a run did.

    Attributes:
        photos: the manifest written.
        rejected: what was left out.
        reused: how many pictures were stored already.
    """

    photos: pd.DataFrame
    rejected: list[Rejection]
    reused: int


def ingest(
    out: Path,
    candidates: Iterable[Candidate],
    config: IngestConfig,
    total: int | None = None,
    rejected: Sequence[Rejection] = (),
    about: Mapping[str, Any] | None = None,
) -> IngestReport:
    """Write a dataset folder; run again, it stores only what is new or has changed.

    Pictures become upright RGB JPEGs without any metadata. One that cannot be read is listed in rejected.csv.

    Args:
        out: the dataset folder.
        candidates: read once, in order, one at a time.
        config: size of pictures, shares of splits, seed; kept in dataset.json whole.
        total: how many candidates there are, where known.
        rejected: what the source left out; read last, so it may grow while candidates are read.
        about: further entries for dataset.json.

    Raises:
        ValueError: there is no usable photograph; nothing is written.
    """
    known = _known(out)
    stored_before = {row["fingerprint"]: row for row in known.values()}
    unreadable: list[Rejection] = []
    rows: list[dict[str, Any]] = []
    reused = 0
    with _journal(out) as journal:
        jobs = _named(progress(candidates, f"storing in {out}", "photo", total))
        for candidate, photo_id, stored in _in_order(lambda job: _stored(out, *job, config, stored_before), jobs):
            if isinstance(stored, Rejection):
                unreadable.append(stored)
                continue
            reused += known.get(photo_id) is stored
            journal.write(json.dumps(stored) + "\n")
            journal.flush()
            rows.append(_row(candidate, stored))
    rejections = [*rejected, *unreadable]
    if not rows:
        (out / JOURNAL).unlink(missing_ok=True)
        if not any(out.iterdir()):
            out.rmdir()
        nowhere = any(rejection.reason.startswith("without coordinates") for rejection in rejections)
        hint = "; a folder for each country needs none: --folder-names country" if nowhere else ""
        raise ValueError(f"no photograph can be used; {summary(rejections, len(rejections))}{hint}")
    photos = _finish(out, rows, rejections, config, about or {})
    _remove_stale(out, known, set(photos["path"]))
    log.info(
        f"{out}: took {counted(len(photos), 'photograph')}" + (f", {reused:,} of them stored before" if reused else "")
    )
    listed = f"; {out / REJECTED} lists each" if rejections else ""
    log.info(summary(rejections, len(photos) + len(rejections)) + listed)
    log.info(counts_report(photos))
    return IngestReport(photos, rejections, reused)


def _named(candidates: Iterable[Candidate]) -> Iterator[tuple[Candidate, str]]:
    """Yield candidates with ids that are safe in file names and unique, also where case does not count."""
    taken: set[str] = set()
    for candidate in candidates:
        safe = safe_id(candidate.id)
        photo_id, count = safe, 1
        while photo_id.casefold() in taken:
            count += 1
            photo_id = f"{safe}-{count}"
        taken.add(photo_id.casefold())
        yield candidate, photo_id


def safe_id(name: str) -> str:
    """Return a name that is a file name on every system: letters, digits, `.`, `_` and `-`, at most 100 of them."""
    safe = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("._") or "photo"
    if len(safe) > 100:
        safe = f"{safe[:87]}-{hashlib.blake2b(name.encode(), digest_size=6).hexdigest()}"
    return unreserved(safe)


def _in_order(
    work: Callable[[tuple[Candidate, str]], dict[str, Any] | Rejection], jobs: Iterable[tuple[Candidate, str]]
) -> Iterator[tuple[Candidate, str, dict[str, Any] | Rejection]]:
    """Do jobs on a few threads, a few ahead, and yield results in the order of the jobs."""
    # Decoding frees the interpreter; more threads would hold more decoded pictures than they save time.
    threads = min(4, os.cpu_count() or 1)
    waiting: deque[tuple[Candidate, str, Future[dict[str, Any] | Rejection]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for job in jobs:
                waiting.append((*job, pool.submit(work, job)))
                if len(waiting) > 2 * threads:
                    candidate, photo_id, future = waiting.popleft()
                    yield candidate, photo_id, future.result()
            while waiting:
                candidate, photo_id, future = waiting.popleft()
                yield candidate, photo_id, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def stored_addresses(out: Path, addresses: Iterable[str], config: IngestConfig) -> set[str]:
    """Return those `known_by` whose pictures a dataset folder holds as they are wanted."""
    there = {row["fingerprint"] for row in _known(out).values() if (out / row["path"]).is_file()}
    return {address for address in addresses if _fingerprint(address, "", config.max_side) in there}


def _stored(
    out: Path, candidate: Candidate, photo_id: str, config: IngestConfig, before: Mapping[str, dict[str, Any]]
) -> dict[str, Any] | Rejection:
    """Store and measure one picture, unless the very same was stored before; `before` is by fingerprint."""
    stated = candidate.fields.get("country") or candidate.fields.get("label")
    path = image_path(photo_id, _latlon_deg(candidate), stated)
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


def _row(candidate: Candidate, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of the manifest, still without a split."""
    unknown = set(candidate.fields) - set(SCHEMA.names)
    assert not unknown, f"no columns of a manifest: {unknown}"
    lat_deg, lon_deg = _latlon_deg(candidate).tolist()
    given = {"source_id": candidate.id, **candidate.fields}
    kept = {name: stored[name] for name in ("id", "path", "width", "height", "sha256", "dhash")}
    return {**given, **kept, "latitude": lat_deg, "longitude": lon_deg, "measured": stored}


def _latlon_deg(candidate: Candidate) -> NDArray[np.float64]:
    """Return (2,) latitude and longitude; NaN where only a country or a label is known."""
    stated = candidate.fields.get("country") or candidate.fields.get("label")
    assert candidate.latlon_deg is not None or stated, "a place, a country or a label"
    return np.array(candidate.latlon_deg or (np.nan, np.nan), dtype=np.float64)


def _finish(
    out: Path, rows: list[dict[str, Any]], rejected: list[Rejection], config: IngestConfig, about: Mapping[str, Any]
) -> pd.DataFrame:
    """Write the tables of a dataset, the manifest last, and return it."""
    rows.sort(key=lambda row: row["id"])
    measures = pa.Table.from_pylist([row.pop("measured") for row in rows], schema=MEASURES_SCHEMA)
    photos = pd.DataFrame(rows).reindex(columns=SCHEMA.names)
    photos["captured_at_utc"] = pd.to_datetime(photos["captured_at_utc"], utc=True, errors="coerce", format="mixed")
    photos["split"] = _splits(photos, config)
    sources = sorted({str(source) for source in photos["source"].dropna()})
    with atomic_path(out / MEASURES) as partial:
        pq.write_table(measures, partial, compression="zstd")
    write_rejected(out, rejected)
    dataset = {
        "name": out.resolve().name,
        "source": ", ".join(sources),
        "created_at_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": FORMAT_VERSION,
        "photographs": len(photos),
        "settings": as_plain(config),
        **about,
    }
    write_json(out / DATASET, dataset)
    (out / UNTHINNED).unlink(missing_ok=True)
    write_manifest(out, photos)
    (out / JOURNAL).unlink(missing_ok=True)
    return photos


def _splits(photos: pd.DataFrame, config: IngestConfig) -> pd.Series:
    """Return the split of each photograph: the one its source gave, or one of those that the source gave to none."""
    shares = {"test": config.test_share, "calibration": config.calibration_share}
    given = photos["split"].astype(object).to_numpy()
    return pd.Series(join_splits(photos, given, shares, config.split, config.seed), index=photos.index)


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


def _known(out: Path) -> dict[str, dict[str, Any]]:
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


def _journal(out: Path) -> TextIO:
    """Open the journal; lines of an earlier, unfinished run stay."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: --out names a dataset folder")
    out.mkdir(parents=True, exist_ok=True)
    return (out / JOURNAL).open("a", encoding="utf-8")


def _remove_stale(out: Path, known: Mapping[str, dict[str, Any]], kept: set[str]) -> None:
    """Remove pictures that an earlier run stored and that the dataset no longer lists."""
    stale = {row["path"] for row in known.values()} - kept
    kept_back = [path for path in sorted(stale) if not remove_inside(out, path)]
    if kept_back:
        log.warning(
            f"{kept_back[0]} and {len(kept_back) - 1:,} more lie behind links out of {out}: they are not removed"
        )
    if stale:
        log.info(f"{out}: removed {len(stale):,} stored pictures that the source no longer offers")
