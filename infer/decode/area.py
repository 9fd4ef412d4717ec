"""Areas that somebody names: countries by code or name, boxes between two corners, files of polygons.

Polygons hold (longitude, latitude), lie within ±180 and are cut at the antimeridian; edges are straight in degrees.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from dataset.country_names import country_name, match_country
from geocells.country_outlines import country_outlines
from geocells.natural_earth import read_polygons
from geocells.outlines import area_km2, polygonal, sphere_polygon
from geocells.sphere import EARTH_RADIUS_KM, distance_km, unit_vectors

NUMBER = r"\s*[-+]?\d+(?:\.\d*)?\s*"
DECIMALS = 5
"""Answers are rounded to so many decimals of degrees, 1 m, and have to be inside after that."""
COAST_DEG = 0.06
"""A country reaches so far into the sea: of 155,000 towns 2.8 % lie off their country's simplified coast, 0.3 % further off."""
MARGIN_DEG = 2e-5
"""So far from its edge a point is surely inside, rounded or not."""


CIRCLE = re.compile(rf"({NUMBER})[,;\s]({NUMBER})[,;\s]({NUMBER})(km|kilomet(?:er|re)s?|m|mi|miles?|)", re.IGNORECASE)
KM = {"k": 1.0, "": 1.0, "m": 1e-3, "mi": 1.609344}
"""Kilometres by the letters that a unit of length begins with."""
CORNERS_OF_BOX = re.compile(r"[,;\s]".join([f"({NUMBER})"] * 4))
MOST_RADIUS_KM, CORNERS = 5_000, 96
LISTED, AND = re.compile(r"\s*[,;/&+|]\s*"), re.compile(r"\s+and\s+", re.IGNORECASE)
"""What stands between the countries of a list; names of some have `and` inside."""
MOST_VERTICES = 1_000_000
AREA_SUFFIXES = frozenset({".geojson", ".json", ".kml", ".kmz", ".wkt", ".gpkg", ".shp", ".zip"})


