"""A sweep over learning rate and weight decay: Optuna keeps the record and stops the worse, the one training loop trains."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from label_maps import files
from label_maps.run_folder import RUN, SPLIT, read_run
from plumbing.config import as_plain
from plumbing.files import atomic_path, write_text
from plumbing.interrupt import Interrupted
from plumbing.world import World
from train.chance import chance_loss
from train.config import JointConfig, LevelConfig
from train.parts_config import UNCHANGED
from train.setup import MAY_CHANGE
from train.sweep_config import GridConfig, SweepConfig
from train.sweep_results import DIVERGED as DIVERGED_STATE
from train.sweep_results import Judgement, Trial, as_csv, as_png, as_text, measured, named, ranked, rows
from train.tasks import train_joint, train_level
from train.trackers import Tracker
from train.validate import DIVERGED

log = logging.getLogger(__name__)

SETTINGS, STATE, AUGMENTED = "settings", "state", "augmented"
"""Attributes of a study and of a trial: what decides its results, how it ended where Optuna has no word for it, and whether
its pictures were changed at random."""

Tried = tuple[float, float, bool]
"""Learning rate, weight decay, and whether pictures are changed at random."""


class _Judge:
    """A tracker that tells Optuna how a trial goes, and ends it when it falls behind."""

    def __init__(self, trial: optuna.Trial, judgement: Judgement) -> None:
        self.trial, self.judgement = trial, judgement
        self.best = float("-inf")
        self.step = -1

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Report the trial's best so far, once for each step."""
        if step <= self.step:
            return
        self.best, self.step = max(self.best, self.judgement.value(metrics)), step
        self.trial.report(self.best, step)
        if self.trial.should_prune():
            raise optuna.TrialPruned

    def keep(self, kind: str, name: str, paths: Sequence[Path]) -> None:
        """Keep no files: they lie in the trial's folder."""

    def close(self) -> None:
        """Nothing is open."""


def main(config: SweepConfig) -> None:
    """Run what is left of the sweep; write sweep.csv and sweep.png, and print the table."""
    if World.from_env().size > 1:
        raise ValueError("train.sweep runs in one process, one training after the other: start it without torchrun")
    settings, grid, run = _settings(config), config.grid, config.training.run
    judgement = _judgement(config)
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
    ended = {_tried(trial) for trial in _ended(study)}
    for tried in (tried for tried in _all_tried(grid, config.training.seed) if tried not in ended):
        try:
            study.optimize(partial(_try, config, folder, tried, judgement), n_trials=1)
        except Interrupted as stop:
            # A sweep goes on by itself, and its trials with it.
            raise Interrupted(stop.kept) from None
    _write(config, study, folder, judgement)


def _write(config: SweepConfig, study: optuna.Study, folder: Path, judgement: Judgement) -> None:
    """Write sweep.csv and sweep.png, and print the table."""
    chance = chance_loss(config.training)
    trials = [named(_as_trial(trial, folder), chance) for trial in _ended(study)]
    table = rows(ranked(trials, judgement), judgement)
    write_text(folder / "sweep.csv", as_csv(table))
    with atomic_path(folder / "sweep.png") as partial_path:
        partial_path.write_bytes(as_png(table, judgement))
    print(as_text(table, judgement, Judgement.of("accuracy", _finest(config.training)).metric))
    if chance is not None:
        print(f"equal probabilities have a loss of {chance:.4g}")
    print(f"table and plot: {folder / 'sweep.csv'}, {folder / 'sweep.png'}")


def _judgement(config: SweepConfig) -> Judgement:
    """Return by what trainings are ranked; refuses a level that the run does not have."""
    kind = config.training.keep if config.grid.rank_by == "recipe" else config.grid.rank_by
    return Judgement.of(kind, _finest(config.training))


def _finest(training: JointConfig | LevelConfig) -> str:
    """Return the name of the finest level that is trained."""
    hierarchy = files.read_hierarchy(training.run)
    if isinstance(training, LevelConfig):
        return hierarchy.level_names[hierarchy.level_index(training.level)]
    return hierarchy.level_names[-1]


def _swept(training: JointConfig | LevelConfig) -> str:
    """Return the name of the network that is swept."""
    return training.level if isinstance(training, LevelConfig) else "joint"


def _all_tried(grid: GridConfig, seed: int) -> list[Tried]:
    """Return all that is tried, each once; more trials of the same seed begin with those of fewer."""
    changed = {"yes": (True,), "no": (False,), "both": (True, False)}[grid.augmented]
    return [(lr, weight_decay, augmented) for lr, weight_decay in _pairs(grid, seed) for augmented in changed]


