"""The answer for one photograph as a picture: the world, and the cells from near."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path as MarkedPath
from numpy.typing import ArrayLike, NDArray

from geocells.sphere import distance_km
from viz.maps.answer import coordinate_words, percent, place_words, point_deg, true_place
from viz.maps.cells import RANKS, TRUTH_COLOUR, CellLayer, cell_strength, outline_rings, rank_colour, view_deg
from viz.maps.geodesic import great_circle_deg, split_at_antimeridian, unwrap_boxes
from viz.maps.panel import VOW
from viz.maps.raster import land_strength
from viz.web.page import BARE_LAND, OCEAN

INK = "#14213d"

WIDTH_INCH, HEIGHT_INCH = 13.0, 5.4
NEAR_BOX = (0.63, 0.16, 0.34, 0.68)
NEAR_SHAPE = NEAR_BOX[2] * WIDTH_INCH / (NEAR_BOX[3] * HEIGHT_INCH)


def prediction_png(answer: Mapping[str, Any], layers: Sequence[CellLayer], truth_deg: ArrayLike | None = None) -> bytes:
    """Return the answer for one photograph as a PNG: the world on the left, the finest cells on the right.

    Args:
        answer: one photograph's record of predictions.json.
        layers: cells to draw, coarse to fine; the last is drawn.
        truth_deg: (2,) where it was taken, if known better than by its EXIF.
    """
    point, (truth, _) = point_deg(answer), true_place(answer, truth_deg)
    layer = layers[-1] if layers else None
    figure = Figure(figsize=(WIDTH_INCH, HEIGHT_INCH), dpi=110, facecolor="white")
    world, near = figure.add_axes((0.03, 0.16, 0.56, 0.68)), figure.add_axes(NEAR_BOX)
    _world(world, point, truth, layer)
    _near(near, point, truth, layer, view_deg(layer, [point]))
    figure.text(0.03, 0.93, place_words(answer), size=17, weight="bold", color=INK)
    figure.text(0.03, 0.875, _subtitle(answer, point, truth, layer), size=10.5, color="#5b6875")
    figure.legend(
        handles=_legend(truth is not None), loc="lower left", bbox_to_anchor=(0.025, 0.0), ncols=6, frameon=False
    )
    figure.text(0.97, 0.045, VOW, size=11, weight="bold", color=INK, ha="right")
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content, metadata={"Software": None})
    return content.getvalue()


def _subtitle(
    answer: Mapping[str, Any],
    point: tuple[float, float],
    truth: tuple[float, float] | None,
    layer: CellLayer | None,
) -> str:
    words = [str(answer["input"]), coordinate_words(*point)]
    if layer is not None and len(layer.name):
        words.append(f"best cell of {layer.level_name}: {layer.name[0]} ({percent(float(layer.probability[0]))})")
    if truth is not None:
        words.append(f"{float(distance_km(point, truth)):,.1f} km from the true place")
    return "   ·   ".join(words)


def _world(axes: Axes, point: tuple[float, float], truth: tuple[float, float] | None, layer: CellLayer | None) -> None:
    _land(axes, turns=(0,))
    for turn in (-360, 0, 360):
        _cells(axes, layer, 0.0, turn)
    if truth is not None:
        for part in split_at_antimeridian(great_circle_deg(point, truth)):
            _line(axes, part)
    _places(axes, point, truth)
    axes.set(xlim=(-180, 180), ylim=(-90, 90), aspect="equal", xticks=[], yticks=[])


def _near(
    axes: Axes,
    point: tuple[float, float],
    truth: tuple[float, float] | None,
    layer: CellLayer | None,
    view: tuple[float, float, float, float],
) -> None:
    _land(axes, turns=(-360, 0, 360))
    _cells(axes, layer, point[1], 0)
    if truth is not None:
        way = great_circle_deg(point, truth)
        _line(axes, way)
        truth = (float(way[-1, 0]), float(way[-1, 1]))
    _places(axes, point, truth)
    south, west, north, east = _to_shape(view, NEAR_SHAPE)
    axes.set(xlim=(west, east), ylim=(south, north))
    axes.tick_params(labelsize=8, colors="#5b6875", length=2)
    axes.xaxis.set_major_formatter(
        lambda lon, _: f"{_degrees(abs((lon + 180) % 360 - 180))} {'EW'[bool((lon + 180) % 360 < 180)]}"
    )
    axes.yaxis.set_major_formatter(lambda lat, _: f"{_degrees(abs(lat))} {'NS'[bool(lat < 0)]}")


def _to_shape(view: tuple[float, float, float, float], shape: float) -> tuple[float, float, float, float]:
    """Return a view widened or heightened to a shape (width by height on paper), true to scale in its middle."""
    south, west, north, east = view
    middle, shrink = (west + east) / 2, max(np.cos(np.radians((south + north) / 2)), 0.05)
    height = max(north - south, (east - west) * shrink / shape)
    width = max(east - west, min(height * shape / shrink, 360))
    low = min(max((south + north - height) / 2, -90), max(90 - height, -90))
    return low, middle - width / 2, min(low + height, 90), middle + width / 2


def _degrees(value: float) -> str:
    return f"{value:.6g}°"


def _land(axes: Axes, turns: Sequence[int]) -> None:
    share = land_strength()[..., None]
    picture: NDArray[np.float64] = (1 - share) * to_rgb(OCEAN) + share * to_rgb(BARE_LAND)
    for turn in turns:
        axes.imshow(picture, extent=(turn - 180, turn + 180, -90, 90), interpolation="nearest", aspect="auto", zorder=0)


def _cells(axes: Axes, layer: CellLayer | None, lon_deg: float, turn: int) -> None:
    if layer is None:
        return
    boxes = unwrap_boxes(layer.bounds_deg, lon_deg) + np.array([0, turn, 0, turn])
    strength = cell_strength(layer.probability)
    for i in range(len(boxes) - 1, -1, -1):
        south, west, north, east = boxes[i]
        colour = rank_colour(i + 1)
        face, edge = to_rgba(colour, float(strength[i])), to_rgba(colour, 0.95)
        outline = layer.outline[i] if layer.outline else None
        if outline is None:
            drawn: Patch = Rectangle((west, south), east - west, north - south)
        else:
            drawn = PathPatch(_path(outline, lon_deg, turn))
        drawn.set(facecolor=face, edgecolor=edge, linewidth=1, zorder=2)
        axes.add_patch(drawn)


def _path(outline: shapely.Geometry, lon_deg: float, turn: int) -> MarkedPath:
    """Return an outline as one path, in which holes stay holes."""
    rings = [ring[:, ::-1] + [turn, 0] for rings in outline_rings(outline, lon_deg) for ring in rings]
    return MarkedPath.make_compound_path(*(MarkedPath(ring, closed=True) for ring in rings))


def _line(axes: Axes, way_deg: NDArray[np.float64]) -> None:
    axes.plot(way_deg[:, 1], way_deg[:, 0], color="white", linewidth=3, alpha=0.8, zorder=3)
    axes.plot(way_deg[:, 1], way_deg[:, 0], color=TRUTH_COLOUR, linewidth=1.5, linestyle="--", zorder=3)


def _places(axes: Axes, point: tuple[float, float], truth: tuple[float, float] | None) -> None:
    if truth is not None:
        axes.plot(truth[1], truth[0], "o", color=TRUTH_COLOUR, markeredgecolor="white", markersize=9, zorder=4)
    axes.plot(point[1], point[0], "D", color=INK, markeredgecolor="white", markersize=8, zorder=5)


def _legend(with_truth: bool) -> list[Line2D | Patch]:
    answer = Line2D([], [], marker="D", linestyle="", color=INK, label="answer")
    truth = Line2D([], [], marker="o", linestyle="", color=TRUTH_COLOUR, label="true place")
    ranks = [Patch(facecolor=to_rgba(colour, 0.75), edgecolor=colour, label=words) for _, colour, words in RANKS]
    return [answer, *([truth] if with_truth else []), *ranks]
