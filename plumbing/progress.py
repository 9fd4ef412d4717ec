"""Progress: one look of bars on a terminal; a line of the log every so many seconds where nobody watches."""

import logging
import sys
from collections.abc import Iterable, Sized
from typing import Any, TypeVar

from tqdm import tqdm

from plumbing.text import plural, printable

Item = TypeVar("Item")

EVERY_S = 30.0
"""Seconds between two lines in a file; what is done sooner writes none."""

log = logging.getLogger(__name__)


class _Nowhere:
    """A file that keeps nothing."""

    def write(self, text: str) -> None:
        """Forget a text."""

    def flush(self) -> None:
        """Do nothing."""


class ProgressLines(tqdm):
    """Progress as lines of the log, for standard error that is a file or a pipe."""

    monitor_interval = 0
    said_n: float = -1

    def __init__(self, items: Iterable[Any], what: str, unit: str, total: int | None, every_s: float) -> None:
        """Begin to count."""
        count = len(items) if total is None and isinstance(items, Sized) else total
        known, units = count is not None, unit if count == 1 else plural(unit)
        share = (
            f" of {{total_fmt}}{units}, {{percentage:.0f}} %, {{elapsed}}, {{remaining}} left"
            if known
            else f"{units}, {{elapsed}}"
        )
        super().__init__(
            items,
            desc=what,
            unit=unit,
            total=total,
            file=_Nowhere(),
            bar_format=f"{{desc}}: {{n_fmt}}{share}{{postfix}}",
            mininterval=every_s,
            maxinterval=max(every_s, 1.0),
            miniters=1,
            delay=every_s,
        )

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write a line, unless the last one said as much."""
        if self.n != self.said_n:
            log.info("%s", str(self))
            self.said_n = self.n

    def set_postfix(self, ordered_dict: Any = None, refresh: bool | None = True, **values: Any) -> None:
        """Show values in the next line."""
        super().set_postfix(ordered_dict, refresh=False, **values)

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        """Show a text in the next line."""
        super().set_postfix_str(s, refresh=False)


def progress(
    items: Iterable[Item], what: str, unit: str, total: int | None = None, quiet: bool = False
) -> "tqdm[Item]":
    """Show a bar while iterating; where standard error is not a terminal, a line every `EVERY_S` seconds.

    Args:
        items: what is iterated.
        what: the words before the bar.
        unit: what one item is, singular.
        total: how many there are, where `items` cannot say.
        quiet: show nothing, as every process but the first does.
    """
    what, unit = printable(what), f" {unit}"
    if quiet or sys.stderr.isatty():
        return tqdm(items, desc=what, unit=unit, total=total, disable=quiet, dynamic_ncols=True)
    return ProgressLines(items, what, unit, total, EVERY_S)
