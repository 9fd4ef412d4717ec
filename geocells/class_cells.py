"""Which cells of the table of the world (L8) make up which classes of a hierarchy, whatever its partition."""

import numpy as np
from numpy.typing import NDArray

from geocells import grid
from geocells.hierarchy import UNKNOWN, Hierarchy


def class_cells(
    hierarchy: Hierarchy, depth: int, cells: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pairs of a class and a cell of the table that belongs to it.

    A cell belongs to the class that holds its middle. A class that is too small to hold any middle has the cell around
    its coordinate, also where `cells` does not name that one.

    Args:
        hierarchy: the classes.
        depth: index of their level.
        cells: (C,) cells of `grid.TABLE_LEVEL` that are shared out, such as all with land.

    Returns:
        (P,) classes and (P,) cells; a cell outside all classes is in no pair.
    """
    classes = hierarchy.classes(grid.center_deg(cells, grid.TABLE_LEVEL))[:, depth]
    alone = np.setdiff1d(np.arange(hierarchy.sizes()[depth]), classes)
    around = grid.encode(hierarchy.center_deg[hierarchy.rows(depth)][alone], grid.TABLE_LEVEL)
    inside = classes != UNKNOWN
    return np.concatenate([classes[inside], alone]), np.concatenate([cells[inside], around])
