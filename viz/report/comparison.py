"""A run against another one on the photographs that both were evaluated on, with paired intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geocells.sphere import GEOSCORE_SCALE_KM, geoscore
from infer.evaluate.intervals import bracketed, without_intervals
from infer.evaluate.metrics import RADII_KM, mean_intervals, paired_differences
from infer.evaluate.photographs import TRUE_DEG
from plumbing.text import agreeing, counted
from viz.report.files import RunFiles
from viz.report.parts import note, table, words

SAME_DEG = 1e-6
"""True places of one photograph differ by no more than rounding."""


@dataclass(frozen=True)
class Row:
    """One figure of both runs, and their difference (this run less the other) with its 95 % interval, None of one group."""

    name: str
    ours: float
    theirs: float
    difference: Mapping[str, Any]

    @property
    def better(self) -> bool | None:
        """True where this run is better, False where worse, None where the interval holds zero, or there is none."""
        low, high = self.difference["low"], self.difference["high"]
        if low is None or low <= 0 <= high:
            return None
        return (low > 0) == (not self.name.endswith("_km"))


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same photographs of a split.

    Attributes:
        other: name of the other run.
        split: that both were evaluated on.
        photographs: how many both answered.
        groups: of these photographs.
        left_out: photographs that only one of the two answered.
        rows: figures.
        nearer: share of photographs whose answer is nearer than the other's, with its interval; None of classes.
        errors_km: (2, N) errors of both; None of classes.
    """

    other: str
    split: str
    photographs: int
    groups: int
    left_out: int
    rows: Sequence[Row]
    nearer: Mapping[str, Any] | None = None
    errors_km: NDArray[np.float64] | None = None

    @property
    def headline(self) -> str:
        """The verdict: by the first figure."""
        first = self.rows[0]
        if first.better is None:
            return f"No different from {self.other}, as far as these photographs can tell"
        return f"{'Better' if first.better else 'Worse'} than {self.other}"

    @property
    def headline_figure(self) -> str:
        """The figure that the verdict is by, with its interval."""
        first = self.rows[0]
        interval = "" if first.difference["low"] is None else f" [{_interval(first)}]"
        difference = f"{_signed(first.name, first.difference['value'])}{interval}"
        named = "GeoScore" if first.name == "geoscore" else _figure_words(first.name)
        return f"{named} {difference}, on the same {counted(self.photographs, 'photograph')}"


def compare(ours: RunFiles, theirs: RunFiles) -> Comparison:
    """Compare two runs on the first split that both were evaluated on, test first.

    Raises:
        ValueError: they have no split in common, one has no file of photographs, or the photographs are others.
    """
    name = _common(ours, theirs)
    own, other = (files.answered.get(name) for files in (ours, theirs))
    for files, answered in ((ours, own), (theirs, other)):
        if answered is None:
            raise ValueError(
                f"{name} of {files.record['name']} has no file of its photographs: {_again(files, ours, name)}"
            )
    assert own is not None, "looked at above"
    assert other is not None, "looked at above"
    split = str(ours.evaluations[name]["split"])
    both = own.merge(other, on="id", suffixes=("", "_other"))
    if "right" in own and "right" in other:
        return _of_classes(ours, theirs, split, both, len(own) + len(other) - 2 * len(both))
    if "right" in own or "right" in other:
        raise ValueError(
            f"{ours.record['name']} and {theirs.record['name']} cannot be compared: one answered places, the other classes"
        )
    moved = [f"{column}_other" for column in TRUE_DEG]
    same = np.abs(both[TRUE_DEG].to_numpy() - both[moved].to_numpy()).max(axis=1, initial=0) <= SAME_DEG
    both = both[same]
    _refuse_none(both, ours, theirs, split)
    scale = float(ours.evaluations[name].get("geoscore_scale_km") or GEOSCORE_SCALE_KM)
    return _of_places(theirs, split, both, len(own) + len(other) - 2 * len(both), scale)


def _common(ours: RunFiles, theirs: RunFiles) -> str:
    shared = [name for name in ours.evaluations if name in theirs.evaluations]
    if not shared:
        own, other = (", ".join(files.evaluations) or "nothing" for files in (ours, theirs))
        raise ValueError(
            f"--against has no evaluation of the same split: this run has {own}, {theirs.record['name']} has {other}: run "
            "`python -m infer evaluate` of both on one split"
        )
    return min(shared, key=lambda name: (ours.evaluations[name]["split"] != "test", name))


def _again(files: RunFiles, ours: RunFiles, name: str) -> str:
    split = (files.evaluations.get(name) or ours.evaluations[name])["split"]
    return f"run `python -m infer evaluate --data DATASET --run RUN --split {split}` of it again"


def _refuse_none(both: pd.DataFrame, ours: RunFiles, theirs: RunFiles, split: str) -> None:
    if not len(both):
        raise ValueError(
            f"{ours.record['name']} and {theirs.record['name']} share no photograph of the {split} split: evaluate both on "
            "one dataset"
        )


