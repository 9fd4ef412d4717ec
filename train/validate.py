"""How good a network is after an epoch: the loss, the classes, and the kilometres of the very answer that users get."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from geocells.sphere import distance_km
from infer.evaluation import class_ranks
from infer.metrics import geoscore
from infer.points import answer_points
from infer.posterior import chain
from infer.transform import normalise
from train.losses import Objective
from train.photos import InOrder, LabelledPhotos, PixelSource


@dataclass(frozen=True, eq=False)
class Validation:
    """What a validation needs beside the network.

    Attributes:
        photos: the photographs and their truth.
        source: their pixels, never changed at random.
        levels: positions of the trained levels in the hierarchy.
        level_names: their names.
        objective: the loss.
        batch_size: photographs a step.
        workers: processes that decode.
    """

    photos: LabelledPhotos
    source: PixelSource
    levels: list[int]
    level_names: list[str]
    objective: Objective
    batch_size: int
    workers: int


@torch.inference_mode()
def validate(network: nn.Module, check: Validation, device: torch.device, autocast: torch.autocast) -> dict[str, float]:
    """Return metrics by name, units in the names; shares and not percents."""
    network.eval()
    losses, ranks, answers = [], [], []
    loader = DataLoader(check.source, check.batch_size, sampler=InOrder(len(check.photos)), num_workers=check.workers)
    for index, pixels in loader:
        with autocast:
            outputs = network(normalise(pixels.to(device)))
        logits = [outputs[name].float() for name in check.level_names]
        targets = check.photos.targets(index, check.levels, device)
        losses.append(check.objective(logits, targets).item() * len(index))
        ranks.append(class_ranks(logits, targets.classes.cpu().numpy()))
        leaf = chain(check.objective.tree, logits)[-1]
        answers.append(answer_points("geoscore", leaf, check.objective.centers[-1]).cpu().numpy())
    return _metrics(check, losses, np.concatenate(ranks), np.concatenate(answers))


def _metrics(check: Validation, losses: list[float], ranks: np.ndarray, points: np.ndarray) -> dict[str, float]:
    away = distance_km(points, check.photos.latlon_deg)
    metrics = {"val/loss": sum(losses) / len(ranks)}
    for column, name in enumerate(check.level_names):
        metrics[f"val/{name}_top1"] = float((ranks[:, column] < 1).mean())
        metrics[f"val/{name}_top10"] = float((ranks[:, column] < 10).mean())
    return {**metrics, "val/median_km": float(np.median(away)), "val/geoscore": float(geoscore(away).mean())}
