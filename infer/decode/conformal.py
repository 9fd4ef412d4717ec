"""What the calibration split allows to promise: `conformal.json` of a run, and the regions it gives a posterior."""

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
from infer.config import RENAMED_FUSIONS
from infer.decode.countries import mass_by_country, table_cells
from infer.decode.density import COMPONENTS, Surface
from infer.decode.raster import Raster
from infer.decode.region import box_areas, cell_areas, conformal_quantile, outline, region_cells
from plumbing.files import read_json

log = logging.getLogger(__name__)

CONFORMAL = "conformal.json"
SMOOTH = "smooth"
"""Name of the surface beside those of the levels."""
ELSEWHERE_KM = 30.0
"""Where no dataset of other places is named, a calibration photograph at least so far from any training photograph, as far as a
city and its surroundings reach, stands for places that are new to a run. On two demo planets such photographs lie about as far
from training photographs as places drawn anew do, and yet need less mass (bench/LOG.md)."""
DOUBT = (1e-6, 1 - 1e-6)
BETA = ("a", "b", "c", "d")
"""Parameters of beta calibration (Kull et al. 2017) with one more, for a best cell with n training photographs: log odds of being
right = a log p - b log(1 - p) + c + d log n. Where photographs are many, others lie in the cell itself, not beside it."""


@dataclass(frozen=True, eq=False)
class Needs:
    """How much mass calibration photographs need.

    Attributes:
        masses: (N,) ascending, without the photographs in no known cell, which nothing covers.
        related: (N,) how many calibration photographs each is one of, that are related to it and to each other: each such
            group counts as one.
        groups: how many groups all photographs make, those that nothing covers with them.
    """

    masses: NDArray[np.float64]
    related: NDArray[np.int64]
    groups: int

    @classmethod
    def of(cls, needed: NDArray[np.float64], group: NDArray[np.int64]) -> "Needs":
        """Return the needs of (N,) photographs, infinite where nothing covers them, and of their (N,) groups."""
        _, member, size = np.unique(group, return_inverse=True, return_counts=True)
        order = np.argsort(needed, kind="stable")[: int(np.isfinite(needed).sum())]
        return cls(needed[order], size[member[order]], len(size))

    def quantile(self, coverage: float) -> float:
        """Return the mass that new photographs need as often as is to be covered; infinite where that is impossible."""
        weights = 1 / self.related
        never = max(0.0, self.groups - float(weights.sum()))
        return conformal_quantile(np.append(self.masses, np.inf), coverage, np.append(weights, never))


