"""Answers photograph by photograph as a Parquet file beside an evaluation, by which runs are compared without answering again."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.manifest import coordinates
from plumbing.files import atomic_path

TRUE_DEG = ["latitude", "longitude"]
ANSWERED_DEG = ["answered_latitude", "answered_longitude"]
PLACES = ["id", *TRUE_DEG, *ANSWERED_DEG, "distance_km", "group"]
"""Columns of photographs with coordinates; `group` numbers the leakage groups."""
CLASSES = ["id", "true_class", "answered_class", "right", "group"]
"""Columns of photographs that are compared by class."""


def photographs_path(evaluation: Path) -> Path:
    """Return the file of the photographs of an evaluation.

    Example:
        >>> photographs_path(Path("evaluation_test.json")).name
        'evaluation_test_photographs.parquet'
    """
    return evaluation.with_name(f"{evaluation.stem}_photographs.parquet")


def answered_places(
    photos: pd.DataFrame, points_deg: NDArray[np.float64], away_km: NDArray[np.float64], group: NDArray[np.int64]
) -> pd.DataFrame:
    """Return a row for each of N photographs: its id, its place, the answer, how far off that is, and its group."""
    own = [photos["id"].to_numpy(), *coordinates(photos).T, *points_deg.T, away_km, group]
    return pd.DataFrame(dict(zip(PLACES, own, strict=True)))


def answered_classes(
    photos: pd.DataFrame, true: NDArray[np.int64], best: NDArray[np.int64], group: NDArray[np.int64]
) -> pd.DataFrame:
    """Return a row for each of N photographs: its id, its class, the answer, whether that is right, and its group."""
    own = [photos["id"].to_numpy(), true, best, best == true, group]
    return pd.DataFrame(dict(zip(CLASSES, own, strict=True)))


def write_photographs(evaluation: Path, answered: pd.DataFrame) -> Path:
    """Write the file beside an evaluation, whole or not at all, and return its path."""
    path = photographs_path(evaluation)
    with atomic_path(path) as partial:
        answered.to_parquet(partial, index=False)
    return path


def read_photographs(evaluation: Path) -> pd.DataFrame | None:
    """Return what `write_photographs` wrote; None where the evaluation is from a version that wrote no such file.

    Raises:
        ValueError: the file is damaged or lacks a column.
    """
    path = photographs_path(evaluation)
    if not path.is_file():
        return None
    try:
        answered = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): run `python -m infer evaluate` again") from None
    needed = CLASSES if "right" in answered else PLACES
    if missing := [column for column in needed if column not in answered]:
        raise ValueError(f"{path} lacks {', '.join(missing)}: run `python -m infer evaluate` again")
    return answered
