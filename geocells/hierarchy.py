"""The tree of cells that a model knows: one frozen object, handed to everything else."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocells.partitions import NO_CELL, Partition
from geocells.sphere import group_means
from plumbing.text import counted

UNKNOWN = -1
"""Class of a point whose cell the hierarchy does not hold."""


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """All cells of all levels, coarse to fine; a cell *is* its row number, and class k of a level is its k-th row.

    Within a level the cells lie ordered by parent, then by key, so that siblings are neighbours; every cell that is
    not of the finest level has at least one child.

    Attributes:
        partition: what gave the cells their keys.
        level: (N,) position of each cell's level, ascending; 0 is coarsest.
        parent: (N,) row of each cell's parent; -1 at level 0.
        key: (N,) the partition's number of each cell.
        name: (N,) text of each cell.
        center_deg: (N, 2) latitude and longitude answered when a cell is predicted: the spherical mean of its training
            photographs.
        bounds_deg: (N, 4) south, west, north, east.
        area_km2: (N,) square kilometres.
        train_count: (N,) training photographs.
    """

    partition: Partition
    level: NDArray[np.int8]
    parent: NDArray[np.int32]
    key: NDArray[np.int64]
    name: tuple[str, ...]
    center_deg: NDArray[np.float64]
    bounds_deg: NDArray[np.float64]
    area_km2: NDArray[np.float64]
    train_count: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check what everything else relies on."""
        parent_level = self.level[self.parent]
        assert np.all(np.diff(self.level) >= 0), "levels are ascending"
        assert np.all((self.parent < 0) == (self.level == 0)), "only the coarsest level has no parent"
        assert np.all((self.parent < 0) | (parent_level == self.level - 1)), "a parent is one level above"
        assert np.all(np.diff(self.parent) >= 0), "siblings are neighbours"

    @property
    def level_names(self) -> tuple[str, ...]:
        """Return the names of the levels, coarse to fine."""
        return self.partition.level_names

    @property
    def depth(self) -> int:
        """Return how many levels there are."""
        return len(self.level_names)

    @property
    def placed(self) -> bool:
        """Say whether cells have places; classes that only labels tell have none, and their centres mean nothing."""
        return bool(getattr(self.partition, "placed", True))

    def level_index(self, level_name: str) -> int:
        """Return the position of a level by its name.

        Raises:
            ValueError: there is no such level.
        """
        if level_name not in self.level_names:
            raise ValueError(f"there is no level {level_name!r}; this hierarchy has {', '.join(self.level_names)}")
        return self.level_names.index(level_name)

    def rows(self, level: int) -> slice:
        """Return where a level's cells lie; class k of that level is row `rows(level).start + k`."""
        start, stop = np.searchsorted(self.level, [level, level + 1])
        return slice(int(start), int(stop))

    def sizes(self) -> list[int]:
        """Return how many classes each level has."""
        return np.bincount(self.level, minlength=self.depth).tolist()

    def parent_class(self, level: int) -> NDArray[np.int64]:
        """Return, for each class of a level below the coarsest, the class of its parent in the level above."""
        return self.parent[self.rows(level)].astype(np.int64) - self.rows(level - 1).start

    def learned(self, level: int, classes: ArrayLike) -> NDArray[np.int64]:
        """Return how many training photographs each of some classes of a level has."""
        return self.train_count[self.rows(level)][np.asarray(classes)]

    def classes(self, latlon_deg: ArrayLike) -> NDArray[np.int64]:
        """Return (N, levels) classes of (N, 2) points; UNKNOWN where the hierarchy does not hold a point's cell."""
        return self.classes_of_keys(self.partition.keys(latlon_deg))

    def classes_of_keys(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (N, levels) classes of the (N, levels) cells of points; UNKNOWN where it does not hold a cell."""
        classes = np.full(keys.shape, UNKNOWN, dtype=np.int64)
        classes[:, -1] = self._lookup(keys[:, -1], self.depth - 1)
        for level in range(self.depth - 2, -1, -1):
            # Cells are nested: whose cell below is known has its parent; only the others are looked up.
            below = classes[:, level + 1]
            known = below != UNKNOWN
            classes[known, level] = self.parent_class(level + 1)[below[known]]
            classes[~known, level] = self._lookup(keys[~known, level], level)
        return classes

    def _lookup(self, keys: NDArray[np.int64], level: int) -> NDArray[np.int64]:
        known = self.key[self.rows(level)]
        order = np.argsort(known)
        ordered = known[order]
        place = np.minimum(np.searchsorted(ordered, keys), len(known) - 1)
        return np.where(ordered[place] == keys, order[place], UNKNOWN)


def build_hierarchy(
    partition: Partition, latlon_deg: ArrayLike, min_images: int = 1, keys: NDArray[np.int64] | None = None
) -> Hierarchy:
    """Build the tree of the cells that hold training photographs.

    Args:
        partition: how the world is cut.
        latlon_deg: (N, 2) coordinates of the training photographs.
        min_images: cells with fewer photographs are dropped, at their level only. So that no class is left without
            children, the fullest child of each class always stays.
        keys: (N, levels) of the photographs, where something else than coordinates tells them.

    Raises:
        ValueError: there are no photographs, or no cell of a level has enough of them.
    """
    points = np.asarray(latlon_deg, dtype=np.float64).reshape(-1, 2)
    if not len(points):
        raise ValueError("there are no training photographs to build a hierarchy from")
    keys = partition.keys(points) if keys is None else keys
    levels: list[dict[str, NDArray]] = []
    for depth, level_name in enumerate(partition.level_names):
        cells, first, member, count = np.unique(
            keys[:, depth], return_index=True, return_inverse=True, return_counts=True
        )
        above = _lookup_sorted(levels[-1], keys[first, depth - 1]) if depth else np.full(len(cells), UNKNOWN)
        kept = (count >= min_images) & (cells != NO_CELL)
        if depth:
            kept = (kept | _fullest_child(above, count)) & (above != UNKNOWN)
        if not kept.any():
            raise ValueError(
                f"no {level_name} cell has {counted(min_images, 'training photograph')} (the fullest has {count.max()}): "
                "lower --min-images, leave the level out, or add photographs"
            )
        rows = np.flatnonzero(kept)
        rows = rows[np.lexsort((cells[rows], above[rows]))]
        center = group_means(points, member, len(cells))
        levels.append({"key": cells[rows], "above": above[rows], "center": center[rows], "count": count[rows]})
    return _assemble(partition, levels)


def _lookup_sorted(level: dict[str, NDArray], keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the classes of keys in a level under construction."""
    order = np.argsort(level["key"])
    place = np.minimum(np.searchsorted(level["key"], keys, sorter=order), len(order) - 1)
    return np.where(level["key"][order[place]] == keys, order[place], UNKNOWN)


def _fullest_child(above: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark, among cells with a parent class each, the one with most photographs of every parent."""
    order = np.lexsort((-count, above))
    mark = np.zeros(len(above), dtype=bool)
    mark[order[np.flatnonzero(np.diff(above[order], prepend=np.iinfo(np.int64).min))]] = True
    return mark


def _assemble(partition: Partition, levels: list[dict[str, NDArray]]) -> Hierarchy:
    starts = np.cumsum([0] + [len(level["key"]) for level in levels])
    depths = range(len(levels))
    parents = [levels[0]["above"]] + [levels[d]["above"] + starts[d - 1] for d in depths[1:]]
    return Hierarchy(
        partition=partition,
        level=np.repeat(np.arange(len(levels)), np.diff(starts)).astype(np.int8),
        parent=np.concatenate(parents).astype(np.int32),
        key=np.concatenate([level["key"] for level in levels]),
        name=tuple(name for d in depths for name in partition.names(levels[d]["key"], d)),
        center_deg=np.concatenate([level["center"] for level in levels]),
        bounds_deg=np.concatenate([partition.bounds_deg(levels[d]["key"], d) for d in depths]),
        area_km2=np.concatenate([partition.area_km2(levels[d]["key"], d) for d in depths]),
        train_count=np.concatenate([level["count"] for level in levels]).astype(np.int64),
    )
