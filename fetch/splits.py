"""Which photographs train, which calibrate, which test: whole groups of related ones, so that no figure flatters."""

import hashlib
import logging
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fetch.nearby import alike_pairs, close_pairs, unique_rows
from geocells import grid
from geocells.sphere import chord, unit_vectors
from label_maps.manifest import SPLITS, STORAGE_LEVEL, coordinates, placed

SAME_PLACE_KM = 0.1
ALIKE_KM = 0.2
ALIKE_BITS = 4

log = logging.getLogger(__name__)


def assign_splits(photos: pd.DataFrame, shares: Mapping[str, float], hold_out: str, seed: int) -> NDArray[np.str_]:
    """Return train, calibration or test for each photograph; whole groups stay together.

    The result depends on ids, not on the order of the rows. Groups that would fill half of a held-out split by
    themselves are trained on, and said in the log.

    Args:
        photos: `id`, `latitude`, `longitude` and, where known, `sequence_id`, `creator`, `dhash`.
        shares: wanted shares of `calibration` and `test`, met as well as whole groups allow; the rest is `train`.
        hold_out: `groups`, see `related_groups`; or `cell`, whole L8 cells (a sequence may then be cut at the border
            of a cell; photographs of which only the country is known are then held out one by one).
        seed: same seed, same splits.
    """
    if not len(photos):
        return np.array([], dtype="<U11")
    group = related_groups(photos) if hold_out == "groups" else storage_cells(photos)
    if hold_out == "cell":
        group = np.where(placed(photos), group, -1 - np.arange(len(photos)))
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


def storage_cells(photos: pd.DataFrame) -> NDArray[np.int64]:
    """Return the L8 cell of each photograph; a negative number for each country where no more is known."""
    cell = grid.encode(np.nan_to_num(coordinates(photos)), STORAGE_LEVEL)
    return np.where(placed(photos), cell, -2 - codes(photos, "country"))


def place_vectors(photos: pd.DataFrame) -> NDArray[np.float64]:
    """Return (N, 3) unit vectors; where only the country is known, one point for each, far from the sphere and others."""
    vectors = unit_vectors(np.nan_to_num(coordinates(photos)))
    country = codes(photos, "country")[:, None] + 2
    return np.where(placed(photos)[:, None], vectors, [10.0, 0.0, 0.0] * country)


def related_groups(photos: pd.DataFrame) -> NDArray[np.int64]:
    """Return the connected group of each photograph.

    Two photographs are related when they are of one sequence, lie within 100 m, are by one creator in one L8 cell, or
    are near-duplicates: within 200 m, difference hashes at most 4 bits apart. Where only the country is known it stands
    for the cell and for the 200 m.

    Args:
        photos: `latitude`, `longitude` and, where known, `country`, `sequence_id`, `creator`, `dhash`.
    """
    vectors = place_vectors(photos)
    edges = [_same(codes(photos, "sequence_id"))]
    creator = codes(photos, "creator")
    _, of_creator_and_cell = unique_rows(creator, storage_cells(photos))
    edges.append(_same(np.where(creator < 0, -1, of_creator_and_cell)))
    rows = np.flatnonzero(placed(photos))
    first, member = unique_rows(vectors[rows])
    edges.append(rows[_same(member)])
    edges += _forests(close_pairs(vectors[rows[first]], float(chord(SAME_PLACE_KM))), rows[first], len(photos))
    if "dhash" in photos and photos["dhash"].notna().any():
        rows = np.flatnonzero(photos["dhash"].notna())
        dhash = photos["dhash"].iloc[rows].to_numpy(dtype=np.uint64)
        first, _ = unique_rows(vectors[rows], dhash)
        pairs = alike_pairs(dhash[first], vectors[rows[first]], float(chord(ALIKE_KM)), ALIKE_BITS)
        edges += _forests(pairs, rows[first], len(photos))
    return _components(np.concatenate(edges), len(photos))


def codes(photos: pd.DataFrame, column: str) -> NDArray[np.int64]:
    """Return a number for each value of a column, -1 where it is missing or empty."""
    if column not in photos:
        return np.full(len(photos), -1)
    values = photos[column].astype(object)
    return pd.factorize(values.where(values.notna() & (values != "")))[0].astype(np.int64)


def _same(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (M, 2) pairs that connect all rows of each code from 0 up."""
    rows = np.argsort(codes, kind="stable")
    rows = rows[codes[rows] >= 0]
    together = codes[rows][1:] == codes[rows][:-1]
    return np.column_stack([rows[:-1][together], rows[1:][together]])


def _forests(blocks: Iterable[NDArray[np.int64]], row: NDArray[np.int64], rows: int) -> list[NDArray[np.int64]]:
    """Return blocks of pairs, renumbered by `row`, as few pairs as connect the same; so memory stays bounded."""
    forests = []
    for pairs in blocks:
        if len(pairs):
            label = _components(row[pairs], rows)
            forests.append(_same(label))
    return forests


def _components(pairs: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(rows, rows))
    return connected_components(graph, directed=False)[1].astype(np.int64)
