"""Lines and boxes on flat maps: great circles, and longitudes that do not jump at the antimeridian."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocells.sphere import latlon_deg, unit_vectors


def great_circle_deg(a_deg: ArrayLike, b_deg: ArrayLike, points: int = 129) -> NDArray[np.float64]:
    """Return the shortest way from one place to another.

    Args:
        a_deg: (2,) latitude and longitude.
        b_deg: (2,) likewise; where it is the antipode of `a_deg`, one of the equally short ways is taken.
        points: how many to return, evenly spaced, both ends among them.

    Returns:
        (points, 2), longitudes going on beyond ±180 where the way crosses the antimeridian.
    """
    a, b = unit_vectors(a_deg), unit_vectors(b_deg)
    across = b - (a @ b) * a
    if np.linalg.norm(across) < 1e-12:
        # The same place or its antipode: any direction does; north is as good as another.
        across = np.array([0.0, 0.0, 1.0]) - a[2] * a if abs(a[2]) < 0.9 else np.array([1.0, 0.0, 0.0]) - a[0] * a
    angle = np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b) * np.linspace(0, 1, points)[:, None]
    way = latlon_deg(np.cos(angle) * a + np.sin(angle) * across / np.linalg.norm(across))
    way[:, 1] = np.unwrap(np.r_[np.asarray(a_deg, dtype=np.float64)[1], way[:, 1]], period=360)[1:]
    return way


def split_at_antimeridian(way_deg: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the parts of a way whose longitudes go on beyond ±180, each within -180 and 180.

    Where a way crosses, one part ends at the one edge and the next begins at the other, at the same latitude.
    """
    lon = way_deg[:, 1]
    turn = np.floor((lon + 180) / 360)
    cut = np.flatnonzero(np.diff(turn))
    edge_lon = 360 * np.maximum(turn[cut], turn[cut + 1]) - 180
    along = (edge_lon - lon[cut]) / (lon[cut + 1] - lon[cut])
    edge_lat = way_deg[cut, 0] + along * (way_deg[cut + 1, 0] - way_deg[cut, 0])
    edges = np.column_stack([edge_lat, edge_lon])[:, None]
    chunks = np.split(way_deg, cut + 1)
    before = [np.empty((0, 2)), *edges]
    after = [*edges, np.empty((0, 2))]
    turns = turn[np.r_[cut, len(turn) - 1]]
    return [np.vstack(part) - [0, 360 * n] for *part, n in zip(before, chunks, after, turns, strict=True)]


def unwrap_boxes(bounds_deg: ArrayLike, lon_deg: float) -> NDArray[np.float64]:
    """Return boxes moved by whole turns, so that their middles lie within half a turn of a meridian.

    Args:
        bounds_deg: (N, 4) south, west, north, east; east below west spans the antimeridian.
        lon_deg: the meridian.

    Returns:
        (N, 4), east never below west, longitudes going on beyond ±180.
    """
    boxes = np.asarray(bounds_deg, dtype=np.float64).reshape(-1, 4).copy()
    boxes[:, 3] += 360 * (boxes[:, 3] < boxes[:, 1])
    turns = np.floor((boxes[:, 1] + boxes[:, 3]) / 720 - lon_deg / 360 + 0.5)
    boxes[:, [1, 3]] -= 360 * turns[:, None]
    return boxes
