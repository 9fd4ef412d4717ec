"""Several photographs of one place: one posterior of all, and the photograph that contradicts the others."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LIKELY = 0.9
"""Mass of the others' likeliest cells in which a photograph should see itself."""
AGREES = 0.1
"""A photograph with less of its own mass there contradicts them."""


def fuse_photographs(log_leaf: Tensor, temperature: float) -> Tensor:
    """Return (leaves,) log probabilities of the place that all of (N, leaves) posteriors speak of.

    Posteriors are multiplied: their logs are summed, divided by the temperature. At 1 the photographs count as
    independent; at N as one, the geometric mean. Photographs of one place share much, so the truth lies between.
    """
    return torch.log_softmax(log_leaf.double().clamp_min(-1e4).sum(dim=0) / temperature, dim=0).to(log_leaf.dtype)


@dataclass(frozen=True, eq=False)
class Agreement:
    """How the photographs of one place go together.

    Attributes:
        shared: (N,) how much of each photograph's mass lies where the others together think likely, 0 to 1; NaN for a
            single photograph.
        contradicting: rows of photographs that do not agree with the others, the worst first. Of two that disagree
            neither can be told to be wrong, so both are named.
    """

    shared: NDArray[np.float64]
    contradicting: list[int]

    def of_each(self, same: NDArray[np.int64]) -> "Agreement":
        """Return the agreement of (M,) photographs, each identical to the one of this row."""
        rows = [int(k) for odd in self.contradicting for k in np.flatnonzero(same == odd)]
        return Agreement(self.shared[same], rows)


def agreement(log_probability: Tensor, temperature: float) -> Agreement:
    """Compare each of (N, classes) posteriors of one level with what the others together say."""
    count = len(log_probability)
    if count < 2:
        return Agreement(np.full(count, np.nan), [])
    shared = np.array([_shared(log_probability, row, temperature) for row in range(count)])
    low = np.flatnonzero(shared < AGREES)
    # One odd photograph pulls every comparison that it is part of: without it, the others may well agree.
    if len(low) > 1 and count > 2:
        worst = int(np.argmin(shared))
        rest = agreement(log_probability[[row for row in range(count) if row != worst]], temperature)
        others = [row + (row >= worst) for row in rest.contradicting]
        return Agreement(shared, [worst, *others])
    return Agreement(shared, sorted(low.tolist(), key=lambda row: shared[row]))


def _shared(log_probability: Tensor, row: int, temperature: float) -> float:
    others = fuse_photographs(log_probability[torch.arange(len(log_probability)) != row], temperature)
    probability, cells = others.exp().sort(descending=True)
    likely = cells[: 1 + int((probability.cumsum(0) < LIKELY).sum())]
    return float(log_probability[row, likely].exp().sum())
