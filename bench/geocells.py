"""How fast points become cells and land cells are found, beside other ways, in one run on one core.

python -m bench.geocells --natural-earth ne_10m_land.zip ne_50m_land.zip
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import h3.api.basic_int as h3
import numpy as np
import s2geometry as s2
from numpy.typing import NDArray

from bench.report import write_results
from geocells import grid
from geocells.land import cell_boxes, touching_land
from geocells.natural_earth import read_polygons
from plumbing.config import command

LEVEL = 8
H3_RESOLUTION = 3
"""12,393 km2 a cell on average, nearest to the 7,783 km2 of ours (table of cell statistics of H3)."""
S2_LEVEL = 7
"""5,189 km2 a cell on average (table of cell statistics of S2)."""


@dataclass(frozen=True)
class BenchConfig:
    """Measure points to cells and, where a land file is named, which cells touch land."""

    natural_earth: tuple[Path, ...] = ()
    """Files of land polygons, such as ne_10m_land.zip; without any the land filter is left out."""
    points: int = 1_000_000
    """How many points are encoded at once; one at a time, a tenth of them."""
    cells: int = 1000
    """How many random cells are tested one by one; their time is scaled up to all cells of the level."""
    repeats: int = 5
    """Each row is the fastest of so many runs."""


def main(config: BenchConfig) -> int:
    """Measure, print and write the results."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows = encoding(config)
    for path in config.natural_earth:
        rows += land_filter(config, path)
    write_results("geocells", rows)
    return 0


def encoding(config: BenchConfig) -> list[dict[str, Any]]:
    """Return how fast points become cells: ours at once, and one at a time as ours and others do."""
    points = random_points(config.points)
    # Plain floats are what the other libraries take fastest.
    pairs = points[: config.points // 10].tolist()
    rows = [
        row("grid L8, all at once", len(points), lambda: grid.encode(points, LEVEL), config),
        row("grid L8 equal area, all at once", len(points), lambda: grid.encode(points, LEVEL, True), config),
        row("h3 res 3, one by one", len(pairs), lambda: [h3.latlng_to_cell(*p, H3_RESOLUTION) for p in pairs], config),
        row("s2 level 7, one by one", len(pairs), lambda: [s2_cell(*p) for p in pairs], config),
        row("grid L8, one by one", len(pairs) // 10, lambda: [grid.encode(p, LEVEL) for p in pairs[::10]], config),
    ]
    return against_first(rows)


def s2_cell(latitude: float, longitude: float) -> s2.S2CellId:
    return s2.S2CellId(s2.S2LatLng.FromDegrees(latitude, longitude)).parent(S2_LEVEL)


def random_points(count: int) -> NDArray[np.float64]:
    """Return points spread evenly over the sphere."""
    random = np.random.default_rng(0)
    return np.stack([np.degrees(np.arcsin(random.uniform(-1, 1, count))), random.uniform(-180, 180, count)], axis=-1)


def land_filter(config: BenchConfig, path: Path) -> list[dict[str, Any]]:
    """Return how fast the cells of a level are tested for land, and that both ways agree on the sample."""
    polygons, frame = read_polygons(path)[0], geopandas.read_file(path)
    sample = np.random.default_rng(0).choice(4**LEVEL, config.cells, replace=False)
    boxes = cell_boxes(sample, LEVEL)
    expected = np.array([frame.intersects(box).any() for box in boxes])
    assert np.array_equal(touching_land(polygons, LEVEL)[sample], expected), "both ways find the same land"
    usual = f"{path.stem} L8, each cell against a GeoDataFrame (measured on {config.cells} cells)"
    rows = [
        row(f"{path.stem} L8, by descent", 4**LEVEL, lambda: touching_land(polygons, LEVEL), config),
        row(usual, config.cells, lambda: [frame.intersects(box).any() for box in boxes], config, 4**LEVEL),
    ]
    return against_first(rows)


def row(
    what: str, count: int, run: Callable[[], Any], config: BenchConfig, scaled_to: int | None = None
) -> dict[str, Any]:
    """Measure one way; `scaled_to` is how many items the seconds are for, where fewer were measured."""
    elapsed_s = []
    for _ in range(config.repeats):
        started_at = time.perf_counter()
        run()
        elapsed_s.append(time.perf_counter() - started_at)
    per_second = count / min(elapsed_s)
    items = scaled_to or count
    return {"what": what, "items": items, "seconds": items / per_second, "per_second": per_second}


def against_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with how many times faster the first one is."""
    return [r | {"first_is_faster_by": rows[0]["per_second"] / r["per_second"]} for r in rows]


if __name__ == "__main__":
    command(BenchConfig, "python -m bench.geocells", "bench.geocells:main")
