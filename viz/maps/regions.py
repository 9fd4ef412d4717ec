"""Outlines of prediction regions as a map draws them: whole across the antimeridian, near the answer."""

from html import escape
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from infer.prediction import Prediction, Region
from viz.maps.scene import region_parts
from viz.maps.wording import region_line, region_name

OUTLINE_COLOUR = "#14213d"


def widest_first(prediction: Prediction) -> list[Region]:
    """Return the regions of an answer in the order in which they are drawn."""
    return sorted(prediction.regions.values(), key=lambda region: -region.coverage)


def drawn_regions(prediction: Prediction, lon_deg: float) -> list[dict[str, Any]]:
    """Return `label` and `rings` (each of latitude, longitude) of an answer's regions, the widest first.

    Args:
        prediction: the answer.
        lon_deg: the meridian around which longitudes go on beyond ±180.
    """
    return [
        {
            "label": region_line(region),
            "dashed": dashed,
            "colour": OUTLINE_COLOUR,
            "rings": [ring.round(6).tolist() for ring in region_rings(region, lon_deg)],
        }
        for region, (_, dashed) in zip(widest_first(prediction), outlines(prediction), strict=True)
    ]


def outlines(prediction: Prediction) -> list[tuple[str, bool]]:
    """Return what each region is called and whether its outline is dashed, the widest first; only the smallest's is not."""
    regions = widest_first(prediction)
    return [(region_name(region.coverage), rank < len(regions) - 1) for rank, region in enumerate(regions)]


def region_rings(region: Region, lon_deg: float) -> list[NDArray[np.float64]]:
    """Return the rings of a region, outer ones and holes, each (M, 2) latitudes and longitudes.

    Args:
        region: any.
        lon_deg: each part is moved by whole turns, so that its middle lies within half a turn of this meridian.
    """
    parts = region_parts(region)
    west, _, east, _ = shapely.bounds(parts).T
    turns = np.round(((west + east) / 2 - lon_deg) / 360)
    moved = [shapely.affinity.translate(part, -360 * turn) for part, turn in zip(parts, turns, strict=True)]
    whole = shapely.get_parts(shapely.union_all(moved))
    rings = [ring for part in whole for ring in (part.exterior, *part.interiors)]
    return [shapely.get_coordinates(ring)[:, ::-1] for ring in rings]


def regions_html(prediction: Prediction) -> str:
    """Return the regions of an answer as HTML, the smallest first: how large they are and in which countries."""
    regions = widest_first(prediction)[::-1]
    if not regions:
        return ""
    lines = "".join(f"<li>{escape(region_line(region))}</li>" for region in regions)
    share = f"{regions[-1].coverage * 100:.10g}%"
    meaning = (
        f"Of photographs like those that the run was calibrated with, about {share} lie inside their {share} region."
    )
    if prediction.prior is not None or prediction.photographs:
        meaning = (
            f"The {share} is approximate here: it was measured for single photographs and without knowledge of an area."
        )
    return f'<div><ul class="regions">{lines}</ul><p class="soft">{meaning}</p></div>'
