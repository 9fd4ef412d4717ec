"""A sweep over learning rate and weight decay: Optuna keeps the record and stops the worse, the one training loop trains."""

import csv
import io
import json
import logging
import math
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from matplotlib.figure import Figure

from label_maps import files
from label_maps.run_folder import RUN, SPLIT, read_run
from plumbing.config import as_plain
from plumbing.files import atomic_path, write_text
from plumbing.world import World
from train.config import JointConfig, LevelConfig
from train.setup import MAY_CHANGE
from train.sweep_config import GridConfig, SweepConfig
from train.tasks import train_joint, train_level
from train.trackers import Tracker
from train.validate import DIVERGED

log = logging.getLogger(__name__)

JUDGED_BY = "val/geoscore"
"""The metric that says which trial is best: what users get, on the calibration split."""
SETTINGS, STATE = "settings", "state"
"""Attributes of a study and of a trial: what decides its results, and how it ended where Optuna has no word for it."""

Pair = tuple[float, float]
"""Learning rate and weight decay."""


class _Judge:
    """A tracker that tells Optuna how a trial goes, and ends it when it falls behind."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial
        self.best = float("-inf")
        self.step = -1

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Report the trial's best so far, once for each step."""
        if step <= self.step:
            return
        self.best, self.step = max(self.best, metrics[JUDGED_BY]), step
        self.trial.report(self.best, step)
        if self.trial.should_prune():
            raise optuna.TrialPruned

    def close(self) -> None:
        """Nothing is open."""


def main(config: SweepConfig) -> None:
    """Run what is left of the sweep; write sweep.csv and sweep.png, and print the table."""
    if World.from_env().size > 1:
        raise ValueError("train.sweep runs in one process, one training after the other: start it without torchrun")
    settings, grid, run = _settings(config), config.grid, config.training.run
    if isinstance(config.training, LevelConfig):
        files.read_hierarchy(run).level_index(config.training.level)
    folder = run / "sweep" / _swept(config.training) / grid.method
    # A sweep whose first training was refused holds nothing, and must not bind the next to its settings.
    begun = any(folder.glob("*/checkpoints/*.json"))
    if folder.is_dir() and (grid.overwrite or not begun):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    study = _study(config, folder, settings)
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        # An interrupted trial is begun again; its folder has the checkpoint from which it continues.
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    ended = {(trial.params["lr"], trial.params["weight_decay"]) for trial in _ended(study)}
    for pair in (pair for pair in _pairs(grid, config.training.seed) if pair not in ended):
        study.optimize(partial(_try, config, folder, pair), n_trials=1)
    write_text(folder / "sweep.csv", _csv(study))
    with atomic_path(folder / "sweep.png") as partial_path:
        partial_path.write_bytes(_plot(study))
    print(_table(study))
    print(f"table and plot: {folder / 'sweep.csv'}, {folder / 'sweep.png'}")


def _swept(training: JointConfig | LevelConfig) -> str:
    """Return the name of the network that is swept."""
    return training.level if isinstance(training, LevelConfig) else "joint"


def _pairs(grid: GridConfig, seed: int) -> list[Pair]:
    """Return all that is tried, each once; more trials of the same seed begin with those of fewer."""
    if grid.method == "grid":
        return list(dict.fromkeys(product(grid.lrs, grid.weight_decays)))
    low, high = np.transpose([(min(values), max(values)) for values in (grid.lrs, grid.weight_decays)])
    share = np.random.default_rng(seed).random((grid.trials, 2))
    # Rounding must not lead out of the range.
    drawn = np.clip(low * (high / low) ** share, low, high)
    return list(dict.fromkeys((lr, weight_decay) for lr, weight_decay in drawn.tolist()))


def _ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials that were trained to an end, their own, a pruned or a diverged one, best first."""
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return sorted(study.get_trials(states=states), key=lambda trial: (math.isnan(_geoscore(trial)), -_geoscore(trial)))


def _geoscore(trial: optuna.trial.FrozenTrial) -> float:
    """Return a trial's best GeoScore; NaN where it diverged."""
    return float("nan") if trial.value is None or STATE in trial.user_attrs else trial.value


def _settings(config: SweepConfig) -> dict[str, Any]:
    """Return what decides the results of a sweep, by flag."""
    training, grid = config.training, config.grid
    plain = as_plain(_trial(training, training.run, (training.optim.lr, training.optim.weight_decay)))
    groups = {group: plain.pop(group) for group in ("optim", "augment")}
    plain |= {f"{group}.{key}": value for group, values in groups.items() for key, value in values.items()}
    settings = {key: plain[key] for key in plain.keys() - MAY_CHANGE - {"optim.lr", "optim.weight_decay"}}
    for name, values in (("lrs", grid.lrs), ("weight_decays", grid.weight_decays)):
        settings[name] = sorted(set(values)) if grid.method == "grid" else [min(values), max(values)]
    record = read_run(training.run)
    return settings | {key: record[key] for key in ("dataset_hash", "label_map_hash")}


