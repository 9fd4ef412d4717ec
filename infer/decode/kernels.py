"""Kernels that spread what a leaf holds over the land around its coordinate.

A kernel is von Mises-Fisher on the sphere, times how much land a cell has; each leaf's sums to one. Leaf by leaf that takes
leaves times cells; a tree of all land cells has 26,000 of either. So where there are many leaves, wide kernels are sums over
a whole grid: around the sphere's axis they are convolutions, which a Fourier transform along each parallel makes products.
"""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from geocells import grid
from geocells.land import TABLE_LEVEL
from geocells.sphere import EARTH_RADIUS_KM, chord, latlon_deg
from infer.decode.raster import Raster
from plumbing.progress import progress

WIDTHS_KM = (2400.0, 1200.0, 600.0, 300.0, 150.0, 75.0)
"""Widths of the kernels: standard deviations along each axis. Each is half the one before, so that squaring twice makes one of
the other."""
NEAR = 2
"""So many of the narrowest kernels are computed pair by pair: a cell of the grid is as wide as they are."""
REACH = 4.0
"""Standard deviations after which a kernel counts as nothing: on level land it holds 0.03 % beyond."""
CHUNK = 16
"""Leaves at a time: their kernels stay in the processor's cache."""
AT_ONCE = 1024
"""Leaves whose cells within reach are looked for at a time."""
SIDE = grid.side(TABLE_LEVEL)
FREQUENCIES = SIDE // 2 + 1


def pair_kernels(raster: Raster) -> Iterator[tuple[slice, Iterator[Tensor]]]:
    """Yield, for some leaves at a time, (leaves, cells) kernels of each width in turn; rows sum to one."""
    cells, base = torch.from_numpy(raster.vector).float(), torch.from_numpy(raster.base).float()
    for start in range(0, len(raster.leaves), CHUNK):
        rows = slice(start, start + CHUNK)
        leaves = torch.from_numpy(raster.leaves[rows]).float()
        yield rows, _of_widths(leaves @ cells.T - 1, base)


def _of_widths(cosine_less_one: Tensor, base: Tensor) -> Iterator[Tensor]:
    power = torch.exp(cosine_less_one * (EARTH_RADIUS_KM / WIDTHS_KM[0]) ** 2)
    for k in range(len(WIDTHS_KM)):
        if k:
            # Half the width is four times the concentration: squaring twice spares the exponential.
            power = power.square().square()
        kernel = power * base
        yield kernel / kernel.sum(dim=1, keepdim=True).clamp_min(1e-30)


class Convolution:
    """The sum of all kernels, each times its weight, for rasters of many leaves.

    A leaf of a wide kernel is shared out among the four middles of cells around its coordinate, so that their mean is that
    coordinate; it widens a kernel of 300 km by less than 4 %.
    """

    def __init__(self, raster: Raster, weights: Sequence[float]) -> None:
        """Prepare what all photographs share.

        Args:
            raster: the cells and leaves.
            weights: of each of `WIDTHS_KM`.
        """
        split = len(WIDTHS_KM) - NEAR
        self._near = _near(raster, WIDTHS_KM[split:], weights[split:])
        self._wide = [(w, wide) for w, wide in zip(weights, _wide_kernels(), strict=False) if w > 0]
        row, col = grid.to_row_col(raster.cell)
        self._node = torch.from_numpy(row * SIDE + col)
        self._base = torch.from_numpy(raster.base).float()
        self._share = _shared_out(raster.leaves)
        land = torch.zeros(SIDE * SIDE)
        land[self._node] = self._base
        own = _to_frequencies(land[:, None])
        # What a kernel at each node would hold before it is scaled; nowhere is it less than the rounding of a sum.
        self._total = [_to_nodes(kernel @ own).clamp_min(1e-6 * float(land.max())) for _, kernel in self._wide]

    def spread(self, leaf: Tensor) -> Tensor:
        """Return (B, cells) masses of (B, leaves) masses, on the CPU."""
        own = leaf.float().cpu().numpy()
        mass = torch.from_numpy(self._near @ own.T)
        if self._wide:
            nodes = torch.from_numpy(self._share @ own.T)
            field = torch.zeros(())
            for (weight, kernel), total in zip(self._wide, self._total, strict=True):
                field = field + weight * (kernel @ _to_frequencies(nodes / total))
            # Rounding leaves less than nothing where there is nothing.
            mass += self._base[:, None] * _to_nodes(field)[self._node].clamp_min(0)
        return mass.T


