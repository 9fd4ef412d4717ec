"""Outlines of regions as a map draws them: whole across the antimeridian, near the answer."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import shapely

from viz.maps.answer import percent

OUTLINE_COLOUR = "#14213d"


def drawn_regions(answer: Mapping[str, Any], lon_deg: float) -> list[dict[str, Any]]:
    """Return `label` and `rings` (each of latitude, longitude) of an answer's regions, the widest first.

    Args:
        answer: one photograph's record of predictions.json.
        lon_deg: the meridian around which longitudes go on beyond ±180.
    """
    regions = sorted(answer.get("regions") or (), key=lambda region: -float(region["coverage"]))
    return [
        {
            "label": region_words(region),
            "dashed": rank < len(regions) - 1,
            "colour": OUTLINE_COLOUR,
            "rings": _rings(region["geometry"], lon_deg),
        }
        for rank, region in enumerate(regions)
    ]


def region_words(region: Mapping[str, Any]) -> str:
    """Return what a region promises, in words."""
    return f"{float(region['coverage']):.0%} region: {_area_words(float(region['area_km2']))}"


def _rings(geometry: Mapping[str, Any], lon_deg: float) -> list[list[list[float]]]:
    parts = shapely.get_parts(shapely.geometry.shape(geometry))
    west, _, east, _ = shapely.bounds(parts).T
    turns = np.round(((west + east) / 2 - lon_deg) / 360)
    moved = [shapely.affinity.translate(part, -360 * turn) for part, turn in zip(parts, turns, strict=True)]
    whole = shapely.get_parts(shapely.union_all(moved))
    rings = [ring for part in whole for ring in (part.exterior, *part.interiors)]
    return [shapely.get_coordinates(ring)[:, ::-1].round(6).tolist() for ring in rings]


def regions_html(regions: Sequence[Mapping[str, Any]]) -> str:
    """Return regions as HTML: how often they hold the place, how large they are, in which countries."""
    return "".join(
        f"<p>The place lies <b>{float(region['coverage']):.0%}</b> of the time in an outlined region such as this of "
        f"<b>{_area_words(float(region['area_km2']))}</b>: {escape(_countries(region))}.</p>"
        for region in sorted(regions, key=lambda region: float(region["coverage"]))
    )


def _area_words(area_km2: float) -> str:
    return f"{area_km2 / 1e6:.2g} million km²" if area_km2 >= 1e6 else f"{float(f'{area_km2:.2g}'):,.0f} km²"


def _countries(region: Mapping[str, Any], most: int = 4) -> str:
    countries = region.get("countries") or ()
    words = [f"{country['code']} {percent(float(country['share']))}" for country in countries[:most]]
    return (", ".join(words) or "at sea") + (f" and {len(countries) - most} more" if len(countries) > most else "")
