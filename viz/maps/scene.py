"""What the map of an answer shows, on its page and in its picture: which cells, around which meridian, from how near."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geocells.outlines import area_km2
from infer.prediction import Prediction, Region
from viz.maps.cells import CellLayer
from viz.maps.geodesic import unwrap_boxes

View = tuple[float, float, float, float]
"""South, west, north, east in degrees; longitudes may go on beyond ±180."""

SHOWN_AREA = 0.75
"""The first view holds the largest parts of the smallest region that together have this share of its area."""
SHOWN_MASS = 0.8
"""Where there are no regions, it holds the best cells that together have this share of the probability of a layer."""

LEAST_MARGIN, MOST_MARGIN = 0.03, 10.0
"""Degrees around what is looked at."""


@dataclass(frozen=True, eq=False)
class Scene:
    """What the map of an answer shows.

    Attributes:
        prediction: the answer.
        layers: cells of each level, coarse to fine, none finer than the answer; the last is shown first.
        lon_deg: meridian in the middle; longitudes go on beyond ±180 on either side of it.
    """

    prediction: Prediction
    layers: Sequence[CellLayer]
    lon_deg: float

    @classmethod
    def of(cls, prediction: Prediction) -> "Scene":
        """Return the scene of an answer."""
        names = list(prediction.levels)
        shown = names[: names.index(prediction.answer_level) + 1] if prediction.answer_level in names else []
        drawn = [
            prediction.levels[name] for name in shown if all(cell.bounds for cell in prediction.levels[name].cells)
        ]
        layers = [CellLayer.of(prediction, level) for level in drawn if level.cells]
        return cls(prediction, layers, _middle_lon(prediction))

    def views(self) -> list[View]:
        """Return what to look at first with each layer; one view where there are none.

        The last one, that of the finest cells, follows most of the smallest region, without what lies far from it; metadata
        locations are not followed, for they may lie anywhere.
        """
        prediction, point = self.prediction, self.prediction.point
        places = [] if point is None else [point]
        views = [_cells_view(layer, places, self.lon_deg) for layer in self.layers or (None,)]
        if not prediction.regions or not len(parts := main_parts(smallest_region(prediction))):
            return views
        west, south, east, north = shapely.bounds(parts).T
        boxes = np.vstack([np.column_stack([south, west, north, east]), _boxes(places)])
        extent = float((boxes[:, 2:] - boxes[:, :2]).max())
        return [*views[:-1], _framed(boxes, self.lon_deg, _surroundings(extent) if len(parts) == 1 else LEAST_MARGIN)]


def region_parts(region: Region) -> NDArray[np.object_]:
    """Return the polygons of a region, (longitude, latitude)."""
    return np.asarray(shapely.get_parts(shapely.geometry.shape(dict(region.geometry))), dtype=object)


def smallest_region(prediction: Prediction) -> Region:
    """Return the region of the lowest coverage."""
    return prediction.regions[min(prediction.regions)]


def main_parts(region: Region) -> NDArray[np.object_]:
    """Return the largest polygons of a region, which together have `SHOWN_AREA` of its area."""
    parts = region_parts(region)
    areas = area_km2(parts)
    order = np.argsort(-areas, kind="stable")
    held = np.cumsum(areas[order])
    enough = int(np.searchsorted(held, SHOWN_AREA * held[-1] * (1 - 1e-9))) + 1 if len(parts) else 0
    kept: NDArray[np.object_] = parts[order[:enough]]
    return kept


def _middle_lon(prediction: Prediction) -> float:
    """Return the longitude of the point; of the best cell or of most of the region where no point is answered."""
    if prediction.longitude is not None:
        return prediction.longitude
    if prediction.answered is not None and prediction.answered.cells:
        return prediction.answered.best.longitude or 0.0
    if not prediction.regions or not len(parts := region_parts(smallest_region(prediction))):
        return 0.0
    west, _, east, _ = shapely.bounds(parts[np.argmax(shapely.area(parts))])
    return float(west + east) / 2


def _boxes(places_deg: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    return np.array(places_deg, dtype=np.float64).reshape(-1, 2)[:, [0, 1, 0, 1]]


def _cells_view(layer: CellLayer | None, places_deg: Sequence[tuple[float, float]], lon_deg: float) -> View:
    """Return a view of the cells that hold most of the probability, and of some places."""
    boxes = _boxes(places_deg)
    if layer is not None:
        mass = np.cumsum(layer.probability)
        enough = int(np.searchsorted(mass, SHOWN_MASS * mass[-1])) + 1
        boxes = np.vstack([boxes, layer.bounds_deg[:enough]])
    if not len(boxes):
        return -90.0, lon_deg - 180, 90.0, lon_deg + 180
    # A single cell is shown amid its surroundings, and a mere point with a few kilometres around it.
    unwrapped = unwrap_boxes(boxes, lon_deg)
    widest = float((unwrapped[:, 2:] - unwrapped[:, :2]).max())
    return _framed(boxes, lon_deg, _surroundings(widest) if len(boxes) < 40 else LEAST_MARGIN)


def _surroundings(extent_deg: float) -> float:
    """Return the margin, in degrees, around a place so wide: a large country needs no more of the world around it."""
    return max(LEAST_MARGIN, min(0.75 * extent_deg, MOST_MARGIN))


def _framed(boxes_deg: NDArray[np.float64], lon_deg: float, least_margin: float) -> View:
    """Return a view that holds (N, 4) boxes, with a margin; longitudes are taken as near to a meridian as can be."""
    boxes = unwrap_boxes(boxes_deg, lon_deg)
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    margin = np.maximum(0.1 * (high - low), least_margin)
    south, west = (low - margin).tolist()
    north, east = (high + margin).tolist()
    if east - west >= 360:
        west, east = lon_deg - 180, lon_deg + 180
    return max(south, -90.0), west, min(north, 90.0), east
