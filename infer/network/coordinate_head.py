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
            their mean, over their standard deviation; `box` for numbers whose sigmoids are shares of a box.
        mean_deg: latitude and longitude that are subtracted: the mean of the training photographs, or the south-west corner
            of the box.
        std_deg: by what the difference is divided: their standard deviations, or the height and width of the box.
    """

    kind: str
    mean_deg: tuple[float, float] = (0.0, 0.0)
    std_deg: tuple[float, float] = (1.0, 1.0)

    @property
    def width(self) -> int:
        """Return how many numbers a head has."""
        return 3 if self.kind == "vector" else 2

    def vectors(self, answer: Tensor) -> Tensor:
        """Return (..., 3) unit vectors of (..., width) numbers."""
        if self.kind == "vector":
            return F.normalize(answer, dim=-1)
        shares = self.scaled(answer)
        lat_deg, lon_deg = (shares * answer.new_tensor(self.std_deg) + answer.new_tensor(self.mean_deg)).unbind(dim=-1)
        return vectors_of(torch.stack([lat_deg.clamp(-90, 90), lon_deg], dim=-1))

    def scaled(self, answer: Tensor) -> Tensor:
        """Return (..., 2) numbers of a head on the scale of `standardised`."""
        return answer.sigmoid() if self.kind == "box" else answer

    def standardised(self, latlon_deg: Tensor) -> Tensor:
        """Return (B, 2) latitudes and longitudes less what is subtracted, over what it is divided by."""
        away = latlon_deg - latlon_deg.new_tensor(self.mean_deg)
        if self.kind == "box":
            # Of the turns that a longitude may be off by, the one nearest to the middle of the box.
            turns = torch.round((away[:, 1] - self.std_deg[1] / 2) / 360)
            away = torch.stack([away[:, 0], away[:, 1] - 360 * turns], dim=1)
        return away / latlon_deg.new_tensor(self.std_deg)


def point_logits(point: Tensor, centers: Sequence[Tensor]) -> list[Tensor]:
    """Return (B, classes) logits per level of one point: minus the distance to each class's centre in 1,000 km.

    The temperatures fitted on the calibration split then say how far around the point its probability spreads.

    Args:
        point: (B, 3) unit vectors.
        centers: (classes, 3) unit vectors per level.
    """
    return [-pairwise_km(point, center) / KM_PER_LOGIT for center in centers]
