"""Heads that are told a cell: from features and cells to two numbers each."""

import torch
from torch import Tensor, nn

EMBEDDED = 256
"""Numbers that a cell is embedded in."""
HIDDEN = 512
"""Units between the features and the two numbers."""


class Experts(nn.Module):
    """For each cell a linear layer of its own."""

    def __init__(self, width: int, cells: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(cells, 2, width))
        self.bias = nn.Parameter(torch.zeros(cells, 2))

    def forward(self, features: Tensor, cells: Tensor) -> Tensor:
        """Return (B, K, 2) of (B, width) features for (B, K) cells."""
        return torch.einsum("bknw,bw->bkn", self.weight[cells], features) + self.bias[cells]


class Embedding(nn.Module):
    """One head for all cells, which is told the cell by an embedding and attends to features by it."""

    def __init__(self, width: int, cells: int) -> None:
        super().__init__()
        both = width + EMBEDDED
        self.cell = nn.Embedding(cells, EMBEDDED)
        self.attention = nn.Sequential(nn.Linear(both, EMBEDDED), nn.ReLU(), nn.Linear(EMBEDDED, both), nn.Sigmoid())
        self.hidden = nn.Sequential(nn.Linear(both, HIDDEN), nn.ReLU())
        self.head = nn.Linear(HIDDEN, 2)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Tensor, cells: Tensor) -> Tensor:
        """Return (B, K, 2) of (B, width) features for (B, K) cells."""
        both = torch.cat([features[:, None].expand(-1, cells.shape[1], -1), self.cell(cells)], dim=2)
        answer: Tensor = self.head(self.hidden(both * self.attention(both)))
        return answer