def _to_frequencies(nodes: Tensor) -> Tensor:
    """Return (frequencies, rows, 2 B) transforms along the parallels, real and imaginary parts, of (nodes, B) masses."""
    found = torch.fft.rfft(nodes.reshape(SIDE, SIDE, -1), dim=1)
    return torch.view_as_real(found).permute(1, 0, 2, 3).reshape(FREQUENCIES, SIDE, -1)


def _to_nodes(found: Tensor) -> Tensor:
    """Return the (nodes, B) masses of what `_to_frequencies` returns."""
    parts = torch.view_as_complex(found.reshape(FREQUENCIES, SIDE, -1, 2).permute(1, 0, 2, 3).contiguous())
    return torch.fft.irfft(parts, n=SIDE, dim=1).reshape(SIDE * SIDE, -1)


@cache
def _wide_kernels() -> list[Tensor]:
    """Return, for each wide kernel, (frequencies, rows, rows) transforms along the parallels, from any row to any."""
    lat = torch.from_numpy(np.radians(90 - (np.arange(SIDE) + 0.5) * (180 / SIDE)))
    east = torch.arange(FREQUENCIES) * (2 * torch.pi / SIDE)
    cosine = torch.outer(lat.sin(), lat.sin())[..., None] + torch.outer(lat.cos(), lat.cos())[..., None] * east.cos()
    power = torch.exp((cosine.float() - 1).clamp_max(0) * (EARTH_RADIUS_KM / WIDTHS_KM[0]) ** 2)
    found = []
    for k in range(len(WIDTHS_KM) - NEAR):
        if k:
            power = power.square().square()
        # Half of an even sequence is all of it.
        found.append(torch.fft.hfft(power, n=SIDE)[..., :FREQUENCIES].permute(2, 0, 1).contiguous())
    return found


def _near(raster: Raster, widths_km: Sequence[float], weights: Sequence[float]) -> scipy.sparse.csr_array:
    """Return the (cells, leaves) sum of some kernels, each times its weight, of pairs within reach of the widest."""
    reach, cells = float(chord(REACH * max(widths_km))), cKDTree(raster.vector)
    blocks = []
    for start in progress(range(0, len(raster.leaves), AT_ONCE), "preparing regions", "block"):
        leaves = raster.leaves[start : start + AT_ONCE]
        pairs = cKDTree(leaves).sparse_distance_matrix(cells, reach, output_type="ndarray")
        of, cell, square = pairs["i"], pairs["j"], pairs["v"] ** 2
        summed = np.zeros(len(pairs))
        for width, weight in zip(widths_km, weights, strict=True):
            kernel = np.exp(-square / 2 * (EARTH_RADIUS_KM / width) ** 2) * raster.base[cell]
            summed += weight * kernel / np.bincount(of, kernel, len(leaves)).clip(1e-30)[of]
        shape = len(raster.cell), len(leaves)
        blocks.append(scipy.sparse.csc_array((summed.astype(np.float32), (cell, of)), shape=shape))
    return scipy.sparse.hstack(blocks, format="csr")


def _shared_out(leaves: NDArray[np.float64]) -> scipy.sparse.csr_array:
    """Return the (nodes, leaves) shares of the four middles of cells around each of (leaves, 3) coordinates."""
    lat, lon = latlon_deg(leaves).T
    row, col = (90 - lat) * (SIDE / 180) - 0.5, (lon + 180) * (SIDE / 360) - 0.5
    north, west = np.floor(row).astype(int), np.floor(col).astype(int)
    south_share, east_share = row - north, col - west
    node, share = [], []
    for down, of_row in ((0, 1 - south_share), (1, south_share)):
        for right, of_col in ((0, 1 - east_share), (1, east_share)):
            # Beyond the last middle before a pole there is none.
            node.append((north + down).clip(0, SIDE - 1) * SIDE + (west + right) % SIDE)
            share.append(of_row * of_col)
    of = np.tile(np.arange(len(leaves)), 4)
    shape = SIDE * SIDE, len(leaves)
    return scipy.sparse.csr_array((np.concatenate(share).astype(np.float32), (np.concatenate(node), of)), shape=shape)
