"""An answer as a picture: what may be relied on in words, the world, and the cells from near."""

import io
import textwrap
from functools import cache

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch, Polygon, Rectangle
from matplotlib.path import Path as MarkedPath
from numpy.typing import NDArray

from infer.prediction import NOTICE, MetadataLocation, Prediction
from viz.base_map.drawing import draw_ground, draw_names
from viz.base_map.packing import CREDIT
from viz.maps.cells import RANKS, CellLayer, cell_strength, outline_rings, rank_colour
from viz.maps.geodesic import great_circle_deg, split_at_antimeridian, unwrap_boxes
from viz.maps.ramp import MARKS, ramp_colour
from viz.maps.regions import (
    OUTLINE_COLOUR,
    has_specks,
    moved_parts,
    outlines,
    rings_of,
    single_cells,
    widest_first,
)
from viz.maps.scene import Scene, View
from viz.maps.sets import set_line
from viz.maps.wording import confidence_words, coordinate_words, metadata_words, prior_words, region_line, region_name

INK, SOFT, WARNING, WARNING_PAPER = "#14213d", "#5b6875", "#7a4a00", "#fff6e5"
METADATA_COLOUR = "#00796b"
PAINTED = 0.75
"""Opacity of cells, through which the base map shows."""
HATCH = "//////"

WIDTH_INCH, MAP_INCH, FOOT_INCH, EDGE_INCH = 13.0, 3.67, 0.86, 0.2
NEAR_WIDTH = 0.34
NEAR_SHAPE = NEAR_WIDTH * WIDTH_INCH / MAP_INCH

Line = tuple[str, float, str, str]
"""Text, size in points, weight and colour."""


def prediction_png(prediction: Prediction) -> bytes:
    r"""Return the answer for one photograph as a PNG: the world on the left, the finest cells on the right.

    Args:
        prediction: the answer. Without its `drawing`, cells are their boxes.

    Example:
        >>> from infer.prediction import Prediction
        >>> prediction_png(Prediction.example())[:4]
        b'\x89PNG'
    """
    content = io.BytesIO()
    FigureCanvasAgg(prediction_figure(prediction)).print_png(content, metadata={"Software": None})
    return content.getvalue()


def prediction_figure(prediction: Prediction) -> Figure:
    """Return the picture of an answer before it is painted."""
    scene, lines = Scene.of(prediction), shown_lines(prediction)
    head = EDGE_INCH + sum(_line_inch(size) for _, size, _, _ in lines) + 0.1
    height = head + MAP_INCH + FOOT_INCH
    figure = Figure(figsize=(WIDTH_INCH, height), dpi=110, facecolor="white")
    low, high = FOOT_INCH / height, MAP_INCH / height
    _world(figure.add_axes((0.03, low, 0.56, high)), scene)
    _near(figure.add_axes((0.63, low, NEAR_WIDTH, high)), scene)
    _write(figure, lines)
    figure.legend(handles=_legend(scene), loc="lower left", bbox_to_anchor=(0.025, 0.0), ncols=8, frameon=False)
    figure.text(0.59, (FOOT_INCH - 0.06) / height, CREDIT, size=6.5, color=SOFT, ha="right", va="top")
    # The whole width below is the legend's.
    figure.text(0.03, (FOOT_INCH - 0.08) / height, NOTICE, size=11, weight="bold", color=INK, va="top")
    return figure


def shown_lines(prediction: Prediction) -> list[Line]:
    """Return what is written above the maps: warnings first, then the answer."""
    lines = [(line, 10.5, "bold", WARNING) for words in prediction.warnings for line in _wrapped(words, 130)]
    if prediction.prior is not None:
        lines += [(line, 10.5, "normal", INK) for line in _wrapped(prior_words(prediction.prior), 150)]
    lines += [(line, 17, "bold", INK) for line in _wrapped(prediction.headline, 80)]
    lines += [(line, 10.5, "normal", SOFT) for line in _subtitles(prediction, 150)]
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(_drawable(text), width)


def _subtitles(prediction: Prediction, width: int) -> list[str]:
    """Return what stands under the headline, in lines that break between facts."""
    regions, sets = widest_first(prediction), [prediction.sets[c] for c in sorted(prediction.sets)]
    facts = [_shortened(prediction.input), confidence_words(prediction), *map(region_line, regions[:1])]
    facts += [] if regions else map(set_line, sets[-1:])
    if prediction.point is not None:
        facts.append(f"point {coordinate_words(*prediction.point)}")
    facts += map(metadata_words, _compared(prediction))
    lines = [_drawable(facts[0])]
    for fact in map(_drawable, facts[1:]):
        longer = f"{lines[-1]}   ·   {fact}"
        lines = [*lines[:-1], longer] if len(longer) <= width else [*lines, fact]
    return lines