@dataclass(frozen=True, eq=False)
class Area:
    """Several areas as one.

    Attributes:
        names: codes of countries, and what else was named as it was written.
        codes: countries, ISO 3166-1 alpha-2.
        drawn: what is not a country: polygons, empty where there are none.
        land: all of it as one geometry.
        whole: the same with the coastal waters of the countries.
    """

    names: tuple[str, ...]
    codes: tuple[str, ...]
    drawn: shapely.Geometry
    land: shapely.Geometry
    whole: shapely.Geometry

    def holds_towns(self, codes: NDArray[np.str_], points_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which of (N,) towns lie inside: in one of its countries by their code, or within its polygons."""
        return np.isin(codes, self.codes) | covers_points(self.drawn, points_deg)


def read_area(texts: Sequence[str]) -> Area:
    """Return the area that several texts name together.

    Args:
        texts: each a country's code or name, several with commas, two corners `south,west,north,east`, a point and a radius
            `latitude,longitude,50km`, or a file of polygons.

    Raises:
        ValueError: a text is none of these, or a name that several countries share.
    """
    read = [_read(text.strip()) for text in texts]
    codes = tuple(dict.fromkeys(code for area in read if isinstance(area, tuple) for code in area))
    drawn = shapely.union_all([area for area in read if not isinstance(area, tuple)])
    names = tuple(name for area, text in zip(read, texts, strict=True) for name in _names(area, text))
    land = shapely.union_all([drawn, *(country_outlines()[code] for code in codes)])
    return Area(names, codes, drawn, land, shapely.union_all([land, *map(_waters, codes)]))


def _names(area: tuple[str, ...] | shapely.Geometry, text: str) -> tuple[str, ...]:
    return area if isinstance(area, tuple) else (text,)


@cache
def _waters(code: str) -> shapely.Geometry:
    """Return a country with its coastal waters, less what is another country's land."""
    reach = shapely.buffer(country_outlines()[code], COAST_DEG, quad_segs=2)
    parts, owner, tree = _parts()
    near = tree.query(reach)
    others = shapely.union_all(parts[near[owner[near] != code]])
    return shapely.intersection(shapely.difference(reach, others), shapely.box(-180, -90, 180, 90))


def _read(text: str) -> tuple[str, ...] | shapely.Geometry:
    """Return the codes of countries, or polygons."""
    bare = re.sub(r"[\[\](){}]", "", text)
    if corners := CORNERS_OF_BOX.fullmatch(bare):
        return shapely.union_all(corner_boxes(",".join(corners.groups())))
    if circle := CIRCLE.fullmatch(bare):
        unit = circle[4].lower()
        size = KM["mi" if unit.startswith("mi") else unit[:1]]
        return circle_around(float(circle[1]), float(circle[2]), float(circle[3]) * size, text)
    if _is_file(text):
        areas = read_polygons(Path(text))[0]
        if (vertices := int(shapely.get_num_coordinates(areas).sum())) > MOST_VERTICES:
            raise ValueError(f"{text} has {vertices:,} vertices, over {MOST_VERTICES:,}: simplify it, such as to 100 m")
        return shapely.union_all(polygonal(areas))
    if Path(text).suffix.lower() in AREA_SUFFIXES:
        raise ValueError(f"there is no file {text}: check the path of the area")
    if code := _country(text):
        return (code,)
    parts = [
        part.strip() for listed in LISTED.split(text) for part in ([listed] if _country(listed) else AND.split(listed))
    ]
    codes = [_country(part) for part in parts]
    if len(parts) > 1 and all(codes):
        return tuple(code for code in codes if code)
    unknown = repr(text) if len(parts) == 1 or not any(codes) else repr(parts[codes.index("")])
    raise ValueError(
        f"{unknown} is not an area{_alike(unknown)}: give a country's code or name such as DE or Germany, several with commas, two "
        "corners as south,west,north,east in degrees such as 47,5,55,16, a point and a radius such as 48.85,2.35,50km, or a "
        "file of polygons such as area.geojson"
    )


def _country(text: str) -> str:
    """Return the code of a country that has an outline, '' of what is none.

    Raises:
        ValueError: several countries share the name, or there is no outline of it.
    """
    match = match_country(text)
    if match.how == "ambiguous":
        meant = " or ".join(f"{code} ({country_name(code)})" for code in match.candidates)
        raise ValueError(f"{text!r} is the name of several countries: give a code, {meant}")
    if match.alpha2 and match.alpha2 not in country_outlines():
        raise ValueError(
            f"{text!r} is {country_name(match.alpha2)}, which is too small for the outlines here: give two corners, or a point and "
            "a radius such as 48.85,2.35,50km"
        )
    return match.alpha2


def _alike(text: str) -> str:
    """Return which countries a text that is none may mean, in words that go on."""
    found = match_country(text.strip("'")).candidates[:3]
    return f" (did you mean {' or '.join(country_name(code) for code in found)}?)" if found else ""


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # A text too long to be a path.
        return False


def circle_around(lat_deg: float, lon_deg: float, radius_km: float, text: str = "") -> shapely.Geometry:
    """Return the circle around a point, as polygons within ±180; its edge is at most 0.1 % of the radius inside.

    Raises:
        ValueError: the point is not on Earth, or the radius is not above 0 and at most 5,000 km.
    """
    if not (abs(lat_deg) <= 90 and abs(lon_deg) <= 360 and 0 < radius_km <= MOST_RADIUS_KM):
        raise ValueError(
            f"{text!r} is not an area: a point and a radius are latitude,longitude,RADIUSkm, the latitude at most 90, the "
            f"radius above 0 and at most {MOST_RADIUS_KM:,} km"
        )
    center = unit_vectors((lat_deg, lon_deg))
    pole = 1 if lat_deg >= 0 else -1
    side = np.cross(center, (0.0, 0.0, 1.0) if abs(lat_deg) < 80 else (1.0, 0.0, 0.0))
    side /= np.linalg.norm(side)
    turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)[:, None]
    angle = radius_km / EARTH_RADIUS_KM
    edge = np.cos(turn) * side + np.sin(turn) * np.cross(center, side)
    holds_pole = bool(distance_km((lat_deg, lon_deg), (90.0 * pole, 0.0)) < radius_km)
    return sphere_polygon(np.cos(angle) * center + np.sin(angle) * edge, pole if holds_pole else 0)


