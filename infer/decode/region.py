"""Conformal prediction regions: the smallest set of cells that holds the true place with a guaranteed coverage.

Cells are ordered by probability per square kilometre. The *conformity score* of a photograph is the mass of all cells at
least as dense as its true one. A region takes the cells whose cumulated mass is at most the split-conformal quantile of the
calibration photographs' scores, so that of new photographs of the same kind that share is covered, however wrong the
probabilities are (Vovk et al. 2005; Angelopoulos and Bates 2023, section 1). Where photographs come in groups, each group
counts as one, and the coverage is that of a random photograph of a new group. It holds for any number of exchangeable groups
of any sizes (hierarchical conformal prediction, Lee, Barber and Willett 2023): the threshold is at least the one that counts the
new group in, which is the same whichever of the groups is new.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from geocells.hierarchy import UNKNOWN, Hierarchy
from geocells.partitions import Partition

DECIMALS = 6
"""Of degrees in an outline: 11 cm."""


def conformity_scores(
    mass: NDArray[np.floating], area_km2: NDArray[np.float64], true_cell: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the mass of all cells at least as dense as the true one.

    Args:
        mass: (N, C) probabilities of cells.
        area_km2: (C,) above zero.
        true_cell: (N,) cells; UNKNOWN is never covered.

    Returns:
        (N,) from 0 to about 1; infinite where the true cell is unknown.
    """
    rows = np.arange(len(true_cell))
    density = mass / area_km2
    own = density[rows, np.maximum(true_cell, 0)]
    score = np.where(density >= own[:, None], mass, 0).sum(axis=1, dtype=np.float64)
    return np.where(true_cell == UNKNOWN, np.inf, score)


def conformal_quantile(scores: ArrayLike, coverage: float, weights: ArrayLike | None = None) -> float:
    """Return the ceil((n + 1) * coverage)-th smallest of n conformity scores; infinite where that coverage is impossible.

    Args:
        scores: (n,).
        coverage: in 0 to 1.
        weights: (n,) how much each counts, where it is not one; their sum takes the place of n.
    """
    values = np.asarray(scores, dtype=np.float64)
    counts = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    # Rounding must not turn 0.9 * 10 into ten.
    place = int(np.searchsorted(np.cumsum(counts[order]), (counts.sum() + 1) * coverage - 1e-9))
    return float(values[order[place]]) if place < len(values) else np.inf


def region_cells(mass: NDArray[np.floating], area_km2: NDArray[np.float64], quantile: float) -> NDArray[np.int64]:
    """Return the cells of score at most the threshold, densest first; at least the densest, for a place lies somewhere.

    Args:
        mass: (C,) probabilities.
        area_km2: (C,).
        quantile: threshold, a quantile of the conformity scores.
    """
    density = mass / area_km2
    order = np.argsort(-density, kind="stable")
    falling = -density[order]
    # Equally dense cells have the same score.
    last = np.searchsorted(falling, falling, side="right") - 1
    score = np.cumsum(mass[order], dtype=np.float64)[last]
    # Sums of single-precision numbers in another order differ in their last digits.
    taken = score <= max(quantile, score[0]) + 1e-6
    return order[taken]


def box_areas(bounds_deg: ArrayLike) -> NDArray[np.object_]:
    """Return (N, 4) boxes as (N,) polygons of (longitude, latitude), in two parts where one spans the antimeridian.

    Args:
        bounds_deg: south, west, north, east; east below west spans the antimeridian.
    """
    south, west, north, east = np.asarray(bounds_deg, dtype=np.float64).reshape(-1, 4).T
    across = east < west
    areas = shapely.box(west, south, np.where(across, 180, east), north)
    areas[across] = shapely.union(areas[across], shapely.box(-180, south[across], east[across], north[across]))
    return areas


def cell_areas(hierarchy: Hierarchy, rows: ArrayLike) -> NDArray[np.object_]:
    """Return the cells of rows of a hierarchy as (N,) polygons: their outlines where the partition has any, else boxes."""
    own = np.asarray(rows)
    areas = box_areas(hierarchy.bounds_deg[own])
    for k, (key, depth) in enumerate(zip(hierarchy.key[own].tolist(), hierarchy.level[own].tolist(), strict=True)):
        area = cell_outline(hierarchy.partition, key, depth)
        if area is not None:
            areas[k] = area
    return areas


@lru_cache(maxsize=4096)
def cell_outline(partition: Partition, key: int, depth: int) -> shapely.Geometry | None:
    """Return the outline of a cell, None of one that is its box; most photographs of a series have the same likeliest cells."""
    return partition.outline(key, depth)


def outline(areas: NDArray[np.object_]) -> dict[str, Any]:
    """Return the union of polygons as a GeoJSON MultiPolygon (RFC 7946: outer rings counterclockwise, cut at 180).

    Args:
        areas: (N,) polygons and multipolygons of (longitude, latitude) within ±180, not overlapping.
    """
    # Rounding each coordinate by itself would leave slivers, which are not valid.
    merged = shapely.set_precision(shapely.union_all(areas), 10**-DECIMALS)
    parts = shapely.orient_polygons(shapely.get_parts(merged.normalize()))
    return {"type": "MultiPolygon", "coordinates": [_rings(part) for part in parts]}


def _rings(polygon: shapely.Polygon) -> list[list[list[float]]]:
    rings = [polygon.exterior, *polygon.interiors]
    # GeoJSON alone has longitude first.
    return [shapely.get_coordinates(ring).round(DECIMALS).tolist() for ring in rings]
