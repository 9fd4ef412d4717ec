"""The text of an evaluation: every figure with its 95 % interval, and how many photographs and groups it is from."""

from collections.abc import Iterator, Mapping
from typing import Any

from infer.evaluate.benchmarks import published_lines
from infer.evaluate.intervals import bracketed, intervals_words, with_true_intervals
from infer.evaluate.leakage import leak_line
from infer.evaluate.metrics import PERCENTILES, TOP, percentile_name
from infer.evaluate.verdict import verdict
from infer.wording import class_words
from label_maps.labels import COUNTRY
from plumbing.text import counted

ORDER = ("chance", "one place", "cell prior", "neighbour", "model", "in the true cell", "clue oracle")
"""By how well they know the place."""
Report = Mapping[str, Any]


def table(report: Report) -> str:
    """Return the figures of a report of `infer.evaluate.run` as text."""
    report = with_true_intervals(report)
    return "\n".join(
        [
            f"{report['run']} on the {report['split']} split: {_counts(report)}, split {report['split_hash'][:12]}, "
            f"fusion {fusion_words(report)}, point {report['point']}; {intervals_words(report)}",
            *_answer_lines(report["answers"]),
            *_verdict_lines(report),
            *_percentile_lines(report["answers"]),
            *_level_lines(report["levels"]),
            *_classification_lines(report.get("classification") or {}),
            *country_lines(report.get("country_only")),
            *calibration_lines(report),
            *region_lines(report),
            *_against_lines(report["against"]),
            leak_line(report["leaks"]),
            *published_lines(report["benchmark"]),
            *_macro_lines(report["slices"]["country_macro_average"]),
        ]
    )


def fusion_words(report: Report) -> str:
    """Return the fusion of a report, with the numbers of the greedy rule."""
    rule = report.get("greedy")
    if not rule:
        return str(report["fusion"])
    thresholds, k = (" ".join(f"{value:g}" for value in rule[name]) for name in ("thresholds", "k"))
    return f"{report['fusion']} (thresholds {thresholds}; k {k})"


def _counts(of: Mapping[str, Any]) -> str:
    return f"n = {counted(of['photographs'], 'photograph')} in {counted(of['groups'], 'group')}"


def _verdict_lines(report: Report) -> Iterator[str]:
    """Yield by how much the run is better than a baseline, in words."""
    if found := verdict(report):
        yield f"{found.headline}{'' if 'classes' in report else ', by GeoScore'}."


