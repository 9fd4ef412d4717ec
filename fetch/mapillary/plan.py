"""Stage `plan`: in which order the candidates of every cell are tried, by the seed alone."""

import json
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.groups import codes
from fetch.mapillary.config import MapillaryConfig
from fetch.mapillary.selection import wanted_cells
from fetch.mapillary.state import State
from fetch.mapillary.survey import missing_tiles, read_tiles
from fetch.mapillary.tiles import OVERVIEW_ZOOM, PIXEL_ZOOM, overview_pixels, pixel_cells
from geocells import grid
from plumbing.config import as_plain
from plumbing.text import counted

TAKE = 5
"""For each picture that a cell is to have, so many candidates are planned at most."""

BLOCK_ZOOM = 11
"""Candidates are taken from one square of this zoom after the other, so that they spread over the cell."""

PLAN_SETTINGS = ("seed", "per_cell", "cells", "bbox", "country", "since", "until", "pano")

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Survey:
    """The candidates of the survey.

    Attributes:
        image: (N,) ids, each once.
        cell: (N,) storage cell of the middle of the pixel.
        sequence: (N,) numbers of sequences.
        block: (N,) numbers of squares of `BLOCK_ZOOM`.
        pixels: (65536,) how many pixels with pictures touch each cell.
    """

    image: NDArray[np.int64]
    cell: NDArray[np.int64]
    sequence: NDArray[np.int64]
    block: NDArray[np.int64]
    pixels: NDArray[np.int64]


def plan(config: MapillaryConfig, state: State) -> None:
    """Order the candidates of all wanted cells; what was fetched before stays known.

    Raises:
        ValueError: the survey is not complete.
    """
    signature = json.dumps({name: as_plain(getattr(config, name)) for name in PLAN_SETTINGS}, default=str)
    if state.meta("plan") == signature:
        log.info("plan: made before with the same settings")
        return
    if missing := missing_tiles(config, state):
        raise ValueError(
            f"the survey lacks {counted(len(missing), 'tile')}: run `python -m fetch mapillary survey` first"
        )
    cells, found = wanted_cells(config), read_survey(config, state)
    kept = np.isin(found.cell, cells)
    place = order(found.image, found.cell, found.sequence, found.block, config.seed)
    kept &= place < TAKE * config.per_cell
    with state.transaction() as db:
        db.execute(
            "create temp table old as select id, facts, state from candidate where facts is not null or state = 'gone'"
        )
        for table in ("candidate", "cell", "filling"):
            db.execute(f"delete from {table}")
        db.execute("delete from tile where z > ?", [OVERVIEW_ZOOM])
        row, col = grid.to_row_col(cells)
        colour = (2 * (row % 2) + col % 2).tolist()
        rows = zip(cells.tolist(), colour, found.pixels[cells].tolist(), strict=True)
        db.executemany("insert into cell(cell, colour, pixels, state) values(?, ?, ?, 'open')", rows)
        columns = (column[kept].tolist() for column in (found.image, found.cell, found.cell, place))
        db.executemany(
            "insert into candidate(id, cell, planned, place, phase) values(?, ?, ?, ?, 0)", zip(*columns, strict=True)
        )
        db.execute("update candidate set facts = old.facts from old where old.id = candidate.id")
        db.execute("update candidate set state = 'gone' from old where old.id = candidate.id and old.state = 'gone'")
        db.execute("drop table old")
        db.executemany("insert or replace into meta values(?, ?)", [("plan", signature), ("phase", "0")])
    log.info(
        f"plan: {counted(int(kept.sum()), 'candidate')} in {len(np.unique(found.cell[kept])):,} of {counted(len(cells), 'cell')}"
    )


def read_survey(config: MapillaryConfig, state: State) -> Survey:
    """Return the candidates of all surveyed tiles that panorama and date do not rule out."""
    since, until = config.captured_ms()
    parts: list[tuple[NDArray[Any], ...]] = []
    pixels = np.zeros(4**grid.TABLE_LEVEL, dtype=np.int64)
    for x, y, points in read_tiles(state, OVERVIEW_ZOOM, "overview"):
        pixel = overview_pixels(points, x, y)
        middle, ends = pixel_cells(pixel)
        pixels += np.bincount(ends[:, 0], minlength=len(pixels))
        apart = ends[:, 0] != ends[:, 1]
        pixels += np.bincount(ends[apart, 1], minlength=len(pixels))
        wanted = (points.captured_ms == 0) | ((points.captured_ms >= since) & (points.captured_ms < until))
        if config.pano == "drop":
            wanted &= ~points.is_pano
        block = pixel >> (PIXEL_ZOOM - BLOCK_ZOOM)
        number = block[:, 1] * (1 << BLOCK_ZOOM) + block[:, 0]
        parts.append((points.image[wanted], middle[wanted], points.sequence[wanted], number[wanted]))
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return Survey(none, none, none, none, pixels)
    image, cell, sequence, block = (np.concatenate(column) for column in zip(*parts, strict=True))
    image, first = np.unique(image, return_index=True)
    return Survey(image, cell[first], numbered(sequence[first]), block[first], pixels)


def numbered(names: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return a number for each name, -1 for an empty one."""
    import pandas as pd

    return codes(pd.DataFrame({"name": names}), "name")


def order(
    image: NDArray[np.int64],
    cell: NDArray[np.int64],
    sequence: NDArray[np.int64],
    block: NDArray[np.int64],
    seed: int,
) -> NDArray[np.int64]:
    """Return the place of each candidate in its cell, from 0.

    First one of each sequence, in turn from one block after the other; then the second of each, and so on; what is
    left to chance depends on the seed and the id alone, not on the order of the rows.
    """
    chance = shuffled(image, seed)
    of_sequence = _nth(chance, cell, np.where(sequence < 0, -1 - np.arange(len(sequence)), sequence))
    of_block = _nth(chance, cell, block, of_sequence)
    return _nth(chance, cell, first_by=(of_block, of_sequence))


def shuffled(image: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Return a random number for each id (splitmix64)."""
    with np.errstate(over="ignore"):
        x = image.astype(np.uint64) + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def _nth(
    chance: NDArray[np.uint64], *group: NDArray[np.int64], first_by: tuple[NDArray[np.int64], ...] = ()
) -> NDArray[np.int64]:
    """Return the place of each row in its group, by `first_by` (the last key first), then by chance."""
    rows = np.lexsort((chance, *first_by, *group))
    starts = np.ones(len(rows), dtype=bool)
    starts[1:] = np.any([np.diff(column[rows]) != 0 for column in group], axis=0)
    first = np.flatnonzero(starts)
    place = np.empty_like(rows)
    place[rows] = np.arange(len(rows)) - np.repeat(first, np.diff([*first, len(rows)]))
    return place
