"""First-level regions, such as provinces: the lines between those of one country, and names, for maps of a small area."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from geocells.natural_earth import read_polygons
from geocells.outlines import area_km2, polygonal
from plumbing.files import atomic_path
from viz.base_map.make import KM_A_DEGREE, LETTER_PX, MOST_SCALE, REGIONS, ROOM, edges_of, name_place
from viz.base_map.packing import STEP_DEG, BaseMap, on_grid, pack

SHIPPED = Path(__file__).parent / REGIONS
MOST_WIDE_DEG = 40.0
"""Wider areas show no regions."""
LEAST_SHARE = 25
"""A region is shown whose width is at least this part of the width of the area."""
MOST_BYTES = 24_000
"""Regions of an area take at most so many bytes of a page, packed; the smaller ones are left out first."""
AROUND = 0.5
"""Of the width of an area: so far around it regions are shown, too."""


@dataclass(frozen=True, eq=False)
class Regions:
    """Lines between first-level regions of one country, and their names.

    Attributes:
        lines: (N, 2) latitude and longitude each, on the grid of the base map.
        line_width_deg: (lines,) root of the area of the smaller neighbour, in degrees of a great circle.
        names: of regions.
        name_deg: (names, 2) latitude and longitude where a name stands.
        name_width_deg: (names,) root of the area of the region.
    """

    lines: Sequence[NDArray[np.float64]]
    line_width_deg: NDArray[np.float64]
    names: Sequence[str]
    name_deg: NDArray[np.float64]
    name_width_deg: NDArray[np.float64]


def make_regions(path: Path, tolerance_deg: float, out: Path) -> Regions:
    """Compute the shipped regions from Natural Earth's first-level units and write them, whole or not at all.

    Args:
        path: ne_10m_admin_1_states_provinces.zip, with the columns `iso_a3` and `name`.
        tolerance_deg: triangles smaller than the square of this are cut off, alike for both neighbours.
        out: where they go.

    Raises:
        ValueError: the file cannot be read.
    """
    areas, (owner, name) = read_polygons(path, ("iso_a3", "name"))
    areas = polygonal(areas)
    width = np.sqrt(area_km2(areas)) / KM_A_DEGREE
    lines, least = inner_borders(areas, owner, width, tolerance_deg)
    named = np.flatnonzero([bool(text) and text != "None" for text in name.tolist()])
    named = named[np.argsort(-width[named], kind="stable")]
    places = np.array([name_place(area, np.empty((0, 2))) for area in areas[named]])
    made = Regions(lines, least, [str(text) for text in name[named]], places, width[named])
    with atomic_path(out) as partial:
        partial.write_bytes(_content(made))
    return made


def inner_borders(
    areas: NDArray[np.object_], owner: NDArray, width_deg: NDArray[np.float64], tolerance_deg: float
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """Return the lines between areas of one owner, simplified together, and the width of the smaller neighbour of each."""
    simple = shapely.coverage_simplify(areas, tolerance_deg)
    edges, area = edges_of(simple)
    edges, which, times = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    country = np.unique(owner, return_inverse=True)[1]
    one, other = np.full(len(edges), len(areas)), np.full(len(edges), -1)
    np.minimum.at(one, which.ravel(), area)
    np.maximum.at(other, which.ravel(), area)
    inner = (times == 2) & (country[np.minimum(one, len(areas) - 1)] == country[other])
    pairs = np.column_stack([one, other])[inner]
    shared = edges[inner].reshape(-1, 2, 2)
    lines: list[NDArray[np.float64]] = []
    least: list[float] = []
    order = np.lexsort(pairs.T[::-1])
    starts = np.flatnonzero(np.r_[True, np.any(np.diff(pairs[order], axis=0), axis=1)])
    for rows in np.split(order, starts[1:]):
        merged = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(shapely.linestrings(shared[rows]))))
        for line in merged:
            points = on_grid(shapely.get_coordinates(line)[:, ::-1])
            if len(points) > 1:
                lines.append(np.asarray(points * STEP_DEG, dtype=np.float64))
                least.append(float(width_deg[pairs[rows[0]]].min()))
    return lines, np.array(least)


def _content(regions: Regions) -> bytes:
    steps = np.vstack([np.round(line / STEP_DEG) for line in regions.lines]).astype(np.int64)
    content = BytesIO()
    np.savez_compressed(
        content,
        steps=np.diff(steps, axis=0, prepend=0).astype(np.int16).T,
        lengths=np.array([len(line) for line in regions.lines], dtype=np.uint16),
        line_width_deg=regions.line_width_deg.astype(np.float16),
        names=np.frombuffer("\n".join(regions.names).encode(), dtype=np.uint8),
        name_deg=np.round(regions.name_deg / STEP_DEG).astype(np.int16).T,
        name_width_deg=regions.name_width_deg.astype(np.float16),
    )
    return content.getvalue()


@cache
def shipped_regions(path: Path = SHIPPED) -> Regions:
    """Return the regions that ship with the project; `python -m viz basemap --regions` computes them."""
    with np.load(path) as kept:
        points = np.cumsum(kept["steps"].astype(np.int64).T, axis=0) * STEP_DEG
        return Regions(
            np.split(points.round(6), np.cumsum(kept["lengths"].astype(np.int64))[:-1]),
            kept["line_width_deg"].astype(np.float64),
            kept["names"].tobytes().decode().split("\n"),
            kept["name_deg"].T * STEP_DEG,
            kept["name_width_deg"].astype(np.float64),
        )


def regions_of(view: Sequence[float], regions: Regions | None = None) -> bytes | None:
    """Return the regions of an area as `pack` makes a base map small; None where the area is too wide, or has none.

    Args:
        view: south, west, north, east in degrees; longitudes may go on beyond ±180.
        regions: those there are; the shipped ones when None.
    """
    south, west, north, east = view
    width = max(east - west, north - south)
    if width > MOST_WIDE_DEG:
        return None
    regions = regions or shipped_regions()
    margin = AROUND * width
    box = (south - margin, west - margin, north + margin, east + margin)
    lows, highs = (np.array([edge(line, axis=0) for line in regions.lines]) for edge in (np.min, np.max))
    seen = np.flatnonzero(_seen(lows, highs, box) & (regions.line_width_deg >= width / LEAST_SHARE))
    named = np.flatnonzero(
        _seen(regions.name_deg, regions.name_deg, box) & (regions.name_width_deg >= width / LEAST_SHARE)
    )
    seen = seen[np.argsort(-regions.line_width_deg[seen], kind="stable")]
    while len(seen):
        names = [regions.names[k] for k in named.tolist()]
        lines = [regions.lines[k] for k in seen.tolist()]
        scale = np.array([len(name) for name in names]) * LETTER_PX / (ROOM * regions.name_width_deg[named])
        packed = pack(BaseMap([], lines, [], names, regions.name_deg[named], np.maximum(scale, MOST_SCALE / 4)))
        if len(packed) <= MOST_BYTES:
            return packed
        # The smaller ones go first: named regions are in the order of their size, too.
        seen, named = seen[: 2 * len(seen) // 3], named[: 2 * len(named) // 3]
    return None


def _seen(
    low: NDArray[np.float64], high: NDArray[np.float64], box: tuple[float, float, float, float]
) -> NDArray[np.bool_]:
    """Return which of (N, 2) lows and highs of latitude and longitude reach into a box, by any whole turn."""
    south, west, north, east = box
    turns = [(low[:, 1] + turn < east) & (high[:, 1] + turn > west) for turn in (-360, 0, 360)]
    return np.asarray((low[:, 0] < north) & (high[:, 0] > south) & np.any(turns, axis=0))
