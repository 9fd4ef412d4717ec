"""Pairs of photographs that are near each other, in place or in looks, without trying all pairs."""

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

PAIRS_AT_ONCE = 4_000_000
"""Pairs held in memory at a time; about 100 MB."""

HASH_BITS = 64


def unique_rows(*columns: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first row of each distinct combination, and for every row which combination it is.

    Args:
        columns: (N,) or (N, K) arrays. What is wholly equal has equal neighbours, so it is compared once; ten thousand
            photographs at one city's centre would make fifty million pairs.
    """
    key = np.column_stack(
        [np.unique(part, return_inverse=True)[1] for column in columns for part in np.atleast_2d(column.T)]
    )
    order = np.lexsort(key.T)
    starts = np.any(np.diff(key[order], axis=0, prepend=-1), axis=1)
    member = np.empty(len(order), dtype=np.int64)
    member[order] = np.cumsum(starts) - 1
    return np.minimum.reduceat(order, np.flatnonzero(starts)) if len(order) else order, member


def close_pairs(points: NDArray[np.float64], radius: float) -> Iterator[NDArray[np.int64]]:
    """Yield all pairs of (N, K) points at most `radius` apart, as (M, 2) rows i < j, in blocks of bounded size."""
    if len(points) < 2:
        return
    tree = cKDTree(points)
    order = tree.indices
    found = np.cumsum(tree.query_ball_point(points[order], radius, return_length=True))
    for block in np.split(order, np.flatnonzero(np.diff(found // PAIRS_AT_ONCE)) + 1):
        near = cKDTree(points[block]).sparse_distance_matrix(tree, radius, output_type="ndarray")
        i, j = block[near["i"]], near["j"].astype(np.int64)
        yield np.column_stack([i, j])[i < j]


def alike_pairs(
    dhash: NDArray[np.uint64], place: NDArray[np.float64], radius: float, bits: int
) -> Iterator[NDArray[np.int64]]:
    """Yield pairs of near-duplicates: hashes that differ in at most `bits`, and places at most `radius` (< 1) apart.

    A pair may come more than once. Exact: of bits + 1 pieces of the hash at least one must be equal, so each piece in
    turn becomes one more coordinate, in which unequal pieces lie out of reach.
    """
    assert radius < 1, "pieces of the hash are whole numbers"
    for piece in _pieces(dhash, bits):
        # Numbered again, since the pieces of few bits allowed are too long for a float64.
        number = np.unique(piece, return_inverse=True)[1]
        for pairs in close_pairs(np.column_stack([place, number]), radius):
            yield pairs[hamming(dhash[pairs[:, 0]], dhash[pairs[:, 1]]) <= bits]


def alike_pairs_between(a: NDArray[np.uint64], b: NDArray[np.uint64], bits: int) -> Iterator[NDArray[np.int64]]:
    """Yield (M, 2) rows of a and of b whose hashes differ in at most `bits`, wherever they are, as `alike_pairs` does."""
    if not len(a) or not len(b):
        return
    for ours, theirs in zip(_pieces(a, bits), _pieces(b, bits), strict=True):
        order = np.argsort(theirs, kind="stable")
        start, stop = (np.searchsorted(theirs, ours, side, order) for side in ("left", "right"))
        found = np.cumsum(stop - start)
        for block in np.split(np.arange(len(a)), np.flatnonzero(np.diff(found // PAIRS_AT_ONCE)) + 1):
            count = (stop - start)[block]
            i = np.repeat(block, count)
            j = order[np.arange(len(i)) - np.repeat(np.cumsum(count) - count - start[block], count)]
            alike = hamming(a[i], b[j]) <= bits
            yield np.column_stack([i[alike], j[alike]])


def alike_pairs_anywhere(dhash: NDArray[np.uint64], bits: int) -> Iterator[NDArray[np.int64]]:
    """Yield (M, 2) rows of distinct hashes that differ in at most `bits`, in blocks of bounded size.

    A pair may come more than once. Exact: of bits + 2 pieces of the hash at least two must be equal, so each two in
    turn are the key of a sort.
    """
    for one, other in combinations(_pieces(dhash, bits + 1), 2):
        # Shifted past the other piece, which has at most half of the bits.
        key = (one << np.uint64(HASH_BITS // 2)) | other
        order = np.argsort(key, kind="stable")
        stop = np.searchsorted(key[order], key[order], "right")
        count = stop - np.arange(1, len(order) + 1)
        found = np.cumsum(count)
        for block in np.split(np.arange(len(order)), np.flatnonzero(np.diff(found // PAIRS_AT_ONCE)) + 1):
            i = np.repeat(block, count[block])
            j = i + 1 + np.arange(len(i)) - np.repeat(np.cumsum(count[block]) - count[block], count[block])
            pairs = np.column_stack([order[i], order[j]])
            yield pairs[hamming(dhash[pairs[:, 0]], dhash[pairs[:, 1]]) <= bits]


def _pieces(dhash: NDArray[np.uint64], bits: int) -> Iterator[NDArray[np.uint64]]:
    """Yield bits + 1 pieces of each hash: of two hashes that differ in at most `bits`, one piece at least is equal."""
    for low, high in pairwise(np.linspace(0, HASH_BITS, bits + 2).astype(int)):
        yield (dhash >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)


def hamming(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return in how many bits hashes differ."""
    return np.bitwise_count(np.bitwise_xor(a, b))