@dataclass(frozen=True, eq=False)
class Promises:
    """What was measured on the calibration split, for one way to combine levels.

    Attributes:
        fusion: that way.
        photographs: of the split.
        weights: of the surface.
        needed: what it takes to cover the truth, by `SMOOTH` and by level name, best choice first.
        confidence: weights of `doubts`, by level name, whose sum is the log odds of the best cell's being right.
    """

    fusion: str
    photographs: int
    weights: tuple[float, ...]
    needed: Mapping[str, Needs]
    confidence: Mapping[str, tuple[float, ...]]

    def choose(self, coverage: float) -> tuple[str, float] | None:
        """Return the finest kind of cells that can keep a promise, and its quantile; None where none can."""
        for name, needed in self.needed.items():
            quantile = needed.quantile(coverage)
            if np.isfinite(quantile):
                return name, quantile
        return None

    def sure(self, level_name: str, best: NDArray[np.float64], learned: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the chance that the best cell of a level is right, cells that are no class counted in.

        Args:
            level_name: of a level.
            best: (N,) probabilities of best cells.
            learned: (N,) how many training photographs these have.
        """
        return expit(doubts(best, learned) @ np.array(self.confidence[level_name]))


def doubts(best: NDArray[np.float64], learned: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (N, 4) of the (N,) probabilities p of best cells and their training photographs n, see `BETA`."""
    p = np.clip(best, *DOUBT)
    return np.stack([np.log(p), -np.log1p(-p), np.ones_like(p), np.log(np.maximum(learned, 1))], axis=-1)


def as_json(promises: Promises) -> dict[str, Any]:
    """Return promises as plain values."""
    needed = {
        name: {
            "groups": needs.groups,
            "masses": [float(f"{mass:.7g}") for mass in needs.masses],
            "related": needs.related.tolist(),
        }
        for name, needs in promises.needed.items()
    }
    confidence = {name: dict(zip(BETA, weights, strict=True)) for name, weights in promises.confidence.items()}
    return {
        "photographs": promises.photographs,
        "surface_weights": list(promises.weights),
        "confidence": confidence,
        "needed_mass": needed,
    }


def from_json(content: Mapping[str, Any], fusion: str) -> Promises:
    """Return the promises of `as_json`."""
    needed = {
        name: Needs(np.array(needs["masses"], float), np.array(needs["related"], int), needs["groups"])
        for name, needs in content["needed_mass"].items()
    }
    confidence = {name: tuple(weights[key] for key in BETA) for name, weights in content["confidence"].items()}
    return Promises(fusion, content["photographs"], tuple(content["surface_weights"]), needed, confidence)


def read_promises(run: Path, model_hash: str, fusion: str, places: str = "usual") -> Promises | None:
    """Return what `train calibrate` found for these very weights and this fusion; None, with a warning, where nothing.

    Args:
        run: the run folder.
        model_hash: of its weights.
        fusion: in use.
        places: `usual`, for photographs from where the calibration photographs are from, or `elsewhere`, for
            photographs far from any training photograph.

    Raises:
        ValueError: nothing could be measured for photographs from elsewhere.
    """
    path = run / CONFORMAL
    if not path.is_file():
        log.warning("%s promises no regions: run `python -m train calibrate`", run)
        return None
    content = read_json(path)
    if content.get("model_hash") != model_hash or content.get("components") != COMPONENTS:
        log.warning("%s is of other weights and is left aside: run `python -m train calibrate`", path)
        return None
    fitted_for = RENAMED_FUSIONS.get(content["fusion"], content["fusion"])
    if fitted_for != fusion:
        log.warning("regions and confidence hold for --fusion %s alone: answers by %s come without", fitted_for, fusion)
        return None
    if places not in content["promises"]:
        raise ValueError(
            f"{run} promises nothing for --places {places}: too few calibration photographs lie {ELSEWHERE_KM:.0f} km "
            "from any training photograph; leave the flag out, or calibrate with photographs of other places, "
            "`python -m train calibrate --elsewhere DATASET`"
        )
    try:
        return from_json(content["promises"][places], fusion)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is of an earlier version, or damaged ({type(error).__name__}): run `python -m train calibrate` again"
        ) from None


class RegionFinder:
    """Regions of a run's posteriors, at the coverages asked for."""

    def __init__(
        self,
        hierarchy: Hierarchy,
        promises: Promises,
        device: torch.device,
        coverages: Sequence[float],
        inside: NDArray[np.float64] | None = None,
    ) -> None:
        """Prepare what all photographs share.

        Args:
            hierarchy: the cells.
            promises: of the run.
            device: where the posteriors are.
            coverages: in 0 to 1.
            inside: (65536,) what share of each cell of the land table prior knowledge leaves; all when None.
        """
        self.hierarchy, self.promises = hierarchy, promises
        self.chosen = {coverage: promises.choose(coverage) for coverage in coverages}
        self.surface = Surface(Raster.of(hierarchy), promises.weights, device)
        self.left = None if inside is None else inside[self.surface.raster.cell]
        self.raster_country = land_table().country[self.surface.raster.cell]

    def masses(self, posterior: Sequence[Tensor]) -> NDArray[np.float32]:
        """Return (B, cells) probabilities of the raster's cells, after prior knowledge."""
        mass = self.surface.spread(posterior[-1].exp().float()).cpu().numpy()
        if self.left is not None:
            mass = mass * self.left
        return mass / np.maximum(mass.sum(axis=1, keepdims=True), 1e-30)

    def regions(self, posterior: Sequence[Tensor]) -> list[list[dict[str, Any]]]:
        """Return the regions of each photograph of (B, classes) log probabilities per level.

        A coverage that cannot be promised gives no region.
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
        """Return the coverages that no kind of cells can promise."""
        return [coverage for coverage, chosen in self.chosen.items() if chosen is None]

    def _smooth(self, coverage: float, quantile: float, mass: NDArray[np.float32]) -> dict[str, Any]:
        raster = self.surface.raster
        cells = region_cells(mass, raster.area_km2, quantile)
        cells = cells[mass[cells] > 0]
        countries = mass_by_country(self.raster_country[cells], mass[cells])
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
        countries = mass_by_country(land_table().country[table_cell[held]], (mass[of] * share)[held])
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
