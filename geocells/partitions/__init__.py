"""Ways to cut the world into nested cells.

`base` says what a partition has, `registry` which there are. `quad` is the grid of equal boxes, `adaptive` its cells as
small as photographs are dense, `kmeans` clusters of photographs, `points` a cell for each place, `admin` countries and
regions, `macro` 13 groups of countries, `classes` the labels of a dataset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geocells.partitions.registry import PARTITIONS, build_partition, partition_of

if TYPE_CHECKING:
    from geocells.partitions.base import NO_CELL, Partition
    from geocells.partitions.quad import DEFAULT_LEVELS, QuadPartition

__all__ = [
    "DEFAULT_LEVELS",
    "NO_CELL",
    "PARTITIONS",
    "Partition",
    "QuadPartition",
    "build_partition",
    "partition_of",
]


def __getattr__(name: str) -> Any:
    """Import what takes numpy only when it is asked for: the registry alone is read for `--help`."""
    if name not in __all__:
        raise AttributeError(f"module 'geocells.partitions' has no attribute {name!r}")
    from importlib import import_module

    home = "quad" if name in ("DEFAULT_LEVELS", "QuadPartition") else "base"
    return getattr(import_module(f"geocells.partitions.{home}"), name)
