"""Cells of an answer, as both the page and the picture show them: colours by rank, and what to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from viz.maps.geodesic import unwrap_boxes

RANKS = (
    (1, "#7b1fa2", "best cell"),
    (5, "#d62728", "rank 2 to 5"),
    (10, "#f57c00", "rank 6 to 10"),
    (None, "#f2c500", "further ranks"),
)
"""Last rank, colour and words of each group of cells."""

TRUTH_COLOUR = "#00796b"

SHOWN_MASS = 0.8
"""The first view holds the best cells that together have this share of the probability of a layer."""


@dataclass(frozen=True, eq=False)
class CellLayer:
    """The likeliest cells of one level, best first.

    Attributes:
        level_name: such as `L3`.
        name: (N,) texts of the cells.
        probability: (N,) descending.
        bounds_deg: (N, 4) south, west, north, east; east below west spans the antimeridian.
        outline: (N,) polygons of (longitude, latitude) within ±180, None for a cell that is its box; empty where all
            are.
    """

    level_name: str
    name: Sequence[str]
    probability: NDArray[np.float64]
    bounds_deg: NDArray[np.float64]
    outline: Sequence[shapely.Geometry | None] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        sizes = {len(self.name), len(self.probability), len(self.bounds_deg), len(self.outline or self.name)}
        if len(sizes) > 1:
            raise ValueError(f"{self.level_name} has names, probabilities and bounds of different numbers: {sizes}")
        if np.any(np.diff(self.probability) > 0):
            raise ValueError(f"{self.level_name}: cells must come by descending probability")


def outline_rings(outline: shapely.Geometry, lon_deg: float) -> list[list[NDArray[np.float64]]]:
    """Return the polygons of an outline as they are drawn.

    Args:
        outline: polygons of (longitude, latitude) within ±180.
        lon_deg: each polygon is moved by whole turns, so that its middle lies within half a turn of this meridian.

    Returns:
        For each polygon its rings, the outer one first: (M, 2) latitudes and longitudes, simplified to a 500th of the
        whole outline.
    """
    west, south, east, north = outline.bounds
    parts = shapely.get_parts(outline.simplify(max(east - west, north - south) / 500))
    polygons = []
    # Holes run the other way around than what they lie in: so they stay holes wherever they are filled.
    for part in shapely.orient_polygons(parts[~shapely.is_empty(parts)]):
        west, south, east, north = part.bounds
        turn = unwrap_boxes([south, west, north, east], lon_deg)[0, 1] - west
        polygons.append([shapely.get_coordinates(ring)[:, ::-1] + [0, turn] for ring in shapely.get_rings(part)])
    return polygons


def rank_colour(rank: int) -> str:
    """Return the colour of a cell's rank, counted from 1."""
    return next(colour for last, colour, _ in RANKS if last is None or rank <= last)


def cell_strength(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the opacity of (N,) cells of a layer, best first: by probability, but none too faint to be seen."""
    return 0.4 + 0.4 * np.sqrt(probability / np.maximum(probability[:1], 1e-300))


def view_deg(layer: CellLayer | None, places_deg: ArrayLike) -> tuple[float, float, float, float]:
    """Return what to look at first: the cells that hold most of the probability, and some places.

    Args:
        layer: the cells, if any.
        places_deg: (M, 2) places that must be seen, the answer first; longitudes are taken as near to it as can be.

    Returns:
        South, west, north, east, with a margin; longitudes may go on beyond ±180.
    """
    places = np.asarray(places_deg, dtype=np.float64).reshape(-1, 2)
    boxes = places[:, [0, 1, 0, 1]]
    if layer is not None and len(layer.name):
        mass = np.cumsum(layer.probability)
        enough = int(np.searchsorted(mass, SHOWN_MASS * mass[-1])) + 1
        boxes = np.vstack([boxes, layer.bounds_deg[:enough]])
    boxes = unwrap_boxes(boxes, places[0, 1])
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    # A single cell is shown amid its surroundings, and a mere point with a few kilometres around it.
    widest = float((boxes[:, 2:] - boxes[:, :2]).max())
    margin = np.maximum(0.1 * (high - low), max(0.75 * widest * (len(boxes) < 40), 0.03))
    south, west = low - margin
    north, east = high + margin
    if east - west >= 360:
        west, east = places[0, 1] - 180, places[0, 1] + 180
    return max(float(south), -90), float(west), min(float(north), 90), float(east)
