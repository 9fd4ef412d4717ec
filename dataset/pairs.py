"""Places in one column: two numbers, WKT, WKB, GeoJSON or an object with latitude and longitude, the same for all rows."""

import json
import logging
import re
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from dataset.degrees import Column, is_missing, read_degrees

log = logging.getLogger(__name__)

LATITUDE_KEYS = ("latitude", "lat")
LONGITUDE_KEYS = ("longitude", "lon", "lng", "long")
FEW = 3
"""So many values are shown in a message."""
TO_COPY = 100
"""So many numbers of rows are shown in a message, to be copied."""

_WKT = re.compile(r"(?:SRID\s*=\s*(\d+)\s*;\s*)?(\s*(?:MULTI)?POINT(?:ZM?|M)?\b.*)", re.IGNORECASE | re.DOTALL)
_HEX = re.compile(r"(?:0x|\\x)?(0[01][0-9a-f]{40,})", re.IGNORECASE)
_ISO_6709 = re.compile(r"([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)(?:[+-]\d+(?:\.\d+)?)?(?:CRS\w*)?/?")
_SIDED = (
    re.compile(r"(.*[NS])[\s,;/]*([^NS]*[EWO])", re.IGNORECASE),
    re.compile(r"([NS].*?)[\s,;/]*([EWO].*)", re.IGNORECASE),
    re.compile(r"(.*[EWO])[\s,;/]*([^EWO]*[NS])", re.IGNORECASE),
    re.compile(r"([EWO].*?)[\s,;/]*([NS].*)", re.IGNORECASE),
)
_NUMBER = r"(-?\d{1,3}(?:\.\d+)?)"
_LINKS = (
    re.compile(rf"!3d{_NUMBER}!4d{_NUMBER}"),
    re.compile(
        rf"[?&](?:q|ll|query|loc|center|cbll|viewpoint|destination)=(?:loc:)?{_NUMBER}(?:,|%2C)\+?{_NUMBER}(?![\d.])",
        re.I,
    ),
    re.compile(rf"[?&]mlat={_NUMBER}&mlon={_NUMBER}"),
    re.compile(rf"#map=[\d.]+/{_NUMBER}/{_NUMBER}"),
    re.compile(rf"/(?:@|place/|search/){_NUMBER},\+?{_NUMBER}(?![\d.])"),
)
"""Where links of web maps have a place, the latitude first; the pin before the middle of the map."""
_GEO = re.compile(r"geo:([^,;]+),([^,;]+)(?:,[^,;]*)?(?:;.*)?", re.IGNORECASE)
"""RFC 5870, with or without a height."""

_WGS84 = frozenset({0, 4326, 4979})


class UnknownOrderError(ValueError):
    """Places whose two numbers could each be the latitude."""


def could_be_places(values: pd.Series) -> bool:
    """Say whether a column could hold places: one of its first values does."""
    given = values[~is_missing(values.map(_as_text).astype(object))].head(20)
    for number in range(len(given)):
        try:
            read_pairs(given.iloc[number : number + 1], False, np.arange(1))
        except UnknownOrderError:
            return True
        except ValueError:
            continue
        return True
    return not len(given) and len(values) > 0