def _answer_lines(answers: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    within = [name for name in answers["model"] if name.startswith("within_")]
    radii = "".join(f"{f'≤{_radius(name)} km':>10}" for name in within)
    yield f"{'':<12} {'GeoScore':>22} {'median km':>24} {'mean km':>8}{radii}"
    for name in (name for name in ORDER if name in answers):
        figures = answers[name]
        shares = "".join(f"{figures[share]['value']:>10.1%}" for share in within)
        yield (
            f"{name:<12} {_with_interval(figures['geoscore']):>22} {_with_interval(figures['median_km']):>24} "
            f"{figures['mean_km']['value']:>8,.0f}{shares}"
        )


def _radius(within: str) -> str:
    return within.removeprefix("within_").removesuffix("km")


def _percentile_lines(answers: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield, for each answer, the percentiles of its error."""
    heads = "".join(f"{f'{p} %':>24}" for p in PERCENTILES)
    yield f"{'error, km':<12}{heads}"
    for name in (name for name in ORDER if name in answers):
        figures = "".join(f"{_with_interval(answers[name][percentile_name(p)]):>24}" for p in PERCENTILES)
        yield f"{name:<12}{figures}"


def _level_lines(levels: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    head = "".join(f"{f'top-{k}':>24}" for k in TOP)
    yield f"{'level':<12} {'classes':>8}{head} {'true cell known':>16}"
    for name, level in levels.items():
        # Of four classes the true one is always among five.
        told = [_share(level[f"top_{k}"]) if k < max(level["classes"], 2) else "" for k in TOP]
        shares = "".join(f"{share:>24}" for share in told)
        yield f"{name:<12} {level['classes']:>8,}{shares} {level['in_a_known_cell']:>16.1%}"


def _classification_lines(reports: Mapping[str, Report]) -> Iterator[str]:
    """Yield, for each level with a classification report, its averages."""
    if reports:
        yield f"{'by class':<12} {'accuracy':>9}{'macro precision':>17}{'recall':>8}{'F1':>8}{'weighted F1':>13}{'F1 of true':>12}"
    for name, report in reports.items():
        macro, weighted, of_true = (report["averages"][key] for key in ("macro", "weighted", "macro_of_true"))
        yield (
            f"{name:<12} {report['accuracy']:>9.1%}{macro['precision']:>17.1%}{macro['recall']:>8.1%}{macro['f1']:>8.1%}"
            f"{weighted['f1']:>13.1%}{of_true['f1']:>12.1%}"
        )


def country_lines(figures: Mapping[str, Any] | None) -> list[str]:
    """Return the lines on photographs without coordinates; nothing where there are none."""
    if not figures:
        return []
    return [f"without coordinates: {_counts(figures)}", *_class_lines(figures, str(figures.get("level", COUNTRY)))]


def classes_table(report: Report) -> str:
    """Return the figures of a report of `infer.evaluate.stated` as text."""
    report = with_true_intervals(report)
    figures = report["classes"]
    impossible = [
        f"{coverage:.0%} sets are impossible: too few groups of calibration photographs, or too many of unknown classes"
        for coverage in report["impossible_sets"]
    ]
    return "\n".join(
        [
            f"{report['run']} on the {report['split']} split: {_counts(report)}, level {report['level']} of "
            f"{counted(figures['classes'], 'class')}, split {report['split_hash'][:12]}, fusion {fusion_words(report)}; "
            f"{intervals_words(report)}",
            *_verdict_lines(report),
            *_class_lines(figures, report["level"]),
            *_classification_lines(report.get("classification") or {}),
            *([f"coverage guarantee of sets: {report['guarantee']}"] if figures["sets"] else []),
            *impossible,
            leak_line(report["leaks"]),
        ]
    )


def _class_lines(figures: Mapping[str, Any], level: str) -> Iterator[str]:
    """Yield the lines on accuracy, F1, calibration and conformal sets of classes."""
    # Of three classes the true one is always among five.
    yield ", ".join(f"top-{k} {_share(figures[f'top_{k}'])}" for k in TOP if k < max(figures["classes"], 2))
    largest = figures["largest_class"]
    name = class_words(largest["name"], level)
    yield (
        f"macro F1 {_share(figures['macro_f1'])}; always the largest class, {name}: {_share(largest)}; true class "
        f"known {figures['in_a_known_class']:.1%}"
    )
    stages = [
        ("raw", figures["stages"]["before"]["ece"]),
        ("with temperatures", figures["stages"]["after_temperatures"]["ece"]),
        ("of the confidence", figures["ece"]),
    ]
    errors = ", ".join(f"{stage} {bracketed(e, '.3f')}" for stage, e in stages)
    yield f"expected calibration error: {errors}; if perfect {figures['ece_if_perfect']['mean']:.3f}"
    for coverage, found in figures["sets"].items():
        hits, size = found["covered"], found["mean_size"]
        yield (
            f"{float(coverage):.0%} sets cover {_share(hits)} of {counted(hits['groups'], 'group')}, "
            f"{_share(found['covered_of_photographs'])} of photographs; {bracketed(size, '.1f')} "
            f"of {counted(figures['classes'], 'class')} on average, median {found['median_size']:g}"
        )


def calibration_lines(report: Report) -> Iterator[str]:
    """Yield the lines on the expected calibration error of each level."""
    yield f"{'level':<12} {'ECE raw':>22} {'with temperatures':>22} {'of the confidence':>22} {'if perfect':>11}"
    for name, level in report["calibration"].items():
        stages = (level.get(f"ece_{stage}") for stage in ("before", "after_temperatures", "after"))
        errors = "".join(f" {'' if error is None else _error(error, level, k):>22}" for k, error in enumerate(stages))
        yield f"{name:<12}{errors} {level['ece_if_perfect']['mean']:>11.3f}"


def _error(value: float, level: Mapping[str, Any], stage: int) -> str:
    interval = level["ece_intervals"][("before", "after_temperatures", "after")[stage]]
    return bracketed({**interval, "value": value}, ".3f")


def region_lines(report: Report) -> Iterator[str]:
    """Yield the lines on conformal prediction regions: their guarantee, the coverage measured, and their area."""
    if report.get("guarantee"):
        yield f"regions for {report['places']} photographs; coverage guarantee: {report['guarantee']}"
    for coverage in report["impossible_coverages"]:
        yield (
            f"{coverage:.0%} regions are impossible: too few groups of calibration photographs, or too many of them in no "
            "known cell"
        )
    for coverage, region in report["regions"].items():
        hits, circle = region["covered"], region["circle_of_equal_coverage"]
        of = "" if region.get("cells", "land") == "land" else f" of known {region['cells']} cells"
        yield (
            f"{float(coverage):.0%} regions{of} cover {_share(hits)} of {counted(hits['groups'], 'group')} "
            f"({counted(hits['n'], 'photograph')}); median {region['median_area_km2']:,.0f} km², where a circle takes "
            f"{circle['area_km2']:,.0f} km²"
        )


def _against_lines(against: Mapping[str, Any] | None) -> Iterator[str]:
    if against:
        median, mean = (_with_interval(against[name]) for name in ("median_km", "mean_km"))
        yield (
            f"against {against['run']} ({_counts(against)}): GeoScore {_with_interval(against['geoscore'])}, median error "
            f"{median} km, mean {mean} km; {_share(against['nearer'])} of photographs nearer"
        )


def _macro_lines(macro: Mapping[str, float]) -> Iterator[str]:
    if macro:
        yield f"macro average over countries: GeoScore {macro['geoscore']:,.0f}, median {macro['median_km']:,.0f} km"


def _share(figure: Mapping[str, float]) -> str:
    return bracketed(figure, ".1%")


def _with_interval(figure: Mapping[str, float]) -> str:
    return bracketed(figure, ",.0f")
