"""Evaluations of classes: precision, recall, F1 and confusions of each, and, of countries or labels alone, all the rest."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from infer.evaluate.class_files import AVERAGES, class_paths
from infer.evaluate.intervals import intervals_note
from infer.wording import class_words
from label_maps.labels import CLASS, STATED
from plumbing.text import counted
from viz.report.confidence import calibration_table
from viz.report.confusion import confusion_html
from viz.report.parts import bar, kilometres, measured, note, table

FIGURES = {
    "top_1": "Best class right (top-1)",
    "top_3": "Among best 3",
    "top_5": "Among best 5",
    "top_10": "Among best 10",
    "macro_f1": "Macro F1",
}
"""In order of the table; those of more classes than there are say nothing."""
SHOWN_CLASSES = 12


def classes_html(
    level: str,
    figures: Mapping[str, Any],
    guarantee: str | None,
    reports: Mapping[str, Any] | None = None,
    file: str = "",
) -> str:
    """Return the figures of one level of classes, as `infer.evaluate.stated` measured them, as HTML.

    Args:
        level: its name.
        figures: what was measured.
        guarantee: of the coverage of sets.
        reports: classification reports by level, which evaluations from before lack.
        file: name of the evaluation.
    """
    of_classes = reports_html(reports, file) if reports else _by_class(level, figures.get("by_class") or {})
    return "".join(
        [
            _accuracy(level, figures),
            of_classes,
            calibration_table({level: _as_level(figures)}),
            _sets(figures, guarantee),
        ]
    )


def _accuracy(level: str, figures: Mapping[str, Any]) -> str:
    shown = [name for name in FIGURES if not name.startswith("top_") or int(name[4:]) < figures["classes"]]
    largest = figures["largest_class"]
    rows = [[escape(FIGURES[name]), measured(name, figures[name])] for name in shown]
    rows.append([f"Always {escape(class_words(largest['name'], level))}, the largest", measured("top_1", largest)])
    rows.append([f"True {escape(level)} is a class", f"{figures['in_a_known_class']:.1%}"])
    said = note(
        f"Level {level} of {counted(figures['classes'], 'class')}; {counted(figures['photographs'], 'photograph')} in "
        f"{counted(figures['groups'], 'group')}. {intervals_note(figures)}"
    )
    return table(["", "This run"], rows) + said


def reports_html(reports: Mapping[str, Mapping[str, Any]], file: str) -> str:
    """Return the classification report and the confusions of each level that has one; of several, cells are folded."""
    parts = [_report(level, report, file) for level, report in reports.items()]
    if len(parts) < 2:
        return "".join(parts)
    return "<h3>Which classes are right</h3>" + "".join(
        f"<details{' open' if level in STATED else ''}><summary>{escape(_title(level))}, {report['accuracy']:.1%} right"
        f"</summary>{part}</details>"
        for (level, report), part in zip(reports.items(), parts, strict=True)
    )


def _title(level: str) -> str:
    return "Classes" if level == CLASS else f"Classes of {level}"


def _report(level: str, report: Mapping[str, Any], file: str) -> str:
    whole, matrix = (path.name for path in class_paths(Path(file), level))
    return "".join(
        [
            _by_class(level, report["by_class"]),
            _averages(report),
            note(f"All classes, with their centres and training photographs, are in {whole}."),
            confusion_html(report, matrix),
        ]
    )


def _averages(report: Mapping[str, Any]) -> str:
    rows = [
        [escape(name.capitalize()), *(f"{report['averages'][key][of]:.1%}" for of in ("precision", "recall", "f1"))]
        for key, name in AVERAGES.items()
    ]
    said = f"Accuracy {report['accuracy']:.1%} of {counted(report['photographs'], 'photograph')}"
    return table(["", "Precision", "Recall", "F1"], rows, said)


def _by_class(level: str, classes: Mapping[str, Mapping[str, Any]]) -> str:
    if not classes:
        return ""
    rows = list(classes.items())
    shown, others = dict(rows[:SHOWN_CLASSES]), dict(rows[SHOWN_CLASSES:])
    more = f"<details><summary>{len(others)} more</summary>{_class_table(level, others)}</details>" if others else ""
    far = "median_km" in rows[0][1]
    said = note(
        "Spread: median distance of the class's training photographs from its centre, below it the 90th percentile."
    )
    title = f"{_title(level)}: how often they are right, and what they are taken for"
    return f"<h3>{escape(title)}</h3>{_class_table(level, shown)}{more}{said if far else ''}"


def _class_table(level: str, classes: Mapping[str, Mapping[str, Any]]) -> str:
    far = any("median_km" in own for own in classes.values())
    rows = [
        [
            escape(own.get("name") or class_words(name, level)),
            f"{own['n']:,}",
            f"{own['groups']:,}",
            *(f"{own[figure]:.1%}{bar(own[figure])}" for figure in ("precision", "recall", "f1")),
            *([_spread(own)] if far else []),
        ]
        for name, own in classes.items()
    ]
    head = [level.capitalize(), "Photographs", "Groups", "Precision", "Recall", "F1", *(["Spread, km"] if far else [])]
    return table(head, rows, minor=("Groups",))


def _spread(own: Mapping[str, Any]) -> str:
    """Return how far a class's training photographs lie from its centre."""
    if "median_km" not in own:
        return ""
    median, ninetieth = (kilometres(own[key]).removesuffix(" km") for key in ("median_km", "p90_km"))
    return f"{median} <small>{ninetieth}</small>"


def _as_level(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the calibration of classes in the form that levels of cells have it."""
    stages = {**figures["stages"], "after": {"ece": figures["ece"], "reliability": figures["reliability"]}}
    return {
        **{f"ece_{stage}": own["ece"]["value"] for stage, own in stages.items()},
        "ece_intervals": {stage: own["ece"] for stage, own in stages.items()},
        "ece_if_perfect": figures["ece_if_perfect"],
        "reliability": {stage: own["reliability"] for stage, own in stages.items()},
    }


def _mean_size(size: Mapping[str, Any]) -> str:
    interval = "" if size["low"] is None else f" <small>{size['low']:.1f}–{size['high']:.1f}</small>"
    return f"{size['value']:.1f}{interval}"


def _sets(figures: Mapping[str, Any], guarantee: str | None) -> str:
    """Return whether conformal sets have their coverage, and how many classes they hold."""
    sets = figures.get("sets") or {}
    if not sets:
        return ""
    rows = [
        [
            f"{float(coverage):.0%}",
            measured("covered", own["covered"]),
            measured("covered", own["covered_of_photographs"]),
            _mean_size(own["mean_size"]),
            f"{own['median_size']:g}",
        ]
        for coverage, own in sets.items()
    ]
    head = ["Coverage asked for", "Measured", "Of all photographs", "Mean size", "Median size"]
    stated = note(f"Coverage guarantee: {guarantee}.") if guarantee else ""
    weights = note("Each group of photographs counts as one, but in the third column.")
    title = "<h3>Do conformal sets have the coverage they state?</h3>"
    of = f"Sets of {counted(figures['classes'], 'class')}"
    return f"{title}{table(head, rows, of)}{stated}{weights}"
