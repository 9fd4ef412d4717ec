"""Outlines of countries, keyed by ISO 3166-1 alpha-2, as the project ships them."""

import io
import lzma
from functools import cache
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

OUTLINES = Path(__file__).parent / "data" / "countries_50m.npz.xz"
STEP_DEG = 1e-3
"""Vertices lie on a grid of this step: 0.1 km."""


@cache
def country_outlines() -> dict[str, shapely.Geometry]:
    """Return the outline of each country: valid multipolygons of (longitude, latitude) that do not overlap.

    They are Natural Earth's at 1:50 million, simplified to about 2 km, borders alike for both neighbours; islets too small
    for that scale are added from 1:10 million. Against that scale half of Germany's border is within 0.6 km, 95 % within 2.5.
    They lie within ±180 and are cut at the antimeridian. `python -m geocells
    outlines` computes them.
    """
    with np.load(io.BytesIO(lzma.decompress(OUTLINES.read_bytes())), allow_pickle=False) as table:
        return unpack({name: table[name] for name in table.files})


def pack(outlines: dict[str, shapely.Geometry]) -> dict[str, NDArray]:
    """Return outlines as small arrays: differences of vertices on the grid, and how many make a ring, a part, a country."""
    part, owner = shapely.get_parts(np.array(list(outlines.values()), dtype=object), return_index=True)
    ring, polygon = shapely.get_rings(part, return_index=True)
    points, vertex = shapely.get_coordinates(ring, return_index=True)
    # int32: the difference of vertices far apart exceeds 16 bits.
    steps = np.diff(np.round(points / STEP_DEG).astype(np.int32), axis=0, prepend=np.zeros((1, 2), np.int32))
    return {
        "code": np.array(list(outlines), dtype="U2"),
        "parts": np.bincount(owner, minlength=len(outlines)).astype(np.int32),
        "rings": np.bincount(polygon).astype(np.int32),
        "vertices": np.bincount(vertex).astype(np.int32),
        "x": steps[:, 0],
        "y": steps[:, 1],
    }


def unpack(table: dict[str, NDArray]) -> dict[str, shapely.Geometry]:
    """Return the outlines that `pack` made small."""
    points = np.cumsum(np.column_stack([table["x"], table["y"]]), axis=0) * STEP_DEG
    ring = shapely.linearrings(points.round(6), indices=np.repeat(np.arange(len(table["vertices"])), table["vertices"]))
    part = shapely.polygons(ring, indices=np.repeat(np.arange(len(table["rings"])), table["rings"]))
    whole = shapely.multipolygons(part, indices=np.repeat(np.arange(len(table["parts"])), table["parts"]))
    return dict(zip(table["code"].tolist(), whole, strict=True))
