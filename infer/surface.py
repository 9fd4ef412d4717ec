"""A probability for every cell of land, also where no training photograph lies: a smooth reading of the leaves.

A model knows only cells with training photographs, yet most new photographs lie between them. So each leaf's mass stays
in its cell with one weight, spreads around its answered coordinate by von Mises-Fisher kernels of several widths with
others, and over all land with the last. The weights are fitted by EM to the true places of the calibration split; they
are the same for every leaf and photograph.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from geocells import grid
from geocells.hierarchy import UNKNOWN, Hierarchy
from geocells.land import TABLE_LEVEL, land_table
from geocells.sphere import EARTH_RADIUS_KM, box_area_km2, unit_vectors

WIDTHS_KM = (2400.0, 1200.0, 600.0, 300.0, 150.0, 75.0)
"""Widths of the kernels: standard deviations along each axis. Each is half the one before, see `_kernels`."""
COMPONENTS = 2 + len(WIDTHS_KM)
"""Weights of a mixture: the leaf's own cell, all land, then one for each width."""
SEA = 0.02
"""A cell of a coast counts as at least so much land."""
CHUNK = 512
CACHED = 200_000_000
"""Kernels of at most so many pairs of leaf and cell are kept in memory (4 bytes each), others computed each time."""
EM_STEPS = 300


@dataclass(frozen=True, eq=False)
class Raster:
    """The cells of the shipped land table that touch land or hold a leaf's coordinate.

    Attributes:
        cell: (C,) ascending numbers in the quad grid of `TABLE_LEVEL`.
        bounds_deg: (C, 4).
        area_km2: (C,).
        base: (C,) square kilometres of land, by which a kernel's mass is shared out.
        vector: (C, 3) unit vectors of the middles.
        leaves: (leaves, 3) unit vectors of the leaves' coordinates.
        own_cell, own_leaf, own_share: how a leaf that keeps its mass shares it among the cells inside it.
    """

    cell: NDArray[np.int64]
    bounds_deg: NDArray[np.float64]
    area_km2: NDArray[np.float64]
    base: NDArray[np.float64]
    vector: NDArray[np.float64]
    leaves: NDArray[np.float64]
    own_cell: NDArray[np.int64]
    own_leaf: NDArray[np.int64]
    own_share: NDArray[np.float64]

    @classmethod
    def of(cls, hierarchy: Hierarchy) -> "Raster":
        """Return the raster of a hierarchy, whatever its partition."""
        leaf_deg = hierarchy.center_deg[hierarchy.rows(hierarchy.depth - 1)]
        of_leaf = grid.encode(leaf_deg, TABLE_LEVEL)
        share = land_table().share
        cell = np.union1d(np.flatnonzero(share > 0), of_leaf)
        bounds = grid.bounds_deg(cell, TABLE_LEVEL)
        area, middle = box_area_km2(bounds), grid.center_deg(cell, TABLE_LEVEL)
        base = area * np.maximum(share[cell], SEA)
        inside = hierarchy.classes(middle)[:, -1]
        # A leaf smaller than a cell holds no middle of one and keeps its mass in the cell around it.
        small = np.setdiff1d(np.arange(len(leaf_deg)), inside)
        own_cell = np.concatenate([np.flatnonzero(inside != UNKNOWN), np.searchsorted(cell, of_leaf[small])])
        own_leaf = np.concatenate([inside[inside != UNKNOWN], small])
        total = np.bincount(own_leaf, base[own_cell], len(leaf_deg))
        vectors = unit_vectors(middle), unit_vectors(leaf_deg)
        return cls(cell, bounds, area, base, *vectors, own_cell, own_leaf, base[own_cell] / total[own_leaf])

    def find(self, latlon_deg: ArrayLike) -> NDArray[np.int64]:
        """Return which cell of the raster each of (N, 2) points lies in; UNKNOWN at sea."""
        cell = grid.encode(latlon_deg, TABLE_LEVEL)
        place = np.minimum(np.searchsorted(self.cell, cell), len(self.cell) - 1)
        return np.where(self.cell[place] == cell, place, UNKNOWN)


@dataclass(frozen=True, eq=False)
class Surface:
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
            for rows, kernel in self._cached or self._blocks():
                mass += leaf[:, rows] @ kernel
        return mass

    @cached_property
    def _base(self) -> Tensor:
        return torch.from_numpy(self.raster.base).float().to(self.device)

    @cached_property
    def _cached(self) -> list[tuple[slice, Tensor]]:
        small = len(self.raster.leaves) * len(self.raster.cell) <= CACHED
        return list(self._blocks()) if small else []

    def _blocks(self) -> Iterator[tuple[slice, Tensor]]:
        for rows, kernels in _kernels(self.raster, self.device):
            blocks = (w * kernel for w, kernel in zip(self.weights[2:], kernels, strict=True))
            yield rows, sum(blocks, start=torch.zeros((), device=self.device))


def _keep(raster: Raster, leaf: Tensor) -> Tensor:
    """Return (B, cells) masses where every leaf keeps its own."""
    cell, of, share = (
        torch.from_numpy(a).to(leaf.device) for a in (raster.own_cell, raster.own_leaf, raster.own_share)
    )
    mass = leaf.new_zeros(len(leaf), len(raster.cell))
    return mass.index_add_(1, cell, leaf[:, of] * share.to(leaf.dtype))


def _kernels(raster: Raster, device: torch.device) -> Iterator[tuple[slice, Iterator[Tensor]]]:
    """Yield, for some leaves at a time, (leaves, cells) kernels of each width in turn; rows sum to one."""
    cells = torch.from_numpy(raster.vector).float().to(device)
    base = torch.from_numpy(raster.base).float().to(device)
    for start in range(0, len(raster.leaves), CHUNK):
        rows = slice(start, start + CHUNK)
        leaves = torch.from_numpy(raster.leaves[rows]).float().to(device)
        yield rows, _of_widths(leaves @ cells.T - 1, base)


def _of_widths(cosine_less_one: Tensor, base: Tensor) -> Iterator[Tensor]:
    power = torch.exp(cosine_less_one * (EARTH_RADIUS_KM / WIDTHS_KM[0]) ** 2)
    for k in range(len(WIDTHS_KM)):
        if k:
            # Half the width is four times the concentration: squaring twice spares the exponential.
            power = power.square().square()
        kernel = power * base
        yield kernel / kernel.sum(dim=1, keepdim=True).clamp_min(1e-30)


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
    for rows, kernels in _kernels(raster, leaf.device):
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
