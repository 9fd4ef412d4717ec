"""What a run folder holds, read for its report without loading a network."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError, safe_open

from geocells.hierarchy import Hierarchy
from infer.evaluate.intervals import with_true_intervals
from infer.evaluate.photographs import read_photographs
from infer.run_files import OWN_REFINER, OWN_TRUNKS, model_hash, network_files, refiner_files
from label_maps.files import read_hierarchy
from label_maps.run_folder import read_run
from plumbing.files import read_json

METRICS, TEMPERATURES, AUGMENTATIONS = "metrics.jsonl", "temperatures.json", "augmentations.jpg"

Epoch = Mapping[str, Any]


@dataclass(frozen=True)
class Trained:
    """What metrics.jsonl says of one network: its epochs, and how many lines a later training of it replaced."""

    name: str
    epochs: list[Epoch]
    replaced: int


@dataclass(frozen=True)
class NetworkFile:
    """A file of weights: what it is by its own account, nothing where it gives none."""

    name: str
    megabytes: float
    spec: Mapping[str, Any]
    trained: Mapping[str, Any]


@dataclass(frozen=True)
class RunFiles:
    """A run folder; what it lacks is None or empty."""

    record: Mapping[str, Any]
    hierarchy: Hierarchy | None
    networks: list[NetworkFile]
    training: list[Trained]
    damaged_lines: int
    temperatures: Mapping[str, Any] | None
    evaluations: Mapping[str, Mapping[str, Any]]
    answered: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Answers photograph by photograph, by the name of their evaluation."""
    model_hashes: frozenset[str] = frozenset()
    augmentations: bytes | None = None
    refiner: Mapping[str, Any] | None = None

    @property
    def outdated(self) -> list[str]:
        """Return the names of evaluations of other weights than the run has now."""
        made_by = {name: report.get("model_hash") for name, report in self.evaluations.items()}
        return [
            name for name, found in made_by.items() if self.model_hashes and found and found not in self.model_hashes
        ]

    @property
    def test_first(self) -> list[Mapping[str, Any]]:
        """Return the evaluations, that of the test split first."""
        return sorted(self.evaluations.values(), key=lambda report: report["split"] != "test")

    def title(self, network: str) -> str:
        """Return what a network is called: an expert by its cell, others by their file."""
        folder, _, name = network.removesuffix(".safetensors").rpartition("/")
        if folder != OWN_TRUNKS.name or self.refiner is None or self.hierarchy is None:
            return network
        if not name.isdecimal() or self.refiner["level"] not in self.hierarchy.level_names:
            return f"refiner, told the {self.refiner['level']} cell"
        rows = self.hierarchy.rows(self.hierarchy.level_index(self.refiner["level"]))
        known = int(name) < rows.stop - rows.start
        return f"expert of {self.hierarchy.name[rows.start + int(name)]}" if known else network


def read_files(run: Path) -> RunFiles:
    """Read a run folder.

    Raises:
        ValueError: it is not a run, or one of its files is damaged.
    """
    record = read_run(run)
    lines, damaged = read_metrics(run / METRICS)
    hierarchy = read_hierarchy(run) if any(run.glob("label_maps/label_map_*.json")) else None
    evaluations = {
        path.name: content
        for path in sorted(run.glob("evaluation_*.json"))
        if (content := _evaluation(path)) is not None
    }
    answered = {name: read_photographs(run / name) for name in evaluations}
    return RunFiles(
        record=record,
        hierarchy=hierarchy,
        networks=[
            _network(path, run)
            for path in sorted([*run.glob("*.safetensors"), *run.glob(OWN_TRUNKS.name + "/*.safetensors")])
        ],
        training=last_trainings(lines),
        damaged_lines=damaged,
        temperatures=_read(run / TEMPERATURES, {"fusion", "point", "temperatures"}, "train.calibrate"),
        evaluations=evaluations,
        answered={name: rows for name, rows in answered.items() if rows is not None},
        model_hashes=_model_hashes(run, record, hierarchy),
        refiner=_read(run / OWN_REFINER, {"level", "kind"}, "train refine --own-trunk"),
        augmentations=(run / AUGMENTATIONS).read_bytes() if (run / AUGMENTATIONS).is_file() else None,
    )


def _model_hashes(run: Path, record: Mapping[str, Any], hierarchy: Hierarchy | None) -> frozenset[str]:
    """Return the hashes of the weights that answer now, with a refiner and without; none where a level has no network."""
    try:
        files = [] if hierarchy is None else network_files(run, hierarchy)
    except ValueError:
        files = []
    return frozenset({model_hash(record, files), model_hash(record, [*files, *refiner_files(run)])} if files else ())


def _read(path: Path, needed: set[str], maker: str) -> Mapping[str, Any] | None:
    if not path.is_file():
        return None
    content = read_json(path)
    if not isinstance(content, dict) or not content.keys() >= needed:
        raise ValueError(
            f"{path} lacks {', '.join(sorted(needed))}: delete it or make it again with `python -m {maker}`"
        )
    return content


def _evaluation(path: Path) -> Mapping[str, Any] | None:
    """Return an evaluation of places, or one of classes alone."""
    content = _read(path, {"split", "photographs"}, "infer evaluate")
    if content is not None and "classes" not in content:
        content = _read(path, {"answers"}, "infer evaluate")
    return content and with_true_intervals(content)


def _network(path: Path, run: Path) -> NetworkFile:
    try:
        with safe_open(path, "np") as file:
            stored = {
                key: json.loads(text) for key, text in (file.metadata() or {}).items() if key in ("spec", "trained")
            }
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it or train it again") from None
    return NetworkFile(
        path.relative_to(run).as_posix(),
        path.stat().st_size / 1e6,
        stored.get("spec") or {},
        stored.get("trained") or {},
    )


def read_metrics(path: Path) -> tuple[list[Epoch], int]:
    """Return the lines of metrics.jsonl, and how many are none: a process killed in writing leaves half a line."""
    if not path.is_file():
        return [], 0
    texts = [text for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if text.strip()]
    lines = [line for text in texts if (line := _line(text)) is not None]
    return lines, len(texts) - len(lines)


def _line(text: str) -> Epoch | None:
    try:
        line = json.loads(text)
    except json.JSONDecodeError:
        return None
    if not isinstance(line, dict) or not isinstance(line.get("name"), str) or not isinstance(line.get("epoch"), int):
        return None
    return line


def last_trainings(lines: list[Epoch]) -> list[Trained]:
    """Return, by network, the epochs that led to its weights.

    A training that is resumed writes an epoch again if it was killed before it could save, and one that is begun again
    writes all of them: the later line holds, and whatever came after that epoch before is no more.
    """
    kept: dict[str, list[Epoch]] = {}
    seen: dict[str, int] = {}
    for line in lines:
        name = line["name"]
        seen[name] = seen.get(name, 0) + 1
        kept[name] = [*(before for before in kept.get(name, []) if before["epoch"] < line["epoch"]), line]
    return [Trained(name, epochs, seen[name] - len(epochs)) for name, epochs in kept.items()]


def number(epoch: Epoch, key: str) -> float | None:
    """Return a metric of an epoch; None where it was not measured or is NaN or infinite."""
    value = epoch.get(key)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
