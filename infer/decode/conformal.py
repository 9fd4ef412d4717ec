"""Conformal calibration of a run: `conformal.json`, and the prediction regions that it gives a posterior."""

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from geocells.hierarchy import Hierarchy
from geocells.land import TABLE_LEVEL, land_table
from geocells.outlines import area_km2
from infer.config import IN_DISTRIBUTION, RENAMED_FUSIONS, RENAMED_PLACES
from infer.decode.countries import mass_by_country, table_cells
from infer.decode.density import COMPONENTS, SmoothDensity
from infer.decode.raster import Raster
from infer.decode.region import box_areas, cell_areas, conformal_quantile, outline, region_cells
from plumbing.files import read_json

log = logging.getLogger(__name__)

CONFORMAL = "conformal.json"
SMOOTH = "smooth"
"""Name of the smoothed density beside those of the levels."""
UNSEEN_KM = 30.0
"""Where no dataset of unseen places is named, a calibration photograph at least so far from any training photograph, as far as
a city and its surroundings reach, stands for places that are new to a run. On two demo planets such photographs are about as far
from training photographs as places drawn again are, and yet need smaller regions (bench/LOG.md)."""
CLIP = (1e-6, 1 - 1e-6)
BETA = ("a", "b", "c", "d")
"""Parameters of beta calibration (Kull et al. 2017) with one more, for a best cell with n training photographs: log odds of being
right = a log p - b log(1 - p) + c + d log n. Where photographs are many, others lie in the cell itself, not beside it."""


@dataclass(frozen=True, eq=False)
class ConformalScores:
    """Conformity scores of calibration photographs: the mass of all cells at least as dense as the true one.

    Attributes:
        scores: (N,) ascending, without the photographs in no known cell, which no region covers.
        group_sizes: (N,) how many calibration photographs the leakage group of each has; each group counts as one.
        groups: number of groups of all photographs, those that no region covers included.
    """

    scores: NDArray[np.float64]
    group_sizes: NDArray[np.int64]
    groups: int

    @classmethod
    def of(cls, scores: NDArray[np.float64], group: NDArray[np.int64]) -> "ConformalScores":
        """Return the scores of (N,) photographs, infinite where no region covers them, with their (N,) groups."""
        _, member, size = np.unique(group, return_inverse=True, return_counts=True)
        order = np.argsort(scores, kind="stable")[: int(np.isfinite(scores).sum())]
        return cls(scores[order], size[member[order]], len(size))

    @property
    def in_known_cells(self) -> float:
        """Return the share of the groups whose true place is in a cell that the run knows."""
        return min(1.0, float((1 / self.group_sizes).sum()) / max(self.groups, 1))

    def quantile(self, coverage: float) -> float:
        """Return the threshold that a region of this coverage takes; infinite where that coverage is impossible."""
        weights = 1 / self.group_sizes
        never = (1 - self.in_known_cells) * self.groups
        return conformal_quantile(np.append(self.scores, np.inf), coverage, np.append(weights, never))


