"""Which country cells lie in, from the shipped table of land."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from geocells import grid
from geocells.class_cells import class_cells
from geocells.hierarchy import Hierarchy
from geocells.land import TABLE_LEVEL, land_table
from geocells.m49 import subregions
from geocells.sphere import box_area_km2
from label_maps.labels import COUNTRY

LEAST_SHARE = 5e-4
"""A country with less of the probability is not named."""


def table_cells(hierarchy: Hierarchy, level: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return which cells of the land table make up which classes of a level, and the share of a class's land in each.

    A class that holds the middle of no cell of the table is taken to lie in the cell around its coordinate.

    Returns:
        Classes, cells of the table, shares: all of one length.
    """
    of, cell = class_cells(hierarchy, level, np.flatnonzero(land_table().share > 0))
    land = box_area_km2(grid.bounds_deg(cell, TABLE_LEVEL)) * np.maximum(land_table().share[cell], 1e-6)
    return of, cell, land / np.bincount(of, land, hierarchy.sizes()[level])[of]


@dataclass(frozen=True, eq=False)
class LeafCountries:
    """The countries of the finest cells.

    Attributes:
        codes: (K,) ISO 3166-1 alpha-2.
        share: (K, leaves) sparse, of a leaf's land in each country.
    """

    codes: NDArray[np.str_]
    share: scipy.sparse.csr_array

    @classmethod
    def of(
        cls, hierarchy: Hierarchy, country: NDArray[np.str_] | None = None, left: NDArray[np.float64] | None = None
    ) -> "LeafCountries":
        """Return the countries of a hierarchy's leaves.

        Args:
            hierarchy: the cells.
            country: (65536,) of each cell of the land table; that with most land in it when None.
            left: (65536,) what share of each cell of the land table prior knowledge leaves; all when None.

        Where the finest level is that of countries, each leaf is its own.
        """
        names, leaves = hierarchy.name[hierarchy.rows(hierarchy.depth - 1)], hierarchy.sizes()[-1]
        if hierarchy.level_names[-1] == COUNTRY and subregions().keys() >= set(names):
            return cls(np.array(names), scipy.sparse.csr_array(scipy.sparse.eye_array(leaves)))
        country = land_table().country if country is None else country
        leaf, cell, share = table_cells(hierarchy, hierarchy.depth - 1)
        share = share if left is None else share * left[cell]
        share = share / np.maximum(np.bincount(leaf, share, leaves), 1e-300)[leaf]
        codes, member = np.unique(country[cell], return_inverse=True)
        shape = (len(codes), leaves)
        return cls(codes, scipy.sparse.csr_array((share, (member, leaf)), shape=shape))

    def shares(self, probability: NDArray[np.float64]) -> list[tuple[str, float]]:
        """Return codes and shares of the countries of (leaves,) probabilities, the largest first, without the sea's."""
        share = self.share @ probability
        order = np.argsort(-share, kind="stable")
        return [(str(self.codes[k]), float(share[k])) for k in order if self.codes[k] and share[k] >= LEAST_SHARE]


def mass_by_country(country: NDArray[np.str_], mass: NDArray[np.floating]) -> list[dict[str, float | str]]:
    """Return `code` and `share` of each country, the largest share first; what is nobody's is left out."""
    codes, member = np.unique(country, return_inverse=True)
    share = np.bincount(member, mass, len(codes)) / max(float(mass.sum()), 1e-300)
    order = [k for k in np.argsort(-share, kind="stable") if codes[k] and share[k] >= LEAST_SHARE]
    return [{"code": str(codes[k]), "share": round(float(share[k]), 4)} for k in order]
