"""Areas on the sphere given as polygons of degrees: their boxes, sizes, middles; polygons of cells cut by great circles.

Polygons hold (longitude, latitude), lie within -180 to 180, and are cut at the antimeridian, as Natural Earth's are.
"""

from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely import affinity

from geocells.sphere import EARTH_RADIUS_KM, latlon_deg, unit_vectors

STEP_DEG = 0.5
"""Great circles become straight lines of at most this length; they then are 0.5 km off at worst, more beside a pole."""

BAND_DEG = 1.0
"""Areas of all longitudes that are at least so high are bands around the world, not slips of the pen."""


def ring_of(points: Any) -> NDArray[np.float64]:
    """Return (N, 2) vertices of a ring as a document lists them, whether its last point is its first or not.

    Raises:
        ValueError: it is no ring; in words that go on from the name of the file.
    """
    ring = np.asarray(points, dtype=np.float64)
    if ring.ndim != 2 or ring.shape[1] < 2 or len(ring) < 3:
        raise ValueError("it has a ring of fewer than three points")
    if not np.isfinite(ring[:, :2]).all():
        raise ValueError("it has coordinates that are NaN or infinite")
    return ring[:, :2]


def polygonal(areas: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return valid polygons and multipolygons, without the points and lines that mending may leave."""
    part, owner = shapely.get_parts(shapely.make_valid(areas), return_index=True)
    piece, inner = shapely.get_parts(part, return_index=True)
    kept = shapely.area(piece) > 0
    mended = np.full(len(areas), shapely.Polygon(), dtype=object)
    if not kept.any():
        return mended
    return shapely.multipolygons(piece[kept], indices=owner[inner[kept]], out=mended)


def area_km2(areas: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return areas on the sphere, by Lambert's cylindrical projection of the vertices."""
    flat = shapely.transform(areas, lambda xy: np.column_stack([np.radians(xy[:, 0]), np.sin(np.radians(xy[:, 1]))]))
    return np.asarray(shapely.area(flat)) * EARTH_RADIUS_KM**2


def middles_deg(areas: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return (N, 2) centroids on the sphere, exact for areas whose edges are great circles.

    The integral of the unit normal over a region is half the sum, over its edges, of arc length times edge normal.
    """
    rings, owner = _rings(areas)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    v = unit_vectors(points[:, ::-1])
    edge = np.flatnonzero(ring[1:] == ring[:-1])
    normal = np.cross(v[edge], v[edge + 1])
    sine = np.linalg.norm(normal, axis=1)
    arc = np.arctan2(sine, np.sum(v[edge] * v[edge + 1], axis=1))
    # The arc over its sine is 1 where the edge vanishes.
    pull = normal * np.divide(arc, sine, out=np.ones_like(arc), where=sine > 0)[:, None]
    of = owner[ring[edge]]
    return latlon_deg(np.stack([np.bincount(of, pull[:, axis], len(areas)) for axis in range(3)], axis=-1))


def _rings(areas: NDArray[np.object_]) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Return the rings of areas, outer ones counterclockwise and holes clockwise, and whose each is."""
    part, owner = shapely.get_parts(shapely.orient_polygons(areas), return_index=True)
    ring, polygon = shapely.get_rings(part, return_index=True)
    return ring, owner[polygon]


def boxes_deg(areas: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return (N, 4) south, west, north, east of areas; east below west spans the antimeridian."""
    part, owner = shapely.get_parts(areas, return_index=True)
    west, south, east, north = shapely.bounds(part).T
    return span_deg(np.stack([south, west, north, east], axis=-1), owner, len(areas))


def span_deg(boxes: ArrayLike, owner: NDArray[np.int64], owners: int) -> NDArray[np.float64]:
    """Return the smallest box around the boxes of each owner.

    Args:
        boxes: (M, 4) south, west, north, east within ±180; east below west spans the antimeridian.
        owner: (M,) whose each is.
        owners: how many there are, each with at least one box.

    Returns:
        (owners, 4); the longitudes are those around the widest gap, -180 and 180 where there is no gap.
    """
    south, west, north, east = np.asarray(boxes, dtype=np.float64).reshape(-1, 4).T
    out = np.empty((owners, 4))
    out[:, 0], out[:, 2] = np.inf, -np.inf
    np.minimum.at(out[:, 0], owner, south)
    np.maximum.at(out[:, 2], owner, north)
    order = np.argsort(owner, kind="stable")
    for k, rows in enumerate(np.split(order, np.searchsorted(owner[order], np.arange(1, owners)))):
        out[k, 1], out[k, 3] = _smallest_arc(west[rows], east[rows])
    return out


def _smallest_arc(west: NDArray[np.float64], east: NDArray[np.float64]) -> tuple[float, float]:
    """Return the west and east ends of the smallest arc that holds several."""
    over = east < west
    starts = np.r_[west[~over], west[over], np.full(over.sum(), -180.0)]
    ends = np.r_[east[~over], np.full(over.sum(), 180.0), east[over]]
    order = np.argsort(starts)
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    gaps = np.r_[starts[1:] - ends[:-1], starts[0] + 360 - ends[-1]]
    widest = int(np.argmax(gaps))
    if gaps[widest] <= 0:
        return -180.0, 180.0
    return float(starts[(widest + 1) % len(starts)]), float(ends[widest])


def sphere_polygon(corners: NDArray[np.float64], pole: int = 0) -> shapely.Geometry:
    """Return a convex cell of great circles as polygons of degrees, cut at the antimeridian.

    Args:
        corners: (N, 3) unit vectors, in order around the cell.
        pole: 1 where the north pole lies inside, -1 for the south pole, 0 for neither.
    """
    ring = latlon_deg(_along(corners, np.roll(corners, -1, axis=0)))
    lon = np.unwrap(np.r_[ring[:, 1], ring[0, 1]], period=360)
    points = np.column_stack([lon, np.r_[ring[:, 0], ring[0, 0]]])
    if pole:
        points = np.vstack([points, [[lon[-1], 90.0 * pole], [lon[0], 90.0 * pole]]])
    return into_world(shapely.Polygon(points))


def into_world(polygon: shapely.Polygon) -> shapely.Geometry:
    """Return a polygon whose longitudes may go on beyond ±180 as polygons within."""
    whole = shapely.make_valid(polygon)
    west, _, east, _ = whole.bounds
    turns = np.arange(np.floor((west + 180) / 360), np.ceil((east - 180) / 360) + 1)
    world = shapely.box(-180, -90, 180, 90)
    pieces = [shapely.intersection(affinity.translate(whole, -360 * turn), world) for turn in turns]
    return polygonal(np.array([shapely.union_all(pieces)], dtype=object))[0]


def mend_seam(areas: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return areas without edges that run around the world because a vertex at 180 was written as -180, or the reverse.

    Some editions of Natural Earth have such a vertex in Chukotka, which then covers all longitudes. An edge along a
    pole, as Antarctica has it, stays.
    """
    points, owner = shapely.get_coordinates(areas, return_index=True)
    jump = (np.abs(np.diff(points[:, 0])) > 180) & (np.diff(owner) == 0)
    # From one part to the next a jump is not an edge; such areas are looked at, too, and stay as they are.
    mended = areas.copy()
    for k in np.unique(owner[:-1][jump]).tolist():
        parts = shapely.get_parts(areas[k])
        whole = [_without_jumps(part) for part in parts]
        if any(new is not old for new, old in zip(whole, parts, strict=True)):
            mended[k] = shapely.union_all(shapely.make_valid(whole))
    return mended


def _without_jumps(polygon: shapely.Polygon) -> shapely.Geometry:
    """Return a polygon without edges around the world, or the very same where it has none or goes around a pole."""
    rings = [np.array(ring.coords) for ring in (polygon.exterior, *polygon.interiors)]
    turned = [np.unwrap(ring[:, 0], period=360) for ring in rings]
    straight = all(np.array_equal(lon, ring[:, 0]) for lon, ring in zip(turned, rings, strict=True))
    if straight or any(abs(lon[-1] - lon[0]) > 1 for lon in turned):
        return polygon
    home = turned[0].min()
    rings = [
        np.column_stack([lon - 360 * np.round((lon.min() - home) / 360), ring[:, 1]])
        for lon, ring in zip(turned, rings, strict=True)
    ]
    straightened = shapely.Polygon(rings[0], rings[1:])
    # A band around the world leaves nothing, and is meant; so does an islet that is cut to a line by the seam.
    band = straightened.area == 0 and float(np.ptp(rings[0][:, 1])) > BAND_DEG
    return polygon if band else into_world(straightened)


def _along(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points of great circles from each of (N, 3) to the next, the starts among them, the ends not."""
    angle = np.arctan2(np.linalg.norm(np.cross(a, b), axis=1), np.sum(a * b, axis=1))
    steps = np.maximum(np.ceil(np.degrees(angle) / STEP_DEG), 1).astype(int)
    edge = np.repeat(np.arange(len(a)), steps)
    t = ((np.arange(len(edge)) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[edge])[:, None]
    w = angle[edge][:, None]
    blend = np.where(w > 1e-9, np.sin((1 - t) * w) / np.maximum(np.sin(w), 1e-12), 1 - t)
    other = np.where(w > 1e-9, np.sin(t * w) / np.maximum(np.sin(w), 1e-12), t)
    return blend * a[edge] + other * b[edge]
