"""What is learned: the levels and losses of `python -m train level`, `train joint` and `train regress`."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dataset.manifest import coordinates, read_located
from geocells.hierarchy import Hierarchy
from infer.decode.point import center_vectors
from infer.decode.posterior import Tree
from infer.network.coordinate_head import CoordinateSpec
from label_maps.files import read_hierarchy
from plumbing.text import counted
from plumbing.world import World
from train.config import ClassifyConfig, JointConfig, LevelConfig, RegressConfig
from train.coordinates import BothObjectives, CoordinateObjective
from train.distributed import own_device
from train.losses import Objective, balanced_class_weights
from train.registry import LOSSES
from train.setup import Plan, run_plan
from train.trackers import Tracker

log = logging.getLogger(__name__)


def train_level(config: LevelConfig, trackers: tuple[Tracker, ...] = ()) -> None:
    """Train the network of one level; `trackers` are told of its metrics besides those of the flags."""
    hierarchy = read_hierarchy(config.run, config.data)
    level = hierarchy.level_index(config.level)
    device = own_device(config.device, World.from_env())
    objective = class_objective(config, hierarchy, [level], "levels", (1.0,), device)
    hidden = config.hidden if config.freeze_trunk else 0
    plan = Plan(config.level, [level], {config.level: hierarchy.sizes()[level]}, objective, hidden=hidden)
    plan = replace(plan, embedding=config.embedding, dropout=config.dropout)
    run_plan(config, hierarchy, plan, device, trackers)


def train_joint(config: JointConfig, trackers: tuple[Tracker, ...] = ()) -> None:
    """Train one network with a head for each level; `trackers` are told of its metrics besides those of the flags."""
    hierarchy = read_hierarchy(config.run, config.data)
    weights = config.level_weights or (1.0,) * hierarchy.depth
    if len(weights) != hierarchy.depth:
        raise ValueError(
            f"--level-weights needs {counted(hierarchy.depth, 'number')}, one for each level, got {len(weights)}"
        )
    if min(weights) < 0 or not sum(weights):
        raise ValueError(f"--level-weights must not be negative, nor all 0, got {weights}")
    device = own_device(config.device, World.from_env())
    levels = list(range(hierarchy.depth))
    objective = class_objective(config, hierarchy, levels, config.loss_on, weights, device)
    classes = dict(zip(hierarchy.level_names, hierarchy.sizes(), strict=True))
    readout_epochs = 0 if config.embedding else config.readout_epochs
    plan = Plan("joint", levels, classes, objective, readout_epochs=readout_epochs)
    plan = replace(plan, embedding=config.embedding, dropout=config.dropout)
    if config.freeze_trunk:
        plan = replace(plan, readout_epochs=0, hidden=config.hidden)
    if config.coordinate_weight:
        spec = _coordinate_spec(config.data, config.coordinate_kind)
        beside = CoordinateObjective(spec, config.coordinate_loss)
        both = BothObjectives(objective, beside, config.coordinate_weight)
        plan = replace(plan, objective=both, coordinates=spec)
    run_plan(config, hierarchy, plan, device, trackers)


def train_regress(config: RegressConfig, trackers: tuple[Tracker, ...] = ()) -> None:
    """Train a network that answers coordinates; `trackers` are told of its metrics besides those of the flags."""
    hierarchy = read_hierarchy(config.run, config.data)
    device = own_device(config.device, World.from_env())
    spec = _coordinate_spec(config.data, config.kind)
    plan = Plan("regress", [], {}, CoordinateObjective(spec, config.coordinate_loss), spec)
    run_plan(config, hierarchy, plan, device, trackers)


def _coordinate_spec(data: Path, kind: str) -> CoordinateSpec:
    """Return how a head is read that answers coordinates of a dataset's training photographs."""
    photos = read_located(data, ["latitude", "longitude", "split"])
    places = coordinates(photos[photos["split"] == "train"])
    mean, std = places.mean(axis=0).tolist(), np.maximum(places.std(axis=0), 1e-3).tolist()
    return CoordinateSpec(kind, (mean[0], mean[1]), (std[0], std[1]))


def class_objective(
    config: ClassifyConfig,
    hierarchy: Hierarchy,
    levels: list[int],
    loss_on: str,
    weights: tuple[float, ...],
    device: torch.device,
) -> Objective:
    """Return the loss of some levels of a hierarchy, as flags ask for it."""
    whole = Tree.of(hierarchy, device)
    tree = whole if len(levels) == hierarchy.depth else Tree((), (whole.sizes[levels[0]],))
    centers = tuple(center_vectors(hierarchy, device)[level] for level in levels)
    loss = config.loss
    if loss == "haversine" and not hierarchy.placed:
        log.info("classes have no places, so that --loss haversine has no distances: cross_entropy is minimised")
        loss = "cross_entropy"
    return Objective(
        tree=tree,
        centers=centers,
        loss=LOSSES[loss].load().of(config, centers),
        loss_on=loss_on,
        weights=weights,
        class_weights=_class_weights(hierarchy, levels, device) if config.class_weights else (),
    )


def _class_weights(hierarchy: Hierarchy, levels: list[int], device: torch.device) -> tuple[Tensor, ...]:
    counts = [hierarchy.train_count[hierarchy.rows(level)] for level in levels]
    return tuple(balanced_class_weights(count).to(device) for count in counts)
