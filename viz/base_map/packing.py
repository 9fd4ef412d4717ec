"""The base map as bytes: whole numbers of 7 bits a byte and names, deflated, which a browser inflates by itself."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from viz.maps.raster import varints

SHIPPED = Path(__file__).parent / "natural_earth_50m.bin"
STEP_DEG = 0.02
"""Vertices lie on a grid of this step: 2 km."""
CREDIT = "Natural Earth, GeoNames"
"""Whose map it is: Natural Earth is in the public domain, the cities of GeoNames are under CC BY 4.0."""
SCALES_AN_OCTAVE = 4
"""Scales from which names are shown are rounded to a quarter of an octave."""


@dataclass(frozen=True, eq=False)
class BaseMap:
    """Lines and names of the world.

    Attributes:
        coast: closed rings of (N, 2) latitude and longitude, the last vertex not repeated. Holes run the
            other way around than what they lie in. They lie within ±180 and are cut at the antimeridian.
        borders: lines between two countries, each once.
        countries: names, the largest country first, then large ones again that are named at several places.
        cities: names, the largest city first.
        points_deg: (countries + cities, 2) where a name stands: the middle of a country, the place of a city.
        from_scale: (countries + cities,) least pixels a degree of longitude at the equator at which a name is shown.
    """

    coast: Sequence[NDArray[np.float64]]
    borders: Sequence[NDArray[np.float64]]
    countries: Sequence[str]
    cities: Sequence[str]
    points_deg: NDArray[np.float64]
    from_scale: NDArray[np.float64]


@cache
def shipped_bytes() -> bytes:
    """Return the base map that ships with the project, packed; `python -m viz basemap` computes it."""
    return SHIPPED.read_bytes()


@cache
def base_map() -> BaseMap:
    """Return the base map that ships with the project."""
    return unpack(shipped_bytes())


def on_grid(line_deg: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the vertices of a line as steps of the grid, those on one point once."""
    steps = np.round(line_deg / STEP_DEG).astype(np.int64)
    return steps[np.r_[True, np.any(np.diff(steps, axis=0), axis=1)]]


def pack(world: BaseMap) -> bytes:
    """Return a base map as bytes; same map, same bytes.

    After the number of numbers come those of rings, borders, countries and cities, the lengths of rings and borders, the
    differences of their vertices (all latitudes, then all longitudes), the places of names (likewise), the scales, and the
    names in lines. Numbers that may be negative are 2n, or -2n - 1.
    """
    lines = [on_grid(line) for line in (*world.coast, *world.borders)]
    steps = np.asarray(np.diff(np.vstack(lines), axis=0, prepend=np.zeros((1, 2), np.int64)), dtype=np.int64)
    places = np.round(world.points_deg / STEP_DEG).astype(np.int64)
    scale = np.ceil(SCALES_AN_OCTAVE * np.log2(np.maximum(world.from_scale, 1)) - 1e-9).astype(np.int64)
    parts = (world.coast, world.borders, world.countries, world.cities)
    numbers = np.concatenate(
        [
            np.array([len(part) for part in parts], dtype=np.int64),
            np.array([len(line) for line in lines], dtype=np.int64),
            _folded(steps.T.ravel()),
            _folded(places.T.ravel()),
            scale,
        ]
    )
    names = "\n".join([*world.countries, *world.cities]).encode()
    return zlib.compress(varints(np.r_[len(numbers), numbers]) + names, 9)


def unpack(packed: bytes) -> BaseMap:
    """Return the base map that `pack` made small."""
    content = np.frombuffer(zlib.decompress(packed), dtype=np.uint8)
    numbers, rest = _numbers(content)
    rings, borders, countries, cities = numbers[:4].tolist()
    lengths, numbers = np.split(numbers[4:], [rings + borders])
    vertices, places = int(lengths.sum()), countries + cities
    steps, points, scale = np.split(numbers, [2 * vertices, 2 * (vertices + places)])
    degrees = np.cumsum(_unfolded(steps).reshape(2, -1).T, axis=0) * STEP_DEG
    lines = np.split(degrees.round(6), np.cumsum(lengths)[:-1])
    names = content[rest:].tobytes().decode().split("\n")
    return BaseMap(
        lines[:rings],
        lines[rings:],
        names[:countries],
        names[countries:],
        np.asarray((_unfolded(points).reshape(2, -1).T * STEP_DEG).round(6), dtype=np.float64),
        np.exp2(scale / SCALES_AN_OCTAVE),
    )


def _folded(values: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(values < 0, -2 * values - 1, 2 * values)


def _unfolded(values: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(values % 2, -(values + 1) // 2, values // 2)


def _numbers(content: NDArray[np.uint8]) -> tuple[NDArray[np.int64], int]:
    """Return the numbers at the start of some bytes, without that of how many they are, and where the rest begins."""
    ends = np.flatnonzero(content < 128)
    starts = np.r_[0, ends[:-1] + 1]
    place = np.arange(ends[-1] + 1) - np.repeat(starts, ends - starts + 1)
    digits = (content[: ends[-1] + 1] & 127).astype(np.int64) << (7 * np.minimum(place, 8))
    values = np.add.reduceat(digits, starts)
    count = int(values[0])
    return values[1 : 1 + count], int(ends[count]) + 1
