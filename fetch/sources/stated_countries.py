"""Whether the countries that a table names hold the coordinates beside them: where they do not, one of both is wrong."""

import logging
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from dataset.country_names import country_name
from geocells.country_outlines import country_outlines
from geocells.sphere import distance_km
from plumbing.text import agreeing, counted

FAR_KM = 100.0
"""Outlines are simplified, borders disputed, and ships and piers belong to the coast that they left."""

log = logging.getLogger(__name__)


def warn_of_far_places(names: Sequence[str], latlon_deg: NDArray[np.float64], codes: Sequence[str]) -> None:
    """Warn of photographs that lie far outside the country that their row names.

    Args:
        names: (N,) of the photographs.
        latlon_deg: (N, 2) latitude and longitude; NaN where a row has none.
        codes: (N,) ISO 3166-1 alpha-2; empty where a row names none.
    """
    away = km_outside(latlon_deg, codes)
    far = np.flatnonzero(away > FAR_KM)
    if not len(far):
        return
    known = int((~np.isnan(away)).sum())
    first = far[0]
    lat_deg, lon_deg = latlon_deg[first]
    log.warning(
        f"{len(far):,} of {counted(known, 'photograph')} {agreeing(len(far), 'lie')} more than {FAR_KM:g} km outside the country "
        f"that their row names (the first: {names[first]}, {country_name(codes[first])}, at {lat_deg:.4f}, {lon_deg:.4f}, "
        f"{away[first]:,.0f} km outside): check signs and order of the coordinates, or leave --country-column out if it names the "
        "country of something else"
    )


def km_outside(latlon_deg: NDArray[np.float64], codes: Sequence[str]) -> NDArray[np.float64]:
    """Return (N,) km from (N, 2) points to the outline of a country each, 0 inside; NaN where one of both is not known."""
    outlines, code = country_outlines(), np.asarray(codes, dtype=object)
    away = np.full(len(code), np.nan)
    placed = ~np.isnan(latlon_deg).any(axis=1)
    for name in {name for name in code[placed] if name in outlines}:
        rows = np.flatnonzero(placed & (code == name))
        away[rows] = _km_to(outlines[name], latlon_deg[rows])
    return away


def _km_to(outline: shapely.Geometry, latlon_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    shapely.prepare(outline)
    away = np.full(len(latlon_deg), np.inf)
    # Outlines are cut at the antimeridian: what lies just beyond it is near all the same.
    for turn in (0, -360, 360):
        points = shapely.points(latlon_deg[:, 1] + turn, latlon_deg[:, 0])
        nearest = shapely.get_coordinates(shapely.shortest_line(points, outline)).reshape(-1, 2, 2)[:, 1, ::-1]
        away = np.minimum(away, distance_km(latlon_deg, nearest))
    return away
