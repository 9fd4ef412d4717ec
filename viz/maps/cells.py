"""Cells of an answer, as both the page and the picture show them: boxes or outlines, in colours by rank."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from infer.prediction import Cell, LevelPrediction, Prediction
from viz.maps.geodesic import unwrap_boxes
from viz.maps.places import cell_places

RANKS = (
    (1, "#7b1fa2", "best cell"),
    (5, "#d62728", "rank 2 to 5"),
    (10, "#f57c00", "rank 6 to 10"),
    (None, "#f2c500", "further ranks"),
)
"""Last rank, colour and words of each group of cells."""

SLIVER_DEG2 = 1e-9
"""Holes of at most this area, a dozen square metres, are not drawn."""


@dataclass(frozen=True, eq=False)
class CellLayer:
    """The listed cells of one level as arrays, the most probable first.

    Attributes:
        level_name: such as `L3`.
        cells: (N,) as the answer has them.
        place: (N,) what people call their places.
        probability: (N,) descending.
        bounds_deg: (N, 4) south, west, north, east; east below west spans the antimeridian.
        outline: (N,) polygons of (longitude, latitude) within ±180; None for a cell that is drawn as its box.
    """

    level_name: str
    cells: Sequence[Cell]
    place: Sequence[str]
    probability: NDArray[np.float64]
    bounds_deg: NDArray[np.float64]
    outline: Sequence[shapely.Geometry | None]

    @classmethod
    def of(cls, prediction: Prediction, level: LevelPrediction) -> "CellLayer":
        """Return the cells of one level; without a drawing they are their boxes."""
        names = [cell.id for cell in level.cells]
        assert all(cell.bounds for cell in level.cells), "classes without places are not drawn"
        drawing = prediction.drawing
        return cls(
            level.level,
            level.cells,
            cell_places(level.cells, level.level),
            np.array([cell.probability for cell in level.cells], dtype=np.float64),
            np.array([cell.bounds for cell in level.cells], dtype=np.float64).reshape(-1, 4),
            [None] * len(names) if drawing is None else drawing.outlines(level.level, names),
        )


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
    parts = shapely.get_parts(_without_slivers(outline).simplify(max(east - west, north - south) / 500))
    polygons = []
    # Holes run the other way around than what they lie in: so they stay holes wherever they are filled.
    for part in shapely.orient_polygons(parts[~shapely.is_empty(parts)]):
        west, south, east, north = part.bounds
        turn = unwrap_boxes([south, west, north, east], lon_deg)[0, 1] - west
        polygons.append([shapely.get_coordinates(ring)[:, ::-1] + [0, turn] for ring in shapely.get_rings(part)])
    return polygons


def _without_slivers(outline: shapely.Geometry) -> shapely.Geometry:
    """Return polygons without the holes of no area that rounding leaves where an outline is a union of cells."""
    parts = shapely.get_parts(outline)
    rings = [[ring for ring in part.interiors if shapely.Polygon(ring).area > SLIVER_DEG2] for part in parts]
    return shapely.MultiPolygon([shapely.Polygon(p.exterior, holes) for p, holes in zip(parts, rings, strict=True)])


def rank_colour(rank: int) -> str:
    """Return the colour of a cell's rank, counted from 1."""
    return next(colour for last, colour, _ in RANKS if last is None or rank <= last)


def cell_strength(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the opacity of (N,) cells of a layer, best first: by probability, but none too faint to be seen."""
    return 0.4 + 0.4 * np.sqrt(probability / np.maximum(probability[:1], 1e-300))
