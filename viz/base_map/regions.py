"""First-level regions, such as provinces: the lines between those of one country, and names, for maps of a small area."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from viz.base_map.packing import STEP_DEG, BaseMap, pack
from viz.base_map.shapes import LETTER_PX, MOST_SCALE, ROOM

SHIPPED = Path(__file__).parent / "natural_earth_10m_regions.npz"
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
