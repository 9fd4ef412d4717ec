"""Distances of answers from the truth, as figures with 95 % intervals.

Intervals are percentile cluster bootstraps: whole leakage groups (`dataset.groups`) are resampled, not photographs, because
photographs of one journey or place are not independent (Davison and Hinkley 1997, section 3.8).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocells.sphere import GEOSCORE_SCALE_KM, geoscore

RADII_KM = (1, 25, 200, 750, 2500)
"""Street, city, region, country and continent, since Hays and Efros 2008; a distance equal to the radius counts."""

TOP = (1, 3, 5, 10)
"""How many of the best classes may hold the true one, wherever that is counted."""

PERCENTILES = (25, 50, 75, 90, 95)
"""Of errors, as they are told."""

RESAMPLES = 1000
CHUNK = 4_000_000


def distance_figures(
    distance_km: NDArray[np.float64],
    group: NDArray[np.int64],
    seed: int = 0,
    scale_km: float = GEOSCORE_SCALE_KM,
    radii_km: Sequence[float] = RADII_KM,
) -> dict[str, dict[str, float]]:
    """Return GeoScore, percentiles, mean and shares within radii, each with its 95 % cluster-bootstrap interval.

    Args:
        distance_km: (N,) great-circle errors, at least one.
        group: (N,) leakage groups of the photographs.
        seed: of the resampling.
        scale_km: of the GeoScore.
        radii_km: distances within which answers are counted.

    Returns:
        By name, `{"value", "low", "high"}`; shares are of one.
    """
    means = {"geoscore": geoscore(distance_km, scale_km), "mean_km": distance_km}
    means |= {within_name(radius): (distance_km <= radius).astype(np.float64) for radius in radii_km}
    figures = mean_intervals(means, group, seed)
    percentiles = {percentile_name(p): f for p, f in percentile_intervals(distance_km, group, seed).items()}
    return {"geoscore": figures.pop("geoscore"), **percentiles, **figures}


def percentile_name(percentile: int) -> str:
    """Return what a percentile of errors is called in a file: `p90_km`, and `median_km` for the 50th."""
    return "median_km" if percentile == 50 else f"p{percentile}_km"


def percentile_intervals(
    values: NDArray[np.float64], group: NDArray[np.int64], seed: int = 0
) -> dict[int, dict[str, float]]:
    """Return the `PERCENTILES` of (N,) values with 95 % cluster-bootstrap intervals, which resample their (N,) groups."""
    resampled = _resampled_quantiles(values[None], group, seed, [p / 100 for p in PERCENTILES])
    return {
        p: _interval(float(np.quantile(values, p / 100)), column)
        for p, column in zip(PERCENTILES, resampled.T, strict=True)
    }


def within_name(radius_km: float) -> str:
    """Return the name of the share within a distance."""
    return f"within_{radius_km:.10g}km"


def mean_interval(values: NDArray[np.float64], group: NDArray[np.int64], seed: int = 0) -> dict[str, float]:
    """Return the mean of (N,) values with its 95 % cluster-bootstrap interval, which resamples their (N,) groups."""
    return mean_intervals({"mean": values}, group, seed)["mean"]


def mean_intervals(
    values: Mapping[str, NDArray[np.float64]], group: NDArray[np.int64], seed: int = 0
) -> dict[str, dict[str, float]]:
    """Return means of several (N,) values of the same photographs as `mean_interval` does, with the same resamples."""
    member, count = group_members(group)
    columns = np.stack(list(values.values()), axis=1)
    total = np.stack([np.bincount(member, column, count) for column in columns.T], axis=1)
    size = np.bincount(member, minlength=count).astype(np.float64)
    resampled = np.concatenate([(drawn @ total) / (drawn @ size)[:, None] for drawn in group_draws(count, seed)])
    means = columns.mean(axis=0)
    return {name: _interval(float(means[k]), resampled[:, k]) for k, name in enumerate(values)}


def median_interval(values: NDArray[np.float64], group: NDArray[np.int64], seed: int = 0) -> dict[str, float]:
    """Return the median of (N,) values with its 95 % cluster-bootstrap interval, which resamples their (N,) groups."""
    return _interval(float(np.median(values)), _resampled_medians(values[None], group, seed))


def paired_differences(
    ours_km: NDArray[np.float64],
    theirs_km: NDArray[np.float64],
    group: NDArray[np.int64],
    seed: int = 0,
    scale_km: float = GEOSCORE_SCALE_KM,
) -> dict[str, dict[str, float]]:
    """Return how much higher GeoScore, mean and median error are than another's on the same photographs.

    Args:
        ours_km: (N,) errors.
        theirs_km: (N,) of the same photographs.
        group: (N,) leakage groups of the photographs.
        seed: of the resampling.
        scale_km: of the GeoScore.

    Returns:
        By name, `{"value", "low", "high"}`: ours less theirs, and the share of photographs whose answer is `nearer`.
    """
    score = geoscore(ours_km, scale_km) - geoscore(theirs_km, scale_km)
    nearer = (ours_km < theirs_km).astype(np.float64)
    figures = mean_intervals({"geoscore": score, "mean_km": ours_km - theirs_km, "nearer": nearer}, group, seed)
    return {**figures, "median_km": median_difference(ours_km, theirs_km, group, seed)}


def median_difference(
    ours_km: NDArray[np.float64], theirs_km: NDArray[np.float64], group: NDArray[np.int64], seed: int = 0
) -> dict[str, float]:
    """Return how much higher a median is than another's, with its 95 % interval: the same groups are drawn for both.

    Args:
        ours_km: (..., N) errors; those of all leading axes, such as seeds of a training, count in one median.
        theirs_km: (..., N) of the same photographs.
        group: (N,) leakage groups of the photographs.
        seed: of the resampling.
    """
    count = ours_km.shape[-1]
    ours, theirs = ours_km.reshape(-1, count), theirs_km.reshape(-1, count)
    resampled = _resampled_medians(ours, group, seed) - _resampled_medians(theirs, group, seed)
    return _interval(float(np.median(ours) - np.median(theirs)), resampled)


def group_draws(groups: int, seed: int, each: int = 1) -> Iterator[NDArray[np.float64]]:
    """Yield, in parts that fit into memory, (resamples, groups) counts of how often each group is drawn.

    Args:
        groups: number of groups; each resample draws so many with replacement.
        seed: of the resampling.
        each: numbers that a caller keeps for each group and resample.
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, CHUNK // (groups * each))
    for start in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - start)
        drawn = rng.integers(0, groups, (rows, groups)) + groups * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups).astype(np.float64)


