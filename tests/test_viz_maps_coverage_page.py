"""The coverage page as people use it: with a mouse, with keys alone, at a desk and on a phone."""

import json
import logging
import shutil

import numpy as np
import pandas as pd
import pytest

from dataset.manifest import content_hash, read_manifest
from geocells import grid
from geocells.land import land_mask, land_table
from tests.browser import (
    DESKTOP,
    PHONE,
    THEMES,
    needs_axe,
    needs_chromium,
    open_html,
    open_page,
    screenshots,
    serious_faults,
    tab_to,
    written,
)
from tests.test_viz_maps_survey import searched
from viz.config import CoverageConfig
from viz.maps.cell_errors import CellErrors, read_errors
from viz.maps.coverage import coverage_html, write_coverage
from viz.web.page import CELL_OPACITY

pytestmark = [needs_chromium, pytest.mark.browser]

PARIS, NAIROBI, LIMA, SUVA, TAVEUNI = (48.86, 2.35), (-1.29, 36.82), (-12.0, -77.0), (-18.1, 178.4), (-16.8, -179.9)
DRAWN = "map_1.coverage.then(() => null)"


def photographs():
    """Return 5 photographs at Paris, 3 at Nairobi, 1 at Lima, and the split of each."""
    points = np.repeat([PARIS, NAIROBI, LIMA], (5, 3, 1), axis=0)
    return points, ["train"] * 4 + ["test"] + ["train"] * 2 + ["calibration"] + ["test"]


def errors():
    cells = grid.encode([PARIS, LIMA], 5)
    return CellErrors("demo", "test", 5, cells, np.array([12.0, 4321.0]))


def html_of(**changes):
    points, split = photographs()
    return coverage_html(points, "mine", split=split, errors=errors(), **changes)


def ready(page):
    page.set_default_timeout(20_000)
    page.evaluate(DRAWN)
    return page


def choose(page, words):
    """Choose one of the buttons of a switch."""
    page.get_by_role("radio", name=words, exact=True).check()


def point_at(page, place):
    """Move the mouse over a place of the map."""
    box = page.locator(".folium-map").bounding_box()
    at = page.evaluate(f"map_1.latLngToContainerPoint({list(place)})")
    return box["x"] + at["x"], box["y"] + at["y"]


def center(page):
    return page.evaluate("[map_1.getCenter().lat, map_1.getCenter().lng]")


def bars(page):
    """Return the words of each bar of the histogram."""
    texts = page.locator("#bars button").evaluate_all(
        "(all) => all.map((b) => [...b.children].map((c) => c.textContent))"
    )
    return [(text[0], text[2]) for text in texts]


def test_the_pointer_over_a_cell_reads_it_and_marks_its_bar_of_the_histogram(tmp_path):
    with open_html(html_of(), tmp_path) as page:
        ready(page).mouse.move(*point_at(page, PARIS))
        said = page.locator(".leaflet-tooltip").inner_text()
        assert "5 photographs" in said
        assert "4 train, 1 test" in said
        assert "France" in said
        assert grid.format_id(int(grid.encode(PARIS, 8)), 8) in said
        assert page.locator("#bars button.here").inner_text().startswith("4 to 7")
        page.mouse.move(*point_at(page, (10, -30)))
        assert "ocean" in page.locator(".leaflet-tooltip").inner_text()


def test_choosing_a_bar_leaves_its_cells_and_dims_the_others(tmp_path):
    with open_html(html_of(), tmp_path) as page:
        ready(page)
        land = int(land_mask(8).sum())
        assert bars(page) == [
            ("0, on land", f"{land - 3:,} cells"), ("1", "1 cell"), ("2 to 3", "1 cell"), ("4 to 7", "1 cell"),
        ]  # fmt: skip
        page.get_by_role("button", name="2 to 3").click()
        assert page.get_by_role("button", name="2 to 3").get_attribute("aria-pressed") == "true"
        places = [list(place) for place in (PARIS, NAIROBI, LIMA)]
        of = f"{places}.map(([lat, lon]) => colours(c)[4 * cellAt(lat, lon, 8) + 3])"
        paris, nairobi, lima = page.evaluate(f"map_1.coverage.then((c) => {of})")
        assert nairobi == CELL_OPACITY
        assert paris == lima < CELL_OPACITY / 4
        page.get_by_role("button", name="2 to 3").click()
        assert page.evaluate(f"map_1.coverage.then((c) => {of})") == [CELL_OPACITY] * 3


def test_a_click_on_the_map_chooses_the_cell_and_its_bar_stays_marked(tmp_path):
    with open_html(html_of(), tmp_path) as page:
        ready(page).mouse.click(*point_at(page, NAIROBI))
        assert "3 photographs" in page.locator("#cell").inner_text()
        page.mouse.move(*point_at(page, PARIS))
        page.mouse.move(1270, 880)
        page.locator("#bars button.here", has_text="2 to 3").wait_for()


