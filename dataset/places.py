"""Latitude and longitude of the rows of a table: in two columns or in one, as numbers, texts, WKT or WKB.

What the rows of a table leave open is decided for the whole table: which of two numbers is the latitude, whether longitudes
run from 0 to 360. A table is read whole, or refused with the values that prevent it.
"""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.degrees import Column, read_degrees
from dataset.pairs import FEW, numbers_of, read_pairs, tells_swapped, unread_words
from dataset.units import check_unit, stands_for_nothing
from plumbing.text import agreeing, counted

log = logging.getLogger(__name__)

WITHOUT = "without coordinates"


def check_coordinates(
    photos: pd.DataFrame, ignored: NDArray[np.bool_] | None = None, known_columns: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Return (N, 2) latitude and longitude in degrees, and for each row why they cannot be used, or nothing.

    Args:
        photos: `latitude` and `longitude`, or `latlon` or `lonlat` with both in one column; `row` with the numbers of rows.
        ignored: (N,) rows whose values are passed over, whatever they are.
        known_columns: the columns are those of a published table: they cannot be swapped, and what is out of range is a slip.

    Raises:
        ValueError: values cannot be read or cannot be degrees, or the columns are evidently swapped.
    """
    rows = photos["row"].to_numpy() if "row" in photos else np.arange(len(photos))
    both = next((name for name in ("latlon", "lonlat") if name in photos), None)
    if both is not None:
        latlon_deg, missing = read_pairs(_kept(photos[both], ignored), both == "lonlat", rows)
    else:
        columns = [_read_column(_kept(photos[name], ignored), name, rows) for name in ("latitude", "longitude")]
        _check_sides(columns)
        columns = [
            _with_sides(c, photos, name, rows) for c, name in zip(columns, ("latitude", "longitude"), strict=True)
        ]
        latlon_deg = np.column_stack([column.degrees for column in columns])
        missing = columns[0].missing | columns[1].missing
        for name, column in zip(("latitude", "longitude"), columns, strict=True):
            if column.notes:
                log.info(f"the {name}s have {' and '.join(column.notes)}")
    missing |= stands_for_nothing(latlon_deg)
    latlon_deg = np.where(missing[:, None], np.nan, latlon_deg)
    if not known_columns:
        _check_order(latlon_deg, rows, in_columns=both is None)
        check_unit(latlon_deg, rows)
        latlon_deg = _turned(latlon_deg, rows)
        _check_range(latlon_deg, missing, rows)
    lat, lon = latlon_deg.T
    reasons = np.select(
        [missing, ~((np.abs(lat) <= 90) & (np.abs(lon) <= 180)), (lat == 0) & (lon == 0)],
        [WITHOUT, "with coordinates out of range", "at (0, 0)"],
        default="",
    )
    return latlon_deg, reasons


def _kept(values: pd.Series, ignored: NDArray[np.bool_] | None) -> pd.Series:
    return values if ignored is None or not ignored.any() else values.mask(ignored)


def _read_column(values: pd.Series, name: str, rows: NDArray[np.int64]) -> Column:
    """Read a column of degrees whole.

    Raises:
        ValueError: values cannot be read; the message shows some.
    """
    try:
        column = read_degrees(values)
    except ValueError as error:
        raise ValueError(f"the {name}s {error}") from None
    if column.unreadable.any():
        raise ValueError(unread_words(f"{name}s", values, column.unreadable, rows))
    return column


def _check_sides(columns: Sequence[Column]) -> None:
    """Refuse hemispheres that belong to the other column."""
    lat, lon = (column.sides for column in columns)
    if lat & set("EWO") or lon & set("NS"):
        letters = ", ".join(sorted((lat & set("EWO")) | (lon & set("NS"))))
        raise ValueError(_swapped(f"the hemispheres ({letters}) belong to the other column"))


def _swapped(why: str) -> str:
    return f"{why}: latitude and longitude are swapped, name the columns with --lat-column and --lon-column"


def _with_sides(column: Column, photos: pd.DataFrame, name: str, rows: NDArray[np.int64]) -> Column:
    """Return a column with the signs of its column of hemispheres, such as GPSLatitudeRef, where there is one."""
    side = f"{name}_side"
    if side not in photos:
        return column
    letters = photos[side].astype(str).str.strip().str.casefold().str[:1].str.upper()
    south, north = ("S", "N") if name == "latitude" else ("W", "E")
    known = letters.isin([south, north]).to_numpy()
    open_ = ~known & ~column.missing & (column.degrees > 0)
    if open_.any() and known.any():
        raise ValueError(unread_words(f"hemispheres of {name}s", photos[side], open_, rows))
    negative = column.degrees < 0
    against = negative & (letters == north).to_numpy()
    if against.any():
        row = rows[against][0]
        raise ValueError(
            f"row {row}: the {name} {column.degrees[against][0]:g} is negative and its hemisphere is {north}"
        )
    column.degrees = np.where((letters == south).to_numpy() & ~negative, -column.degrees, column.degrees)
    return column


def _check_order(latlon_deg: NDArray[np.float64], rows: NDArray[np.int64], in_columns: bool) -> None:
    """Refuse places whose latitude and longitude are evidently exchanged: some rows tell, and none contradicts.

    Raises:
        ValueError: they are; the message says what to do with columns of their own, or with both numbers in one.
    """
    swapped, right = tells_swapped(latlon_deg)
    if not swapped.any() or right.any():
        return
    first = int(np.flatnonzero(swapped)[0])
    count, numbers = int(swapped.sum()), int(np.isfinite(latlon_deg).all(axis=1).sum())
    why = (
        f"{count:,} of {counted(numbers, 'latitude')} {agreeing(count, 'are')} beyond 90 degrees (the first is "
        f"{latlon_deg[first, 0]:g} in row {rows[first]}) while no longitude is"
    )
    if not in_columns:
        raise ValueError(
            f"{why}: they were written with the latitude first; write the longitude first, as GeoJSON, KML and WKT have it"
        )
    raise ValueError(
        f"{_swapped(why)}; if these rows alone are wrong, leave them out with --exclude-rows {rows[first]}"
    )


def _check_range(latlon_deg: NDArray[np.float64], missing: NDArray[np.bool_], rows: NDArray[np.int64]) -> None:
    """Refuse coordinates that are none on Earth.

    Raises:
        ValueError: there are such rows; the message shows some.
    """
    beyond = ~missing & ~((np.abs(latlon_deg) <= (90, 180)).all(axis=1))
    if not beyond.any():
        return
    swapped, _ = tells_swapped(latlon_deg)
    exchanged = ", exchanged as other rows show" if (swapped & (abs(latlon_deg[:, 0]) > 100))[beyond].all() else ""
    shown = ", ".join(
        f"{_shown(place)} (row {row})" for place, row in zip(latlon_deg[beyond][:FEW], rows[beyond], strict=False)
    )
    count = int(beyond.sum())
    raise ValueError(
        f"{count:,} of {counted(len(rows), 'place')} {agreeing(count, 'are')} out of range (latitude -90 to 90, longitude -180 to "
        f"180, or 0 to 360 in all rows): {shown}{', ...' if count > FEW else ''}{exchanged}: correct or empty them, or leave their "
        f"rows out (--exclude-rows {numbers_of(rows[beyond])}, counted from 0 below the headings)"
    )


def _shown(place: NDArray[np.float64]) -> str:
    return ", ".join(f"{number:.10g}" for number in place)


def _turned(latlon_deg: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return longitudes from -180 to 180 where the table has them from 0 to 360, which one value alone does not show."""
    lon = latlon_deg[:, 1]
    east = (lon > 180) & (lon <= 360)
    real = np.isfinite(lon) & (np.abs(lon) <= 360)
    if not east.any() or (lon[real] < 0).any() or (east.sum() < 2 and east.sum() * 10 < real.sum()):
        return latlon_deg
    log.info(f"longitudes run from 0 to 360: {lon[east][0]:g} in row {rows[east][0]} is {lon[east][0] - 360:g}")
    return np.column_stack([latlon_deg[:, 0], np.where(east, lon - 360, lon)])
