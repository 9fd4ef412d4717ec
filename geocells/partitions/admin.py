"""Countries and regions: areas of Natural Earth, stored simplified so that a copied run needs no other file."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyogrio
import shapely
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from geocells import grid
from geocells.country_codes import ALPHA2_OF_NAME, alpha2_of_adm0_a3
from geocells.land import cell_boxes, land_table
from geocells.natural_earth import read_polygons
from geocells.outlines import area_km2, boxes_deg, middles_deg, polygonal, span_deg
from geocells.partitions.base import check_keys
from geocells.sphere import check_latlon, unit_vectors
from plumbing.text import counted

Assign = Literal["polygons", "centroids"]

TOLERANCE_DEG = 0.02
"""Borders are moved by at most this much, 2 km, and all neighbours' alike."""
ROUGH = (
    "{countries} by the shipped table of L8 cells, so borders are off by up to 78 km and the smallest countries are "
    "missing; for true borders add --countries ne_50m_admin_0_countries.zip, for regions --regions "
    "ne_10m_admin_1_states_provinces.zip, both from naturalearthdata.com"
)
WAYS = (
    "the one that holds it (--assign polygons)",
    "the one with the nearest middle (--assign centroids)",
)
SHORE_STEP_DEG = 0.1
"""Distances to an area are those to points of its border at most this far from each other."""


