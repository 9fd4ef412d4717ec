"""Losses of a network that answers a coordinate itself, without cells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from train.losses import Targets

HEAD = "coordinates"
"""Name of the network's one head."""


@dataclass(frozen=True, eq=False)
class CoordinateObjective:
    """The loss of a batch of coordinates.

    Attributes:
        kind: `vector` for three numbers whose direction is the answer; `standardised` for latitude and longitude less
            their mean, over their standard deviation.
        loss: `mse`, `smooth_l1` or `great_circle`.
        mean_deg: (2,) mean latitude and longitude of the training photographs.
        std_deg: (2,) their standard deviation.
    """

    kind: str
    loss: str
    mean_deg: Tensor
    std_deg: Tensor

    def __call__(self, outputs: Sequence[Tensor], targets: Targets) -> Tensor:
        """Return the mean loss of one (B, 3 or 2) output, a scalar."""
        answer = outputs[0].float()
        if self.loss == "great_circle":
            return great_circle_rad(self._vectors(answer), targets.vectors).square().mean()
        if self.kind == "vector":
            return _difference(F.normalize(answer, dim=1), targets.vectors, self.loss)
        wanted = (_latlon_deg(targets.vectors) - self.mean_deg) / self.std_deg
        # Latitude and longitude count half each, as published.
        return _difference(answer, wanted, self.loss)

    def points_deg(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return the (B, 2) answered latitudes and longitudes, float64."""
        return _latlon_deg(self._vectors(outputs[0].double()))

    def ranks(self, outputs: Sequence[Tensor], classes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (B, 0): there are no classes."""
        return np.zeros((len(outputs[0]), 0), dtype=np.int64)

    def _vectors(self, answer: Tensor) -> Tensor:
        """Return (B, 3) unit vectors of a network's output."""
        if self.kind == "vector":
            return F.normalize(answer, dim=1)
        lat_deg, lon_deg = (answer * self.std_deg + self.mean_deg).unbind(dim=1)
        lat, lon = lat_deg.clamp(-90, 90).deg2rad(), lon_deg.deg2rad()
        return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], dim=1)


def great_circle_rad(a: Tensor, b: Tensor) -> Tensor:
    """Return great-circle distances in radians of (B, 3) unit vectors, with finite gradients everywhere."""
    # From the chord; the floor keeps the gradient of the square root finite where both are the same point.
    half = ((a - b).square().sum(dim=1).clamp_min(1e-14)).sqrt() / 2
    return 2 * torch.asin(half.clamp(max=1 - 1e-7))


def _difference(answer: Tensor, wanted: Tensor, loss: str) -> Tensor:
    return F.mse_loss(answer, wanted) if loss == "mse" else F.smooth_l1_loss(answer, wanted)


def _latlon_deg(vectors: Tensor) -> Tensor:
    x, y, z = vectors.unbind(dim=1)
    return torch.stack([torch.atan2(z, torch.hypot(x, y)), torch.atan2(y, x)], dim=1).rad2deg()
