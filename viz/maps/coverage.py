"""Where photographs are: green cells of the grid on grey land and blue ocean, with their counts."""

import logging
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from geocells import grid
from geocells.land import land_mask
from plumbing.files import write_text
from viz.config import CoverageConfig
from viz.maps.raster import as_rows, base64_text, varints
from viz.maps.survey import bare_words, read_survey, survey_data, survey_legend, survey_words
from viz.web.page import BARE_LAND, CELL_OPACITY, OCEAN, PLAIN, Page, map_page, seen_over, swatches

log = logging.getLogger(__name__)

RAMP = ("#8fd175", "#3ea34d", "#14702f", "#00381a")
"""Greens from one photograph to the most, even in the logarithm; lightness alone tells them apart."""

WORLD = [[-90, -180], [90, 180]]
INHABITED = [[-58, -180], [84, 180]]
"""What is shown first in Web Mercator, where the poles would take most of the page."""


def write_coverage(config: CoverageConfig) -> None:
    """Write the page of one dataset.

    Raises:
        ValueError: the folder does not hold a dataset.
    """
    from dataset.manifest import coordinates, read_located

    photos = read_located(config.data, ["latitude", "longitude"])
    name = config.data.resolve().name
    survey = read_survey(config.data) if config.survey else None
    write_text(config.out, coverage_html(coordinates(photos), name, config.level, config.tiles, survey))
    log.info("%s shows %s photographs of %s", config.out, f"{len(photos):,}", name)


def coverage_html(
    points_deg: ArrayLike,
    name: str,
    level: int = grid.TABLE_LEVEL,
    tiles: str | None = None,
    survey: pd.DataFrame | None = None,
) -> str:
    """Return a page with the number of photographs of every cell.

    Args:
        points_deg: (N, 2) latitude and longitude of photographs.
        name: of the dataset.
        level: 1 to 8.
        tiles: address of background tiles, for which the page then needs the network.
        survey: rows of survey.parquet, with level 8 only.

    Raises:
        ValueError: a point is not on Earth, or the level is finer than the table of land.
    """
    if level > grid.TABLE_LEVEL:
        raise ValueError(f"coverage is drawn for levels 1 to {grid.TABLE_LEVEL}, got {level}: land is not known finer")
    points = np.asarray(points_deg, dtype=np.float64).reshape(-1, 2)
    counts = np.bincount(grid.encode(points, level), minlength=4**level)
    land = land_mask(level)
    most = int(counts.max())
    page = Page(
        title=f"Coverage of {name}",
        data={
            "side": grid.side(level),
            "counts": base64_text(varints(as_rows(counts).ravel())),
            "land": base64_text(np.packbits(as_rows(land)).tobytes()),
            "most": most,
            "ramp": RAMP,
            "opacity": CELL_OPACITY,
            "fit": INHABITED if tiles else WORLD,
            "survey": None if survey is None else survey_data(survey),
        },
        script="coverage.js",
        start="startCoverage",
        above=_header(name, counts, land, level, survey),
        below=f"<footer>{_legend(most, survey)}</footer>",
    )
    return map_page(page, PLAIN, tiles)


def _header(
    name: str, counts: NDArray[np.int64], land: NDArray[np.bool_], level: int, survey: pd.DataFrame | None
) -> str:
    covered = counts > 0
    ashore, at_sea = int((covered & land).sum()), int((covered & ~land).sum())
    beside = f", and {_counted(at_sea, 'cell')} that the table of land calls ocean" if at_sea else ""
    said = "" if survey is None else f" {escape(survey_words(survey))}"
    return (
        f"<header><h1>{escape(name)}: {_counted(int(counts.sum()), 'photograph')}</h1>"
        f'<p class="soft">They cover {ashore:,} of {land.sum():,} land cells of level L{level} '
        f"({ashore / land.sum():.1%}){beside}.{said}</p></header>"
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _legend(most: int, survey: pd.DataFrame | None) -> str:
    few = "photographs: 1" if most > 1 else "1 photograph"
    colours = [seen_over(colour) for colour in RAMP]
    ramp = f"linear-gradient(90deg, {', '.join(colours)})" if most > 1 else colours[0]
    many = f"{most:,}, on a logarithmic scale" if most > 1 else "a cell"
    return (
        f'<div class="legend"><span>{few}<i class="ramp" style="background:{ramp}"></i>{many}</span>'
        f"{swatches([(BARE_LAND, bare_words(survey)), (OCEAN, 'ocean')])}"
        f"{'' if survey is None else survey_legend(survey)}</div>"
    )
