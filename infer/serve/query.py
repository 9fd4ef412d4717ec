"""The parameters of an address as options; nothing here needs a web framework."""

from collections.abc import Sequence
from typing import Any

from infer.serve.photographs import named_areas

LISTS = {
    "within": "the photograph is from here: countries (DE or Germany), a box (south,west,north,east), or a point and a radius "
    "(48.85,2.35,50km); may be repeated",
    "exclude": "the photograph is not from here; likewise",
    "coverage": "coverage of a conformal prediction region, 0 to 1; may be repeated",
}
SINGLE = {
    "confidence": "answer at the finest level whose best cell is right with this probability, 0 to 1",
    "coarsest": "with confidence: an answer coarser than this level, such as L3, is not worth giving",
    "places": "in-distribution or unseen: for which photographs regions and confidence are calibrated",
}
AREAS = ("within", "exclude")
NUMBERS = ("coverage", "confidence")


def changes_of(query: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the options that the parameters of an address change.

    Raises:
        ValueError: a parameter is unknown, given twice, or not a number.

    Example:
        >>> changes_of([("within", "DE"), ("within", "FR"), ("confidence", "0.6")])
        {'within': ('DE', 'FR'), 'confidence': 0.6}
    """
    given: dict[str, list[str]] = {}
    for name, value in query:
        given.setdefault(name, []).append(value)
    changes: dict[str, Any] = {}
    for name, values in given.items():
        if name not in LISTS and name not in SINGLE:
            raise ValueError(f"unknown parameter {name!r}: there are {', '.join([*LISTS, *SINGLE])}")
        if name in SINGLE and len(values) > 1:
            raise ValueError(f"{name} is given {len(values)} times: give it once")
        if name in NUMBERS:
            read: Sequence[Any] = [_number(name, value) for value in values]
        else:
            read = named_areas(values) if name in AREAS else values
        changes[name] = tuple(read) if name in LISTS else read[0]
    return changes


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} is a number such as 0.6, got {text!r}") from None