def _pairs(grid: GridConfig, seed: int) -> list[tuple[float, float]]:
    """Return the learning rates and weight decays that are tried, each pair once."""
    if grid.method == "grid":
        return list(dict.fromkeys(product(grid.lrs, grid.weight_decays)))
    low, high = np.transpose([(min(values), max(values)) for values in (grid.lrs, grid.weight_decays)])
    share = np.random.default_rng(seed).random((grid.trials, 2))
    # Rounding must not lead out of the range.
    drawn = np.clip(low * (high / low) ** share, low, high)
    return list(dict.fromkeys((lr, weight_decay) for lr, weight_decay in drawn.tolist()))


def _ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials that were trained to an end, their own, a pruned or a diverged one."""
    return study.get_trials(states=(optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED))


def _tried(trial: optuna.trial.FrozenTrial) -> Tried:
    return trial.params["lr"], trial.params["weight_decay"], trial.user_attrs.get(AUGMENTED, True)


def _as_trial(trial: optuna.trial.FrozenTrial, folder: Path) -> Trial:
    """Return what a trial measured and how it ended."""
    state = trial.user_attrs.get(STATE, trial.state.name.lower())
    return Trial(*_tried(trial), state, measured(folder / _folder_name(_tried(trial))))


def _folder_name(tried: Tried) -> str:
    lr, weight_decay, augmented = tried
    return f"lr{lr!r}_wd{weight_decay!r}{'' if augmented else '_unchanged'}"


def _settings(config: SweepConfig) -> dict[str, Any]:
    """Return what decides the results of a sweep, by flag."""
    training, grid = config.training, config.grid
    plain = as_plain(_trial(training, training.run, (training.optim.lr, training.optim.weight_decay, True)))
    groups = {group: plain.pop(group) for group in ("optim", "augment")}
    plain |= {f"{group}.{key}": value for group, values in groups.items() for key, value in values.items()}
    settings = {key: plain[key] for key in plain.keys() - MAY_CHANGE - {"optim.lr", "optim.weight_decay"}}
    for name, values in (("lrs", grid.lrs), ("weight_decays", grid.weight_decays)):
        settings[name] = sorted(set(values)) if grid.method == "grid" else [min(values), max(values)]
    settings["rank_by"] = _judgement(config).metric
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
    # Sweeps of 0.1.0 were ranked by GeoScore alone.
    begun = {"rank_by": "val/geoscore", **study.user_attrs[SETTINGS]}
    other = sorted(key for key in begun.keys() | settings.keys() if begun.get(key) != settings.get(key))
    if other:
        was = ", ".join(f"{key} was {begun.get(key)}, is {settings.get(key)}" for key in other)
        raise ValueError(
            f"{folder} holds a sweep with other settings ({was}): pass the same, or --overwrite to delete it and begin again"
        )
    return study


def _trial(training: JointConfig | LevelConfig, run: Path, tried: Tried) -> JointConfig | LevelConfig:
    """Return the flags of one training."""
    lr, weight_decay, augmented = tried
    optim = replace(training.optim, lr=lr, weight_decay=weight_decay)
    augment = training.augment if augmented else UNCHANGED
    own = replace(training, run=run, optim=optim, augment=augment, resume=True, overwrite=False)
    # Trials are judged by what the trunk learns; where it stays, there is no readout after it.
    if isinstance(own, JointConfig) and not own.freeze_trunk and not own.embedding:
        return replace(own, readout_epochs=0)
    return own


def _try(config: SweepConfig, folder: Path, tried: Tried, judgement: Judgement, trial: optuna.Trial) -> float:
    """Train one trial and return its best validation figure, more being better."""
    # Ranges of one value: Optuna records what is tried and chooses nothing.
    for name, at in zip(("lr", "weight_decay"), tried, strict=False):
        trial.suggest_float(name, at, at)
    trial.set_user_attr(AUGMENTED, tried[2])
    run = folder / _folder_name(tried)
    _begin(config.training.run, run)
    changed = "" if tried[2] else ", no random changes"
    log.info("trial %d: lr %.3g, weight decay %.3g%s", trial.number + 1, tried[0], tried[1], changed)
    judge = _Judge(trial, judgement)
    for line in measured(run):
        judge.log(line, line["step"])
    try:
        _train(_trial(config.training, run, tried), (judge,))
    except ValueError as refusal:
        if DIVERGED not in str(refusal):
            raise
        log.warning("trial %d diverged", trial.number + 1)
        trial.set_user_attr(STATE, DIVERGED_STATE)
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
