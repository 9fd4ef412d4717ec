"""Which partitions there are. One row makes a partition known to the command, to its flags and to stored runs.

The module that a row names has two functions, and may have two more:

- `build(name, training_deg, **flags)`: the partition of (N, 2) coordinates of training photographs, given its own flags,
  None where a flag was left out.
- `restore(name, level_names, arrays)`: the same partition again, of what `Partition.arrays` gave.
- `settings(partition)`: what was chosen for flags that were left out, for the record of a run.
- `remarks(partition, training_deg, **flags)`: lines to print of a partition that was built.
"""

from typing import TYPE_CHECKING, Any

from plumbing.registry import Entry, Registry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocells.partitions.base import Partition

PARTITIONS = Registry(
    "partition",
    {
        "quad": Entry("geocells.partitions.quad", "equal boxes in degrees", ("levels",)),
        "quad_equal_area": Entry("geocells.partitions.quad", "cells of a level have equal area", ("levels",)),
        "adaptive": Entry(
            "geocells.partitions.adaptive",
            "cells as small as photographs are dense",
            ("max_images", "max_level", "cells"),
        ),
        "admin": Entry(
            "geocells.partitions.admin",
            "countries and regions",
            ("countries", "regions", "assign"),
            ("country", "countries", "regions"),
        ),
        "kmeans": Entry("geocells.partitions.kmeans", "nested clusters", ("clusters", "seed")),
        "points": Entry("geocells.partitions.points", "a cell for each place", ("clusters", "seed")),
        "macro": Entry("geocells.partitions.macro", "13 groups of countries"),
        "classes": Entry("geocells.partitions.classes", "the dataset's own labels", meant_by=("labels",)),
    },
)


def build_partition(name: str, training_deg: "NDArray", **flags: Any) -> "Partition":
    """Return the partition of a name for (N, 2) coordinates of training photographs.

    Raises:
        ValueError: no partition has that name, or it cannot be built: a file is missing, photographs are too few.
    """
    made: Partition = PARTITIONS[name].load().build(name, training_deg, **flags)
    return made


def partition_of(name: str, level_names: tuple[str, ...], arrays: "dict[str, NDArray] | None" = None) -> "Partition":
    """Return the partition that a name, its levels and its stored arrays stand for.

    Raises:
        ValueError: no partition has that name, a level is not one of its own, or the arrays are not its own.
    """
    module = PARTITIONS[name].load()
    try:
        made: Partition = module.restore(name, level_names, arrays or {})
    except KeyError as lacking:
        raise ValueError(f"the partition {name} needs the array {lacking}, which is not stored") from None
    if made.level_names != level_names:
        raise ValueError(f"levels of {name} are named {', '.join(made.level_names)}, got {', '.join(level_names)}")
    return made
