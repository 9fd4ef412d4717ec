"""How far off a run's answers are in each cell, as `python -m infer evaluate` measured it."""

import logging
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.manifest import content_hash
from geocells import grid
from infer.evaluate.metrics import RADII_KM
from plumbing.files import read_json

log = logging.getLogger(__name__)

STEPS_KM = (*RADII_KM[1:], math.inf)
"""Largest error of a class in kilometres: city, region, country and continent, as evaluations count them."""


@dataclass(frozen=True, eq=False)
class CellErrors:
    """Median errors of one evaluation.

    Attributes:
        run: name of the run.
        split: of the photographs that were measured.
        level: of the cells.
        cells: (N,) their numbers.
        median_km: (N,) kilometres from the true places.
    """

    run: str
    split: str
    level: int
    cells: NDArray[np.int64]
    median_km: NDArray[np.float64]


def read_errors(run: Path, photos: pd.DataFrame) -> CellErrors:
    """Read the errors that the evaluation of a run has by cell: of the test split, or else of calibration or train.

    Args:
        run: the run folder.
        photos: all columns of the dataset's photographs with coordinates; other photographs than those measured are named.

    Raises:
        ValueError: the run was not evaluated, or the evaluation lacks them.
    """
    names = [run / f"evaluation_{split}.json" for split in ("test", "calibration", "train")]
    path = next((name for name in names if name.is_file()), None)
    if path is None:
        raise ValueError(f"--run {run} has no evaluation: run `python -m infer evaluate --data DATA --run {run}` first")
    report = read_json(path)
    found = _errors_of(report)
    if found is None:
        raise ValueError(
            f"{path} has no errors by cell: run `python -m infer evaluate --split {path.stem.removeprefix('evaluation_')}` again"
        )
    if content_hash(photos[photos["split"] == found.split]) != report.get("split_hash"):
        log.warning("%s measured other photographs than the %s split here has now: evaluate again", path, found.split)
    return found


def _errors_of(report: Any) -> CellErrors | None:
    """Return the errors of an evaluation; None where they are missing or are not cells and distances."""
    try:
        level, median_km = int(report["cells"]["level"]), report["cells"]["median_km"]
        parsed = [grid.parse_id(name) for name in median_km]
        values = np.array(list(median_km.values()), dtype=np.float64)
        run, split = str(report["run"]), str(report["split"])
    except (KeyError, TypeError, ValueError):
        return None
    fits = 1 <= level <= grid.TABLE_LEVEL and {depth for _, depth in parsed} == {level} and np.isfinite(values).all()
    return CellErrors(run, split, level, np.array([cell for cell, _ in parsed]), values) if fits else None


def step_words() -> list[str]:
    """Return the words of each class, as a legend names them."""
    edges = [0.0, *STEPS_KM]
    words = [f"up to {high:,.0f} km" if low == 0 else f"to {high:,.0f} km" for low, high in pairwise(edges)]
    return [*words[:-1], f"beyond {edges[-2]:,.0f} km"]
