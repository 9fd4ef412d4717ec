"""Figures with their 95 % intervals as text. Resampling one group of photographs gives no interval."""

from collections.abc import Mapping
from typing import Any

INTERVALS = "[95 % cluster-bootstrap interval, which resamples groups]"
NO_INTERVALS = "without intervals, for resampling one group gives none"


def with_true_intervals(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a report whose bootstrap intervals are None where all its photographs are one group."""
    # Evaluations of earlier versions do not say their groups.
    return _without_intervals(report) if report.get("groups") == 1 else report


def intervals_words(report: Mapping[str, Any]) -> str:
    """Return what the brackets behind the figures of a report are."""
    return NO_INTERVALS if report.get("groups") == 1 else INTERVALS


def _without_intervals(part: Any) -> Any:
    if not isinstance(part, Mapping):
        return part
    # A coverage has the exact binomial interval of its groups, which one group has too.
    if {"value", "low", "high"} <= set(part) and "groups" not in part:
        return {**part, "low": None, "high": None}
    return {name: _without_intervals(inner) for name, inner in part.items()}


def bracketed(figure: Mapping[str, Any], form: str) -> str:
    """Return a figure in a format such as `.1%`, with its interval in brackets where it has one."""
    value, low, high = (figure[name] for name in ("value", "low", "high"))
    return f"{value:{form}}" if low is None else f"{value:{form}} [{low:{form}}, {high:{form}}]"
