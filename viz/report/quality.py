"""Evaluations of a run, figure by figure and by where photographs are from."""

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from infer.evaluate.intervals import intervals_note
from infer.evaluate.metrics import TOP
from infer.wording import class_words
from label_maps.labels import COUNTRY
from plumbing.text import agreeing, counted
from viz.report.classes import classes_html, reports_html
from viz.report.confidence import calibration_table, regions_table, search_table
from viz.report.parts import BEST_GEOSCORE, bar, kilometres, measured, missing, note, section, table, warned
from viz.report.terms import terms

ANSWERS = {
    "chance": "Chance",
    "one place": "One place",
    "cell prior": "Cell prior",
    "neighbour": "Neighbour",
    "model": "This run",
    "in the true cell": "This run, told the true cell",
    "clue oracle": "Clue oracle",
}
"""By how well they know the place; others follow."""
DIFFERENCES = {
    "geoscore": "GeoScore higher by",
    "median_km": "Median error, km",
    "mean_km": "Mean error, km",
    "nearer": "Answer nearer",
}
TOP_WORDS = {"top_1": "Best cell right", **{f"top_{k}": f"Among best {k}" for k in TOP[1:]}}
"""Version 0.1.0 wrote the first and the last."""
FIGURES = {"geoscore": "GeoScore, of 5,000", "median_km": "Median error", "mean_km": "Mean error"}
GROUPS = {
    "continent": "Continent",
    "country": "Country",
    "latitude": "Degrees north",
    "training_photographs_nearby": "Training photographs",
}
"""Ways of grouping that come first, and the heads of their tables."""
SLICED = {"n", "geoscore", "median_km"}
SHOWN_GROUPS = 12
DRAWN = {
    "answers",
    "over_one_place",
    "over_largest_class",
    "levels",
    "slices",
    "calibration",
    "regions",
    "impossible_coverages",
    "not_promised",
    "recall_by_area_km2",
    "against",
    "trained_on",
    "cells",
    "country_only",
    "classes",
    "impossible_sets",
    "level",
    "classification",
}
CLASS_TERMS = (
    *("Class", "Top-k", "Precision", "Recall", "F1", "Confusion matrix", "Interval", "Groups (leakage groups)"),
    *("Confidence", "Expected calibration error", "Reliability diagram", "Coverage"),
)
HEAD = {"run", "split", "photographs", "groups", "guarantee"}

Report = Mapping[str, Any]


def quality_sections(evaluations: Mapping[str, Report]) -> str:
    """Return a section for each evaluation as HTML."""
    if not evaluations:
        command = "python -m infer evaluate --data DATASET --run RUN --split test"
        return section("Evaluation", missing("It was not evaluated; measure it with", command))
    return "".join(_evaluation(name, report) for name, report in evaluations.items())


def _evaluation(file: str, report: Report) -> str:
    title = f"Evaluation: {report['split']} split, {_counts(report)}"
    rest = _rest(file, {key: value for key, value in report.items() if key not in DRAWN | HEAD})
    if "classes" in report:
        level, reports = str(report["level"]), report.get("classification")
        of_classes = classes_html(level, report["classes"], report.get("guarantee"), reports, file)
        return section(title, _warning(report), of_classes, terms(*CLASS_TERMS), rest)
    slices = report.get("slices") or {}
    return section(
        title,
        _warning(report),
        _answers(report),
        _against(report.get("against") or {}),
        _levels(report.get("levels") or {}),
        _slices(slices),
        reports_html(report.get("classification") or {}, file),
        calibration_table(report.get("calibration") or {}),
        regions_table(report.get("regions") or {}, report.get("guarantee")),
        search_table(report.get("recall_by_area_km2") or {}),
        _unplaced(report.get("country_only") or {}),
        terms(*_words_of(report)),
        rest,
    )


def _words_of(report: Report) -> list[str]:
    """Return the terms that the section of an evaluation uses."""
    used = ["Baseline", "GeoScore", "Median error", "Interval", "Groups (leakage groups)", "Level", "Top-k"]
    used += ["Clue oracle"] if "clue oracle" in report["answers"] else []
    used += ["Precision", "Recall", "F1", "Confusion matrix"] if report.get("classification") else []
    used += ["Confidence", "Expected calibration error", "Reliability diagram"] if report.get("calibration") else []
    return used + (["Conformal prediction region", "Coverage"] if report.get("regions") else [])


