"""How good a network is after an epoch: the loss, the classes, and the kilometres of the very answer that users get."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader

from geocells.sphere import distance_km, geoscore
from infer.evaluate.metrics import TOP
from plumbing.world import World
from train.coordinates import AnyObjective
from train.data import InOrder, LabelledPhotos, PixelSource, readable
from train.distributed import gathered
from train.frozen import FeatureSource

DIVERGED = "the last checkpoint is kept; lower --optim.lr, set --optim.clip 1, or --precision float32, and train with --overwrite"


@dataclass(frozen=True, eq=False)
class Validation:
    """What a validation needs beside the network.

    Attributes:
        photos: the photographs and their truth.
        source: their pixels, never changed at random, or their features.
        levels: positions of the trained levels in the hierarchy.
        level_names: their names.
        outputs: names of the network's heads, in the order that the objective takes them.
        objective: the loss.
        batch_size: photographs a step.
        workers: processes that decode.
        has_places: whether classes have places, so that kilometres mean something.
        told: position of the level whose true cell the network is told beside the picture; None where it is told none.
    """

    photos: LabelledPhotos
    source: PixelSource | FeatureSource
    levels: list[int]
    level_names: list[str]
    outputs: list[str]
    objective: AnyObjective
    batch_size: int
    workers: int
    has_places: bool = True
    told: int | None = None


@dataclass(frozen=True, eq=False)
class _Outcome:
    """What one process found for its share of the photographs."""

    index: NDArray[np.int64]
    loss_sum: float
    ranks: NDArray[np.int64]
    points_deg: NDArray[np.float64]


def validate(
    network: nn.Module, check: Validation, device: torch.device, autocast: torch.autocast, world: World
) -> dict[str, float]:
    """Return metrics by name, units in the names, shares and not percents; the same in every process.

    Kilometres are left out where no photograph has coordinates, or no class a place.
    """
    outcomes = gathered(_share(network, check, device, autocast, world), world)
    order = np.argsort(np.concatenate([outcome.index for outcome in outcomes]))
    ranks = np.concatenate([outcome.ranks for outcome in outcomes])[order]
    loss = sum(outcome.loss_sum for outcome in outcomes) / len(ranks)
    if not math.isfinite(loss):
        raise ValueError(f"the validation loss is NaN or infinite: {DIVERGED}")
    metrics = {"val/loss": loss}
    for name, of_level, counted in zip(check.level_names, ranks.T, check.photos.counted(check.levels).T, strict=True):
        for k in TOP:
            metrics[f"val/{name}_top{k}"] = float((of_level[counted] < k).mean()) if counted.any() else 0.0
    placed = check.photos.placed
    if not check.has_places or (placed is not None and not placed.any()):
        # Of countries or labels alone: an answer has no distance from a truth without coordinates.
        return metrics
    away = distance_km(np.concatenate([o.points_deg for o in outcomes])[order], check.photos.latlon_deg)
    away = away if placed is None else away[placed]
    return {**metrics, "val/median_km": float(np.median(away)), "val/geoscore": float(geoscore(away).mean())}


@torch.inference_mode()
def _share(
    network: nn.Module, check: Validation, device: torch.device, autocast: torch.autocast, world: World
) -> _Outcome:
    """Answer for every `size`-th photograph."""
    network.eval()
    order = InOrder(len(check.photos), world.rank, world.size)
    source = check.source
    workers = check.workers if source.decodes else 0
    loader = DataLoader(source, check.batch_size, sampler=order, num_workers=workers, collate_fn=source.collate)
    loss_sum, read, ranks, points = 0.0, [], [], []
    for index, pixels in readable(loader):
        with autocast:
            outputs = network(source.inputs(pixels, device), *check.photos.told(index, check.told, device))
        logits = [outputs[name].float() for name in check.outputs]
        targets = check.photos.targets(index, check.levels, device)
        loss_sum += check.objective(logits, targets).item() * len(index)
        read.append(index.numpy())
        ranks.append(check.objective.ranks(logits, targets.classes.cpu().numpy()))
        points.append(check.objective.points_deg(logits).cpu().numpy())
    return _Outcome(np.concatenate(read), loss_sum, np.concatenate(ranks), np.concatenate(points))