def read_pairs(
    values: pd.Series, longitude_first: bool, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return (N, 2) latitude and longitude of a column that holds both, and where it says nothing.

    Raises:
        ValueError: values cannot be read.
    """
    if (
        len(values)
        and values.map(lambda value: isinstance(value, bytes) or hasattr(value, "geom_type") or value is None).all()
    ):
        points = np.array(
            [v if hasattr(v, "geom_type") else shapely.from_wkb(v) if v else None for v in values], dtype=object
        )
        return _of_points(points, values, rows)
    texts = values.map(_as_text).astype(object)
    missing = is_missing(texts)
    given = texts[~missing]
    if not len(given):
        return np.full((len(values), 2), np.nan), missing
    for read in (_of_wkt, _of_wkb, _of_json, _of_links):
        if (found := read(given, rows[~missing])) is not None:
            break
    else:
        found = _of_written(given, longitude_first, rows[~missing])
    latlon_deg = np.full((len(values), 2), np.nan)
    latlon_deg[~missing] = found
    return latlon_deg, missing | np.isnan(latlon_deg).any(axis=1)


def _as_text(value: object) -> str:
    if isinstance(value, dict | list | tuple):
        return json.dumps(value)
    if isinstance(value, np.ndarray):
        return json.dumps(value.tolist())
    if hasattr(value, "geom_type") or isinstance(value, bytes):
        return "geometry"
    return "" if value is None or value is pd.NA or value != value else str(value).strip()


def _of_points(
    points: NDArray[np.object_], values: pd.Series, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return latitude and longitude of points, and where there is none."""
    missing = shapely.is_missing(points) | shapely.is_empty(points)
    kinds = shapely.get_type_id(points)
    single = (kinds == shapely.GeometryType.MULTIPOINT) & (shapely.get_num_geometries(points) == 1)
    points = np.where(single, shapely.get_geometry(points, 0), points)
    wrong = ~missing & (kinds != shapely.GeometryType.POINT) & ~single
    if wrong.any():
        raise ValueError(unread_words("geometries (points are needed)", values, wrong, rows))
    _check_reference(set(np.unique(shapely.get_srid(points[~missing])).tolist()))
    return np.column_stack([shapely.get_y(points), shapely.get_x(points)]), missing


def _check_reference(systems: set[int]) -> None:
    """Refuse points of other reference systems than WGS 84, by their EPSG codes."""
    if others := systems - _WGS84:
        raise ValueError(f"the points are in EPSG:{min(others)}: convert them to WGS 84 (EPSG:4326)")


def _of_wkt(texts: pd.Series, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return points of WKT or EWKT, which have the longitude first; None where the column is something else."""
    matches = [_WKT.fullmatch(text) for text in texts]
    if not any(matches):
        return None
    unread = np.array([match is None for match in matches])
    points = shapely.from_wkt([match[2] if match else None for match in matches], on_invalid="ignore")
    unread |= shapely.is_missing(points)
    if unread.any():
        raise ValueError(unread_words("points", texts, unread, rows))
    _check_reference({int(match[1]) for match in matches if match and match[1]})
    return _of_points(points, texts, rows)[0]


def _of_wkb(texts: pd.Series, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return points of WKB or EWKB in hexadecimal digits; None where the column is something else."""
    matches = [_HEX.fullmatch(text) for text in texts]
    if not any(matches):
        return None
    points = shapely.from_wkb([match[1] if match else None for match in matches], on_invalid="ignore")
    unread = np.array([match is None for match in matches]) | shapely.is_missing(points)
    if unread.any():
        raise ValueError(unread_words("points", texts, unread, rows))
    return _of_points(points, texts, rows)[0]


def _of_json(texts: pd.Series, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return places of objects such as {"lat": 48.85, "lon": 2.35} or GeoJSON points; None where the column is something else."""
    if not texts.str.startswith("{").any():
        return None
    places = [_place_of_object(text) for text in texts]
    unread = np.array([place is None for place in places])
    if unread.any():
        raise ValueError(unread_words("places", texts, unread, rows))
    return np.array(places, dtype=np.float64)


def _of_links(texts: pd.Series, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return places of links of web maps; None where the column is something else."""
    if not texts.str.match(r"https?://", case=False).any():
        return None
    found = [next((m for pattern in _LINKS if (m := pattern.search(text))), None) for text in texts]
    unread = np.array([match is None for match in found])
    if unread.any():
        raise ValueError(unread_words("links", texts, unread, rows))
    return np.array([[float(match[1]), float(match[2])] for match in found if match])


def _place_of_object(text: str) -> tuple[float, float] | None:
    try:
        content = json.loads(text if '"' in text else text.replace("'", '"'))
        if str(content.get("type", "")).lower() == "point":
            lon_deg, lat_deg = content["coordinates"][:2]
            return float(lat_deg), float(lon_deg)
        keys = {str(key).casefold(): value for key, value in content.items()}
        lat_deg, lon_deg = (next((keys[k] for k in ks if k in keys), None) for ks in (LATITUDE_KEYS, LONGITUDE_KEYS))
        return None if lat_deg is None or lon_deg is None else (float(lat_deg), float(lon_deg))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _of_written(texts: pd.Series, longitude_first: bool, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return places of texts such as `48.85, 2.35`; which number is the latitude the rows or the heading tell."""
    square = texts.str.startswith("[").any()
    bare = texts.str.replace(_GEO, r"\1,\2", regex=True)
    bare = bare.str.replace(r"^\s*(?:geo:)?[\[({<]*|[\])}>]*(?:;[a-z].*)?\s*$", "", regex=True, case=False)
    for columns in _halves(bare):
        if any(column.unreadable.any() or column.missing.any() for column in columns):
            continue
        first, second = columns
        if first.sides & set("EWO") or second.sides & set("NS"):
            return np.column_stack([second.degrees, first.degrees])
        pairs = np.column_stack([first.degrees, second.degrees])
        if first.sides or second.sides:
            return pairs
        return _ordered(pairs, longitude_first, bool(square), texts)
    raise ValueError(unread_words("places", texts, _without_two_numbers(bare), rows))


def _without_two_numbers(texts: pd.Series) -> NDArray[np.bool_]:
    """Return the rows that are no two numbers on their own; all, where each one is."""
    single = np.ones(len(texts), dtype=bool)
    for columns in _halves(texts, strict=False):
        single &= columns[0].unreadable | columns[1].unreadable | columns[0].missing | columns[1].missing
    return single if single.any() else np.ones(len(texts), dtype=bool)


def _halves(texts: pd.Series, strict: bool = True) -> Iterator[tuple[Column, Column]]:
    """Yield the two columns that each way of splitting makes, as far as it splits every text into two."""
    for split in _SPLITS:
        pairs = [split(text) for text in texts]
        if all(pairs) if strict else any(pairs):
            halves = pd.DataFrame([pair or ("?", "?") for pair in pairs], index=texts.index)
            try:
                yield read_degrees(halves[0]), read_degrees(halves[1])
            except ValueError:
                continue


def _ordered(pairs: NDArray[np.float64], longitude_first: bool, square: bool, texts: pd.Series) -> NDArray[np.float64]:
    """Return pairs with the latitude first, by the heading or by what the rows tell."""
    if longitude_first:
        pairs = pairs[:, ::-1]
    swapped, right = tells_swapped(pairs)
    if longitude_first:
        if swapped.any() and not right.any():
            raise ValueError(
                f"longitude and latitude are swapped, as in {texts[swapped].iloc[0]!r}: call the column latlon"
            )
        return pairs
    if swapped.any() and not right.any():
        log.info(f"the longitude comes first in {texts[swapped].iloc[0]!r}, so it does in all rows")
        return pairs[:, ::-1]
    if square and not right.any():
        raise UnknownOrderError(
            f"no row tells whether latitude or longitude comes first in {texts.iloc[0]!r}: call the column latlon or lonlat"
        )
    return pairs


def _split_at(mark: str) -> Callable[[str], tuple[str, str] | None]:
    def split(text: str) -> tuple[str, str] | None:
        parts = [part.strip() for part in text.split(mark)] if mark.strip() else text.split()
        return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None

    return split


def _split_sides(text: str) -> tuple[str, str] | None:
    return next(((m[1], m[2]) for pattern in _SIDED if (m := pattern.fullmatch(text))), None)


def _split_iso_6709(text: str) -> tuple[str, str] | None:
    match = _ISO_6709.fullmatch(text)
    return (match[1], match[2]) if match else None


def _split_comma_space(text: str) -> tuple[str, str] | None:
    parts = re.split(r",\s+", text)
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None


def _split_decimal_commas(text: str) -> tuple[str, str] | None:
    parts = [part.strip() for part in text.split(",")]
    return (f"{parts[0]}.{parts[1]}", f"{parts[2]}.{parts[3]}") if len(parts) == 4 and all(parts) else None


_SPLITS = (
    _split_at(";"),
    _split_at("|"),
    _split_comma_space,
    _split_iso_6709,
    _split_at(","),
    _split_at("/"),
    _split_at("_"),
    _split_at(" "),
    _split_sides,
    _split_decimal_commas,
)


def unread_words(what: str, values: pd.Series, unread: NDArray[np.bool_], rows: NDArray[np.int64]) -> str:
    """Return the refusal of values that cannot be read, with some of them and the numbers of their rows."""
    shown = [f"{str(value)[:60]!r} (row {row})" for value, row in zip(values[unread][:FEW], rows[unread], strict=False)]
    more = ", ..." if unread.sum() > FEW else ""
    return (
        f"{int(unread.sum()):,} of {len(values):,} {what} cannot be read as degrees: {', '.join(shown)}{more}: correct or empty "
        f"them, or leave their rows out (--exclude-rows {numbers_of(rows[unread])}, counted from 0 below the headings)"
    )


def numbers_of(rows: NDArray[np.int64]) -> str:
    """Return the numbers of rows, to be copied behind a flag."""
    return " ".join(map(str, rows[:TO_COPY])) + (" ..." if len(rows) > TO_COPY else "")


def tells_swapped(latlon_deg: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows can only be longitude before latitude, and which only latitude before longitude."""
    first, second = np.abs(latlon_deg).T
    return (first > 90) & (first <= 360) & (second <= 90), (first <= 90) & (second > 90) & (second <= 360)
