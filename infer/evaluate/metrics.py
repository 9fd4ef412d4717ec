"""Figures that say how far answers lie from the truth."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocells.sphere import GEOSCORE_SCALE_KM, geoscore

RADII_KM = (1, 25, 200, 750, 2500)
"""Street, city, region, country and continent, since Hays and Efros 2008; a distance equal to the radius counts."""

RESAMPLES = 1000
CHUNK = 4_000_000


def distance_figures(
    distance_km: NDArray[np.float64], seed: int = 0, scale_km: float = GEOSCORE_SCALE_KM
) -> dict[str, dict[str, float]]:
    """Return GeoScore, median, mean and shares within radii, each with its 95 % bootstrap interval.

    Args:
        distance_km: (N,) great-circle errors, at least one.
        seed: of the resampling.
        scale_km: of the GeoScore.

    Returns:
        By name, `{"value", "low", "high"}`; shares are of one.
    """
    means = {"geoscore": geoscore(distance_km, scale_km), "mean_km": distance_km}
    means |= {f"within_{radius}km": (distance_km <= radius).astype(np.float64) for radius in RADII_KM}
    figures = {name: mean_interval(values, seed) for name, values in means.items()}
    return {"geoscore": figures["geoscore"], "median_km": _median_interval(distance_km, seed), **figures}


def mean_interval(values: NDArray[np.float64], seed: int = 0) -> dict[str, float]:
    """Return a mean with its 95 % percentile bootstrap interval."""
    resampled = [values[rows].mean(axis=1) for rows in _resamples(len(values), seed)]
    return _interval(float(values.mean()), np.concatenate(resampled))


def paired_differences(
    ours_km: NDArray[np.float64], theirs_km: NDArray[np.float64], seed: int = 0, scale_km: float = GEOSCORE_SCALE_KM
) -> dict[str, dict[str, float]]:
    """Return how much higher GeoScore, mean and median error are than another's on the same photographs.

    Args:
        ours_km: (N,) errors.
        theirs_km: (N,) of the same photographs.
        seed: of the resampling.
        scale_km: of the GeoScore.

    Returns:
        By name, `{"value", "low", "high"}`: ours less theirs, and the share of photographs whose answer is `nearer`.
    """
    score = geoscore(ours_km, scale_km) - geoscore(theirs_km, scale_km)
    nearer = (ours_km < theirs_km).astype(np.float64)
    named = {"geoscore": score, "mean_km": ours_km - theirs_km, "nearer": nearer}
    figures = {name: mean_interval(values, seed) for name, values in named.items()}
    return {**figures, "median_km": median_difference(ours_km, theirs_km, seed)}


def median_difference(ours_km: NDArray[np.float64], theirs_km: NDArray[np.float64], seed: int = 0) -> dict[str, float]:
    """Return how much higher a median is than another's, with its 95 % interval: the same photographs are drawn for both.

    Args:
        ours_km: (..., N) errors; those of all leading axes, such as seeds of a training, count in one median.
        theirs_km: (..., N) of the same photographs.
        seed: of the resampling.
    """
    count = ours_km.shape[-1]
    ours, theirs = ours_km.reshape(-1, count), theirs_km.reshape(-1, count)
    resampled = [
        np.median(ours[:, rows], axis=(0, 2)) - np.median(theirs[:, rows], axis=(0, 2))
        for rows in _resamples(count, seed)
    ]
    return _interval(float(np.median(ours) - np.median(theirs)), np.concatenate(resampled))


def _median_interval(values: NDArray[np.float64], seed: int) -> dict[str, float]:
    resampled = [np.median(values[rows], axis=1) for rows in _resamples(len(values), seed)]
    return _interval(float(np.median(values)), np.concatenate(resampled))


def _resamples(n: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield row numbers of all resamples, in parts that fit into memory one at a time."""
    rng = np.random.default_rng(seed)
    at_once = max(1, CHUNK // n)
    for start in range(0, RESAMPLES, at_once):
        yield rng.integers(0, n, (min(at_once, RESAMPLES - start), n))


def _interval(value: float, resampled: NDArray[np.float64]) -> dict[str, float]:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return {"value": value, "low": float(low), "high": float(high)}


def slices(distance_km: NDArray[np.float64], groups: ArrayLike, least: int = 5) -> dict[str, dict[str, Any]]:
    """Return n, GeoScore and median of each group with at least `least` photographs, the largest first."""
    names, member, count = np.unique(np.asarray(groups, dtype=str), return_inverse=True, return_counts=True)
    score = np.bincount(member, geoscore(distance_km)) / count
    return {
        str(names[g]): {
            "n": int(count[g]),
            "geoscore": float(score[g]),
            "median_km": float(np.median(distance_km[member == g])),
        }
        for g in np.argsort(-count, kind="stable")
        if count[g] >= least
    }


def macro_average(sliced: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return the plain mean over groups of their GeoScores and medians; empty where there are no groups."""
    if not sliced:
        return {}
    return {name: float(np.mean([group[name] for group in sliced.values()])) for name in ("geoscore", "median_km")}
