"""What to do with a table without coordinates, as far as its headings and values tell."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dataset.degrees import is_missing
from dataset.pairs import read_pairs
from dataset.tables.headings import folded

METRES = "the metres of a projection: convert them to WGS 84 (EPSG:4326)"
CODES = "codes of places: convert them to latitude and longitude"
SAID: dict[str, str] = {
    **dict.fromkeys(("easting", "northing", "utmeast", "utmnorth", "utmx", "utmy", "utmeasting", "utmnorthing", "rechtswert",
                     "hochwert", "utm", "utmzone"), METRES),
    **dict.fromkeys(("mgrs", "usng", "pluscode", "pluscodes", "olc", "openlocationcode", "geohash", "what3words", "w3w", "3words",
                     "h3", "h3index", "s2", "s2cell", "s2cellid", "quadkey", "gridref", "osgridref", "maidenhead"), CODES),
}  # fmt: skip
"""Folded headings of what is no latitude and longitude."""
PLANE = (("x", "y"), ("xcoord", "ycoord"), ("pointx", "pointy"), ("coordx", "coordy"), ("xcoordinate", "ycoordinate"))


def way_of(table: pd.DataFrame, candidates: Mapping[str, list[int]]) -> str:
    """Return why a table has no coordinates and what to do; empty where that is not known.

    Args:
        table: as it was read.
        candidates: columns by what their headings stand for, as `columns_of` has them.
    """
    headings = {folded(heading): str(heading) for heading in table.columns}
    for number in [*candidates.get("latlon", []), *candidates.get("lonlat", [])]:
        if why := _why_not(table.iloc[:, number]):
            return f"in {table.columns[number]}, {why}"
    if known := next((name for name in headings if name in SAID), None):
        return f"{headings[known]} holds {SAID[known]}"
    if plane := next((pair for pair in PLANE if set(pair) <= set(headings)), None):
        x, y = (headings[name] for name in plane)
        return (
            f"if {x} and {y} are degrees, give --lat-column {y} --lon-column {x}; if metres, convert them to EPSG:4326"
        )
    return ""


def _why_not(values: pd.Series) -> str:
    """Return what is wrong with the first value of a column of places."""
    given = values[~is_missing(values.map(str).astype(object))]
    if not len(given):
        return ""
    try:
        read_pairs(given.iloc[:1], False, np.asarray(given.index[:1]))
    except ValueError as error:
        first = str(given.iloc[0])[:60]
        unread = f"{first!r} cannot be read as a place: write latitude and longitude, such as '48.8566, 2.3522'"
        return unread if "cannot be read" in str(error) else str(error)
    return ""
