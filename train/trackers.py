"""Trackers that metrics are reported to besides metrics.jsonl: TensorBoard, Weights & Biases."""

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from dataset.manifest import read_manifest
from label_maps import files
from label_maps.run_folder import RUN

SWEEP = "sweep"
"""Folder of a run's sweeps; a trial lies three folders below the run."""


class Tracker(Protocol):
    """Takes metrics as they come, and at the end what was trained."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Report metrics by name at an optimiser step."""

    def keep(self, kind: str, name: str, paths: Sequence[Path]) -> None:
        """Store files and folders of the run under a name, where the tracker stores files."""

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

    def keep(self, kind: str, name: str, paths: Sequence[Path]) -> None:
        """Store nothing: TensorBoard has no place for files."""

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
        self.artifact: Any = wandb.Artifact
        project, group, name = _named(run.resolve(), name)
        self.run: Any = wandb.init(project=project, group=group, name=name, dir=str(run), config=dict(settings))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Report metrics by name at an optimiser step."""
        self.run.log(dict(metrics), step=step)

    def keep(self, kind: str, name: str, paths: Sequence[Path]) -> None:
        """Store files and folders as an artifact; content that is there already is not sent again."""
        artifact = self.artifact(re.sub(r"[^\w.-]", "-", name), type=kind)
        for path in paths:
            if path.is_dir():
                artifact.add_dir(str(path), name=path.name)
            else:
                artifact.add_file(str(path), name=path.name)
        # Files are copied aside first, so that they may be gone before all is sent.
        self.run.log_artifact(artifact)

    def close(self) -> None:
        """Finish what is still to be sent."""
        self.run.finish()


def _named(run: Path, name: str) -> tuple[str, str | None, str]:
    """Return the project, the group and the name of a training: those of a sweep's trials stand together."""
    if len(run.parts) > 4 and run.parents[2].name == SWEEP:
        return run.parents[3].name, f"{SWEEP} {run.parents[1].name} {run.parents[0].name}", f"{name} {run.name}"
    return run.name, None, name


@contextmanager
def closing_all(trackers: Sequence[Tracker]) -> Iterator[None]:
    """Close trackers at the end, also where a training ends early."""
    try:
        yield
    finally:
        for tracker in trackers:
            tracker.close()


def keep_training(trackers: Sequence[Tracker], data: Path, run: Path, name: str) -> None:
    """Hand over what was trained: the class mapping, the config, the weights, and the rows of the test split.

    Args:
        trackers: who may store them.
        data: the dataset folder.
        run: the run folder.
        name: stem of the network's files, such as `joint`.
    """
    if not trackers:
        return
    photos = read_manifest(data)
    with tempfile.TemporaryDirectory() as folder:
        test = Path(folder) / "test.parquet"
        photos[photos["split"] == "test"].to_parquet(test, index=False)
        for tracker in trackers:
            tracker.keep("class-mapping", "label-maps", [run / files.FOLDER, run / RUN])
            tracker.keep("config", f"{name}-config", [run / "checkpoints" / f"{name}.json"])
            tracker.keep("model", f"{name}-weights", [run / f"{name}.safetensors"])
            tracker.keep("dataset", "test-data", [test])


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
