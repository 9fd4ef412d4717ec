"""Where a photograph may have been taken: the cells of an answer on a map, with what speaks for and against it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocells import grid
from geocells.land import TABLE_LEVEL
from geocells.sphere import distance_km
from viz.maps.answer import coordinate_words, percent, place_words, point_deg, true_place
from viz.maps.cells import CellLayer, cell_strength, outline_rings, rank_colour, view_deg
from viz.maps.evidence import drawn_neighbours
from viz.maps.geodesic import great_circle_deg, unwrap_boxes
from viz.maps.panel import panel_html
from viz.maps.png import prediction_png
from viz.maps.raster import base64_text, land_strength
from viz.maps.regions import drawn_regions
from viz.web.page import BARE_LAND, MERCATOR, OCEAN, PLAIN, Page, map_page

__all__ = ["CellLayer", "prediction_html", "prediction_png"]

MERCATOR_VIEW_DEG = 80
"""Beyond, Web Mercator stretches more than five times and soon ends; plain degrees reach the pole."""


def prediction_html(
    answer: Mapping[str, Any],
    layers: Sequence[CellLayer],
    thumbnail_jpeg: bytes | None = None,
    truth_deg: ArrayLike | None = None,
    tiles: str | None = None,
    model: Mapping[str, Any] | None = None,
    heat: NDArray[np.float64] | None = None,
    neighbours_jpeg: Sequence[bytes | None] = (),
) -> str:
    """Return a page with the answer for one photograph.

    Args:
        answer: one photograph's record of predictions.json.
        layers: cells to draw, coarse to fine; the finest is shown first.
        thumbnail_jpeg: the photograph, small.
        truth_deg: (2,) where it was taken, if known better than by its EXIF.
        tiles: address of background tiles, for which the page then needs the network.
        model: `run`, `hash`, `version`, `created` of predictions.json.
        heat: (H, W) of the whole photograph, positive where it speaks for the answer.
        neighbours_jpeg: of each of the answer's `neighbours` its picture, small; None where it cannot be read.
    """
    point = point_deg(answer)
    truth, known_by = true_place(answer, truth_deg)
    views = [view_deg(layer, _seen(point, truth)) for layer in layers] or [view_deg(None, _seen(point, truth))]
    polar = max(max(-south, north) for south, _, north, _ in views[-1:]) > MERCATOR_VIEW_DEG
    page = Page(
        title=f"{answer['input']}: {place_words(answer)}",
        data=_data(answer, layers, views, truth, known_by, land=not tiles),
        script="prediction.js",
        start="startPrediction",
        above=panel_html(answer, layers, thumbnail_jpeg, truth, known_by, model, heat, neighbours_jpeg),
        body_class="with-panel",
    )
    return map_page(page, PLAIN if polar else MERCATOR, tiles, scale=True)


def _seen(point: tuple[float, float], truth: tuple[float, float] | None) -> list[tuple[float, float]]:
    return [point] if truth is None else [point, truth]


def _data(
    answer: Mapping[str, Any],
    layers: Sequence[CellLayer],
    views: Sequence[tuple[float, float, float, float]],
    truth: tuple[float, float] | None,
    known_by: str,
    land: bool,
) -> dict[str, Any]:
    point = point_deg(answer)
    data: dict[str, Any] = {
        "ocean": OCEAN,
        "bare": BARE_LAND,
        "land_side": grid.side(TABLE_LEVEL),
        "land": _land() if land else None,
        "layers": [_layer(layer, view, point[1]) for layer, view in zip(layers, views, strict=False)],
        "regions": drawn_regions(answer, point[1]),
        "neighbours": drawn_neighbours(answer, point[1]),
        "fit": _corners(views[-1]),
        "point": point,
        "point_lines": [place_words(answer), "answered place", coordinate_words(*point)],
    }
    if truth is not None:
        line = great_circle_deg(point, truth).round(5)
        distance = f"{float(distance_km(point, truth)):,.1f} km"
        words = ["true place", known_by, coordinate_words(*truth), f"{distance} from the answer"]
        # The line goes on beyond ±180 as the map does, so it and its end need no cut.
        data |= {"truth": line[-1].tolist(), "line": line.tolist(), "distance": distance, "truth_lines": words}
    return data


def _land() -> str:
    return base64_text(np.round(255 * land_strength()).astype(np.uint8).tobytes())


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
            "label": f"{name} ({percent(probability)})",
            "strength": round(strong, 4),
            "bounds": _corners(bounds),
        }
        for rank, (name, probability, strong, bounds) in enumerate(rows, start=1)
    ]
    for cell, outline in zip(cells, layer.outline, strict=False):
        if outline is not None:
            polygons = outline_rings(outline, lon_deg)
            cell["polygons"] = [[ring.round(4).tolist() for ring in rings] for rings in polygons]
    return {"fit": _corners(view), "cells": cells}
