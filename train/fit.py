"""The one training loop."""

import json
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from infer.network import GeoNetwork, NetworkSpec, save_network
from infer.transform import normalise
from plumbing.files import atomic_path
from plumbing.progress import progress
from train.checkpoints import Progress, Trainee, load_checkpoint, save_checkpoint
from train.config import TrainConfig
from train.losses import Objective
from train.optim import after_epoch, after_step
from train.photos import LabelledPhotos, PixelSource, SharedOrder, mixed_seed
from train.validate import Validation, validate

log = logging.getLogger(__name__)

CHECK_STEPS = 25
"""How often the loss is read back from the device, to show it and to stop if it is no number."""


@dataclass(frozen=True, eq=False)
class Training:
    """Everything that a training is given.

    Attributes:
        config: the flags.
        settings: those that must not change when it is resumed.
        name: stem of the files that it writes, such as `joint` or `L3`.
        spec: the network's spec, stored with its weights.
        network: the network.
        objective: the loss.
        photos: training photographs.
        source: their pixels.
        validation: what is measured after each epoch.
        device: where it computes.
        precision: what activations are computed in.
    """

    config: TrainConfig
    settings: dict[str, Any]
    name: str
    spec: NetworkSpec
    network: GeoNetwork
    objective: Objective
    photos: LabelledPhotos
    source: PixelSource
    validation: Validation
    device: torch.device
    precision: torch.dtype

    def checkpoint(self, kind: str) -> Path:
        """Return the file of a checkpoint."""
        return self.config.run / "checkpoints" / f"{self.name}.{kind}"

    def autocast(self) -> torch.autocast:
        """Return the context in which the network computes."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision != torch.float32)


def fit(training: Training, trainee: Trainee) -> None:
    """Train to the end and leave the best network in the run folder."""
    config, state = training.config, trainee.progress
    if config.resume and training.checkpoint("last.pt").is_file():
        load_checkpoint(training.checkpoint("last.pt"), trainee, training.settings, training.device)
        log.info("resuming in epoch %d after %d of its photographs", state.epoch + 1, state.done)
    while state.epoch < config.epochs and not (config.patience and state.stale >= config.patience):
        _train_epoch(training, trainee)
        _end_epoch(training, trainee)
    chosen = config.run / f"{training.name}.safetensors"
    with atomic_path(chosen) as partial:
        partial.write_bytes(training.checkpoint(f"best_{config.keep}.safetensors").read_bytes())
    log.info("wrote %s, the best of %d epochs by %s", chosen, state.epoch, config.keep)


def _train_epoch(training: Training, trainee: Trainee) -> None:
    """Learn from what is left of an epoch's photographs."""
    config, state = training.config, trainee.progress
    order = SharedOrder(len(training.photos), config.seed, state.epoch, state.done)
    whole = len(training.photos) >= config.batch_size
    loader = DataLoader(training.source, config.batch_size, sampler=order, num_workers=config.workers, drop_last=whole)
    training.network.train()
    saved_at = time.monotonic()
    running = torch.zeros((), device=training.device)
    bar = progress(_readable(loader), f"{training.name} epoch {state.epoch + 1}/{config.epochs}", "step", len(loader))
    for index, pixels in bar:
        running += _step(training, trainee, index, pixels)
        state.done += len(index)
        if state.step % CHECK_STEPS == 0 or state.done >= len(training.photos):
            running = _read_loss(training, state, running, bar)
        if time.monotonic() - saved_at > 60 * config.checkpoint_minutes:
            running = _read_loss(training, state, running, bar)
            save_checkpoint(training.checkpoint("last.pt"), trainee, training.settings)
            saved_at = time.monotonic()
    _read_loss(training, state, running, bar)


def _step(training: Training, trainee: Trainee, index: Tensor, pixels: Tensor) -> Tensor:
    """Take one optimiser step and return its loss, still on the device."""
    # Seeded by step: dropout is the same after a resume, with no state of a generator to keep.
    torch.manual_seed(mixed_seed(training.config.seed, -1, trainee.progress.step))
    targets = training.photos.targets(index, training.validation.levels, training.device)
    images = normalise(pixels.to(training.device, non_blocking=True)).contiguous(memory_format=torch.channels_last)
    with training.autocast():
        outputs = trainee.network(images)
    loss = training.objective([outputs[name] for name in training.validation.level_names], targets)
    trainee.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if training.config.optim.clip:
        torch.nn.utils.clip_grad_norm_(trainee.network.parameters(), training.config.optim.clip)
    trainee.optimizer.step()
    after_step(trainee.schedule)
    trainee.progress.step += 1
    trainee.progress.loss_steps += 1
    return loss.detach()


def _readable(loader: DataLoader) -> Any:
    """Pass batches on; a photograph that a worker could not read becomes one line and not the worker's traceback."""
    try:
        yield from loader
    except ValueError as error:
        last = str(error).strip().splitlines()[-1].removeprefix("ValueError: ")
        raise ValueError(f"{last}; run `python -m fetch verify` on the dataset") from None


def _read_loss(training: Training, state: Progress, running: Tensor, bar: "tqdm[Any]") -> Tensor:
    """Add the losses since the last reading to the epoch's, show the mean, and stop if it is no number."""
    state.loss_sum += running.item()
    if not math.isfinite(state.loss_sum):
        raise ValueError(
            f"the loss is no longer a number at step {state.step}: the last checkpoint is kept; lower --optim.lr, set "
            "--optim.clip 1, or --precision float32, and train with --overwrite"
        )
    bar.set_postfix(loss=f"{state.loss_sum / max(1, state.loss_steps):.4f}")
    return torch.zeros_like(running)


def _end_epoch(training: Training, trainee: Trainee) -> None:
    """Validate, record, keep what is best, and save to resume from."""
    state = trainee.progress
    metrics = validate(training.network, training.validation, training.device, training.autocast())
    metrics = {"train/loss": state.loss_sum / max(1, state.loss_steps), **metrics}
    record = {"name": training.name, "epoch": state.epoch + 1, "step": state.step, **metrics}
    _append_line(training.config.run / "metrics.jsonl", {**record, "lr": trainee.optimizer.param_groups[0]["lr"]})
    log.info("epoch %d: %s", state.epoch + 1, ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
    accuracy = metrics[f"val/{training.validation.level_names[-1]}_top1"]
    trained = {"epochs": state.epoch + 1, "photographs": len(training.photos), "metrics": metrics}
    if accuracy > state.best_accuracy:
        state.best_accuracy = accuracy
        save_network(training.checkpoint("best_accuracy.safetensors"), training.network, training.spec, trained)
    state.stale += 1
    if metrics["val/loss"] < state.best_loss:
        state.best_loss, state.stale = metrics["val/loss"], 0
        save_network(training.checkpoint("best_loss.safetensors"), training.network, training.spec, trained)
    after_epoch(trainee.schedule, metrics["val/loss"])
    state.epoch, state.done, state.loss_sum, state.loss_steps = state.epoch + 1, 0, 0.0, 0
    save_checkpoint(training.checkpoint("last.pt"), trainee, training.settings)


def _append_line(path: Path, record: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
