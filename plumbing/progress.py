"""Progress bars: one look, quiet where nobody watches."""

from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

from plumbing.text import printable

Item = TypeVar("Item")


def progress(
    items: Iterable[Item], what: str, unit: str, total: int | None = None, quiet: bool = False
) -> "tqdm[Item]":
    """Show a bar while iterating; silent when standard error is not a terminal.

    Args:
        items: what is iterated.
        what: the words before the bar.
        unit: what one item is, singular.
        total: how many there are, where `items` cannot say.
        quiet: show nothing, as every process but the first does.
    """
    return tqdm(
        items, desc=printable(what), unit=f" {unit}", total=total, disable=True if quiet else None, dynamic_ncols=True
    )
