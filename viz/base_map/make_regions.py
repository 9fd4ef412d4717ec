"""Computing the shipped first-level regions."""

from io import BytesIO
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from geocells.natural_earth import read_polygons
from geocells.outlines import area_km2, polygonal
from plumbing.files import atomic_path
from viz.base_map.packing import STEP_DEG, on_grid
from viz.base_map.regions import Regions
from viz.base_map.shapes import KM_A_DEGREE, edges_of, name_place


def make_regions(path: Path, tolerance_deg: float, out: Path) -> Regions:
    """Compute the shipped regions from Natural Earth's first-level units and write them, whole or not at all.

    Args:
        path: ne_10m_admin_1_states_provinces.zip, with the columns `iso_a3` and `name`.
        tolerance_deg: triangles smaller than the square of this are cut off, alike for both neighbours.
        out: where they go.

    Raises:
        ValueError: the file cannot be read.
    """
    areas, (owner, name) = read_polygons(path, ("iso_a3", "name"))
    areas = polygonal(areas)
    width = np.sqrt(area_km2(areas)) / KM_A_DEGREE
    lines, least = inner_borders(areas, owner, width, tolerance_deg)
    named = np.flatnonzero([bool(text) and text != "None" for text in name.tolist()])
    named = named[np.argsort(-width[named], kind="stable")]
    places = np.array([name_place(area, np.empty((0, 2))) for area in areas[named]])
    made = Regions(lines, least, [str(text) for text in name[named]], places, width[named])
    with atomic_path(out) as partial:
        partial.write_bytes(_content(made))
    return made


def inner_borders(
    areas: NDArray[np.object_], owner: NDArray, width_deg: NDArray[np.float64], tolerance_deg: float
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """Return the lines between areas of one owner, simplified together, and the width of the smaller neighbour of each."""
    simple = shapely.coverage_simplify(areas, tolerance_deg)
    edges, area = edges_of(simple)
    edges, which, times = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    country = np.unique(owner, return_inverse=True)[1]
    one, other = np.full(len(edges), len(areas)), np.full(len(edges), -1)
    np.minimum.at(one, which.ravel(), area)
    np.maximum.at(other, which.ravel(), area)
    inner = (times == 2) & (country[np.minimum(one, len(areas) - 1)] == country[other])
    pairs = np.column_stack([one, other])[inner]
    shared = edges[inner].reshape(-1, 2, 2)
    lines: list[NDArray[np.float64]] = []
    least: list[float] = []
    order = np.lexsort(pairs.T[::-1])
    starts = np.flatnonzero(np.r_[True, np.any(np.diff(pairs[order], axis=0), axis=1)])
    for rows in np.split(order, starts[1:]):
        merged = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(shapely.linestrings(shared[rows]))))
        for line in merged:
            points = on_grid(shapely.get_coordinates(line)[:, ::-1])
            if len(points) > 1:
                lines.append(np.asarray(points * STEP_DEG, dtype=np.float64))
                least.append(float(width_deg[pairs[rows[0]]].min()))
    return lines, np.array(least)


def _content(regions: Regions) -> bytes:
    steps = np.vstack([np.round(line / STEP_DEG) for line in regions.lines]).astype(np.int64)
    content = BytesIO()
    np.savez_compressed(
        content,
        steps=np.diff(steps, axis=0, prepend=0).astype(np.int16).T,
        lengths=np.array([len(line) for line in regions.lines], dtype=np.uint16),
        line_width_deg=regions.line_width_deg.astype(np.float16),
        names=np.frombuffer("\n".join(regions.names).encode(), dtype=np.uint8),
        name_deg=np.round(regions.name_deg / STEP_DEG).astype(np.int16).T,
        name_width_deg=regions.name_width_deg.astype(np.float16),
    )
    return content.getvalue()
