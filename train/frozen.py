"""Features of a trunk that stays, in the place of pictures: computed where they are absent, then read for every epoch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from dataset.features import FeatureCache, Features
from infer.features import Extractor, Views, Work, compute_features
from infer.network.network import Readout
from train.data import LabelledPhotos
from train.distributed import gathered

KEPT_BYTES = 1 << 30
"""Features that take no more than this are held in memory; more are read from their files, batch by batch."""


class FeatureSource(Dataset[tuple[int, Tensor]]):
    """Features of photographs by index, those of another view in each epoch where there are several."""

    decodes = False

    def __init__(self, views: Sequence[tuple[Features, NDArray[np.int64]]]) -> None:
        """Read features.

        Args:
            views: for each view a cache and (N,) its rows; the first view is the pictures as they are.
        """
        self._views = list(views)
        width = self._views[0][0].cache.width
        in_memory = 4 * width * len(self) * len(self._views) <= KEPT_BYTES
        self._kept = [torch.from_numpy(there.take(rows)) for there, rows in self._views] if in_memory else None

    def __len__(self) -> int:
        """Return how many photographs there are."""
        return len(self._views[0][1])

    def __getitem__(self, item: tuple[int, int]) -> tuple[int, Tensor]:
        """Return the index and (width,) features of an (epoch, index)."""
        return item[1], self.__getitems__([item])[1][0]

    def __getitems__(self, items: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Return the (B,) indices and (B, width) features of (epoch, index) of one epoch."""
        index = torch.tensor([index for _, index in items])
        view = items[0][0] % len(self._views)
        if self._kept is not None:
            return index, self._kept[view][index]
        there, rows = self._views[view]
        return index, torch.from_numpy(there.take(rows[index.numpy()]))

    @staticmethod
    def collate(batch: Any) -> Any:
        """Return a batch as it was read."""
        return batch

    def inputs(self, found: Tensor, device: torch.device) -> Tensor:
        """Return (B, width) features on a device."""
        return found.to(device, non_blocking=True)

    def standardise(self, readout: Readout) -> None:
        """Let a hidden layer know the mean and the standard deviation of the photographs as they are."""
        there, rows = self._views[0]
        total = np.zeros(there.cache.width)
        for block in there.blocks(rows):
            total += block.sum(axis=0, dtype=np.float64)
        mean = total / len(rows)
        square = np.zeros_like(mean)
        for block in there.blocks(rows):
            square += np.square(block - mean).sum(axis=0)
        std = np.sqrt(square / max(1, len(rows) - 1))
        readout.mean.copy_(torch.from_numpy(mean))
        readout.std.copy_(torch.from_numpy(std))


def feature_source(
    place: Path,
    photos: LabelledPhotos,
    plain: Extractor,
    work: Work,
    changed: tuple[Extractor, Views, int] | None = None,
) -> FeatureSource:
    """Return the features of photographs; those that are absent are computed first, by all processes together.

    Args:
        place: the folder that keeps them.
        photos: the photographs, with their keys.
        plain: what computes the features of pictures as they are.
        work: how.
        changed: what computes those of changed views, the changes, and how many views.

    Raises:
        ValueError: a picture cannot be read.
    """
    extractors = [(plain, 0, None)]
    if changed is not None:
        extractors += [(changed[0], view, changed[1]) for view in range(1, changed[2] + 1)]  # type: ignore[misc]
    keys = cast("NDArray[np.bytes_]", photos.keys)
    unreadable: list[str] = []
    for extractor, view, views in extractors:
        unreadable += compute_features(extractor, place, keys, photos.pictures, work, view, views).unreadable
    # No process reads before all have written.
    unreadable = [reason for share in gathered(unreadable, work.world) for reason in share]
    if unreadable:
        raise ValueError(
            f"{unreadable[0]} (pictures without features: {len(set(unreadable)):,}): `python -m fetch verify` "
            "lists all that are missing or damaged, and the same `python -m fetch import` stores them again; without them make the "
            "dataset again (--exclude)"
        )
    found = []
    for extractor, view, _ in extractors:
        there = cast(FeatureCache, FeatureCache.open(place, extractor.kind)).read()
        found.append((there, there.find(keys, view)))
    return FeatureSource(found)
