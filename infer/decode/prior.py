"""What somebody knows beside the photograph: it was taken within an area, or outside of one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from torch import Tensor

from dataset.country_names import country_name
from geocells.hierarchy import Hierarchy
from geocells.land import TABLE_LEVEL, cell_boxes, land_table
from geocells.outlines import polygonal
from geocells.partitions.admin import AdminPartition
from infer.decode.area import (
    DECIMALS,
    Area,
    covers_points,
    main_country,
    nearest_inside,
    read_area,
    shares_inside,
    shrunk,
)
from infer.decode.posterior import Tree, sum_up
from infer.decode.region import cell_areas
from infer.wording import prior_words
from label_maps.labels import COUNTRY
from plumbing.text import counted

ROUNDING = 1e-9
"""A cell of which a smaller share is left is taken to be outside."""
SLIVER_DEG2 = 1e-10
"""Parts of clipped regions that are smaller, about a square metre, come from rounding."""
NAMED = 10
"""Countries that a refusal lists."""
WORLD = shapely.box(-180, -90, 180, 90)


@dataclass(frozen=True, eq=False)
class Prior:
    """How much of each cell prior knowledge leaves, and which part of the Earth.

    Attributes:
        words: what it says, such as 'within DE'.
        leaf: (leaves,) 0 to 1.
        table: (65536,) 0 to 1, for the cells of the land table.
        geometry: the area that is left, with coastal waters of countries: polygons of (longitude, latitude).
        land: the same without coastal waters: points are answered here.
        core: the land less a margin of 2 m: what lies in it is inside after rounding to 5 decimals, too.
        center_deg: (leaves, 2) latitude and longitude answered for a leaf: its own, moved inside where it lies outside and
            `leaf` is above 0.
        country: (65536,) which of the countries left has most land in each cell of the land table.
        within: what the photograph was taken in, if that is known.
        exclude: what it was not taken in.
    """

    words: str
    leaf: NDArray[np.float64]
    table: NDArray[np.float64]
    geometry: shapely.Geometry = WORLD
    land: shapely.Geometry = WORLD
    core: shapely.Geometry = WORLD
    center_deg: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    country: NDArray[np.str_] = field(default_factory=lambda: land_table().country)
    within: Area | None = None
    exclude: Area | None = None

    def inside(self, points_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which of (N, 2) points lie in the area, its coastal waters among it, or on its edge."""
        return covers_points(self.geometry, np.asarray(points_deg, dtype=np.float64))

    def hold(self, points_deg: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, 2) points, those off the area's land moved to the nearest place on it.

        A point that is moved has 5 decimals; all are inside, and stay so when they are rounded to 5 decimals.
        """
        points = np.array(points_deg, dtype=np.float64)
        points[:, 1] = (points[:, 1] + 180) % 360 - 180
        outside = ~(covers_points(self.land, points) & covers_points(self.land, points.round(DECIMALS)))
        if outside.any():
            points[outside] = nearest_inside(points[outside], self.core).round(DECIMALS)
        return points

    def clip(self, areas: NDArray[np.object_]) -> NDArray[np.object_]:
        """Return what of each of (N,) polygons or multipolygons lies in the area: valid, empty where nothing does."""
        out = np.array(areas, dtype=object)
        cut = np.flatnonzero(~shapely.covers(self.geometry, out))
        part, owner = shapely.get_parts(polygonal(shapely.intersection(self.geometry, out[cut])), return_index=True)
        kept = shapely.area(part) > SLIVER_DEG2
        out[cut] = shapely.MultiPolygon()
        if kept.any():
            left = np.full(len(cut), shapely.MultiPolygon(), dtype=object)
            out[cut] = shapely.multipolygons(part[kept], indices=owner[kept], out=left)
        return out

    def keeps_towns(self, codes: NDArray[np.str_], points_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which of (N,) towns are left.

        Args:
            codes: (N,) their countries; towns on simplified coasts and borders count by these.
            points_deg: (N, 2).
        """
        kept = np.ones(len(codes), dtype=bool)
        if self.within is not None:
            kept &= self.within.holds_towns(codes, points_deg)
        if self.exclude is not None:
            kept &= ~self.exclude.holds_towns(codes, points_deg)
        return kept

    def sentence(self, mass_inside: float) -> str:
        """Return how little or much the model itself put inside: 'the model itself put 3.1% inside Germany (within DE)'."""
        plain = self.within is not None and self.exclude is None and shapely.is_empty(self.within.drawn)
        return prior_words(self.words, self.within.codes if plain and self.within else None, mass_inside)


