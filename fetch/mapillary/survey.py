"""Stage `survey`: the overview tiles, which show for every square of a few kilometres whether pictures exist."""

import gzip
import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import timedelta
from typing import Any

from fetch.client import Exhausted
from fetch.mapillary.config import MapillaryConfig
from fetch.mapillary.errors import CircuitOpen
from fetch.mapillary.sdk import tile_address
from fetch.mapillary.selection import wanted_cells
from fetch.mapillary.state import State
from fetch.mapillary.tiles import OVERVIEW_ZOOM, Points, TileId, check_tile, overview_tiles, read_points
from fetch.mapillary.transport import Transport
from plumbing.config import as_plain
from plumbing.progress import progress
from plumbing.text import counted

AREA = ("cells", "bbox", "country")
"""Flags that say where pictures are wanted."""

log = logging.getLogger(__name__)


def missing_tiles(config: MapillaryConfig, state: State) -> list[TileId]:
    """Return the overview tiles that touch wanted cells and are not stored yet, or are older than --survey-days."""
    done = state.tiles_done(OVERVIEW_ZOOM, _since_utc(config, state))
    return [tile for tile in overview_tiles(wanted_cells(config)) if tile not in done]


def in_remembered_area(config: MapillaryConfig, state: State) -> MapillaryConfig:
    """Return a config with the area of the last survey, where it names none itself."""
    if any(getattr(config, name) for name in AREA):
        return config
    # What was fetched before areas were remembered has that of its plan.
    kept = json.loads(state.meta("area") or state.meta("plan") or "{}")
    area: dict[str, Any] = {name: tuple(kept[name]) for name in AREA if kept.get(name)}
    return replace(config, **area)


def _since_utc(config: MapillaryConfig, state: State) -> str:
    if config.survey_days is None:
        return ""
    return (state.now_utc() - timedelta(days=config.survey_days)).isoformat(timespec="seconds")


def survey(config: MapillaryConfig, state: State, transport: Transport) -> None:
    """Fetch what is missing of the survey; a tile that does not come is asked for again later, and is never empty.

    Raises:
        Stop: the run cannot go on; tiles that came are kept.
    """
    state.set_meta(area=json.dumps({name: as_plain(getattr(config, name)) for name in AREA}))
    tiles = missing_tiles(config, state)
    if not tiles:
        log.info("survey: complete")
        return
    if set(tiles) & state.tiles_done(OVERVIEW_ZOOM):
        # Before the first tile comes: interrupted, the next run plans again all the same.
        state.set_meta(plan="")
    failed = fetch_tiles(tiles, "overview", config, state, transport)
    for _ in range(2):
        failed = fetch_tiles(failed, "overview", config, state, transport)
    if failed:
        raise CircuitOpen(f"{len(failed):,} of {counted(len(tiles), 'tile')} of the survey did not come: run it again")
    log.info(f"survey: {counted(len(tiles), 'tile')} fetched")


def fetch_tiles(
    tiles: list[TileId],
    layer: str,
    config: MapillaryConfig,
    state: State,
    transport: Transport,
    extract: Callable[[TileId, bytes], bytes] = lambda tile, body: body,
) -> list[TileId]:
    """Fetch tiles, keep what `extract` makes of each, and return those that did not come."""

    def one(tile: TileId) -> None:
        z, x, y = tile
        body = transport.fetch("tiles", tile_address(layer, z, x, y, config.tiles_url), check_tile)
        with state.transaction() as db:
            values = (z, x, y, state.now_utc().isoformat(timespec="seconds"), gzip.compress(extract(tile, body), 6))
            db.execute("insert or replace into tile values(?, ?, ?, ?, ?)", values)

    failed = []
    with ThreadPoolExecutor(config.threads) as pool:
        jobs = {pool.submit(one, tile): tile for tile in tiles}
        try:
            title = f"tiles of zoom {tiles[0][0]}" if tiles else "tiles"
            bar = progress(as_completed(jobs), title, "tile", len(jobs))
            with transport.telling(bar.set_postfix_str):
                for job in bar:
                    try:
                        job.result()
                    except Exhausted as error:
                        log.warning(f"tile {'/'.join(map(str, jobs[job]))} did not come: {error}")
                        failed.append(jobs[job])
        except BaseException:
            transport.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return sorted(failed)


def read_tiles(state: State, zoom: int, layer: str) -> Iterator[tuple[int, int, Points]]:
    """Yield column, row and points of the tiles of a zoom, one at a time."""
    for _, x, y in sorted(state.tiles_done(zoom), key=lambda tile: (tile[2], tile[1])):
        yield x, y, read_tile(state, (zoom, x, y), layer)


def read_tile(state: State, tile: TileId, layer: str) -> Points:
    """Return the points of one stored tile."""
    body = state.rows("select body from tile where z = ? and x = ? and y = ?", tile)[0][0]
    return read_points(gzip.decompress(body), layer)
