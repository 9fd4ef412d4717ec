"""Keeping a dataset of Mapillary true: `status` says how far it is, `verify` mends it, `recheck` removes what was deleted."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataset.manifest import DATASET, SCHEMA, read_manifest, write_manifest
from fetch.ingest import UNTHINNED
from fetch.mapillary.api import BATCH, Graph
from fetch.mapillary.config import MapillaryConfig, RecheckConfig, ServiceConfig
from fetch.mapillary.errors import CircuitOpen
from fetch.mapillary.export import ATTRIBUTION, SOURCE, attribution, export
from fetch.mapillary.state import PARTIAL, STATE, State
from fetch.mapillary.survey import AREA, in_remembered_area, missing_tiles
from fetch.mapillary.tiles import OVERVIEW_ZOOM
from fetch.mapillary.transport import Transport
from fetch.rejected import Rejection, read_rejected, write_rejected
from fetch.stored import MEASURES
from plumbing.files import atomic_path, read_json, sha256, write_json, write_text
from plumbing.flags import shown
from plumbing.inside import inside, remove_inside
from plumbing.parquet import read_columns
from plumbing.progress import progress
from plumbing.text import counted

STAGE = "recheck"
REASON = "deleted at the source"

log = logging.getLogger(__name__)


def status(config: MapillaryConfig, state: State) -> str:
    """Return what is surveyed, planned, fetched and left out, cell by state, and what was asked."""
    lines = [_survey_line(config, state)]
    cells = state.rows("select state, count(*) from cell group by state order by state")
    lines.append("cells     " + (", ".join(f"{n:,} {what}" for what, n in cells) or "no plan yet"))
    candidates = state.rows("select state, count(*) from candidate group by state order by state")
    lines.append("pictures  " + (", ".join(f"{n:,} {what}" for what, n in candidates) or "none"))
    stored, size = state.rows("select count(*), coalesce(sum(bytes), 0) from picture")[0]
    lines.append(f"disk      {counted(stored, 'picture')} stored, {size / 1e6:,.1f} MB")
    reasons = state.rows(
        "select reason, count(*) from candidate where reason != '' group by reason order by 2 desc, 1 limit 12"
    )
    lines += [f"left out  {n:>9,} {reason}" for reason, n in reasons]
    short = state.rows(
        "select reason, count(*) from cell where state = 'error' group by reason order by 2 desc limit 3"
    )
    lines += [f"error     {counted(n, 'cell')}: {reason}" for reason, n in short]
    for day, surface, n in state.rows("select day, surface, n from quota order by day desc, surface limit 6"):
        lines.append(f"asked     {day} {surface:<8}{n:>9,}")
    return "\n".join(lines)


def _survey_line(config: MapillaryConfig, state: State) -> str:
    """Return how many tiles of the survey came, and how many of the area that was asked for are missing."""
    asked = in_remembered_area(config, state)
    area = [f"--{name} {shown(getattr(asked, name))}" for name in AREA if getattr(asked, name)]
    where = f" of {' '.join(area)}; the rest of the planet was not asked for" if area else ""
    return f"survey    {counted(len(state.tiles_done(OVERVIEW_ZOOM)), 'tile')}, {len(missing_tiles(asked, state)):,} missing{where}"


def verify(config: MapillaryConfig, state: State) -> dict[str, int]:
    """Find pictures that are missing or changed, which `run` then fetches again, and files that belong to none.

    Returns:
        How many of each: `sound`, `missing`, `changed`, `stray`.
    """
    counts = {"sound": 0, "missing": 0, "changed": 0, "stray": 0}
    known = state.rows("select id, path, sha256 from picture order by path")
    broken = []
    for image, path, expected in progress(known, "verifying", "picture"):
        try:
            file = inside(config.out, path)
            what = "missing" if not file.is_file() else "sound" if sha256(file) == expected else "changed"
        except ValueError:
            what = "missing"
        counts[what] += 1
        if what != "sound":
            broken.append(image)
            remove_inside(config.out, path)
    paths = {path for _, path, _ in known}
    strays = [file for file in (config.out / "images").rglob("*") if file.is_file()]
    strays = [file for file in strays if file.relative_to(config.out).as_posix() not in paths]
    strays += [file for file in (config.out / PARTIAL).glob("*") if file.is_file()]
    counts["stray"] = sum(remove_inside(config.out, file.relative_to(config.out).as_posix()) for file in strays)
    if broken:
        with state.transaction() as db:
            marks = [(image,) for image in broken]
            db.executemany("delete from picture where id = ?", marks)
            db.executemany("update candidate set state = 'new', reason = '' where id = ? and state != 'gone'", marks)
        export(config, state)
    log.info("verify: " + ", ".join(f"{n:,} {what}" for what, n in counts.items()))
    if broken:
        log.info("verify: `python -m fetch mapillary run` fetches missing and changed pictures again")
    return counts


def recheck(config: RecheckConfig, token: str) -> dict[int, str]:
    """Ask about every picture of Mapillary, stored or in use; remove those that are gone, and return them.

    Raises:
        Stop: the service refuses, or some pictures could not be asked about; those known to be gone are removed.
    """
    photos = read_manifest(config.data)
    if (config.data / UNTHINNED).is_file():
        unthinned = read_columns(config.data / UNTHINNED, SCHEMA.names).to_pandas()
        photos = pd.concat([photos, unthinned.reindex(columns=SCHEMA.names)]).drop_duplicates("id")
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
        f"recheck: {len(gone):,} of {counted(len(images), 'picture')} gone"
        + (" (kept: --dry-run)" if config.dry_run else "")
    )
    if failed:
        raise CircuitOpen(f"{counted(len(failed), 'picture')} could not be asked about: run the same command again")
    return gone


def _say_shards(data: Path, removed: pd.DataFrame) -> None:
    """Say which shards still hold pictures that the tables no longer name: shards are not written again."""
    shards = sorted(removed["shard"].dropna().unique())
    if shards:
        log.warning(
            f"{counted(len(shards), 'shard', 'hold')} {int(removed['shard'].notna().sum()):,} of these pictures, which nothing "
            f"names any more, such as {shards[0]}: run `python -m fetch pack --data {data} --out NEW`, then delete {data}"
        )


def _ask(config: RecheckConfig, token: str, images: list[int]) -> tuple[dict[int, str], dict[int, str]]:
    """Return which pictures are gone, with the service's words, and which could not be asked about."""
    gone: dict[int, str] = {}
    failed: dict[int, str] = {}
    service = ServiceConfig.of_graph(config)
    transport = Transport(service, token)
    graph = Graph(service, transport, ("id", "geometry", "computed_geometry"))
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
            table = read_columns(data / name)
            with atomic_path(data / name) as partial:
                pq.write_table(table.filter(~pc.field("id").isin(ids)), partial, compression="zstd")
    left = [r for r in read_rejected(data) if r.id not in set(ids)]
    write_rejected(data, [*left, *(Rejection(i, REASON, stage=STAGE) for i in ids)])
    if (data / DATASET).is_file():
        write_json(data / DATASET, {**read_json(data / DATASET), "photographs": len(kept)})
    if (data / ATTRIBUTION).is_file():
        write_text(data / ATTRIBUTION, attribution(kept[kept["source"] == SOURCE]))
    for path in photos["path"].dropna():
        if not remove_inside(data, path):
            log.warning(f"{path!r} lies outside of {data}: it is not removed")