def corner_boxes(text: str) -> NDArray[np.object_]:
    """Return the box between two corners, as two boxes where it spans the antimeridian.

    Raises:
        ValueError: it is not on Earth, or has no area.
    """
    south, west, north, east = (float(part) for part in text.split(","))
    if not -90 <= south < north <= 90 or max(abs(west), abs(east)) > 360 or west == east or abs(east - west) > 360:
        raise ValueError(
            f"{text!r} is not an area: two corners are south,west,north,east in degrees, south below north; west above "
            "east spans the antimeridian"
        )
    if max(abs(west), abs(east)) > 180:
        west, east = ((side + 180) % 360 - 180 for side in (west, east))
    if west > east and east + 360 - west > 180:
        raise ValueError(
            f"{text!r} is not an area: west above east spans the antimeridian, and so it would be {east + 360 - west:g} degrees "
            "wide: are west and east exchanged? Two corners are south,west,north,east"
        )
    spans = [(west, east)] if west < east else [(west, 180.0), (-180.0, east)]
    return np.array([shapely.box(w, south, e, north) for w, e in spans if w < e], dtype=object)


def shares_inside(cells: NDArray[np.object_], area: Area) -> NDArray[np.float64]:
    """Return what share of each of (N,) cells lies in an area, from 0 to 1.

    Of countries it is the share of the cell's *land*: a coastal cell with one village counts in full. Of polygons it is the
    share of the cell, by true area. A cell with both has the sum, less the overlap, but at least the larger share.
    """
    drawn = cells_inside(cells, area.drawn)
    if not area.codes:
        return drawn
    cell, code, piece, whole = _land(cells, area.codes)
    km2 = area_km2(piece)
    land = np.bincount(cell, km2, len(cells))
    mine = np.flatnonzero(np.isin(code, area.codes))
    share = np.divide(np.bincount(cell[mine], km2[mine], len(cells)), land, out=whole.astype(float), where=land > 0)
    cut = mine[(drawn[cell[mine]] > 0) & (drawn[cell[mine]] < 1)]
    overlap = np.where(whole, drawn, 0)
    overlap += np.bincount(cell[cut], area_km2(shapely.intersection(piece[cut], area.drawn)), len(cells)) / np.where(
        land > 0, land, 1
    )
    return np.clip(drawn + share - overlap, np.maximum(drawn, share), 1)


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


def main_country(cells: NDArray[np.object_], codes: Sequence[str]) -> NDArray[np.str_]:
    """Return which of some countries has most land in each of (N,) cells, '' where none has any."""
    out = np.zeros(len(cells), dtype="U2")
    for code in codes:
        # Where one country covers the whole cell, no other has any.
        out[_land(cells, (code,))[3]] = code
    open_cells = np.flatnonzero(out == "")
    cell, owner, piece, _ = _land(cells[open_cells], codes)
    mine = np.flatnonzero(np.isin(owner, codes))
    order = mine[np.argsort(area_km2(piece[mine]), kind="stable")]
    # Of several values written to one place numpy keeps the last, here the largest.
    out[open_cells[cell[order]]] = owner[order]
    return out


