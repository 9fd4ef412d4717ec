"""Classification reports and confusion matrices of levels: each class's precision, recall, F1, support and dispersion."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from geocells import grid
from geocells.hierarchy import UNKNOWN, Hierarchy
from geocells.land import TABLE_LEVEL, land_table
from infer.evaluate.class_order import order_by_confusion, order_by_place
from infer.wording import class_words
from label_maps.labels import CLASS, COUNTRY
from label_maps.spread import class_spread

MOST_CLASSES = 300
"""Levels of more classes have no report, but for a dataset's own labels: nobody reads 25,000 rows of cells."""
TOLD = ("admin", "macro", "classes")
"""Partitions whose classes have names; cells of others are told by the country of their centre."""


def is_reported(hierarchy: Hierarchy, level: int) -> bool:
    """Say whether a level has a classification report: at most `MOST_CLASSES` classes, or labels."""
    return hierarchy.sizes()[level] <= MOST_CLASSES or hierarchy.level_names[level] == CLASS


def class_reports(
    hierarchy: Hierarchy,
    best: Mapping[int, NDArray[np.int64]],
    true: Mapping[int, NDArray[np.int64]],
    group: NDArray[np.int64],
    training: pd.DataFrame,
) -> dict[str, dict[str, Any]]:
    """Return, by name, the report of each level that has one.

    Args:
        hierarchy: the classes.
        best: by level, (N,) classes that were answered.
        true: by level, (N,) true classes; UNKNOWN where the run does not have the class.
        group: (N,) leakage groups of the photographs.
        training: rows of the manifest that the run was trained on, for the dispersion; may be empty.
    """
    spread = class_spread(hierarchy, training)
    return {
        hierarchy.level_names[level]: class_report(
            best[level], true[level], group, _facts(hierarchy, level, spread[level]), hierarchy.placed
        )
        for level in sorted(best)
        if is_reported(hierarchy, level)
    }


def class_report(
    best: NDArray[np.int64],
    true: NDArray[np.int64],
    group: NDArray[np.int64],
    facts: Sequence[Mapping[str, Any]],
    placed: bool = False,
) -> dict[str, Any]:
    """Return what scikit-learn reports of answered and true classes, and who is taken for whom.

    Args:
        best: (N,) answered classes.
        true: (N,) true classes. UNKNOWN ones are never right, and count against the class that is answered.
        group: (N,) leakage groups of the photographs.
        facts: of each of the K classes, at least its `id`, and where `placed` its `latitude` and `longitude`.
        placed: whether classes have places, by which they are then ordered.

    Returns:
        `accuracy`; `averages`, of which `macro` and `weighted` are over all classes that are true or answered, as scikit-learn
        has them, and `macro_of_true` over the true ones; `by_class`, the largest first; `order`, in which neighbours
        stand together; `confusion`, counts by true and answered class, and `unknown`, those of which the truth is not a class.
    """
    classes = np.union1d(true[true != UNKNOWN], best)
    present = np.unique(true[true != UNKNOWN])
    rows = class_rows(best, true, group, classes)
    counts = _confusion(true, best, classes)
    order = order_by_confusion(counts)
    if placed:
        order = order_by_place(np.array([[facts[k]["latitude"], facts[k]["longitude"]] for k in classes]))
    ids = [facts[k]["id"] for k in classes]
    largest = sorted(range(len(classes)), key=lambda row: -rows[row]["n"])
    lost = np.bincount(np.searchsorted(classes, best[true == UNKNOWN]), minlength=len(classes))
    return {
        "photographs": len(true),
        "accuracy": float((best == true).mean()),
        "averages": {
            "macro": _average(true, best, classes, "macro"),
            "weighted": _average(true, best, classes, "weighted"),
            "macro_of_true": _average(true, best, present, "macro"),
        },
        "by_class": {ids[row]: {**_without_id(facts[classes[row]]), **rows[row]} for row in largest},
        "order": [ids[row] for row in order],
        "confusion": {ids[row]: _sparse(counts[row], ids) for row in order if counts[row].any()},
        "unknown": _sparse(lost, ids),
    }


