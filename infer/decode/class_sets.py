"""Conformal prediction sets of classes, such as countries: the most probable ones up to a threshold.

The *conformity score* of a photograph is the mass of the classes more probable than its true one, as in adaptive prediction sets
(Romano, Sesia and Candès 2020, with their random variable at 0). A set holds the classes of score at most the split-conformal
quantile of the calibration photographs' scores, so that it holds the true class at least as often as asked for. The most probable
class is always in it, and a photograph of which little can be told has a large set. Two other scores do worse here. The mass up to
and with the true class fills the sets of an accurate run with classes of no probability. Thresholding `1 - p` (Sadinle, Lei and
Wasserman 2019) gives the smallest sets on average, but empty ones to the photographs that the model knows least about.
"""

import numpy as np
from numpy.typing import NDArray

from geocells.hierarchy import UNKNOWN
from infer.decode.conformal import ConformalScores

TOLERANCE = 1e-6
"""Sums of single-precision numbers in another order differ in their last digits."""


def score_of_each(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the (N, K) mass of the classes more probable than each class; equally probable ones have one score."""
    order = np.argsort(-probability, axis=1, kind="stable")
    falling = np.take_along_axis(probability, order, axis=1).astype(np.float64)
    before = np.cumsum(falling, axis=1) - falling
    # Of equally probable classes the first tells what is before all of them.
    first = np.where(np.diff(falling, axis=1, prepend=np.inf) != 0, np.arange(falling.shape[1]), 0)
    first = np.maximum.accumulate(first, axis=1)
    score = np.empty_like(before)
    np.put_along_axis(score, order, np.take_along_axis(before, first, axis=1), axis=1)
    return score


def class_scores(probability: NDArray[np.floating], true: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the conformity score of each photograph.

    Args:
        probability: (N, K) of the classes.
        true: (N,) true classes; a set never holds UNKNOWN.

    Returns:
        (N,) from 0, where the true class is the most probable, to about 1; infinite where it is unknown.
    """
    own = np.take_along_axis(probability, np.maximum(true, 0)[:, None], axis=1)
    score = np.where(probability > own, probability, 0).sum(axis=1, dtype=np.float64)
    return np.where(true == UNKNOWN, np.inf, score)


def set_threshold(scores: NDArray[np.float64], group: NDArray[np.int64], coverage: float) -> float:
    """Return the split-conformal threshold of sets, where each leakage group counts as one; infinite where impossible.

    Args:
        scores: (N,) of calibration photographs, as `class_scores` has them.
        group: (N,) their leakage groups.
        coverage: in 0 to 1.
    """
    return ConformalScores.of(scores, group).quantile(coverage)


def set_members(probability: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """Return which of (N, K) classes are in the set of each photograph; the most probable ones always are."""
    return score_of_each(probability) <= threshold + TOLERANCE


def class_set(probability: NDArray[np.floating], threshold: float) -> NDArray[np.int64]:
    """Return the classes in the set of one photograph of (K,) probabilities, the most probable first."""
    inside = np.flatnonzero(set_members(probability[None], threshold)[0])
    return inside[np.argsort(-probability[inside], kind="stable")]
