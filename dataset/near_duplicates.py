"""Near-duplicates by features: pictures of one scene that a difference hash misses, by the cosine of what a trunk makes of them.

Pairs are found a block against a block, so that memory does not grow with the square of the photographs.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.features import FeatureCache, Features
from dataset.picture_keys import COLUMNS, picture_keys
from plumbing.text import agreeing, counted

log = logging.getLogger(__name__)

ALIKE_COSINE = 0.8
"""Standardised features at least so similar are of one scene.

On 5,230 street-level pictures of 79 countries, EfficientNet-Lite0 and -Lite2: 98 to 100 % of the pairs from 0.8 are of one
country, 50 to 70 % of those from 0.7, and 10 % of pairs that share nothing but the look. From 0.8 it finds all 10 pairs
whose difference hashes are at most 4 bits apart, and 28 to 56 more."""
BLOCK = 2048
"""Pictures on each side of a comparison: 16 MB of cosines."""
LEAST_STD = 1e-6


def best_cache(data: Path, photos: pd.DataFrame) -> tuple[Features, NDArray[np.int64]]:
    """Return the features of a dataset that cover most of some photographs, and (N,) their rows, -1 where there is none.

    Raises:
        ValueError: there are none of these photographs; the message says which command makes them.
    """
    keys = picture_keys(data, photos[[name for name in COLUMNS if name in photos]])
    found = [(there := cache.read(), there.find(keys)) for cache in FeatureCache.all(data)]
    # Of those that cover as much, the ones of all stages of a trunk, which tell more apart.
    covering = max(found, key=lambda each: (int((each[1] >= 0).sum()), each[0].cache.width), default=None)
    if covering is None or not (covering[1] >= 0).any():
        raise ValueError(
            f"{data} holds no features of its photographs: make them with `python -m train features --data {data} --arch NAME`"
        )
    lacking = int((covering[1] < 0).sum())
    if lacking:
        log.warning(
            f"{lacking:,} of {counted(len(photos), 'photograph')} {agreeing(lacking, 'have')} no features, so near-duplicates "
            f"are found there by difference hashes alone: `python -m train features --data {data}` with --arch "
            f"{covering[0].cache.kind.arch} computes the rest"
        )
    return covering


class UnitFeatures:
    """Features less their mean, over their standard deviation, of length one, a block at a time.

    Without it all pictures are alike to a trunk: their features share one large mean.
    """

    def __init__(self, there: Features, rows: NDArray[np.int64], like: "UnitFeatures | None" = None) -> None:
        """Measure mean and standard deviation, or take those of others."""
        self.there, self.rows = there, rows
        if like is not None:
            self.mean: NDArray[np.float64] = like.mean
            self.std: NDArray[np.float64] = like.std
            return
        total, square = np.zeros(there.cache.width), np.zeros(there.cache.width)
        for block in there.blocks(rows, BLOCK):
            total += block.sum(axis=0, dtype=np.float64)
            square += np.square(block, dtype=np.float64).sum(axis=0)
        self.mean = total / max(1, len(rows))
        self.std = np.sqrt(np.maximum(square / max(1, len(rows)) - self.mean**2, LEAST_STD**2))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.rows)

    def block(self, start: int) -> NDArray[np.float32]:
        """Return (n, width) from `start` on, at most `BLOCK`."""
        found = (self.there.take(self.rows[start : start + BLOCK]) - self.mean) / self.std
        length = np.maximum(np.linalg.norm(found, axis=1, keepdims=True), LEAST_STD)
        return (found / length).astype(np.float32)


def alike_by_features(
    there: Features, rows: NDArray[np.int64], cosine: float = ALIKE_COSINE
) -> list[NDArray[np.int64]]:
    """Return blocks of (M, 2) pairs of positions in `rows` whose features are at least so similar, the smaller first."""
    units = UnitFeatures(there, rows)
    pairs = []
    for left in range(0, len(units), BLOCK):
        ours = units.block(left)
        for right in range(left, len(units), BLOCK):
            theirs = ours if right == left else units.block(right)
            found = np.argwhere(ours @ theirs.T >= cosine) + np.array([left, right])
            pairs.append(found[found[:, 0] < found[:, 1]].astype(np.int64))
    return pairs


def has_alike(ours: UnitFeatures, theirs: UnitFeatures, cosine: float = ALIKE_COSINE) -> NDArray[np.bool_]:
    """Return which of (N,) pictures have at least one so similar among others."""
    highest = np.full(len(ours), -1.0, dtype=np.float32)
    for left in range(0, len(ours), BLOCK):
        block = ours.block(left)
        for right in range(0, len(theirs), BLOCK):
            part = highest[left : left + BLOCK]
            np.maximum(part, (block @ theirs.block(right).T).max(axis=1), out=part)
    return highest >= cosine
