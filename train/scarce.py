"""Cells that a training can learn next to nothing about, said before it begins."""

import logging
from collections.abc import Iterable

import numpy as np

from geocells.hierarchy import Hierarchy
from plumbing.text import counted

SCARCE = 3
"""A cell with fewer training photographs is learned from a place or a journey and not as a region."""

log = logging.getLogger(__name__)


def warn_of_scarce_cells(hierarchy: Hierarchy, levels: Iterable[int]) -> None:
    """Name in one log line the levels whose cells have fewer than `SCARCE` training photographs, and how many those are."""
    said = []
    for level in levels:
        count = np.asarray(hierarchy.train_count[hierarchy.rows(level)])
        if few := int((count < SCARCE).sum()):
            said.append(f"{few:,} of {counted(len(count), 'cell')} of {hierarchy.level_names[level]}")
    if said:
        log.warning(
            "fewer than %d training photographs in %s: what is learned of them is a place or two; add photographs, or build "
            "larger cells (--min-images %d)",
            SCARCE,
            ", ".join(said),
            SCARCE,
        )
