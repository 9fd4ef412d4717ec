"""What came of a survey, cell by cell, for the coverage map: where pictures exist, and where fetching gave up and why."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.manifest import SURVEY
from geocells import grid
from geocells.land import land_mask
from plumbing.parquet import read_columns
from plumbing.text import counted
from viz.web.page import seen_over, swatches

LAYERS = (
    ("open", "#efd27a", "pictures exist, not fetched yet"),
    ("short", "#dd8a2e", "pictures exist, none could be used"),
    ("error", "#c2362b", "pictures could not be fetched"),
    ("empty", "#a79bbd", "land searched, nothing exists"),
)
"""State, colour and words of cells that were searched and have no photographs here. Empty ocean keeps the colour of ocean."""
STATES = ("", *(state for state, _, _ in LAYERS), "ok")
"""States by the numbers that the page has for them; the first is of cells that were never searched."""
SHORT_WORDS = {
    "open": "not fetched yet",
    "short": "without usable pictures",
    "error": "in error",
    "empty": "searched and empty",
    "ok": "full",
}
"""What the cells within a coarser one are counted as."""
NEVER = "land never searched"


def read_survey(data: Path) -> pd.DataFrame:
    """Read the survey of a dataset folder.

    Raises:
        ValueError: it has none.
    """
    path = data / SURVEY
    if not path.is_file():
        raise ValueError(f"{path} does not exist: only `python -m fetch mapillary` makes a survey, leave out --survey")
    table = read_columns(path, again="make it again with `python -m fetch mapillary`")
    if missing := {"cell", "squares", "state", "reason", "photographs"} - set(table.column_names):
        raise ValueError(f"{path} lacks the column {min(missing)}: make it again with `python -m fetch mapillary`")
    return table.to_pandas()


def survey_data(survey: pd.DataFrame) -> tuple[list[NDArray[np.int64]], dict[str, Any]]:
    """Return states, squares, reasons and days of all cells as numbers, and what the page's script says of these."""
    cells = np.array([grid.parse_id(text)[0] for text in survey["cell"]], dtype=np.int64)
    reasons, number = np.unique(survey["reason"].fillna("").to_numpy(dtype=str), return_inverse=True)
    code = [STATES.index(state) for state in survey["state"]]
    days, day = np.unique(_searched_on(survey), return_inverse=True)
    columns = []
    for values in (code, survey["squares"], number + 1, day + 1):
        everywhere = np.zeros(4**grid.TABLE_LEVEL, dtype=np.int64)
        everywhere[cells] = values
        columns.append(everywhere)
    return columns, {
        "reasons": ["", *reasons.tolist()],
        "days": ["", *days.tolist()],
        "colours": ["", *(colour for _, colour, _ in LAYERS), ""],
        "words": ["never searched" if lists_all(survey) else "", *(SHORT_WORDS[state] for state in STATES[1:])],
        "empty": STATES.index("empty"),
        "whole": lists_all(survey),
    }


def lists_all(survey: pd.DataFrame) -> bool:
    """Say whether a survey lists all cells that were searched; those of earlier versions list only cells with pictures."""
    return "searched_at_utc" in survey


def _searched_on(survey: pd.DataFrame) -> NDArray[np.str_]:
    """Return the day on which each cell was searched, nothing where it is not known."""
    if not lists_all(survey):
        return np.full(len(survey), "")
    return survey["searched_at_utc"].fillna("").str.slice(0, 10).to_numpy(dtype=str)


def survey_words(survey: pd.DataFrame) -> str:
    """Return what came of the cells that have pictures, and how many were searched and have none, or never searched."""
    count = {str(state): int(n) for state, n in survey["state"].value_counts().items()}
    words = {"ok": "full", "short": "short", "open": "not finished", "error": "in error"}
    found = ", ".join(f"{count[state]:,} {what}" for state, what in words.items() if count.get(state))
    there = counted(int((survey["squares"] > 0).sum()), "cell")
    said = f"The source has pictures in {there} of level L{grid.TABLE_LEVEL}: {found}."
    if not lists_all(survey):
        return said
    land = land_mask(grid.TABLE_LEVEL)
    cells = np.array([grid.parse_id(text)[0] for text in survey["cell"]], dtype=np.int64)
    nothing = int(land[cells[survey["state"].to_numpy() == "empty"]].sum())
    never = int(land.sum() - land[cells].sum())
    return f"{said} Land cells where nothing exists: {nothing:,}; never searched: {never:,}."


def survey_legend(survey: pd.DataFrame) -> str:
    """Return the entries of the legend, as HTML."""
    shown = LAYERS if lists_all(survey) else LAYERS[:-1]
    return swatches([(seen_over(colour), words) for _, colour, words in shown])


def bare_words(survey: pd.DataFrame | None) -> str:
    """Return what land means that has the colour of nothing."""
    return NEVER if survey is not None and lists_all(survey) else "land without photographs"
