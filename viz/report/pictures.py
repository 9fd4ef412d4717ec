"""Each figure of a report as a PNG, for articles and slides, from the same data as the page."""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from plumbing.files import atomic_path
from viz.report.answers import Samples, distance_panel
from viz.report.balance import balance_panel
from viz.report.comparison import Comparison
from viz.report.confidence import reliability_panels
from viz.report.confusion import Matrix, matrix_of
from viz.report.files import RunFiles
from viz.report.line_chart import Panel
from viz.report.maps import WorldMap, map_png, world_maps
from viz.report.photographs import Sample
from viz.report.training import training_panels
from viz.web.page import colours

DPI = 150
SIZE_INCH = (6.4, 4.8)
CELL_INCH, MARGIN_INCH = 0.28, 3.0
"""Of a confusion matrix: a cell, and what names take on each side."""
PHOTOGRAPH_INCH, LINE_LETTERS = (2.4, 3.0), 38

Drawn = Callable[[], bytes]


def write_pictures(files: RunFiles, samples: Samples | None, comparison: Comparison | None, folder: Path) -> list[Path]:
    """Write each figure into a folder, which is made, and return the paths in the order of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in figures(files, samples, comparison):
        path = folder / f"{file_name(name)}.png"
        with atomic_path(path) as unfinished:
            unfinished.write_bytes(draw())
        written.append(path)
    return written


def file_name(title: str) -> str:
    """Return a title as the name of a file.

    >>> file_name("joint: Median error, km")
    'joint-median-error-km'
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "figure"


def figures(files: RunFiles, samples: Samples | None, comparison: Comparison | None) -> Iterator[tuple[str, Drawn]]:
    """Yield the title of each figure, and what draws it as a PNG."""
    if panel := distance_panel(files, comparison):
        yield panel.title, partial(panel_png, panel)
    for kind, of in (samples or {}).items():
        yield f"{kind} photographs", partial(_photographs_png, kind, of)
    for report in files.test_first:
        split = report["split"]
        for level, own in (report.get("classification") or {}).items():
            if matrix := matrix_of(own):
                yield (
                    f"Confusion matrix of {level}, {split} split",
                    partial(matrix_png, matrix, f"{level}, {split} split"),
                )
        for panel in reliability_panels(report.get("calibration") or {}):
            yield f"Reliability of {panel.title}, {split} split", partial(panel_png, panel)
    for world in world_maps(files):
        yield world.caption, partial(_map_png, world)
    if files.hierarchy is not None and files.hierarchy.train_count.any():
        panel = balance_panel(files.hierarchy)
        yield panel.title, partial(panel_png, panel)
    for trained in files.training:
        for panel in training_panels(trained, files):
            yield f"{files.title(trained.name)}: {panel.title}", partial(panel_png, panel)
    if files.augmentations is not None:
        yield "Random changes", partial(_sheet_png, files.augmentations)


def panel_png(panel: Panel) -> bytes:
    """Return a panel of lines as a PNG."""
    figure, axes = _axes(SIZE_INCH)
    for line in panel.lines:
        colour, xy = colours()[line.colour], np.array(line.points, dtype=float).reshape(-1, 2)
        style: dict[str, Any] = {"color": colour, "ls": "--" if line.dashed else "-"}
        axes.plot(*xy.T, label=line.label or None, marker="o" if line.dots else "", ms=3.5, lw=1.8, **style)
        if line.whiskers:
            axes.vlines(xy[:, 0], *np.array(line.whiskers).T, color=colour, lw=1.2)
    (x_low, x_high), (y_low, y_high) = panel.x_range, panel.y_range
    # One epoch alone stands in the middle.
    axes.set_xlim(x_low, x_high) if x_high > x_low else axes.set_xlim(x_low - 0.5, x_high + 0.5)
    axes.set_ylim(y_low, y_high)
    axes.xaxis.set_major_formatter(lambda value, _: panel.x_words(value))
    axes.yaxis.set_major_formatter(lambda value, _: panel.y_words(value))
    for axis, whole in ((axes.xaxis, panel.whole_x), (axes.yaxis, panel.whole_y)):
        axis.set_major_locator(MaxNLocator(6, integer=whole))
    axes.set(title=panel.title, xlabel=panel.x_title)
    axes.grid(color=colours()["rule"], lw=0.8)
    if panel.mark is not None:
        axes.axvline(panel.mark[0], color=colours()["mark"], lw=1)
    if any(line.label for line in panel.lines):
        axes.legend(frameon=False)
    return _png(figure)


def matrix_png(matrix: Matrix, title: str) -> bytes:
    """Return a confusion matrix as a PNG, in percent of the true class."""
    side = CELL_INCH * len(matrix.names) + MARGIN_INCH
    figure, axes = _axes((side, side))
    counts = np.array(matrix.counts, dtype=float)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    blues = LinearSegmentedColormap.from_list("matrix", [colours()["raised"], colours()["series-1"]])
    axes.imshow(share, cmap=blues, vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(share):
        if counts[row, column]:
            ink = colours()["paper" if value > 0.5 else "ink"]
            axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", size=6.5, color=ink)
    places = range(len(matrix.names))
    axes.set_xticks(places, matrix.names, rotation=90, size=7, parse_math=False)
    axes.set_yticks(places, matrix.names, size=7, parse_math=False)
    axes.set(title=f"Confusion matrix of {title}: percent of the true class", xlabel="answered", ylabel="true")
    return _png(figure)


def _photographs_png(kind: str, samples: Sequence[Sample]) -> bytes:
    figure = Figure(
        figsize=(PHOTOGRAPH_INCH[0] * max(len(samples), 1), PHOTOGRAPH_INCH[1]), dpi=DPI, layout="constrained"
    )
    figure.suptitle(f"{kind} photographs", size=11)
    for axes, sample in zip(np.atleast_1d(figure.subplots(1, max(len(samples), 1))), samples, strict=False):
        axes.set_axis_off()
        if sample.jpeg is not None:
            with Image.open(io.BytesIO(sample.jpeg)) as picture:
                axes.imshow(np.asarray(picture.convert("RGB")))
        words = "\n".join(fill(text, LINE_LETTERS) for text in (sample.said, *sample.more))
        axes.text(0, -0.04, words, transform=axes.transAxes, size=6.5, parse_math=False, va="top")
    return _png(figure)


def _map_png(world: WorldMap) -> bytes:
    """Return a map as a PNG with its title and legend."""
    figure, axes = _axes((8.0, 4.9))
    with Image.open(io.BytesIO(map_png(world))) as drawn:
        axes.imshow(np.asarray(drawn.convert("RGB")))
    axes.set_axis_off()
    axes.set_title(world.caption, parse_math=False)
    patches = [axes.plot([], [], "s", color=colour, ms=8, label=words)[0] for colour, words in world.entries]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False, fontsize=8)
    return _png(figure)


def _sheet_png(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as sheet:
        return _as_png(sheet)


def _axes(size_inch: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size_inch, dpi=DPI, layout="constrained")
    return figure, figure.add_subplot()


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content, metadata={"Software": None})
    with Image.open(content) as drawn:
        return _as_png(drawn)


def _as_png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.convert("RGB").save(content, "PNG", optimize=True)
    return content.getvalue()
