"""Networks that answer a coordinate: how their numbers are read, and the logits of cells around such a point."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from infer.network.sphere import pairwise_km, vectors_of

HEAD = "coordinates"
"""Name of the head that answers a coordinate."""
KM_PER_LOGIT = 1000.0
"""So much further away makes a cell less probable by the factor e, before a temperature is fitted."""


@dataclass(frozen=True)
class CoordinateSpec:
    """How a head's numbers are read.

    Attributes:
        kind: `vector` for three numbers whose direction is the answer; `standardised` for latitude and longitude less
            their mean, over their standard deviation.
        mean_deg: latitude and longitude, of the training photographs.
        std_deg: their standard deviations.
    """

    kind: str
    mean_deg: tuple[float, float] = (0.0, 0.0)
    std_deg: tuple[float, float] = (1.0, 1.0)

    @property
    def width(self) -> int:
        """Return how many numbers a head has."""
        return 3 if self.kind == "vector" else 2

    def vectors(self, answer: Tensor) -> Tensor:
        """Return (B, 3) unit vectors of (B, width) numbers."""
        if self.kind == "vector":
            return F.normalize(answer, dim=1)
        lat_deg, lon_deg = (answer * answer.new_tensor(self.std_deg) + answer.new_tensor(self.mean_deg)).unbind(dim=1)
        return vectors_of(torch.stack([lat_deg.clamp(-90, 90), lon_deg], dim=1))

    def standardised(self, latlon_deg: Tensor) -> Tensor:
        """Return (B, 2) latitudes and longitudes as a `standardised` head is to answer them."""
        return (latlon_deg - latlon_deg.new_tensor(self.mean_deg)) / latlon_deg.new_tensor(self.std_deg)


def point_logits(point: Tensor, centers: Sequence[Tensor]) -> list[Tensor]:
    """Return (B, classes) logits per level of one point: minus the distance to each class's centre in 1,000 km.

    The temperatures fitted on the calibration split then say how far around the point its probability spreads.

    Args:
        point: (B, 3) unit vectors.
        centers: (classes, 3) unit vectors per level.
    """
    return [-pairwise_km(point, center) / KM_PER_LOGIT for center in centers]
