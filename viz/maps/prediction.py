"""Where a photograph may have been taken: the answer as a page with a map, and as a picture."""

from collections.abc import Sequence
from typing import Any

from infer.prediction import MetadataLocation, Prediction
from infer.wording import class_words
from viz.maps.cells import CellLayer, cell_strength, outline_rings, rank_colour
from viz.maps.explanation import drawn_similar
from viz.maps.geodesic import great_circle_deg, unwrap_boxes
from viz.maps.panel import panel_html
from viz.maps.png import prediction_png
from viz.maps.regions import drawn_regions
from viz.maps.scene import Scene
from viz.maps.wording import coordinate_words, distance_words, percent, place_words, source_words
from viz.web.page import MERCATOR, PLAIN, Page, map_page

__all__ = ["prediction_html", "prediction_png"]

MERCATOR_VIEW_DEG = 80
"""Beyond, Web Mercator stretches more than five times and soon ends; plain degrees reach the pole."""


def prediction_html(prediction: Prediction, tiles: str | None = None) -> str:
    """Return a page with the answer for one photograph, or for several of one place; same input, same bytes.

    Args:
        prediction: the answer. Without its `drawing`, cells are their boxes and no photograph is shown.
        tiles: address of background tiles, for which the page then needs the network.

    Raises:
        ValueError: `tiles` is not an address of tiles.

    Example:
        >>> from infer.prediction import Prediction
        >>> "<h1>Most likely India</h1>" in prediction_html(Prediction.example())
        True
    """
    scene = Scene.of(prediction)
    south, _, north, _ = scene.views()[-1]
    page = Page(
        title=f"{prediction.input}: {prediction.headline}",
        data=_data(scene),
        script="prediction.js",
        start="startPrediction",
        above=panel_html(scene),
        body_class="with-panel",
    )
    return map_page(page, PLAIN if max(-south, north) > MERCATOR_VIEW_DEG else MERCATOR, tiles, scale=True)


def _data(scene: Scene) -> dict[str, Any]:
    prediction, views = scene.prediction, scene.views()
    return {
        "middle": scene.lon_deg,
        "layers": [_layer(layer, view, scene.lon_deg) for layer, view in zip(scene.layers, views, strict=False)],
        "regions": drawn_regions(prediction, scene.lon_deg),
        "similar": drawn_similar(prediction, scene.lon_deg),
        "fit": _corners(views[-1]),
        "point": prediction.point,
        "point_lines": _point_lines(prediction),
        "locations": [_location(location, scene) for location in prediction.metadata],
    }


def _point_lines(prediction: Prediction) -> list[str]:
    if prediction.point is None:
        return []
    place = [] if prediction.place is None else [place_words(prediction.place)]
    return [f"point of {prediction.input}", coordinate_words(*prediction.point), *place]


def _location(location: MetadataLocation, scene: Scene) -> dict[str, Any]:
    """Return a metadata location, and the way to it from the point, where there is one."""
    at, point = (location.latitude, location.longitude), scene.prediction.point
    words = [source_words(location), coordinate_words(*at)]
    if point is None or location.distance_km is None:
        return {"at": [at[0], at[1] - 360 * round((at[1] - scene.lon_deg) / 360)], "lines": words}
    line, distance = great_circle_deg(point, at).round(5), distance_words(location.distance_km)
    # The line goes on beyond ±180 as the map does, so it and its end need no cut.
    return {"at": line[-1].tolist(), "line": line.tolist(), "distance": distance, "lines": [*words, distance]}


def _corners(bounds: Sequence[float]) -> list[list[float]]:
    south, west, north, east = (round(float(edge), 6) for edge in bounds)
    return [[south, west], [north, east]]


def _layer(layer: CellLayer, view: Sequence[float], lon_deg: float) -> dict[str, Any]:
    boxes, strength = unwrap_boxes(layer.bounds_deg, lon_deg), cell_strength(layer.probability)
    rows = zip(layer.name, layer.probability.tolist(), strength.tolist(), boxes, strict=True)
    cells = [
        {
            "rank": rank,
            "colour": rank_colour(rank),
            "label": f"{class_words(name, layer.level_name)}: posterior probability {percent(probability)}",
            "strength": round(strong, 4),
            "bounds": _corners(bounds),
        }
        for rank, (name, probability, strong, bounds) in enumerate(rows, start=1)
    ]
    for cell, outline in zip(cells, layer.outline, strict=True):
        if outline is not None:
            polygons = outline_rings(outline, lon_deg)
            cell["polygons"] = [[ring.round(4).tolist() for ring in rings] for rings in polygons]
    return {"fit": _corners(view), "cells": cells}