def _land(
    cells: NDArray[np.object_], codes: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.object_], NDArray[np.bool_]]:
    """Return all countries' land in those cells that some countries touch and do not cover.

    Returns:
        Cell, code and piece of land, all of one length; and (N,) whether one part of those countries covers the cell.
    """
    parts, owner, tree = _parts()
    own = np.isin(owner, codes)
    cell, part = tree.query(cells)
    near = np.unique(cell[own[part]])
    kept = np.isin(cell, near)
    cell, part = cell[kept], part[kept]
    mine = own[part]
    whole = np.zeros(len(cells), dtype=bool)
    whole[cell[mine][shapely.covers(parts[part[mine]], cells[cell[mine]])]] = True
    touches = mine & ~whole[cell]
    touched = np.zeros(len(cells), dtype=bool)
    touched[cell[touches][shapely.intersects(parts[part[touches]], cells[cell[touches]])]] = True
    cell, part = cell[touched[cell]], part[touched[cell]]
    meets = shapely.intersects(parts[part], cells[cell])
    cell, part = cell[meets], part[meets]
    return cell, owner[part], shapely.intersection(parts[part], cells[cell]), whole


@cache
def _parts() -> tuple[NDArray[np.object_], NDArray[np.str_], shapely.STRtree]:
    """Return the parts of all countries' outlines, prepared, their codes, and a tree of them."""
    outlines = country_outlines()
    parts, owner = shapely.get_parts(np.array(list(outlines.values()), dtype=object), return_index=True)
    shapely.prepare(parts)
    return parts, np.array(list(outlines))[owner], shapely.STRtree(parts)


def covers_points(area: shapely.Geometry, points_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of (N, 2) points lie in an area or on its edge; longitudes within ±180."""
    return np.asarray(shapely.intersects_xy(area, points_deg[:, 1], points_deg[:, 0]), dtype=bool)


def shrunk(area: shapely.Geometry) -> shapely.Geometry:
    """Return an area less a margin, so that what lies in it is inside the area after rounding, too."""
    return shapely.buffer(area, -MARGIN_DEG, join_style="mitre")


def nearest_inside(points_deg: NDArray[np.float64], area: shapely.Geometry) -> NDArray[np.float64]:
    """Return the (N, 2) points of an area that are nearest to points outside, across the antimeridian, too.

    Distances are taken with longitudes shortened as at the point, which is right where the area is near.
    """
    out = np.empty_like(points_deg)
    band = np.floor(points_deg[:, 0])
    for each in np.unique(band):
        rows = np.flatnonzero(band == each)
        out[rows] = _nearest_flat(points_deg[rows], *_flat(area, float(each)))
    return out


@lru_cache(maxsize=128)
def _flat(area: shapely.Geometry, south_deg: float) -> tuple[NDArray[np.object_], shapely.STRtree, NDArray[np.float64]]:
    """Return the parts of an area with longitudes shortened as in a band of one degree, a tree of them, and the scale of (x, y)."""
    middle = np.radians(np.clip(south_deg + 0.5, -89.5, 89.5))
    scale = np.array([np.cos(middle), 1.0])
    parts = shapely.get_parts(shapely.transform(area, lambda xy: xy * scale))
    return parts, shapely.STRtree(parts), scale


def _nearest_flat(
    points_deg: NDArray[np.float64], parts: NDArray[np.object_], tree: shapely.STRtree, scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the (N, 2) points of flat parts that are nearest to (N, 2) points, each once more a turn west and east."""
    lat_deg, lon_deg = np.repeat(points_deg, 3, axis=0).T
    turned = lon_deg + np.tile([0.0, -360.0, 360.0], len(points_deg))
    copies = shapely.points(turned * scale[0], lat_deg)
    (copy, part), distance = tree.query_nearest(copies, all_matches=False, return_distance=True)
    order = np.argsort(copy)
    assert np.array_equal(copy[order], np.arange(len(copies))), "each copy has one nearest part"
    best = distance[order].reshape(-1, 3).argmin(axis=1) + 3 * np.arange(len(points_deg))
    lines = shapely.shortest_line(copies[best], parts[part[order][best]])
    return (shapely.get_coordinates(lines).reshape(-1, 2, 2)[:, 1] / scale)[:, ::-1]
