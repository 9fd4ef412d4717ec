"""Cells as small as photographs are dense: a quadtree of one level, or boxes from a table."""

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from geocells import grid
from geocells.partitions.base import NO_CELL, check_keys
from geocells.sphere import box_area_km2, check_latlon

LEVEL_NAME = "cells"
MAX_IMAGES = 1000
MAX_LEVEL = 10
"""When left out: the cells of PlaNet and OpenStreetView-5M are of this order."""
COLUMNS = ("cluster_id", "min_lat", "min_lon", "max_lat", "max_lon")
"""Of the public cell table of OpenStreetView-5M (`quadtree_10_1000.csv`), which further has mean_lat and mean_lon."""


@dataclass(frozen=True, eq=False)
class AdaptivePartition:
    """One level of boxes that do not overlap; the key of a cell is its row.

    A point on an edge belongs to the box to its south and east, and to no box only where no box touches it.

    Attributes:
        boxes_deg: (N, 4) south, west, north, east.
        texts: (N,) of the cells, each another.
    """

    boxes_deg: NDArray[np.float64]
    texts: NDArray[np.str_]

    @property
    def name(self) -> str:
        """Return the name by which `--partition` knows it."""
        return "adaptive"

    @property
    def level_names(self) -> tuple[str, ...]:
        """Return the name of the only level."""
        return (LEVEL_NAME,)

    @cached_property
    def _tree(self) -> shapely.STRtree:
        south, west, north, east = self.boxes_deg.T
        return shapely.STRtree(shapely.box(west, south, east, north))

    def keys(self, latlon_deg: ArrayLike) -> NDArray[np.int64]:
        """Return (N, 1) keys of (N, 2) points; NO_CELL where no box is."""
        points = np.asarray(latlon_deg, dtype=np.float64).reshape(-1, 2)
        check_latlon(points[:, 0], points[:, 1])
        lat, lon = points[:, 0], np.where(np.abs(points[:, 1]) > 180, (points[:, 1] + 180) % 360 - 180, points[:, 1])
        lon = np.where(lon == 180, -180.0, lon)
        point, box = self._tree.query(shapely.points(lon, lat), predicate="intersects")
        south, _, _, east = self.boxes_deg[box].T
        north_of = (lat[point] > south) | (south == -90)
        owned = north_of & (lon[point] < east) & (lat[point] <= self.boxes_deg[box, 2])
        keys = np.full(len(points), NO_CELL, dtype=np.int64)
        # Of several boxes that share an edge the owner is written last.
        order = np.argsort(owned, kind="stable")
        keys[point[order]] = box[order]
        return keys[:, None]

    def parents(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
        """Refuse: there is no level above."""
        raise AssertionError("a partition of one level has no parents")

    def names(self, keys: NDArray[np.int64], depth: int) -> list[str]:
        """Return the texts of cells."""
        check_keys(keys, len(self.texts), self.name)
        return self.texts[keys].tolist()

    def bounds_deg(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return (N, 4) south, west, north, east of cells."""
        return self.boxes_deg[keys]

    def area_km2(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return the areas of cells."""
        return box_area_km2(self.boxes_deg[keys])

    def outline(self, key: int, depth: int) -> shapely.Geometry | None:
        """Return None: a cell is its box."""
        return None

    def arrays(self) -> dict[str, NDArray]:
        """Return the boxes and their texts."""
        return {"boxes_deg": self.boxes_deg, "texts": self.texts}


def build(
    name: str,
    training_deg: NDArray[np.float64],
    *,
    max_images: int | None = None,
    max_level: int | None = None,
    cells: Path | None = None,
) -> AdaptivePartition:
    """Return the cells of a table, or those of the quad grid that are as small as photographs are dense."""
    if cells is not None:
        return read_cell_table(cells)
    return split_by_density(training_deg, max_images or MAX_IMAGES, max_level or MAX_LEVEL)


def restore(name: str, level_names: tuple[str, ...], arrays: dict[str, NDArray]) -> AdaptivePartition:
    """Return the partition of stored arrays."""
    return AdaptivePartition(arrays["boxes_deg"], arrays["texts"])


def split_by_density(latlon_deg: ArrayLike, max_images: int, max_level: int) -> AdaptivePartition:
    """Return the cells of the quad grid left when each is split while it holds too many photographs.

    Args:
        latlon_deg: (N, 2) coordinates of photographs.
        max_images: a cell with more is split.
        max_level: finest level, 1 to 16, at which a cell stays however many it holds.

    Returns:
        Cells that cover the world, those without photographs too.
    """
    finest = grid.encode(np.asarray(latlon_deg, dtype=np.float64).reshape(-1, 2), max_level)
    crowded = np.array([0])
    boxes, texts = [], []
    for level in range(1, max_level + 1):
        cells = grid.children(crowded, level - 1, level).ravel()
        inside = grid.parent(finest, max_level, level)
        inside = inside[np.isin(inside, cells)]
        full = np.bincount(np.searchsorted(cells, inside), minlength=len(cells)) > max_images
        left = cells if level == max_level else cells[~full]
        boxes.append(grid.bounds_deg(left, level))
        texts += grid.format_ids(left, level)
        crowded = cells[full]
    return AdaptivePartition(np.concatenate(boxes), np.array(texts))


def read_cell_table(path: Path) -> AdaptivePartition:
    """Return the boxes of a table `cluster_id,min_lat,min_lon,max_lat,max_lon`; further columns are ignored.

    Raises:
        ValueError: there is no such table, or a row is not a box of the world.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file; --cells names a table with the columns {','.join(COLUMNS)}")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(f"{path} has no column {missing[0]}: a cell table has {','.join(COLUMNS)}")
        read = [tuple(row[name] for name in COLUMNS) for row in rows]
    if not read:
        raise ValueError(f"{path} lists no cells")
    texts = np.array([row[0] for row in read])
    try:
        boxes = np.array([row[1:] for row in read], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} has a bound that is not a number ({error})") from None
    _check_boxes(path, texts, boxes)
    return AdaptivePartition(boxes, texts)


def _check_boxes(path: Path, texts: NDArray[np.str_], boxes: NDArray[np.float64]) -> None:
    south, west, north, east = boxes.T
    real = (south >= -90) & (south < north) & (north <= 90) & (west >= -180) & (west < east) & (east <= 180)
    if not real.all():
        raise ValueError(f"{path}: cell {texts[~real][0]} is not a box within ±90 and ±180, minima below maxima")
    if len(np.unique(texts)) < len(texts):
        raise ValueError(f"{path} lists a cluster_id twice")
    a, b = shapely.STRtree(shapely.box(west, south, east, north)).query(
        shapely.box(west, south, east, north), predicate="intersects"
    )
    deep = np.minimum(north[a], north[b]) - np.maximum(south[a], south[b])
    wide = np.minimum(east[a], east[b]) - np.maximum(west[a], west[b])
    overlap = (a < b) & (deep > 1e-9) & (wide > 1e-9)
    if overlap.any():
        raise ValueError(f"{path}: cells {texts[a[overlap][0]]} and {texts[b[overlap][0]]} overlap")
