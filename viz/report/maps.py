"""Small maps of the world: where a run has learned, and how far it errs there."""

import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from geocells import grid
from geocells.class_cells import class_cells
from geocells.hierarchy import Hierarchy
from geocells.land import TABLE_LEVEL, land_table
from infer.evaluate.metrics import RADII_KM
from viz.base_map.drawing import draw_ground
from viz.maps.coverage import RAMP as COVERAGE_RAMP
from viz.maps.raster import as_rows, base64_text
from viz.web.page import BARE_LAND, CELL_OPACITY, OCEAN, seen_over, swatches

RAMP = COVERAGE_RAMP[1:]
"""A single cell is small here: the lightest green would be lost on land."""

CELLS = 4**TABLE_LEVEL
WORLD_INCH, WORLD_DPI = (8.0, 4.0), 128
"""Four by two pixels a cell."""
CELLS_ORDER = 0.5
"""Above the land of the base map, below its lines."""
ERROR_COLOURS = ("#fff1a8", "#f9b55b", "#e2694c", "#a8304f", "#541b45")
ERROR_STEPS_KM = RADII_KM[1:]
"""Errors up to city, region, country, continent, and beyond: the same in all reports, which can so be compared."""


def training_counts(hierarchy: Hierarchy) -> NDArray[np.int64]:
    """Return (65536,) training photographs of the finest class around each cell of level 8.

    Classes that are too small to hold the middle of such a cell count in the one around their coordinate.
    """
    rows = hierarchy.rows(hierarchy.depth - 1)
    count = hierarchy.train_count[rows]
    of, cell = class_cells(hierarchy, hierarchy.depth - 1, np.arange(CELLS))
    cells = np.zeros(CELLS, dtype=count.dtype)
    np.add.at(cells, cell, count[of])
    return cells


def density_map(hierarchy: Hierarchy) -> str:
    """Return a map of the training photographs of the finest cells as HTML."""
    counts = training_counts(hierarchy)
    most = int(counts.max())
    name = hierarchy.level_names[-1]
    colours = _bare()
    seen = counts > 0
    along = np.log(counts[seen]) / max(np.log(most), 1e-9) * (len(RAMP) - 1)
    stops = np.array([to_rgb(colour) for colour in RAMP])
    colours[seen] = np.column_stack([np.interp(along, np.arange(len(RAMP)), channel) for channel in stops.T])
    ramp = _ramp("1", f"{most:,}")
    legend = f"{ramp}{swatches([(BARE_LAND, 'land without'), (OCEAN, 'ocean')])}"
    return _figure(colours, f"Training photographs in cells of {name}", legend)


def error_map(by_country: Mapping[str, Mapping[str, Any]], split: str) -> str:
    """Return a map of the median error of countries as HTML; countries without a figure stay grey."""
    country = land_table().country
    colours = _bare()
    for code, figures in by_country.items():
        if code in country:
            colours[country == code] = to_rgb(error_colour(float(figures["median_km"])))
    return _figure(colours, f"Median error by country, {split} split", _error_legend("too few photographs"))


def recall_map(by_country: Mapping[str, Mapping[str, Any]], split: str) -> str:
    """Return a map of how often photographs of each country are answered with it as HTML; other countries stay grey."""
    country, colours = land_table().country, _bare()
    stops = np.array([to_rgb(colour) for colour in RAMP])
    for code, figures in by_country.items():
        along = float(figures["recall"]) * (len(RAMP) - 1)
        colours[country == code] = [np.interp(along, np.arange(len(RAMP)), channel) for channel in stops.T]
    ramp = _ramp("0%", "100%")
    legend = f"{ramp}{swatches([(BARE_LAND, 'no photographs'), (OCEAN, 'ocean')])}"
    return _figure(colours, f"Countries answered right, {split} split", legend)


def cell_error_map(level: int, median_km: Mapping[str, float], split: str) -> str:
    """Return a map of the median error in cells of the quad grid as HTML, to hold beside the training photographs.

    Args:
        level: of the cells, at most 8.
        median_km: by the text of a cell; cells without a photograph of the split stay grey.
        split: that was measured.
    """
    colours = _bare()
    for name, error in median_km.items():
        cell, _ = grid.parse_id(name)
        colours[grid.children(cell, level, TABLE_LEVEL)] = to_rgb(error_colour(float(error)))
    return _figure(colours, f"Median error by cell of L{level}, {split} split", _error_legend("no photograph"))


def _ramp(least: str, most: str) -> str:
    colours = ",".join(map(seen_over, RAMP))
    return f'<span>{least}<i class="ramp" style="background:linear-gradient(90deg,{colours})"></i>{most}</span>'


def _error_legend(rest: str) -> str:
    edges = [f"up to {step:,} km" for step in ERROR_STEPS_KM]
    return swatches([*zip(map(seen_over, ERROR_COLOURS), [*edges, "more"], strict=True), (BARE_LAND, rest)])


def error_colour(median_km: float) -> str:
    """Return the colour of an error."""
    return ERROR_COLOURS[int(np.searchsorted(ERROR_STEPS_KM, median_km))]


def _bare() -> NDArray[np.float64]:
    """Return (65536, 3) colours of cells through which the base map is seen whole."""
    return np.full((CELLS, 3), np.nan)


def _figure(colours: NDArray[np.float64], caption: str, legend: str) -> str:
    content = base64_text(_png(colours))
    return (
        f"<figure><figcaption>{escape(caption)}</figcaption>"
        f'<img class="world" alt="{escape(caption)}, as a map of the world" src="data:image/png;base64,{content}">'
        f'<div class="legend">{legend}</div></figure>'
    )


def _png(colours: NDArray[np.float64]) -> bytes:
    """Return cells over land and sea, under coast and borders, as a PNG."""
    figure = Figure(figsize=WORLD_INCH, dpi=WORLD_DPI)
    canvas, axes = FigureCanvasAgg(figure), figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-180, 180), ylim=(-90, 90), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    draw_ground(axes, turns=(0,))
    opacity = np.where(np.isfinite(colours[:, :1]), CELL_OPACITY / 255, 0)
    painted = np.hstack([np.nan_to_num(colours), opacity])
    picture = np.stack([as_rows(channel) for channel in painted.T], axis=-1)
    axes.imshow(picture, extent=(-180, 180, -90, 90), interpolation="nearest", aspect="auto", zorder=CELLS_ORDER)
    canvas.draw()
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    content = io.BytesIO()
    # A third of the bytes; areas keep their colour, only blurred edges change a little.
    drawn.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
    return content.getvalue()


def maps_html(parts: Sequence[str]) -> str:
    """Return maps beside each other as HTML."""
    return f'<div class="maps">{"".join(parts)}</div>' if parts else ""
