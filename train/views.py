"""Random views of pictures whose features are computed once: the same for the same picture, view and seed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from train.data import augmentation, mixed_seed
from train.parts_config import AugmentConfig


@dataclass(frozen=True)
class AugmentedViews:
    """Views of pictures by the random changes of a training.

    Attributes:
        augment: the changes.
        size: pixels a side.
        seed: same seed, same views.
    """

    augment: AugmentConfig
    size: int
    seed: int

    @property
    def about(self) -> Mapping[str, Any]:
        """Return in plain values what decides the changes."""
        return {**asdict(self.augment), "seed": self.seed}

    def changed(self, pixels: Tensor, key: bytes, view: int) -> Tensor:
        """Return a view of (3, size, size) uint8 pixels of the picture of a key."""
        change = augmentation(self.augment, self.size)
        if change is None:
            return pixels
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(mixed_seed(self.seed, view, int.from_bytes(key, "big")))
            changed: Tensor = change(pixels)
        return changed
