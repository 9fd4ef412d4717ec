"""Colours of probabilities: one sequential ramp, the same for every level and every answer."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from numpy.typing import ArrayLike, NDArray

LOW, HIGH = 1e-3, 1.0
"""Probabilities at the ends of the ramp; in between it follows their logarithm."""
STOPS = 9
MARKS = ((0.001, "0.1%"), (0.01, "1%"), (0.1, "10%"), (1.0, "100%"))
"""Values that a legend names."""


def _stops(start: float, stop: float) -> tuple[str, ...]:
    # Magma: perceptually even, also in grey and for the colour-blind.
    return tuple(to_hex(colour) for colour in colormaps["magma"](np.linspace(start, stop, STOPS)))


LIGHT, DARK = _stops(0.9, 0.2), _stops(0.3, 0.97)
"""Colours from low to high: darker on a light map, lighter on a dark one, so that the highest stands out."""


def ramp_share(probability: ArrayLike) -> NDArray[np.float64]:
    """Return where probabilities lie on the ramp, 0 to 1."""
    values = np.log10(np.clip(probability, LOW, HIGH))
    return np.asarray((values - np.log10(LOW)) / (np.log10(HIGH) - np.log10(LOW)), dtype=np.float64)


def ramp_colour(probability: float, stops: Sequence[str] = LIGHT) -> str:
    """Return the colour of a probability, mixed of the two stops beside it.

    >>> ramp_colour(1.0) == LIGHT[-1], ramp_colour(0.0) == LIGHT[0]
    (True, True)
    """
    place = float(ramp_share(probability)) * (len(stops) - 1)
    below = min(int(place), len(stops) - 2)
    low, high = (np.array([int(stops[k][at : at + 2], 16) for at in (1, 3, 5)]) for k in (below, below + 1))
    mixed = low + (high - low) * (place - below)
    return "#" + "".join(f"{round(float(band)):02x}" for band in mixed)
