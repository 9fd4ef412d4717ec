"""From pictures with coordinates to a dataset folder: stored, measured, split, listed. Every source ends here."""

import json
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dataset.manifest import DATASET, SCHEMA, manifest_table, write_manifest
from fetch.candidates import Candidate, with_ids
from fetch.dataset_counts import counts_report
from fetch.rejected import REJECTED, Rejection, summary, write_rejected
from fetch.sources.config import IngestConfig
from fetch.splits import join_splits
from fetch.stored import JOURNAL, MEASURES, MEASURES_SCHEMA, open_journal, read_stored, remove_stale, store
from plumbing.config import as_plain
from plumbing.files import atomic_path, write_json
from plumbing.progress import progress
from plumbing.text import counted

UNTHINNED = "unthinned.parquet"
"""All rows of a manifest that `python -m fetch thin` has shortened."""
FORMAT_VERSION = 1
BLOCK = 4096
"""Photographs whose rows are held one by one until they are packed."""

log = logging.getLogger(__name__)


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
    known = read_stored(out)
    stored_before = {row["fingerprint"]: row for row in known.values()}
    unreadable: list[Rejection] = []
    taken = _Taken()
    reused = 0
    with open_journal(out) as journal:
        jobs = with_ids(progress(candidates, f"storing in {out}", "photo", total))
        for candidate, photo_id, stored in _in_order(lambda job: store(out, *job, config, stored_before), jobs):
            if isinstance(stored, Rejection):
                unreadable.append(stored)
                continue
            reused += known.get(photo_id) is stored
            journal.write(json.dumps(stored) + "\n")
            journal.flush()
            taken.add(candidate, stored)
    rejections = [*rejected, *unreadable]
    if not len(taken):
        (out / JOURNAL).unlink(missing_ok=True)
        if not any(out.iterdir()):
            out.rmdir()
        nowhere = any(rejection.reason.startswith("without coordinates") for rejection in rejections)
        hint = "; a folder for each country needs none: --folder-names country" if nowhere else ""
        raise ValueError(f"no photograph can be used; {summary(rejections, len(rejections))}{hint}")
    photos = _finish(out, taken, rejections, config, about or {})
    remove_stale(out, known, set(photos["path"]))
    log.info(
        f"{out}: took {counted(len(photos), 'photograph')}" + (f", {reused:,} of them stored before" if reused else "")
    )
    listed = f"; {out / REJECTED} lists each" if rejections else ""
    log.info(summary(rejections, len(photos) + len(rejections)) + listed)
    log.info(counts_report(photos))
    return IngestReport(photos, rejections, reused)


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


class _Taken:
    """Rows of the manifest, still without splits, and of the measures; as Arrow block by block, for there may be millions."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._stored: list[Mapping[str, Any]] = []
        self._blocks: list[tuple[pa.Table, pa.Table]] = []

    def __len__(self) -> int:
        return len(self._rows) + sum(len(measures) for _, measures in self._blocks)

    def add(self, candidate: Candidate, stored: Mapping[str, Any]) -> None:
        unknown = set(candidate.fields) - set(SCHEMA.names)
        assert not unknown, f"no columns of a manifest: {unknown}"
        lat_deg, lon_deg = candidate.place_deg().tolist()
        given = {"source_id": candidate.id, **candidate.fields}
        kept = {name: stored[name] for name in ("id", "path", "width", "height", "sha256", "dhash")}
        self._rows.append({**given, **kept, "latitude": lat_deg, "longitude": lon_deg})
        self._stored.append(stored)
        if len(self._rows) == BLOCK:
            self._pack()

    def tables(self) -> tuple[pd.DataFrame, pa.Table]:
        """Return the rows of the manifest and the measures, by id."""
        if self._rows:
            self._pack()
        photos, measures = (pa.concat_tables(blocks).sort_by("id") for blocks in zip(*self._blocks, strict=True))
        return photos.to_pandas(), measures

    def _pack(self) -> None:
        rows = pd.DataFrame(self._rows).reindex(columns=SCHEMA.names)
        rows["captured_at_utc"] = pd.to_datetime(rows["captured_at_utc"], utc=True, errors="coerce", format="mixed")
        self._blocks.append((manifest_table(rows), pa.Table.from_pylist(self._stored, schema=MEASURES_SCHEMA)))
        self._rows, self._stored = [], []


def _finish(
    out: Path, taken: _Taken, rejected: list[Rejection], config: IngestConfig, about: Mapping[str, Any]
) -> pd.DataFrame:
    """Write the tables of a dataset, the manifest last, and return it."""
    photos, measures = taken.tables()
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