def _shortened(name: str, most: int = 70) -> str:
    """Return a file name without its middle where it is too long to be read."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-most // 2 :]}"


def _compared(prediction: Prediction) -> list[MetadataLocation]:
    """Return the metadata location that is told in one line: the dataset's before what the file itself says."""
    return sorted(prediction.metadata, key=lambda location: location.source != "dataset")[:1]


def _drawable(text: str) -> str:
    """Return a text in which letters that the font does not have are boxes."""
    return "".join(letter if ord(letter) in _letters() else "□" for letter in text)


@cache
def _letters() -> frozenset[int]:
    # Bold, which has fewer letters than the plain one.
    return frozenset(get_font(findfont("DejaVu Sans:bold")).get_charmap())


def _line_inch(size: float) -> float:
    return 1.6 * size / 72


def _write(figure: Figure, lines: list[Line]) -> None:
    """Write lines from the top; those of warnings on a paper of their own."""
    height = figure.get_figheight()
    top = height - EDGE_INCH
    for text, size, weight, colour in lines:
        middle, tall = (top - _line_inch(size) / 2) / height, _line_inch(size) / height
        if colour == WARNING:
            paper = Rectangle((0.024, middle - tall / 2), 0.952, tall, facecolor=WARNING_PAPER, edgecolor="none")
            figure.add_artist(paper)
        # A file may be named like a formula, `$x$.jpg`.
        figure.text(0.03, middle, text, size=size, weight=weight, color=colour, va="center", parse_math=False)
        top -= _line_inch(size)


def _world(axes: Axes, scene: Scene) -> None:
    for turn in (-360, 0, 360):
        _cells(axes, scene, 0.0, turn)
        _regions(axes, scene, 0.0, turn)
    for location in scene.prediction.metadata:
        if scene.prediction.point is not None:
            for part in split_at_antimeridian(_way(scene.prediction.point, location)):
                _line(axes, part)
        _metadata_mark(axes, (location.latitude, location.longitude))
    _point_mark(axes, scene)
    axes.set(xlim=(-180, 180), ylim=(-90, 90), aspect="equal", xticks=[], yticks=[])
    draw_ground(axes, turns=(0,))
    draw_names(axes, turns=(0,))


def _near(axes: Axes, scene: Scene) -> None:
    _cells(axes, scene, scene.lon_deg, 0)
    _regions(axes, scene, scene.lon_deg, 0)
    for location in scene.prediction.metadata:
        way = _way(scene.prediction.point or (0.0, scene.lon_deg), location)
        if scene.prediction.point is not None:
            _line(axes, way)
        _metadata_mark(axes, (float(way[-1, 0]), float(way[-1, 1])))
    _point_mark(axes, scene)
    south, west, north, east = _to_shape(scene.views()[-1], NEAR_SHAPE)
    axes.set(xlim=(west, east), ylim=(south, north))
    draw_ground(axes, turns=(-360, 0, 360))
    draw_names(axes, turns=(-360, 0, 360))
    axes.tick_params(labelsize=8, colors=SOFT, length=2)
    axes.xaxis.set_major_formatter(
        lambda lon, _: f"{_degrees(abs((lon + 180) % 360 - 180))} {'EW'[bool((lon + 180) % 360 < 180)]}"
    )
    axes.yaxis.set_major_formatter(lambda lat, _: f"{_degrees(abs(lat))} {'NS'[bool(lat < 0)]}")


def _way(point: tuple[float, float], location: MetadataLocation) -> NDArray[np.float64]:
    return great_circle_deg(point, (location.latitude, location.longitude))


def _to_shape(view: View, shape: float) -> View:
    """Return a view widened or heightened to a shape (width by height on paper), true to scale in its middle."""
    south, west, north, east = view
    middle, shrink = (west + east) / 2, max(np.cos(np.radians((south + north) / 2)), 0.05)
    height = max(north - south, (east - west) * shrink / shape)
    width = max(east - west, min(height * shape / shrink, 360))
    low = min(max((south + north - height) / 2, -90), max(90 - height, -90))
    return low, middle - width / 2, min(low + height, 90), middle + width / 2


def _degrees(value: float) -> str:
    return f"{value:.6g}°"


def _cells(axes: Axes, scene: Scene, lon_deg: float, turn: int) -> None:
    for layer in scene.layers[-1:]:
        _layer(axes, layer, by_rank(scene.prediction), lon_deg, turn)