def test_levels_and_splits_switch_to_the_counts_that_the_grid_gives(tmp_path):
    points, split = photographs()
    with open_html(html_of(), tmp_path) as page:
        choose(ready(page), "L3")
        choose(page, "train")
        counts = page.evaluate("map_1.coverage.then((c) => [...c.counts(levelShown(), view.split)])")
        own = points[np.array(split) == "train"]
        cells, n = np.unique(grid.encode(own, 3), return_counts=True)
        row, col = grid.to_row_col(cells)
        assert dict(zip((row * 8 + col).tolist(), n.tolist(), strict=True)) == {k: v for k, v in enumerate(counts) if v}
        assert f"6 photographs of the train split in 2 of {land_mask(3).sum()} land cells of L3" in page.inner_text(
            "#summary"
        )


def test_cells_ids_coordinates_countries_and_cities_are_found(tmp_path):
    with open_html(html_of(), tmp_path) as page:
        ready(page)

        def find(text):
            page.fill("#place", text)
            page.press("#place", "Enter")
            return page.inner_text("#found")

        assert find("2/1") == "Cell 2/1"
        assert page.evaluate("levelShown()") == 2
        south, west, north, east = grid.bounds_deg(grid.parse_id("2/1")[0], 2)
        assert center(page) == pytest.approx([(south + north) / 2, (west + east) / 2], abs=0.5)
        assert find("-12.0, -77.0") == "12.00° S, 77.00° W"
        assert find("nairobi") == "Nairobi"
        assert center(page) == pytest.approx(NAIROBI, abs=45)
        assert find("kenya") == "Kenya"
        assert page.get_by_role("button", name="Kenya").get_attribute("aria-pressed") == "true"
        kenya = grid.center_deg(np.flatnonzero(land_table().country == "KE"), 8)
        assert center(page) == pytest.approx((kenya.min(axis=0) + kenya.max(axis=0)) / 2, abs=0.5)
        assert "is not a country, a city of the map or a cell" in find("Atlantis <b>")
        assert "Latitude 95 is not within" in find("95, 10")


def test_the_table_of_countries_counts_as_the_table_of_land_does_and_sorts(tmp_path):
    points, _ = photographs()
    with open_html(html_of(), tmp_path) as page:
        ready(page)
        first = page.locator("#countries tbody tr").evaluate_all(
            "(all) => all.slice(0, 3).map((r) => [...r.children].map((c) => c.innerText))"
        )
        land = {code: int((land_table().country == code).sum()) for code in ("FR", "KE", "PE")}
        assert first == [
            ["France", "5", f"1 of {land['FR']}"], ["Kenya", "3", f"1 of {land['KE']}"], ["Peru", "1", f"1 of {land['PE']}"],
        ]  # fmt: skip
        heading = page.locator("#countries thead th").first
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == "ascending"
        names = page.locator("#countries tbody th").all_inner_texts()
        assert names == sorted(names)
        assert len(points) == 9


def test_errors_by_cell_take_the_place_of_counts_at_the_level_at_which_they_are_known(tmp_path):
    with open_html(html_of(), tmp_path) as page:
        choose(ready(page), "median error")
        assert page.evaluate("levelShown()") == 5
        assert page.get_by_role("radio", name="L5", exact=True).is_disabled()
        page.mouse.move(*point_at(page, LIMA))
        assert "median error 4,321 km" in page.locator(".leaflet-tooltip").inner_text()
        worst = page.locator("#uneven li").all_inner_texts()
        assert worst[0].startswith(grid.format_id(int(grid.encode(LIMA, 5)), 5))
        assert "4,321 km, 1 photograph" in worst[0]
        colour = page.evaluate("map_1.coverage.then((c) => [...c.errors.values()].map(errorColour))")
        assert len(set(colour)) == 2
        assert page.locator("#legend-error").is_visible()
        assert not page.locator("#legend-photographs").is_visible()


def test_the_cells_to_act_on_come_with_the_commands_that_act(tmp_path):
    with open_html(html_of(data="data/my photos", mapillary=True), tmp_path) as page:
        ready(page)
        code = page.locator("#uneven code").all_inner_texts()
        assert code[0] == "python -m fetch balance --data 'data/my photos' --target cell --out subset.txt"
        choose(page, "L5")
        assert "--target cell --level 5" in page.locator("#uneven code").first.inner_text()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_starts_with_all_cells_that_have_photographs_in_sight(tmp_path, size):
    with open_html(html_of(), tmp_path, size) as page:
        ready(page)
        for place in (PARIS, NAIROBI, LIMA):
            assert page.evaluate(f"map_1.getBounds().contains({list(place)})")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        page.get_by_role("button", name="Whole world").click()
        assert page.evaluate("map_1.getBounds().contains([[-89, -179], [89, 179]])")
        scale = page.locator(".leaflet-control-scale-line").first.inner_text()
        assert scale.endswith(" km")


