"""Vector tiles: which lie where, and their points, decoded in bulk."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError
from mapbox_vector_tile.Mapbox import vector_tile_pb2
from numpy.typing import ArrayLike, NDArray

from fetch.client import Answer, Retry
from geocells import grid

OVERVIEW_ZOOM, PIXEL_ZOOM, IMAGE_ZOOM = 5, 13, 14
"""The survey's tiles; what one pixel of their 256 x 256 grid is; where single pictures are points."""

PIXELS = 1 << (PIXEL_ZOOM - OVERVIEW_ZOOM)

TileId = tuple[int, int, int]
"""Zoom, column from 180 W, row from 85 N."""


@dataclass(frozen=True, eq=False)
class Points:
    """Pictures as points of a tile.

    Attributes:
        image: (N,) ids.
        sequence: (N,) names of sequences.
        captured_ms: (N,) milliseconds since 1970; 0 where unknown.
        is_pano: (N,) whether a panorama.
        xy: (N, 2) eastward and southward, in parts of the tile, 0 to 1.
    """

    image: NDArray[np.int64]
    sequence: NDArray[np.object_]
    captured_ms: NDArray[np.int64]
    is_pano: NDArray[np.bool_]
    xy: NDArray[np.float64]


def read_points(body: bytes, layer: str) -> Points:
    """Return the points of a layer; none where the tile is empty or lacks the layer.

    Raises:
        Retry: it is not a vector tile.
    """
    tile = vector_tile_pb2.tile()
    try:
        tile.ParseFromString(body)
    except DecodeError:
        raise Retry("what came is not a vector tile") from None
    found = next((each for each in tile.layers if each.name == layer), None)
    if found is None and body and not tile.layers:
        raise Retry("what came is not a vector tile")
    features = [f for f in found.features if f.type == vector_tile_pb2.tile.Point] if found is not None else []
    keys = list(found.keys) if found is not None else []
    values = [_plain(value) for value in found.values] if found is not None else []
    rows = [{keys[tags[i]]: values[tags[i + 1]] for i in range(0, len(tags), 2)} for tags in (f.tags for f in features)]
    numbers = np.array([f.geometry[1:3] for f in features], dtype=np.int64).reshape(-1, 2)
    extent = found.extent if found is not None else 4096
    return Points(
        np.array([int(row["id"]) for row in rows], dtype=np.int64),
        np.array([str(row.get("sequence_id", "")) for row in rows], dtype=object),
        np.array([int(row.get("captured_at", 0)) for row in rows], dtype=np.int64),
        np.array([bool(row.get("is_pano", False)) for row in rows], dtype=bool),
        # Zigzag: 0, -1, 1, -2, ... are 0, 1, 2, 3, ...
        ((numbers >> 1) ^ -(numbers & 1)) / extent,
    )


def _plain(value: "vector_tile_pb2.tile.value") -> str | float | int | bool:
    kinds = ("string_value", "int_value", "uint_value", "sint_value", "bool_value", "double_value", "float_value")
    return next((getattr(value, kind) for kind in kinds if value.HasField(kind)), "")


def check_tile(answer: Answer) -> bytes:
    """Return the body of an answer.

    Raises:
        Retry: it is neither empty nor a vector tile.
    """
    tile = vector_tile_pb2.tile()
    try:
        tile.ParseFromString(answer.body)
    except DecodeError:
        raise Retry("what came is not a vector tile") from None
    if answer.body and not tile.layers:
        raise Retry("what came is not a vector tile")
    return answer.body


def place_deg(x: ArrayLike, y: ArrayLike, zoom: int) -> NDArray[np.float64]:
    """Return (N, 2) latitude and longitude of columns and rows of a zoom, which may lie between whole ones."""
    size = 1 << zoom
    lat = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * np.asarray(y, dtype=np.float64) / size))))
    return np.stack([lat, np.asarray(x, dtype=np.float64) / size * 360 - 180], axis=-1)


def tile_xy(latlon_deg: ArrayLike, zoom: int) -> NDArray[np.int64]:
    """Return (N, 2) columns and rows of the tiles in which places lie; the poles belong to the outermost rows."""
    lat, lon = np.moveaxis(np.asarray(latlon_deg, dtype=np.float64), -1, 0)
    size = 1 << zoom
    sine = np.clip(np.sin(np.radians(lat)), -0.999999999999, 0.999999999999)
    y = (0.5 - np.arctanh(sine) / (2 * np.pi)) * size
    x = np.mod(np.floor((lon + 180) / 360 * size), size)
    return np.stack([x, np.clip(np.floor(y), 0, size - 1)], axis=-1).astype(np.int64)


def overview_pixels(points: Points, x: int, y: int) -> NDArray[np.int64]:
    """Return (N, 2) columns and rows, at zoom 13, of the pixels that an overview tile's points stand for."""
    return (np.clip(np.floor(points.xy * PIXELS), 0, PIXELS - 1) + np.array([x, y]) * PIXELS).astype(np.int64)


def overview_tiles(cells: NDArray[np.int64]) -> list[TileId]:
    """Return the tiles of the survey that touch storage cells, in reading order."""
    if not len(cells):
        return []
    found = np.unique(_tiles_of(cells).reshape(-1, 2), axis=0)
    order = np.lexsort((found[:, 0], found[:, 1]))
    return [(OVERVIEW_ZOOM, x, y) for x, y in found[order].tolist()]


def searched_at(cells: NDArray[np.int64], fetched_at: Mapping[TileId, str]) -> list[str]:
    """Return for each storage cell when the oldest of the overview tiles that touch it came; nothing where one is missing.

    Args:
        cells: (N,) storage cells.
        fetched_at: time of each overview tile that came, as text that sorts by time.
    """
    times = [[fetched_at.get((OVERVIEW_ZOOM, x, y), "") for x, y in corners] for corners in _tiles_of(cells).tolist()]
    return [min(each) for each in times]


def _tiles_of(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the (N, 4, 2) columns and rows of the overview tiles at the corners of storage cells."""
    south, west, north, east = grid.bounds_deg(cells, grid.TABLE_LEVEL).T
    inside = 1e-9
    corners = [
        np.stack([lat, lon], axis=-1) for lat in (south + inside, north - inside) for lon in (west, east - inside)
    ]
    return np.stack([tile_xy(corner, OVERVIEW_ZOOM) for corner in corners], axis=1)


def pixel_cells(xy: NDArray[np.int64], zoom: int = PIXEL_ZOOM) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the storage cell of the middle of each (N, 2) pixel, and (N, 2) the northernmost and southernmost."""
    x, y = xy[:, 0] + 0.5, xy[:, 1].astype(np.float64)
    middle, top, bottom = (
        grid.encode(place_deg(x, y + part, zoom), grid.TABLE_LEVEL) for part in (0.5, 1e-6, 1 - 1e-6)
    )
    return middle, np.stack([top, bottom], axis=-1)
