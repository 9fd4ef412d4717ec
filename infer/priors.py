"""What somebody knows beside the photograph: it was taken within an area, or outside of one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocells.hierarchy import Hierarchy
from geocells.land import TABLE_LEVEL, land_table, shares
from geocells.natural_earth import read_polygons
from infer.countries import known_countries, table_cells
from infer.posterior import Tree, sum_up

NUMBER = r"\s*[-+]?\d+(?:\.\d*)?\s*"


@dataclass(frozen=True, eq=False)
class Prior:
    """How much of each cell prior knowledge leaves.

    Attributes:
        words: what it says.
        leaf: (leaves,) 0 to 1.
        table: (65536,) 0 to 1, for the cells of the land table.
    """

    words: str
    leaf: NDArray[np.float64]
    table: NDArray[np.float64]


def make_prior(hierarchy: Hierarchy, within: Sequence[str], exclude: Sequence[str]) -> Prior | None:
    """Return what `--within` and `--exclude` leave; None where nothing is given.

    Several areas to be within are one area together. Each is a country's code, two corners, or a file of polygons.

    Raises:
        ValueError: an area cannot be understood, or no class of the hierarchy is left.
    """
    if not within and not exclude:
        return None
    leaf_in, table_in = _joined(hierarchy, within) if within else (1.0, 1.0)
    leaf_out, table_out = _joined(hierarchy, exclude)
    leaf, table = leaf_in * (1 - leaf_out), table_in * (1 - table_out)
    words = " ".join(
        f"{flag} {' '.join(areas)}" for flag, areas in (("within", within), ("excluding", exclude)) if areas
    )
    if not np.any(leaf > 0):
        raise ValueError(
            f"{words}: none of the {len(leaf):,} {hierarchy.level_names[-1]} cells that this run knows is left; "
            "it has no training photographs there, so it cannot answer there"
        )
    return Prior(words, leaf, table)


def _joined(hierarchy: Hierarchy, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares of leaves and of the table's cells that lie in at least one of several areas."""
    leaf_out, table_out = np.ones(hierarchy.sizes()[-1]), np.ones(4**TABLE_LEVEL)
    for text in texts:
        leaf, table = area_shares(hierarchy, text)
        leaf_out, table_out = leaf_out * (1 - leaf), table_out * (1 - table)
    return 1 - leaf_out, 1 - table_out


def area_shares(hierarchy: Hierarchy, text: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what share of each leaf, and of each cell of the land table, lies in an area.

    A country's share of a leaf is one of land, by the country with most land in each cell of the table; a polygon's is
    one of area, exact.

    Raises:
        ValueError: the text is no country, no two corners and no file.
    """
    if re.fullmatch(r"[A-Za-z]{2}", text.strip()):
        return _country_shares(hierarchy, text.strip().upper())
    if re.fullmatch(",".join([NUMBER] * 4), text):
        return _polygon_shares(hierarchy, corner_boxes(text))
    if Path(text).exists():
        return _polygon_shares(hierarchy, shapely.make_valid(read_polygons(Path(text))[0]))
    raise ValueError(
        f"{text!r} is no area: give a country's code such as DE, two corners as south,west,north,east in degrees such as "
        "47,5,55,16, or a file of polygons such as area.geojson"
    )


def _country_shares(hierarchy: Hierarchy, code: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    table = (land_table().country == code).astype(np.float64)
    if not table.any():
        raise ValueError(
            f"{code} has most of the land in no cell of 160 by 80 km: give a file of polygons, or one of "
            f"{' '.join(known_countries())}"
        )
    leaf, cell, share = table_cells(hierarchy, hierarchy.depth - 1)
    return np.minimum(np.bincount(leaf, share * table[cell], hierarchy.sizes()[-1]), 1), table


def corner_boxes(text: str) -> NDArray[np.object_]:
    """Return the box between two corners, as two boxes where it spans the antimeridian.

    Raises:
        ValueError: it is not on Earth, or has no area.
    """
    south, west, north, east = (float(part) for part in text.split(","))
    if not -90 <= south < north <= 90 or max(abs(west), abs(east)) > 180 or west == east:
        raise ValueError(
            f"{text!r} is no area: two corners are south,west,north,east in degrees, south below north; west above "
            "east spans the antimeridian"
        )
    spans = [(west, east)] if west < east else [(west, 180.0), (-180.0, east)]
    return np.array([shapely.box(w, south, e, north) for w, e in spans if w < e], dtype=object)


def _polygon_shares(
    hierarchy: Hierarchy, areas: NDArray[np.object_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    one = np.array([shapely.union_all(areas)], dtype=object)
    cell, _, share = shares(one, TABLE_LEVEL)
    table = np.minimum(np.bincount(cell, share, 4**TABLE_LEVEL), 1)
    return boxes_inside(hierarchy.bounds_deg[hierarchy.rows(hierarchy.depth - 1)], one[0]), table


def boxes_inside(bounds_deg: NDArray[np.float64], area: shapely.Geometry) -> NDArray[np.float64]:
    """Return what share of each box's true area lies in an area.

    Args:
        bounds_deg: (N, 4) south, west, north, east; east below west spans the antimeridian.
        area: (longitude, latitude) in degrees, valid.
    """
    south, west, north, east = bounds_deg.T
    boxes = shapely.box(west, south, np.where(east < west, 180, east), north)
    beyond = shapely.box(-180, south, np.where(east < west, east, -180), north)
    shapely.prepare(area)
    inside, whole = np.zeros(len(bounds_deg)), np.zeros(len(bounds_deg))
    for part in (boxes, beyond):
        whole += _equal_area(part)
        near = shapely.intersects(area, part)
        inside[near] += _equal_area(shapely.intersection(area, part[near]))
    return np.clip(inside / whole, 0, 1)


def _equal_area(areas: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return areas on the unit sphere, by Lambert's cylindrical projection."""
    return shapely.area(
        shapely.transform(areas, lambda xy: np.column_stack([np.radians(xy[:, 0]), np.sin(np.radians(xy[:, 1]))]))
    )


def restrict(tree: Tree, posterior: Sequence[Tensor], prior: Prior) -> tuple[list[Tensor], NDArray[np.float64]]:
    """Return the posterior times each leaf's share inside, renormalised, and what mass it had inside.

    Args:
        tree: the hierarchy.
        posterior: (B, classes) log probabilities per level.
        prior: what is left.

    Returns:
        (B, classes) log probabilities per level, and (B,) masses from 0 to 1. Where that is zero, as cut-off posteriors
        can have it, nothing but the prior speaks.
    """
    log_share = torch.from_numpy(prior.leaf).to(posterior[-1]).log()
    left = posterior[-1] + log_share
    inside = torch.logsumexp(left, dim=1, keepdim=True)
    known = torch.where(torch.isfinite(inside), left - inside, torch.log_softmax(log_share, dim=0))
    return sum_up(tree, known), inside[:, 0].double().exp().clamp(max=1).cpu().numpy()
