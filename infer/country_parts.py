"""Which part of a country a region covers: the north of Thailand, the southwest of Algeria."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocells.country_outlines import country_outlines
from geocells.outlines import area_km2, middles_deg
from infer.wording import COUNTRIES, LIKELY, named_places

LEAST_KM2 = 50_000
"""Of a smaller country no part is named."""
MOST_COVERED = 0.5
"""Of a region that covers more of a country than this, no part is named."""
OFF_CENTRE = 1 / 4
"""A part is named by a direction in which its middle lies so far from the country's middle, of half its extent."""
MOSTLY = 0.8
"""So much of what a region covers of the country must lie on that side."""
LARGE_PART = 0.25
"""Parts of a country that have at least this share of the area of its largest one say how far it extends."""


def parts_of(countries: Sequence[tuple[str, float]], geometry: Mapping[str, Any]) -> dict[str, str]:
    """Return which part of each country a region covers, as an adjective: `northern`, `southwestern`.

    Args:
        countries: ISO 3166-1 alpha-2 codes and shares; those are looked at that a headline names.
        geometry: GeoJSON of the region, longitude first.
    """
    kind, named = named_places(countries, LIKELY)
    if kind != COUNTRIES:
        return {}
    region = shapely.geometry.shape(dict(geometry))
    return {code: part for code in named if (part := part_of(code, region))}


def part_of(code: str, region: shapely.Geometry) -> str:
    """Return which part of a country a region covers; empty where it is most of it, none, or a part without a direction.

    Args:
        code: ISO 3166-1 alpha-2.
        region: polygons of (longitude, latitude) within ±180.

    Example:
        >>> part_of("TH", shapely.box(98, 17, 105, 21))
        'northern'
    """
    land = country_parts(code)
    if not len(land):
        return ""
    whole = float(area_km2(land).sum())
    covered = shapely.get_parts(shapely.intersection(land, region))
    covered = covered[shapely.area(covered) > 0]
    if whole < LEAST_KM2 or not len(covered) or float(area_km2(covered).sum()) > MOST_COVERED * whole:
        return ""
    _, south, _, north = shapely.total_bounds(land)
    # A peninsula in the west of a country is its south and not its southwest: east and west are those of its latitudes.
    _, low, _, high = shapely.total_bounds(covered)
    west, _, east, _ = shapely.total_bounds(shapely.intersection(land, shapely.box(-180, low, 180, high)))
    if east - west > 180:
        # A country on both sides of the antimeridian has no plain east and west.
        return ""
    lat, lon = (south + north) / 2, (west + east) / 2
    up, right = middles_deg(np.array([shapely.union_all(covered)], dtype=object))[0] - [lat, lon]
    along = _side(covered, up / (north - south), {"north": (-180, lat, 180, 90), "south": (-180, -90, 180, lat)})
    across = _side(covered, right / (east - west), {"east": (lon, -90, 180, 90), "west": (-180, -90, lon, 90)})
    if along or across:
        return f"{along}{across}ern"
    quarter = (west - lon) / 2, (south - lat) / 2
    middle = (lon + quarter[0], lat + quarter[1], lon - quarter[0], lat - quarter[1])
    return "central" if _share(covered, middle) >= MOSTLY else ""


def _side(covered: Any, offset: float, halves: Mapping[str, tuple[float, float, float, float]]) -> str:
    """Return on which side areas lie: by their middle, and nearly all of them."""
    side, half = list(halves.items())[int(offset < 0)]
    return side if abs(offset) >= OFF_CENTRE / 2 and _share(covered, half) >= MOSTLY else ""


def _share(covered: Any, box: tuple[float, float, float, float]) -> float:
    """Return how much of areas lies in a box of west, south, east, north."""
    inside = shapely.intersection(covered, shapely.box(*box))
    return float(area_km2(inside).sum() / area_km2(covered).sum())


@cache
def country_parts(code: str) -> NDArray[np.object_]:
    """Return the large polygons of a country, without islets and far possessions; none of an unknown code."""
    parts = shapely.get_parts(country_outlines().get(code, shapely.MultiPolygon()))
    areas = area_km2(parts)
    kept: NDArray[np.object_] = parts[areas >= LARGE_PART * areas.max(initial=0)]
    return kept
