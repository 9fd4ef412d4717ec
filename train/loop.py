"""The one training loop."""

import json
import logging
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from infer.network.devices import autocast
from infer.network.network import NetworkSpec
from infer.network.weights import save_network
from plumbing.config import as_plain
from plumbing.files import read_json_lines, write_json
from plumbing.interrupt import Interrupted, Interruption, interruptible
from plumbing.progress import progress
from plumbing.text import counted
from plumbing.version import git_commit, now_utc
from plumbing.world import World
from train.config import TrainConfig
from train.coordinates import AnyObjective
from train.data import LabelledPhotos, PixelSource, SharedOrder, mix_pictures, mixed_seed, readable
from train.distributed import gathered
from train.frozen import FeatureSource
from train.optim import after_epoch, after_step, to_train
from train.state import Progress, Trainee, load_checkpoint, save_checkpoint
from train.trackers import Tracker
from train.validate import DIVERGED, Validation, validate

log = logging.getLogger(__name__)

CHECK_STEPS = 25
"""How often the loss is read back from the device, to show it and to stop if it is NaN or infinite."""

FEWEST_JUDGES = 10
"""Photographs of the calibration split from which on it decides which network is kept, and when to stop."""


@dataclass(frozen=True, eq=False)
class Training:
    """Everything that a training is given.

    Attributes:
        config: the flags.
        settings: those that must not change when it is resumed.
        name: stem of the files that it writes, such as `joint` or `L3`.
        spec: the network's spec, stored with its weights.
        objective: the loss.
        photos: training photographs.
        source: their pixels, or their features where the trunk stays.
        draw: (N,) how often each is drawn; None for once an epoch.
        validation: what is measured after each epoch.
        device: where it computes.
        world: the processes that train together.
        trackers: where else metrics are reported.
    """

    config: TrainConfig
    settings: dict[str, Any]
    name: str
    spec: NetworkSpec
    objective: AnyObjective
    photos: LabelledPhotos
    source: PixelSource | FeatureSource
    draw: Tensor | None
    validation: Validation
    device: torch.device
    world: World
    trackers: tuple[Tracker, ...] = ()

    def checkpoint(self, kind: str) -> Path:
        """Return the file of a checkpoint."""
        return self.config.run / "checkpoints" / f"{self.name}.{kind}"

    def share_done(self, state: Progress) -> float:
        """Return how much of the training is done, 0 to 1."""
        return (state.epoch + state.done / len(self.photos)) / self.config.epochs

    def best(self) -> Path:
        """Return the file of the network that is best on the calibration split."""
        return self.checkpoint(f"best_{self.config.keep}.safetensors")

    @property
    def judged(self) -> bool:
        """Return whether the calibration split is large enough to say which epoch is the best."""
        return len(self.validation.photos) >= FEWEST_JUDGES

    def autocast(self) -> torch.autocast:
        """Return the context in which the network computes."""
        return autocast(self.device, self.spec.precision)


class Pace:
    """How many photographs an epoch learns from in a second, waiting for them included, after its first step."""

    def __init__(self) -> None:
        self.photos = 0
        self.first_at = self.last_at = 0.0

    def tick(self, photos: int) -> None:
        """Count a step."""
        self.last_at = time.monotonic()
        if self.first_at:
            self.photos += photos
        else:
            self.first_at = self.last_at

    def photos_per_second(self) -> float | None:
        """Return the pace; None of fewer than two steps."""
        return round(self.photos / (self.last_at - self.first_at), 2) if self.photos else None


def fit(training: Training, trainee: Trainee) -> None:
    """Train to the end and leave the best network among the checkpoints."""
    config, state = training.config, trainee.progress
    if config.resume and training.checkpoint("last.pt").is_file():
        load_checkpoint(training.checkpoint("last.pt"), trainee, training.settings, training.device)
        log.info("resuming in epoch %d after %d of its photographs", state.epoch + 1, state.done)
    elif training.world.first:
        # What an earlier training left must not be taken for the best of this one.
        best = ("best_loss.safetensors", "best_accuracy.safetensors")
        for kind in ("last.pt", *best, "readout.safetensors", "readout.last.pt", *(f"readout.{name}" for name in best)):
            training.checkpoint(kind).unlink(missing_ok=True)
    if training.world.first and not training.judged:
        judges = len(training.validation.photos)
        log.warning(
            "%s of the calibration split %s nothing (%d do): the network of the last epoch is kept, and --patience has no effect",
            counted(judges, "photograph"),
            "decides" if judges == 1 else "decide",
            FEWEST_JUDGES,
        )
    if training.world.first:
        about = {"config": as_plain(config), **training.settings}
        about |= {"git_commit": git_commit(), "started_at_utc": now_utc()}
        write_json(training.checkpoint("json"), about)
    with interruptible() as interruption:
        try:
            while state.epoch < config.epochs and not (config.patience and state.stale >= config.patience):
                pace = _train_epoch(training, trainee, interruption)
                _end_epoch(training, trainee, pace, interruption)
        # Processes that decode, or train together with this one, are stopped too, which a RuntimeError says.
        except (KeyboardInterrupt, RuntimeError):
            if not interruption.pending:
                raise
            raise _interrupted(training, trainee, interruption) from None


