"""Which photographs train, which calibrate, which test: whole leakage groups, so that no figure flatters."""

import hashlib
import logging
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.groups import codes, joined_groups, leakage_groups, same_pictures, storage_cells
from dataset.manifest import SPLITS, has_coordinates
from plumbing.text import counted

log = logging.getLogger(__name__)


FAR_FROM_ASKED = 0.5
"""A split that misses the share asked for by more than this part of it is said in the log."""


def assign_splits(
    photos: pd.DataFrame,
    shares: Mapping[str, float],
    hold_out: str,
    seed: int,
    alike: Iterable[NDArray[np.int64]] = (),
) -> NDArray[np.str_]:
    """Return train, calibration or test for each photograph; whole groups stay together.

    The result depends on ids, not on the order of the rows. Groups that would fill half of a held-out split by
    themselves are trained on, and said in the log; where all groups are so large, the smaller ones are held out.

    Args:
        photos: `id`, `latitude`, `longitude` and, where known, `sequence_id`, `creator`, `sha256`, `dhash`.
        shares: wanted shares of `calibration` and `test`, met as well as whole groups allow; the rest is `train`.
        hold_out: `groups`, see `leakage_groups`; or `cell`, whole L8 cells, and those together that hold the same pictures
            (a sequence may then be cut at the border of a cell; country-only photographs are then held out by sequence, or
            one by one without).
        seed: same seed, same splits.
        alike: blocks of (M, 2) pairs of rows that belong to one group, besides those that `leakage_groups` finds.
    """
    if not len(photos):
        return np.array([], dtype="<U11")
    group, size = np.unique(_groups(photos, hold_out, alike), return_inverse=True, return_counts=True)[1:]
    held_out = [shares.get("test", 0.0), shares.get("calibration", 0.0)]
    shuffled = _shuffled(photos["id"], group, seed)
    split_of_group = _shared_out(size, held_out, shuffled)
    wanted = 1 + sum(share > 0 for share in held_out)
    if len(set(split_of_group)) < min(wanted, len(size)):
        split_of_group = _by_deficit(size, held_out, shuffled)
    split = split_of_group[group]
    _report(photos, split, size, hold_out, shares)
    return split


def join_splits(
    photos: pd.DataFrame, given: NDArray[np.object_], shares: Mapping[str, float], hold_out: str, seed: int
) -> NDArray[np.object_]:
    """Return the split of each photograph where a source gave some: those of a group with given ones follow them.

    Args:
        photos: as `assign_splits` takes them.
        given: (N,) train, calibration, test, or None where the source gave none.
        shares: as `assign_splits` takes them; splits that the source gave get no more photographs but these.
        hold_out: what no split divides.
        seed: same seed, same splits.
    """
    free = pd.isna(given)
    split = given.copy()
    if not free.all():
        group = np.unique(_groups(photos, hold_out), return_inverse=True)[1]
        for name in SPLITS:
            # Later splits win: what is free of a group is trained on only if nothing of it is held out.
            held = np.bincount(group[given == name], minlength=group.max() + 1) > 0
            split[free & held[group]] = name
        divided = pd.Series(given[~free]).groupby(group[~free]).nunique() > 1
        if divided.any():
            log.warning(
                f"splits: the source puts photographs of {counted(int(divided.sum()), 'group')} into more than one split, so "
                "figures of its test split are too good: `python -m fetch split` shares them out again"
            )
    rest = pd.isna(split)
    shares = {name: share for name, share in shares.items() if not (given == name).any()}
    split[rest] = assign_splits(photos[rest], shares, hold_out, seed)
    return split


def _groups(photos: pd.DataFrame, hold_out: str, alike: Iterable[NDArray[np.int64]] = ()) -> NDArray[np.int64]:
    """Return the number of what no split divides, for each photograph."""
    if hold_out == "groups":
        return leakage_groups(photos, alike)
    sequence, rows = codes(photos, "sequence_id"), np.arange(len(photos))
    nowhere = -1 - np.where(sequence < 0, rows, len(photos) + sequence)
    return joined_groups(np.where(has_coordinates(photos), storage_cells(photos), nowhere), same_pictures(photos))


def _shared_out(size: NDArray[np.int64], held_out: list[float], shuffled: NDArray[np.uint64]) -> NDArray[np.str_]:
    """Return the split of each group, in a random order; groups that fill half of a held-out split are trained on."""
    count = size.sum()
    wanted = [share * count for share in held_out if share > 0]
    huge = size > max(1.0, 0.5 * min(wanted, default=np.inf))
    order = np.lexsort((shuffled, huge))
    free = float(size[~huge].sum()) / count
    # Where a huge group leaves too little for both held-out splits, they share it.
    stops = _stops(size[order] / count, [share * min(1.0, free / max(sum(held_out), free)) for share in held_out])
    split_of_group = np.empty(len(size), dtype="<U11")
    split_of_group[order] = np.repeat(["test", "calibration", "train"], np.diff([0, *stops, len(size)]))
    return split_of_group


def _by_deficit(size: NDArray[np.int64], held_out: list[float], shuffled: NDArray[np.uint64]) -> NDArray[np.str_]:
    """Return the split of each group, the largest first, each to the split that lacks most; none stays empty while groups last."""
    names = ["train", "test", "calibration"]
    share = np.array([1 - sum(held_out), *held_out])
    lacking, empty = share * size.sum(), share > 0
    split_of_group = np.empty(len(size), dtype="<U11")
    order = np.lexsort((shuffled, -size))
    for left, row in zip(range(len(order), 0, -1), order, strict=True):
        # The last groups go to the splits that have none.
        must = empty if left <= empty.sum() else share > 0
        chosen = int(np.argmax(np.where(must, lacking, -np.inf)))
        split_of_group[row] = names[chosen]
        lacking[chosen] -= size[row]
        empty[chosen] = False
    return split_of_group


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


def _report(
    photos: pd.DataFrame, split: NDArray[np.str_], size: NDArray[np.int64], hold_out: str, shares: Mapping[str, float]
) -> None:
    """Say which splits are empty or far from the share asked for, and what helps."""
    what = "connected group" if hold_out == "groups" else "L8 cell"
    cells = len(np.unique(storage_cells(photos)))
    more = "add photographs of other places" + (" and sequences" if hold_out == "groups" else "")
    if hold_out == "groups" and cells > max(2, len(size)):
        more += f", or try --split cell, which has {cells:,} L8 cells to share out"
    asked = {"train": 1 - sum(shares.values()), **{name: share for name, share in shares.items() if share > 0}}
    count = {name: int((split == name).sum()) for name in asked}
    whole = counted(len(size), what)
    if empty := [name for name in SPLITS if count.get(name) == 0]:
        log.warning(
            f"splits: {' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty, for {whole} cannot fill "
            f"{counted(len(asked), 'split')}: {more}"
        )
    elif size.max() > 0.5 * size.sum():
        log.warning(
            f"splits: one {what} holds {size.max():,} of {counted(size.sum(), 'photograph')} and is trained on, so the splits "
            f"cannot have the shares asked for: {more}"
        )
    if any(
        abs(count[name] - share * len(split)) > FAR_FROM_ASKED * share * len(split) for name, share in asked.items()
    ):
        reached = ", ".join(
            f"{name} {count[name] / len(split):.1%} ({asked[name]:.0%} asked for)" for name in SPLITS if name in asked
        )
        log.warning(f"splits: {reached}, because {whole} {'stay' if len(size) != 1 else 'stays'} whole")
