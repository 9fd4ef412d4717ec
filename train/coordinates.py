"""Losses of a network that answers a coordinate itself, without cells or beside them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from infer.network.coordinate_head import CoordinateSpec
from infer.network.sphere import arc_rad, latlon_deg_of
from train.losses import Objective, Targets


@dataclass(frozen=True, eq=False)
class CoordinateObjective:
    """The loss of a batch of coordinates.

    Attributes:
        spec: how the head's numbers are read.
        loss: `mse`, `smooth_l1` or `great_circle`.
    """

    spec: CoordinateSpec
    loss: str

    def __call__(self, outputs: Sequence[Tensor], targets: Targets) -> Tensor:
        """Return the mean loss of one (B, 3 or 2) output, a scalar."""
        answer = outputs[0].float()
        if self.loss == "great_circle":
            return great_circle_rad(self.spec.vectors(answer), targets.vectors).square().mean()
        if self.spec.kind == "vector":
            return difference(F.normalize(answer, dim=1), targets.vectors, self.loss)
        # Latitude and longitude count half each, as published.
        return difference(self.spec.scaled(answer), self.spec.standardised(latlon_deg_of(targets.vectors)), self.loss)

    def at(self, share: float) -> "CoordinateObjective":
        """Return the loss when a share of the training is done: always the same."""
        return self

    def points_deg(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return the (B, 2) answered latitudes and longitudes, float64."""
        return latlon_deg_of(self.spec.vectors(outputs[0].double()))

    def ranks(self, outputs: Sequence[Tensor], classes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (B, 0): there are no classes."""
        return np.zeros((len(outputs[0]), 0), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class BothObjectives:
    """The loss of classes and of a coordinate, whose output comes last; the answer is that of the classes.

    Attributes:
        classes: the loss of the levels.
        coordinates: that of the coordinate.
        weight: of the coordinate's loss.
    """

    classes: Objective
    coordinates: CoordinateObjective
    weight: float

    def __call__(self, outputs: Sequence[Tensor], targets: Targets) -> Tensor:
        """Return the sum of both mean losses, a scalar."""
        return self.classes(outputs[:-1], targets) + self.weight * self._of_coordinates(outputs[-1], targets)

    def _of_coordinates(self, output: Tensor, targets: Targets) -> Tensor:
        """Return the mean loss of an output, to which photographs without coordinates add nothing."""
        if targets.placed is None:
            return self.coordinates([output], targets)
        rows = targets.placed
        if not rows.any():
            return output.float().sum() * 0
        placed = Targets(targets.classes[rows], targets.vectors[rows])
        return rows.float().mean() * self.coordinates([output[rows]], placed)

    def at(self, share: float) -> "BothObjectives":
        """Return the loss when a share of the training is done, 0 to 1."""
        return replace(self, classes=self.classes.at(share))

    def points_deg(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return the (B, 2) points that the classes answer."""
        return self.classes.points_deg(outputs[:-1])

    def ranks(self, outputs: Sequence[Tensor], classes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (B, levels) how many classes are ahead of the true one."""
        return self.classes.ranks(outputs[:-1], classes)


AnyObjective = Objective | CoordinateObjective | BothObjectives


def great_circle_rad(a: Tensor, b: Tensor) -> Tensor:
    """Return great-circle distances in radians of (B, 3) unit vectors, with finite gradients everywhere."""
    # The bounds keep the gradients of the root and of the arc sine finite at the same point and at antipodes.
    chord = (a - b).square().sum(dim=1).clamp_min(1e-14).sqrt()
    return arc_rad(chord.clamp(max=2 * (1 - 1e-7)))


def difference(answer: Tensor, wanted: Tensor, loss: str) -> Tensor:
    """Return the mean squared error (`mse`) or smooth L1 of (B, N) numbers, a scalar."""
    return F.mse_loss(answer, wanted) if loss == "mse" else F.smooth_l1_loss(answer, wanted)