def _unplaced(figures: Report) -> str:
    """Return the figures of photographs without coordinates; versions before wrote top-1 and top-10 alone, which are listed."""
    if not figures:
        return ""
    if "stages" not in figures:
        return f"<h3>Photographs without coordinates</h3>{_rest('country_only', figures)}"
    return f"<h3>Photographs without coordinates</h3>{classes_html(str(figures.get('level', COUNTRY)), figures, None)}"


def _counts(of: Report) -> str:
    """Return how many photographs figures are of, and their groups, which version 0.1.0 did not count."""
    groups = f" in {counted(of['groups'], 'group')}" if "groups" in of else ""
    return f"{counted(of['photographs'], 'photograph')}{groups}"


def _warning(report: Report) -> str:
    """Return what makes the figures say less than they seem to: photographs that are, or are close to, training ones."""
    known, leaks = report.get("trained_on") or 0, report.get("leaks") or {}
    said = ""
    if known:
        said += warned(
            f"{known:,} of these photographs {agreeing(known, 'were')} trained on: the figures say nothing about new ones."
        )
    if leaks.get("compared_with", 0) < leaks.get("training_photographs", 0):
        compared, of = leaks["compared_with"], leaks["training_photographs"]
        said += warned(
            f"The leak audit knew {compared:,} of {counted(of, 'training photograph')}: it says nothing of the rest."
        )
    if leaks.get("contaminated"):
        related = f"{leaks['photographs']:,} of these photographs {agreeing(leaks['photographs'], 'are')} related to training ones"
        said += warned(f"{related}: {_kinds(leaks)}.")
    for coverage in report.get("impossible_coverages", report.get("not_promised")) or ():
        said += warned(f"Regions of {coverage:.0%} coverage are impossible for such photographs.")
    for coverage in report.get("impossible_sets") or ():
        said += warned(f"Sets of {coverage:.0%} coverage are impossible for such photographs.")
    return said


def _kinds(leaks: Report) -> str:
    return ", ".join(f"{kind} {count:,}" for kind, count in leaks["kinds"].items() if count)


def _against(other: Report) -> str:
    """Return by how much the run differs from another on the same photographs."""
    if not other:
        return ""
    differences = {name: value for name, value in other.items() if isinstance(value, Mapping)}
    rows = [
        [
            escape(DIFFERENCES.get(name, name)),
            *(_difference(name, value[key]) for key in ("value", "low", "high")),
        ]
        for name, value in differences.items()
    ]
    title = f"Against {other['run']}, on the same {_counts(other)}"
    return f"<h3>{escape(title)}</h3>{table(['', 'This run', 'from', 'to'], rows)}"


def _difference(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1%}" if name == "nearer" else f"{value:+,.0f}"


def _answers(report: Report) -> str:
    """Return the figures of the run beside chance and, on the demo planet, beside the oracle that reads its clues."""
    answers: Mapping[str, Mapping[str, Any]] = report["answers"]
    names = [*(name for name in ANSWERS if name in answers), *(name for name in answers if name not in ANSWERS)]
    rows = [
        [escape(figure_words(figure)), *(measured(figure, answers[name][figure]) for name in names)]
        for figure in answers["model"]
    ]
    said = note(f"{intervals_note(report)} Chance answers with the place of a training photograph at random.")
    if "one place" in answers:
        said += note("One place is the best single answer to all photographs.")
    if "neighbour" in answers:
        said += note(
            "Cell prior is the run's answer when all it knows is how many training photographs each cell has; neighbour is "
            "the place of the training photograph with the most similar features."
        )
    if "clue oracle" in answers:
        said += note(
            "The clue oracle reads exactly what a synthetic picture shows: what can be had on the demo planet."
        )
    return table(["", *(ANSWERS.get(name, name) for name in names)], rows, minor=("One place", "Cell prior")) + said


def figure_words(name: str) -> str:
    """Return what a figure is, in words, from its name."""
    if percentile := re.fullmatch(r"p(\d+)_km", name):
        return f"{percentile[1]} % of errors below"
    within = re.fullmatch(r"within_([\d.]+)km", name)
    return f"Within {float(within[1]):,.10g} km" if within else FIGURES.get(name, name.replace("_", " "))