@dataclass(frozen=True, eq=False)
class AdminPartition:
    """Countries, and their regions where a file of regions was given; the key of an area is its row.

    A point belongs to the region that holds it, at sea and in gaps to the nearest; or, with `centroids`, to the region
    whose middle is nearest, as a published method has it. Its country is that of its region.

    Attributes:
        areas: (regions,) polygons of (longitude, latitude); of countries where there are no regions.
        country: (regions,) key of each region's country.
        texts: for each level, the texts of its cells.
        assign: `polygons` or `centroids`.
    """

    areas: NDArray[np.object_]
    country: NDArray[np.int64]
    texts: tuple[NDArray[np.str_], ...]
    assign: Assign = "polygons"

    def arrays(self) -> dict[str, NDArray]:
        """Return outlines as well-known binary, countries and texts."""
        wkb = [bytes(shape) for shape in shapely.to_wkb(self.areas, byte_order=1)]
        stored: dict[str, NDArray] = {
            "wkb": np.frombuffer(b"".join(wkb), dtype=np.uint8),
            "wkb_size": np.array([len(shape) for shape in wkb]),
            "country": self.country,
            "by_centroid": np.array(self.assign == "centroids"),
        }
        return stored | {f"texts_{name}": texts for name, texts in zip(self.level_names, self.texts, strict=True)}

    @property
    def name(self) -> str:
        """Return the name by which `--partition` knows it."""
        return "admin"

    @property
    def level_names(self) -> tuple[str, ...]:
        """Return the names of the levels."""
        return ("country", "region")[: len(self.texts)]

    def keys(self, latlon_deg: ArrayLike) -> NDArray[np.int64]:
        """Return (N, levels) keys of (N, 2) points."""
        points = np.asarray(latlon_deg, dtype=np.float64).reshape(-1, 2)
        check_latlon(points[:, 0], points[:, 1])
        region = self.nearest_middles(points, 1)[:, 0] if self.assign == "centroids" else self.holding(points)
        return np.stack([self.country[region], region][: len(self.texts)], axis=-1)

    def holding(self, points_deg: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the region that holds each of (N, 2) points, the nearest where none does."""
        lat, lon = points_deg.T
        lon = np.where(np.abs(lon) > 180, (lon + 180) % 360 - 180, lon)
        point, area = self._areas_tree.query(shapely.points(lon, lat), predicate="intersects")
        region = np.full(len(points_deg), -1, dtype=np.int64)
        # On a border several hold it; writing backwards, the first of them stays.
        region[point[::-1]] = area[::-1]
        lost = region < 0
        if lost.any():
            tree, owner = self._shore
            region[lost] = owner[tree.query(unit_vectors(points_deg[lost]))[1]]
        return region

    def nearest_middles(self, points_deg: NDArray[np.float64], k: int) -> NDArray[np.int64]:
        """Return (N, k) regions whose middles are nearest to (N, 2) points, nearest first."""
        found = self._middles_tree.query(unit_vectors(points_deg), k=np.arange(1, min(k, len(self.areas)) + 1))[1]
        return np.asarray(found, dtype=np.int64)

    def places_in(self, countries: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (N, 2) points inside the largest area of each of some countries, by their keys."""
        sizes = self._boxes_and_sizes[1][-1]
        order = np.lexsort((-sizes, self.country))
        asked, member = np.unique(countries, return_inverse=True)
        largest = order[np.searchsorted(self.country[order], asked)]
        middles = middles_deg(self.areas[largest])
        if self.assign == "polygons":
            # A middle may lie outside, as of a crescent.
            middles = shapely.get_coordinates(shapely.point_on_surface(self.areas[largest]))[:, ::-1]
        return middles[member]

    def differing(self, points_deg: NDArray[np.float64]) -> list[float]:
        """Return, for each level, the share of points that polygons and nearest middles give to different areas."""
        held, near = self.holding(points_deg), self.nearest_middles(points_deg, 1)[:, 0]
        country = float(np.mean(self.country[held] != self.country[near]))
        return [country, float(np.mean(held != near))][: len(self.texts)]

    @cached_property
    def _areas_tree(self) -> shapely.STRtree:
        shapely.prepare(self.areas)
        return shapely.STRtree(self.areas)

    @cached_property
    def _middles_tree(self) -> KDTree:
        return KDTree(unit_vectors(middles_deg(self.areas)))

    @cached_property
    def _shore(self) -> tuple[KDTree, NDArray[np.int64]]:
        """Points of all borders as unit vectors, and whose each is; the nearest is on the sphere, seams or not."""
        points, owner = shapely.get_coordinates(shapely.segmentize(self.areas, SHORE_STEP_DEG), return_index=True)
        return KDTree(unit_vectors(points[:, ::-1])), owner

    def parents(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
        """Return the countries of regions."""
        return self.country[keys]

    def names(self, keys: NDArray[np.int64], depth: int) -> list[str]:
        """Return the texts of areas: `FR`, and `FR/Rhône`."""
        check_keys(keys, len(self.texts[depth]), self.name)
        return self.texts[depth][keys].tolist()

    @cached_property
    def _boxes_and_sizes(self) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        boxes, sizes, count = boxes_deg(self.areas), area_km2(self.areas), len(self.texts[0])
        country_boxes = span_deg(boxes, self.country, count)
        return [country_boxes, boxes], [np.bincount(self.country, sizes, count).astype(np.float64), sizes]

    def bounds_deg(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return (N, 4) south, west, north, east of areas; waters that fall to an area may lie outside."""
        return self._boxes_and_sizes[0][depth][keys]

    def area_km2(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return the areas, without the waters that fall to them."""
        return self._boxes_and_sizes[1][depth][keys]

    def outline(self, key: int, depth: int) -> shapely.Geometry | None:
        """Return an area as polygons of (longitude, latitude)."""
        if depth == 1:
            area: shapely.Geometry = self.areas[key]
            return area
        return shapely.union_all(self.areas[self.country == key])


def build(
    name: str,
    training_deg: NDArray[np.float64],
    *,
    countries: Path | None = None,
    regions: Path | None = None,
    assign: Assign | None = None,
) -> AdminPartition:
    """Return the areas of Natural Earth's files, or the shipped countries where there are none."""
    if countries is None:
        return shipped_countries(assign or "polygons")
    return read_areas(countries, regions, assign or "polygons")


def restore(name: str, level_names: tuple[str, ...], arrays: dict[str, NDArray]) -> AdminPartition:
    """Return the partition of stored arrays."""
    ends = np.cumsum(arrays["wkb_size"])
    content = arrays["wkb"].tobytes()
    wkb = [content[end - size : end] for end, size in zip(ends.tolist(), arrays["wkb_size"].tolist(), strict=True)]
    texts = tuple(arrays[f"texts_{level}"] for level in level_names)
    assign: Assign = "centroids" if bool(arrays["by_centroid"]) else "polygons"
    return AdminPartition(shapely.from_wkb(np.array(wkb, dtype=object)), arrays["country"], texts, assign)


def remarks(
    partition: AdminPartition, training_deg: NDArray[np.float64], *, countries: Path | None = None, **flags: object
) -> list[str]:
    """Return how rough the shipped countries are, and where polygons and nearest centres disagree; nothing without points."""
    if not len(training_deg):
        return []
    said = [] if countries else [ROUGH.format(countries=counted(len(partition.texts[0]), "country"))]
    shares = zip(partition.level_names, partition.differing(training_deg), strict=True)
    parts = " and ".join(f"{share:.1%} another {level}" for level, share in shares)
    used, other = WAYS if partition.assign == "polygons" else WAYS[::-1]
    said.append(
        f"the area of a photograph is {used}; if it were {other}, of {len(training_deg):,} with coordinates {parts}"
    )
    return said


def read_areas(countries: Path, regions: Path | None, assign: Assign = "polygons") -> AdminPartition:
    """Return countries, and regions where there is a file of them, from Natural Earth's files.

    Countries are named by ISO 3166-1 alpha-2 ('NA' is Namibia, Kosovo 'XK'); where ISO_A2 is -99, as for France and
    Norway in some editions, ADM0_A3 decides. Areas that are nobody's in the standard keep their ADM0_A3.

    Raises:
        ValueError: a file is missing or not of that kind.
    """
    outlines, (a3, a2) = read_polygons(countries, ("ADM0_A3", "ISO_A2"))
    known = alpha2_of_adm0_a3(a3, a2)
    areas, codes = polygonal(outlines), np.array([known.get(code, code) for code in a3])
    if regions is None:
        return _of_countries(areas, codes, assign)
    column = _country_column(regions)
    shapes, (owner, name) = read_polygons(regions, (column, "name"))
    owner = np.array([ALPHA2_OF_NAME.get(n, known.get(code, code)) for code, n in zip(owner, name, strict=True)])
    bare = ~np.isin(codes, owner)
    shapes = np.concatenate([shapes, outlines[bare]])
    owner = np.concatenate([owner, codes[bare]])
    return _of_regions(shapes, owner, [*_texts(name), *codes[bare].tolist()], assign)


def shipped_countries(assign: Assign = "polygons") -> AdminPartition:
    """Return countries without any file: the L8 cells in which each has most land, by the shipped table.

    Borders are off by up to a cell, 78 km at the equator, and a country that has most land in no cell is not there.
    """
    country = land_table().country
    cells = np.flatnonzero(country != "")
    names, owner = np.unique(country[cells], return_inverse=True)
    boxes = cell_boxes(cells, grid.TABLE_LEVEL)
    areas = np.array([shapely.union_all(boxes[owner == k]) for k in range(len(names))], dtype=object)
    return AdminPartition(areas, np.arange(len(names)), (names.astype(str),), assign)


def _country_column(regions: Path) -> str:
    """Return the column of a file of regions that holds Natural Earth's three-letter code of the country."""
    fields = pyogrio.read_info(regions)["fields"] if regions.exists() else []
    return next((column for column in ("adm0_a3", "iso_a3") if column in fields), "adm0_a3")


def _texts(names: NDArray) -> list[str]:
    return [str(name).replace("/", "-").strip() if name else "" for name in names]


def _of_countries(areas: NDArray[np.object_], codes: NDArray[np.str_], assign: Assign) -> AdminPartition:
    names, owner = np.unique(codes, return_inverse=True)
    merged = np.array([shapely.union_all(areas[owner == k]) for k in range(len(names))], dtype=object)
    return AdminPartition(_simplified(merged), np.arange(len(names)), (names,), assign)


def _of_regions(
    shapes: NDArray[np.object_], owner: NDArray[np.str_], names: list[str], assign: Assign
) -> AdminPartition:
    """Return regions as areas; parts of one country that have the same name are one region."""
    texts, region = np.unique(
        [f"{code}/{name or 'unnamed'}" for code, name in zip(owner, names, strict=True)], return_inverse=True
    )
    part, of = shapely.get_parts(polygonal(shapes), return_index=True)
    order = np.argsort(region[of], kind="stable")
    whole = polygonal(shapely.multipolygons(part[order], indices=region[of][order]))
    codes, country = np.unique([text.split("/")[0] for text in texts], return_inverse=True)
    return AdminPartition(_simplified(whole), country, (codes, texts), assign)


def _simplified(areas: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return areas with fewer vertices; a border between two stays one line."""
    simple = polygonal(shapely.coverage_simplify(areas, TOLERANCE_DEG))
    # An islet may vanish: it then stays as it was.
    return np.where(shapely.is_empty(simple), areas, simple)
