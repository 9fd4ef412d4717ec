"""Country-only photographs: a class at the level of countries, and none below."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.manifest import coordinates, has_coordinates
from geocells.hierarchy import UNKNOWN, Hierarchy
from geocells.partitions import Partition

COUNTRY = "country"
"""Name of the level, of the only partition that has it."""


def truth_of(hierarchy: Hierarchy, photos: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return (N, 2) coordinates and (N, levels) classes of the rows of a manifest.

    Of a country-only photograph the class of its country is known, its coordinates are that class's centre, and the classes
    of other levels are UNKNOWN; where the hierarchy lacks the country, all is UNKNOWN and NaN.
    """
    here, points = has_coordinates(photos), coordinates(photos)
    if here.all():
        return points, hierarchy.classes(points)
    points = points.copy()
    classes = np.full((len(photos), hierarchy.depth), UNKNOWN, dtype=np.int64)
    classes[here] = hierarchy.classes(points[here])
    if COUNTRY in hierarchy.level_names:
        level = hierarchy.level_index(COUNTRY)
        number = {name: k for k, name in enumerate(hierarchy.name[hierarchy.rows(level)])}
        stated = photos["country"].map(number).fillna(UNKNOWN).to_numpy(dtype=np.int64)
        classes[~here, level] = stated[~here]
        known = ~here & (stated != UNKNOWN)
        points[known] = hierarchy.center_deg[hierarchy.rows(level)][stated[known]]
    return points, classes


def stand_ins(partition: Partition, photos: pd.DataFrame) -> NDArray[np.float64]:
    """Return (M, 2) places that stand for photographs of countries of which there are none with coordinates.

    Without them such a country would not be a class. Each photograph stands in the country's largest area.
    """
    from geocells.partitions.admin import AdminPartition

    if not isinstance(partition, AdminPartition):
        return np.zeros((0, 2))
    here = has_coordinates(photos)
    seen = partition.keys(coordinates(photos[here]))[:, 0] if here.any() else np.zeros(0, dtype=np.int64)
    number = {text: k for k, text in enumerate(partition.texts[0].tolist())}
    country = photos["country"][~here].map(number).dropna().to_numpy(dtype=np.int64)
    return partition.places_in(country[~np.isin(country, seen)])


def counts_with_country_only(hierarchy: Hierarchy, photos: pd.DataFrame) -> NDArray[np.int64]:
    """Return (classes of all levels,) training photographs of each class, those added that have no coordinates.

    Args:
        hierarchy: built from places, and from those that stand in.
        photos: training photographs.
    """
    count = hierarchy.train_count.copy()
    if COUNTRY not in hierarchy.level_names or has_coordinates(photos).all():
        return count
    rows = hierarchy.rows(hierarchy.level_index(COUNTRY))
    stated = photos["country"][~has_coordinates(photos)].value_counts()
    extra = np.array([stated.get(name, 0) for name in hierarchy.name[rows]], dtype=np.int64)
    located = hierarchy.classes(coordinates(photos[has_coordinates(photos)]))[:, hierarchy.level_index(COUNTRY)]
    of_places = np.bincount(located[located != UNKNOWN], minlength=len(extra))
    count[rows] = of_places + extra
    return count
