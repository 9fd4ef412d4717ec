"""How far the photographs of a class lie from its centre: the spatial dispersion of cells, regions and labels."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.manifest import coordinates, has_coordinates
from geocells.hierarchy import UNKNOWN, Hierarchy
from geocells.sphere import distance_km
from label_maps.labels import truth_of

QUANTILES = (0.5, 0.9)
"""Of the great-circle distances from a class's centre."""


def distances_from_centers(hierarchy: Hierarchy, photos: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return (N, levels) classes of the photographs that have coordinates, and (N, levels) km from the centres of these.

    A photograph of an unknown class has no distance: NaN. Where classes have no places, nothing has.
    """
    photos = photos[has_coordinates(photos)]
    if not hierarchy.placed or not len(photos):
        return np.zeros((0, hierarchy.depth), dtype=np.int64), np.zeros((0, hierarchy.depth))
    points, classes = coordinates(photos), truth_of(hierarchy, photos)[1]
    away = np.full(classes.shape, np.nan)
    for level in range(hierarchy.depth):
        known = classes[:, level] != UNKNOWN
        centers = hierarchy.center_deg[hierarchy.rows(level)][classes[known, level]]
        away[known, level] = distance_km(points[known], centers)
    return classes, away


def class_spread(hierarchy: Hierarchy, photos: pd.DataFrame) -> list[NDArray[np.float64]]:
    """Return, by level, the (K, 2) median and 90th percentile of the km of photographs from the centre of their class.

    Args:
        hierarchy: the classes.
        photos: rows of a manifest, the training photographs; a class without one that has coordinates has NaN.
    """
    classes, away = distances_from_centers(hierarchy, photos)
    found = []
    for level, size in enumerate(hierarchy.sizes()):
        known = classes[:, level] != UNKNOWN
        groups = pd.Series(away[known, level]).groupby(classes[known, level])
        rows = [groups.quantile(q).reindex(range(size)).to_numpy(dtype=np.float64) for q in QUANTILES]
        found.append(np.stack(rows, axis=1))
    return found
