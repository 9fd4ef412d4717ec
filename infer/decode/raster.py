"""The land as cells of the shipped table, and where the leaves of a hierarchy lie among them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocells import grid
from geocells.class_cells import class_cells
from geocells.hierarchy import UNKNOWN, Hierarchy
from geocells.land import TABLE_LEVEL, land_table
from geocells.sphere import box_area_km2, unit_vectors

SEA = 0.02
"""A cell of a coast counts as at least so much land."""


@dataclass(frozen=True, eq=False)
class Raster:
    """The cells of the shipped land table that touch land or hold a leaf's coordinate.

    Attributes:
        cell: (C,) ascending numbers in the quad grid of `TABLE_LEVEL`.
        bounds_deg: (C, 4).
        area_km2: (C,).
        base: (C,) square kilometres of land, by which a kernel's mass is shared out.
        vector: (C, 3) unit vectors of the middles.
        leaves: (leaves, 3) unit vectors of the leaves' coordinates.
        own_cell, own_leaf, own_share: how a leaf that keeps its mass shares it among the cells inside it.
    """

    cell: NDArray[np.int64]
    bounds_deg: NDArray[np.float64]
    area_km2: NDArray[np.float64]
    base: NDArray[np.float64]
    vector: NDArray[np.float64]
    leaves: NDArray[np.float64]
    own_cell: NDArray[np.int64]
    own_leaf: NDArray[np.int64]
    own_share: NDArray[np.float64]

    @classmethod
    def of(cls, hierarchy: Hierarchy) -> "Raster":
        """Return the raster of a hierarchy, whatever its partition."""
        leaf_deg = hierarchy.center_deg[hierarchy.rows(hierarchy.depth - 1)]
        of_leaf = grid.encode(leaf_deg, TABLE_LEVEL)
        share = land_table().share
        cell = np.union1d(np.flatnonzero(share > 0), of_leaf)
        bounds = grid.bounds_deg(cell, TABLE_LEVEL)
        area, middle = box_area_km2(bounds), grid.center_deg(cell, TABLE_LEVEL)
        base = area * np.maximum(share[cell], SEA)
        # A leaf smaller than a cell keeps its mass in the cell around it.
        own_leaf, own = class_cells(hierarchy, hierarchy.depth - 1, cell)
        own_cell = np.searchsorted(cell, own)
        total = np.bincount(own_leaf, base[own_cell], len(leaf_deg))
        vectors = unit_vectors(middle), unit_vectors(leaf_deg)
        return cls(cell, bounds, area, base, *vectors, own_cell, own_leaf, base[own_cell] / total[own_leaf])

    def find(self, latlon_deg: ArrayLike) -> NDArray[np.int64]:
        """Return which cell of the raster each of (N, 2) points lies in; UNKNOWN at sea."""
        cell = grid.encode(latlon_deg, TABLE_LEVEL)
        place = np.minimum(np.searchsorted(self.cell, cell), len(self.cell) - 1)
        return np.where(self.cell[place] == cell, place, UNKNOWN)
