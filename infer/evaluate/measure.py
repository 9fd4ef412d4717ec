"""Answers of a model for the photographs of a split, as an evaluation needs them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dataset.images import Pictures
from dataset.manifest import SPLITS, has_coordinates, read_located, read_manifest
from geocells.hierarchy import UNKNOWN, Hierarchy
from infer.decode.point import EXPERT
from infer.decode.posterior import class_ranks
from infer.evaluate.calibration import CalibrationMeter
from infer.explain.retrieval import Neighbours, unit_features
from infer.images import network_outputs
from infer.model import Model
from infer.network.output import NetworkOutput
from infer.prepared_pixels import prepared_photos
from label_maps.labels import class_level, questions, truth_of
from label_maps.run_folder import read_split
from plumbing.progress import progress
from plumbing.text import counted


@dataclass(frozen=True, eq=False)
class Measured:
    """What a model answered for the photographs of a split.

    Attributes:
        points_deg: (N, 2) answers.
        ranks: (N, levels) how many other cells were at least as probable as the true one; the number of classes where
            the hierarchy does not hold the true cell.
        read: (N,) rows of the photographs that could be read.
        best: (N, levels) most probable classes.
        classes: (N, levels) true classes; UNKNOWN where the hierarchy does not hold the true cell.
        neighbours_deg: (N, 2) where the most similar training photographs were taken; None where it was not asked for.
        told_deg: (N, 2) answers of experts that are told the true cell, where the hierarchy holds it; None of other points.
    """

    points_deg: NDArray[np.float64]
    ranks: NDArray[np.int64]
    read: NDArray[np.int64]
    best: NDArray[np.int64]
    classes: NDArray[np.int64]
    neighbours_deg: NDArray[np.float64] | None = None
    told_deg: NDArray[np.float64] | None = None


def split_photos(data: Path, split: str) -> pd.DataFrame:
    """Return the rows of a split.

    Raises:
        ValueError: there is no such split, or it holds nothing.
    """
    if split not in SPLITS:
        raise ValueError(f"--split is one of {', '.join(SPLITS)}, got {split!r}")
    photos = read_located(data)
    chosen = photos[photos["split"] == split].reset_index(drop=True)
    if not len(chosen):
        raise ValueError(f"the {split} split of {data} holds none of its {counted(len(photos), 'photograph')}")
    return chosen


def asked_photos(hierarchy: Hierarchy, data: Path, split: str, run: Path) -> pd.DataFrame:
    """Return the rows of a split that a run can be asked about, also those of which only the country or label is known.

    Raises:
        ValueError: there is no such split, it holds nothing, or the run has no level of what is known.
    """
    if class_level(hierarchy) is None:
        if only_stated(data, split):
            raise ValueError(
                f"of the {split} split of {data} only countries or labels are known, and {run} has no level of them: make it "
                "with `python -m label_maps build --partition admin`, or `--partition classes` for labels"
            )
        return split_photos(data, split)
    photos = read_manifest(data)
    photos = photos[questions(hierarchy, photos)]
    chosen = photos[photos["split"] == split].reset_index(drop=True)
    if split not in SPLITS or not len(chosen):
        return split_photos(data, split)
    return chosen


def only_stated(data: Path, split: str) -> bool:
    """Say whether a split has photographs, and none of them has coordinates."""
    photos = read_manifest(data, ["latitude", "split"])
    photos = photos[photos["split"] == split]
    return len(photos) > 0 and not has_coordinates(photos).any()


def trained_ids(run: Path) -> set[str]:
    """Return the ids that a run was trained on."""
    return {photo for photo, split in read_split(run).items() if split == "train"}


def measure(
    model: Model,
    data: Path,
    photos: pd.DataFrame,
    batch_size: int,
    workers: int,
    meter: CalibrationMeter | None = None,
    neighbours: Neighbours | None = None,
) -> Measured:
    """Answer for the photographs of a manifest; those that cannot be read are named and left out."""
    truth, classes = truth_of(model.hierarchy, photos)
    points, ranks, read, best, nearest, told = [], [], [], [], [], []
    prepared = prepared_photos(data, photos, model.transform)
    outputs = network_outputs(model, Pictures.of_dataset(data, photos), batch_size, workers, prepared=prepared)
    for rows, output in progress(outputs, "answering", "batch", -(-len(photos) // batch_size)):
        posterior = model.posterior(output.logits)
        points.append(model.points(posterior, output))
        ranks.append(class_ranks(posterior, classes[rows]))
        read.append(rows)
        best.append(torch.stack([level.argmax(dim=1) for level in posterior], dim=1).cpu().numpy())
        if model.point == EXPERT:
            told.append(_in_true_cells(model, best[-1], output, classes[rows]))
        if neighbours is not None:
            nearest.append(neighbours.places(unit_features(output)))
        if meter is not None:
            meter.add(output.logits, posterior, classes[rows], truth[rows])
    if not read:
        raise ValueError(f"no photograph of {data} could be read ({len(photos):,} tried)")
    rows = np.concatenate(read)
    alike, given = (np.concatenate(parts) if parts else None for parts in (nearest, told))
    return Measured(
        np.concatenate(points), np.concatenate(ranks), rows, np.concatenate(best), classes[rows], alike, given
    )


def _in_true_cells(
    model: Model, best: NDArray[np.int64], output: NetworkOutput, classes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return (B, 2) answers of experts inside the true cells; inside the most probable ones where those are not known."""
    assert model.refiner is not None, "only a run with a refiner answers by experts"
    level = model.hierarchy.level_index(model.refiner[1].level)
    cells = np.where(classes[:, level] == UNKNOWN, best[:, level], classes[:, level])
    return model.points_inside(torch.from_numpy(cells).to(model.device), output)
