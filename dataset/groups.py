"""Leakage groups: photographs that say much the same, so that they may not be divided between training and test.

Two photographs belong together when they are of one sequence, lie within 100 m, are by one creator in one L8 cell, are one
picture (SHA-256), or are near-duplicates: difference hashes at most 4 bits apart. Near-duplicates are looked for at any distance
where both hashes have detail, see `has_detail`, or one of two has no coordinates; within 200 m otherwise. Without coordinates the
country or the label stands for the cell. Splits are made of whole groups, intervals resample
whole groups, conformal calibration counts each group as one, and the leak audit looks for the same relations.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dataset.manifest import coordinates, has_coordinates
from dataset.nearby import alike_pairs, alike_pairs_anywhere, alike_pairs_between, close_pairs, unique_rows
from geocells import grid
from geocells.sphere import chord, unit_vectors

SAME_PLACE_KM = 0.1
ALIKE_KM = 0.2
ALIKE_BITS = 4
LEAST_DETAIL = 8
"""Of the 56 bits that have one above, and one beside, at least so many differ from it in a hash with detail.

The hashes of sunsets over water repeat one row: of 180 photographs (`photos.csv` of the shared test data) 12 pairs of distant
places, nearly all of a low sun, differ in at most 4 bits. Among the 90 % of hashes with this detail the least is 6."""


def storage_cells(photos: pd.DataFrame) -> NDArray[np.int64]:
    """Return the L8 cell of each photograph; a negative number for each country or label of those without coordinates."""
    cell = grid.encode(np.nan_to_num(coordinates(photos)), grid.TABLE_LEVEL)
    return np.where(has_coordinates(photos), cell, -2 - _stated(photos))


def place_vectors(photos: pd.DataFrame) -> NDArray[np.float64]:
    """Return (N, 3) unit vectors; those without coordinates have one point a country or label, far from the sphere and others."""
    vectors = unit_vectors(np.nan_to_num(coordinates(photos)))
    stated = _stated(photos)[:, None] + 2
    return np.where(has_coordinates(photos)[:, None], vectors, [10.0, 0.0, 0.0] * stated)


def _stated(photos: pd.DataFrame) -> NDArray[np.int64]:
    """Return a number for each country, or label where there is no country; -1 where a photograph has neither."""
    country, label = codes(photos, "country"), codes(photos, "label")
    return np.where(country < 0, np.where(label < 0, -1, label + country.max(initial=-1) + 1), country)


def leakage_groups(photos: pd.DataFrame, alike: Iterable[NDArray[np.int64]] = ()) -> NDArray[np.int64]:
    """Return the connected group of each photograph.

    Args:
        photos: `latitude`, `longitude` and, where known, `country`, `label`, `sequence_id`, `creator`, `dhash`.
        alike: blocks of (M, 2) pairs of rows that belong together too, such as near-duplicates by features.
    """
    vectors = place_vectors(photos)
    edges = [_same(codes(photos, "sequence_id")), *same_pictures(photos)]
    creator = codes(photos, "creator")
    _, of_creator_and_cell = unique_rows(creator, storage_cells(photos))
    edges.append(_same(np.where(creator < 0, -1, of_creator_and_cell)))
    rows = np.flatnonzero(has_coordinates(photos))
    first, member = unique_rows(vectors[rows])
    edges.append(rows[_same(member)])
    edges += _forests(close_pairs(vectors[rows[first]], float(chord(SAME_PLACE_KM))), rows[first], len(photos))
    if "dhash" in photos and photos["dhash"].notna().any():
        edges += _near_duplicates(photos, vectors)
    edges += _forests(alike, np.arange(len(photos)), len(photos))
    return _components(np.concatenate(edges), len(photos))


def same_pictures(photos: pd.DataFrame) -> list[NDArray[np.int64]]:
    """Return blocks of (M, 2) pairs of rows that are one picture wherever they are, as few as connect the same.

    Equal files, by SHA-256, and near-duplicates by hashes with detail.
    """
    pairs = [_same(codes(photos, "sha256"))]
    if "dhash" not in photos:
        return pairs
    rows = np.flatnonzero(photos["dhash"].notna())
    dhash = photos["dhash"].iloc[rows].to_numpy(dtype=np.uint64)
    rows, dhash = rows[has_detail(dhash)], dhash[has_detail(dhash)]
    first, member = unique_rows(dhash)
    pairs.append(np.column_stack([rows[first[member]], rows]))
    return pairs + _forests(alike_pairs_anywhere(dhash[first], ALIKE_BITS), rows[first], len(photos))


def has_detail(dhash: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which hashes tell a picture from others anywhere, and not only a sky or a sun from none."""
    above = np.bitwise_count((dhash ^ (dhash >> np.uint64(8))) & np.uint64((1 << 56) - 1))
    beside = np.bitwise_count((dhash ^ (dhash >> np.uint64(1))) & np.uint64(0x7F7F7F7F7F7F7F7F))
    return np.minimum(above, beside) >= LEAST_DETAIL


def joined_groups(group: NDArray[np.int64], pairs: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return (N,) groups of which those that (M, 2) pairs of rows connect are one."""
    return _components(np.concatenate([_same(np.unique(group, return_inverse=True)[1]), *pairs]), len(group))


def _near_duplicates(photos: pd.DataFrame, vectors: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Return pairs of near-duplicates as few as connect the same, see `alike_pairs`."""
    rows = np.flatnonzero(photos["dhash"].notna())
    dhash = photos["dhash"].iloc[rows].to_numpy(dtype=np.uint64)
    here = has_coordinates(photos)[rows]
    # All photographs without coordinates are compared with each other, whatever country they are said to be of.
    place = np.where(here[:, None], vectors[rows], [10.0, 0.0, 0.0])
    first, member = unique_rows(place, dhash)
    edges = [np.column_stack([rows[first[member]], rows])]
    pairs = alike_pairs(dhash[first], place[first], float(chord(ALIKE_KM)), ALIKE_BITS)
    edges += _forests(pairs, rows[first], len(photos))
    placed, others = first[here[first]], first[~here[first]]
    between = alike_pairs_between(dhash[others], dhash[placed], ALIKE_BITS)
    renumbered = (np.column_stack([others[pairs[:, 0]], placed[pairs[:, 1]]]) for pairs in between)
    return edges + _forests(renumbered, rows, len(photos))


def group_weights(group: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how much each photograph counts where each group counts as one: one over the size of its group."""
    _, member, size = np.unique(group, return_inverse=True, return_counts=True)
    return 1 / size[member]


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
