"""Photographs of a test that are too close to training ones for its figures to mean anything."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from dataset.features import FeatureCache, FeatureKind
from dataset.groups import ALIKE_BITS, ALIKE_KM, SAME_PLACE_KM, has_detail
from dataset.manifest import coordinates, has_coordinates
from dataset.near_duplicates import UnitFeatures, has_alike
from dataset.nearby import alike_pairs_between, hamming
from dataset.picture_keys import picture_keys
from geocells import grid
from geocells.sphere import chord, unit_vectors
from plumbing.text import counted

CONTAMINATED = 0.005
"""Above this share of leaking photographs a result is stamped."""


def find_leaks(test: pd.DataFrame, train: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Mark the test photographs that are related to a training one, by kind of relation.

    The kinds are those of `dataset.groups`, and the same photograph (id or content).

    Args:
        test: rows of a manifest, with or without coordinates.
        train: rows of a manifest; columns that are absent or empty relate nothing.
    """
    return {
        "same photograph": _shares(test, train, "id") | _shares(test, train, "sha256"),
        "same sequence": _shares(test, train, "sequence_id"),
        "same place": _near(test, train),
        "same creator in a cell": _shares(_with_cell(test), _with_cell(train), "creator_in_cell"),
        "near-duplicate": _alike(test, train),
    }


def alike_to_training(
    own: Path, test: pd.DataFrame, data: Path, train: pd.DataFrame, kind: FeatureKind
) -> NDArray[np.bool_] | None:
    """Mark the test photographs that are near-duplicates of a training one by cached features; None where there are none.

    Args:
        own: the dataset of the test photographs.
        test: rows of its manifest.
        data: the dataset of the training photographs.
        train: rows of its manifest.
        kind: of which features.
    """
    sides = []
    for place, photos in ((own, test), (data, train)):
        cache = FeatureCache.open(place, kind)
        if cache is None:
            return None
        there = cache.read()
        rows = there.find(picture_keys(place, photos))
        if (rows < 0).all():
            return None
        sides.append((there, rows))
    (there, rows), (of_training, known) = sides
    theirs = UnitFeatures(of_training, known[known >= 0])
    mark = np.zeros(len(test), dtype=bool)
    mark[rows >= 0] = has_alike(UnitFeatures(there, rows[rows >= 0], like=theirs), theirs)
    return mark


def leak_report(found: Mapping[str, NDArray[np.bool_]]) -> dict[str, Any]:
    """Return how many photographs leak in which way, and whether that contaminates a result."""
    any_kind = np.any(list(found.values()), axis=0)
    share = float(any_kind.mean()) if len(any_kind) else 0.0
    kinds = {kind: int(marks.sum()) for kind, marks in found.items()}
    return {"photographs": int(any_kind.sum()), "share": share, "contaminated": share > CONTAMINATED, "kinds": kinds}


def leak_line(report: Mapping[str, Any]) -> str:
    """Return a leak report in words; how many training photographs it knew of is part of it."""
    of, known = report.get("training_photographs", 0), report.get("compared_with", 0)
    if of and not known:
        return f"leak audit not made: none of {counted(of, 'training photograph')} is at hand; name their dataset with --trained-on"
    if known < of:
        return f"{_leaks_found(report)} (compared with {known:,} of {of:,}: name their dataset with --trained-on)"
    return _leaks_found(report)


def _leaks_found(report: Mapping[str, Any]) -> str:
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in report["kinds"].items() if count)
    if not kinds:
        return "leak audit: no photograph is related to a training one"
    stamp = "CONTAMINATED" if report["contaminated"] else "leak audit"
    return f"{stamp}: {counted(report['photographs'], 'photograph')} ({report['share']:.2%}) related to training ones: {kinds}"


def _shares(test: pd.DataFrame, train: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    """Mark the test rows whose value, if they have one, a training row has too."""
    if column not in test or column not in train:
        return np.zeros(len(test), dtype=bool)
    known = train[column].dropna()
    return (test[column].isin(set(known[known != ""])) & test[column].notna()).to_numpy(dtype=bool)


def _with_cell(photos: pd.DataFrame) -> pd.DataFrame:
    if "creator" not in photos:
        return photos
    cell = pd.Series(grid.encode(np.nan_to_num(coordinates(photos)), grid.TABLE_LEVEL).astype(str), index=photos.index)
    for column in ("label", "country"):
        if column in photos:
            cell = cell.where(
                has_coordinates(photos) | photos[column].isna(), column + " " + photos[column].astype(str)
            )
    joined = photos["creator"].astype(object) + " " + cell.astype(object)
    return photos.assign(creator_in_cell=joined.where(photos["creator"].notna() & (photos["creator"] != "")))


def _near(test: pd.DataFrame, train: pd.DataFrame) -> NDArray[np.bool_]:
    mark = np.zeros(len(test), dtype=bool)
    ours, theirs = (np.flatnonzero(has_coordinates(photos)) for photos in (test, train))
    if len(ours) and len(theirs):
        tree = cKDTree(unit_vectors(coordinates(train.iloc[theirs])))
        distance, _ = tree.query(unit_vectors(coordinates(test.iloc[ours])))
        mark[ours] = distance <= float(chord(SAME_PLACE_KM)) * (1 + 1e-9)
    return mark


def _alike(test: pd.DataFrame, train: pd.DataFrame) -> NDArray[np.bool_]:
    """Mark near-duplicates: within 200 m, or anywhere where both hashes have detail or one of two has no coordinates."""
    mark = np.zeros(len(test), dtype=bool)
    if "dhash" not in test or "dhash" not in train:
        return mark
    ours, theirs = (np.flatnonzero(photos["dhash"].notna()) for photos in (test, train))
    if not len(ours) or not len(theirs):
        return mark
    own, other = (p["dhash"].iloc[rows].to_numpy(dtype=np.uint64) for p, rows in ((test, ours), (train, theirs)))
    here, there = (has_coordinates(p)[rows] for p, rows in ((test, ours), (train, theirs)))
    mark[ours[here]] = _alike_nearby(
        own[here], coordinates(test.iloc[ours[here]]), other[there], coordinates(train.iloc[theirs[there]])
    )
    everywhere = (has_detail(own), has_detail(other))
    for some, others in ((~here, np.full(len(there), True)), (here, ~there), everywhere):
        rows = ours[some]
        for pairs in alike_pairs_between(own[some], other[others], ALIKE_BITS):
            mark[rows[pairs[:, 0]]] = True
    return mark


def _alike_nearby(
    own: NDArray[np.uint64], test_deg: NDArray[np.float64], other: NDArray[np.uint64], train_deg: NDArray[np.float64]
) -> NDArray[np.bool_]:
    if not len(own) or not len(other):
        return np.zeros(len(own), dtype=bool)
    near = cKDTree(unit_vectors(train_deg)).query_ball_point(unit_vectors(test_deg), float(chord(ALIKE_KM)))
    row = np.repeat(np.arange(len(own)), [len(found) for found in near])
    partner = np.concatenate([np.array(found, dtype=np.int64) for found in near])
    return np.isin(np.arange(len(own)), row[hamming(own[row], other[partner]) <= ALIKE_BITS])
