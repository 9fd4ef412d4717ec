"""Stage `fill`: where a cell is short, look into single tiles of zoom 14, in which every picture is a point."""

import gzip
import json
import logging
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from fetch.mapillary.config import MapillaryConfig
from fetch.mapillary.errors import CircuitOpen
from fetch.mapillary.facts import Facts
from fetch.mapillary.plan import TAKE, numbered, order, shuffled
from fetch.mapillary.run import Run
from fetch.mapillary.state import State
from fetch.mapillary.survey import fetch_tiles, read_tiles
from fetch.mapillary.tiles import (
    IMAGE_ZOOM,
    OVERVIEW_ZOOM,
    TileId,
    overview_pixels,
    pixel_cells,
    place_deg,
    read_points,
    tile_xy,
)
from fetch.mapillary.transport import Transport
from geocells import grid
from plumbing.text import counted

BATCH = 2000
"""Tiles after which the cells that they are for are worked on, so that days of tiles already show."""

log = logging.getLogger(__name__)


def fill(config: MapillaryConfig, state: State, transport: Transport) -> None:
    """Look for further candidates of short cells, and run over them, until all may be looked into no further.

    Raises:
        Stop: the run cannot go on; tiles that came are kept.
    """
    while state.meta("filling") == "open" or _choose_tiles(config, state):
        _fetch(config, state, transport)
        _enter(config, state)
        Run(config, state, transport).all_phases()
    log.info("fill: every short cell was looked into as far as --fill-tiles goes")


def _choose_tiles(config: MapillaryConfig, state: State) -> bool:
    """Choose tiles for the next short cells, and say whether there are any."""
    spent = dict(state.rows("select cell, count(*) from filling group by cell"))
    short = [cell for (cell,) in state.rows("select cell from cell where state = 'short' order by cell")]
    short = [cell for cell in short if spent.get(cell, 0) < config.fill_tiles]
    known = _known_tiles(state, short)
    unseen = [cell for cell in short if cell not in known]
    rows: list[tuple[int, int, int, int]] = []
    before = set(state.rows("select z, x, y, cell from filling"))
    offered = {**known, **_squares(config, state, unseen)}
    for cell in short:
        tiles = [(*tile, cell) for tile in offered.get(cell, ()) if (*tile, cell) not in before]
        rows += tiles[: config.fill_tiles - spent.get(cell, 0)]
        if len(rows) >= BATCH:
            break
    with state.transaction() as db:
        db.executemany("insert into filling values(?, ?, ?, ?)", rows)
        if rows:
            db.execute("insert or replace into meta values('filling', 'open')")
    return bool(rows)


def _known_tiles(state: State, cells: Iterable[int]) -> dict[int, list[TileId]]:
    """Return the tiles of pictures whose position is known, for each cell in the order of the plan."""
    found = {}
    for cell in cells:
        texts = state.rows(
            "select facts from candidate where cell = ? and facts is not null order by place, id", [cell]
        )
        places = [Facts.from_json(text) for (text,) in texts]
        if places:
            xy = tile_xy([(facts.lat, facts.lon) for facts in places], IMAGE_ZOOM)
            found[cell] = list(dict.fromkeys((IMAGE_ZOOM, x, y) for x, y in xy.tolist()))
    return found


def _squares(config: MapillaryConfig, state: State, cells: list[int]) -> dict[int, list[TileId]]:
    """Return the tiles below the survey's pixels that touch cells of which no picture is known."""
    if not cells:
        return {}
    wanted = np.zeros(4**grid.TABLE_LEVEL, dtype=bool)
    wanted[cells] = True
    found: dict[int, list[tuple[int, TileId]]] = defaultdict(list)
    for x, y, points in read_tiles(state, OVERVIEW_ZOOM, "overview"):
        pixel = overview_pixels(points, x, y)
        near = np.any(wanted[pixel_cells(pixel)[1]], axis=-1)
        for col, row in (2 * pixel[near]).tolist():
            tiles = np.array([(col + right, row + down) for down in (0, 1) for right in (0, 1)])
            chance = shuffled(tiles[:, 1] * (1 << IMAGE_ZOOM) + tiles[:, 0], config.seed)
            for tile, touched, number in zip(tiles.tolist(), pixel_cells(tiles, IMAGE_ZOOM)[1], chance, strict=True):
                for cell in sorted(set(touched.tolist())):
                    if wanted[cell]:
                        found[cell].append((int(number), (IMAGE_ZOOM, tile[0], tile[1])))
    return {cell: [tile for _, tile in sorted(offers)] for cell, offers in found.items()}


def _fetch(config: MapillaryConfig, state: State, transport: Transport) -> None:
    """Fetch the chosen tiles that are not stored yet, and keep of each the pictures that may be taken."""
    cells: dict[TileId, set[int]] = defaultdict(set)
    for z, x, y, cell in state.rows("select z, x, y, cell from filling"):
        cells[z, x, y].add(cell)
    since, until = config.captured_ms()

    def extract(tile: TileId, body: bytes) -> bytes:
        points = read_points(body, "image")
        cell = grid.encode(
            place_deg(points.xy[:, 0] + tile[1], points.xy[:, 1] + tile[2], IMAGE_ZOOM), grid.TABLE_LEVEL
        )
        usable = np.isin(cell, sorted(cells[tile])) & (points.captured_ms >= since) & (points.captured_ms < until)
        if config.pano == "drop":
            usable &= ~points.is_pano
        rows = np.flatnonzero(usable)
        image, names = points.image[rows], points.sequence[rows]
        place = order(image, cell[rows], numbered(names), np.zeros(len(rows), dtype=np.int64), config.seed)
        kept = rows[place < TAKE * config.per_cell]
        chosen = zip(points.image[kept].tolist(), cell[kept].tolist(), points.sequence[kept].tolist(), strict=True)
        return json.dumps(list(chosen)).encode()

    missing = sorted(set(cells) - state.tiles_done(IMAGE_ZOOM))
    for _ in range(3):
        missing = fetch_tiles(missing, "image", config, state, transport, extract)
    if missing:
        raise CircuitOpen(f"{counted(len(missing), 'tile')} did not come: run the same command again")


def _enter(config: MapillaryConfig, state: State) -> None:
    """Make candidates of what the chosen tiles hold, behind those that the cells had."""
    rows = {}
    tiles = state.rows(
        "select distinct t.x, t.y, t.body from filling f join tile t on t.z = f.z and t.x = f.x and t.y = f.y "
        "order by t.y, t.x"
    )
    for x, y, body in tiles:
        for image, cell, sequence in json.loads(gzip.decompress(body)):
            rows[image] = (cell, sequence, y * (1 << IMAGE_ZOOM) + x)
    taken = {image for (image,) in state.rows("select id from candidate")}
    image = np.array(sorted(set(rows) - taken), dtype=np.int64)
    cell, sequence, block = ([rows[i][k] for i in image.tolist()] for k in range(3))
    numbers = numbered(np.array(sequence, dtype=object))
    place = order(image, np.array(cell, dtype=np.int64), numbers, np.array(block, dtype=np.int64), config.seed)
    phase = state.phase
    behind = 1_000_000
    with state.transaction() as db:
        db.executemany(
            "insert into candidate(id, cell, planned, place, phase) values(?, ?, ?, ?, ?)",
            [(i, c, c, behind + p, phase) for i, c, p in zip(image.tolist(), cell, place.tolist(), strict=True)],
        )
        db.execute("insert or replace into meta values('filling', '')")
        db.execute("update cell set state = 'open' where cell in (select cell from filling)")
    log.info(f"fill: {counted(len(image), 'more candidate')}")
