"""Where a photograph may have been taken: the answer as a page with a map, and as a picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from infer.prediction import MetadataLocation, Prediction
from viz.maps.alternatives import counted
from viz.maps.cells import RANKS, CellLayer, outline_rings
from viz.maps.downloads import packed_files
from viz.maps.explanation import drawn_similar
from viz.maps.geodesic import great_circle_deg, unwrap_boxes
from viz.maps.key import key_html
from viz.maps.panel import panel_html
from viz.maps.png import prediction_png
from viz.maps.ramp import DARK, LIGHT
from viz.maps.raster import packed_json
from viz.maps.regions import drawn_regions
from viz.maps.scene import Scene
from viz.maps.wording import coordinate_words, distance_words, place_words, source_words
from viz.web.page import MERCATOR, PLAIN, Page, map_page

__all__ = ["prediction_html", "prediction_png"]

MERCATOR_VIEW_DEG = 80
"""Beyond, Web Mercator stretches more than five times and soon ends; plain degrees reach the pole."""
WHOLE_RANKS = 20
"""Cells whose probability a page keeps whole; that of the others has three digits."""


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
        before=("answer_cells.js", "answer_actions.js"),
        styles=("answer.css",),
        above=panel_html(scene),
        below=key_html(scene),
        body_class="with-panel",
        area=scene.views()[-1],
    )
    return map_page(page, PLAIN if max(-south, north) > MERCATOR_VIEW_DEG else MERCATOR, tiles, scale=True)


def _data(scene: Scene) -> dict[str, Any]:
    prediction, views = scene.prediction, scene.views()
    layers = [_layer(layer, view, scene) for layer, view in zip(scene.layers, views, strict=False)]
    return {
        "middle": scene.lon_deg,
        "ramps": [LIGHT, DARK],
        "ranks": [[last, colour] for last, colour, _ in RANKS],
        "drawn": packed_json({"layers": layers, "regions": drawn_regions(prediction, scene.lon_deg)}),
        "files": packed_files(prediction),
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


def _layer(layer: CellLayer, view: Sequence[float], scene: Scene) -> dict[str, Any]:
    """Return the cells of a level as columns, which deflate well: ordered by name, boxes as differences of micro-degrees."""
    order = sorted(range(len(layer.cells)), key=lambda rank: layer.cells[rank].id)
    cells = [layer.cells[rank] for rank in order]
    micro = np.round(unwrap_boxes(layer.bounds_deg, scene.lon_deg)[order] * 1e6).astype(np.int64)
    places = sorted(set(layer.place))
    number = {place: k for k, place in enumerate(places)}
    columns = {
        "id": [cell.id for cell in cells],
        "place": [number[layer.place[rank]] for rank in order],
        "south": np.diff(micro[:, 0], prepend=0).tolist(),
        "west": np.diff(micro[:, 1], prepend=0).tolist(),
        "height": (micro[:, 2] - micro[:, 0]).tolist(),
        "width": (micro[:, 3] - micro[:, 1]).tolist(),
        "probability": [_shown(layer.cells[rank].probability, rank) for rank in order],
        "photographs": [cell.training_photographs for cell in cells] if counted(scene.prediction) else None,
    }
    outlines = {
        k: [[ring.round(4).tolist() for ring in rings] for rings in outline_rings(outline, scene.lon_deg)]
        for k, rank in enumerate(order)
        if (outline := layer.outline[rank]) is not None
    }
    return {"level": layer.level_name, "fit": _corners(view), "places": places, "outlines": outlines, **columns}


def _shown(probability: float, rank: int) -> float:
    """Return a probability as a page keeps it: whole for the first ranks, which the others follow by three digits."""
    return probability if rank < WHOLE_RANKS else float(f"{probability:.3g}")
