"""Truth of photographs: classes of their coordinates, or, where these are not known, of their country or label.

A country-only photograph has a class at the level of countries (partition `admin`), and none below. At the level of the partition
`classes` the label decides, also for photographs with coordinates.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.manifest import coordinates, has_coordinates
from geocells.hierarchy import UNKNOWN, Hierarchy
from geocells.partitions import Partition

COUNTRY = "country"
"""Name of the level of countries, of the only partition that has it."""
CLASS = "class"
"""Name of the level of a dataset's own labels, likewise."""
STATED = {COUNTRY: "country", CLASS: "label"}
"""Columns of a manifest that state a class, by the level that it is of."""


def class_level(hierarchy: Hierarchy) -> int | None:
    """Return the position of the level whose classes a photograph can have without coordinates; None where there is none."""
    return next((k for k, name in enumerate(hierarchy.level_names) if name in STATED), None)


def stated_classes(hierarchy: Hierarchy, photos: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return (N,) whether countries or labels decide the class of photographs, and (N,) that class, else UNKNOWN."""
    level, unknown = class_level(hierarchy), np.full(len(photos), UNKNOWN, dtype=np.int64)
    column = None if level is None else STATED[hierarchy.level_names[level]]
    if level is None or column not in photos:
        return np.zeros(len(photos), dtype=bool), unknown
    number = {name: k for k, name in enumerate(hierarchy.name[hierarchy.rows(level)])}
    decides = photos[column].notna().to_numpy()
    if hierarchy.level_names[level] == COUNTRY:
        decides = decides & ~has_coordinates(photos)
    stated = photos[column].map(number).fillna(UNKNOWN).to_numpy(dtype=np.int64)
    return decides, np.where(decides, stated, UNKNOWN)


def truth_of(hierarchy: Hierarchy, photos: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return (N, 2) coordinates and (N, levels) classes of the rows of a manifest.

    The coordinates of a photograph that has none are the centre of its class, and the classes of other levels are UNKNOWN; where
    the hierarchy lacks its country or label, all is UNKNOWN and NaN.
    """
    here, points = has_coordinates(photos), coordinates(photos)
    decides, stated = stated_classes(hierarchy, photos)
    if here.all() and not decides.any():
        return points, hierarchy.classes(points)
    points = points.copy()
    classes = np.full((len(photos), hierarchy.depth), UNKNOWN, dtype=np.int64)
    classes[here] = hierarchy.classes(points[here])
    level = class_level(hierarchy)
    if level is not None:
        classes[decides, level] = stated[decides]
        known = ~here & (stated != UNKNOWN)
        points[known] = hierarchy.center_deg[hierarchy.rows(level)][stated[known]]
    return points, classes


def questions(hierarchy: Hierarchy, photos: pd.DataFrame) -> NDArray[np.bool_]:
    """Return (N,) which photographs a run can be asked about: where their coordinates, their country or their label is known."""
    return (has_coordinates(photos) & hierarchy.placed) | stated_classes(hierarchy, photos)[0]


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
    count, level = hierarchy.train_count.copy(), class_level(hierarchy)
    if level is None or has_coordinates(photos).all():
        return count
    own = truth_of(hierarchy, photos)[1][:, level]
    count[hierarchy.rows(level)] = np.bincount(own[own != UNKNOWN], minlength=hierarchy.sizes()[level])
    return count
