"""What came of a survey, cell by cell, for the coverage map: where pictures exist, and where fetching gave up and why."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from dataset.manifest import SURVEY
from geocells import grid
from viz.maps.raster import as_rows, base64_text, varints
from viz.web.page import swatches

LAYERS = (
    ("open", "#efd27a", "pictures exist, not fetched yet"),
    ("short", "#dd8a2e", "pictures exist, none could be used"),
    ("error", "#c2362b", "pictures could not be fetched"),
)
"""State, colour and words of cells that have pictures at the source and none here."""


def read_survey(data: Path) -> pd.DataFrame:
    """Read the survey of a dataset folder.

    Raises:
        ValueError: it has none.
    """
    path = data / SURVEY
    if not path.is_file():
        raise ValueError(f"{path} does not exist: only `python -m fetch mapillary` makes a survey, leave out --survey")
    return pq.read_table(path).to_pandas()


def survey_data(survey: pd.DataFrame) -> dict[str, Any]:
    """Return what the page's script takes: states, squares and reasons of all cells, as rows from the north-west."""
    cells = np.array([grid.parse_id(text)[0] for text in survey["cell"]], dtype=np.int64)
    reasons, number = np.unique(survey["reason"].fillna("").to_numpy(dtype=str), return_inverse=True)
    states = [state for state, _, _ in LAYERS]
    code = [states.index(state) + 1 if state in states else 0 for state in survey["state"]]
    columns = {"state": code, "squares": survey["squares"], "reason": number + 1}
    packed = {}
    for name, values in columns.items():
        everywhere = np.zeros(4**grid.TABLE_LEVEL, dtype=np.int64)
        everywhere[cells] = values
        packed[name] = base64_text(varints(as_rows(everywhere).ravel()))
    return {**packed, "reasons": ["", *reasons.tolist()], "colours": ["", *(colour for _, colour, _ in LAYERS)]}


def survey_words(survey: pd.DataFrame) -> str:
    """Return one sentence on what came of the cells that have pictures."""
    count = {str(state): int(n) for state, n in survey["state"].value_counts().items()}
    words = {"ok": "full", "short": "short", "open": "not finished", "error": "in error"}
    found = ", ".join(f"{count[state]:,} {what}" for state, what in words.items() if count.get(state))
    return f"The source has pictures in {int((survey['squares'] > 0).sum()):,} cells of level L{grid.TABLE_LEVEL}: {found}."


def survey_legend() -> str:
    """Return the entries of the legend, as HTML."""
    return swatches([(colour, words) for _, colour, words in LAYERS])
