"""Class balance: how evenly training photographs are spread over the classes of each level."""

import numpy as np
from numpy.typing import NDArray

from geocells.hierarchy import Hierarchy
from viz.report.line_chart import LARGE, Line, Panel, panel_html
from viz.report.parts import note, table

COLOURS = ("series-1", "series-2", "series-3", "series-4", "series-5", "series-6")
POINTS = 200
"""Points of a curve at most."""
FEW = 10
"""Classes of fewer training photographs are counted."""


def balance_html(hierarchy: Hierarchy) -> str:
    """Return the balance of the levels as HTML; empty where the run names no training photographs."""
    counts = _counts(hierarchy)
    if not counts:
        return ""
    rows = [
        [name, f"{len(of):,}", f"{half_in(of):,}", f"{(of < FEW).sum():,}", f"{of[0]:,}"] for name, of in counts.items()
    ]
    head = [
        "Level",
        "Classes",
        "Largest that hold half of the photographs",
        f"Of fewer than {FEW} photographs",
        "In the largest",
    ]
    said = note(
        "Each curve has the classes of a level, the largest on the left. A flat curve is an even balance; a long tail on the right "
        "are classes that the network has hardly seen."
    )
    return f'<h3>Class balance</h3>{table(head, rows)}<div class="panels large">{panel_html(balance_panel(hierarchy))}</div>{said}'


def balance_panel(hierarchy: Hierarchy) -> Panel:
    """Return training photographs of each class by its rank, a line for each level, on a logarithmic axis."""
    counts = _counts(hierarchy)
    most = max((int(of[0]) for of in counts.values()), default=1)
    lines = [
        Line(name, COLOURS[k % len(COLOURS)], _curve(of), dots=False) for k, (name, of) in enumerate(counts.items())
    ]
    top = float(np.ceil(np.log10(max(most, 10))))
    title = "Training photographs of a class"
    return Panel(
        title,
        "share of classes, largest first",
        lines,
        (0, 1),
        (0, top),
        _photographs,
        "{:.0%}".format,
        whole_y=True,
        size=LARGE,
    )


def half_in(counts: NDArray[np.int64]) -> int:
    """Return how many of (K,) classes, the largest first, hold half of all photographs.

    >>> half_in(np.array([6, 3, 2, 1]))
    1
    """
    return int(np.searchsorted(np.cumsum(counts), counts.sum() / 2)) + 1


def _counts(hierarchy: Hierarchy) -> dict[str, NDArray[np.int64]]:
    """Return training photographs of each class, the largest first, by level."""
    found = {}
    for depth, name in enumerate(hierarchy.level_names):
        count = np.sort(hierarchy.train_count[hierarchy.rows(depth)])[::-1].astype(np.int64)
        if count.any():
            found[name] = count
    return found


def _curve(counts: NDArray[np.int64]) -> list[tuple[float, float]]:
    rank = np.unique(np.linspace(0, len(counts) - 1, POINTS).astype(int))
    return [(k / max(len(counts) - 1, 1), float(np.log10(max(counts[k], 1)))) for k in rank.tolist()]


def _photographs(power: float) -> str:
    return f"{10**power:,.0f}"