def _interrupted(training: Training, trainee: Trainee, interruption: Interruption) -> Interrupted:
    """Save where an interrupted training is, and return the interruption that says so."""
    state = trainee.progress
    done = f"{state.done:,} of {counted(len(training.photos), 'photograph')}"
    at = f"in epoch {state.epoch + 1} of {training.config.epochs} after {done}"
    path = training.checkpoint("last.pt")
    if state.step and not interruption.torn:
        if training.world.first:
            save_checkpoint(path, trainee, training.settings)
        return Interrupted(f"wrote {path}, {at}", ("--resume",))
    if path.is_file():
        return Interrupted(f"{path} is the last checkpoint", ("--resume",))
    return Interrupted("no step of the training was done, so nothing was written")


def _train_epoch(training: Training, trainee: Trainee, interruption: Interruption) -> Pace:
    """Learn from what is left of an epoch's photographs."""
    config, state, pace = training.config, trainee.progress, Pace()
    to_train(trainee.network, config.frozen_parts, config.optim.frozen_norm)
    saved_at = time.monotonic()
    losses: list[Tensor] = []
    loader = _loader(training, state)
    title = f"{training.name} epoch {state.epoch + 1}/{config.epochs}"
    bar = progress(readable(loader), title, "step", len(loader), quiet=not training.world.first)
    try:
        for index, pixels in bar:
            with interruption.whole():
                losses.append(_step(training, trainee, index, pixels))
                state.done += len(index) * training.world.size
                pace.tick(len(index) * training.world.size)
                due = time.monotonic() - saved_at > 60 * config.checkpoint_minutes
                if due or state.step % CHECK_STEPS == 0:
                    _read_losses(state, losses, bar)
                if due and training.world.first:
                    save_checkpoint(training.checkpoint("last.pt"), trainee, training.settings)
                    saved_at = time.monotonic()
    except (KeyboardInterrupt, RuntimeError):
        if interruption.pending:
            _read_losses(state, losses, bar)
        raise
    _read_losses(state, losses, bar)
    return pace


def _loader(training: Training, state: Progress) -> DataLoader:
    """Return the batches of what is left of an epoch, this process's share of each."""
    config, world = training.config, training.world
    order = SharedOrder(
        len(training.photos), config.seed, state.epoch, state.done, world.rank, world.size, training.draw
    )
    return DataLoader(
        training.source,
        config.batch_size // world.size,
        sampler=order,
        num_workers=config.workers if training.source.decodes else 0,
        collate_fn=training.source.collate,
        pin_memory=training.device.type == "cuda",
        # A torn last batch would weigh its photographs more than others; fewer than one batch is all there is.
        drop_last=len(training.photos) >= config.batch_size,
    )


def _step(training: Training, trainee: Trainee, index: Tensor, pixels: Tensor) -> Tensor:
    """Take one optimiser step and return its loss, still on the device."""
    config, state = training.config, trainee.progress
    # Seeded by step: dropout and mixing are the same after a resume, with no state of a generator to keep.
    torch.manual_seed(mixed_seed(config.seed, -1 - training.world.rank, state.step))
    loss = torch.zeros((), device=training.device)
    trainee.optimizer.zero_grad(set_to_none=True)
    for part in torch.arange(len(index)).chunk(config.optim.accumulate):
        loss += _backward(training, trainee, index[part], pixels[part], len(part) / len(index))
    if config.optim.clip:
        torch.nn.utils.clip_grad_norm_(trainee.network.parameters(), config.optim.clip)
    trainee.optimizer.step()
    if trainee.average is not None:
        trainee.average.update_parameters(trainee.network)
    after_step(trainee.schedule)
    state.step += 1
    state.loss_steps += 1
    return loss


