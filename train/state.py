"""What is saved to resume from: tensors and plain values only, read with weights_only=True."""

import io
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from infer.network.network import GeoNetwork
from plumbing.files import atomic_path
from plumbing.world import World
from train.config import TrainConfig
from train.distributed import wrapped
from train.optim import Scheduler, build_optimizer, build_schedule, freeze


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        epoch: the epoch going on, from 0.
        done: photographs of it already learned from.
        step: optimiser steps in all.
        best_loss: lowest validation loss so far.
        best_accuracy: highest validation top-1 of the finest level so far.
        stale: epochs since the loss was lowest.
        loss_sum: sum of training losses of this epoch's steps so far.
        loss_steps: how many steps that is.
    """

    epoch: int = 0
    done: int = 0
    step: int = 0
    best_loss: float = float("inf")
    best_accuracy: float = -1.0
    stale: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0


@dataclass(frozen=True, eq=False)
class Trainee:
    """All that changes while training.

    Attributes:
        network: the weights.
        forward: what is called to train, the network itself or wrapped around it.
        optimizer: of its parameters.
        schedule: of the optimiser's rates.
        average: the moving average of the weights, where one is kept.
        progress: how far it is.
    """

    network: GeoNetwork
    forward: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Scheduler
    average: AveragedModel | None = None
    progress: Progress = field(default_factory=Progress)

    @classmethod
    def of(cls, config: TrainConfig, network: GeoNetwork, photos: int, world: World, device: torch.device) -> "Trainee":
        """Return a network that is to learn from so many photographs, as flags say."""
        freeze(network, config.frozen_parts)
        optimizer = build_optimizer(network, config.optim)
        epoch_steps = max(1, photos // config.batch_size)
        schedule = build_schedule(optimizer, config.optim, epoch_steps * config.epochs, epoch_steps)
        decay = config.optim.ema
        average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True) if decay else None
        return cls(network, wrapped(network, world, device, config.compile), optimizer, schedule, average)

    @property
    def answering(self) -> GeoNetwork:
        """Return the weights that are validated and kept: the average where there is one."""
        return self.network if self.average is None else cast(GeoNetwork, self.average.module)


def save_checkpoint(path: Path, trainee: Trainee, settings: dict[str, Any]) -> None:
    """Write everything needed to continue as if nothing had happened; whole or not at all."""
    buffer = io.BytesIO()
    content = {
        "network": trainee.network.state_dict(),
        "optimizer": trainee.optimizer.state_dict(),
        "average": None if trainee.average is None else trainee.average.state_dict(),
        "schedule": {k: v for k, v in trainee.schedule.state_dict().items() if not callable(v)},
        "progress": asdict(trainee.progress),
        "settings": settings,
    }
    torch.save(content, buffer)
    with atomic_path(path) as partial:
        # Through memory: a full disk is then one OSError that names the reason, and the last checkpoint still stands.
        partial.write_bytes(buffer.getbuffer())


def load_checkpoint(path: Path, trainee: Trainee, settings: dict[str, Any], device: torch.device) -> None:
    """Put a trainee back to where a checkpoint was.

    Raises:
        ValueError: the checkpoint is damaged, or of a training with other settings.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises RuntimeError, pickle, zip and EOF errors with no common base
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}): train with --overwrite instead of --resume"
        ) from None
    other = {key for key in settings if content["settings"].get(key) != settings[key]}
    if other:
        was = ", ".join(f"{key} was {content['settings'].get(key)}, is {settings[key]}" for key in sorted(other))
        raise ValueError(
            f"cannot resume {path} with other settings ({was}): pass the same, or --overwrite to start again"
        )
    trainee.network.load_state_dict(content["network"])
    if trainee.average is not None:
        trainee.average.load_state_dict(content["average"])
    trainee.optimizer.load_state_dict(content["optimizer"])
    trainee.schedule.load_state_dict(content["schedule"])
    for key, value in content["progress"].items():
        setattr(trainee.progress, key, value)
