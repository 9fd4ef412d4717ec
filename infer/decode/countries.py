"""Which country cells lie in, from the shipped table of land."""

import numpy as np
from numpy.typing import NDArray

from geocells import grid
from geocells.class_cells import class_cells
from geocells.hierarchy import Hierarchy
from geocells.land import TABLE_LEVEL, land_table
from geocells.sphere import box_area_km2


def table_cells(hierarchy: Hierarchy, level: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return which cells of the land table make up which classes of a level, and the share of a class's land in each.

    A class that holds the middle of no cell of the table is taken to lie in the cell around its coordinate.

    Returns:
        Classes, cells of the table, shares: all of one length.
    """
    of, cell = class_cells(hierarchy, level, np.flatnonzero(land_table().share > 0))
    land = box_area_km2(grid.bounds_deg(cell, TABLE_LEVEL)) * np.maximum(land_table().share[cell], 1e-6)
    return of, cell, land / np.bincount(of, land, hierarchy.sizes()[level])[of]


def mass_by_country(country: NDArray[np.str_], mass: NDArray[np.floating]) -> list[dict[str, float | str]]:
    """Return `code` and `share` of each country, the largest share first; what is nobody's is left out."""
    codes, member = np.unique(country, return_inverse=True)
    share = np.bincount(member, mass, len(codes)) / max(float(mass.sum()), 1e-300)
    order = [k for k in np.argsort(-share, kind="stable") if codes[k] and share[k] >= 5e-4]
    return [{"code": str(codes[k]), "share": round(float(share[k]), 4)} for k in order]
