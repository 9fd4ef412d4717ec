"""Classification reports and confusion matrices as CSV files beside an evaluation."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from plumbing.files import write_text

Report = Mapping[str, Any]

AVERAGES = {"macro": "macro average", "weighted": "weighted average", "macro_of_true": "macro average of true classes"}
UNKNOWN_CLASS = "(not a class of the run)"
COLUMNS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "f1",
    "n": "support",
    "groups": "groups",
    "answered": "answered",
    "training_photographs": "training_photographs",
    "latitude": "latitude",
    "longitude": "longitude",
    "median_km": "median_km_from_center",
    "p90_km": "p90_km_from_center",
}
"""Columns of a report by what the figures of a class are called."""


def class_paths(out: Path, level_name: str) -> tuple[Path, Path]:
    """Return the files of a level's report and of its confusion matrix, beside the evaluation `out`."""
    report, confusion = (
        out.with_name(f"{out.stem}_{kind}_{level_name}.csv") for kind in ("classification_report", "confusion")
    )
    return report, confusion


def write_class_files(out: Path, reports: Mapping[str, Report]) -> list[Path]:
    """Write the report and the confusion matrix of each level, each whole or not at all, and return their paths."""
    written: list[Path] = []
    for level_name, report in reports.items():
        paths = class_paths(out, level_name)
        for path, text in zip(paths, (report_csv(report), confusion_csv(report)), strict=True):
            write_text(path, text)
        written += paths
    return written


def report_csv(report: Report) -> str:
    """Return a row for each class, the largest first, then the accuracy and the averages, which have no class."""
    rows: list[list[Any]] = [["class", "name", *COLUMNS.values()]]
    for key, own in report["by_class"].items():
        rows.append([key, own.get("name", key), *(_number(own.get(column)) for column in COLUMNS)])
    known = sum(own["n"] for own in report["by_class"].values())
    blank = [""] * (len(COLUMNS) - 4)
    rows.append(["", "accuracy", "", "", _number(report["accuracy"]), report["photographs"], *blank])
    for average, name in AVERAGES.items():
        figures = report["averages"][average]
        rows.append(["", name, *(_number(figures[key]) for key in ("precision", "recall", "f1")), known, *blank])
    return _csv(rows)


def confusion_csv(report: Report) -> str:
    """Return photographs by true class, a row each, and answered class, a column each; neighbours stand together."""
    order, confusion = report["order"], report["confusion"]
    names = [report["by_class"][key].get("name", key) for key in order]
    rows: list[list[Any]] = [["true class", "name", *names]]
    rows += [[key, name, *_counts(confusion.get(key, {}), order)] for key, name in zip(order, names, strict=True)]
    if report["unknown"]:
        rows.append(["", UNKNOWN_CLASS, *_counts(report["unknown"], order)])
    return _csv(rows)


def _counts(row: Mapping[str, int], order: Sequence[str]) -> Iterable[int]:
    return (row.get(key, 0) for key in order)


def _number(value: Any) -> Any:
    return "" if value is None else round(value, 6) if isinstance(value, float) else value


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
