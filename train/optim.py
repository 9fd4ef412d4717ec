"""Optimisers and schedules by name, all of them PyTorch's own."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler as schedules

from infer.network.network import GeoNetwork
from train.parts_config import OptimConfig

Scheduler = schedules.LRScheduler


def build_optimizer(network: GeoNetwork, config: OptimConfig) -> torch.optim.Optimizer:
    """Return the optimiser over heads and trunk, which may learn at another rate."""
    trunk = [parameter for parameter in network.trunk.parameters() if parameter.requires_grad]
    behind = [part for part in (network.heads, network.readout, network.embedding) if part is not None]
    learning = [parameter for part in behind for parameter in part.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [{"params": learning, "lr": config.lr}]
    groups += [{"params": trunk, "lr": config.lr * config.trunk_lr_factor}] if trunk else []
    return optimizer_of(groups, config)


def optimizer_of(groups: list[dict[str, Any]], config: OptimConfig) -> torch.optim.Optimizer:
    """Return the optimiser of groups of parameters, each with its own rate."""
    # Fused: one pass over the weights. With one for each operation Adam takes a seventh of a ResNet-18's time on CPU.
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, weight_decay=config.weight_decay, fused=True)
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.lr, weight_decay=config.weight_decay, fused=True)


def freeze(network: GeoNetwork, frozen: Sequence[str]) -> None:
    """Stop the parts of the trunk that are named by the beginnings of their names from learning; all of it by an empty one.

    No gradient is computed for them, nor through them where nothing before them learns.

    Raises:
        ValueError: no part has such a name.
    """
    parts = [name for name, _ in network.trunk.named_parameters()]
    for prefix in frozen:
        if not any(name.startswith(prefix) for name in parts):
            known = ", ".join(dict.fromkeys(name.split(".")[0] for name in parts))
            raise ValueError(f"--optim.frozen {prefix} names no part of the trunk; its parts are {known}")
    for name, parameter in network.trunk.named_parameters():
        parameter.requires_grad_(not name.startswith(tuple(frozen)))


def to_train(network: GeoNetwork, frozen: Sequence[str], frozen_norm: bool) -> None:
    """Set a network to learn; frozen parts answer as they do when nothing learns, and so does batch norm where asked."""
    network.train()
    for name, module in network.trunk.named_modules():
        stays = bool(frozen) and name.startswith(tuple(frozen))
        if stays or (frozen_norm and isinstance(module, nn.modules.batchnorm._BatchNorm)):
            module.eval()


def build_schedule(optimizer: torch.optim.Optimizer, config: OptimConfig, steps: int, epoch_steps: int) -> Scheduler:
    """Return the schedule of a training of `steps` steps."""
    rates = [group["lr"] for group in optimizer.param_groups]
    makers: dict[str, Callable[[], Scheduler]] = {
        "constant": lambda: schedules.LambdaLR(optimizer, _one),
        "one_cycle": lambda: schedules.OneCycleLR(optimizer, rates, total_steps=steps, cycle_momentum=False),
        "cosine_restarts": lambda: schedules.CosineAnnealingWarmRestarts(
            optimizer, T_0=max(1, config.restart_epochs * epoch_steps), T_mult=config.restart_factor
        ),
        "step": lambda: schedules.StepLR(optimizer, step_size=10, gamma=0.1),
        "plateau": lambda: schedules.ReduceLROnPlateau(optimizer, factor=0.5, patience=config.plateau_patience),
    }
    return makers[config.schedule]()


def _one(step: int) -> float:
    return 1.0


def after_step(schedule: Scheduler) -> None:
    """Move a schedule that goes by steps."""
    if isinstance(schedule, schedules.OneCycleLR | schedules.CosineAnnealingWarmRestarts):
        schedule.step()


def after_epoch(schedule: Scheduler, loss: float) -> None:
    """Move a schedule that goes by epochs."""
    if isinstance(schedule, schedules.ReduceLROnPlateau):
        schedule.step(loss)
    elif isinstance(schedule, schedules.StepLR):
        schedule.step()
