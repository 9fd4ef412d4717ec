"""How often classes, such as countries, are right: accuracy, F1, calibration and conformal sets, with intervals.

Nothing here takes coordinates. Intervals are cluster bootstraps as in `metrics`, and each figure stands beside the number of
leakage groups.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from dataset.groups import group_weights
from geocells.hierarchy import UNKNOWN
from infer.decode.class_sets import set_members
from infer.evaluate.calibration import calibration_error_interval, error_if_perfect, reliability
from infer.evaluate.coverage import covered
from infer.evaluate.metrics import TOP, group_draws, group_members, mean_interval, mean_intervals


def class_figures(
    probability: NDArray[np.floating],
    true: NDArray[np.int64],
    group: NDArray[np.int64],
    *,
    confidence: NDArray[np.float64] | None = None,
    thresholds: Mapping[float, float] | None = None,
    largest: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return what an evaluation says of one level of classes.

    Args:
        probability: (N, K) of the classes.
        true: (N,) true classes; UNKNOWN where the run does not have the class, which is never right.
        group: (N,) leakage groups of the photographs.
        confidence: (N,) calibrated probability that the best class is right; its own probability when None.
        thresholds: of conformal sets, by coverage (`infer.decode.class_sets`); infinite ones are left out.
        largest: the class with most training photographs, to compare with.
        seed: of the bootstrap.

    Returns:
        `top_1` to `top_10`, `macro_f1`, `ece` and `largest_class` as `{"value", "low", "high"}`, the reliability diagram, and
        for each coverage how large sets are and how often they hold the true class.
    """
    best = probability.argmax(axis=1)
    right, stated = best == true, probability.max(axis=1) if confidence is None else confidence
    counts = group_weights(group)
    figures: dict[str, Any] = top_figures(probability, true, group, seed)
    figures["macro_f1"] = macro_f1(best, true, group, seed)
    if largest is not None:
        figures["largest_class"] = mean_interval((true == largest).astype(np.float64), group, seed)
    return {
        **figures,
        "photographs": len(true),
        "groups": len(np.unique(group)),
        "classes": probability.shape[1],
        "in_a_known_class": float((true != UNKNOWN).mean()),
        "ece": calibration_error_interval(stated, right, group, seed),
        "ece_if_perfect": error_if_perfect(stated, counts),
        "reliability": reliability(stated, right, counts),
        "sets": {
            f"{coverage:g}": set_figures(probability, true, group, threshold, seed)
            for coverage, threshold in (thresholds or {}).items()
            if np.isfinite(threshold)
        },
    }


def top_figures(
    probability: NDArray[np.floating], true: NDArray[np.int64], group: NDArray[np.int64], seed: int = 0
) -> dict[str, dict[str, float]]:
    """Return top-1, top-3, top-5 and top-10 with intervals; ties count against the true class."""
    own = np.take_along_axis(probability, np.maximum(true, 0)[:, None], axis=1)
    rank = np.where(true == UNKNOWN, np.iinfo(np.int64).max, (probability >= own).sum(axis=1) - 1)
    return mean_intervals({f"top_{k}": (rank < k).astype(np.float64) for k in TOP}, group, seed)


def macro_f1(
    best: NDArray[np.int64], true: NDArray[np.int64], group: NDArray[np.int64], seed: int = 0
) -> dict[str, float]:
    """Return the mean F1 over the classes that the truth has, with its interval.

    A photograph of an unknown class counts against the class that it is taken for. A resample without photographs of some
    class has the mean over the others.
    """
    present = np.unique(true[true != UNKNOWN])
    if not len(present):
        return {"value": 0.0, "low": 0.0, "high": 0.0}
    value = float(f1_score(true, best, labels=present, average="macro", zero_division=0))
    member, count = group_members(group)
    hit, of_true, of_best = (
        _by_group(member[rows], classes[rows], present, count)
        for rows, classes in ((best == true, true), (true != UNKNOWN, true), (np.isin(best, present), best))
    )
    resampled = []
    for drawn in group_draws(count, seed, len(present)):
        support = drawn @ of_true
        f1 = 2 * (drawn @ hit) / np.maximum(support + drawn @ of_best, 1)
        resampled.append(np.where(support > 0, f1, 0).sum(axis=1) / np.maximum((support > 0).sum(axis=1), 1))
    low, high = np.quantile(np.concatenate(resampled), [0.025, 0.975])
    return {"value": value, "low": float(low), "high": float(high)}


def _by_group(
    member: NDArray[np.int64], classes: NDArray[np.int64], present: NDArray[np.int64], groups: int
) -> NDArray[np.float64]:
    """Return (groups, classes) counts of some photographs."""
    place = member * len(present) + np.searchsorted(present, classes)
    return np.bincount(place, minlength=groups * len(present)).reshape(groups, -1).astype(np.float64)


def set_figures(
    probability: NDArray[np.floating],
    true: NDArray[np.int64],
    group: NDArray[np.int64],
    threshold: float,
    seed: int = 0,
) -> dict[str, Any]:
    """Return how large the conformal sets of a threshold are, and how often they hold the true class.

    Returns:
        `covered` where each group counts as one, which is what the guarantee is for; `covered_of_photographs`; `mean_size`
        with its interval, `median_size` and `threshold`.
    """
    inside = set_members(probability, threshold)
    size = inside.sum(axis=1).astype(np.float64)
    held = np.take_along_axis(inside, np.maximum(true, 0)[:, None], axis=1)[:, 0] & (true != UNKNOWN)
    return {
        "covered": covered(held, group),
        "covered_of_photographs": mean_interval(held.astype(np.float64), group, seed),
        "mean_size": mean_interval(size, group, seed),
        "median_size": float(np.median(size)),
        "threshold": threshold,
    }