def _backward(training: Training, trainee: Trainee, index: Tensor, pixels: Tensor, share: float) -> Tensor:
    """Add the gradient of a part of a batch and return its share of the loss."""
    targets = training.photos.targets(index, training.validation.levels, training.device)
    images, mixing = training.source.inputs(pixels, training.device), None
    if training.source.decodes:
        images, mixing = mix_pictures(images, training.config.augment)
    with training.autocast():
        outputs = trainee.forward(images, *training.photos.told(index, training.validation.told, training.device))
    logits = [outputs[name] for name in training.validation.outputs]
    objective = training.objective.at(training.share_done(trainee.progress))
    loss = share * objective(logits, replace(targets, mixing=mixing))
    loss.backward()
    return loss.detach()


def _read_losses(state: Progress, losses: list[Tensor], bar: "tqdm[Any]") -> None:
    """Add the losses since the last reading to the epoch's, show the mean, and stop if it is NaN or infinite."""
    if losses:
        # One after the other, so that the sum depends on no moment at which it was saved.
        for loss in torch.stack(losses).tolist():
            state.loss_sum += loss
        losses.clear()
    if not math.isfinite(state.loss_sum):
        raise ValueError(f"the loss is NaN or infinite at step {state.step}: {DIVERGED}")
    bar.set_postfix(loss=f"{state.loss_sum / max(1, state.loss_steps):.4f}")


def _end_epoch(training: Training, trainee: Trainee, pace: Pace, interruption: Interruption) -> None:
    """Validate, record, keep what is best, and save to resume from."""
    metrics = validate(trainee.answering, training.validation, training.device, training.autocast(), training.world)
    metrics = {"train/loss": _mean_loss(trainee.progress, training.world), **metrics}
    with interruption.whole():
        _keep(training, trainee, metrics, pace)


def _keep(training: Training, trainee: Trainee, metrics: dict[str, float], pace: Pace) -> None:
    """Record an epoch, keep its network where it is the best, and save to resume from."""
    state = trainee.progress
    state.epoch += 1
    state.stale += 1
    names = training.validation.level_names
    accuracy = metrics[f"val/{names[-1]}_top1" if names else "val/geoscore"]
    better = {"best_accuracy": accuracy > state.best_accuracy, "best_loss": metrics["val/loss"] < state.best_loss}
    state.best_accuracy = max(state.best_accuracy, accuracy)
    if better["best_loss"]:
        state.best_loss, state.stale = metrics["val/loss"], 0
    if not training.judged:
        better, state.stale = dict.fromkeys(better, True), 0
    after_epoch(trainee.schedule, metrics["val/loss"])
    if training.world.first:
        _record(training, trainee, metrics, pace)
        for kind in (kind for kind, is_better in better.items() if is_better):
            trained = {"epochs": state.epoch, "photographs": len(training.photos), "metrics": metrics}
            save_network(training.checkpoint(f"{kind}.safetensors"), trainee.answering, training.spec, trained)
    state.done, state.loss_sum, state.loss_steps = 0, 0.0, 0
    if training.world.first:
        save_checkpoint(training.checkpoint("last.pt"), trainee, training.settings)


def _mean_loss(state: Progress, world: World) -> float:
    """Return the mean loss of an epoch's steps over all processes."""
    sums = gathered((state.loss_sum, state.loss_steps), world)
    return sum(total for total, _ in sums) / max(1, sum(steps for _, steps in sums))


def _record(training: Training, trainee: Trainee, metrics: dict[str, float], pace: Pace) -> None:
    """Tell people, metrics.jsonl and trackers how an epoch went."""
    state = trainee.progress
    rate = trainee.optimizer.param_groups[0]["lr"]
    record = {"name": training.name, "epoch": state.epoch, "step": state.step, **metrics, "lr": rate}
    path = training.config.run / "metrics.jsonl"
    # Killed between this line and its checkpoint, a training comes here again with the same epoch.
    if not (training.config.resume and _is_last_line(path, record)):
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**record, "photos_per_second": pace.photos_per_second()}) + "\n")
    for tracker in training.trackers:
        tracker.log({**metrics, "lr": rate}, state.step)
    shown = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    log.info("epoch %d of %d: %s", state.epoch, training.config.epochs, shown)


def _is_last_line(path: Path, record: dict[str, Any]) -> bool:
    """Say whether the last line of a network in metrics.jsonl says what a record does."""
    lines = [line for line in read_json_lines(path) if line.get("name") == record["name"]]
    return bool(lines) and record.items() <= lines[-1].items()
