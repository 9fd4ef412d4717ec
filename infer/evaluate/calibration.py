"""Whether probabilities and coverages mean what they say: reliability of the best cells, coverage of regions.

Here each leakage group (`dataset.groups`) counts as one, as it does in conformal calibration: photographs of one journey are
not so many independent trials, and an interval that takes them for independent is too narrow.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from dataset.groups import group_weights
from geocells.hierarchy import UNKNOWN
from infer.decode.conformal import SMOOTH, ConformalCalibration
from infer.decode.density import SmoothDensity
from infer.decode.posterior import fuse, likeliest
from infer.decode.raster import Raster
from infer.decode.region import conformity_scores, region_cells
from infer.evaluate.coverage import circle_area_km2, circle_radius_km, coverage_by_slice, covered, searched_area
from infer.evaluate.metrics import group_draws, group_members, mean_interval
from infer.model import Model

BINS = 15
DRAWS = 200
COVERAGES = (0.5, 0.9)
"""Measured where no others are asked for."""
SEARCH_KM2 = (1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8)


def reliability(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], counts: NDArray[np.float64], bins: int = BINS
) -> list[dict[str, float]]:
    """Return a reliability diagram: n, mean confidence and share right of bins of equal mass, least confident first.

    Args:
        confidence: (N,) stated probability that the best cell is right.
        right: (N,) whether it is.
        counts: (N,) how much each photograph counts; `n` of a bin is the sum.
        bins: how many.
    """
    order = np.argsort(confidence, kind="stable")
    # The middle of what a photograph counts decides, so that no bin is empty for rounding.
    until = np.cumsum(counts[order])
    place = ((until - counts[order] / 2) / until[-1] * bins).astype(int)
    parts = np.split(order, np.flatnonzero(np.diff(place)) + 1)
    weigh = [(rows, float(counts[rows].sum())) for rows in parts]
    return [
        {
            "n": total,
            "confidence": float(counts[rows] @ confidence[rows]) / total,
            "right": float(counts[rows] @ right[rows]) / total,
        }
        for rows, total in weigh
    ]


def calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], counts: NDArray[np.float64], bins: int = BINS
) -> float:
    """Return the expected calibration error: the mean over photographs of |confidence - right| of their bins.

    Source: Naeini et al. 2015; bins of equal mass as in Nguyen and O'Connor 2015.
    """
    diagram = reliability(confidence, right, counts, bins)
    total = sum(row["n"] for row in diagram)
    return sum(row["n"] * abs(row["confidence"] - row["right"]) for row in diagram) / total


def calibration_error_interval(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], group: NDArray[np.int64], seed: int = 0
) -> dict[str, float]:
    """Return the calibration error, where each group counts as one, with its 95 % cluster-bootstrap interval.

    The error of a resample is larger on average, for chance adds to it: the interval is moved down by that difference.

    Args:
        confidence: (N,) stated probability that the best cell is right.
        right: (N,) whether it is.
        group: (N,) leakage groups of the photographs.
        seed: of the bootstrap.
    """
    order = np.argsort(confidence, kind="stable")
    member, count = group_members(group)
    counts, gap = group_weights(group)[order], (confidence - right)[order]
    resampled = []
    for drawn in group_draws(count, seed, -(-len(gap) // count)):
        weight = drawn[:, member[order]] * counts
        until = np.cumsum(weight, axis=1)
        place = np.minimum((until - weight / 2) / until[:, -1:] * BINS, BINS - 1).astype(np.int64)
        rows = np.arange(len(weight))[:, None] * BINS
        sums = np.bincount((rows + place).ravel(), (weight * gap).ravel(), len(weight) * BINS)
        resampled.append(np.abs(sums.reshape(-1, BINS)).sum(axis=1) / until[:, -1])
    value, errors = calibration_error(confidence, right, group_weights(group)), np.concatenate(resampled)
    low, high = np.clip(np.quantile(errors, [0.025, 0.975]) - (errors.mean() - value), 0, 1)
    return {"value": value, "low": float(low), "high": float(high)}


def error_if_perfect(confidence: NDArray[np.float64], counts: NDArray[np.float64], seed: int = 0) -> dict[str, float]:
    """Return mean and 95th percentile of the error that confidences would have were each exactly true.

    Few photographs a bin scatter: no model can be expected to lie below that mean.
    """
    rng = np.random.default_rng(seed)
    errors = [calibration_error(confidence, rng.random(len(confidence)) < confidence, counts) for _ in range(DRAWS)]
    return {"mean": float(np.mean(errors)), "p95": float(np.quantile(errors, 0.95))}


class CalibrationMeter:
    """Collects what reliability and coverage are computed from, a batch at a time."""

    def __init__(
        self, model: Model, conformal: ConformalCalibration | None, coverages: Sequence[float] = COVERAGES
    ) -> None:
        """Prepare to measure a model's probabilities and, where it has some, its conformal calibration."""
        self.model, self.conformal, self.coverages = model, conformal, coverages
        self.best: list[dict[str, list[NDArray]]] = [
            {"raw": [], "raw_right": [], "best": [], "right": [], "learned": []} for _ in model.hierarchy.level_names
        ]
        self.chosen = {} if conformal is None else {coverage: conformal.choose(coverage) for coverage in coverages}
        self.scores: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        self.area: dict[float, list[NDArray[np.float64]]] = defaultdict(list)
        self.searched: list[NDArray[np.float64]] = []
        self.density = (
            SmoothDensity(Raster.of(model.hierarchy), conformal.weights, model.device)
            if conformal is not None and SMOOTH in conformal.scores
            else None
        )

    @torch.inference_mode()
    def add(
        self,
        logits: Sequence[Tensor],
        posterior: Sequence[Tensor],
        classes: NDArray[np.int64],
        latlon_deg: NDArray[np.float64],
    ) -> None:
        """Add photographs with their (B, levels) true classes and (B, 2) places."""
        raw = fuse(self.model.tree, logits, (1.0,) * len(logits), self.model.fusion, self.model.greedy)
        for level, kept in enumerate(self.best):
            for which, right, tree in (("raw", "raw_right", raw), ("best", "right", posterior)):
                best, cell = likeliest(tree[level])
                kept[which].append(best)
                kept[right].append((cell == classes[:, level]) & (classes[:, level] != UNKNOWN))
            kept["learned"].append(self.model.hierarchy.learned(level, cell))
        kinds = {name for name, _ in self._possible().values()} | ({SMOOTH} if self.density is not None else set())
        for name in sorted(kinds):
            cells = self._cells(name, posterior, classes, latlon_deg)
            mass, area_km2, _ = cells
            scores = conformity_scores(*cells)
            # No region is without its densest cells, however much they hold.
            densest = conformity_scores(mass, area_km2, (mass / area_km2).argmax(axis=1))
            self.scores[name].append(np.where(scores <= densest, 0.0, scores))
            if name == SMOOTH:
                self.searched.append(searched_area(*cells))
            for coverage, (chosen, quantile) in self._possible().items():
                if chosen == name:
                    areas = [[area_km2[region_cells(m, area_km2, q)].sum() for q in (quantile, coverage)] for m in mass]
                    self.area[coverage].append(np.array(areas))

    def _possible(self) -> dict[float, tuple[str, float]]:
        return {coverage: chosen for coverage, chosen in self.chosen.items() if chosen}

    def _cells(
        self, name: str, posterior: Sequence[Tensor], classes: NDArray[np.int64], latlon_deg: NDArray[np.float64]
    ) -> tuple[NDArray[np.floating], NDArray[np.float64], NDArray[np.int64]]:
        """Return (B, C) probabilities, (C,) areas and (B,) true cells of the land, or of a level's known cells."""
        if name == SMOOTH and self.density is not None:
            raster = self.density.raster
            mass = self.density.spread(posterior[-1].exp().float()).cpu().numpy()
            return mass / mass.sum(axis=1, keepdims=True), raster.area_km2, raster.find(latlon_deg)
        hierarchy, level = self.model.hierarchy, self.model.hierarchy.level_index(name)
        mass = posterior[level].exp().double().cpu().numpy()
        return mass, hierarchy.area_km2[hierarchy.rows(level)], classes[:, level]

    def levels(self, group: NDArray[np.int64], seed: int = 0) -> dict[str, Any]:
        """Return per level the calibration error before and after, with intervals, and the reliability diagrams.

        Args:
            group: (N,) leakage groups of the photographs.
            seed: of the bootstrap.
        """
        return {
            name: self._level(name, {key: np.concatenate(parts) for key, parts in kept.items()}, group, seed)
            for name, kept in zip(self.model.hierarchy.level_names, self.best, strict=True)
        }

    def _level(self, name: str, kept: Mapping[str, NDArray], group: NDArray[np.int64], seed: int) -> dict[str, Any]:
        counts = group_weights(group)
        stages = {
            "before": (kept["raw"], kept["raw_right"]),
            "after_temperatures": (kept["best"], kept["right"]),
        }
        if self.conformal is not None:
            stages["after"] = (self.conformal.confidence(name, kept["best"], kept["learned"]), kept["right"])
        last = stages[list(stages)[-1]][0]
        return {
            **{f"ece_{stage}": calibration_error(*pair, counts) for stage, pair in stages.items()},
            "ece_intervals": {stage: calibration_error_interval(*pair, group, seed) for stage, pair in stages.items()},
            "ece_if_perfect": error_if_perfect(last, counts),
            "reliability": {stage: reliability(*pair, counts) for stage, pair in stages.items()},
        }

    def recall_by_area(self) -> dict[str, float]:
        """Return the share of photographs whose place is found within each area of `SEARCH_KM2`, best cells first."""
        if not self.searched:
            return {}
        area = np.concatenate(self.searched)
        return {f"{limit:g}": float((area <= limit).mean()) for limit in SEARCH_KM2}

    def impossible(self) -> list[float]:
        """Return the coverages that no kind of cells can guarantee; none where no coordinates calibrated regions."""
        if self.conformal is None or not self.conformal.scores:
            return []
        return [coverage for coverage, chosen in self.chosen.items() if chosen is None]

    def regions(
        self, away_km: NDArray[np.float64], by: Mapping[str, ArrayLike], group: NDArray[np.int64], seed: int = 0
    ) -> dict[str, Any]:
        """Return coverage and area of the conformal regions, beside uncalibrated ones and circles around the answers.

        Impossible coverages are left out; `cells` is what the regions consist of, land or a level's known cells.

        Args:
            away_km: (N,) distances of the answers from the truth.
            by: the slice of each photograph, by name of a way of slicing.
            group: (N,) leakage groups of the photographs.
            seed: of the bootstrap.
        """
        report: dict[str, Any] = {}
        counts = group_weights(group)
        for coverage, (name, quantile) in self._possible().items():
            scores, area = np.concatenate(self.scores[name]), np.concatenate(self.area[coverage])
            hits, plain = scores <= quantile + 1e-6, scores <= coverage
            # A circle that covers as many as the regions do: what one number for all photographs would cost.
            held = covered(hits, group)
            radius = circle_radius_km(away_km, held["value"], counts)
            report[f"{coverage:g}"] = {
                "cells": "land" if name == SMOOTH else name,
                "covered": held,
                "covered_of_photographs": mean_interval(hits.astype(np.float64), group, seed),
                "median_area_km2": float(np.median(area[:, 0])),
                "mean_area_km2": float(area[:, 0].mean()),
                "uncalibrated": {
                    "covered": covered(plain, group),
                    "median_area_km2": float(np.median(area[:, 1])),
                },
                "circle_of_equal_coverage": {"radius_km": radius, "area_km2": circle_area_km2(radius)},
                "slices": {name: coverage_by_slice(hits, of, group) for name, of in by.items()},
            }
        return report
