"""`--dry-run`: what a run would cost, without asking or writing anything."""

import sqlite3
from contextlib import closing

from fetch.mapillary.api import BATCH
from fetch.mapillary.config import MapillaryConfig
from fetch.mapillary.selection import wanted_cells
from fetch.mapillary.state import STATE
from fetch.mapillary.tiles import OVERVIEW_ZOOM, overview_tiles
from geocells.land import land_table
from plumbing.text import counted

PICTURE_BYTES = 200_000
"""Of a thumbnail 1024 pixels wide; an estimate."""

TILE_BYTES = 1_000_000
FETCHED_PER_PICTURE = 1.4
"""Pictures fetched for each that stays; an estimate."""

PICTURE_S = 0.5
"""Seconds a thread needs for one picture; an estimate."""


def budget(config: MapillaryConfig) -> str:
    """Return requests, bytes, time and disk of what is still to be done, at the configured rates."""
    cells = wanted_cells(config)
    done, planned, pictures = _found(config)
    tiles = len(set(overview_tiles(cells)) - done)
    if planned is None:
        # Unsurveyed: a third of the cells with land have pictures that can be used.
        land = int((land_table().share[cells] > 0).sum())
        pictures, basis = (
            config.per_cell * land // 3,
            f"no plan yet: a third of {counted(land, 'cell')} with land taken as full",
        )
    else:
        basis = f"plan of {counted(planned, 'candidate')}"
    fetched = round(pictures * FETCHED_PER_PICTURE)
    graph = -(-fetched // BATCH)
    seconds = {
        "tiles": tiles / config.tiles_per_second if config.tiles_per_second else 0.0,
        "graph": graph / config.requests_per_second if config.requests_per_second else 0.0,
        "images": fetched * PICTURE_S / config.threads,
    }
    days = -(-tiles // config.tiles_per_day) if config.tiles_per_day else 0
    total_s = max(sum(seconds.values()), 86_400 * max(0, days - 1))
    return "\n".join(
        [
            f"{counted(len(cells), 'cell')}, {basis}",
            f"survey    {tiles:>12,} requests {tiles * TILE_BYTES / 1e9:>10,.2f} GB  {_words(seconds['tiles']):>9}",
            f"metadata  {graph:>12,} requests {fetched * 1000 / 1e9:>10,.2f} GB  {_words(seconds['graph']):>9}",
            f"pictures  {fetched:>12,} requests {fetched * PICTURE_BYTES / 1e9:>10,.2f} GB  {_words(seconds['images']):>9}",
            f"together  {tiles + graph + fetched:>12,} requests, about {_words(total_s)}, "
            f"{fetched * PICTURE_BYTES / 1e9:,.1f} GB on disk, for about {counted(pictures, 'picture')} after filtering",
            f"fill      at most {counted(config.fill_tiles, 'tile')} for each cell that is short, {config.tiles_per_day:,} a day",
        ]
    )


def _found(config: MapillaryConfig) -> tuple[set[tuple[int, int, int]], int | None, int]:
    """Return surveyed tiles, planned candidates (None without a plan) and pictures still to get."""
    path = config.out / STATE
    if not path.is_file():
        return set(), None, 0
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        done = {(OVERVIEW_ZOOM, x, y) for x, y in db.execute("select x, y from tile where z = ?", [OVERVIEW_ZOOM])}
        if not db.execute("select 1 from meta where key = 'plan'").fetchone():
            return done, None, 0
        planned = db.execute("select count(*) from candidate").fetchone()[0]
        left = db.execute(
            """select sum(min(open, max(0, ? - have))) from (select sum(state = 'new') as open,
            sum(state = 'accepted') as have from candidate group by cell)""",
            [config.per_cell],
        ).fetchone()[0]
        return done, planned, left or 0


def _words(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} s"
