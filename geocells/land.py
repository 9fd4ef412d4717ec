"""Which cells touch land, how much of each is land, and of which country: from polygons, or from the shipped table.

Here a place is in the plane of degrees, as Natural Earth's own edges are: straight from vertex to vertex in longitude
and latitude, from -180 to 180. Polygons hold (longitude, latitude), as everywhere in shapely.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from geocells import grid
from geocells.grid import TABLE_LEVEL as TABLE_LEVEL

TABLE = Path(__file__).parent / "data" / "land_l8.npz"
MAX_LAND_LEVEL = 12
"""Finest level of an answer that has one value for each cell of the world (16.8 million of them)."""

FULL = 1 - 1e-12
"""Share from which on a cell counts as all land, so that rounding opens no cell inside a continent."""


def touching_land(land: NDArray[np.object_], level: int, equal_area: bool = False) -> NDArray[np.bool_]:
    """Return which cells touch land, were it in a single point of an edge.

    Args:
        land: polygons and multipolygons, (longitude, latitude) in degrees.
        level: 1 to 12.
        equal_area: latitudes are cut by area.

    Returns:
        (4**level,) in the order of cell numbers.

    Raises:
        ValueError: the level is not in 1 to 12.
    """
    _check_level(level)
    parts = shapely.get_parts(land)
    shapely.prepare(parts)
    tree = shapely.STRtree(parts)
    touched = np.zeros(4**level, dtype=bool)
    cells = grid.children(0, 0, 1)
    for depth in range(1, level + 1):
        boxes = cell_boxes(cells, depth, equal_area)
        near, part = tree.query(boxes)
        inside = np.unique(near[shapely.contains_properly(parts[part], boxes[near])])
        touched[grid.children(cells[inside], depth, level)] = True
        open_pair = ~np.isin(near, inside)
        near, part = near[open_pair], part[open_pair]
        edge = cells[np.unique(near[shapely.intersects(parts[part], boxes[near])])]
        if depth == level:
            touched[edge] = True
        else:
            cells = grid.children(edge, depth, depth + 1).ravel()
    return touched


def _check_level(level: int) -> None:
    if not 1 <= level <= MAX_LAND_LEVEL:
        raise ValueError(f"land is known for levels 1 to {MAX_LAND_LEVEL}, got {level}")


def cell_boxes(cells: NDArray[np.int64], level: int, equal_area: bool = False) -> NDArray[np.object_]:
    """Return cells as polygons of (longitude, latitude)."""
    south, west, north, east = np.moveaxis(grid.bounds_deg(cells, level, equal_area), -1, 0)
    return shapely.box(west, south, east, north)


def land_share(land: NDArray[np.object_], level: int, equal_area: bool = False) -> NDArray[np.float64]:
    """Return how much of each cell's area is land.

    Args:
        land: valid polygons and multipolygons that do not overlap, (longitude, latitude) in degrees.
        level: 1 to 12.
        equal_area: latitudes are cut by area.

    Returns:
        (4**level,) shares from 0 to 1, in the order of cell numbers.

    Raises:
        ValueError: the level is not in 1 to 12.
    """
    cell, _, share = shares(land, level, equal_area)
    return np.minimum(np.bincount(cell, share, 4**level), 1)


def shares(
    areas: NDArray[np.object_], level: int, equal_area: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return what share of which cell each of several areas covers.

    Args:
        areas: (N,) valid polygons and multipolygons, (longitude, latitude) in degrees.
        level: 1 to 12.
        equal_area: latitudes are cut by area.

    Returns:
        Cells, areas by their place in `areas`, and the share of the cell's true area, all of one length. A pair may
        stand more than once, for an area of several parts.

    Raises:
        ValueError: the level is not in 1 to 12.
    """
    _check_level(level)
    piece, owner = shapely.get_parts(areas, return_index=True)
    cell = np.zeros(len(piece), dtype=np.int64)
    found = []
    for depth in range(1, level + 1):
        # Clipping to one level after the other keeps every intersection small.
        piece, owner, cell = _clip(piece, owner, cell, depth, equal_area)
        share = _true_area(piece) / _true_area(cell_boxes(cell, depth, equal_area))
        done = (share >= FULL) | (depth == level)
        leaves = grid.children(cell[done], depth, level)
        count = leaves.shape[-1]
        found.append((leaves.ravel(), np.repeat(owner[done], count), np.repeat(share[done], count)))
        piece, owner, cell = piece[~done], owner[~done], cell[~done]
    cells, owners, values = (np.concatenate(column) for column in zip(*found, strict=True))
    return cells[values > 0], owners[values > 0], values[values > 0]


def _clip(
    piece: NDArray[np.object_], owner: NDArray[np.int64], cell: NDArray[np.int64], depth: int, equal_area: bool
) -> tuple[NDArray[np.object_], NDArray[np.int64], NDArray[np.int64]]:
    """Cut pieces, each inside a cell above `depth`, by the four children of their cells; drop what is empty."""
    child = grid.children(cell, depth - 1, depth).ravel()
    boxes = cell_boxes(child, depth, equal_area)
    # Most pieces are far from most children: comparing bounds spares the intersection.
    near = shapely.intersects(np.repeat(shapely.box(*shapely.bounds(piece).T), 4), boxes)
    cut = shapely.intersection(np.repeat(piece, 4)[near], boxes[near])
    left = shapely.area(cut) > 0
    return cut[left], np.repeat(owner, 4)[near][left], child[near][left]


def _true_area(areas: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return areas on the unit sphere, by Lambert's cylindrical projection."""
    return shapely.area(
        shapely.transform(areas, lambda xy: np.column_stack([np.radians(xy[:, 0]), np.sin(np.radians(xy[:, 1]))]))
    )


@dataclass(frozen=True, eq=False)
class LandTable:
    """Land of the cells of level 8, from Natural Earth 10m land, minor islands and administrative areas.

    Attributes:
        share: (65536,) float32 share of each cell's area that is land, in steps of 1/255; above 0 wherever the cell
            touches land at all.
        country: (65536,) ISO 3166-1 alpha-2 code of the country with most land in the cell, '' where there is none.
            'NA' is Namibia; Kosovo is 'XK', as is usual though not in the standard; the Spratly Islands are nobody's.
    """

    share: NDArray[np.float32]
    country: NDArray[np.str_]


@cache
def land_table() -> LandTable:
    """Return the table that the project ships; `python -m geocells table` computes it."""
    with np.load(TABLE, allow_pickle=False) as table:
        share = table["share"].astype(np.float32) / np.float32(255)
        country = table["countries"][table["country"]]
    share.flags.writeable = country.flags.writeable = False
    return LandTable(share, country)


def land_mask(level: int) -> NDArray[np.bool_]:
    """Return which cells of a level touch land by the shipped table.

    Returns:
        (4**level,) in the order of cell numbers.

    Raises:
        ValueError: the level is not in 1 to 8.
    """
    if not 1 <= level <= TABLE_LEVEL:
        raise ValueError(f"the shipped table knows land for levels 1 to {TABLE_LEVEL}, got {level}: name a land file")
    return np.any((land_table().share > 0).reshape(4**level, -1), axis=-1)
