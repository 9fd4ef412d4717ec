"""Offsets of a published hybrid head (Astruc et al. 2024): for each cell, how far from its centre the photograph was taken."""

import torch
from torch import Tensor, nn

from infer.network.sphere import vectors_of


class HybridOffsets(nn.Module):
    """For each cell a linear layer, whose tanh says how far to go from the cell's centre towards its edges.

    Attributes:
        weight: (cells, 2, width).
        bias: (cells, 2).
        center_deg: (cells, 2) where offsets start.
        down_deg: (cells, 2) degrees from there to the south and west edges.
        up_deg: (cells, 2) degrees to the north and east edges.
        scale: what the tanh is multiplied by; above 1, a place may lie outside its cell.
    """

    weight: Tensor
    bias: Tensor
    center_deg: Tensor
    down_deg: Tensor
    up_deg: Tensor
    scale: Tensor

    def __init__(self, width: int, cells: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(cells, 2, width))
        for name in ("bias", "center_deg", "down_deg", "up_deg"):
            self.register_buffer(name, torch.zeros(cells, 2))
        self.register_buffer("scale", torch.ones(()))

    def latlon_deg(self, features: Tensor, cells: Tensor) -> Tensor:
        """Return (B, K, 2) latitudes and longitudes of (B, width) features for (B, K) cells, held within the world."""
        turned = torch.einsum("bknw,bw->bkn", self.weight[cells], features.float()) + self.bias[cells]
        share = self.scale * turned.tanh()
        found = self.center_deg[cells] + share * torch.where(share > 0, self.up_deg[cells], self.down_deg[cells])
        edge = found.new_tensor([90.0, 180.0])
        return torch.minimum(torch.maximum(found, -edge), edge)

    def vectors(self, features: Tensor, cells: Tensor) -> Tensor:
        """Return (B, K, 3) unit vectors for (B, K) cells."""
        return vectors_of(self.latlon_deg(features, cells))
