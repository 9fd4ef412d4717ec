"""How far answers are off, as a curve: the share of photographs within each distance."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from viz.report.line_chart import LARGE, Line, Panel

NEAREST_KM, FARTHEST_KM = 10.0, 20_000.0
STEPS = 60
COLOURS = ("series-1", "series-2", "series-3")


def error_panel(errors_km: Mapping[str, NDArray[np.float64]], split: str) -> Panel:
    """Return the curves of some answers to the same photographs, on a logarithmic axis of kilometres.

    Args:
        errors_km: (N,) errors by what the line is called; "" for a line alone.
        split: that was evaluated.
    """
    at = np.linspace(np.log10(NEAREST_KM), np.log10(FARTHEST_KM), STEPS)
    lines = [
        Line(name, colour, [(float(x), float(np.mean(errors <= 10**x))) for x in at], dots=False)
        for (name, errors), colour in zip(errors_km.items(), COLOURS, strict=False)
    ]
    title = f"Share of answers within a distance, {split} split"
    limits = (float(at[0]), float(at[-1]))
    x_title, percent = "km, each step ten times as far", "{:.0%}".format
    return Panel(title, x_title, lines, limits, (0, 1), percent, _km, whole_x=True, size=LARGE)


def _km(power: float) -> str:
    return f"{10**power:,.0f}"
