"""Nested clusters of photographs on the sphere: cells as people travel, not as a ruler cuts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree, QhullError, SphericalVoronoi

from geocells.outlines import boxes_deg, span_deg, sphere_polygon
from geocells.partitions.base import check_keys
from geocells.sphere import EARTH_RADIUS_KM, unit_vectors
from plumbing.text import counted

MANY_POINTS = 200_000
"""From so many photographs on, clusters are found from random batches of them."""
PHOTOS_A_CLUSTER, COARSEST, FINEST = 12, 50, 10_000
"""See `default_sizes`."""


@dataclass(frozen=True, eq=False)
class KMeansPartition:
    """Cells of points whose nearest centroid is the same; the key of a cell is its number in its level.

    The finest cells are those of a Voronoi diagram on the sphere, each coarser one a union of finer ones.

    Attributes:
        centroids: (finest, 3) unit vectors.
        parent: for each level below the coarsest, the (clusters,) number of the parent in the level above.
        boxes_deg: for each level, (clusters, 4) south, west, north, east.
        areas_km2: for each level, (clusters,).
    """

    centroids: NDArray[np.float64]
    parent: tuple[NDArray[np.int64], ...]
    boxes_deg: tuple[NDArray[np.float64], ...]
    areas_km2: tuple[NDArray[np.float64], ...]

    def arrays(self) -> dict[str, NDArray]:
        """Return the centroids, the parents, and the boxes and areas that take long to compute."""
        stored: dict[str, NDArray] = {"centroids": self.centroids}
        stored |= {f"parent_{d}": values for d, values in enumerate(self.parent, start=1)}
        stored |= {f"boxes_deg_{d}": values for d, values in enumerate(self.boxes_deg)}
        return stored | {f"areas_km2_{d}": values for d, values in enumerate(self.areas_km2)}

    @property
    def name(self) -> str:
        """Return the name by which `--partition` knows it."""
        return "kmeans"

    @property
    def level_names(self) -> tuple[str, ...]:
        """Return the names of the levels, such as K50."""
        return tuple(f"K{len(boxes)}" for boxes in self.boxes_deg)

    @cached_property
    def _tree(self) -> KDTree:
        return KDTree(self.centroids)

    def keys(self, latlon_deg: ArrayLike) -> NDArray[np.int64]:
        """Return (N, levels) keys of (N, 2) points."""
        keys = [np.asarray(self._tree.query(unit_vectors(latlon_deg).reshape(-1, 3))[1], dtype=np.int64)]
        for parent in reversed(self.parent):
            keys.insert(0, parent[keys[0]])
        return np.stack(keys, axis=-1)

    def parents(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
        """Return the keys, at the level above, of the parents of cells of the level at position `depth`."""
        return self.parent[depth - 1][keys]

    def names(self, keys: NDArray[np.int64], depth: int) -> list[str]:
        """Return the texts of cells: the numbers of the clusters they lie in, such as `7/132`."""
        check_keys(keys, len(self.boxes_deg[depth]), self.name)
        own = [str(key) for key in keys.tolist()]
        if not depth:
            return own
        return [
            f"{above}/{key}" for above, key in zip(self.names(self.parents(keys, depth), depth - 1), own, strict=True)
        ]

    def bounds_deg(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return (N, 4) south, west, north, east of cells."""
        return self.boxes_deg[depth][keys]

    def area_km2(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return the areas of cells."""
        return self.areas_km2[depth][keys]

    @cached_property
    def _cells(self) -> SphericalVoronoi:
        return voronoi(self.centroids)

    def outline(self, key: int, depth: int) -> shapely.Geometry | None:
        """Return a cell as polygons of (longitude, latitude)."""
        members = np.array([key])
        for parent in self.parent[depth:]:
            members = np.flatnonzero(np.isin(parent, members))
        return shapely.union_all([cell_polygon(self._cells, k) for k in members.tolist()])


def build(
    name: str,
    training_deg: NDArray[np.float64],
    *,
    clusters: tuple[int, ...] | None = None,
    seed: int | None = None,
) -> KMeansPartition:
    """Return nested clusters of the (N, 2) training photographs."""
    return cluster(training_deg, clusters, seed or 0)


def restore(name: str, level_names: tuple[str, ...], arrays: dict[str, NDArray]) -> KMeansPartition:
    """Return the partition of stored arrays."""
    levels = range(len(level_names))
    return KMeansPartition(
        arrays["centroids"],
        tuple(arrays[f"parent_{d}"] for d in levels[1:]),
        tuple(arrays[f"boxes_deg_{d}"] for d in levels),
        tuple(arrays[f"areas_km2_{d}"] for d in levels),
    )


def settings(partition: KMeansPartition) -> dict[str, object]:
    """Return how many clusters each level has, for the record of a run."""
    return {"clusters": [len(boxes) for boxes in partition.boxes_deg]}


def voronoi(centroids: NDArray[np.float64]) -> SphericalVoronoi:
    """Return the Voronoi diagram of (N, 3) unit vectors on the sphere.

    Raises:
        ValueError: there are fewer than 4, or they lie so near to each other that their cells cannot be told apart.
    """
    try:
        # The threshold is for checks alone; the usual one refuses centroids that all lie within a few kilometres.
        cells = SphericalVoronoi(centroids, threshold=1e-13)
    except (ValueError, QhullError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"--clusters: {counted(len(centroids), 'centroid', 'do')} not cut the sphere ({reason}): ask for others, at least 4, "
            "add photographs beside the line on which these lie, or build with --partition quad"
        ) from None
    cells.sort_vertices_of_regions()
    return cells


def cell_polygon(cells: SphericalVoronoi, number: int) -> shapely.Geometry:
    """Return a cell of a Voronoi diagram as polygons of degrees."""
    # A pole lies in the cell of its nearest centroid, the one furthest along the axis.
    axis = cells.points[:, 2]
    pole = int(number == np.argmax(axis)) - int(number == np.argmin(axis))
    return sphere_polygon(cells.vertices[cells.regions[number]], pole)


def cluster(latlon_deg: ArrayLike, sizes: tuple[int, ...] | None = None, seed: int = 0) -> KMeansPartition:
    """Return nested clusters: the finest of the photographs, each coarser level of the centroids of the finer.

    Args:
        latlon_deg: (N, 2) coordinates of photographs.
        sizes: clusters of each level, ascending, at least 4 at the finest; `default_sizes` when None.
        seed: of the first guess.

    Raises:
        ValueError: there are fewer places than clusters, or the clusters do not cut the sphere.
    """
    points = unit_vectors(latlon_deg).reshape(-1, 3)
    # Places and not photographs: of many photographs of one place, several would become centroids.
    first, count = np.unique(points.round(7), axis=0, return_index=True, return_counts=True)[1:]
    sizes = sizes or default_sizes(len(points), len(first))
    if len(first) < sizes[-1]:
        raise ValueError(
            f"--clusters {sizes[-1]} is more than the {counted(len(first), 'place')} with training photographs: add "
            "photographs of other places, or build with --partition quad, which takes any"
        )
    places, photographs = points[first], count.astype(np.float64)
    centroids, label = _kmeans(places, photographs, sizes[-1], seed)
    return nested(centroids, np.bincount(label, photographs, len(centroids)).astype(np.float64), sizes[:-1], seed)


def nested(
    centroids: NDArray[np.float64],
    weight: NDArray[np.float64],
    sizes: tuple[int, ...],
    seed: int,
    boxes: Callable[[SphericalVoronoi], NDArray[np.float64]] | None = None,
) -> KMeansPartition:
    """Return clusters whose finest centroids are given.

    Args:
        centroids: (finest, 3) unit vectors, each another.
        weight: (finest,) photographs of each.
        sizes: clusters of each coarser level, ascending.
        seed: of the first guess.
        boxes: from finest cells to their (finest, 4) boxes; exact ones, which take milliseconds each, when None.
    """
    parents: list[NDArray[np.int64]] = []
    finer = centroids
    for size in reversed(sizes):
        coarser, label = _kmeans(finer, weight, size, seed)
        parents.insert(0, label)
        weight, finer = np.bincount(label, weight, size).astype(np.float64), coarser
    return _measured(centroids, tuple(parents), boxes)


def default_sizes(photographs: int, places: int) -> tuple[int, ...]:
    """Return the clusters of each level for so many photographs of so many places.

    At the finest level a dozen photographs share a cluster on average, at the coarsest the world is 50 parts or fewer, and one
    level lies between: about what led `bench.methods`.
    """
    finest = max(4, min(photographs // PHOTOS_A_CLUSTER, places, FINEST))
    coarsest = min(COARSEST, finest // 4)
    return tuple(sorted({coarsest, round((coarsest * finest) ** 0.5), finest}))


def _kmeans(
    points: NDArray[np.float64], weight: NDArray[np.float64], size: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the (size, 3) unit centroids of weighted points, and the (N,) cluster of each."""
    from sklearn.cluster import KMeans, MiniBatchKMeans

    if len(points) > MANY_POINTS:
        # Reassigning empty clusters would put two on one place.
        fitted = MiniBatchKMeans(size, n_init=1, random_state=seed, batch_size=4 * size, reassignment_ratio=0)
    else:
        fitted = KMeans(size, n_init=1, random_state=seed)
    fitted.fit(points, sample_weight=weight)
    center = fitted.cluster_centers_
    center = center / np.maximum(np.linalg.norm(center, axis=1, keepdims=True), 1e-12)
    center = _apart(center, points)
    return center, np.asarray(KDTree(center).query(points)[1], dtype=np.int64)


def _apart(center: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return centroids of which no two lie on one place: where they do, the points furthest from any take their stead."""
    first = np.unique(center.round(7), axis=0, return_index=True)[1]
    twice = np.setdiff1d(np.arange(len(center)), first)
    if not len(twice):
        return center
    center = center.copy()
    away = KDTree(center).query(points)[0]
    center[twice] = points[np.argsort(-away, kind="stable")[: len(twice)]]
    return center


def exact_boxes(cells: SphericalVoronoi, numbers: Sequence[int] | None = None) -> NDArray[np.float64]:
    """Return the (N, 4) south, west, north, east of some cells of a Voronoi diagram, of all when None."""
    wanted = range(len(cells.points)) if numbers is None else numbers
    return boxes_deg(np.array([cell_polygon(cells, k) for k in wanted], dtype=object))


def _measured(
    centroids: NDArray[np.float64],
    parent: tuple[NDArray[np.int64], ...],
    boxes_of: Callable[[SphericalVoronoi], NDArray[np.float64]] | None,
) -> KMeansPartition:
    """Return the partition of centroids, with boxes and areas of its cells."""
    cells = voronoi(centroids)
    boxes = [(boxes_of or exact_boxes)(cells)]
    areas = [np.asarray(cells.calculate_areas()) * EARTH_RADIUS_KM**2]
    for above in reversed(parent):
        count = int(above.max()) + 1
        boxes.insert(0, span_deg(boxes[0], above, count))
        areas.insert(0, np.bincount(above, areas[0], count).astype(np.float64))
    return KMeansPartition(centroids, parent, tuple(boxes), tuple(areas))