def _levels(levels: Mapping[str, Mapping[str, Any]]) -> str:
    if not levels:
        return ""
    rows = [
        [
            escape(name),
            f"{level['classes']:,}",
            *(_top(top, level) for top in TOP_WORDS),
            f"{level['in_a_known_cell']:.1%}{bar(level['in_a_known_cell'])}",
        ]
        for name, level in levels.items()
    ]
    head = ["Level", "Classes", *TOP_WORDS.values(), "True cell is a class"]
    return f"<h3>By level</h3>{table(head, rows, minor=('Classes',))}"


def _top(name: str, level: Mapping[str, Any]) -> str:
    """Return a top-k figure; of four classes the true one is always among five, which says nothing."""
    many = int(name.removeprefix("top_")) < max(level["classes"], 2)
    return measured(name, level[name]) if many and name in level else ""


def _slices(slices: Mapping[str, Any]) -> str:
    """Return figures by group, a table for each way of grouping; what is no group of figures is left to the mean."""
    tables = {by: of for by, of in slices.items() if _is_grouped(of)}
    ordered = sorted(tables.items(), key=lambda item: list(GROUPS).index(item[0]) if item[0] in GROUPS else len(GROUPS))
    parts = "".join(_sliced(by, of) for by, of in ordered)
    macro = slices.get("country_macro_average")
    said = ""
    if macro:
        mean_km = kilometres(macro["median_km"])
        said = note(f"Mean over countries: GeoScore {macro['geoscore']:,.0f}, median error {mean_km}.")
    return f'<div class="slices">{parts}</div>{said}'


def _is_grouped(of: Any) -> bool:
    return (
        isinstance(of, Mapping) and bool(of) and all(isinstance(g, Mapping) and g.keys() >= SLICED for g in of.values())
    )


def _sliced(by: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table of groups, in order of their numbers where they have some, or else the largest first."""
    head = GROUPS.get(by, by.replace("_", " ").capitalize())
    rows = list(groups.items())
    if all(re.match(r"-?\d", name) for name in groups):
        rows.sort(key=lambda item: _first_number(item[0]), reverse=by == "latitude")
    shown, others = dict(rows[:SHOWN_GROUPS]), dict(rows[SHOWN_GROUPS:])
    of_others = _slice_table(head, others, by) if others else ""
    more = f"<details><summary>{len(others)} more</summary>{of_others}</details>" if others else ""
    return f"<div><h3>By {escape(by.replace('_', ' '))}</h3>{_slice_table(head, shown, by)}{more}</div>"


def _first_number(text: str) -> float:
    found = re.match(r"-?\d+", text)
    return float(found[0]) if found else 0.0


def _slice_table(of: str, groups: Mapping[str, Mapping[str, Any]], by: str) -> str:
    # Version 0.1.0 did not count the groups of photographs.
    counted = all("groups" in group for group in groups.values())
    rows = [
        [
            escape(class_words(name, by)),
            f"{group['n']:,}",
            *([f"{group['groups']:,}"] if counted else []),
            kilometres(group["median_km"]),
            f"{group['geoscore']:,.0f}{bar(group['geoscore'] / BEST_GEOSCORE)}",
        ]
        for name, group in groups.items()
    ]
    return table(
        [of, "Photographs", *(["Groups"] if counted else []), "Median error", "GeoScore"], rows, minor=("Groups",)
    )


def _rest(file: str, values: Report) -> str:
    """Return whatever else an evaluation says, by the names it has in the file."""
    rows = [[escape(name), escape(value)] for name, value in _flat(values)]
    if not rows:
        return ""
    inside = f"<summary>everything else in {escape(file)}</summary>{table(['', ''], rows)}"
    return f'<details class="rest">{inside}</details>'


def _flat(values: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _flat(value, f"{name} / {key}" if name else str(key))
    elif isinstance(values, list) and any(isinstance(value, Mapping | list) for value in values):
        for k, value in enumerate(values):
            yield from _flat(value, f"{name} / {k}")
    else:
        yield name, f"{values:.6g}" if isinstance(values, float) else str(values)
