"""Where photographs are: cells of every level in green over the base map, with counts, and what to do about uneven ones."""

import logging
import shlex
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dataset.manifest import SURVEY, coordinates, read_located
from geocells.land import TABLE_LEVEL, land_mask
from plumbing.files import write_text
from plumbing.text import counted
from viz.config import CoverageConfig
from viz.maps.cell_balance import LISTED, CellBalance, level_balance
from viz.maps.cell_errors import STEPS_KM, CellErrors, read_errors
from viz.maps.coverage_controls import controls_html, legend_html
from viz.maps.coverage_data import cells_data, counts_by_split, row_major
from viz.maps.ramps import ON_DARK, ON_LIGHT
from viz.maps.survey import read_survey, survey_words
from viz.web.page import CELL_OPACITY, PLAIN, Page, map_page

log = logging.getLogger(__name__)

RAMP = ("#8fd175", "#3ea34d", "#14702f", "#00381a")
"""Greens from one photograph to the most, even in the logarithm; lightness alone tells them apart."""
RAMP_ON_DARK = ("#1f6b3a", "#3ea34d", "#8fd175", "#e2f7b8")
"""Likewise over a dark base map, where the most stands out as the lightest."""


def write_coverage(config: CoverageConfig) -> None:
    """Write the page of one dataset.

    Raises:
        ValueError: the folder does not hold a dataset, or the run has no evaluation with errors by cell.
    """
    photos = read_located(config.data)
    name = config.data.resolve().name
    html = coverage_html(
        coordinates(photos),
        name,
        config.level,
        config.tiles,
        survey=read_survey(config.data) if config.survey else None,
        split=photos["split"],
        errors=None if config.run is None else read_errors(config.run, photos),
        data=str(config.data),
        mapillary=(config.data / SURVEY).is_file(),
    )
    write_text(config.out, html)
    log.info(f"{config.out} shows {counted(len(photos), 'photograph')} of {name}")


def coverage_html(
    points_deg: ArrayLike,
    name: str,
    level: int = TABLE_LEVEL,
    tiles: str | None = None,
    survey: pd.DataFrame | None = None,
    split: ArrayLike | None = None,
    errors: CellErrors | None = None,
    data: str = "DATA",
    mapillary: bool = False,
) -> str:
    """Return a page with the number of photographs of every cell of the levels 1 to 8.

    Args:
        points_deg: (N, 2) latitude and longitude of photographs.
        name: of the dataset.
        level: the one that is shown first.
        tiles: address of background tiles, for which the page then needs the network.
        survey: rows of survey.parquet.
        split: (N,) the split of each photograph; without it there is no switch.
        errors: how far off the answers of a run are, by cell.
        data: the dataset folder, as commands on the page name it.
        mapillary: whether `python -m fetch mapillary` made the dataset and can add to it.

    Raises:
        ValueError: a point is not on Earth, or the level is finer than the table of land.
    """
    if level > TABLE_LEVEL:
        raise ValueError(f"coverage is drawn for levels 1 to {TABLE_LEVEL}, got {level}: land is not known finer")
    counts = counts_by_split(np.asarray(points_deg, dtype=np.float64).reshape(-1, 2), split)
    total = np.sum(list(counts.values()), axis=0)
    page = Page(
        title=f"Coverage of {name}",
        data={
            **cells_data(counts, survey),
            "level": level,
            "ramps": [RAMP, RAMP_ON_DARK],
            "opacity": CELL_OPACITY,
            "tiles": bool(tiles),
            "errors": None if errors is None else _errors(errors),
            "balance": _balances(total, data, mapillary),
        },
        before=("lists.js", "coverage_cells.js", "coverage_lists.js"),
        script="coverage.js",
        start="startCoverage",
        styles=("lists.css", "coverage.css"),
        above=f"{_header(name, total, level, survey)}<main>",
        below=f"{legend_html(RAMP, RAMP_ON_DARK, survey, errors)}{controls_html(list(counts), level, errors)}</main>",
        body_class="lists coverage",
    )
    return map_page(page, PLAIN, tiles, scale=True)


def _header(name: str, total: NDArray[np.int64], level: int, survey: pd.DataFrame | None) -> str:
    covered, land = total.reshape(4**level, -1).sum(axis=1) > 0, land_mask(level)
    ashore, at_sea = int((covered & land).sum()), int((covered & ~land).sum())
    beside = f", and {counted(at_sea, 'cell')} that the table of land calls ocean" if at_sea else ""
    said = "" if survey is None else f" {escape(survey_words(survey))}"
    return (
        f"<header><h1>{escape(name)}: {counted(int(total.sum()), 'photograph')}</h1>"
        f'<p class="soft">They cover {ashore:,} of {land.sum():,} land cells of level L{level} '
        f"({ashore / land.sum():.1%}){beside}.{said}</p></header>"
    )


def _errors(errors: CellErrors) -> dict[str, Any]:
    at = row_major(errors.cells, errors.level).tolist()
    return {
        "level": errors.level,
        "run": errors.run,
        "split": errors.split,
        "cells": [[cell, round(km, 1)] for cell, km in zip(at, errors.median_km.tolist(), strict=True)],
        "most": [None if np.isinf(km) else km for km in STEPS_KM],
        "ramps": [ON_LIGHT, ON_DARK],
        "listed": LISTED,
    }


def _balances(total: NDArray[np.int64], data: str, mapillary: bool) -> dict[str, Any]:
    """Return by level which cells are over- and under-filled, and the commands that act on them."""
    levels = {}
    for level in range(1, TABLE_LEVEL + 1):
        found = level_balance(total.reshape(4**level, -1).sum(axis=1))
        levels[level] = {
            "over": _cells(found.over, level),
            "under": _cells(found.under, level),
            "totals": [found.over.total, found.under.total],
            "kept": found.kept,
            "each": found.each,
        }
    # A leading dash would be taken for a flag.
    folder = shlex.quote(data if not data.startswith("-") else f"./{data}")
    return {"levels": levels, "data": folder, "mapillary": mapillary}


def _cells(found: CellBalance, level: int) -> list[list[int]]:
    return np.column_stack([row_major(found.cells, level), found.have, found.change]).tolist()
