"""An order of classes in which neighbours stand together, so that confusions of a matrix lie near its diagonal."""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist, squareform

from geocells.sphere import unit_vectors

MOST_EXACT = 1000
"""So many leaves are ordered in seconds; of more, only the tree is right and its branches lie either way."""


def order_by_place(center_deg: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return an order of (K, 2) centres: the leaves of average linkage, turned so that neighbours are near each other.

    Source: Bar-Joseph et al. 2001, fast optimal leaf ordering.
    """
    return _leaves(pdist(unit_vectors(center_deg))) if len(center_deg) > 2 else np.arange(len(center_deg))


def order_by_confusion(confusion: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return an order of classes without places: those that are often taken for each other stand together.

    Args:
        confusion: (K, K) photographs by true class (rows) and answered class (columns).
    """
    if len(confusion) < 3:
        return np.arange(len(confusion))
    counts = confusion.astype(np.float64)
    both = counts.sum(axis=0) + counts.sum(axis=1)
    unlike = 1 - (counts + counts.T) / np.maximum(both[:, None] + both[None, :], 1)
    np.fill_diagonal(unlike, 0)
    return _leaves(squareform(unlike, checks=False))


def _leaves(distance: NDArray[np.float64]) -> NDArray[np.int64]:
    classes = round((1 + np.sqrt(1 + 8 * len(distance))) / 2)
    tree = linkage(distance, "average", optimal_ordering=classes <= MOST_EXACT)
    return leaves_list(tree).astype(np.int64)
