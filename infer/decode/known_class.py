"""What somebody knows beside the photograph: its class at one level, such as the region that an expert answers for."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely

from geocells.hierarchy import Hierarchy
from geocells.land import TABLE_LEVEL, cell_boxes
from geocells.outlines import polygonal
from infer.decode.area import Area, cells_inside, shrunk
from infer.decode.prior import Prior
from infer.decode.region import cell_areas

NAMED = 10
"""Classes that a refusal lists."""


def known_rows(hierarchy: Hierarchy, texts: Sequence[str]) -> list[int]:
    """Return the rows of the hierarchy that `LEVEL=CLASS` names, all of one level.

    Raises:
        ValueError: a text is not of that form, or names no level or class of this hierarchy, or the levels differ.
    """
    rows = [_row(hierarchy, text) for text in texts]
    if len({int(hierarchy.level[row]) for row in rows}) > 1:
        raise ValueError(
            f"--known-class takes classes of one level, got {' '.join(texts)}: name them of the same level"
        )
    return rows


def _row(hierarchy: Hierarchy, text: str) -> int:
    level_name, sign, name = text.partition("=")
    if not sign:
        raise ValueError(
            f"--known-class is LEVEL=CLASS, such as {hierarchy.level_names[0]}={hierarchy.name[0]}, got {text!r}"
        )
    if level_name not in hierarchy.level_names:
        raise ValueError(
            f"--known-class {text}: there is no level {level_name!r}; it is {_any_of(hierarchy.level_names)}"
        )
    level = hierarchy.rows(hierarchy.level_index(level_name))
    names = hierarchy.name[level]
    if name not in names:
        raise ValueError(
            f"--known-class {text}: {level_name} has no class {name!r} with training photographs; it is {_any_of(names)}"
        )
    return level.start + names.index(name)


def _any_of(names: Sequence[str]) -> str:
    more = f" or one of {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def know_class(prior: Prior | None, hierarchy: Hierarchy, texts: Sequence[str]) -> Prior:
    """Return prior knowledge that leaves the leaves of some classes alone, and of what else is known what they share.

    Args:
        prior: what else is known, if anything.
        hierarchy: the classes; each has a place.
        texts: `LEVEL=CLASS`, of one level; several are one area together.

    Raises:
        ValueError: a class cannot be understood, or nothing is left.
    """
    known = known_rows(hierarchy, texts)
    rows = hierarchy.rows(hierarchy.depth - 1)
    leaves = np.arange(rows.start, rows.stop)
    above = leaves
    for _ in range(hierarchy.depth - 1 - int(hierarchy.level[known[0]])):
        above = hierarchy.parent[above]
    own = np.isin(above, known)
    if prior is None:
        prior = Prior("", np.ones(len(own)), np.ones(4**TABLE_LEVEL), center_deg=hierarchy.center_deg[rows].copy())
    words = f"{prior.words} known to be {' or '.join(texts)}".lstrip()
    leaf = np.where(own, prior.leaf, 0)
    if not np.any(leaf > 0):
        raise ValueError(f"{words}: nothing is left of both; leave one of them out")
    whole = shapely.union_all(cell_areas(hierarchy, leaves[own]))
    left = np.array([shapely.intersection(whole, part) for part in (prior.geometry, prior.land)], dtype=object)
    geometry, land = polygonal(left)
    shapely.prepare([geometry, land])
    core = shrunk(land)
    table = cells_inside(cell_boxes(np.arange(4**TABLE_LEVEL), TABLE_LEVEL), geometry)
    return replace(
        prior,
        words=words,
        leaf=leaf,
        table=np.minimum(table, prior.table),
        geometry=geometry,
        land=land,
        core=land if shapely.is_empty(core) else core,
        within=Area(tuple(texts), (), land, land, geometry),
        exclude=None,
    )
