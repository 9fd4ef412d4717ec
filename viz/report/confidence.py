"""Whether confidence is calibrated and regions have their coverage, as tables and reliability diagrams."""

from collections.abc import Mapping
from html import escape
from math import sqrt
from typing import Any

from infer.wording import class_words
from viz.report.line_chart import LARGE, Line, Panel, panel_html
from viz.report.parts import area_words, bar, measured, note, table

Z95 = 1.959964
"""Of a normal distribution, 95 % lie within so many standard deviations."""
STAGES = {
    "before": ("raw", "series-soft"),
    "after_temperatures": ("scaled", "series-2"),
    "after": ("final", "series-1"),
}
"""What a probability went through: nothing, temperatures, and what makes of it the chance of being right."""


def calibration_table(levels: Mapping[str, Mapping[str, Any]]) -> str:
    """Return whether probabilities mean what they say: a table of errors and a reliability diagram of each level."""
    if not levels:
        return ""
    stages = [stage for stage in STAGES if any(f"ece_{stage}" in level for level in levels.values())]
    rows = [
        [
            escape(name),
            *(_error(level, stage) for stage in stages),
            _share((level.get("ece_if_perfect") or {}).get("mean")),
        ]
        for name, level in levels.items()
    ]
    head = ["Level", *(STAGES[stage][0] for stage in stages), "if perfect"]
    drawn = "".join(map(panel_html, reliability_panels(levels)))
    return (
        f"<h3>Is the confidence calibrated?</h3>{table(head, rows, 'Expected calibration error of the best cell')}"
        f'<div class="panels large">{drawn}</div>'
        f"{note('Raw: as the network says; scaled: with temperatures; final: what the run reports as its confidence.')}"
        f"{note('On the dashed diagonal, cells given 70 % are right 70 % of the time; below it, the run is overconfident.')}"
        f"{note('Whiskers: 95 % interval of the share right in a bin, by Wilson, where each group counts as one.')}"
    )


def _error(level: Mapping[str, Any], stage: str) -> str:
    """Return a calibration error with its interval, which version 0.1.0 and one group of photographs do not have."""
    value = _share(level.get(f"ece_{stage}"))
    interval = (level.get("ece_intervals") or {}).get(stage)
    if not interval or interval["low"] is None:
        return value
    return f"{value} <small>{100 * interval['low']:.1f}–{100 * interval['high']:.1f}</small>"


def _share(value: Any) -> str:
    return "" if value is None else f"{float(value):.1%}"


def reliability_panels(levels: Mapping[str, Mapping[str, Any]]) -> list[Panel]:
    """Return the reliability diagram of each level that has one."""
    return [_reliability(name, level["reliability"]) for name, level in levels.items() if level.get("reliability")]


def _reliability(level: str, stages: Mapping[str, Any]) -> Panel:
    lines = [Line("", "series-soft", [(0, 0), (1, 1)], dashed=True, dots=False)]
    shown = [stage for stage in STAGES if stage in stages]
    for stage in shown:
        words, colour = STAGES[stage]
        rows = stages[stage]
        # Whiskers of all stages would lie over each other.
        whiskers = [wilson(row["right"], row["n"]) for row in rows] if stage == shown[-1] else []
        lines.append(Line(words, colour, [(row["confidence"], row["right"]) for row in rows], whiskers=whiskers))
    title, percent = f"{level}: share right", "{:.0%}".format
    return Panel(title, "probability given", lines, (0, 1), (0, 1), percent, percent, size=LARGE)


def wilson(share: float, count: float) -> tuple[float, float]:
    """Return the 95 % interval of a share of so many independent trials.

    Source: Wilson 1927.

    >>> [round(limit, 4) for limit in wilson(0.5, 10)]
    [0.2366, 0.7634]
    """
    z2 = Z95**2 / count
    middle, half = (share + z2 / 2) / (1 + z2), Z95 / (1 + z2) * sqrt(share * (1 - share) / count + z2 / 4 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def regions_table(regions: Mapping[str, Mapping[str, Any]], guarantee: str | None) -> str:
    """Return whether regions have the coverage that was asked for, and how large they are."""
    if not regions:
        return ""
    rows = [
        [
            f"{float(coverage):.0%}" + _of_known(region),
            measured("covered", region["covered"]),
            _share((region.get("covered_of_photographs") or {}).get("value")),
            _share(((region.get("uncalibrated") or {}).get("covered") or {}).get("value")),
            area_words(region["median_area_km2"]) if "median_area_km2" in region else "",
            area_words(region["circle_of_equal_coverage"]["area_km2"]) if "circle_of_equal_coverage" in region else "",
        ]
        for coverage, region in regions.items()
    ]
    head = ["Coverage asked for", "Measured", "Of all photographs", "Uncalibrated", "Median km²", "One circle, km²"]
    groups = "".join(
        _region_groups(coverage, region.get("slices", region.get("groups")) or {})
        for coverage, region in regions.items()
    )
    more = f"<details><summary>by group</summary>{groups}</details>" if groups else ""
    counted = (
        "Each group of photographs, as of one journey or creator and cell, counts as one, but in the third column."
    )
    said = "One circle around each answer, of the size that would hold the place as often, takes the area on the right."
    stated = note(f"Coverage guarantee: {escape(guarantee)}.") if guarantee else ""
    return (
        f"<h3>Do regions have the coverage they state?</h3>{table(head, rows)}{more}{stated}{note(f'{counted} {said}')}"
    )


def _of_known(region: Mapping[str, Any]) -> str:
    """Return what a region is made of where that is not all land."""
    return "" if region.get("cells", "land") == "land" else f", of known {escape(str(region['cells']))} cells"


def _region_groups(coverage: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    return "".join(
        table(
            [by.capitalize(), "Photographs", "Groups", "Measured coverage"],
            [
                [escape(class_words(name, by)), f"{hits['n']:,}", f"{hits['groups']:,}", measured("covered", hits)]
                for name, hits in of.items()
            ],
            f"{float(coverage):.0%} regions by {by}",
        )
        for by, of in groups.items()
        if of
    )


def search_table(recall: Mapping[str, float]) -> str:
    """Return how many places are found by who searches the likeliest cells first, up to an area."""
    if not recall:
        return ""
    rows = [[f"{float(area):,.0f}", f"{share:.1%}{bar(share)}"] for area, share in recall.items()]
    return f"<h3>Who searches the best cells first finds the place</h3>{table(['Within km²', 'of the time'], rows)}"
