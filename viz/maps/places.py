"""Names of cells for people: the town nearest to a small one, the countries or parts of the world of a large one."""

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
import shapely
from numpy.typing import NDArray

from dataset.country_names import country_name
from geocells import grid
from geocells.land import TABLE_LEVEL, land_table
from geocells.m49 import regions, subregions
from geocells.outlines import boxes_deg
from geocells.sphere import box_area_km2
from infer.country_parts import country_parts
from infer.parts import Cell
from infer.place_names import nearest_places
from infer.wording import class_words, region_words
from viz.maps.wording import coordinate_words

TOWN_KM = 400
"""A cell up to this size is named by the town nearest to it; a larger one by the countries in it."""
FAR_KM = 250
"""A town farther away than this names no cell."""
NAMED = 200
"""Of so many of a level's most probable cells the towns are named; of the others the country alone."""


def cell_places(cells: Sequence[Cell], level_name: str) -> list[str]:
    """Return what people call the place of each cell: `near Beitbridge, Zimbabwe`, `Eastern Africa`.

    Args:
        cells: of one level, the most probable first, each with its place.
        level_name: such as `L8` or `country`.
    """
    codes = _codes(cells)
    names = [
        _stated(cell.id, level_name) or _country_place(code, cell) for cell, code in zip(cells, codes, strict=True)
    ]
    own = [k for k, cell in enumerate(cells[:NAMED]) if not _stated(cell.id, level_name)]
    small = [k for k in own if (cells[k].size_km or 0) <= TOWN_KM]
    for k, town in zip(small, nearest_places(_centres(cells)[small]), strict=True):
        near = town is not None and town["distance_km"] <= FAR_KM
        names[k] = (
            f"near {town['name'].split(', ')[0]}, {town['country']}" if town and near else _far(codes[k], cells[k])
        )
    for k in own:
        if (cells[k].size_km or 0) > TOWN_KM:
            names[k] = _large(cells[k])
    return names


def _stated(name: str, level_name: str) -> str:
    """Return the words of a cell whose id is a name: `France` of FR, `Rhône, France` of FR/Rhône; empty of numbers."""
    words = class_words(name, level_name)
    if words != name:
        return words
    code, _, rest = name.partition("/")
    if re.fullmatch("[A-Z]{2}", code) and rest:
        return f"{rest}, {class_words(code, 'country')}"
    return name if re.search(r"[^\W\d_]{2}", name) else ""


def _centres(cells: Sequence[Cell]) -> NDArray[np.float64]:
    return np.array([(cell.latitude or 0.0, cell.longitude or 0.0) for cell in cells]).reshape(-1, 2)


def _codes(cells: Sequence[Cell]) -> list[str]:
    """Return the country around the coordinate of each cell; empty at sea."""
    return land_table().country[grid.encode(_centres(cells), TABLE_LEVEL)].tolist()


def cell_country(cell: Cell) -> str:
    """Return the code of the country around the coordinate of a cell; empty at sea."""
    return _codes([cell])[0]


def _country_place(code: str, cell: Cell) -> str:
    return f"in {country_name(code, article=True)}" if code else _far(code, cell)


def _far(code: str, cell: Cell) -> str:
    """Return the coordinates of a cell that no town is near to, and its country."""
    coordinates = coordinate_words(cell.latitude or 0, cell.longitude or 0, 1)
    return f"at {coordinates}{f', {country_name(code)}' if code else ''}"


def _large(cell: Cell) -> str:
    """Return the countries, or parts of the world, that hold most of the land of a cell."""
    assert cell.bounds is not None, "a cell without a place has its own name"
    south, west, north, east = cell.bounds
    lat, lon, land = _table()
    across = (lon >= west) | (lon < east) if east < west else (lon >= west) & (lon < east)
    inside = np.flatnonzero((lat >= south) & (lat < north) & across & (land > 0))
    codes, member = np.unique(land_table().country[inside], return_inverse=True)
    masses = np.bincount(member, land[inside], len(codes)).tolist()
    known = [(code, mass) for code, mass in zip(codes.tolist(), masses, strict=True) if code in subregions()]
    return region_words(known, 0.8) if known else _country_place("", cell)


@cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return latitude, longitude and km² of land of each cell of the land table."""
    cells = np.arange(4**TABLE_LEVEL)
    lat, lon = grid.center_deg(cells, TABLE_LEVEL).T
    return lat, lon, box_area_km2(grid.bounds_deg(cells, TABLE_LEVEL)) * land_table().share


@cache
def place_box(name: str) -> tuple[float, float, float, float]:
    """Return south, west, north, east of a country (by its code), a subregion or a continent, without far possessions."""
    kinds = (subregions(), regions())
    codes = [name] if name in kinds[0] else [code for kind in kinds for code in kind if kind[code] == name]
    parts = [part for code in codes for part in country_parts(code)]
    south, west, north, east = boxes_deg(np.array([shapely.MultiPolygon(parts)], dtype=object))[0].tolist()
    return south, west, north, east
