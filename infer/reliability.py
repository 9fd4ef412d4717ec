"""Whether probabilities and promises mean what they say: reliability of the best cells, coverage of regions."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest
from torch import Tensor

from geocells.hierarchy import UNKNOWN
from geocells.sphere import EARTH_RADIUS_KM
from infer.model import Model
from infer.posterior import fuse
from infer.promises import SMOOTH, Promises
from infer.regions import needed_mass, region_cells
from infer.surface import Raster, Surface

BINS = 15
DRAWS = 200
COVERAGES = (0.5, 0.9)
SEARCH_KM2 = (1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8)
LEAST = 20
"""Groups of fewer photographs have no figure of their own."""


def reliability(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> list[dict[str, float]]:
    """Return a reliability diagram: n, mean confidence and share right of bins of equal mass, least sure first."""
    order = np.argsort(confidence, kind="stable")
    return [
        {"n": len(rows), "confidence": float(confidence[rows].mean()), "right": float(right[rows].mean())}
        for rows in np.array_split(order, bins)
        if len(rows)
    ]


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> float:
    """Return the expected calibration error: the mean over photographs of |confidence - right| of their bins.

    Source: Naeini et al. 2015; bins of equal mass as in Nguyen and O'Connor 2015.
    """
    diagram = reliability(confidence, right, bins)
    total = sum(row["n"] for row in diagram)
    return sum(row["n"] * abs(row["confidence"] - row["right"]) for row in diagram) / total


def error_if_perfect(confidence: NDArray[np.float64], seed: int = 0) -> dict[str, float]:
    """Return mean and 95th percentile of the error that confidences would have were each exactly true.

    Few photographs a bin scatter: no model can be expected to lie below that mean.
    """
    rng = np.random.default_rng(seed)
    errors = [calibration_error(confidence, rng.random(len(confidence)) < confidence) for _ in range(DRAWS)]
    return {"mean": float(np.mean(errors)), "p95": float(np.quantile(errors, 0.95))}


def covered(hits: NDArray[np.bool_]) -> dict[str, float]:
    """Return n and a share with its exact binomial 95 % interval (Clopper and Pearson)."""
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(0.95, "exact")
    return {"n": len(hits), "value": float(hits.mean()), "low": float(interval.low), "high": float(interval.high)}


def coverage_by_group(hits: NDArray[np.bool_], groups: ArrayLike) -> dict[str, dict[str, float]]:
    """Return the coverage of each group of at least `LEAST` photographs: a kept average can hide a broken promise."""
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    count = np.bincount(member)
    return {str(names[g]): covered(hits[member == g]) for g in np.argsort(-count, kind="stable") if count[g] >= LEAST}


def circle_radius_km(distance_km: NDArray[np.float64], coverage: float) -> float:
    """Return the radius of the circle around the answer that would cover as many of these photographs."""
    return float(np.quantile(distance_km, coverage))


def circle_area_km2(radius_km: float) -> float:
    """Return the area of a circle on the sphere."""
    return float(2 * np.pi * EARTH_RADIUS_KM**2 * (1 - np.cos(radius_km / EARTH_RADIUS_KM)))


def searched_area(
    mass: NDArray[np.floating], area_km2: NDArray[np.float64], true_cell: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the area of all cells at least as dense as the true one: what is searched until the place is found.

    Args:
        mass: (N, C) probabilities of cells.
        area_km2: (C,).
        true_cell: (N,) cells; for UNKNOWN the area is infinite.
    """
    density = mass / area_km2
    own = density[np.arange(len(true_cell)), np.maximum(true_cell, 0)]
    area = np.where(density >= own[:, None], area_km2, 0).sum(axis=1)
    return np.where(true_cell == UNKNOWN, np.inf, area)


