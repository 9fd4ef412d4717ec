"""What networks say of photographs, in rows that can be joined and taken apart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class NetworkOutput:
    """What the networks say of photographs, before any probability.

    Attributes:
        logits: (B, classes) per level.
        regressed: (B, 3) unit vectors of the coordinates that they answer; None where they answer none.
        features: (B, width) of the network of the finest level.
        refining: (B, ...) what a refiner with own trunks is given of each; None where those features are it.
    """

    logits: list[Tensor]
    regressed: Tensor | None
    features: Tensor
    refining: Tensor | None = None

    @classmethod
    def joined(cls, parts: Sequence["NetworkOutput"]) -> "NetworkOutput":
        """Return what is said of all photographs of several parts."""
        return cls(
            [torch.cat(level) for level in zip(*(part.logits for part in parts), strict=True)],
            _joined([part.regressed for part in parts]),
            torch.cat([part.features for part in parts]),
            _joined([part.refining for part in parts]),
        )

    def rows(self, rows: slice | Tensor) -> "NetworkOutput":
        """Return what is said of some of the photographs."""
        return self._each(lambda found: found[rows])

    def at(self, positions: NDArray[np.int64]) -> "NetworkOutput":
        """Return what is said of the photographs at some positions."""
        chosen = torch.from_numpy(positions).to(self.features.device)
        return self.rows(chosen)

    def one_place(self) -> "NetworkOutput":
        """Return what is said, on the mean, of photographs of one place, as of one."""
        mean = self._each(lambda found: found.float().mean(dim=0, keepdim=True))
        pixels = self.refining is not None and self.refining.dtype == torch.uint8
        # Pictures have no mean that would be a picture: an expert answers for each.
        return replace(mean, refining=self.refining[None]) if pixels and self.refining is not None else mean

    def _each(self, change: Callable[[Tensor], Tensor]) -> "NetworkOutput":
        own = (None if found is None else change(found) for found in (self.regressed, self.refining))
        regressed, refining = own
        return NetworkOutput([change(z) for z in self.logits], regressed, change(self.features), refining)


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    there = [part for part in parts if part is not None]
    return torch.cat(there) if there else None