def _of_places(theirs: RunFiles, split: str, both: pd.DataFrame, left_out: int, scale: float) -> Comparison:
    own, other = both["distance_km"].to_numpy(), both["distance_km_other"].to_numpy()
    group = both["group"].to_numpy()
    differences = _true(paired_differences(own, other, group, scale_km=scale), group)
    within = {
        f"within_{radius:g}km_share": (own <= radius).astype(np.float64) - (other <= radius).astype(np.float64)
        for radius in RADII_KM
    }
    shares = _true(mean_intervals(within, group), group)
    rows = [
        Row("geoscore", _mean(geoscore(own, scale)), _mean(geoscore(other, scale)), differences["geoscore"]),
        Row("median_km", float(np.median(own)), float(np.median(other)), differences["median_km"]),
        Row("mean_km", _mean(own), _mean(other), differences["mean_km"]),
        *(
            Row(f"within_{r:g}km_share", _mean(own <= r), _mean(other <= r), shares[f"within_{r:g}km_share"])
            for r in RADII_KM
        ),
    ]
    return Comparison(
        other=str(theirs.record["name"]),
        split=split,
        photographs=len(both),
        groups=len(np.unique(group)),
        left_out=left_out,
        rows=rows,
        nearer=differences["nearer"],
        errors_km=np.stack([own, other]),
    )


def _of_classes(ours: RunFiles, theirs: RunFiles, split: str, both: pd.DataFrame, left_out: int) -> Comparison:
    _refuse_none(both, ours, theirs, split)
    own, other = (both[column].to_numpy(dtype=np.float64) for column in ("right", "right_other"))
    group = both["group"].to_numpy()
    differences = _true(mean_intervals({"right": own - other}, group), group)
    rows = [Row("right", _mean(own), _mean(other), differences["right"])]
    return Comparison(str(theirs.record["name"]), split, len(both), len(np.unique(group)), left_out, rows)


def _true(figures: Mapping[str, Any], group: NDArray[np.int64]) -> Mapping[str, Any]:
    return without_intervals(figures) if len(np.unique(group)) == 1 else figures


def _mean(values: Any) -> float:
    return float(np.mean(values))


INTERVAL = (
    "Below each difference: its 95 % interval, from resamples that draw the same groups for both. Where it holds zero, these "
    "photographs cannot decide."
)
NO_INTERVAL = "One group of photographs gives no interval, and cannot decide."
JUDGED = {True: "better", False: "worse", None: "undecided"}
FIGURES = {
    "geoscore": "GeoScore, of 5,000",
    "median_km": "Median error",
    "mean_km": "Mean error",
    "right": "Best class right",
}


def comparison_html(found: Comparison) -> str:
    """Return a comparison as HTML."""
    rows = [
        [
            escape(_figure_words(row.name)),
            words(row.name, row.ours),
            words(row.name, row.theirs),
            f"{_signed(row.name, row.difference['value'])} <small>{JUDGED[row.better]}: {_interval(row)}</small>",
        ]
        for row in found.rows
    ]
    head = ["", "This run", found.other, "Difference"]
    only = (
        f" {counted(found.left_out, 'photograph')} that only one of them answered {agreeing(found.left_out, 'are')} left out."
        if found.left_out
        else ""
    )
    nearer = ""
    if found.nearer is not None:
        nearer = note(
            f"This run's answer is the nearer one for this share of photographs: {bracketed(found.nearer, '.1%')}."
        )
    said = note(
        f"Both runs on the same {counted(found.photographs, 'photograph')} of the {found.split} split, in "
        f"{counted(found.groups, 'group')}.{only} {NO_INTERVAL if found.groups == 1 else INTERVAL}"
    )
    return f"{table(head, rows)}{nearer}{said}"


def _figure_words(name: str) -> str:
    if name.startswith("within_"):
        return f"Within {float(name.removeprefix('within_').removesuffix('km_share')):,g} km"
    return FIGURES[name]


def _signed(name: str, value: float) -> str:
    return (
        _minus(f"{value:+,.0f}{' km' if name.endswith('_km') else ''}")
        if _whole(name)
        else _minus(f"{100 * value:+.1f} points")
    )


def _interval(row: Row) -> str:
    low, high = row.difference["low"], row.difference["high"]
    if low is None:
        return "no interval"
    return _minus(f"{low:+,.0f} to {high:+,.0f}" if _whole(row.name) else f"{100 * low:+.1f} to {100 * high:+.1f}")


def _whole(name: str) -> bool:
    """Say whether a figure is written without decimals, and not as a share."""
    return name == "geoscore" or name.endswith("_km")


def _minus(text: str) -> str:
    """Return numbers with a minus as long as the plus."""
    return text.replace("-", "\N{MINUS SIGN}")
