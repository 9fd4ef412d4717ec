"""`python -m fetch thin`: leave out pictures by their looks and by how crowded they lie; pictures are kept on disk."""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.sparse import coo_array

from dataset.groups import ALIKE_KM, codes, place_vectors, storage_cells
from dataset.manifest import DATASET, SCHEMA, coordinates, has_coordinates, read_manifest, write_manifest
from dataset.nearby import alike_pairs, close_pairs, hamming, unique_rows
from fetch.config import LooksConfig, ThinConfig
from fetch.dataset_counts import counts_report
from fetch.ingest import UNTHINNED
from fetch.panoramas import shots
from fetch.rejected import REJECTED, Rejection, read_rejected, summary, write_rejected
from fetch.stored import MEASURES, MEASURES_SCHEMA
from geocells.sphere import chord, distance_km, unit_vectors
from plumbing.config import as_plain
from plumbing.files import atomic_path, read_json, write_json
from plumbing.parquet import read_columns
from plumbing.text import counted

STAGE = "thin"
LOOKS_FLAGS = {
    "too dark": "--min-luma",
    "too bright": "--max-luma",
    "black or white in most places": "--max-extreme-share",
    "without contrast": "--min-luma-std",
    "without colour": "--min-colourfulness",
    "blurred": "--min-sharpness",
}

log = logging.getLogger(__name__)


def run(config: ThinConfig) -> None:
    """Thin a dataset, starting from all its photographs.

    Raises:
        ValueError: there is not a dataset, its photographs were never measured, or none would be left.
    """
    photos = _all_photos(config.data)
    kept, rejections = thin(photos, _measures(config.data, photos), config)
    if not kept.any():
        flags = ", ".join(_flags(rejections))
        raise ValueError(f"no photograph would be left; {summary(rejections, len(photos))}: loosen {flags}")
    _write_unthinned(config.data, photos)
    write_rejected(config.data, [r for r in read_rejected(config.data) if r.stage != STAGE] + rejections)
    if (config.data / DATASET).is_file():
        dataset = read_json(config.data / DATASET)
        write_json(config.data / DATASET, {**dataset, "photographs": int(kept.sum()), "thinned": as_plain(config)})
    write_manifest(config.data, photos[kept])
    log.info(f"{config.data}: kept {int(kept.sum()):,} of {counted(len(photos), 'photograph')}")
    log.info(summary(rejections, len(photos)) + (f"; {config.data / REJECTED} lists each" if rejections else ""))
    log.info(counts_report(photos[kept]))


def thin(photos: pd.DataFrame, measures: pd.DataFrame, config: ThinConfig) -> tuple[NDArray[np.bool_], list[Rejection]]:
    """Return which photographs stay, and why each other one does not.

    In this order: looks, near-duplicates, distance, most of a sequence, most of a creator; each judges what the ones
    before have left. Where one of several stays it is the best: sharp, colourful, rich in contrast. Looks and near-duplicates
    judge each view of a panorama by itself; for the others its views are one photograph, as good as the best of them.

    Args:
        photos: rows of a manifest.
        measures: rows of measures.parquet, in the same order.
        config: the thresholds.
    """
    quality = measures[["sharpness", "colourfulness", "luma_std"]].rank(pct=True).mean(axis=1)
    # The id breaks ties, so that the order of rows does not matter.
    rank = np.empty(len(photos), dtype=np.int64)
    rank[np.lexsort((pd.factorize(photos["id"], sort=True)[0], -quality.to_numpy()))] = np.arange(len(photos))
    kept = np.ones(len(photos), dtype=bool)
    rejections: dict[int, Rejection] = {}

    def leave(rows: NDArray, out: NDArray[np.bool_], reason: str, values: NDArray, threshold: float) -> None:
        kept[rows[out]] = False
        for row, value in zip(rows[out].tolist(), values[out].tolist(), strict=True):
            rejections[row] = Rejection(str(photos["id"].iat[row]), reason, f"{value:.4g}", f"{threshold:g}", STAGE)

    for name, reason, low, high in looks(config):
        value = measures[name].to_numpy(dtype=np.float64)
        fails = kept & ~((value > low) & (value < high))
        leave(np.arange(len(photos)), fails, reason, value, low if np.isfinite(low) else high)
    rest = np.flatnonzero(kept)
    if config.duplicate_bits >= 0:
        by = near_duplicates(photos.iloc[rest], rank[rest], config.duplicate_bits)
        dhash = photos["dhash"].iloc[rest].to_numpy(dtype=np.uint64)
        leave(rest, by >= 0, "near-duplicates of a better picture", hamming(dhash, dhash[by]), config.duplicate_bits)
        rest = np.flatnonzero(kept)
    shot = shots(photos)
    if config.min_distance_m > 0:
        rest = rest[has_coordinates(photos.iloc[rest])]
        best, of = _best_of_shots(shot[rest], rank[rest], rest)
        latlon_deg = coordinates(photos.iloc[best])
        by = crowded(latlon_deg, rank[best], config.min_distance_m)
        metres = 1000 * distance_km(latlon_deg, latlon_deg[by])
        leave(rest, (by >= 0)[of], "too close to a better picture", metres[of], config.min_distance_m)
        rest = np.flatnonzero(kept)
    for column, reason, limit in (
        ("sequence_id", "beyond the best of a sequence", config.max_per_sequence),
        ("creator", "beyond the best of a creator", config.max_creator_share),
    ):
        if limit is not None:
            best, of = _best_of_shots(shot[rest], rank[rest], rest)
            measured, group, cap = _cell_caps(photos.iloc[best], column, limit)
            leave(rest, beyond_cap(group, rank[best], cap)[of], reason, measured[of], limit)
            rest = np.flatnonzero(kept)
    return kept, [rejections[row] for row in sorted(rejections)]


