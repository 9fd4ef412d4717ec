"""Size of pages and time until they are seen, beside the usual way: `python -m bench.maps [--full] [--run RUN --data DATA]`.

A coverage page of all cells beside one rectangle a cell, an answer with 25,000 cells, and, where a run is named, its report.
Without --full the usual way is measured on one cell in 32 and scaled up; it grows in proportion to the cells. Each page is opened
in turn with an empty one, so that the load of the machine is the same for both.
"""

import argparse
import dataclasses
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import folium
import numpy as np
from numpy.typing import NDArray

from bench.report import write_results
from geocells import grid
from geocells.land import land_mask
from infer.prediction import Cell, LevelPrediction, Prediction
from plumbing.files import write_text
from tests.browser import CHROMIUM, LAND, OCEAN, open_page, screenshot, share_of, wait_for_base_map
from viz.config import ReportConfig
from viz.maps.coverage import coverage_html
from viz.maps.prediction import prediction_html
from viz.report.page import write_report

CELLS = 4**8
PHOTOS = 1_000_000
LEAVES = 25_000
OPENED = 5
"""Times that each page is opened; the median counts."""
EMPTY = '<!DOCTYPE html>\n<html lang="en"><head><title>empty</title></head><body><p>empty</p></body></html>\n'
MOST_SECONDS, MOST_OF_BASE_MAP, MOST_TO_PAINT_S = 2.0, 0.14, 1.0
MOST_MEGABYTES = {"coverage": 0.6, "answer": 0.7, "report": 6.0}
NOT_MEASURED = {"first_paint_s": None, "times_empty": None, "drawn_s": None}


def main() -> None:
    """Measure, write, and fail where a page is larger or slower than it may be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help="measure the usual way on all cells")
    parser.add_argument("--run", type=Path, help="evaluated run folder; its report is measured too")
    parser.add_argument("--data", type=Path, help="dataset of the run, for the photographs of the report")
    config = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pages = [coverage_page(Path(folder)), answer_page(Path(folder))]
        if config.run is not None:
            pages.append(report_page(Path(folder), config.run, config.data))
        rows = [row | opened(page, Path(folder)) for page, row in pages]
        usual = rectangles_page(Path(folder), 1 if config.full else 32) | NOT_MEASURED
        write_results("maps", [*rows, usual])
        seen = shown(Path(folder))
    print(f"a window of the coverage page: {seen}")
    for row in rows:
        check(row)


def check(row: dict[str, Any]) -> None:
    """Fail where a page is larger or slower than it may be."""
    page, most = row["page"], MOST_MEGABYTES[row["page"]]
    assert row["megabytes"] <= most, f"the {page} page takes {row['megabytes']:.2f} MB, of {most} MB"
    assert row["megabytes_of_base_map"] <= MOST_OF_BASE_MAP, f"its base map takes {row['megabytes_of_base_map']:.3f} MB"
    assert not row["addresses_loaded"], f"the {page} page refers to the network"
    if page == "coverage":
        assert row["seconds"] < MOST_SECONDS, f"it took {row['seconds']:.2f} s to write"
        assert (row["first_paint_s"] or 0) <= MOST_TO_PAINT_S, f"its first paint took {row['first_paint_s']:.2f} s"


def coverage_page(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return a map on which every cell of the world has photographs, and what it costs, from coordinates to a file."""
    points, page = photographs(), folder / "coverage.html"
    coverage_html(points[:1], "warm")
    started_at = time.perf_counter()
    write_text(page, coverage_html(points, "everywhere"))
    return page, cost("coverage", "one canvas layer", page, time.perf_counter() - started_at, CELLS)


def photographs() -> NDArray[np.float64]:
    """Return a million places, at least one in each cell, and by far the most in a few."""
    rng = np.random.default_rng(0)
    popularity = rng.pareto(1.0, CELLS)
    cells = np.r_[np.arange(CELLS), rng.choice(CELLS, PHOTOS - CELLS, p=popularity / popularity.sum())]
    return grid.center_deg(cells, 8)