def _study(config: SweepConfig, folder: Path, settings: dict[str, Any]) -> optuna.Study:
    """Return the sweep's record, a new one where it has none.

    Raises:
        ValueError: it was begun with other settings.
    """
    # Its warnings are tracebacks of what is refused or interrupted, which `command` says in one line.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    halving = config.grid.method == "halving"
    study = optuna.create_study(
        study_name=config.grid.method,
        storage=f"sqlite:///{folder / 'study.db'}",
        sampler=optuna.samplers.RandomSampler(seed=config.training.seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(reduction_factor=2) if halving else optuna.pruners.NopPruner(),
        direction="maximize",
        load_if_exists=True,
    )
    if SETTINGS not in study.user_attrs:
        study.set_user_attr(SETTINGS, settings)
    begun = study.user_attrs[SETTINGS]
    other = sorted(key for key in begun.keys() | settings.keys() if begun.get(key) != settings.get(key))
    if other:
        was = ", ".join(f"{key} was {begun.get(key)}, is {settings.get(key)}" for key in other)
        raise ValueError(
            f"{folder} holds a sweep with other settings ({was}): pass the same, or --overwrite to delete it and begin again"
        )
    return study


def _trial(training: JointConfig | LevelConfig, run: Path, pair: Pair) -> JointConfig | LevelConfig:
    """Return the flags of one training."""
    optim = replace(training.optim, lr=pair[0], weight_decay=pair[1])
    own = replace(training, run=run, optim=optim, resume=True, overwrite=False)
    # Trials are judged by what the trunk learns; where it stays, there is no readout after it.
    return replace(own, readout_epochs=0) if isinstance(own, JointConfig) and not own.freeze_trunk else own


def _try(config: SweepConfig, folder: Path, pair: Pair, trial: optuna.Trial) -> float:
    """Train one trial and return its best validation figure."""
    # Ranges of one value: Optuna records what is tried and chooses nothing.
    lr, weight_decay = (
        trial.suggest_float(name, at, at) for name, at in zip(("lr", "weight_decay"), pair, strict=True)
    )
    run = folder / f"lr{lr!r}_wd{weight_decay!r}"
    _begin(config.training.run, run)
    log.info("trial %d: lr %.3g, weight decay %.3g", trial.number + 1, lr, weight_decay)
    judge = _Judge(trial)
    for line in _measured(run):
        judge.log(line, line["step"])
    try:
        _train(_trial(config.training, run, pair), (judge,))
    except ValueError as refusal:
        if DIVERGED not in str(refusal):
            raise
        log.warning("trial %d diverged", trial.number + 1)
        trial.set_user_attr(STATE, "diverged")
        raise optuna.TrialPruned from None
    return judge.best


def _train(training: JointConfig | LevelConfig, trackers: tuple[Tracker, ...]) -> None:
    if isinstance(training, LevelConfig):
        train_level(training, trackers)
    else:
        train_joint(training, trackers)


def _begin(source: Path, run: Path) -> None:
    """Give a trial a run folder with the label maps of the sweep's."""
    if not (run / RUN).is_file():
        shutil.copytree(source / files.FOLDER, run / files.FOLDER, dirs_exist_ok=True)
        for name in (SPLIT, RUN):
            shutil.copy2(source / name, run / name)


def _measured(run: Path) -> list[dict[str, Any]]:
    """Return what an interrupted training had measured, an entry an epoch."""
    path = run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def _rows(study: optuna.Study) -> list[dict[str, float | int | str]]:
    return [
        {
            "lr": trial.params["lr"],
            "weight_decay": trial.params["weight_decay"],
            "geoscore": _geoscore(trial),
            "steps": max(trial.intermediate_values, default=0),
            "state": trial.user_attrs.get(STATE, trial.state.name.lower()),
        }
        for trial in _ended(study)
    ]


def _csv(study: optuna.Study) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["lr", "weight_decay", "geoscore", "steps", "state"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(study))
    return text.getvalue()


def _table(study: optuna.Study) -> str:
    lines = [f"{'lr':>10} {'weight decay':>13} {'GeoScore':>9} {'steps':>7}  state"]
    for row in _rows(study):
        lines.append(
            f"{row['lr']:>10.3g} {row['weight_decay']:>13.3g} {row['geoscore']:>9,.0f} {row['steps']:>7}  {row['state']}"
        )
    return "\n".join(lines)


def _plot(study: optuna.Study) -> bytes:
    """Return a PNG: learning rate and weight decay, coloured by GeoScore; a cross where a training diverged."""
    every = _rows(study)
    rows = [row for row in every if row["state"] != "diverged"]
    diverged = [row for row in every if row["state"] == "diverged"]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    points = axes.scatter(
        [row["lr"] for row in rows],
        [row["weight_decay"] for row in rows],
        c=[row["geoscore"] for row in rows],
        s=160,
        cmap="viridis",
        edgecolors="black",
    )
    axes.scatter([row["lr"] for row in diverged], [row["weight_decay"] for row in diverged], c="black", marker="x")
    axes.set(xscale="log", xlabel="learning rate", ylabel="weight decay")
    axes.set_yscale("symlog", linthresh=1e-5)
    axes.set_title("GeoScore on the calibration split, best epoch")
    figure.colorbar(points, ax=axes, label="GeoScore")
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=130)
    return png.getvalue()
