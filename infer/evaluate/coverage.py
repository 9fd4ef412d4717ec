"""Coverage of regions, the circles that would cover as much, and the area searched until a place is found.

Each leakage group (`dataset.groups`) counts as one, as it does in conformal calibration.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from dataset.groups import group_weights
from geocells.hierarchy import UNKNOWN
from geocells.sphere import EARTH_RADIUS_KM

LEAST = 20
"""A slice of fewer leakage groups has no coverage of its own."""


def covered(hits: NDArray[np.bool_], group: NDArray[np.int64]) -> dict[str, float]:
    """Return a share, where each leakage group counts as one, with the exact binomial 95 % interval of so many groups.

    The interval is that of Clopper and Pearson, which holds for few groups and shares near one, where a bootstrap does not. It
    takes each group as one trial. Photographs of a group differ, so the interval is rather too wide.

    Args:
        hits: (N,) what is counted.
        group: (N,) leakage groups of the photographs.
    """
    counts = group_weights(group)
    n = float(counts.sum())
    # The same counts added up in another order may come to a little more.
    value = min(1.0, float(counts @ hits) / n)
    k = value * n
    low = float(beta.ppf(0.025, k, n - k + 1)) if k > 1e-9 else 0.0
    high = float(beta.ppf(0.975, k + 1, n - k)) if n - k > 1e-9 else 1.0
    return {"n": len(hits), "groups": round(n), "value": value, "low": low, "high": high}


def coverage_by_slice(hits: NDArray[np.bool_], by: ArrayLike, group: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """Return the coverage of each slice of at least `LEAST` groups, the largest first.

    A right average can hide slices without coverage.

    Args:
        hits: (N,) what is counted.
        by: (N,) the slice of each photograph.
        group: (N,) leakage groups of the photographs.
    """
    names, member = np.unique(np.asarray(by, dtype=str), return_inverse=True)
    count = np.bincount(member)
    return {
        str(names[s]): covered(hits[member == s], group[member == s])
        for s in np.argsort(-count, kind="stable")
        if len(np.unique(group[member == s])) >= LEAST
    }


def circle_radius_km(distance_km: NDArray[np.float64], coverage: float, counts: NDArray[np.float64]) -> float:
    """Return the radius of the circle around the answer that would cover as much of what these photographs count."""
    return float(np.quantile(distance_km, coverage, weights=counts, method="inverted_cdf"))


def circle_area_km2(radius_km: float) -> float:
    """Return the area of a circle on the sphere."""
    return float(2 * np.pi * EARTH_RADIUS_KM**2 * (1 - np.cos(radius_km / EARTH_RADIUS_KM)))


def searched_area(
    mass: NDArray[np.floating], area_km2: NDArray[np.float64], true_cell: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the area of all cells at least as dense as the true one: what is searched until the place is found.

    Args:
        mass: (N, C) probabilities of cells.
        area_km2: (C,).
        true_cell: (N,) cells; for UNKNOWN the area is infinite.
    """
    density = mass / area_km2
    own = density[np.arange(len(true_cell)), np.maximum(true_cell, 0)]
    area = np.where(density >= own[:, None], area_km2, 0).sum(axis=1)
    return np.where(true_cell == UNKNOWN, np.inf, area)
