"""Cells with too many and too few photographs, as `python -m fetch balance --target cell` treats them at each level."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fetch.balance import best_min_share, quotas
from fetch.config import BalanceConfig

LISTED = 12
"""Cells of each list."""


@dataclass(frozen=True, eq=False)
class CellBalance:
    """What equal shares of all cells with photographs would leave of them.

    Attributes:
        cells: numbers of those listed.
        have: photographs of each.
        change: how many of them go (over-filled), or how many more let the cell stay (under-filled).
        total: how many cells are so in all.
    """

    cells: NDArray[np.int64]
    have: NDArray[np.int64]
    change: NDArray[np.int64]
    total: int


@dataclass(frozen=True, eq=False)
class LevelBalance:
    """What balancing a level does.

    Attributes:
        over: cells of which only a part is kept, the most crowded first.
        under: cells that are left out, those first that lack least.
        kept: photographs that stay.
        each: most photographs of a cell that stay.
    """

    over: CellBalance
    under: CellBalance
    kept: int
    each: int


def level_balance(counts: NDArray[np.int64]) -> LevelBalance:
    """Return what balancing does to the photographs of a level's cells, with the command's defaults.

    Args:
        counts: (4**level,) photographs of each cell; one at least has some.
    """
    cells = np.flatnonzero(counts)
    have, target = counts[cells], np.full(len(cells), 1 / len(cells))
    slack = BalanceConfig.slack
    quota = quotas(have, target, best_min_share(have, target, slack), slack)
    each = int(quota.max())
    gone = np.where(quota > 0, have - quota, 0)
    lacking = np.where(quota == 0, math.ceil(slack * each) - have, 0)
    return LevelBalance(
        _listed(cells, have, gone, -gone), _listed(cells, have, lacking, lacking), int(quota.sum()), each
    )


def _listed(
    cells: NDArray[np.int64], have: NDArray[np.int64], change: NDArray[np.int64], order: NDArray[np.int64]
) -> CellBalance:
    concerned = np.flatnonzero(change > 0)
    first = concerned[np.argsort(order[concerned], kind="stable")][:LISTED]
    return CellBalance(cells[first], have[first], change[first], len(concerned))
