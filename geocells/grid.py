"""The quad grid: the world cut into four, again and again. Numbers and texts of cells, and their places.

A cell of level L is a number in [0, 4**L): the base-4 digits of its path from the root, most significant first, where
0 is north-west, 1 north-east, 2 south-west and 3 south-east. Its text is the digits joined by `/`. All functions take
and return arrays. With `equal_area`, latitudes are cut so that all cells of a level have the same area.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocells.levels import TABLE_LEVEL as TABLE_LEVEL
from geocells.sphere import check_latlon

MAX_LEVEL = 16

# Bits of x spread to the even places of an int64 (the usual magic numbers of Morton codes).
_SPREAD = (
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


def encode(latlon_deg: ArrayLike, level: int, equal_area: bool = False) -> NDArray[np.int64]:
    """Return the cell of each point.

    Args:
        latlon_deg: (..., 2); longitudes wrap, so 180 lies with -180. A point on an edge belongs to the cell to its
            south and east; the south pole to the southernmost row.
        level: 1 to 16.
        equal_area: latitudes are cut by area.

    Raises:
        ValueError: a latitude is not in [-90, 90], a longitude is not finite, or the level is not in 1 to 16.

    >>> format_ids(encode([(48.86, 2.35), (-33.87, 151.21)], 8), 8)
    ['1/0/2/2/2/0/2/1', '3/1/3/2/1/0/1/1']
    """
    row, col = _row_col(latlon_deg, level, equal_area)
    return from_row_col(row, col)


def _row_col(latlon_deg: ArrayLike, level: int, equal_area: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    size = side(level)
    points = np.asarray(latlon_deg, dtype=np.float64)
    lat, lon = points[..., 0], points[..., 1]
    check_latlon(lat, lon)
    southward = (1 - np.sin(np.radians(lat))) / 2 if equal_area else (90 - lat) / 180
    row = np.minimum((southward * size).astype(np.int64), size - 1)
    if np.any(np.abs(lon) > 1e6):
        lon = np.mod(lon, 360)  # its column would not fit into an integer
    col = np.floor((lon + 180) * (size / 360)).astype(np.int64) & (size - 1)
    return row, col


def side(level: int) -> int:
    """Return how many rows, and how many columns, a level has.

    Raises:
        ValueError: the level is not in 1 to 16.
    """
    if not 1 <= level <= MAX_LEVEL:
        raise ValueError(f"level L{level} does not exist: levels are L1 to L{MAX_LEVEL}")
    return 1 << level


def from_row_col(row: ArrayLike, col: ArrayLike) -> NDArray[np.int64]:
    """Return cells from rows (counted from the north) and columns (counted from 180 W)."""
    return (_spread(row) << 1) | _spread(col)


def to_row_col(cells: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of cells."""
    numbers = np.asarray(cells, dtype=np.int64)
    return _squeeze(numbers >> 1), _squeeze(numbers)


def _spread(values: ArrayLike) -> NDArray[np.int64]:
    x = np.asarray(values, dtype=np.int64)
    for shift, mask in _SPREAD:
        x = (x | (x << shift)) & mask
    return x


def _squeeze(values: NDArray[np.int64]) -> NDArray[np.int64]:
    x = values & _SPREAD[-1][1]
    for (_, mask), (shift, _) in zip((*_SPREAD[-2::-1], (0, 0xFFFF)), reversed(_SPREAD), strict=True):
        x = (x | (x >> shift)) & mask
    return x


def bounds_deg(cells: ArrayLike, level: int, equal_area: bool = False) -> NDArray[np.float64]:
    """Return (..., 4) south, west, north, east of cells in degrees; east is 180 at the seam, never -180.

    >>> bounds_deg(encode((48.86, 2.35), 8), 8).tolist()
    [48.515625, 1.40625, 49.21875, 2.8125]
    """
    size = side(level)
    row, col = to_row_col(cells)
    edges = row_edges_deg(level, equal_area)
    width = 360 / size
    return np.stack([edges[row + 1], col * width - 180, edges[row], (col + 1) * width - 180], axis=-1)


def row_edges_deg(level: int, equal_area: bool = False) -> NDArray[np.float64]:
    """Return the (rows + 1,) latitudes between the rows of a level, from 90 down to -90."""
    fraction = np.arange(side(level) + 1) / side(level)
    return np.degrees(np.arcsin(1 - 2 * fraction)) if equal_area else 90 - 180 * fraction


def center_deg(cells: ArrayLike, level: int, equal_area: bool = False) -> NDArray[np.float64]:
    """Return (..., 2) latitude and longitude of the middle of cells, in degrees."""
    south, west, north, east = np.moveaxis(bounds_deg(cells, level, equal_area), -1, 0)
    return np.stack([(south + north) / 2, (west + east) / 2], axis=-1)


def parent(cells: ArrayLike, level: int, to_level: int) -> NDArray[np.int64]:
    """Return the ancestors of cells of `level` at `to_level`, which is not finer."""
    assert to_level <= level, "an ancestor is not finer"
    return np.asarray(cells, dtype=np.int64) >> (2 * (level - to_level))


def children(cells: ArrayLike, level: int, to_level: int) -> NDArray[np.int64]:
    """Return (..., 4**(to_level - level)) descendants of cells of `level`, ascending."""
    assert to_level >= level, "a descendant is not coarser"
    count = 4 ** (to_level - level)
    return np.asarray(cells, dtype=np.int64)[..., None] * count + np.arange(count)


def neighbours(cells: ArrayLike, level: int) -> NDArray[np.int64]:
    """Return (..., 8) cells around cells: N, NE, E, SE, S, SW, W, NW.

    Columns wrap at the antimeridian. Beyond a pole lies the same row half the world away, as when walking over it.
    """
    size = side(level)
    row, col = to_row_col(cells)
    around_row = row[..., None] + np.array([-1, -1, 0, 1, 1, 1, 0, -1])
    around_col = col[..., None] + np.array([0, 1, 1, 1, 0, -1, -1, -1])
    over_pole = (around_row < 0) | (around_row >= size)
    around_row = np.clip(around_row, 0, size - 1)
    around_col = (around_col + np.where(over_pole, size // 2, 0)) & (size - 1)
    return from_row_col(around_row, around_col)


def format_id(cell: int, level: int) -> str:
    """Return a cell's text, such as `0/1/2`."""
    return "/".join(str((cell >> shift) & 3) for shift in range(2 * (level - 1), -1, -2))


def format_ids(cells: ArrayLike, level: int) -> list[str]:
    """Return the texts of (N,) cells."""
    return [format_id(cell, level) for cell in np.asarray(cells, dtype=np.int64).tolist()]


def parse_id(text: str) -> tuple[int, int]:
    """Return a cell and its level from a text such as `0/1/2` or `0_1_2`.

    Raises:
        ValueError: the text is not 1 to 16 digits of 0 to 3.
    """
    digits = text.replace("_", "/").split("/")
    if not all(digit in ("0", "1", "2", "3") for digit in digits) or len(digits) > MAX_LEVEL:
        raise ValueError(f"{text!r} is not a cell: a cell is 1 to {MAX_LEVEL} digits of 0 to 3, such as 0/1/2")
    return int("".join(digits), 4), len(digits)