def test_photographs_on_both_sides_of_the_antimeridian_are_framed_together(tmp_path):
    with open_html(coverage_html([SUVA, TAVEUNI], "Fiji"), tmp_path) as page:
        ready(page)
        west, east = page.evaluate("[map_1.getBounds().getWest(), map_1.getBounds().getEast()]")
        assert east - west < 60
        assert west < SUVA[1] < TAVEUNI[1] + 360 < east


def test_keys_alone_find_a_cell_choose_a_level_a_split_and_a_bar_and_read_the_map(tmp_path):
    with open_html(html_of(), tmp_path) as page:
        ready(page)

        tab_to(page, ".folium-map")
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(600)
        assert page.locator(".leaflet-tooltip").inner_text()
        page.keyboard.press("Enter")
        lat, lng = center(page)
        assert grid.format_id(int(grid.encode((lat, lng), 8)), 8) in page.inner_text("#cell")
        tab_to(page, "#place")
        page.keyboard.type(grid.format_id(int(grid.encode(PARIS, 8)), 8))
        page.keyboard.press("Enter")
        assert "5 photographs" in page.inner_text("#cell")
        tab_to(page, "input[name=level]")
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("view.level") == 7
        tab_to(page, "input[name=split]")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("view.split") == "train"
        tab_to(page, "#bars button")
        page.keyboard.press("Enter")
        assert page.evaluate("view.bucket") == 0
        assert page.evaluate("document.activeElement.dataset.bucket") == "0"
        tab_to(page, "#countries tbody button")
        page.keyboard.press("Enter")
        assert page.evaluate("data.countries[view.country]") == "France"


@needs_axe
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_no_serious_fault(tmp_path, size, theme):
    with open_html(html_of(survey=searched()), tmp_path, size, theme) as page:
        ready(page)
        assert serious_faults(page) == []
        choose(page, "median error")
        page.locator("#uneven li button").first.click()
        assert serious_faults(page) == []


def test_screenshots_are_taken_at_both_sizes_and_in_both_themes(tmp_path):
    taken = screenshots(written(html_of(survey=searched()), tmp_path), "coverage", tmp_path, whole=True)
    assert len({path.read_bytes() for path in taken}) == 4


def test_names_of_files_and_splits_are_text(tmp_path):
    points, _ = photographs()
    bad = "<script>alert(1)</script>"
    with open_html(coverage_html(points, bad, split=[bad] * 5 + ["b"] * 4, data=bad), tmp_path) as page:
        ready(page)
        assert bad in page.inner_text("h1")
        assert bad in page.inner_text("#split")
        page.mouse.move(*point_at(page, PARIS))
        assert f"5 {bad}" in page.inner_text(".leaflet-tooltip")


def evaluated(tiny, folder, split_hash=None):
    """Return a run folder with an evaluation that has errors by cell, and the dataset's photographs."""
    photos = read_manifest(tiny)
    test = photos[photos["split"] == "test"]
    cells = {grid.format_id(int(grid.encode(PARIS, 5)), 5): 7.5}
    report = {"run": "r", "split": "test", "split_hash": split_hash or content_hash(test)}
    folder.mkdir()
    (folder / "evaluation_test.json").write_text(json.dumps({**report, "cells": {"level": 5, "median_km": cells}}))
    return folder, photos


def test_a_page_of_a_run_shows_what_its_evaluation_says_of_cells(tiny, tmp_path):
    run, _ = evaluated(tiny, tmp_path / "run")
    write_coverage(CoverageConfig(tiny, tmp_path / "coverage.html", run=run))
    with open_page(tmp_path / "coverage.html") as page:
        choose(ready(page), "median error")
        assert "8 km, 2 photographs" in page.locator("#uneven li").first.inner_text()


def test_a_run_without_errors_by_cell_is_refused_with_what_to_do(tiny, tmp_path, caplog):
    run, photos = evaluated(tiny, tmp_path / "run")
    with caplog.at_level(logging.WARNING):
        assert read_errors(run, photos).median_km.tolist() == [7.5]
    assert not caplog.records
    other, _ = evaluated(tiny, tmp_path / "other", "0" * 64)
    read_errors(other, photos)
    assert "measured other photographs than the test split" in caplog.text
    (run / "evaluation_test.json").write_text('{"run": "r"}')
    with pytest.raises(ValueError, match="has no errors by cell: run `python -m infer evaluate --split test`"):
        read_errors(run, photos)
    shutil.rmtree(run)
    run.mkdir()
    with pytest.raises(ValueError, match="has no evaluation: run `python -m infer evaluate"):
        read_errors(run, pd.DataFrame())
