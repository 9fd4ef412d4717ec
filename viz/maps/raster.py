"""Values of cells as the rows of a picture, and as text that a page can hold."""

import base64
import json
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocells import grid
from plumbing.text import utf8


def as_rows(by_cell: NDArray) -> NDArray:
    """Return values of all cells of a level as a square picture, from the north-west."""
    side = round(len(by_cell) ** 0.5)
    row, col = np.divmod(np.arange(len(by_cell)), side)
    return by_cell[grid.from_row_col(row, col)].reshape(side, side)


def varints(values: NDArray[np.int64]) -> bytes:
    """Return non-negative numbers as base-128 digits, lowest first, with the high bit where more follow (LEB128)."""
    digits = np.maximum(1, np.ceil(np.log2(values + 1) / 7)).astype(np.int64)
    place = np.arange(digits.max(initial=1))
    packed = (values[:, None] >> (7 * place)) & 127
    packed |= np.where(place < digits[:, None] - 1, 128, 0)
    return packed[place < digits[:, None]].astype(np.uint8).tobytes()


def base64_text(content: bytes) -> str:
    """Return bytes as base64 letters."""
    return base64.b64encode(content).decode("ascii")


def packed_json(value: Any) -> str:
    """Return plain values as JSON, deflated, in base64 letters, as `unpacked` of `answer_cells.js` reads it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return base64_text(zlib.compress(utf8(text).encode(), 9))
