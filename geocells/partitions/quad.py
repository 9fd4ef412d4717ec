"""Levels of the quad grid."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocells import grid
from geocells.sphere import box_area_km2

if TYPE_CHECKING:
    import shapely

DEFAULT_LEVELS = (1, 3, 5, 8)


@dataclass(frozen=True)
class QuadPartition:
    """Levels of the quad grid; the key of a cell is its number in the grid.

    Attributes:
        levels: levels of the grid, ascending.
        equal_area: latitudes are cut so that cells of a level have equal area.
    """

    levels: tuple[int, ...] = DEFAULT_LEVELS
    equal_area: bool = False

    def __post_init__(self) -> None:
        """Refuse levels that the grid does not have or that are out of order."""
        for level in self.levels:
            grid.side(level)
        if not self.levels or list(self.levels) != sorted(set(self.levels)):
            raise ValueError(f"levels are given once each, coarse to fine, such as 1 3 5 8; got {self.levels}")

    @property
    def name(self) -> str:
        """Return the name by which `--partition` knows it."""
        return "quad_equal_area" if self.equal_area else "quad"

    @property
    def level_names(self) -> tuple[str, ...]:
        """Return the names of the levels, such as L1."""
        return tuple(f"L{level}" for level in self.levels)

    def keys(self, latlon_deg: ArrayLike) -> NDArray[np.int64]:
        """Return (N, levels) keys of (N, 2) points."""
        finest = grid.encode(latlon_deg, self.levels[-1], self.equal_area)
        return np.stack([grid.parent(finest, self.levels[-1], level) for level in self.levels], axis=-1)

    def parents(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
        """Return the keys, at the level above, of the parents of cells of the level at position `depth`."""
        return grid.parent(keys, self.levels[depth], self.levels[depth - 1])

    def names(self, keys: NDArray[np.int64], depth: int) -> list[str]:
        """Return the texts of cells of the level at position `depth`."""
        return grid.format_ids(keys, self.levels[depth])

    def bounds_deg(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return (N, 4) south, west, north, east of cells of the level at position `depth`."""
        return grid.bounds_deg(keys, self.levels[depth], self.equal_area)

    def area_km2(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return the areas of cells of the level at position `depth`."""
        return box_area_km2(self.bounds_deg(keys, depth))

    def outline(self, key: int, depth: int) -> "shapely.Geometry | None":
        """Return None: a cell is its box."""
        return None

    def arrays(self) -> dict[str, NDArray]:
        """Return nothing: the names of the levels say all."""
        return {}


def build(name: str, training_deg: NDArray[np.float64], *, levels: tuple[int, ...] | None = None) -> QuadPartition:
    """Return the grid of some levels, the default ones when None; photographs change nothing."""
    return QuadPartition(DEFAULT_LEVELS if levels is None else levels, name == "quad_equal_area")


def restore(name: str, level_names: tuple[str, ...], arrays: dict[str, NDArray]) -> QuadPartition:
    """Return the grid of levels by their names; it has no arrays.

    Raises:
        ValueError: a level is not one of the grid.
    """
    if not all(level.startswith("L") and level[1:].isdecimal() for level in level_names):
        raise ValueError(f"levels of the grid are named L1 to L{grid.MAX_LEVEL}, got {', '.join(level_names)}")
    return QuadPartition(tuple(int(level[1:]) for level in level_names), name == "quad_equal_area")


def settings(partition: QuadPartition) -> dict[str, object]:
    """Return the levels, for the record of a run."""
    return {"levels": list(partition.levels)}
