"""What a network loses that knows nothing: the loss of equal probabilities, above which a training has not learned."""

import torch

from label_maps.files import read_hierarchy
from train.config import JointConfig, LevelConfig
from train.setup import labelled_splits
from train.tasks import class_objective

BLOCK = 1024


def chance_loss(config: JointConfig | LevelConfig) -> float | None:
    """Return the validation loss of equal logits; None where the loss is also that of a coordinate."""
    if isinstance(config, JointConfig) and config.coordinate_weight:
        return None
    hierarchy, device = read_hierarchy(config.run), torch.device("cpu")
    if isinstance(config, JointConfig):
        levels, loss_on, weights = list(range(hierarchy.depth)), config.loss_on, config.level_weights
    else:
        levels, loss_on, weights = [hierarchy.level_index(config.level)], "levels", ()
    objective = class_objective(config, hierarchy, levels, loss_on, weights or (1.0,) * len(levels), device).at(1.0)
    photos = labelled_splits(config.data, config.run, hierarchy, levels)["calibration"]
    total = 0.0
    for index in torch.arange(len(photos)).split(BLOCK):
        logits = [torch.zeros(len(index), hierarchy.sizes()[level]) for level in levels]
        total += objective(logits, photos.targets(index, levels, device)).item() * len(index)
    return total / len(photos)
