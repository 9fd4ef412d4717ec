"""Rows of a table that are dropped by their number, or because they lie apart from most others."""

import logging

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fetch.sources.config import ImportConfig
from plumbing.text import agreeing, counted

log = logging.getLogger(__name__)

EXCLUDED_ROW = "excluded by the number of their row"


def without_outliers(
    config: ImportConfig, photos: pd.DataFrame, latlon_deg: NDArray[np.float64], reasons: NDArray[np.str_]
) -> NDArray[np.str_]:
    """Return why each row cannot be used, with the rows that `--exclude-rows` and `--percentiles` drop.

    Args:
        config: the flags.
        photos: the rows, each with its number in the table as `row`.
        latlon_deg: (N, 2) coordinates.
        reasons: (N,) why each row cannot be used so far, or nothing.

    Raises:
        ValueError: no row has coordinates.
    """
    if config.exclude_rows:
        reasons = _without_rows(config.exclude_rows, photos, reasons)
    if config.percentiles is not None:
        reasons = _within_percentiles(config.percentiles, latlon_deg, reasons)
    return reasons


def _without_rows(rows: tuple[int, ...], photos: pd.DataFrame, reasons: NDArray[np.str_]) -> NDArray[np.str_]:
    dropped = photos["row"].isin(rows).to_numpy()
    names = photos["id"].where(photos["id"] != "", photos["picture"])[dropped]
    shown = [f"{name} (row {row})" for name, row in zip(names.iloc[:5], photos["row"][dropped], strict=False)]
    more = ", ..." if dropped.sum() > 5 else ""
    log.info(f"--exclude-rows: {counted(int(dropped.sum()), 'row')} left out: {', '.join(shown)}{more}")
    return np.where(dropped, EXCLUDED_ROW, reasons)


def _within_percentiles(
    percentiles: tuple[float, float], latlon_deg: NDArray[np.float64], reasons: NDArray[np.str_]
) -> NDArray[np.str_]:
    usable = (reasons == "") & np.isfinite(latlon_deg).all(axis=1)
    if not usable.any():
        raise ValueError(f"--percentiles {percentiles[0]:g} {percentiles[1]:g}: no row has coordinates: leave it out")
    (south, west), (north, east) = np.percentile(latlon_deg[usable], percentiles, axis=0)
    outside = usable & ~((latlon_deg >= (south, west)) & (latlon_deg <= (north, east))).all(axis=1)
    low, high = (f"{p:g}" for p in percentiles)
    log.info(
        f"--percentiles {low} {high}: latitudes from {south:.5f} to {north:.5f} and longitudes from {west:.5f} to {east:.5f} are "
        f"kept; {int(outside.sum()):,} of {counted(int(usable.sum()), 'photograph')} {agreeing(int(outside.sum()), 'lie')} outside"
    )
    return np.where(outside, f"outside percentiles {low} to {high} of latitude or longitude", reasons)