def _confusion(true: NDArray[np.int64], best: NDArray[np.int64], classes: NDArray[np.int64]) -> NDArray[np.int64]:
    # Scikit-learn refuses labels that never occur as the truth, and warns of a single one.
    if len(classes) == 1 or not (true != UNKNOWN).any():
        return np.full((len(classes), len(classes)), int((best == true).sum()), dtype=np.int64)
    return np.asarray(confusion_matrix(true, best, labels=classes), dtype=np.int64)


def class_rows(
    best: NDArray[np.int64], true: NDArray[np.int64], group: NDArray[np.int64], classes: NDArray[np.int64]
) -> list[dict[str, float]]:
    """Return precision, recall, F1, photographs, groups, and how often each of some classes is answered."""
    if not len(classes):
        return []
    scores = precision_recall_fscore_support(true, best, labels=classes, zero_division=0)
    return [
        {
            "n": int(support),
            "groups": len(np.unique(group[true == k])),
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(f1),
            "answered": int((best == k).sum()),
        }
        for k, precision, recall, f1, support in zip(classes.tolist(), *scores, strict=True)
    ]


def by_class(
    best: NDArray[np.int64], true: NDArray[np.int64], group: NDArray[np.int64], names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return the rows of the classes that the truth has by their names, the largest first."""
    present, count = np.unique(true[true != UNKNOWN], return_counts=True)
    present = present[np.argsort(-count, kind="stable")]
    return {names[k]: row for k, row in zip(present.tolist(), class_rows(best, true, group, present), strict=True)}


def _average(
    true: NDArray[np.int64], best: NDArray[np.int64], classes: NDArray[np.int64], how: str
) -> dict[str, float]:
    if not len(classes) or not (true != UNKNOWN).any():
        return dict.fromkeys(("precision", "recall", "f1"), 0.0)
    scores = precision_recall_fscore_support(true, best, labels=classes, average=how, zero_division=0)
    return dict(zip(("precision", "recall", "f1"), map(float, scores[:3]), strict=True))


def _sparse(counts: NDArray[np.int64], ids: Sequence[str]) -> dict[str, int]:
    return {ids[k]: int(counts[k]) for k in np.flatnonzero(counts).tolist()}


def _without_id(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key != "id"}


def _facts(hierarchy: Hierarchy, level: int, spread: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return the id, name, place, training photographs and dispersion of the classes of a level."""
    rows = hierarchy.rows(level)
    names = class_names(hierarchy, level)
    columns = zip(
        hierarchy.name[rows],
        names,
        hierarchy.train_count[rows].tolist(),
        hierarchy.center_deg[rows].tolist(),
        strict=True,
    )
    found: list[dict[str, Any]] = []
    for (key, name, count, (latitude, longitude)), (median, ninetieth) in zip(columns, spread.tolist(), strict=True):
        facts = {"id": key, "name": name, "training_photographs": count}
        if hierarchy.placed:
            facts |= {"latitude": latitude, "longitude": longitude}
        if not np.isnan(median):
            facts |= {"median_km": round(median, 3), "p90_km": round(ninetieth, 3)}
        found.append(facts)
    return found


def class_names(hierarchy: Hierarchy, level: int) -> list[str]:
    """Return the classes of a level in words: countries, regions and labels by name, cells with the country of their centre."""
    rows, name = hierarchy.rows(level), hierarchy.level_names[level]
    if hierarchy.partition.name in TOLD:
        return [class_words(text, name) for text in hierarchy.name[rows]]
    codes = land_table().country[grid.encode(hierarchy.center_deg[rows], TABLE_LEVEL)].tolist()
    around = [f"in {class_words(code, COUNTRY)}" if code else "at sea" for code in codes]
    return [f"{text} (centre {where})" for text, where in zip(hierarchy.name[rows], around, strict=True)]
