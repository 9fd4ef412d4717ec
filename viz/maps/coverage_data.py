"""What the script of a coverage page takes: photographs of each split, land and country of every cell, packed and deflated."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dataset.country_names import country_name
from dataset.manifest import SPLITS
from geocells import grid
from geocells.land import TABLE_LEVEL, land_mask, land_table
from viz.maps.raster import as_rows, base64_text, varints
from viz.maps.survey import survey_data

ALL = ""
"""In the place of a split's name: of photographs without any, and of those of all splits together."""


def counts_by_split(points_deg: NDArray[np.float64], split: ArrayLike | None) -> dict[str, NDArray[np.int64]]:
    """Return the number of photographs in each cell of `TABLE_LEVEL`, by split, those first that a dataset usually has.

    Args:
        points_deg: (N, 2) latitude and longitude of photographs.
        split: (N,) names; photographs without any are one group.
    """
    cells = grid.encode(points_deg, TABLE_LEVEL)
    if split is None or not len(cells):
        return {ALL: np.bincount(cells, minlength=4**TABLE_LEVEL)}
    # A photograph may lack a split in a manifest that was made elsewhere.
    names = pd.Series(np.asarray(split, dtype=object)).fillna("no split").astype(str).to_numpy()
    found = set(names.tolist())
    known = [*(name for name in SPLITS if name in found), *sorted(found - set(SPLITS))]
    return {name: np.bincount(cells[names == name], minlength=4**TABLE_LEVEL) for name in known}


def cells_data(counts: dict[str, NDArray[np.int64]], survey: pd.DataFrame | None) -> dict[str, Any]:
    """Return all that is known of each cell, and the names by which the page shows it."""
    codes, country = np.unique(land_table().country, return_inverse=True)
    assert codes[0] == "", "cells without a country come first"
    series = [country, *counts.values()]
    if survey is not None:
        packed, of_survey = survey_data(survey)
        series += packed
    content = np.packbits(as_rows(land_mask(TABLE_LEVEL))).tobytes() + _series(series)
    return {
        "finest": TABLE_LEVEL,
        "packed": base64_text(zlib.compress(content, 9)),
        "splits": list(counts),
        "countries": ["", *(country_name(str(code)) for code in codes[1:])],
        "survey": None if survey is None else of_survey,
    }


def _series(by_cell: Sequence[NDArray[np.int64]]) -> bytes:
    return b"".join(varints(as_rows(values).ravel()) for values in by_cell)


def row_major(cells: NDArray[np.int64], level: int) -> NDArray[np.int64]:
    """Return cells as the page counts them: in rows from the north-west."""
    row, col = grid.to_row_col(cells)
    return row * grid.side(level) + col
