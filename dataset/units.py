"""What numbers are that cannot be degrees: signs for a missing value, metres, radians, degrees without their decimal point."""

import numpy as np
from numpy.typing import NDArray

from plumbing.text import agreeing, counted

LEAST_ROWS = 3
"""So many places within a radian or so of (0, 0), where only ocean is, are taken for radians."""
ENDS_OF_RANGE = (-32_768.0, 32_767.0, 65_535.0, -2_147_483_648.0, 2_147_483_647.0, -214.7483648, 214.7483647)
"""The ends of the ranges of whole numbers, which programs write where they have no value; also as ten millionths."""


def stands_for_nothing(latlon_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of (N, 2) places are written with a number that stands for a missing value, such as 999 or -9999.

    Only numbers that no latitude can be count. Below 360, as 99 is, both numbers of a place must be such, or the other missing.
    """
    size = np.abs(latlon_deg)
    # Of 999, 9999 and 99.9999 the next step is a power of ten.
    with np.errstate(divide="ignore", invalid="ignore"):
        power = 10 ** np.ceil(np.log10(size))
        nines = (size >= 99) & np.isfinite(size) & np.isclose(size, power - 1, rtol=0, atol=1e-9)
        fraction = (size > 99) & (size < 100) & (size > 99.98)
    ends = np.isin(latlon_deg, ENDS_OF_RANGE)
    sure = (nines & (size > 360)) | ends
    lat_only = nines[:, 0] | fraction[:, 0] | sure[:, 0]
    lon_too = nines[:, 1] | fraction[:, 1] | sure[:, 1] | np.isnan(latlon_deg[:, 1])
    return np.asarray(sure.any(axis=1) | (lat_only & lon_too), dtype=bool)


def check_unit(latlon_deg: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
    """Refuse (N, 2) metres, radians, and numbers that have lost their decimal point.

    Raises:
        ValueError: most of them are such, or all of them are radians.
    """
    known = np.isfinite(latlon_deg).all(axis=1)
    places = latlon_deg[known]
    beyond = (np.abs(places) > 1000).any(axis=1)
    if beyond.sum() * 2 > len(places):
        count, (lat, lon) = int(beyond.sum()), places[beyond][0]
        raise ValueError(
            f"{count:,} of {counted(len(places), 'place')} {agreeing(count, 'are')} not in degrees (the first is "
            f"{lat:.12g}, {lon:.12g} in row {rows[known][beyond][0]}): {_way(places[beyond])}"
        )
    if len(np.unique(places, axis=0)) >= LEAST_ROWS and _are_radians(places):
        lat, lon = places[0]
        raise ValueError(
            f"all coordinates lie near (0, 0), where only ocean is (the first are {lat:.8g}, {lon:.8g} in row {rows[known][0]}): "
            "they seem to be radians; call the columns lat_rad and lon_rad, or export degrees"
        )


def _are_radians(places: NDArray[np.float64]) -> bool:
    """Say whether places fill the range of radians, with fractions throughout; photographs of one town would not."""
    within = (np.abs(places) <= (np.pi / 2, np.pi)).all()
    spread = np.ptp(places, axis=0).max(initial=0.0) > 0.05
    return bool(within and spread and (np.round(places, 2) != places).all())


def _way(places: NDArray[np.float64]) -> str:
    """Return what numbers seem to be, and what to do with them."""
    whole = bool((places == np.round(places)).all())
    digits = 10 ** np.floor(np.log10(np.abs(places[:, 0]).clip(1)).max())
    ways: tuple[tuple[bool, str], ...] = (
        (
            _is_packed(places, 1e2),
            "they seem to be degrees and minutes without a mark between them (ddmm.mmmm, as NMEA has them): write 48 51.396 or "
            "48.8566 in place of 4851.396",
        ),
        (
            whole and _is_packed(places, 1e4),
            "they seem to be degrees, minutes and seconds without marks between them (ddmmss): write 48 51 24 in place of 485124",
        ),
        (
            whole and digits >= 1e7 and _fits(places, 1e7),
            "if they are ten millionths of a degree, call the columns latitude_e7 and longitude_e7; if millionths, latitude_e6 "
            "and longitude_e6; else export the decimal point again",
        ),
    )
    metres = "convert metres of a projection to WGS 84 (EPSG:4326), or export the decimal point again"
    return next((way for fits, way in ways if fits), metres)


def _fits(places: NDArray[np.float64], scale: float) -> bool:
    return bool((np.abs(places) <= (90 * scale, 180 * scale)).all())


def _is_packed(places: NDArray[np.float64], scale: float) -> bool:
    """Say whether all numbers are degrees times a scale with minutes, and seconds, below 60."""
    size = np.abs(places)
    units = (1.0, 1e2) if scale > 1e2 else (1.0,)
    below_60 = all((np.floor(size / unit) % 100 < 60).all() for unit in units)
    return _fits(places, scale) and below_60 and bool((size[:, 0] > scale).any())
