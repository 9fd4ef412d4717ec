"""Conformal prediction regions of posteriors: the densest cells up to the threshold of each coverage."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocells.hierarchy import Hierarchy
from geocells.land import TABLE_LEVEL, land_table
from geocells.outlines import area_km2
from infer.decode.class_sets import class_set
from infer.decode.conformal import SMOOTH, ConformalCalibration
from infer.decode.countries import mass_by_country, table_cells
from infer.decode.density import SmoothDensity
from infer.decode.raster import Raster
from infer.decode.region import box_areas, cell_areas, outline, region_cells


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
        self._table: dict[int, tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = {}
        self._choose(coverages)
        self.density = (
            SmoothDensity(Raster.of(hierarchy), conformal.weights, device) if SMOOTH in conformal.scores else None
        )
        self._know(inside, None)

    def _choose(self, coverages: Sequence[float]) -> None:
        self.chosen = {coverage: self.conformal.choose(coverage) for coverage in coverages}
        # Where coordinates calibrate none, a region is the area of the countries in the set of that coverage.
        self.sets = {
            coverage: self.conformal.choose_set(coverage) for coverage, chosen in self.chosen.items() if not chosen
        }

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
        other._choose(coverages)
        other._know(inside, country)
        return other

    def masses(self, posterior: Sequence[Tensor]) -> NDArray[np.float32]:
        """Return (B, cells) probabilities of the raster's cells, after prior knowledge."""
        assert self.density is not None, "coordinates calibrate it"
        mass = self.density.spread(posterior[-1].exp().float()).cpu().numpy()
        mass = mass * self.inside[self.density.raster.cell].astype(np.float32)
        return mass / np.maximum(mass.sum(axis=1, keepdims=True), 1e-30)

    def regions(self, posterior: Sequence[Tensor]) -> list[list[dict[str, Any]]]:
        """Return the regions of each photograph of (B, classes) log probabilities per level.

        A coverage that is impossible gives no region.
        """
        kinds = {chosen[0] for chosen in self.chosen.values() if chosen}
        smooth = self.masses(posterior) if SMOOTH in kinds else None
        return [
            [
                self._smooth(coverage, quantile, smooth[row])
                if name == SMOOTH and smooth is not None
                else self._of_level(coverage, quantile, name, posterior, row, of_set=coverage in self.sets)
                for coverage, (name, quantile) in self._possible()
            ]
            for row in range(len(posterior[0]))
        ]

    def _possible(self) -> list[tuple[float, tuple[str, float]]]:
        found = ((coverage, chosen or self.sets[coverage]) for coverage, chosen in self.chosen.items())
        return [(coverage, chosen) for coverage, chosen in found if chosen]

    def impossible(self) -> list[float]:
        """Return the coverages that no kind of cells can guarantee."""
        return [coverage for coverage, chosen in self.sets.items() if chosen is None]

    def _smooth(self, coverage: float, quantile: float, mass: NDArray[np.float32]) -> dict[str, Any]:
        assert self.density is not None, "coordinates calibrate it"
        raster = self.density.raster
        cells = region_cells(mass, raster.area_km2, quantile)
        cells = cells[mass[cells] > 0]
        countries = mass_by_country(self.country[raster.cell[cells]], mass[cells])
        return region_record(coverage, f"L{TABLE_LEVEL}", box_areas(raster.bounds_deg[cells]), mass[cells], countries)

    def _of_level(
        self, coverage: float, quantile: float, name: str, posterior: Sequence[Tensor], row: int, of_set: bool
    ) -> dict[str, Any]:
        level = self.hierarchy.level_index(name)
        rows = self.hierarchy.rows(level)
        mass = posterior[level][row].exp().double().cpu().numpy()
        cells = class_set(mass, quantile) if of_set else region_cells(mass, self.hierarchy.area_km2[rows], quantile)
        cells = cells[mass[cells] > 0]
        if level not in self._table:
            self._table[level] = table_cells(self.hierarchy, level)
        of, table_cell, share = self._table[level]
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
