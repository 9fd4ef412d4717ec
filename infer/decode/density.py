"""A smooth density: a probability for every cell of land, also where no training photograph was taken.

A model knows only cells with training photographs, yet most new photographs lie between them. So each leaf's mass stays
in its cell with one weight, spreads around its answered coordinate by von Mises-Fisher kernels of several widths with
others, and over all land with the last. The weights are fitted by EM to the true places of the calibration split; they
are the same for every leaf and photograph.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocells.hierarchy import UNKNOWN
from infer.decode.kernels import WIDTHS_KM, Convolution, pair_kernels
from infer.decode.raster import Raster
from plumbing.progress import progress

COMPONENTS = 2 + len(WIDTHS_KM)
"""Weights of a mixture: the leaf's own cell, all land, then one for each width."""
CACHED = 200_000_000
"""Kernels of at most so many pairs of leaf and cell are kept in memory (4 bytes each); of more, sums are convolutions."""
EM_STEPS = 300


@dataclass(frozen=True, eq=False)
class SmoothDensity:
    """A raster with the weights of the mixture.

    Attributes:
        raster: its cells.
        weights: `COMPONENTS` numbers that sum to one.
        device: where it computes.
    """

    raster: Raster
    weights: tuple[float, ...]
    device: torch.device

    def spread(self, leaf: Tensor) -> Tensor:
        """Return (B, cells) probabilities of the raster's cells of (B, leaves) probabilities of the leaves."""
        own, land, *widths = self.weights
        mass = own * _keep(self.raster, leaf)
        mass += land * self._base / self._base.sum() * leaf.sum(dim=1, keepdim=True)
        if any(widths):
            many = len(self.raster.leaves) * len(self.raster.cell) > CACHED
            mass += self._convolution.spread(leaf).to(mass) if many else leaf @ self._kernel
        return mass

    @cached_property
    def _base(self) -> Tensor:
        return torch.from_numpy(self.raster.base).float().to(self.device)

    @cached_property
    def _kernel(self) -> Tensor:
        """The (leaves, cells) sum of all kernels, each times its weight."""
        summed = [
            sum((w * kernel for w, kernel in zip(self.weights[2:], kernels, strict=True)), start=torch.zeros(()))
            for _, kernels in pair_kernels(self.raster)
        ]
        return torch.cat(summed).to(self.device)

    @cached_property
    def _convolution(self) -> Convolution:
        return Convolution(self.raster, self.weights[2:])


def _keep(raster: Raster, leaf: Tensor) -> Tensor:
    """Return (B, cells) masses where every leaf keeps its own."""
    cell, of, share = (
        torch.from_numpy(a).to(leaf.device) for a in (raster.own_cell, raster.own_leaf, raster.own_share)
    )
    mass = leaf.new_zeros(len(leaf), len(raster.cell))
    return mass.index_add_(1, cell, leaf[:, of] * share.to(leaf.dtype))


def fit_weights(
    raster: Raster, leaf: Tensor, true_cell: NDArray[np.int64], counts: NDArray[np.float64]
) -> tuple[float, ...]:
    """Return the weights under which the true cells are most likely, by EM.

    Args:
        raster: the cells.
        leaf: (N, leaves) probabilities of the calibration photographs.
        true_cell: (N,) their cells in the raster; UNKNOWN is left out.
        counts: (N,) how much each photograph counts.
    """
    seen = true_cell != UNKNOWN
    if not seen.any():
        return (1.0, *[0.0] * (COMPONENTS - 1))
    leaf, cells = leaf[torch.from_numpy(seen).to(leaf.device)], torch.from_numpy(true_cell[seen]).to(leaf.device)
    likelihood = leaf.new_zeros(len(leaf), COMPONENTS)
    likelihood[:, 0] = _keep(raster, leaf).gather(1, cells[:, None])[:, 0]
    likelihood[:, 1] = torch.from_numpy(raster.base / raster.base.sum()).to(leaf)[cells]
    for rows, kernels in progress(pair_kernels(raster), "fitting regions", "block"):
        kernels = (kernel.to(leaf.device) for kernel in kernels)
        for k, kernel in enumerate(kernels, start=2):
            likelihood[:, k] += (leaf[:, rows] * kernel[:, cells].T).sum(dim=1)
    return _em(likelihood.double().cpu().numpy(), counts[seen])


def _em(likelihood: NDArray[np.float64], counts: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the weights of a mixture from (N, components) likelihoods and (N,) counts."""
    weights = np.full(likelihood.shape[1], 1 / likelihood.shape[1])
    for _ in range(EM_STEPS):
        share = likelihood * weights
        weights = counts @ (share / share.sum(axis=1, keepdims=True)) / counts.sum()
    # The land's share is never nothing: a region must be able to grow to any coverage.
    weights[1] = max(weights[1], 1e-4)
    return tuple((weights / weights.sum()).tolist())
