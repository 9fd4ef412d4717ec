"""Trackers that metrics are reported to besides metrics.jsonl: TensorBoard, Weights & Biases."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class Tracker(Protocol):
    """Takes metrics as they come."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Report metrics by name at an optimiser step."""

    def close(self) -> None:
        """Finish what is still to be sent."""


class TensorBoard:
    """Writes event files into `tensorboard/` of the run folder."""

    def __init__(self, run: Path, name: str) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ValueError("--tracker tensorboard needs its package: pip install tensorboard") from None
        self.writer: Any = SummaryWriter(str(run / "tensorboard" / name))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Report metrics by name at an optimiser step."""
        for key, value in metrics.items():
            self.writer.add_scalar(key, value, step)

    def close(self) -> None:
        """Finish what is still to be written."""
        self.writer.close()


class WeightsAndBiases:
    """Reports to Weights & Biases, as its own environment variables say."""

    def __init__(self, run: Path, name: str, settings: Mapping[str, Any]) -> None:
        try:
            import wandb
        except ImportError:
            raise ValueError("--tracker wandb needs its package: pip install wandb") from None
        self.run: Any = wandb.init(project=run.resolve().name, name=name, dir=str(run), config=dict(settings))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Report metrics by name at an optimiser step."""
        self.run.log(dict(metrics), step=step)

    def close(self) -> None:
        """Finish what is still to be sent."""
        self.run.finish()


def make_trackers(names: Sequence[str], run: Path, name: str, settings: Mapping[str, Any]) -> tuple[Tracker, ...]:
    """Return the trackers of the given names.

    Raises:
        ValueError: a tracker's package is not installed.
    """
    makers: dict[str, Callable[[], Tracker]] = {
        "tensorboard": lambda: TensorBoard(run, name),
        "wandb": lambda: WeightsAndBiases(run, name, settings),
    }
    return tuple(makers[tracker]() for tracker in names)
