"""Size and time of a coverage map of all cells, beside one rectangle a cell: `python -m bench.maps [--full]`.

Without --full the usual way is measured on one cell in 32 and scaled up; it grows in proportion to the cells.
"""

import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import folium
import numpy as np
from numpy.typing import NDArray

from bench.report import write_results
from geocells import grid
from geocells.land import land_mask
from plumbing.files import write_text
from tests.browser import CHROMIUM, screenshot, share_of
from viz.maps.coverage import coverage_html
from viz.web.page import BARE_LAND, OCEAN

CELLS = 4**8
PHOTOS = 1_000_000
MOST_SECONDS, MOST_MEGABYTES, MOST_OF_BASE_MAP = 2.0, 0.6, 0.14


def main() -> None:
    one_in = 1 if "--full" in sys.argv else 32
    with tempfile.TemporaryDirectory() as folder:
        ours = measure_ours(Path(folder))
        usual = measure_rectangles(Path(folder), one_in)
    for row in (ours, usual):
        row["times_faster"] = usual["seconds"] / row["seconds"]
        row["times_smaller"] = usual["megabytes"] / row["megabytes"]
    write_results("maps", [ours, usual])
    assert ours["seconds"] < MOST_SECONDS, f"a map took {ours['seconds']:.2f} s"
    assert ours["megabytes"] < MOST_MEGABYTES, f"a map takes {ours['megabytes']:.2f} MB"
    assert ours["megabytes_of_base_map"] <= MOST_OF_BASE_MAP, f"a base map takes {ours['megabytes_of_base_map']:.3f} MB"
    assert not ours["addresses_loaded"], "a map refers to the network"


def measure_ours(folder: Path) -> dict[str, Any]:
    """Return what a map costs on which every cell of the world has photographs, from coordinates to a file."""
    points, page = photographs(), folder / "coverage.html"
    coverage_html(points[:1], "warm")
    started_at = time.perf_counter()
    write_text(page, coverage_html(points, "everywhere"))
    row = cost("one canvas layer", page, time.perf_counter() - started_at, 1)
    return row | shown(folder)


def photographs() -> NDArray[np.float64]:
    """Return a million places, at least one in each cell, and by far the most in a few."""
    rng = np.random.default_rng(0)
    popularity = rng.pareto(1.0, CELLS)
    cells = np.r_[np.arange(CELLS), rng.choice(CELLS, PHOTOS - CELLS, p=popularity / popularity.sum())]
    return grid.center_deg(cells, 8)


def shown(folder: Path) -> dict[str, Any]:
    """Return how much of a window is land or sea two seconds after it opened a map, and what the whole of that took.

    The browser's clock is virtual, so that loads of this machine do not count; the seconds are true ones, with the
    start of the browser.
    """
    if not CHROMIUM:
        return {"shown_after_2_s": "no browser", "browser_seconds": None}
    bare = coverage_html(grid.center_deg([0], 8), "one")
    started_at = time.perf_counter()
    picture = screenshot(bare, folder, 1024, 700)
    seconds, land = time.perf_counter() - started_at, share_of(picture, BARE_LAND)
    assert land > 0.15, f"land takes {land:.0%} of the window: the map is not shown"
    return {"shown_after_2_s": f"land {land:.0%} sea {share_of(picture, OCEAN):.0%}", "browser_seconds": seconds}


def measure_rectangles(folder: Path, one_in: int) -> dict[str, Any]:
    """Return what the usual map costs, one folium.Rectangle a cell, on one cell in so many, scaled up to all."""
    cells, page = np.arange(0, CELLS, one_in), folder / "rectangles.html"
    land, names = land_mask(8)[cells], grid.format_ids(cells, 8)
    started_at = time.perf_counter()
    world = folium.Map(location=[20, 0], zoom_start=2)
    for (south, west, north, east), name, ashore in zip(grid.bounds_deg(cells, 8), names, land, strict=True):
        colour = "green" if ashore else "blue"
        box = [[south, west], [north, east]]
        folium.Rectangle(box, color=colour, weight=1, fill=True, fill_opacity=0.5, tooltip=name).add_to(world)
    world.save(str(page))
    row = cost("one rectangle a cell", page, time.perf_counter() - started_at, one_in)
    return row | {"shown_after_2_s": "not measured", "browser_seconds": None}


def cost(way: str, page: Path, seconds: float, scale: int) -> dict[str, Any]:
    html = page.read_text(encoding="utf-8")
    return {
        "way": way,
        "cells": CELLS,
        "measured_on": CELLS // scale,
        "seconds": seconds * scale,
        "megabytes": page.stat().st_size * scale / 1e6,
        "megabytes_of_base_map": sum(map(len, re.findall(r'"base_map":\{[^{}]*\{[^{}]*\}[^{}]*\}', html))) / 1e6,
        "addresses_loaded": len(re.findall(r"""(?:src|href)=["'](?:https?:)?//""", html)),
    }


if __name__ == "__main__":
    main()
