"""Classes that a table or folders give: one level of labels, placed by the photographs that have coordinates, if any have."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from geocells.outlines import area_km2, boxes_deg, into_world
from geocells.partitions.base import NO_CELL, check_keys
from geocells.sphere import check_latlon, distance_km, group_means, unit_vectors
from plumbing.text import agreeing, counted

LEVEL_NAME = "class"
MARGIN_DEG = 0.05
"""The area of a class reaches this far beyond its outermost photographs, 5 km, so that a single one has an area too."""
WORLD_DEG = (-90.0, -180.0, 90.0, 180.0)


@dataclass(frozen=True, eq=False)
class ClassesPartition:
    """One level of labels; the key of a class is its row.

    A class with coordinates has the convex hull of its training photographs for its area. A point belongs to the class whose hull
    holds it, of several to that with the nearest centre, and outside all hulls to the class with the nearest centre. Where some
    class has no photograph with coordinates, points belong to none: only labels tell classes then.

    Attributes:
        texts: (K,) labels, ascending.
        center_deg: (K, 2) spherical means of the training photographs; 0 where none has coordinates.
        areas: (K,) hulls of (longitude, latitude); empty where none has coordinates.
    """

    texts: NDArray[np.str_]
    center_deg: NDArray[np.float64]
    areas: NDArray[np.object_]

    @property
    def name(self) -> str:
        """Return the name by which `--partition` knows it."""
        return "classes"

    @property
    def level_names(self) -> tuple[str, ...]:
        """Return the name of the only level."""
        return (LEVEL_NAME,)

    @cached_property
    def placed(self) -> bool:
        """Say whether every class has a place."""
        return not shapely.is_empty(self.areas).any()

    def keys(self, latlon_deg: ArrayLike) -> NDArray[np.int64]:
        """Return (N, 1) keys of (N, 2) points; NO_CELL where classes have no places."""
        points = np.asarray(latlon_deg, dtype=np.float64).reshape(-1, 2)
        check_latlon(points[:, 0], points[:, 1])
        if not self.placed or not len(points):
            return np.full((len(points), 1), NO_CELL, dtype=np.int64)
        keys = np.asarray(KDTree(unit_vectors(self.center_deg)).query(unit_vectors(points))[1], dtype=np.int64)
        lon = np.where(np.abs(points[:, 1]) > 180, (points[:, 1] + 180) % 360 - 180, points[:, 1])
        point, area = self._tree.query(shapely.points(lon, points[:, 0]), predicate="intersects")
        # The nearest of several is written last.
        order = np.argsort(-distance_km(points[point], self.center_deg[area]), kind="stable")
        keys[point[order]] = area[order]
        return keys[:, None]

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.areas)

    def keys_of(self, labels: Sequence[str]) -> NDArray[np.int64]:
        """Return (N, 1) keys of labels; NO_CELL where a label is not a class."""
        number = {text: k for k, text in enumerate(self.texts.tolist())}
        return np.array([number.get(label, NO_CELL) for label in labels], dtype=np.int64).reshape(-1, 1)

    def parents(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
        """Refuse: there is no level above."""
        raise AssertionError("a partition of one level has no parents")

    def names(self, keys: NDArray[np.int64], depth: int) -> list[str]:
        """Return the labels."""
        check_keys(keys, len(self.texts), self.name)
        return self.texts[keys].tolist()

    def bounds_deg(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return (N, 4) south, west, north, east of hulls; the world where a class has no place."""
        bounds = np.tile(WORLD_DEG, (len(keys), 1))
        here = ~shapely.is_empty(self.areas[keys])
        if here.any():
            bounds[here] = boxes_deg(self.areas[keys][here])
        return bounds

    def area_km2(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return the areas of hulls; 0 where a class has no place."""
        return area_km2(self.areas[keys])

    def outline(self, key: int, depth: int) -> shapely.Geometry | None:
        """Return the hull of a class; None where it has no place."""
        area: shapely.Geometry = self.areas[key]
        return None if area.is_empty else area

    def arrays(self) -> dict[str, NDArray]:
        """Return labels, centres, and hulls as well-known binary."""
        wkb = [bytes(shape) for shape in shapely.to_wkb(self.areas, byte_order=1)]
        return {
            "texts": self.texts,
            "center_deg": self.center_deg,
            "wkb": np.frombuffer(b"".join(wkb), dtype=np.uint8),
            "wkb_size": np.array([len(shape) for shape in wkb]),
        }


def build(name: str, training_deg: NDArray[np.float64], *, labels: Sequence[str] | None = None) -> ClassesPartition:
    """Return the classes of (N,) labels of training photographs, placed by their (N, 2) coordinates.

    Coordinates that are NaN place nothing.

    Raises:
        ValueError: there are no labels.
    """
    if labels is None or not len(labels):
        raise ValueError(
            "--partition classes takes labels and no training photograph has one: import them with `python -m fetch import` "
            "and --class-column or --folder-names label"
        )
    texts, member = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    here = ~np.isnan(training_deg).any(axis=1)
    center = np.zeros((len(texts), 2))
    areas = np.full(len(texts), shapely.Polygon(), dtype=object)
    found, placed = np.unique(member[here], return_inverse=True)
    if len(found):
        center[found] = group_means(training_deg[here], placed, len(found))
    for k in found.tolist():
        areas[k] = hull(training_deg[here & (member == k)], center[k])
    return ClassesPartition(texts, center, areas)


def hull(points_deg: NDArray[np.float64], center_deg: NDArray[np.float64]) -> shapely.Geometry:
    """Return the convex hull, in degrees around a centre's meridian, of (N, 2) points, with a margin.

    One point, several in one place, and points on a line have the margin alone. Points around a pole have it inside.
    """
    lon = center_deg[1] + (points_deg[:, 1] - center_deg[1] + 180) % 360 - 180
    corners = np.column_stack([lon, points_deg[:, 0]])
    if pole := _pole_inside(points_deg):
        # Once around to either side, or the hull would have a gap between its first and last photograph.
        ends = [(edge, 90.0 * pole) for edge in (lon.min() - 360, lon.max() + 360)]
        corners = np.vstack([*(corners + np.array([turn, 0.0]) for turn in (-360, 0, 360)), ends])
    whole = shapely.buffer(shapely.multipoints(corners).convex_hull, MARGIN_DEG, quad_segs=2)
    return into_world(shapely.intersection(whole, shapely.box(-1000, -90, 1000, 90)))


def _pole_inside(points_deg: NDArray[np.float64]) -> int:
    """Return 1 where (N, 2) points surround the north pole, -1 for the south pole, 0 for neither."""
    east = np.sort(points_deg[:, 1] % 360)
    if np.diff(east, append=east[0] + 360).max() >= 180:
        return 0
    return int(np.sign(points_deg[0, 0])) if abs(np.sign(points_deg[:, 0]).sum()) == len(points_deg) else 0


def restore(name: str, level_names: tuple[str, ...], arrays: dict[str, NDArray]) -> ClassesPartition:
    """Return the partition of stored arrays."""
    ends = np.cumsum(arrays["wkb_size"])
    content = arrays["wkb"].tobytes()
    wkb = [content[end - size : end] for end, size in zip(ends.tolist(), arrays["wkb_size"].tolist(), strict=True)]
    return ClassesPartition(arrays["texts"], arrays["center_deg"], shapely.from_wkb(np.array(wkb, dtype=object)))


def remarks(partition: ClassesPartition, training_deg: NDArray[np.float64]) -> list[str]:
    """Return what classes without places mean."""
    if partition.placed:
        return []
    count = int(shapely.is_empty(partition.areas).sum())
    return [
        f"{count:,} of {counted(len(partition.texts), 'class')} {agreeing(count, 'have')} no training photograph with coordinates: "
        "the run answers with classes and their probabilities, without a point, regions or a map"
    ]
