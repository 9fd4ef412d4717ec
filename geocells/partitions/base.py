"""What every way to cut the world has: keys, texts, places and sizes of cells."""

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import shapely

NO_CELL = -1
"""Key of a point that lies in no cell of a partition that leaves gaps."""


class Partition(Protocol):
    """A way to cut the world into nested cells: every point has one key per level, coarse levels first.

    The key of a cell says all about it: its text, its box, its parent. Whoever has the same name, level names and
    arrays gives the same keys.
    """

    @property
    def name(self) -> str:
        """Return the name by which `--partition` knows it."""

    @property
    def level_names(self) -> tuple[str, ...]:
        """Return the names of the levels, coarse to fine."""

    def __hash__(self) -> int:
        """Return a hash, so that what is slow to compute can be kept."""

    def keys(self, latlon_deg: ArrayLike) -> NDArray[np.int64]:
        """Return (N, levels) keys of (N, 2) points; NO_CELL in all levels of a point that lies in none."""

    def parents(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
        """Return the keys, at the level above, of the parents of cells of the level at position `depth`, 1 or more."""

    def names(self, keys: NDArray[np.int64], depth: int) -> list[str]:
        """Return the texts of cells; no two cells of a level have the same.

        Raises:
            ValueError: a key is that of no cell.
        """

    def bounds_deg(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return (N, 4) south, west, north, east of cells; east below west spans the antimeridian."""

    def area_km2(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return the areas of cells."""

    def outline(self, key: int, depth: int) -> "shapely.Geometry | None":
        """Return a cell as polygons of (longitude, latitude) within ±180; None where it is its box."""

    def arrays(self) -> dict[str, NDArray]:
        """Return what it takes, beside the names, to make the same partition again; plain arrays, to be stored."""


def check_keys(keys: NDArray[np.int64], count: int, partition: str) -> None:
    """Refuse keys that are not a row of a partition's arrays.

    Raises:
        ValueError: a key is negative or too large.
    """
    wrong = (keys < 0) | (keys >= count)
    if wrong.any():
        raise ValueError(f"the partition {partition} has no cell {keys[wrong][0]}, it has {count}")
