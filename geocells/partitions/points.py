"""A finest cell for each of some points: what is nearest to it. Coarser levels are clusters of the points."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree, SphericalVoronoi

from geocells.partitions.base import check_keys
from geocells.partitions.kmeans import KMeansPartition, cell_polygon, exact_boxes, nested
from geocells.partitions.kmeans import restore as restore_clusters
from geocells.sphere import latlon_deg, unit_vectors

LEVEL_NAME = "point"
APART = 2e-6
"""Radii of the Earth, 13 m: nearer to each other, the cells of a Voronoi diagram cannot be told apart."""
SMALL_DEG, HIGH_DEG = 1.0, 80.0
"""Up to this span, and this latitude, sides of a cell are as good as straight."""
SNAP_DEG = 1e-7
"""Sides that two cells share may differ in their last bits, which would leave slivers in a union."""
SIZES = (50, 1000)
"""Clusters of the levels above the points, when left out."""


@dataclass(frozen=True, eq=False)
class PointsPartition:
    """Points, each a cell of its own at the finest level; the key of such a cell is the number of its point.

    Of points that lie at one place, or a few metres apart, each is a cell: they share the place's outline, and its area
    in equal parts. A photograph there belongs to the first of them.

    Attributes:
        clusters: cells of the distinct places, and the levels above them.
        place: (points,) the place of each point.
    """

    clusters: KMeansPartition
    place: NDArray[np.int64]

    @property
    def name(self) -> str:
        """Return the name by which `--partition` knows it."""
        return "points"

    @property
    def level_names(self) -> tuple[str, ...]:
        """Return the names of the levels, such as K50 and point."""
        return (*self.clusters.level_names[:-1], LEVEL_NAME)

    @cached_property
    def _first_and_count(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first point of each place, and how many lie there."""
        _, first, count = np.unique(self.place, return_index=True, return_counts=True)
        return first, count

    def keys(self, latlon_deg: ArrayLike) -> NDArray[np.int64]:
        """Return (N, levels) keys of (N, 2) points."""
        keys = self.clusters.keys(latlon_deg)
        keys[:, -1] = self._first_and_count[0][keys[:, -1]]
        return keys

    def keys_of_points(self) -> NDArray[np.int64]:
        """Return the (points, levels) keys of its own points, those of one place told apart."""
        keys = [np.arange(len(self.place))]
        for depth in range(len(self.level_names) - 1, 0, -1):
            keys.insert(0, self.parents(keys[0], depth))
        return np.stack(keys, axis=-1)

    def parents(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
        """Return the keys, at the level above, of the parents of cells of the level at position `depth`."""
        return self.clusters.parents(self._cells(keys, depth), depth)

    def _cells(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
        """Return the cells of clusters or places that hold cells."""
        if depth < len(self.level_names) - 1:
            return keys
        check_keys(keys, len(self.place), self.name)
        return self.place[keys]

    def names(self, keys: NDArray[np.int64], depth: int) -> list[str]:
        """Return the texts of cells: the clusters they lie in and their own number, such as `7/132/5081`."""
        if depth < len(self.level_names) - 1:
            return self.clusters.names(keys, depth)
        cells, own = self._cells(keys, depth), [str(key) for key in keys.tolist()]
        if not depth:
            return own
        above = self.clusters.names(self.clusters.parents(cells, depth), depth - 1)
        return [f"{parent}/{key}" for parent, key in zip(above, own, strict=True)]

    def bounds_deg(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return (N, 4) south, west, north, east of cells."""
        return self.clusters.bounds_deg(self._cells(keys, depth), depth)

    def area_km2(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return the areas of cells."""
        cells = self._cells(keys, depth)
        areas = self.clusters.area_km2(cells, depth)
        return areas / self._first_and_count[1][cells] if depth == len(self.level_names) - 1 else areas

    def outline(self, key: int, depth: int) -> shapely.Geometry | None:
        """Return a cell as polygons of (longitude, latitude)."""
        if (key, depth) not in self._drawn:
            self._drawn[key, depth] = shapely.union_all(self._polygons(self._places_in(key, depth)), grid_size=SNAP_DEG)
        return self._drawn[key, depth]

    @cached_property
    def _drawn(self) -> dict[tuple[int, int], shapely.Geometry]:
        """Outlines that were asked for before: a page and its picture ask for the same."""
        return {}

    def _places_in(self, key: int, depth: int) -> NDArray[np.int64]:
        """Return the places in a cell."""
        members = self._cells(np.array([key]), depth)
        for parent in self.clusters.parent[depth:]:
            members = np.flatnonzero(np.isin(parent, members))
        return members

    def _polygons(self, places: NDArray[np.int64]) -> NDArray[np.object_]:
        """Return the polygons of the cells of places; small ones, of which a cluster has thousands, are drawn together."""
        cells = self.clusters._cells
        large = _are_large(self.clusters.boxes_deg[-1][places])
        drawn = [cell_polygon(cells, place) for place in places[large].tolist()]
        if large.all():
            return np.array(drawn, dtype=object)
        regions = [cells.regions[place] for place in places[~large].tolist()]
        corners = latlon_deg(cells.vertices[np.concatenate(regions)])[:, ::-1]
        rings = shapely.linearrings(corners, indices=np.repeat(np.arange(len(regions)), [len(r) for r in regions]))
        return np.concatenate([np.array(drawn, dtype=object), shapely.polygons(rings)])

    def arrays(self) -> dict[str, NDArray]:
        """Return the arrays of the clusters, and the place of each point."""
        return {**self.clusters.arrays(), "place": self.place}


def build(
    name: str,
    training_deg: NDArray[np.float64],
    *,
    clusters: tuple[int, ...] | None = None,
    seed: int | None = None,
) -> PointsPartition:
    """Return the partition of (N, 2) points, with clusters of these numbers above them.

    Raises:
        ValueError: there are fewer than four places, or fewer than a level has clusters.
    """
    vectors = unit_vectors(training_deg).reshape(-1, 3)
    place = _places(vectors)
    _, first = np.unique(place, return_index=True)
    if len(first) < 4:
        raise ValueError(f"--partition points takes at least 4 places, got {len(first)}: choose another --partition")
    sizes = clusters or tuple(size for size in SIZES if size * 4 <= len(first))
    if sizes and sizes[-1] >= len(first):
        raise ValueError(f"--clusters {sizes[-1]} is not below the number of places, {len(first)}")
    weight = np.bincount(place, minlength=len(first)).astype(np.float64)
    return PointsPartition(nested(vectors[first], weight, sizes, seed or 0, _boxes), place)


def _boxes(cells: SphericalVoronoi) -> NDArray[np.float64]:
    """Return the (N, 4) boxes of cells: of small ones those of their corners, off by less than 0.01 degrees."""
    owner = np.repeat(np.arange(len(cells.regions)), [len(region) for region in cells.regions])
    corners = latlon_deg(cells.vertices[np.concatenate(cells.regions)])
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    middle = latlon_deg(cells.points)
    off = (corners[:, 1] - middle[owner, 1] + 180) % 360 - 180
    south, north = (edge.reduceat(corners[:, 0], starts) for edge in (np.minimum, np.maximum))
    west, east = (middle[:, 1] + edge.reduceat(off, starts) for edge in (np.minimum, np.maximum))
    boxes = np.stack([south, (west + 180) % 360 - 180, north, (east + 180) % 360 - 180], axis=1)
    large = _are_large(boxes) | (east - west > SMALL_DEG)
    boxes[large] = exact_boxes(cells, np.flatnonzero(large).tolist())
    return boxes


def _are_large(boxes_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark the (N, 4) boxes of cells that are drawn one by one: large, near a pole or across the antimeridian."""
    south, west, north, east = boxes_deg.T
    high = np.maximum(-south, north) > HIGH_DEG
    return (north - south > SMALL_DEG) | (east - west > SMALL_DEG) | (east < west) | high


def _places(vectors: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the place of each of (N, 3) unit vectors, counted as they come: what lies a few metres apart is one."""
    a, b = KDTree(vectors).query_pairs(APART, output_type="ndarray").T
    joined = coo_array((np.ones(len(a)), (a, b)), shape=(len(vectors), len(vectors)))
    return np.asarray(connected_components(joined, directed=False)[1], dtype=np.int64)


def restore(name: str, level_names: tuple[str, ...], arrays: dict[str, NDArray]) -> PointsPartition:
    """Return the partition of stored arrays."""
    return PointsPartition(restore_clusters("kmeans", level_names, arrays), arrays["place"])


def settings(partition: PointsPartition) -> dict[str, object]:
    """Return how many clusters the levels above the points have, for the record of a run."""
    return {"clusters": [len(boxes) for boxes in partition.clusters.boxes_deg[:-1]]}
