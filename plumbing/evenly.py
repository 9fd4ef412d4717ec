"""Some of many, evenly from all of them: the same ones each time."""

from typing import TypeVar

Item = TypeVar("Item")


def evenly(items: list[Item], limit: int | None) -> list[Item]:
    """Return at most so many items, evenly from all, in their order; all where there is no limit."""
    if limit is None or limit >= len(items):
        return items
    return [items[k * len(items) // limit] for k in range(limit)]