def looks(config: LooksConfig) -> list[tuple[str, str, float, float]]:
    """Return measure, reason, and the bounds between which it must lie."""
    # A black-and-white picture has a colourfulness of exactly 0, and 0 is to keep it.
    colourfulness = config.min_colourfulness or -1.0
    return [
        ("luma_mean", "too dark", config.min_luma, np.inf),
        ("luma_mean", "too bright", -np.inf, config.max_luma),
        ("extreme_share", "black or white in most places", -np.inf, np.nextafter(config.max_extreme_share, np.inf)),
        ("luma_std", "without contrast", config.min_luma_std, np.inf),
        ("colourfulness", "without colour", colourfulness, np.inf),
        ("sharpness", "blurred", config.min_sharpness, np.inf),
    ]


def _flags(rejections: list[Rejection]) -> list[str]:
    """Return the flags of the looks that left out photographs, the most of them first, or a word for all."""
    counts = Counter(rejection.reason for rejection in rejections)
    return [LOOKS_FLAGS[reason] for reason, _ in counts.most_common() if reason in LOOKS_FLAGS] or ["the thresholds"]


def greedy(rank: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep points best first, each unless a kept one is its partner.

    Args:
        rank: (N,) distinct; 0 is best.
        pairs: (M, 2) rows that exclude each other.

    Returns:
        (N,) the kept point that excludes each point, the best of them; -1 for the kept ones.
    """
    order = np.argsort(rank)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    ends = place[np.concatenate([pairs, pairs[:, ::-1]])]
    ends = ends[ends[:, 0] < ends[:, 1]]
    worse = coo_array((np.ones(len(ends), dtype=bool), (ends[:, 0], ends[:, 1])), shape=(len(order),) * 2).tocsr()
    excluded_by = np.full(len(order), -1)
    starts, partners = worse.indptr.tolist(), worse.indices
    for better in np.flatnonzero(np.diff(worse.indptr)).tolist():
        if excluded_by[better] < 0:
            those = partners[starts[better] : starts[better + 1]]
            excluded_by[those[excluded_by[those] < 0]] = better
    result = np.empty_like(order)
    result[order] = np.where(excluded_by < 0, -1, order[excluded_by])
    return result


def crowded(latlon_deg: NDArray[np.float64], rank: NDArray[np.int64], min_distance_m: float) -> NDArray[np.int64]:
    """Return, for each row that lies too close to a better one that stays, that row; -1 for those that stay.

    Args:
        latlon_deg: (N, 2).
        rank: (N,) distinct; the lowest stays.
        min_distance_m: least great-circle distance in metres; exactly so far apart both stay.
    """
    vectors = unit_vectors(latlon_deg)
    _, member = unique_rows(vectors)
    best = _best_rows(member, rank)
    radius = float(chord(min_distance_m / 1000)) * (1 - 1e-9)
    return _keepers(member, best, rank, _stack(close_pairs(vectors[best], radius)))


def near_duplicates(photos: pd.DataFrame, rank: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Return, for each row that looks like a better one that stays, that row; -1 for those that stay.

    Compared are pictures of one sequence, pictures within 200 m, and country-only ones of one country.

    Args:
        photos: `latitude`, `longitude`, `sequence_id`, `dhash` (of all).
        rank: (N,) distinct; the lowest stays.
        bits: in how many bits of 64 the hashes may differ.
    """
    dhash, sequence = photos["dhash"].to_numpy(dtype=np.uint64), codes(photos, "sequence_id")
    vectors = place_vectors(photos)
    _, member = unique_rows(vectors, dhash, sequence)
    best = _best_rows(member, rank)
    near = _stack(alike_pairs(dhash[best], vectors[best], float(chord(ALIKE_KM)), bits))
    known = np.flatnonzero(sequence[best] >= 0)
    place = sequence[best[known], None].astype(np.float64)
    together = known[_stack(alike_pairs(dhash[best[known]], place, 0.5, bits))]
    return _keepers(member, best, rank, np.concatenate([near, together]))


def _cell_caps(
    photos: pd.DataFrame, column: str, limit: float
) -> tuple[NDArray[np.number], NDArray[np.int64], NDArray[np.int64]]:
    """Return for each row what its sequence or creator has of its L8 cell, which group that is, and how many may stay.

    Both a creator's limit and what it has are shares of the cell's photographs, counted before any is left out; a
    sequence's are numbers of photographs.
    """
    owner, cell = codes(photos, column), storage_cells(photos)
    _, member = unique_rows(owner, cell)
    _, of_cell, per_cell = np.unique(cell, return_inverse=True, return_counts=True)
    count, group = np.bincount(member)[member], np.where(owner < 0, -1, member)
    if column == "creator":
        share = count / per_cell[of_cell]
        return share, group, np.maximum(1, np.floor(limit * per_cell[of_cell])).astype(np.int64)
    return count, group, np.full(len(photos), int(limit))


def beyond_cap(group: NDArray[np.int64], rank: NDArray[np.int64], cap: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows come after the `cap` best of their group; group -1 has no cap."""
    order = np.lexsort((rank, group))
    first = np.flatnonzero(np.diff(group[order], prepend=-2))
    place = np.empty_like(order)
    place[order] = np.arange(len(order)) - np.repeat(first, np.diff([*first, len(order)]))
    return (group >= 0) & (place >= cap)


def _best_of_shots(
    shot: NDArray[np.int64], rank: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the best of `rows` of each shot, and for each row which of these stands for it."""
    member = np.unique(shot, return_inverse=True)[1]
    return rows[_best_rows(member, rank)], member


def _best_rows(member: NDArray[np.int64], rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the row of lowest rank of each group; groups are numbered from 0."""
    order = np.lexsort((rank, member))
    return order[np.flatnonzero(np.diff(member[order], prepend=-1))]


def _keepers(
    member: NDArray[np.int64], best: NDArray[np.int64], rank: NDArray[np.int64], pairs: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the row for which each row goes, -1 where it stays: only the best of a group can, and only greedily."""
    by = greedy(rank[best], pairs)
    keeper = best[np.where(by < 0, np.arange(len(best)), by)][member]
    return np.where(keeper == np.arange(len(member)), -1, keeper)


def _stack(blocks: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.empty((0, 2), dtype=np.int64), *blocks])


def _all_photos(data: Path) -> pd.DataFrame:
    """Return the manifest and what thinning left out of it before, by id."""
    photos = read_manifest(data)
    if (data / UNTHINNED).is_file():
        before = read_columns(data / UNTHINNED).to_pandas()
        photos = pd.concat([photos, before[~before["id"].isin(photos["id"])]], ignore_index=True)
    return photos.sort_values("id", ignore_index=True)


def _measures(data: Path, photos: pd.DataFrame) -> pd.DataFrame:
    path = data / MEASURES
    if not path.is_file():
        raise ValueError(
            f"{path} does not exist: this dataset was never measured, make it again with `python -m fetch`"
        )
    table = read_columns(path)
    if not set(MEASURES_SCHEMA.names) <= set(table.column_names):
        raise ValueError(f"{path} lacks columns of measures: make the dataset again with `python -m fetch`")
    measures = table.to_pandas().set_index("id")
    missing = photos["id"][~photos["id"].isin(measures.index)]
    if len(missing):
        raise ValueError(
            f"{path} lacks {counted(len(missing), 'photograph')} of the manifest, such as {missing.iloc[0]}: "
            "make the dataset again with `python -m fetch`"
        )
    return measures.loc[photos["id"]].reset_index()


def _write_unthinned(data: Path, photos: pd.DataFrame) -> None:
    """Write all rows before the manifest loses any, so that no interruption loses them."""
    table = pa.Table.from_pandas(photos.reindex(columns=SCHEMA.names), schema=SCHEMA, preserve_index=False)
    with atomic_path(data / UNTHINNED) as partial:
        pq.write_table(table.replace_schema_metadata(None), partial, compression="zstd")
