"""Why photographs have no answer, counted by kind: what a command says before it calls itself done."""

from collections.abc import Iterable

KINDS = (
    (": no such file", "missing"),
    ("the file is empty", "empty"),
    ("damaged or cut short", "damaged"),
    (" megapixels;", "too large"),
)
"""What the reason of a kind holds, and the kind in words that read after a number."""
OTHER = "not a picture"


def kind_of(reason: str) -> str:
    """Return the kind of a reason, in words that read after a number."""
    return next((kind for part, kind in KINDS if part in reason), OTHER)


def problem_words(reasons: Iterable[str]) -> str:
    """Return how many there are of each kind, the most frequent first, each with its first reason; empty without any."""
    first: dict[str, str] = {}
    count: dict[str, int] = {}
    for reason in reasons:
        kind = kind_of(reason)
        first.setdefault(kind, reason)
        count[kind] = count.get(kind, 0) + 1
    ordered = sorted(count, key=lambda kind: -count[kind])
    return ", ".join(f"{count[kind]:,} {kind} ({'first: ' * (count[kind] > 1)}{first[kind]})" for kind in ordered)
