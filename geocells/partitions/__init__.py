"""Ways to cut the world into nested cells."""

from geocells.partitions.base import NO_CELL, Partition
from geocells.partitions.quad import DEFAULT_LEVELS, QuadPartition
from geocells.partitions.registry import partition_of

__all__ = ["DEFAULT_LEVELS", "NO_CELL", "Partition", "QuadPartition", "partition_of"]
