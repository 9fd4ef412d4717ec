"""The base map in pictures, as matplotlib draws it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.path import Path as MarkedPath
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from viz.base_map.packing import BaseMap, base_map, unpack
from viz.base_map.regions import regions_of
from viz.web.page import Theme, colours

SEAM_DEG, POLE_DEG = 179.99, -89.9
"""Land is cut here; nothing ends."""
COUNTRY, REGION, CITY = "country", "region", "city"
"""Kinds of names."""


def draw_ground(axes: Axes, turns: Sequence[int], theme: Theme = "light") -> None:
    """Draw sea, land, coast and borders under all else, each by some turns of 360 degrees; the limits of the axes must be set."""
    draw_land(axes, turns, theme)
    draw_lines(axes, turns, theme)


def draw_land(axes: Axes, turns: Sequence[int], theme: Theme = "light") -> None:
    """Draw sea and land, as `draw_ground` does."""
    colour = colours(theme)
    axes.set_facecolor(colour["ocean"])
    for turn in turns:
        rings = _seen(axes, base_map().coast, turn)
        if not rings:
            continue
        # The same colour around it, or sea would show through the cut at the antimeridian.
        land = PathCollection(
            [_filled(rings)], facecolors=colour["land"], edgecolors=colour["land"], linewidths=0.4, zorder=0
        )
        axes.add_collection(land, autolim=False)


def draw_lines(axes: Axes, turns: Sequence[int], theme: Theme = "light") -> None:
    """Draw coast, borders, and the first-level regions of a small area, as `draw_ground` does."""
    colour = colours(theme)
    for turn in turns:
        rings, borders = _seen(axes, base_map().coast, turn), _seen(axes, base_map().borders, turn)
        coast = [part for ring in rings for part in _without_cuts(ring)]
        axes.add_collection(LineCollection(coast, colors=colour["coast"], linewidths=0.5, zorder=1), autolim=False)
        axes.add_collection(LineCollection(borders, colors=colour["border"], linewidths=0.6, zorder=1), autolim=False)
        if (regions := _regions(axes)) is not None:
            inner = _seen(axes, regions.borders, turn)
            axes.add_collection(LineCollection(inner, colors=colour["border"], linewidths=0.3, zorder=1), autolim=False)


def _regions(axes: Axes) -> BaseMap | None:
    """Return the first-level regions that a page of the same view shows."""
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    packed = regions_of((south, west, north, east))
    return None if packed is None else unpack(packed)


def _seen(axes: Axes, lines: Sequence[NDArray[np.float64]], turn: int) -> list[NDArray[np.float64]]:
    """Return longitudes and latitudes of the lines that may lie within the axes."""
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    boxes = [(*line.min(axis=0), *line.max(axis=0)) for line in lines]
    low_lat, low_lon, high_lat, high_lon = np.array(boxes).T
    seen = (low_lat < north) & (high_lat > south) & (low_lon + turn < east) & (high_lon + turn > west)
    return [lines[k][:, ::-1] + [turn, 0] for k in np.flatnonzero(seen).tolist()]


def _filled(rings: Sequence[NDArray[np.float64]]) -> MarkedPath:
    """Return rings as one path, in which holes stay holes: they run the other way around than what they lie in."""
    codes = [
        np.r_[MarkedPath.MOVETO, np.full(len(ring) - 1, MarkedPath.LINETO), MarkedPath.CLOSEPOLY] for ring in rings
    ]
    return MarkedPath(np.vstack([np.vstack([ring, ring[:1]]) for ring in rings]), np.concatenate(codes))


def _without_cuts(ring: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return a coast, longitude first, without its edges along the antimeridian and the pole."""
    closed = np.vstack([ring, ring[:1]])
    seam, pole = np.abs((closed[:, 0] + 180) % 360 - 180) > SEAM_DEG, closed[:, 1] < POLE_DEG
    cut = np.flatnonzero((seam[1:] & seam[:-1]) | (pole[1:] & pole[:-1])) + 1
    return [part for part in np.split(closed, cut) if len(part) > 1]


def draw_names(axes: Axes, turns: Sequence[int], countries_pt: float = 6.5, cities_pt: float = 5.5) -> None:
    """Write names over cells and under marks, the more important first; one that would touch another is left out.

    The limits of the axes must be set: they say which names are of the scale and have room.
    """
    west, east = axes.get_xlim()
    scale = axes.get_window_extent().width / (east - west)
    taken: list[Bbox] = []
    world, regions = base_map(), _regions(axes)
    names = [(world, k, COUNTRY if k < len(world.countries) else CITY) for k in range(len(world.from_scale))]
    if regions is not None:
        names += [(regions, k, REGION) for k in range(len(regions.from_scale))]
    size_pt = {COUNTRY: countries_pt, REGION: countries_pt, CITY: cities_pt}
    for source, k, kind in names:
        if source.from_scale[k] > scale:
            continue
        text = [*source.countries, *source.cities][k]
        for turn in turns:
            lat, lon = source.points_deg[k].tolist()
            _name(axes, text, (lat, lon + turn), kind, size_pt[kind], taken)


def _name(axes: Axes, text: str, place_deg: tuple[float, float], kind: str, size_pt: float, taken: list[Bbox]) -> None:
    (lat, lon), city = place_deg, kind == CITY
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    if not (west < lon < east and south < lat < north):
        return
    ink = colours()["country-name" if kind == COUNTRY else "city-name"]
    named = axes.annotate(
        text,
        (lon, lat),
        xytext=(3, 0) if city else (0, 0),
        textcoords="offset points",
        ha="left" if city else "center",
        va="center",
        size=size_pt,
        weight="bold" if kind == COUNTRY else "normal",
        style="italic" if kind == REGION else "normal",
        color=ink,
        path_effects=[withStroke(linewidth=1.5, foreground="#ffffffcc")],
        parse_math=False,
        zorder=2.7,
    )
    box = named.get_window_extent().padded(2)
    frame = axes.get_window_extent()
    inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
    if not inside or any(box.overlaps(other) for other in taken):
        named.remove()
        return
    taken.append(box)
    if city:
        axes.plot(lon, lat, "o", color=ink, markeredgecolor="white", markeredgewidth=0.5, markersize=3, zorder=2.7)