def answer_page(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the page of an answer of 25,000 cells without a photograph, and what it costs."""
    answer, page = many_leaves(), folder / "answer.html"
    prediction_html(Prediction.example())
    started_at = time.perf_counter()
    write_text(page, prediction_html(answer))
    return page, cost("answer", "one canvas layer", page, time.perf_counter() - started_at, LEAVES)


def many_leaves() -> Prediction:
    """Return an answer with 25,000 cells of level 8 on land, the most probable first."""
    rng = np.random.default_rng(0)
    cells = rng.permutation(np.flatnonzero(land_mask(8)))[:LEAVES]
    probability = np.sort(rng.pareto(1.0, LEAVES))[::-1]
    probability /= probability.sum()
    facts = zip(
        grid.format_ids(cells, 8),
        probability.tolist(),
        grid.center_deg(cells, 8).tolist(),
        rng.integers(1, 500, LEAVES).tolist(),
        grid.bounds_deg(cells, 8).tolist(),
        strict=True,
    )
    leaves = tuple(Cell(name, float(f"{p:.6g}"), *center, n, tuple(box)) for name, p, center, n, box in facts)
    level = LevelPrediction("L8", leaves, 0.0, leaves[0].probability)
    answer = Prediction.example()
    return dataclasses.replace(answer, levels={**answer.levels, "L8": level})


def report_page(folder: Path, run: Path, data: Path | None) -> tuple[Path, dict[str, Any]]:
    """Return the report of a run, and what it costs."""
    page = folder / "report.html"
    started_at = time.perf_counter()
    write_report(ReportConfig(run, page, data=data))
    return page, cost("report", "SVG and PNG", page, time.perf_counter() - started_at, 0)


def opened(page: Path, folder: Path) -> dict[str, Any]:
    """Return when a browser first paints a page, how many times longer than an empty one takes, and when its map is drawn."""
    if not CHROMIUM:
        return NOT_MEASURED
    empty = folder / "empty.html"
    write_text(empty, EMPTY)
    first_paint(empty)
    turns = [(first_paint(page), first_paint(empty)) for _ in range(OPENED)]
    painted, drawn = (float(np.median([of[k] for of, _ in turns])) for k in (0, 1))
    bare = float(np.median([of[0] for _, of in turns]))
    return {"first_paint_s": painted, "times_empty": painted / bare, "drawn_s": drawn}


def first_paint(page: Path) -> Sequence[float]:
    """Return the seconds from the start of a page to its first contentful paint, and until its base map is drawn."""
    with open_page(page) as tab:
        wait_for_base_map(tab)
        drawn_ms = tab.evaluate("performance.now()")
        paint_ms = tab.evaluate(
            "new Promise((done) => new PerformanceObserver((list) => list.getEntriesByName('first-contentful-paint').forEach("
            "(entry) => done(entry.startTime))).observe({ type: 'paint', buffered: true }))"
        )
    return paint_ms / 1000, drawn_ms / 1000


def shown(folder: Path) -> str:
    """Return how much of a window is land or sea once a coverage page of photographs at both ends of the world is drawn."""
    if not CHROMIUM:
        return "no browser"
    picture = screenshot(coverage_html(grid.center_deg([0, CELLS - 1], 8), "two"), folder, 1024, 700)
    land = share_of(picture, LAND)
    assert land > 0.05, f"land takes {land:.0%} of the window: the map is not shown"
    return f"land {land:.0%}, sea {share_of(picture, OCEAN):.0%}"


def rectangles_page(folder: Path, one_in: int) -> dict[str, Any]:
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
    return cost("coverage", "one rectangle a cell", page, time.perf_counter() - started_at, CELLS, one_in)


def cost(kind: str, way: str, page: Path, seconds: float, cells: int, scale: int = 1) -> dict[str, Any]:
    """Return what a page costs; `scale` times as much as was measured."""
    html = page.read_text(encoding="utf-8")
    base_map = re.findall(r'"base_map":\{[^{}]*\}', html)
    return {
        "page": kind,
        "way": way,
        "cells": cells,
        "measured_on": cells // scale,
        "seconds": seconds * scale,
        "megabytes": page.stat().st_size * scale / 1e6,
        "megabytes_of_base_map": sum(map(len, base_map)) / 1e6,
        "addresses_loaded": len(re.findall(r"""(?:src=|<link[^>]*href=)["'](?:https?:)?//""", html)),
    }


if __name__ == "__main__":
    main()
