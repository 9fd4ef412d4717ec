"""What the map of an answer shows, on its page and in its picture: which cells, around which meridian, from how near."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from infer.prediction import Prediction, Region
from viz.maps.cells import CellLayer
from viz.maps.geodesic import unwrap_boxes

View = tuple[float, float, float, float]
"""South, west, north, east in degrees; longitudes may go on beyond ±180."""

SHOWN_MASS = 0.8
"""The first view holds the best cells that together have this share of the probability of a layer."""


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

    def views(self, metadata: bool = True) -> list[View]:
        """Return what to look at first with each layer; one view where there are none.

        Args:
            metadata: whether the metadata locations must be seen.
        """
        places = [(place.latitude, place.longitude) for place in self.prediction.metadata if metadata]
        if self.prediction.point is not None:
            places.insert(0, self.prediction.point)
        elif len(parts := _widest_parts(self.prediction)):
            west, south, east, north = shapely.bounds(parts).T
            boxes = np.vstack([np.column_stack([south, west, north, east]), _boxes(places)])
            return [_framed(boxes, self.lon_deg, 0.03)] * max(1, len(self.layers))
        layers = self.layers or (None,)
        return [_cells_view(layer, places, self.lon_deg) for layer in layers]


def region_parts(region: Region) -> NDArray[np.object_]:
    """Return the polygons of a region, (longitude, latitude)."""
    return np.asarray(shapely.get_parts(shapely.geometry.shape(dict(region.geometry))), dtype=object)


def _widest_parts(prediction: Prediction) -> NDArray[np.object_]:
    regions = sorted(prediction.regions.values(), key=lambda region: region.coverage)
    return region_parts(regions[-1]) if regions else np.array([], dtype=object)


def _middle_lon(prediction: Prediction) -> float:
    """Return the longitude of the point; of the best cell or of most of the region where no point is answered."""
    if prediction.longitude is not None:
        return prediction.longitude
    if prediction.answered is not None and prediction.answered.cells:
        return prediction.answered.best.longitude or 0.0
    if not len(parts := _widest_parts(prediction)):
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
    return _framed(boxes, lon_deg, max(0.75 * widest * (len(boxes) < 40), 0.03))


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
