"""Decoded and resized pictures of a dataset, kept beside it: `prepared/128px-squash-bilinear-HASH/` of the dataset folder.

They are kept as features are (`dataset.features`): a row of bytes a picture, by a key of its content, so that a picture that
changes is decoded again and all others are not. The settings name the folder, with a hash of all of them.
"""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from dataset.features import FeatureCache, FeatureKind, Features
from dataset.images import Pictures
from dataset.picture_keys import picture_keys
from infer.features import Computed, Work, compute_features
from infer.network.transform import InputTransform
from plumbing.text import agreeing, counted

log = logging.getLogger(__name__)

FOLDER = "prepared"


class PixelKind(FeatureKind):
    """Pixels by a transform, before mean and standard deviation."""

    @classmethod
    def of(cls, transform: InputTransform) -> "PixelKind":
        """Return the kind of the pixels of a transform."""
        plain = {name: value for name, value in asdict(transform).items() if name not in ("mean", "std")}
        return cls("pixels", "", plain, "uint8", "pixels")

    @property
    def path(self) -> Path:
        """Return where they lie below the dataset folder."""
        settings = self.transform
        return Path(
            FOLDER, f"{settings['size']}px-{settings['resize']}-{settings['interpolation']}-{self.fingerprint[:12]}"
        )


@dataclass(frozen=True)
class Decoder:
    """What makes a row of bytes of a picture.

    Attributes:
        transform: how pictures are resized.
    """

    DOING: ClassVar[str] = "decoding"

    transform: InputTransform

    def features(self, pixels: Tensor) -> Tensor:
        """Return (B, 3 * size * size) of (B, 3, size, size) uint8 pixels."""
        return pixels.flatten(1)

    def cache(self, place: Path) -> FeatureCache:
        """Return the cache of these pixels in a dataset folder, begun where there is none.

        Raises:
            ValueError: the folder cannot be written.
        """
        kind = PixelKind.of(self.transform)
        try:
            return FeatureCache.create(place, kind, 3 * self.transform.size**2, "uint8")
        except OSError as error:
            raise ValueError(f"pixels cannot be kept in {place} ({error.strerror}): make it writable") from None


@dataclass(frozen=True, eq=False)
class PreparedPixels:
    """Pixels of pictures by their number.

    Attributes:
        there: what a cache holds.
        rows: (N,) the row of each picture; -1 where it has none.
        size: pixels a side.
    """

    there: Features
    rows: NDArray[np.int64]
    size: int

    def pixels(self, index: int) -> Tensor | None:
        """Return (3, size, size) uint8 pixels; None of a picture that was not decoded before."""
        row = int(self.rows[index])
        if row < 0:
            return None
        return torch.from_numpy(self.there.stored([row])).view(3, self.size, self.size)


def prepare(data: Path, photos: pd.DataFrame, transform: InputTransform, work: Work) -> Computed:
    """Decode the pictures of rows of a manifest that are not decoded yet, this process's share of them."""
    return compute_features(
        Decoder(transform), data, picture_keys(data, photos), Pictures.of_dataset(data, photos), work
    )


def prepared_pixels(data: Path, keys: NDArray[np.bytes_], transform: InputTransform) -> PreparedPixels | None:
    """Return what is decoded of pictures, by their (N,) keys; None where nothing is."""
    cache = FeatureCache.open(data, PixelKind.of(transform))
    if cache is None:
        return None
    there = cache.read()
    rows = there.find(keys)
    return PreparedPixels(there, rows, transform.size) if (rows >= 0).any() else None


def prepared_photos(data: Path, photos: pd.DataFrame, transform: InputTransform) -> PreparedPixels | None:
    """Return what is decoded of the pictures of rows of a manifest; None where nothing is."""
    # Asked first: keys of pictures that were touched after the manifest was written take a while.
    if not (data / PixelKind.of(transform).path).is_dir():
        return None
    found = prepared_pixels(data, picture_keys(data, photos), transform)
    if found is not None:
        done = int((found.rows >= 0).sum())
        log.info(f"{done:,} of {counted(len(photos), 'picture')} {agreeing(done, 'are')} decoded already")
    return found