def make_prior(hierarchy: Hierarchy, within: Sequence[str], exclude: Sequence[str]) -> Prior | None:
    """Return what `--within` and `--exclude` leave; None where nothing is given.

    Several areas to be within are one area together. Each is a country's code or name, two corners, or a file of polygons.

    Raises:
        ValueError: an area cannot be understood, or no class of the hierarchy is left.
    """
    if not within and not exclude:
        return None
    inside, outside = (read_area(texts) if texts else None for texts in (within, exclude))
    if inside is not None:
        _refuse_unlearned(hierarchy, inside)
    geometry = _less(WORLD if inside is None else inside.whole, outside)
    land = _less(WORLD if inside is None else inside.land, outside)
    shapely.prepare([geometry, land])
    core = shrunk(land)
    leaf, table = _left(hierarchy, within, exclude)
    leaf, center_deg = _centers(hierarchy, leaf, land, core)
    words = " ".join(
        f"{flag} {' '.join(area.names)}" for flag, area in (("within", inside), ("excluding", outside)) if area
    )
    if not np.any(leaf > 0):
        raise ValueError(
            f"{words}: none of the {counted(len(leaf), f'{hierarchy.level_names[-1]} cell')} that this run knows is left; "
            "it has no training photographs there, so it cannot answer there"
        )
    return Prior(
        words, leaf, table, geometry, land, core, center_deg, _countries(table, inside, outside), inside, outside
    )


def _refuse_unlearned(hierarchy: Hierarchy, within: Area) -> None:
    """Refuse countries of which none is a class where classes are countries: only slivers of their neighbours would answer.

    Raises:
        ValueError: the partition has all of the countries, and the run learned none of them.
    """
    if COUNTRY not in hierarchy.level_names or not isinstance(hierarchy.partition, AdminPartition):
        return
    level = hierarchy.level_index(COUNTRY)
    learned, there = hierarchy.name[hierarchy.rows(level)], set(hierarchy.partition.texts[level].tolist())
    if not within.codes or not shapely.is_empty(within.drawn) or set(within.codes) - there:
        return
    if set(within.codes) & set(learned):
        return
    named = " or ".join(country_name(code) for code in within.codes)
    known = ", ".join(country_name(code) for code in learned[:NAMED])
    more = f" and {len(learned) - NAMED} more" if len(learned) > NAMED else ""
    raise ValueError(
        f"within {' '.join(within.names)}: the run has no training photographs of {named} and cannot answer there; its countries "
        f"are {known}{more}: name one of them, or leave the area out"
    )


def _less(area: shapely.Geometry, excluded: Area | None) -> shapely.Geometry:
    if excluded is None:
        return area
    return polygonal(np.array([shapely.difference(area, excluded.whole)], dtype=object))[0]


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

    `infer.decode.area.shares_inside` says what a share is.

    Raises:
        ValueError: a text is not a country, two corners or a file.
    """
    area = read_area(texts)
    rows = hierarchy.rows(hierarchy.depth - 1)
    leaf = shares_inside(cell_areas(hierarchy, np.arange(rows.start, rows.stop)), area)
    return leaf, shares_inside(_table_boxes(), area)


@cache
def _table_boxes() -> NDArray[np.object_]:
    return cell_boxes(np.arange(4**TABLE_LEVEL), TABLE_LEVEL)


def _centers(
    hierarchy: Hierarchy, leaf: NDArray[np.float64], land: shapely.Geometry, core: shapely.Geometry
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (leaves,) shares and (leaves, 2) coordinates inside, for leaves of which something is left.

    A leaf whose part inside is too thin for a coordinate of 5 decimals has nothing left.
    """
    rows = hierarchy.rows(hierarchy.depth - 1)
    center_deg, left = hierarchy.center_deg[rows].copy(), leaf.copy()
    held = covers_points(land, center_deg) & covers_points(land, center_deg.round(DECIMALS))
    moved = np.flatnonzero((left > 0) & ~held)
    pieces = polygonal(shapely.intersection(core, cell_areas(hierarchy, rows.start + moved)))
    some = ~shapely.is_empty(pieces)
    left[moved[~some]] = 0
    points = shapely.point_on_surface(pieces[some])
    center_deg[moved[some]] = np.column_stack([shapely.get_y(points), shapely.get_x(points)])
    return left, center_deg


def _countries(table: NDArray[np.float64], within: Area | None, exclude: Area | None) -> NDArray[np.str_]:
    """Return the country of each cell of the land table, one that is left wherever the table's own is not."""
    country = land_table().country.copy()
    if within is not None and shapely.is_empty(within.drawn):
        codes = [code for code in within.codes if exclude is None or code not in exclude.codes]
        other = np.flatnonzero((table > 0) & ~np.isin(country, codes))
    elif exclude is not None and exclude.codes:
        codes = sorted(set(country.tolist()) - set(exclude.codes) - {""})
        other = np.flatnonzero((table > 0) & np.isin(country, exclude.codes))
    else:
        return country
    country[other] = main_country(cell_boxes(other, TABLE_LEVEL), codes)
    return country


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
