"""Evaluations of countries or labels: accuracy, calibration and conformal sets, without kilometres."""

from collections.abc import Mapping
from html import escape
from typing import Any

from infer.wording import class_words
from viz.report.confidence import calibration_table
from viz.report.parts import bar, measured, note, table

FIGURES = {
    "top_1": "Best class right (top-1)",
    "top_3": "Among best 3",
    "top_5": "Among best 5",
    "top_10": "Among best 10",
    "macro_f1": "Macro F1",
}
"""In order of the table; those of more classes than there are say nothing."""
SHOWN_CLASSES = 12


def classes_html(level: str, figures: Mapping[str, Any], guarantee: str | None) -> str:
    """Return the figures of one level of classes, as `infer.evaluate.stated` measured them, as HTML."""
    return "".join(
        [
            _accuracy(level, figures),
            _by_class(level, figures.get("by_class") or {}),
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
        f"Level {level} of {figures['classes']:,} classes; {figures['photographs']:,} photographs in {figures['groups']:,} groups. "
        "Below each figure: 95 % bootstrap interval, which resamples groups of photographs."
    )
    return table(["", "This run"], rows) + said


def _by_class(level: str, classes: Mapping[str, Mapping[str, float]]) -> str:
    if not classes:
        return ""
    rows = list(classes.items())
    shown, others = dict(rows[:SHOWN_CLASSES]), dict(rows[SHOWN_CLASSES:])
    more = f"<details><summary>{len(others)} more</summary>{_class_table(level, others)}</details>" if others else ""
    return f"<h3>By {escape(level)}</h3>{_class_table(level, shown)}{more}"


def _class_table(level: str, classes: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [
            escape(class_words(name, level)),
            f"{own['n']:,}",
            f"{own['groups']:,}",
            *(f"{own[figure]:.1%}{bar(own[figure])}" for figure in ("precision", "recall", "f1")),
        ]
        for name, own in classes.items()
    ]
    return table([level.capitalize(), "n", "Groups", "Precision", "Recall", "F1"], rows)


def _as_level(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the calibration of classes in the form that levels of cells have it."""
    stages = {**figures["stages"], "after": {"ece": figures["ece"], "reliability": figures["reliability"]}}
    return {
        **{f"ece_{stage}": own["ece"]["value"] for stage, own in stages.items()},
        "ece_intervals": {stage: own["ece"] for stage, own in stages.items()},
        "ece_if_perfect": figures["ece_if_perfect"],
        "reliability": {stage: own["reliability"] for stage, own in stages.items()},
    }


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
            f"{own['mean_size']['value']:.1f} <small>{own['mean_size']['low']:.1f}–{own['mean_size']['high']:.1f}</small>",
            f"{own['median_size']:g}",
        ]
        for coverage, own in sets.items()
    ]
    head = ["Coverage asked for", "Measured", "Of all photographs", "Mean size", "Median size"]
    stated = note(f"Coverage guarantee: {guarantee}.") if guarantee else ""
    counted = note("Each group of photographs counts as one, but in the third column.")
    title = "<h3>Do conformal sets have the coverage they state?</h3>"
    of = f"Sets of {figures['classes']:,} classes"
    return f"{title}{table(head, rows, of)}{stated}{counted}"