@dataclass(frozen=True, eq=False)
class ConformalCalibration:
    """What was measured on the calibration split, for one way to combine levels.

    Attributes:
        fusion: that way.
        photographs: whose conformity scores these are.
        weights: of the smoothed density.
        scores: by `SMOOTH` and by level name, best choice first.
        confidence_weights: weights of `confidence_features`, by level name, whose sum is the log odds of the best cell's
            being right.
        exact: whether nothing else was fitted on these photographs. Only then does the coverage guarantee of
            split-conformal prediction hold; it is for groups that are exchangeable with those of the calibration.
    """

    fusion: str
    photographs: int
    weights: tuple[float, ...]
    scores: Mapping[str, ConformalScores]
    confidence_weights: Mapping[str, tuple[float, ...]]
    exact: bool = False

    @property
    def groups(self) -> int:
        """Return how many leakage groups the photographs make."""
        return max((scores.groups for scores in self.scores.values()), default=0)

    @property
    def guarantee(self) -> str:
        """Return in words how far the coverage is guaranteed."""
        if not self.exact:
            return "approximate"
        return f"exact (held-out part: {self.photographs:,} photographs, {self.groups:,} groups)"

    def choose(self, coverage: float) -> tuple[str, float] | None:
        """Return the finest kind of cells that can guarantee a coverage, and its threshold; None where none can."""
        for name, scores in self.scores.items():
            quantile = scores.quantile(coverage)
            if np.isfinite(quantile):
                return name, quantile
        return None

    def confidence(self, level_name: str, best: NDArray[np.float64], learned: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the (N,) calibrated probabilities that the best cells of a level are right.

        Photographs of places in no known cell count as wrong.

        Args:
            level_name: of a level.
            best: (N,) posterior probabilities of best cells.
            learned: (N,) how many training photographs these have.
        """
        return expit(confidence_features(best, learned) @ np.array(self.confidence_weights[level_name]))

    def confidence_inside(
        self,
        level_name: str,
        best: NDArray[np.float64],
        learned: NDArray[np.int64],
        inside: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the (N,) probabilities that the best cells of a level are right where the place is known to be in an area.

        By Bayes' rule: the calibrated probability of a cell, from its posterior before the area was known, over the
        probability that the model put inside the area. It is at most the confidence that the narrowed posterior would
        have by itself, and at most the share of calibration photographs in known cells. It is an approximation, since no
        calibration photographs of the area are held out.

        Args:
            level_name: of a level.
            best: (N,) posterior probabilities of best cells, after the area is known.
            learned: (N,) how many training photographs these have.
            inside: (N,) probabilities that the model put inside the area.
        """
        mass = np.maximum(inside, CLIP[0])
        by_bayes = self.confidence(level_name, best * mass, learned) / mass
        most = self.scores[level_name].in_known_cells if level_name in self.scores else 1.0
        return np.minimum(np.minimum(by_bayes, self.confidence(level_name, best, learned)), most)


def confidence_features(best: NDArray[np.float64], learned: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the (N, 4) features of beta calibration, see `BETA`.

    Args:
        best: (N,) probabilities p of best cells.
        learned: (N,) numbers n of their training photographs.
    """
    p = np.clip(best, *CLIP)
    return np.stack([np.log(p), -np.log1p(-p), np.ones_like(p), np.log(np.maximum(learned, 1))], axis=-1)


def as_json(conformal: ConformalCalibration) -> dict[str, Any]:
    """Return a calibration as plain values."""
    scores = {
        name: {
            "groups": own.groups,
            "scores": [float(f"{score:.7g}") for score in own.scores],
            "group_sizes": own.group_sizes.tolist(),
        }
        for name, own in conformal.scores.items()
    }
    confidence = {name: dict(zip(BETA, weights, strict=True)) for name, weights in conformal.confidence_weights.items()}
    return {
        "photographs": conformal.photographs,
        "groups": conformal.groups,
        "guarantee": "exact" if conformal.exact else "approximate",
        "density_weights": list(conformal.weights),
        "confidence": confidence,
        "conformity_scores": scores,
    }


def from_json(content: Mapping[str, Any], fusion: str) -> ConformalCalibration:
    """Return the calibration of `as_json`, or that of version 0.1.0, whose guarantee is approximate."""
    own, exact = _renamed(content), content.get("guarantee") == "exact"
    scores = {
        name: ConformalScores(np.array(of["scores"], float), np.array(of["group_sizes"], int), of["groups"])
        for name, of in own["conformity_scores"].items()
    }
    confidence = {name: tuple(weights[key] for key in BETA) for name, weights in own["confidence"].items()}
    return ConformalCalibration(fusion, own["photographs"], tuple(own["density_weights"]), scores, confidence, exact)


def _renamed(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a calibration under today's names, whichever version wrote it."""
    if "needed_mass" not in content:
        return content
    scores = {
        name: {"groups": of["groups"], "scores": of["masses"], "group_sizes": of["related"]}
        for name, of in content["needed_mass"].items()
    }
    return {**content, "density_weights": content["surface_weights"], "conformity_scores": scores}


def read_conformal(
    run: Path, model_hash: str, fusion: str, places: str = IN_DISTRIBUTION
) -> ConformalCalibration | None:
    """Return what `train calibrate` fitted for these weights and this fusion; None, with a warning, where nothing.

    Args:
        run: the run folder.
        model_hash: of its weights.
        fusion: in use.
        places: `in-distribution`, for photographs of the places that the calibration photographs are of, or `unseen`,
            for photographs far from any training photograph.

    Raises:
        ValueError: nothing could be measured for photographs of unseen places, or the file is damaged.
    """
    path = run / CONFORMAL
    if not path.is_file():
        log.warning("%s has no conformal calibration, so no regions: run `python -m train calibrate`", run)
        return None
    content = read_json(path)
    if content.get("model_hash") != model_hash or content.get("components") != COMPONENTS:
        log.warning("%s is ignored: fitted for different weights; run `python -m train calibrate`", path)
        return None
    fitted_for = RENAMED_FUSIONS.get(content["fusion"], content["fusion"])
    if fitted_for != fusion:
        log.warning(
            "regions and confidence are calibrated for --fusion %s only: answers by %s have none", fitted_for, fusion
        )
        return None
    own = {
        RENAMED_PLACES.get(name, name): of for name, of in content.get("places", content.get("promises", {})).items()
    }
    if places not in own and IN_DISTRIBUTION in own:
        raise ValueError(
            f"{run} has no calibration for --places {places}: too few groups of calibration photographs lie "
            f"{UNSEEN_KM:.0f} km from any training photograph; leave the flag out, or calibrate with photographs of other "
            "places, `python -m train calibrate --unseen DATASET`"
        )
    try:
        return from_json(own[places], fusion)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is from an earlier version, or damaged ({type(error).__name__}): run `python -m train calibrate` again"
        ) from None


class RegionFinder:
    """Conformal prediction regions of a run's posteriors, at the coverages asked for."""

    def __init__(
        self,
        hierarchy: Hierarchy,
        conformal: ConformalCalibration,
        device: torch.device,
        coverages: Sequence[float],
        inside: NDArray[np.float64] | None = None,
    ) -> None:
        """Prepare what all photographs share.

        Args:
            hierarchy: the cells.
            conformal: calibration of the run.
            device: where the posteriors are.
            coverages: in 0 to 1.
            inside: (65536,) what share of each cell of the land table prior knowledge leaves; all when None.
        """
        self.hierarchy, self.conformal = hierarchy, conformal
        self.chosen = {coverage: conformal.choose(coverage) for coverage in coverages}
        self.density = SmoothDensity(Raster.of(hierarchy), conformal.weights, device)
        self._know(inside, None)

    def _know(self, inside: NDArray[np.float64] | None, country: NDArray[np.str_] | None) -> None:
        self.inside = np.ones(4**TABLE_LEVEL) if inside is None else inside
        self.country = land_table().country if country is None else country

    def asked(
        self,
        coverages: Sequence[float],
        inside: NDArray[np.float64] | None = None,
        country: NDArray[np.str_] | None = None,
    ) -> "RegionFinder":
        """Return a finder of other regions that shares what takes long to prepare and much memory to hold.

        Args:
            coverages: in 0 to 1.
            inside: (65536,) what share of each cell of the land table prior knowledge leaves; all when None.
            country: (65536,) which country has most of what is left of each; that with most land in it when None.
        """
        other = copy.copy(self)
        other.chosen = {coverage: self.conformal.choose(coverage) for coverage in coverages}
        other._know(inside, country)
        return other

    def masses(self, posterior: Sequence[Tensor]) -> NDArray[np.float32]:
        """Return (B, cells) probabilities of the raster's cells, after prior knowledge."""
        mass = self.density.spread(posterior[-1].exp().float()).cpu().numpy()
        mass = mass * self.inside[self.density.raster.cell].astype(np.float32)
        return mass / np.maximum(mass.sum(axis=1, keepdims=True), 1e-30)

    def regions(self, posterior: Sequence[Tensor]) -> list[list[dict[str, Any]]]:
        """Return the regions of each photograph of (B, classes) log probabilities per level.

        A coverage that is impossible gives no region.
        """
        kinds = {name for name, _ in filter(None, self.chosen.values())}
        smooth = self.masses(posterior) if SMOOTH in kinds else None
        return [
            [
                self._smooth(coverage, quantile, smooth[row])
                if name == SMOOTH and smooth is not None
                else self._of_level(coverage, quantile, name, posterior, row)
                for coverage, (name, quantile) in self._possible()
            ]
            for row in range(len(posterior[0]))
        ]

    def _possible(self) -> list[tuple[float, tuple[str, float]]]:
        return [(coverage, chosen) for coverage, chosen in self.chosen.items() if chosen]

    def impossible(self) -> list[float]:
        """Return the coverages that no kind of cells can guarantee."""
        return [coverage for coverage, chosen in self.chosen.items() if chosen is None]

    def _smooth(self, coverage: float, quantile: float, mass: NDArray[np.float32]) -> dict[str, Any]:
        raster = self.density.raster
        cells = region_cells(mass, raster.area_km2, quantile)
        cells = cells[mass[cells] > 0]
        countries = mass_by_country(self.country[raster.cell[cells]], mass[cells])
        return region_record(coverage, f"L{TABLE_LEVEL}", box_areas(raster.bounds_deg[cells]), mass[cells], countries)

    def _of_level(
        self, coverage: float, quantile: float, name: str, posterior: Sequence[Tensor], row: int
    ) -> dict[str, Any]:
        level = self.hierarchy.level_index(name)
        rows = self.hierarchy.rows(level)
        mass = posterior[level][row].exp().double().cpu().numpy()
        cells = region_cells(mass, self.hierarchy.area_km2[rows], quantile)
        cells = cells[mass[cells] > 0]
        of, table_cell, share = table_cells(self.hierarchy, level)
        held = np.isin(of, cells)
        left = (mass[of] * share * self.inside[table_cell])[held]
        countries = mass_by_country(self.country[table_cell[held]], left)
        return region_record(coverage, name, cell_areas(self.hierarchy, rows.start + cells), mass[cells], countries)


def region_record(
    coverage: float,
    level_name: str,
    areas: NDArray[np.object_],
    mass: NDArray[np.floating],
    countries: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return a region, of (N,) polygons and masses of cells, as it stands in predictions.json."""
    return {
        "coverage": coverage,
        "level": level_name,
        "cells": len(areas),
        "area_km2": round(float(area_km2(areas).sum()), 1),
        "probability": round(float(mass.sum()), 6),
        "countries": countries,
        "geometry": outline(areas),
    }
