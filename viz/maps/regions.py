"""Outlines of prediction regions as a map draws them: whole across the antimeridian, near the answer."""

from html import escape
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocells.outlines import area_km2
from infer.prediction import Prediction, Region
from viz.maps.scene import region_parts
from viz.maps.wording import area_words, region_line, region_name
from viz.web.page import colours

OUTLINE_COLOUR = colours()["pin"]
"""Of regions in a picture, as of those on a page."""
SPECK = 1.5
"""A part of a region smaller than so many of its mean cells is a single cell."""


def widest_first(prediction: Prediction) -> list[Region]:
    """Return the regions of an answer in the order in which they are drawn."""
    return sorted(prediction.regions.values(), key=lambda region: -region.coverage)


def drawn_regions(prediction: Prediction, lon_deg: float) -> list[dict[str, Any]]:
    """Return what is drawn of an answer's regions, the widest first.

    Args:
        prediction: the answer.
        lon_deg: the meridian around which longitudes go on beyond ±180.

    Returns:
        Of each `label`, whether it is `dashed`, `rings` (each of latitude, longitude), and `specks`: rings of single cells apart
        from all else, which are hatched where the others are dashed.
    """
    drawn = []
    for region, (_, dashed) in zip(widest_first(prediction), outlines(prediction), strict=True):
        parts = moved_parts(region, lon_deg)
        single = single_cells(region, parts) & dashed
        drawn.append(
            {
                "label": region_line(region),
                "dashed": dashed,
                "rings": [ring.round(5).tolist() for ring in rings_of(parts[~single])],
                "specks": [ring.round(5).tolist() for ring in rings_of(parts[single])],
            }
        )
    return drawn


def single_cells(region: Region, parts: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Say of which (N,) parts of a region each is a single cell: none where all of it is one part."""
    if len(parts) < 2:
        return np.zeros(len(parts), dtype=bool)
    return area_km2(parts) < SPECK * region.area_km2 / max(region.cells, 1)


def outlines(prediction: Prediction) -> list[tuple[str, bool]]:
    """Return what each region is called and whether its outline is dashed, the widest first; only the smallest's is not."""
    regions = widest_first(prediction)
    return [(region_name(region.coverage), rank < len(regions) - 1) for rank, region in enumerate(regions)]


def has_specks(prediction: Prediction) -> bool:
    """Say whether single cells are hatched anywhere."""
    return any(
        single_cells(region, region_parts(region)).any()
        for region, (_, dashed) in zip(widest_first(prediction), outlines(prediction), strict=True)
        if dashed
    )


def moved_parts(region: Region, lon_deg: float) -> NDArray[np.object_]:
    """Return the polygons of a region, each whole across the antimeridian.

    Args:
        region: any.
        lon_deg: each part is moved by whole turns, so that its middle lies within half a turn of this meridian.
    """
    parts = region_parts(region)
    west, _, east, _ = shapely.bounds(parts).T
    turns = np.round(((west + east) / 2 - lon_deg) / 360)
    moved = [shapely.affinity.translate(part, -360 * turn) for part, turn in zip(parts, turns, strict=True)]
    whole: NDArray[np.object_] = np.asarray(shapely.get_parts(shapely.union_all(moved)), dtype=object)
    return whole


def rings_of(parts: NDArray[np.object_]) -> list[NDArray[np.float64]]:
    """Return the rings of polygons, outer ones and holes, each (M, 2) latitudes and longitudes."""
    rings = [ring for part in parts for ring in (part.exterior, *part.interiors)]
    return [shapely.get_coordinates(ring)[:, ::-1] for ring in rings]


def regions_html(prediction: Prediction) -> str:
    """Return how large the regions of an answer are as HTML, the widest first."""
    sizes = [f"{region_name(region.coverage)}: {area_words(region.area_km2)}" for region in widest_first(prediction)]
    shown = " ".join(f"<span>{escape(size)}</span>" for size in sizes)
    return f'<p class="lead">{shown}</p>' if shown else ""


def coverage_words(prediction: Prediction) -> str:
    """Return what the coverage of the widest region means; empty without regions."""
    if not prediction.regions:
        return ""
    share = f"{widest_first(prediction)[0].coverage * 100:.10g}%"
    if prediction.prior is not None or prediction.photographs or prediction.views:
        return (
            f"The {share} is approximate here: it was measured for single photographs and without knowledge of an area."
        )
    return (
        f"Of photographs like those that the run was calibrated with, about {share} lie inside their {share} region; "
        "the others lie elsewhere."
    )
