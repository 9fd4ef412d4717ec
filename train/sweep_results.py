"""What came out of a sweep: a row for each training, as a table, a CSV file and a plot."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

DIVERGED, CHANCE = "diverged", "no better than chance"
"""How a training ended whose loss became NaN or infinite, or never fell below that of equal probabilities."""
NOT_MEASURED = frozenset({"name", "epoch", "step", "lr", "photos_per_second"})
"""Fields of a line of metrics.jsonl that are no metrics."""
SHOWN = (
    ("loss", "val/loss", "{:.4g}"),
    ("GeoScore", "val/geoscore", "{:,.0f}"),
    ("median km", "val/median_km", "{:,.0f}"),
)
"""Columns of the printed table beside the accuracy: title, metric, format."""


@dataclass(frozen=True)
class Judgement:
    """By which metric of the calibration split trainings are ranked.

    Attributes:
        metric: its name.
        sign: 1 where more is better, -1 where less is.
    """

    metric: str
    sign: int

    @classmethod
    def of(cls, kind: str, finest: str) -> "Judgement":
        """Return the judgement by `loss`, `accuracy` of the finest level, or `geoscore`."""
        names = {"loss": "val/loss", "accuracy": f"val/{finest}_top1", "geoscore": "val/geoscore"}
        return cls(names[kind], -1 if kind == "loss" else 1)

    def value(self, metrics: Any) -> float:
        """Return how good an epoch is, more being better; the least of all where it is NaN or infinite."""
        if self.metric not in metrics:
            raise ValueError(
                f"--rank-by geoscore ranks by {self.metric}, and no photograph has coordinates: rank by loss or accuracy"
            )
        found = self.sign * float(metrics[self.metric])
        return found if math.isfinite(found) else float("-inf")


@dataclass(frozen=True)
class Trial:
    """One training of a sweep.

    Attributes:
        lr: its learning rate.
        weight_decay: its weight decay.
        augmented: whether its pictures were changed at random.
        state: complete, pruned, `DIVERGED` or `CHANCE`.
        epochs: what was measured, a line an epoch.
    """

    lr: float
    weight_decay: float
    augmented: bool
    state: str
    epochs: Sequence[dict[str, Any]]

    def best(self, judgement: Judgement) -> dict[str, Any]:
        """Return what was measured at the best epoch, the first of equals; nothing where it diverged."""
        return {} if self.state == DIVERGED or not self.epochs else max(self.epochs, key=judgement.value)


def measured(run: Path) -> list[dict[str, Any]]:
    """Return what a training measured, a line an epoch."""
    path = run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def named(trial: Trial, chance: float | None) -> Trial:
    """Return a training with its state: one that never was better than equal probabilities is called so."""
    lowest = min((line["val/loss"] for line in trial.epochs if math.isfinite(line["val/loss"])), default=float("inf"))
    if trial.state == DIVERGED or chance is None or lowest < chance:
        return trial
    return Trial(trial.lr, trial.weight_decay, trial.augmented, CHANCE, trial.epochs)


def ranked(trials: Sequence[Trial], judgement: Judgement) -> list[Trial]:
    """Return the best training first; those that have not learned last, diverged ones behind them."""

    def order(trial: Trial) -> tuple[int, float]:
        best = trial.best(judgement)
        return {CHANCE: 1, DIVERGED: 2}.get(trial.state, 0), -judgement.value(best) if best else 0.0

    return sorted(trials, key=order)


def rows(trials: Sequence[Trial], judgement: Judgement) -> list[dict[str, Any]]:
    """Return a row for each training in their order: what was tried, how it ended, and all metrics of its best epoch."""
    found = []
    for rank, trial in enumerate(trials, start=1):
        best = trial.best(judgement)
        row: dict[str, Any] = {
            "rank": rank,
            "lr": trial.lr,
            "weight_decay": trial.weight_decay,
            "augmented": trial.augmented,
        }
        row |= {"state": trial.state, "epochs": len(trial.epochs), "best_epoch": best.get("epoch", "")}
        row |= {"steps": trial.epochs[-1]["step"] if trial.epochs else 0}
        found.append(row | {name: value for name, value in best.items() if name not in NOT_MEASURED})
    return found


def as_csv(table: Sequence[dict[str, Any]]) -> str:
    """Return rows as CSV, with a column for every metric that any of them has."""
    columns = list(dict.fromkeys(name for row in table for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def as_text(table: Sequence[dict[str, Any]], judgement: Judgement, accuracy: str) -> str:
    """Return rows as a table to print.

    Args:
        table: the rows.
        judgement: by what they are ranked.
        accuracy: the metric of the accuracy.
    """
    shown = [(accuracy.removeprefix("val/").replace("_", " "), accuracy, "{:.1%}"), *SHOWN]
    shown = [column for column in shown if any(column[1] in row for row in table)]
    head = f"{'lr':>9} {'weight decay':>13} {'augmented':>10}" + "".join(f"{title:>14}" for title, _, _ in shown)
    lines = [f"ranked by {judgement.metric} on the calibration split, at the best epoch", f"{head} {'epoch':>9}  state"]
    for row in table:
        figures = "".join(f"{form.format(row[name]) if name in row else '-':>14}" for _, name, form in shown)
        epoch = f"{row['best_epoch'] or '-'} of {row['epochs']}"
        augmented = "yes" if row["augmented"] else "no"
        lines.append(
            f"{row['lr']:>9.3g} {row['weight_decay']:>13.3g} {augmented:>10}{figures} {epoch:>9}  {row['state']}"
        )
    return "\n".join(lines)


def as_png(table: Sequence[dict[str, Any]], judgement: Judgement) -> bytes:
    """Return a plot: learning rate and weight decay, coloured by the metric; a cross where a training has not learned.

    Trainings without random changes are squares, a little to the right.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set(xscale="log", xlabel="learning rate", ylabel="weight decay")
    axes.set_yscale("symlog", linthresh=1e-5)
    axes.margins(0.12)
    learned = [row for row in table if row["state"] not in (DIVERGED, CHANCE)]
    lost = [row for row in table if row["state"] in (DIVERGED, CHANCE)]
    span: dict[str, Any] = {
        "vmin": min(map(_of(judgement), learned), default=0),
        "vmax": max(map(_of(judgement), learned), default=1),
    }
    points = None
    for augmented, marker in ((True, "o"), (False, "s")):
        here = [row for row in learned if row["augmented"] == augmented]
        where = [row["lr"] * (1 if augmented else 1.25) for row in here], [row["weight_decay"] for row in here]
        drawn = axes.scatter(
            *where, c=list(map(_of(judgement), here)), s=160, cmap="viridis", edgecolors="black", marker=marker, **span
        )
        points = drawn if here or points is None else points
    crossed = [row["lr"] * (1 if row["augmented"] else 1.25) for row in lost]
    axes.scatter(crossed, [row["weight_decay"] for row in lost], c="black", marker="x")
    both = len({row["augmented"] for row in table}) > 1
    kinds = "\ncircles with random changes, squares (drawn a little to the right) without" if both else ""
    axes.set_title(f"{judgement.metric} on the calibration split, best epoch{kinds}", fontsize="medium")
    assert points is not None, "the first marker is always drawn"
    figure.colorbar(points, ax=axes, label=judgement.metric)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=130)
    return png.getvalue()


def _of(judgement: Judgement) -> Any:
    return lambda row: row[judgement.metric]
