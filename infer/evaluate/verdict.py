"""What the figures of an evaluation say in one sentence: by how much a run is better than an answer that needs no network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infer.evaluate.intervals import NO_INTERVALS, bracketed, with_true_intervals
from infer.wording import class_words
from plumbing.text import counted

Report = Mapping[str, Any]

BARELY = 1.05
"""Ratios below are told without a number."""
NUMBERS = {2: "Twice", 3: "Three times", 4: "Four times", 5: "Five times", 6: "Six times", 7: "Seven times"}
ROUND = 0.025
"""Ratios so near to a whole number, as a share of it, are told as that number."""
FEWEST_GROUPS = 10
"""Of fewer groups no interval says which of two is better: resamples of two photographs are those two."""
HIGHEST_SCORE = 5000.0
SATURATED = 0.98
"""Where one fixed answer reaches this share of the highest GeoScore, it hardly tells answers apart."""
ONE_PLACE = "one fixed answer"
OTHERS = {
    "neighbour": "the place of the most similar training photograph",
    "cell prior": "the run's own counts of training photographs",
}
"""Baselines that `--baselines` adds, in words."""


@dataclass(frozen=True)
class Verdict:
    """A sentence, and what it is drawn from.

    Attributes:
        better: True where the run is better than the baseline, False where worse, None where the figures cannot tell.
        headline: the verdict, without a full stop.
        basis: figures with their 95 % intervals, as sentences.
    """

    better: bool | None
    headline: str
    basis: str


def verdict(report: Report) -> Verdict | None:
    """Return the verdict on an evaluation; None where it has no baseline.

    Fewer than `FEWEST_GROUPS` groups cannot tell. A run is better where the 95 % interval of the paired difference lies above
    zero. Evaluations of earlier versions have no paired difference: there the two intervals must not overlap, which asks for more.
    """
    report = with_true_intervals(report)
    if "classes" in report:
        return _of_classes(report)
    answers = report.get("answers") or {}
    if "one place" not in answers:
        return None
    own, fixed = (answers[name]["geoscore"] for name in ("model", "one place"))
    better = None if _too_few(report) else _better(own, fixed, report.get("over_one_place"))
    ours, theirs = (answers[name]["median_km"]["value"] for name in ("model", "one place"))
    basis = (
        f"GeoScore {_scored(own)}, where the best single place for all photographs has {_scored(fixed)}; median error "
        f"{ours:,.0f} km against {theirs:,.0f} km."
    )
    more = "".join(
        f" It is {'worse' if beaten is False else 'no better'} than {words}: GeoScore {_scored(answers[name]['geoscore'])}."
        for name, words in OTHERS.items()
        if name in answers and not _too_few(report) and not (beaten := _better(own, answers[name]["geoscore"], None))
    )
    if fixed["value"] > SATURATED * HIGHEST_SCORE:
        more += (
            " The photographs lie so near each other that GeoScore hardly tells answers apart: measure again with "
            f"--geoscore-scale-km {max(theirs, 0.001):.1g}."
        )
    return Verdict(better, _headline(better, own["value"], fixed["value"], ONE_PLACE), basis + more + _counted(report))


def _of_classes(report: Report) -> Verdict | None:
    figures = report["classes"]
    own, largest = figures["top_1"], figures["largest_class"]
    better = None if _too_few(report) else _better(own, largest, report.get("over_largest_class"))
    level = str(report.get("level", "class"))
    name = class_words(str(largest.get("name", "")), level)
    basis = (
        f"The best class is right for {_share(own)} of photographs; {name}, the largest class, answered always, is right for "
        f"{_share(largest)}."
    )
    headline = _headline(better, own["value"], largest["value"], f"always answering {name}")
    return Verdict(better, headline, basis + _counted(report))


def _too_few(report: Report) -> bool:
    """Say whether an evaluation has too few groups, or photographs where it does not say its groups, to compare with others."""
    return int(report.get("groups", report["photographs"])) < FEWEST_GROUPS


def _better(own: Report, other: Report, paired: Report | None) -> bool | None:
    low, high = (paired["low"], paired["high"]) if paired else (own["low"] - other["high"], own["high"] - other["low"])
    if low > 0:
        return True
    return False if high < 0 else None


def _headline(better: bool | None, own: float, other: float, what: str) -> str:
    if better is None:
        return f"No better than {what}, as far as these photographs can tell"
    if not better:
        return f"Worse than {what}"
    ratio = own / other if other > 0 else float("inf")
    if ratio < BARELY:
        return f"Barely better than {what}"
    if ratio > 100:
        return f"More than 100 times as good as {what}"
    whole = round(ratio)
    if whole in NUMBERS and abs(ratio - whole) <= ROUND * whole:
        return f"{NUMBERS[whole]} as good as {what}"
    return f"{ratio:.0f} times as good as {what}" if ratio >= 10 else f"{ratio:.1f} times as good as {what}"


def _scored(figure: Report) -> str:
    return bracketed(figure, ",.0f")


def _share(figure: Report) -> str:
    return bracketed(figure, ".1%")


def _counted(report: Report) -> str:
    groups = f" in {counted(report['groups'], 'group')}" if "groups" in report else ""
    few = f" So few tell nothing: {FEWEST_GROUPS} groups are needed." if _too_few(report) else ""
    intervals = NO_INTERVALS if report.get("groups") == 1 else "in brackets, 95 % intervals"
    return f" Measured on {counted(report['photographs'], 'photograph')}{groups}; {intervals}.{few}"