class TrustMeter:
    """Collects what reliability and coverage are computed from, a batch at a time."""

    def __init__(self, model: Model, promises: Promises | None, coverages: Sequence[float] = COVERAGES) -> None:
        """Prepare to measure a model's probabilities and, where it has some, its promises."""
        self.model, self.promises, self.coverages = model, promises, coverages
        self.best: list[dict[str, list[NDArray]]] = [
            {"raw": [], "raw_right": [], "best": [], "right": []} for _ in model.hierarchy.level_names
        ]
        self.chosen = {} if promises is None else {coverage: promises.choose(coverage) for coverage in coverages}
        self.needed: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        self.area: dict[float, list[NDArray[np.float64]]] = defaultdict(list)
        self.searched: list[NDArray[np.float64]] = []
        self.surface = (
            Surface(Raster.of(model.hierarchy), promises.weights, model.device)
            if promises is not None and SMOOTH in promises.needed
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
        raw = fuse(self.model.tree, logits, (1.0,) * len(logits), self.model.fusion)
        for level, kept in enumerate(self.best):
            for which, right, tree in (("raw", "raw_right", raw), ("best", "right", posterior)):
                best, cell = (t.double().cpu().numpy() for t in tree[level].max(dim=1))
                kept[which].append(np.exp(best))
                kept[right].append((cell == classes[:, level]) & (classes[:, level] != UNKNOWN))
        kinds = {name for name, _ in self._possible().values()} | ({SMOOTH} if self.surface is not None else set())
        for name in sorted(kinds):
            cells = self._cells(name, posterior, classes, latlon_deg)
            mass, area_km2, _ = cells
            needed = needed_mass(*cells)
            # No region is without its densest cells, however much they hold.
            densest = needed_mass(mass, area_km2, (mass / area_km2).argmax(axis=1))
            self.needed[name].append(np.where(needed <= densest, 0.0, needed))
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
        if name == SMOOTH and self.surface is not None:
            raster = self.surface.raster
            mass = self.surface.spread(posterior[-1].exp().float()).cpu().numpy()
            return mass / mass.sum(axis=1, keepdims=True), raster.area_km2, raster.find(latlon_deg)
        hierarchy, level = self.model.hierarchy, self.model.hierarchy.level_index(name)
        mass = posterior[level].exp().double().cpu().numpy()
        return mass, hierarchy.area_km2[hierarchy.rows(level)], classes[:, level]

    def levels(self) -> dict[str, Any]:
        """Return per level the calibration error before and after, and the reliability diagrams."""
        return {
            name: self._level(name, {key: np.concatenate(parts) for key, parts in kept.items()})
            for name, kept in zip(self.model.hierarchy.level_names, self.best, strict=True)
        }

    def _level(self, name: str, kept: Mapping[str, NDArray]) -> dict[str, Any]:
        stages = {
            "before": (kept["raw"], kept["raw_right"]),
            "after_temperatures": (kept["best"], kept["right"]),
        }
        if self.promises is not None:
            stages["after"] = (self.promises.sure(name, kept["best"]), kept["right"])
        last = stages[list(stages)[-1]][0]
        return {
            **{f"ece_{stage}": calibration_error(*pair) for stage, pair in stages.items()},
            "ece_if_perfect": error_if_perfect(last),
            "reliability": {stage: reliability(*pair) for stage, pair in stages.items()},
        }

    def recall_by_area(self) -> dict[str, float]:
        """Return the share of photographs whose place is found within each area of `SEARCH_KM2`, best cells first."""
        if not self.searched:
            return {}
        area = np.concatenate(self.searched)
        return {f"{limit:g}": float((area <= limit).mean()) for limit in SEARCH_KM2}

    def not_promised(self) -> list[float]:
        """Return the coverages that no kind of cells can promise."""
        return [coverage for coverage, chosen in self.chosen.items() if chosen is None]

    def regions(
        self, away_km: NDArray[np.float64], groups: Mapping[str, ArrayLike], sequence: ArrayLike | None = None
    ) -> dict[str, Any]:
        """Return coverage and area of the promised regions, beside uncalibrated ones and circles around the answers.

        Coverages that are `not_promised` are left out; `cells` says of what the others consist, land or a level's known cells.

        Args:
            away_km: (N,) distances of the answers from the truth.
            groups: by what is grouped, the group of each photograph.
            sequence: (N,) numbers of related photographs; with them an interval that knows that these go together.
        """
        report: dict[str, Any] = {}
        for coverage, (name, quantile) in self._possible().items():
            needed, area = np.concatenate(self.needed[name]), np.concatenate(self.area[coverage])
            hits, plain = needed <= quantile + 1e-6, needed <= coverage
            # A circle that covers as many as the regions do: what one number for all photographs would cost.
            radius = circle_radius_km(away_km, float(hits.mean()))
            report[f"{coverage:g}"] = {
                "cells": "land" if name == SMOOTH else name,
                "covered": covered(hits),
                **({} if sequence is None else {"covered_by_sequence": _cluster_interval(hits, sequence)}),
                "median_area_km2": float(np.median(area[:, 0])),
                "mean_area_km2": float(area[:, 0].mean()),
                "uncalibrated": {
                    "covered": covered(plain),
                    "median_area_km2": float(np.median(area[:, 1])),
                },
                "circle_of_equal_coverage": {"radius_km": radius, "area_km2": circle_area_km2(radius)},
                "groups": {by: coverage_by_group(hits, of) for by, of in groups.items()},
            }
        return report


def _cluster_interval(hits: NDArray[np.bool_], sequence: ArrayLike, seed: int = 0) -> dict[str, float]:
    """Return the 95 % bootstrap interval of a share where whole groups are drawn, not single photographs."""
    _, member = np.unique(np.asarray(sequence, dtype=str), return_inverse=True)
    count = np.bincount(member)
    total = np.bincount(member, hits)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(count), (1000, len(count)))
    shares = total[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    low, high = np.quantile(shares, [0.025, 0.975])
    return {"groups": len(count), "low": float(low), "high": float(high)}


def trust_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the lines of an evaluation's table on calibration and regions."""
    lines = [f"{'level':<12} {'ECE before':>12} {'temperatures':>13} {'after':>8} {'were it perfect':>16}"]
    for name, level in report["calibration"].items():
        after = f"{level['ece_after']:.3f}" if "ece_after" in level else ""
        lines.append(
            f"{name:<12} {level['ece_before']:>12.3f} {level['ece_after_temperatures']:>13.3f} {after:>8} "
            f"{level['ece_if_perfect']['mean']:>16.3f}"
        )
    lines += [
        f"{coverage:.0%} regions cannot be promised: too few calibration photographs, or too many where no cell is known"
        for coverage in report["not_promised"]
    ]
    for coverage, region in report["regions"].items():
        hits, circle = region["covered"] | region.get("covered_by_sequence", {}), region["circle_of_equal_coverage"]
        of = "" if region.get("cells", "land") == "land" else f" of known {region['cells']} cells"
        lines.append(
            f"{float(coverage):.0%} regions{of} cover {hits['value']:.1%} [{hits['low']:.1%}, {hits['high']:.1%}]; median "
            f"{region['median_area_km2']:,.0f} km², where a circle takes {circle['area_km2']:,.0f} km²"
        )
    return lines
