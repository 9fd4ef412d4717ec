"""`python -m fetch recheck`: pictures that were deleted at the source are removed here too."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataset.manifest import read_manifest, write_manifest
from fetch.ingest import DATASET, MEASURES, UNTHINNED
from fetch.mapillary.api import BATCH, Graph
from fetch.mapillary.cli import ended, read_token
from fetch.mapillary.config import RecheckConfig
from fetch.mapillary.errors import CircuitOpen
from fetch.mapillary.export import ATTRIBUTION, SOURCE, attribution
from fetch.mapillary.state import STATE, State
from fetch.mapillary.transport import Transport
from fetch.rejected import Rejection, read_rejected, write_rejected
from plumbing.files import atomic_path, read_json, write_json, write_text
from plumbing.progress import progress

STAGE = "recheck"
REASON = "deleted at the source"

log = logging.getLogger(__name__)


def run(config: RecheckConfig) -> int:
    """Remove deleted pictures from a dataset, and return the exit code.

    Raises:
        ValueError: it is not a dataset, or has no pictures of Mapillary.
    """
    return ended(lambda: recheck(config, read_token(config)))


def recheck(config: RecheckConfig, token: str) -> dict[int, str]:
    """Ask about every picture of Mapillary, stored or in use; remove those that are gone, and return them.

    Raises:
        Stop: the service refuses, or some pictures could not be asked about; those known to be gone are removed.
    """
    photos = read_manifest(config.data)
    if (config.data / UNTHINNED).is_file():
        photos = pd.concat([photos, pq.read_table(config.data / UNTHINNED).to_pandas()]).drop_duplicates("id")
    ours = photos[photos["source"] == SOURCE]
    if not len(ours):
        raise ValueError(f"{config.data} has no pictures of {SOURCE}: there is nothing to ask about")
    images = sorted(int(name) for name in ours["source_id"])
    gone, failed = _ask(config, token, images)
    if gone and not config.dry_run:
        removed = photos[photos["source_id"].isin([str(image) for image in gone])]
        _remove(config.data, removed, gone)
        _say_shards(config.data, removed)
    log.info(
        f"recheck: {len(gone):,} of {len(images):,} pictures are gone"
        + (" (kept: --dry-run)" if config.dry_run else "")
    )
    if failed:
        raise CircuitOpen(f"{len(failed):,} pictures could not be asked about: run the same command again")
    return gone


def _say_shards(data: Path, removed: pd.DataFrame) -> None:
    """Say which shards still hold pictures that the tables no longer name: shards are not written again."""
    shards = sorted(removed["shard"].dropna().unique())
    if shards:
        log.warning(
            f"{len(shards):,} shards still hold {int(removed['shard'].notna().sum()):,} of these pictures, which nothing "
            f"names any more, such as {shards[0]}: run `python -m fetch pack --data {data} --out NEW`, then delete {data}"
        )


def _ask(config: RecheckConfig, token: str, images: list[int]) -> tuple[dict[int, str], dict[int, str]]:
    """Return which pictures are gone, with the service's words, and which could not be asked about."""
    gone: dict[int, str] = {}
    failed: dict[int, str] = {}
    transport = Transport(config, token)
    graph = Graph(config, transport, ("id", "geometry", "computed_geometry"))
    batches = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]
    try:
        with ThreadPoolExecutor(config.threads) as pool:
            try:
                for described in progress(pool.map(graph.describe, batches), "asking", "request", len(batches)):
                    gone.update(described.gone)
                    failed.update(described.failed)
            except BaseException:
                transport.stop.set()
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        transport.close()
    return gone, failed


def _remove(data: Path, photos: pd.DataFrame, gone: dict[int, str]) -> None:
    """Remove pictures from the state, the tables and the disk, in this order, so that no table names a lost file."""
    if (data / STATE).is_file():
        state = State(data)
        try:
            with state.transaction() as db:
                rows = [(REASON, said, image) for image, said in gone.items()]
                db.executemany("update candidate set state = 'gone', reason = ?, value = ? where id = ?", rows)
                db.executemany("delete from picture where id = ?", [(image,) for image in gone])
        finally:
            state.close()
    ids = photos["id"].tolist()
    manifest = read_manifest(data)
    kept = manifest[~manifest["id"].isin(ids)]
    write_manifest(data, kept)
    for name in (UNTHINNED, MEASURES):
        if (data / name).is_file():
            table = pq.read_table(data / name)
            with atomic_path(data / name) as partial:
                pq.write_table(table.filter(~pc.field("id").isin(ids)), partial, compression="zstd")
    left = [r for r in read_rejected(data) if r.id not in set(ids)]
    write_rejected(data, [*left, *(Rejection(i, REASON, stage=STAGE) for i in ids)])
    if (data / DATASET).is_file():
        write_json(data / DATASET, {**read_json(data / DATASET), "photographs": len(kept)})
    if (data / ATTRIBUTION).is_file():
        write_text(data / ATTRIBUTION, attribution(kept[kept["source"] == SOURCE]))
    for path in photos["path"].dropna():
        (data / path).unlink(missing_ok=True)
