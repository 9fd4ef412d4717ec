"""Outlines as the base map takes them: their edges, and where a name stands on one."""

import numpy as np
import shapely
from numpy.typing import NDArray

from geocells.outlines import area_km2

KM_A_DEGREE = 111.2
LETTER_PX = 6.5
"""Width of a letter of a country's name, on average."""
ROOM = 1.6
"""A name may be so much longer than the root of its country's area."""
MOST_SCALE = 40.0
"""Pixels a degree at which even the smallest country has its name."""
CITY_ROOM = 0.35
"""Of the radius of the room that a country has for its name: so far above or below a city it stands."""


def edges_of(areas: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the (N, 4) edges of areas, each from its lower end, alike for both neighbours, and (N,) whose they are."""
    parts, owner = shapely.get_parts(areas, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    same = ring[1:] == ring[:-1]
    one, other = points[:-1][same], points[1:][same]
    swapped = (one[:, 0] > other[:, 0]) | ((one[:, 0] == other[:, 0]) & (one[:, 1] > other[:, 1]))
    edges = np.where(swapped[:, None], np.hstack([other, one]), np.hstack([one, other]))
    return edges, owner[part[ring[:-1][same]]]


def name_place(area: shapely.Geometry, cities_deg: NDArray[np.float64]) -> tuple[float, float]:
    """Return latitude and longitude of the place of a name: amid the most room in the largest part, with room in width first.

    Args:
        area: the country.
        cities_deg: (N, 2) cities, above or below which the name stands.
    """
    parts = shapely.get_parts(area)
    largest = parts[int(np.argmax(area_km2(parts)))]
    south, north = largest.bounds[1], largest.bounds[3]
    # Names are wide and low: what is wide counts half, so that a wide room is preferred to a high one.
    squeeze = np.array([0.5 * np.cos(np.radians((south + north) / 2)), 1.0])
    squeezed = shapely.transform(largest, lambda points: points * squeeze)
    circle = shapely.maximum_inscribed_circle(squeezed, 0.02)
    (lon, lat), room = shapely.get_coordinates(circle)[0] / squeeze, CITY_ROOM * shapely.length(circle)
    away = np.abs((cities_deg[:, ::-1] - (lon, lat)) * squeeze).max(axis=1, initial=0)
    if len(away) and away.min() < room:
        city = cities_deg[int(np.argmin(away)), 0]
        lat = city + (room if lat > city else -room)
    return float(lat), float(lon)
