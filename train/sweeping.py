"""A sweep over learning rate and weight decay: Optuna decides what is tried, the one training loop does it."""

import csv
import io
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import optuna
from matplotlib.figure import Figure

from label_maps import files
from label_maps.run_folder import RUN, SPLIT, read_run
from plumbing.files import atomic_path, write_text
from train.config import JointConfig, LevelConfig, SweepConfig
from train.start import train_joint, train_level
from train.trackers import Tracker

log = logging.getLogger(__name__)

JUDGED_BY = "val/geoscore"
"""The metric that says which trial is best: what users get, on the calibration split."""


class _Judge:
    """A tracker that tells Optuna how a trial goes, and ends it when it falls behind."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial
        self.best = float("-inf")

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Report the trial's best so far."""
        self.best = max(self.best, metrics[JUDGED_BY])
        self.trial.report(self.best, step)
        if self.trial.should_prune():
            raise optuna.TrialPruned

    def close(self) -> None:
        """Nothing is open."""


def main(config: SweepConfig) -> None:
    """Run what is left of the sweep; write sweep.csv and sweep.png, and print the table."""
    read_run(config.run)
    folder = config.run / "sweep"
    folder.mkdir(exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _study(config, folder)
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        # An interrupted trial is drawn again; its folder has the checkpoint from which it goes on.
        study.enqueue_trial(trial.params)
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    left = _planned(config) - len(_ended(study))
    study.optimize(lambda trial: _train(config, folder, trial), n_trials=max(0, left))
    table = _table(study)
    write_text(folder / "sweep.csv", _csv(study))
    with atomic_path(folder / "sweep.png") as partial:
        partial.write_bytes(_plot(study))
    print(table)
    print(f"table and plot: {folder / 'sweep.csv'}, {folder / 'sweep.png'}")


def _planned(config: SweepConfig) -> int:
    return len(config.lrs) * len(config.weight_decays) if config.method == "grid" else config.trials


def _ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials that were trained to an end, their own or a pruned one, best first."""
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return sorted(study.get_trials(states=states), key=lambda trial: -(trial.value or float("-inf")))


def _study(config: SweepConfig, folder: Path) -> optuna.Study:
    storage = f"sqlite:///{folder / 'study.db'}"
    if config.method == "grid":
        space = {"lr": list(config.lrs), "weight_decay": list(config.weight_decays)}
        sampler: optuna.samplers.BaseSampler = optuna.samplers.GridSampler(space, seed=config.seed)
        pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    else:
        sampler = optuna.samplers.RandomSampler(seed=config.seed)
        pruner = optuna.pruners.SuccessiveHalvingPruner(reduction_factor=2)
    return optuna.create_study(
        study_name=config.method,
        storage=storage,
        sampler=sampler,
        pruner=pruner,
        direction="maximize",
        load_if_exists=True,
    )


def _train(config: SweepConfig, folder: Path, trial: optuna.Trial) -> float:
    """Train one trial and return its best validation figure."""
    if config.method == "grid":
        lr = trial.suggest_categorical("lr", config.lrs)
        weight_decay = trial.suggest_categorical("weight_decay", config.weight_decays)
    else:
        lr = trial.suggest_float("lr", min(config.lrs), max(config.lrs), log=True)
        weight_decay = trial.suggest_float(
            "weight_decay", min(config.weight_decays), max(config.weight_decays), log=True
        )
    run = folder / f"lr{lr:.3g}_wd{weight_decay:.3g}"
    _begin(config.run, run)
    log.info("trial %d: lr %.3g, weight decay %.3g", trial.number + 1, lr, weight_decay)
    judge = _Judge(trial)
    optim = replace(config.optim, lr=lr, weight_decay=weight_decay)
    plain = {f.name: getattr(config, f.name) for f in fields(JointConfig)} | {
        "run": run,
        "optim": optim,
        "resume": True,
    }
    trackers: tuple[Tracker, ...] = (judge,)
    if config.level is None:
        train_joint(JointConfig(**plain), trackers)
    else:
        kept = {f.name: plain[f.name] for f in fields(LevelConfig) if f.name in plain}
        train_level(LevelConfig(**kept, level=config.level), trackers)
    return max(judge.best, _best_before(run))


def _begin(source: Path, run: Path) -> None:
    """Give a trial a run folder with the label maps of the sweep's."""
    if not (run / RUN).is_file():
        shutil.copytree(source / files.FOLDER, run / files.FOLDER, dirs_exist_ok=True)
        for name in (SPLIT, RUN):
            shutil.copy2(source / name, run / name)


def _best_before(run: Path) -> float:
    """Return the best figure that an interrupted trial had written before it was resumed."""
    lines = (
        (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines() if (run / "metrics.jsonl").is_file() else []
    )
    return max((json.loads(line)[JUDGED_BY] for line in lines), default=float("-inf"))


def _rows(study: optuna.Study) -> list[dict[str, float | int | str]]:
    return [
        {
            "lr": trial.params["lr"],
            "weight_decay": trial.params["weight_decay"],
            "geoscore": trial.value if trial.value is not None else float("nan"),
            "steps": max(trial.intermediate_values, default=0),
            "state": trial.state.name.lower(),
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
    """Return a PNG: learning rate and weight decay, coloured by GeoScore."""
    rows = _rows(study)
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
    axes.set(xscale="log", xlabel="learning rate", ylabel="weight decay")
    axes.set_yscale("symlog", linthresh=1e-5)
    axes.set_title("GeoScore on the calibration split, best epoch")
    figure.colorbar(points, ax=axes, label="GeoScore")
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=130)
    return png.getvalue()