def group_members(group: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Return (N,) numbers of groups in order of their first photograph, and how many groups there are.

    Groups of one photograph each have the numbers of their photographs: their resamples are those of the plain bootstrap.
    """
    _, first, member = np.unique(group, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[member], len(first)


def _resampled_medians(values: NDArray[np.float64], group: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Return (resamples,) medians of (S, N) values of N photographs in groups; those of all S count in one median."""
    return _resampled_quantiles(values, group, seed, [0.5])[:, 0]


def _resampled_quantiles(
    values: NDArray[np.float64], group: NDArray[np.int64], seed: int, shares: Sequence[float]
) -> NDArray[np.float64]:
    """Return (resamples, quantiles) of (S, N) values of N photographs in groups; those of all S count in one quantile."""
    member, count = group_members(group)
    flat = values.ravel()
    order = np.argsort(flat, kind="stable")
    ascending, owner = flat[order], np.tile(member, len(values))[order]
    found = []
    for drawn in group_draws(count, seed, -(-len(flat) // count)):
        until = np.cumsum(drawn[:, owner], axis=1)
        columns = []
        for share in shares:
            # Between two values a quantile lies on the line between them: the median of an even number is their mean.
            place = share * (until[:, -1] - 1)
            low = np.floor(place + 1e-9)
            lower, upper = (ascending[(until > at[:, None]).argmax(axis=1)] for at in (low, np.ceil(place - 1e-9)))
            columns.append(lower + np.clip(place - low, 0, 1) * (upper - lower))
        found.append(np.stack(columns, axis=1))
    return np.concatenate(found)


def _interval(value: float, resampled: NDArray[np.float64]) -> dict[str, float]:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return {"value": value, "low": float(low), "high": float(high)}


def slices(
    distance_km: NDArray[np.float64],
    by: ArrayLike,
    group: NDArray[np.int64],
    seed: int = 0,
    scale_km: float = GEOSCORE_SCALE_KM,
    least: int = 5,
) -> dict[str, dict[str, Any]]:
    """Return n, groups, GeoScore with its interval, and median of each slice of at least `least` photographs, largest first.

    Args:
        distance_km: (N,) errors.
        by: (N,) the slice of each photograph.
        group: (N,) leakage groups of the photographs.
        seed: of the resampling.
        scale_km: of the GeoScore.
        least: photographs that a slice needs.
    """
    names, member, count = np.unique(np.asarray(by, dtype=str), return_inverse=True, return_counts=True)
    return {
        str(names[s]): _slice(distance_km[member == s], group[member == s], seed, scale_km)
        for s in np.argsort(-count, kind="stable")
        if count[s] >= least
    }


def _slice(
    distance_km: NDArray[np.float64], group: NDArray[np.int64], seed: int, scale_km: float
) -> dict[str, int | float]:
    score = mean_interval(geoscore(distance_km, scale_km), group, seed)
    return {
        "n": len(distance_km),
        "groups": len(np.unique(group)),
        "geoscore": score["value"],
        "geoscore_low": score["low"],
        "geoscore_high": score["high"],
        "median_km": float(np.median(distance_km)),
    }


def macro_average(sliced: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return the plain mean over groups of their GeoScores and medians; empty where there are no groups."""
    if not sliced:
        return {}
    return {name: float(np.mean([group[name] for group in sliced.values()])) for name in ("geoscore", "median_km")}
