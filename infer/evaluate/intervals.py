"""Figures with their 95 % intervals as text. Resampling one group of photographs gives no interval."""

from collections.abc import Mapping
from typing import Any

INTERVALS = "[95 % cluster-bootstrap interval, which resamples groups]"
INTERVALS_BELOW = "Below each figure: 95 % bootstrap interval, which resamples groups of photographs."
NO_INTERVALS = "without intervals, for resampling one group gives none"


def with_true_intervals(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a report whose bootstrap intervals are None where all its photographs, or those of a part, are one group."""
    # Evaluations of earlier versions do not say their groups.
    return _true_intervals(report, False)


def without_intervals(figures: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return figures of one group of photographs, whose bootstrap intervals are None."""
    return _true_intervals(figures, True)


def _true_intervals(part: Any, one_group: bool) -> Any:
    if not isinstance(part, Mapping):
        return part
    if {"value", "low", "high"} <= set(part):
        # A coverage has the exact binomial interval of its groups, which one group has too.
        return {**part, "low": None, "high": None} if one_group and "groups" not in part else part
    one_group = part["groups"] == 1 if "groups" in part else one_group
    return {name: _true_intervals(inner, one_group) for name, inner in part.items()}


def intervals_words(report: Mapping[str, Any]) -> str:
    """Return what the brackets behind the figures of a report are."""
    return NO_INTERVALS if report.get("groups") == 1 else INTERVALS


def intervals_note(report: Mapping[str, Any]) -> str:
    """Return what stands below each figure on the page of a report, as a sentence."""
    return f"{NO_INTERVALS[0].upper()}{NO_INTERVALS[1:]}." if report.get("groups") == 1 else INTERVALS_BELOW


def bracketed(figure: Mapping[str, Any], form: str) -> str:
    """Return a figure in a format such as `.1%`, with its interval in brackets where it has one."""
    value, low, high = (figure[name] for name in ("value", "low", "high"))
    return f"{value:{form}}" if low is None else f"{value:{form}} [{low:{form}}, {high:{form}}]"
