"""Small maps of the world: where a run has learned, and how far it errs there."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from html import escape
from typing import Any

import numpy as np
from matplotlib.axes import Axes
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
from label_maps.labels import COUNTRY
from viz.base_map.drawing import draw_land, draw_lines
from viz.maps.coverage import RAMP as COVERAGE_RAMP
from viz.maps.raster import as_rows, base64_text
from viz.report.files import RunFiles
from viz.web.page import BARE_LAND, CELL_OPACITY, OCEAN, THEMES, Theme, colours, seen_over, swatch

RAMP: Mapping[Theme, Sequence[str]] = {
    "light": COVERAGE_RAMP[1:],
    "dark": ("#3d8f66", "#79c98b", "#dcf7c6"),
}
"""Few to many: darker on a light ground, lighter on a dark one. A single cell is small here: the lightest green of the coverage
page would be lost on land."""

CELLS = 4**TABLE_LEVEL
WORLD_INCH, WORLD_DPI = (8.0, 4.0), 128
"""Four by two pixels a cell."""
ERROR_COLOURS: Mapping[Theme, Sequence[str]] = {
    "light": ("#fff1a8", "#f9b55b", "#e2694c", "#a8304f", "#541b45"),
    "dark": ("#fff1a8", "#f9b55b", "#ef7d5c", "#cf5b86", "#9b6bd0"),
}
"""Near to far; lightness alone tells them apart, in both themes."""
ERROR_STEPS_KM = RADII_KM[1:]
"""Errors up to city, region, country, continent, and beyond: the same in all reports, which can so be compared."""


@dataclass(frozen=True, eq=False)
class WorldMap:
    """Cells of level 8 in colours over the base map.

    Attributes:
        caption: what it shows, as text.
        share: (65536,) along the ramp, 0 to 1; NaN where the base map is seen whole.
        ramp: colours of the cells, by theme.
        ends: words at both ends of a ramp without steps; empty where the colours are `steps`.
        steps: words of each colour.
        ground: words of land without a colour.
    """

    caption: str
    share: NDArray[np.float64]
    ramp: Mapping[Theme, Sequence[str]]
    ground: str
    ends: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()

    @property
    def entries(self) -> list[tuple[str, str]]:
        """The legend of the light theme: colours and words."""
        words = self.steps or (self.ends[0], *("" for _ in self.ramp["light"][2:]), self.ends[1])
        return [*zip(self.ramp["light"], words, strict=True), (colours()["land"], self.ground)]


def world_maps(files: RunFiles) -> list[WorldMap]:
    """Return the maps of a run: training photographs, and errors of the first evaluation, test first."""
    hierarchy = files.hierarchy
    if hierarchy is None:
        return []
    # A published model names no photographs that it was trained on.
    maps = [density_map(hierarchy)] if hierarchy.placed and hierarchy.train_count.any() else []
    for report in files.test_first[:1]:
        if cells := report.get("cells"):
            maps.append(cell_error_map(cells["level"], cells["median_km"], str(report["split"])))
        if by_country := (report.get("slices") or {}).get("country"):
            maps.append(error_map(by_country, str(report["split"])))
        if report.get("level") == COUNTRY:
            maps.append(recall_map(report["classes"]["by_class"], str(report["split"])))
    return maps


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


def density_map(hierarchy: Hierarchy) -> WorldMap:
    """Return a map of the training photographs of the finest cells."""
    counts = training_counts(hierarchy)
    most = int(counts.max())
    share = np.full(CELLS, np.nan)
    seen = counts > 0
    share[seen] = np.log(counts[seen]) / max(np.log(most), 1e-9)
    title = f"Training photographs in cells of {hierarchy.level_names[-1]}"
    return WorldMap(title, share, RAMP, "land without", ends=("1", f"{most:,}"))


def error_map(by_country: Mapping[str, Mapping[str, Any]], split: str) -> WorldMap:
    """Return a map of the median error of countries; countries without a figure stay grey."""
    country, share = land_table().country, np.full(CELLS, np.nan)
    for code, figures in by_country.items():
        if code in country:
            share[country == code] = _error_share(float(figures["median_km"]))
    return _of_errors(f"Median error by country, {split} split", share, "too few photographs")


def recall_map(by_country: Mapping[str, Mapping[str, Any]], split: str) -> WorldMap:
    """Return a map of how often photographs of each country are answered with it; other countries stay grey."""
    country, share = land_table().country, np.full(CELLS, np.nan)
    for code, figures in by_country.items():
        share[country == code] = float(figures["recall"])
    return WorldMap(f"Countries answered right, {split} split", share, RAMP, "no photographs", ends=("0%", "100%"))


def cell_error_map(level: int, median_km: Mapping[str, float], split: str) -> WorldMap:
    """Return a map of the median error in cells of the quad grid, to hold beside the training photographs.

    Args:
        level: of the cells, at most 8.
        median_km: by the text of a cell; cells without a photograph of the split stay grey.
        split: that was measured.
    """
    share = np.full(CELLS, np.nan)
    for name, error in median_km.items():
        cell, _ = grid.parse_id(name)
        share[grid.children(cell, level, TABLE_LEVEL)] = _error_share(float(error))
    return _of_errors(f"Median error by cell of L{level}, {split} split", share, "no photograph")


def _of_errors(caption: str, share: NDArray[np.float64], ground: str) -> WorldMap:
    edges = (*(f"up to {step:,} km" for step in ERROR_STEPS_KM), "more")
    return WorldMap(caption, share, ERROR_COLOURS, ground, steps=edges)


def _error_share(median_km: float) -> float:
    """Return where the colour of an error stands along the ramp."""
    return float(np.searchsorted(ERROR_STEPS_KM, median_km)) / len(ERROR_STEPS_KM)


def error_colour(median_km: float, theme: Theme = "light") -> str:
    """Return the colour of an error."""
    return ERROR_COLOURS[theme][int(np.searchsorted(ERROR_STEPS_KM, median_km))]


def map_png(world: WorldMap, theme: Theme = "light") -> bytes:
    """Return cells over land and sea, under coast and borders, as a PNG."""
    return _png(world.share.tobytes(), tuple(world.ramp[theme]), theme)


@lru_cache(maxsize=16)
def _png(content: bytes, ramp: tuple[str, ...], theme: Theme) -> bytes:
    """Return a map from its bytes, by which the page and the folder of PNGs share it."""
    (land, lines), share = _grounds(theme), np.frombuffer(content)
    stops = np.array([to_rgb(colour) for colour in ramp])
    along = np.nan_to_num(share) * (len(stops) - 1)
    opacity = np.where(np.isfinite(share), CELL_OPACITY / 255, 0)
    painted = np.column_stack([*(np.interp(along, np.arange(len(stops)), channel) for channel in stops.T), opacity])
    cells = (255 * np.stack([as_rows(channel) for channel in painted.T], axis=-1)).round().astype(np.uint8)
    enlarged = Image.fromarray(cells).resize(land.size, Image.Resampling.NEAREST)
    drawn = Image.alpha_composite(Image.alpha_composite(land, enlarged), lines).convert("RGB")
    file = io.BytesIO()
    # A third of the bytes; areas keep their colour, only blurred edges change a little.
    drawn.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


@cache
def _grounds(theme: Theme) -> tuple[Image.Image, Image.Image]:
    """Return land and sea, and coast and borders on nothing, which all maps share."""
    return _drawn(draw_land, theme), _drawn(draw_lines, theme)


def _drawn(draw: Callable[[Axes, Sequence[int], Theme], None], theme: Theme) -> Image.Image:
    figure = Figure(figsize=WORLD_INCH, dpi=WORLD_DPI, facecolor="none")
    canvas, axes = FigureCanvasAgg(figure), figure.add_axes((0, 0, 1, 1), facecolor="none")
    axes.set(xlim=(-180, 180), ylim=(-90, 90), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    draw(axes, (0,), theme)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba()).copy())


def maps_html(maps: Sequence[WorldMap]) -> str:
    """Return maps beside each other as HTML, each in both themes."""
    return f'<div class="maps">{"".join(map(_figure, maps))}</div>' if maps else ""


def _figure(world: WorldMap) -> str:
    light, dark = (f"data:image/png;base64,{base64_text(map_png(world, theme))}" for theme in THEMES)
    alt = escape(f"{world.caption}, as a map of the world")
    return (
        f"<figure><figcaption>{escape(world.caption)}</figcaption>"
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img class="world" alt="{alt}" src="{light}"></picture>'
        f'<div class="legend">{_legend(world)}</div></figure>'
    )


def _legend(world: WorldMap) -> str:
    ground = f"{swatch(BARE_LAND, BARE_LAND, world.ground)}{swatch(OCEAN, OCEAN, 'ocean')}"
    seen = {theme: [seen_over(colour) for colour in ramp] for theme, ramp in world.ramp.items()}
    if world.steps:
        return "".join(map(swatch, seen["light"], seen["dark"], world.steps)) + ground
    light, dark = (f"linear-gradient(90deg,{','.join(seen[theme])})" for theme in THEMES)
    least, most = map(escape, world.ends)
    return f'<span>{least}<i class="ramp swatch" style="--light:{light};--dark:{dark}"></i>{most}</span>{ground}'
