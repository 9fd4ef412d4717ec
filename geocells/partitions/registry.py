"""From the name of a partition and its stored arrays to the partition."""

import importlib
from operator import attrgetter
from typing import Any

from numpy.typing import NDArray

from geocells.partitions.base import Partition

KNOWN = {
    "quad": "quad:quad",
    "quad_equal_area": "quad:quad_equal_area",
    "adaptive": "adaptive:AdaptivePartition.of",
    "admin": "admin:AdminPartition.of",
    "kmeans": "kmeans:KMeansPartition.of",
    "macro": "macro:MacroPartition.of",
}
"""What makes each partition, `module:callable`, imported when it is asked for."""


def partition_of(name: str, level_names: tuple[str, ...], arrays: dict[str, NDArray] | None = None) -> Partition:
    """Return the partition that a name, its levels and its stored arrays stand for.

    Raises:
        ValueError: no partition has that name, a level is not one of its own, or the arrays are not its own.
    """
    if name not in KNOWN:
        raise ValueError(f"there is no partition {name!r}; there are: {', '.join(KNOWN)}")
    module, maker = KNOWN[name].split(":")
    make: Any = attrgetter(maker)(importlib.import_module(f"geocells.partitions.{module}"))
    try:
        made: Partition = make(level_names, arrays or {})
    except KeyError as lacking:
        raise ValueError(f"the partition {name} needs the array {lacking}, which is not stored") from None
    if made.level_names != level_names:
        raise ValueError(f"levels of {name} are named {', '.join(made.level_names)}, got {', '.join(level_names)}")
    return made
