"""Small maps of the world: where a run has learned, and how far it errs there."""

import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from geocells import grid
from geocells.class_cells import class_cells
from geocells.hierarchy import Hierarchy
from geocells.land import TABLE_LEVEL, land_table
from infer.evaluate.metrics import RADII_KM
from viz.maps.coverage import RAMP as COVERAGE_RAMP
from viz.maps.raster import as_rows, base64_text
from viz.web.page import BARE_LAND, OCEAN, swatches

RAMP = COVERAGE_RAMP[1:]
"""A single cell is small here: the lightest green would be lost on land."""

CELLS = 4**TABLE_LEVEL
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
    colours = _ground()
    seen = counts > 0
    along = np.log(counts[seen]) / max(np.log(most), 1e-9) * (len(RAMP) - 1)
    stops = np.array([to_rgb(colour) for colour in RAMP])
    colours[seen] = np.column_stack([np.interp(along, np.arange(len(RAMP)), channel) for channel in stops.T])
    ramp = f'<span>1<i class="ramp" style="background:linear-gradient(90deg,{",".join(RAMP)})"></i>{most:,}</span>'
    legend = f"{ramp}{swatches([(BARE_LAND, 'land without'), (OCEAN, 'ocean')])}"
    return _figure(colours, f"Training photographs in cells of {name}", legend)


def error_map(by_country: Mapping[str, Mapping[str, Any]], split: str) -> str:
    """Return a map of the median error of countries as HTML; countries without a figure stay grey."""
    country = land_table().country
    colours = _ground()
    for code, figures in by_country.items():
        if code in country:
            colours[country == code] = to_rgb(error_colour(float(figures["median_km"])))
    return _figure(colours, f"Median error by country, {split} split", _error_legend("too few photographs"))


def recall_map(by_country: Mapping[str, Mapping[str, Any]], split: str) -> str:
    """Return a map of how often photographs of each country are answered with it as HTML; other countries stay grey."""
    country, colours = land_table().country, _ground()
    stops = np.array([to_rgb(colour) for colour in RAMP])
    for code, figures in by_country.items():
        along = float(figures["recall"]) * (len(RAMP) - 1)
        colours[country == code] = [np.interp(along, np.arange(len(RAMP)), channel) for channel in stops.T]
    ramp = f'<span>0%<i class="ramp" style="background:linear-gradient(90deg,{",".join(RAMP)})"></i>100%</span>'
    legend = f"{ramp}{swatches([(BARE_LAND, 'no photographs'), (OCEAN, 'ocean')])}"
    return _figure(colours, f"Countries answered right, {split} split", legend)


def cell_error_map(level: int, median_km: Mapping[str, float], split: str) -> str:
    """Return a map of the median error in cells of the quad grid as HTML, to hold beside the training photographs.

    Args:
        level: of the cells, at most 8.
        median_km: by the text of a cell; cells without a photograph of the split stay grey.
        split: that was measured.
    """
    colours = _ground()
    for name, error in median_km.items():
        cell, _ = grid.parse_id(name)
        colours[grid.children(cell, level, TABLE_LEVEL)] = to_rgb(error_colour(float(error)))
    return _figure(colours, f"Median error by cell of L{level}, {split} split", _error_legend("no photograph"))


def _error_legend(rest: str) -> str:
    edges = [f"up to {step:,} km" for step in ERROR_STEPS_KM]
    return swatches([*zip(ERROR_COLOURS, [*edges, "more"], strict=True), (BARE_LAND, rest)])


def error_colour(median_km: float) -> str:
    """Return the colour of an error."""
    return ERROR_COLOURS[int(np.searchsorted(ERROR_STEPS_KM, median_km))]


def _ground() -> NDArray[np.float64]:
    """Return (65536, 3) land and ocean; a cell is land where any of it is, or islands would be lost."""
    return np.where((land_table().share > 0)[:, None], to_rgb(BARE_LAND), to_rgb(OCEAN))


def _figure(colours: NDArray[np.float64], caption: str, legend: str) -> str:
    content = base64_text(_png(colours))
    return (
        f"<figure><figcaption>{escape(caption)}</figcaption>"
        f'<img class="world" alt="{escape(caption)}, as a map of the world" src="data:image/png;base64,{content}">'
        f'<div class="legend">{legend}</div></figure>'
    )


def _png(colours: NDArray[np.float64]) -> bytes:
    side = grid.side(TABLE_LEVEL)
    levels = np.round(255 * colours).astype(np.uint8)
    picture = np.stack([as_rows(channel) for channel in levels.T], axis=-1)
    # Cells are twice as wide as high.
    wide = np.repeat(picture, 2, axis=1)
    assert wide.shape == (side, 2 * side, 3)
    content = io.BytesIO()
    Image.fromarray(wide).save(content, "PNG", optimize=True)
    return content.getvalue()


def maps_html(parts: Sequence[str]) -> str:
    """Return maps beside each other as HTML."""
    return f'<div class="maps">{"".join(parts)}</div>' if parts else ""
