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
from geocells.outlines import area_km2, polygonal
from infer.decode.countries import known_countries, table_cells
from infer.decode.posterior import Tree, sum_up
from infer.decode.region import cell_areas

NUMBER = r"\s*[-+]?\d+(?:\.\d*)?\s*"
ROUNDING = 1e-9
"""Of a cell of which no more is left, nothing is."""


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
    leaf, table = _left(hierarchy, within, exclude)
    words = " ".join(
        f"{flag} {' '.join(areas)}" for flag, areas in (("within", within), ("excluding", exclude)) if areas
    )
    if not np.any(leaf > 0):
        raise ValueError(
            f"{words}: none of the {len(leaf):,} {hierarchy.level_names[-1]} cells that this run knows is left; "
            "it has no training photographs there, so it cannot answer there"
        )
    return Prior(words, leaf, table)


def _left(
    hierarchy: Hierarchy, within: Sequence[str], exclude: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares of leaves, and of the land table's cells, that lie within and are not excluded."""
    if not exclude:
        return area_shares(hierarchy, *within)
    leaf_out, table_out = area_shares(hierarchy, *exclude)
    # What is within and not excluded is what either holds, less what is excluded.
    both = area_shares(hierarchy, *within, *exclude) if within else (np.ones_like(leaf_out), np.ones_like(table_out))
    leaf, table = both[0] - leaf_out, both[1] - table_out
    return np.where(leaf > ROUNDING, leaf, 0), np.where(table > ROUNDING, table, 0)


def area_shares(hierarchy: Hierarchy, *texts: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what share of each leaf, and of each cell of the land table, lies in at least one of several areas.

    All polygons are one, whose share is one of true area, exact. Countries' share of a leaf is one of land, by the
    country with most land in each cell of the table. A leaf with both has the sum, less the overlap by the table's
    cells, but at least the larger share and at most 1.

    Raises:
        ValueError: a text is no country, no two corners and no file.
    """
    areas = [_read_area(text) for text in texts]
    polygons = [area for area in areas if not isinstance(area, str)]
    leaf, table = np.zeros(hierarchy.sizes()[-1]), np.zeros(4**TABLE_LEVEL)
    if polygons:
        leaf, table = _polygon_shares(hierarchy, shapely.union_all(polygons))
    country = np.isin(land_table().country, [area for area in areas if isinstance(area, str)])
    if country.any():
        of, cell, share = table_cells(hierarchy, hierarchy.depth - 1)
        land = np.minimum(np.bincount(of, share * country[cell], len(leaf)), 1)
        both = np.bincount(of, share * country[cell] * table[cell], len(leaf))
        leaf = np.clip(leaf + land - both, np.maximum(leaf, land), 1)
    return leaf, np.where(country, 1, table)


def _polygon_shares(hierarchy: Hierarchy, area: shapely.Geometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    cell, _, share = shares(np.array([area], dtype=object), TABLE_LEVEL)
    rows = hierarchy.rows(hierarchy.depth - 1)
    leaf = cells_inside(cell_areas(hierarchy, np.arange(rows.start, rows.stop)), area)
    return leaf, np.minimum(np.bincount(cell, share, 4**TABLE_LEVEL), 1)


def _read_area(text: str) -> str | shapely.Geometry:
    """Return the code of a country, or polygons of (longitude, latitude).

    Raises:
        ValueError: the text is no country, no two corners and no file.
    """
    if re.fullmatch(r"[A-Za-z]{2}", text.strip()):
        code = text.strip().upper()
        if code not in known_countries():
            raise ValueError(
                f"{code} has most of the land in no cell of 160 by 80 km: give a file of polygons, or one of "
                f"{' '.join(known_countries())}"
            )
        return code
    if re.fullmatch(",".join([NUMBER] * 4), text):
        return shapely.union_all(corner_boxes(text))
    if Path(text).exists():
        return shapely.union_all(polygonal(read_polygons(Path(text))[0]))
    raise ValueError(
        f"{text!r} is no area: give a country's code such as DE, two corners as south,west,north,east in degrees such as "
        "47,5,55,16, or a file of polygons such as area.geojson"
    )


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


def cells_inside(cells: NDArray[np.object_], area: shapely.Geometry) -> NDArray[np.float64]:
    """Return what share of each of (N,) cells lies in an area, by true area.

    Args:
        cells: polygons of (longitude, latitude) in degrees.
        area: likewise, valid.
    """
    shapely.prepare(area)
    share = shapely.covers(area, cells).astype(np.float64)
    cut = np.flatnonzero((share == 0) & shapely.intersects(area, cells))
    share[cut] = area_km2(shapely.intersection(area, cells[cut])) / area_km2(cells[cut])
    return np.minimum(share, 1)


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