def _layer(axes: Axes, layer: CellLayer, by_rank: bool, lon_deg: float, turn: int) -> None:
    boxes = unwrap_boxes(layer.bounds_deg, lon_deg) + np.array([0, turn, 0, turn])
    strength = cell_strength(layer.probability) if by_rank else np.full(len(boxes), PAINTED)
    for i in range(len(boxes) - 1, -1, -1):
        south, west, north, east = boxes[i]
        colour = rank_colour(i + 1) if by_rank else ramp_colour(float(layer.probability[i]))
        edge = INK if i == 0 and not by_rank else to_rgba(colour, 0.95)
        outline = layer.outline[i]
        if outline is None:
            drawn: Patch = Rectangle((west, south), east - west, north - south)
        else:
            drawn = PathPatch(_path(outline, lon_deg, turn))
        drawn.set(facecolor=to_rgba(colour, float(strength[i])), edgecolor=edge, linewidth=1, zorder=2)
        axes.add_patch(drawn)


def by_rank(prediction: Prediction) -> bool:
    """Say whether cells have the published colours by rank: those of the published rule `greedy`."""
    return prediction.provenance.fusion == "greedy"


def _path(outline: shapely.Geometry, lon_deg: float, turn: int) -> MarkedPath:
    """Return an outline as one path, in which holes stay holes."""
    rings = [ring[:, ::-1] + [turn, 0] for rings in outline_rings(outline, lon_deg) for ring in rings]
    return MarkedPath.make_compound_path(*(MarkedPath(ring, closed=True) for ring in rings))


def _line(axes: Axes, way_deg: NDArray[np.float64]) -> None:
    axes.plot(way_deg[:, 1], way_deg[:, 0], color="white", linewidth=3, alpha=0.8, zorder=3)
    axes.plot(way_deg[:, 1], way_deg[:, 0], color=METADATA_COLOUR, linewidth=1.5, linestyle="--", zorder=3)


def _regions(axes: Axes, scene: Scene, lon_deg: float, turn: int) -> None:
    regions = zip(widest_first(scene.prediction), outlines(scene.prediction), strict=True)
    for region, (_, dashed) in regions:
        parts = moved_parts(region, lon_deg)
        single = single_cells(region, parts) & dashed
        for ring in rings_of(parts[~single]):
            (line,) = axes.plot(ring[:, 1] + turn, ring[:, 0], color=OUTLINE_COLOUR, linewidth=1.1, zorder=2.5)
            line.set_linestyle("--" if dashed else "-")
        for ring in rings_of(parts[single]):
            hatched = Polygon(ring[:, ::-1] + [turn, 0], fill=False, hatch=HATCH, linewidth=0, zorder=2.5)
            hatched.set_edgecolor(OUTLINE_COLOUR)
            axes.add_patch(hatched)


def _metadata_mark(axes: Axes, at: tuple[float, float]) -> None:
    axes.plot(at[1], at[0], "o", color=METADATA_COLOUR, markeredgecolor="white", markersize=9, zorder=4)


def _point_mark(axes: Axes, scene: Scene) -> None:
    if (point := scene.prediction.point) is not None:
        axes.plot(point[1], point[0], "D", color=INK, markeredgecolor="white", markersize=8, zorder=5)


def _legend(scene: Scene) -> list[Line2D | Patch]:
    prediction = scene.prediction
    marks = {"point": ("D", INK, prediction.point), "metadata location": ("o", METADATA_COLOUR, prediction.metadata)}
    handles: list[Line2D | Patch] = [
        Line2D([], [], marker=marker, linestyle="", color=colour, label=words)
        for words, (marker, colour, present) in marks.items()
        if present
    ]
    lines = reversed(outlines(prediction))
    handles += [
        Line2D([], [], color=OUTLINE_COLOUR, lw=1.1, ls="--" if dashed else "-", label=n) for n, dashed in lines
    ]
    if has_specks(prediction):
        name = f"{region_name(widest_first(prediction)[0].coverage)}, single cells"
        handles.append(Patch(facecolor="none", edgecolor=OUTLINE_COLOUR, hatch=HATCH, linewidth=0, label=name))
    if not scene.layers:
        return handles
    if by_rank(prediction):
        return [*handles, *(_swatch(colour, words) for _, colour, words in RANKS)]
    first, *others = [(ramp_colour(value), words) for value, words in MARKS]
    return [*handles, _swatch(first[0], f"probability {first[1]}"), *(_swatch(*other) for other in others)]


def _swatch(colour: str, words: str) -> Patch:
    return Patch(facecolor=to_rgba(colour, PAINTED), edgecolor=colour, label=words)
