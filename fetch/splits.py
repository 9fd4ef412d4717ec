"""Which photographs train, which calibrate, which test: whole leakage groups, so that no figure flatters."""

import hashlib
import logging
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.groups import leakage_groups, storage_cells
from dataset.manifest import SPLITS, has_coordinates

log = logging.getLogger(__name__)


def assign_splits(
    photos: pd.DataFrame,
    shares: Mapping[str, float],
    hold_out: str,
    seed: int,
    alike: Iterable[NDArray[np.int64]] = (),
) -> NDArray[np.str_]:
    """Return train, calibration or test for each photograph; whole groups stay together.

    The result depends on ids, not on the order of the rows. Groups that would fill half of a held-out split by
    themselves are trained on, and said in the log.

    Args:
        photos: `id`, `latitude`, `longitude` and, where known, `sequence_id`, `creator`, `dhash`.
        shares: wanted shares of `calibration` and `test`, met as well as whole groups allow; the rest is `train`.
        hold_out: `groups`, see `leakage_groups`; or `cell`, whole L8 cells (a sequence may then be cut at the border
            of a cell; country-only photographs are then held out one by one).
        seed: same seed, same splits.
        alike: blocks of (M, 2) pairs of rows that belong to one group, besides those that `leakage_groups` finds.
    """
    if not len(photos):
        return np.array([], dtype="<U11")
    group = leakage_groups(photos, alike) if hold_out == "groups" else storage_cells(photos)
    if hold_out == "cell":
        group = np.where(has_coordinates(photos), group, -1 - np.arange(len(photos)))
    group, size = np.unique(group, return_inverse=True, return_counts=True)[1:]
    held_out = [shares.get("test", 0.0), shares.get("calibration", 0.0)]
    wanted = [share * len(photos) for share in held_out if share > 0]
    huge = size > max(1.0, 0.5 * min(wanted, default=np.inf))
    order = np.lexsort((_shuffled(photos["id"], group, seed), huge))
    free = float(size[~huge].sum()) / len(photos)
    # Where a huge group leaves too little for both held-out splits, they share it.
    stops = _stops(size[order] / len(photos), [share * min(1.0, free / max(sum(held_out), free)) for share in held_out])
    split_of_group = np.empty(len(size), dtype="<U11")
    split_of_group[order] = np.repeat(["test", "calibration", "train"], np.diff([0, *stops, len(size)]))
    split = split_of_group[group]
    _report(split, size, hold_out, shares)
    return split


def _shuffled(ids: pd.Series, group: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Return a random number for each group that depends on the seed and its smallest id alone."""
    names = ids.astype(str).to_numpy(dtype=object)
    order = np.lexsort((pd.factorize(names, sort=True)[0], group))
    first = order[np.flatnonzero(np.diff(group[order], prepend=-1))]
    digests = (hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest() for name in names[first])
    return np.fromiter((int.from_bytes(digest, "big") for digest in digests), dtype=np.uint64, count=len(first))


def _stops(sizes: NDArray[np.float64], shares: list[float]) -> list[int]:
    """Return after how many groups each held-out split ends; no wanted split stays empty while groups last."""
    middle = np.cumsum(sizes) - sizes / 2
    stops: list[int] = []
    for share, until in zip(shares, np.cumsum(shares), strict=True):
        start = stops[-1] if stops else 0
        stop = int(np.searchsorted(middle, until)) if share > 0 else start
        # The last group is left to be trained on.
        stops.append(min(max(stop, start + (share > 0)), max(start, len(sizes) - 1)))
    return stops


def _report(split: NDArray[np.str_], size: NDArray[np.int64], hold_out: str, shares: Mapping[str, float]) -> None:
    what = "connected group" if hold_out == "groups" else "L8 cell"
    if size.max() > 0.5 * size.sum() and size.sum() > 1:
        log.warning(
            f"splits: one {what} holds {size.max()} of {size.sum()} photographs and is trained on, so the splits "
            "cannot have the shares asked for: add photographs of other places"
            + (" or try --split cell" if hold_out == "groups" else "")
        )
    for name in SPLITS:
        if (name == "train" or shares.get(name, 0) > 0) and not np.any(split == name):
            log.warning(
                f"splits: {name} is empty, too few places: {len(size)} {what}{'s' * (len(size) != 1)} to share out"
            )
