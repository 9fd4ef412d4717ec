"""Points on the sphere: distances, means, areas. Latitude first, in degrees."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (IUGG, 1980); the only one in the project."""

EARTH_AREA_KM2 = 4 * np.pi * EARTH_RADIUS_KM**2

GEOSCORE_SCALE_KM = 1492.7
"""Distance at which a GeoScore has fallen to 1/e, for maps of the world (OSV-5M, Astruc et al. 2024)."""


def unit_vectors(latlon_deg: ArrayLike) -> NDArray[np.float64]:
    """Return points as unit vectors, to which the poles and the antimeridian are ordinary places.

    Args:
        latlon_deg: (..., 2) latitude, then longitude, in degrees; any finite longitude is accepted.

    Returns:
        (..., 3) unit vectors: x through (0, 0), z through the north pole.

    Raises:
        ValueError: a latitude is not in [-90, 90]; nearly always the columns are swapped.
    """
    lat_deg, lon_deg = np.moveaxis(np.asarray(latlon_deg, dtype=np.float64), -1, 0)
    check_latlon(lat_deg, lon_deg)
    lat, lon = np.radians(lat_deg), np.radians(lon_deg)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def check_latlon(lat_deg: NDArray[np.float64], lon_deg: NDArray[np.float64]) -> None:
    """Refuse what is not a coordinate.

    Raises:
        ValueError: a latitude is not in [-90, 90] or a longitude is not finite.
    """
    if not np.all(np.abs(lat_deg) <= 90):
        worst = lat_deg.flat[np.argmax(np.where(np.isnan(lat_deg), np.inf, np.abs(lat_deg)))]
        raise ValueError(f"latitude {worst:g} is not in [-90, 90]: columns are (lat, lon), are they swapped?")
    if not np.all(np.isfinite(lon_deg)):
        raise ValueError(f"longitude {lon_deg[~np.isfinite(lon_deg)].flat[0]} is not a number")


def latlon_deg(vectors: ArrayLike) -> NDArray[np.float64]:
    """Return (..., 2) latitude and longitude in degrees of (..., 3) vectors of any positive length."""
    x, y, z = np.moveaxis(np.asarray(vectors, dtype=np.float64), -1, 0)
    return np.degrees(np.stack([np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x)], axis=-1))


def distance_km(a_deg: ArrayLike, b_deg: ArrayLike) -> NDArray[np.float64]:
    """Return great-circle distances; (..., 2) against (..., 2), broadcasting.

    Args:
        a_deg: latitudes and longitudes in degrees.
        b_deg: likewise.

    Returns:
        (...) kilometres on a sphere of `EARTH_RADIUS_KM`.

    >>> round(float(distance_km((45.7597, 4.8422), (48.8567, 2.3508))), 3)
    392.217
    """
    a, b = unit_vectors(a_deg), unit_vectors(b_deg)
    # atan2 keeps full precision from metres to antipodes; arccos(a·b) loses it at both ends.
    return EARTH_RADIUS_KM * np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), np.sum(a * b, axis=-1))


def geoscore(distance_km: ArrayLike, scale_km: float = GEOSCORE_SCALE_KM) -> NDArray[np.float64]:
    """Return `5000 * exp(-distance / scale)`, unrounded, as OSV-5M does; the scale is smaller for smaller maps.

    >>> geoscore([1, 25, 200, 750, 2500]).round(2).tolist()
    [4996.65, 4916.96, 4373.01, 3025.25, 936.71]
    """
    return 5000 * np.exp(-np.asarray(distance_km, dtype=np.float64) / scale_km)


def chord(distance_km: ArrayLike) -> NDArray[np.float64]:
    """Return the straight distance between unit vectors that lie a great-circle distance apart, for KD-trees."""
    return 2 * np.sin(np.clip(np.asarray(distance_km) / (2 * EARTH_RADIUS_KM), 0, np.pi / 2))


def arc_km(chord: ArrayLike) -> NDArray[np.float64]:
    """Return great-circle distances from chords, the straight distances between unit vectors; the inverse of `chord`."""
    # From the chord: single precision keeps metres nearby, where the arc cosine of a product would lose kilometres.
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.clip(np.asarray(chord) / 2, 0, 1))


def spherical_mean(points_deg: ArrayLike, weights: ArrayLike | None = None) -> NDArray[np.float64]:
    """Return the mean of points on the sphere: the direction of the mean unit vector.

    Args:
        points_deg: (N, 2), at least one.
        weights: (N,) non-negative, not all zero; equal when None.

    Returns:
        (2,) latitude and longitude; where the mean vector vanishes (antipodes) every point is as good, and the
        heaviest given one is returned.
    """
    vectors = unit_vectors(points_deg)
    w = np.ones(len(vectors)) if weights is None else np.asarray(weights, dtype=np.float64)
    mean = w @ vectors / w.sum()
    return latlon_deg(mean if np.linalg.norm(mean) > 1e-9 else vectors[np.argmax(w)])


def group_means(points_deg: ArrayLike, group: NDArray[np.int64], groups: int) -> NDArray[np.float64]:
    """Return (groups, 2) spherical means of the points of each group; NaN for a group without points."""
    vectors = unit_vectors(points_deg)
    sums = np.stack([np.bincount(group, vectors[:, axis], groups) for axis in range(3)], axis=-1)
    means = latlon_deg(sums)
    means[np.bincount(group, minlength=groups) == 0] = np.nan
    return means


def box_area_km2(bounds_deg: ArrayLike) -> NDArray[np.float64]:
    """Return areas of boxes between parallels and meridians.

    Args:
        bounds_deg: (..., 4) south, west, north, east; east below west spans the antimeridian.

    Returns:
        (...) square kilometres, exact on the sphere.
    """
    south, west, north, east = np.moveaxis(np.radians(np.asarray(bounds_deg, dtype=np.float64)), -1, 0)
    width = np.where(east < west, east - west + 2 * np.pi, east - west)
    return EARTH_RADIUS_KM**2 * width * (np.sin(north) - np.sin(south))
