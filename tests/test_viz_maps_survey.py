"""The coverage map shows where a source has pictures, and where fetching gave up and why."""

import pandas as pd
import pytest

from dataset.manifest import SURVEY, write_manifest
from geocells import grid
from tests.browser import evaluate, needs_chromium, screenshot, share_of
from tests.test_viz_maps_coverage import words
from tests.test_viz_web_page import assert_refers_to_no_network
from viz.config import CoverageConfig
from viz.maps.coverage import coverage_html, write_coverage
from viz.maps.survey import LAYERS

PARIS, SAHARA, LAGOS, LIMA, OCEAN = (48.86, 2.35), (23.5, 12.1), (6.5, 3.4), (-12.0, -77.0), (0.1, -150.1)


def surveyed():
    rows = [
        (PARIS, 40, "short", "1 of 20: 30 blurred", 1),
        (SAHARA, 1, "short", "0 of 20: 1 too dark <b>", 0),
        (LAGOS, 9, "error", "9 could not be fetched", 0),
        (LIMA, 7, "open", "", 0),
    ]
    names = ["cell", "squares", "state", "reason", "photographs"]
    return pd.DataFrame(
        [(grid.format_id(int(grid.encode(place, 8)), 8), *rest) for place, *rest in rows], columns=names
    )


def test_the_title_says_what_came_of_the_cells():
    said = words(coverage_html([PARIS], "one", survey=surveyed()))
    assert "The source has pictures in 4 cells of level L8: 2 short, 1 not finished, 1 in error." in said


def test_without_a_survey_nothing_is_said_of_one():
    html = coverage_html([PARIS], "one")
    assert "The source" not in words(html)
    assert LAYERS[0][2] not in html


def test_reasons_are_escaped_and_the_page_refers_to_no_network():
    html = coverage_html([PARIS], "one", survey=surveyed())
    assert_refers_to_no_network(html)
    assert "too dark <b>" not in html


def test_the_survey_of_a_dataset_folder_is_read_when_asked_for(tmp_path):
    write_manifest(
        tmp_path, pd.DataFrame({"id": ["a"], "latitude": [48.86], "longitude": [2.35], "captured_at_utc": pd.NaT})
    )
    with pytest.raises(ValueError, match="leave out --survey"):
        write_coverage(CoverageConfig(tmp_path, tmp_path / "c.html", survey=True))
    surveyed().to_parquet(tmp_path / SURVEY)
    write_coverage(CoverageConfig(tmp_path, tmp_path / "c.html", survey=True))
    assert "The source has pictures in 4 cells" in (tmp_path / "c.html").read_text()
    with pytest.raises(ValueError, match="--survey is shown at level 8"):
        CoverageConfig(tmp_path, tmp_path / "c.html", level=5, survey=True)


@needs_chromium
@pytest.mark.browser
def test_the_pointer_reads_why_there_are_no_photographs(tmp_path):
    html = coverage_html([PARIS], "one", survey=surveyed())
    asked = [list(place) for place in (PARIS, SAHARA, LAGOS, LIMA, OCEAN)]
    answers = evaluate(html, tmp_path, f"{asked}.map(([lat, lon]) => describeCell(lat, lon).more)")
    assert answers == [
        "the source has pictures in 40 squares; 1 of 20: 30 blurred",
        "the source has pictures in 1 square; 0 of 20: 1 too dark <b>",
        "the source has pictures in 9 squares; 9 could not be fetched",
        "the source has pictures in 7 squares",
        "",
    ]


@needs_chromium
@pytest.mark.browser
def test_cells_without_photographs_have_the_colour_of_what_came_of_them(tmp_path):
    wide = []
    for state, west in (("open", 0), ("short", 45), ("error", 90)):
        cells = [grid.encode((lat, lon), 8) for lat in range(45) for lon in range(west, west + 45)]
        wide += [(grid.format_id(int(c), 8), 5, state, "x", 0) for c in sorted(set(map(int, cells)))]
    survey = pd.DataFrame(wide, columns=surveyed().columns)
    picture = screenshot(coverage_html([PARIS], "one", survey=survey), tmp_path, 1024, 700)
    cells = [(survey["state"] == state).sum() for state, _, _ in LAYERS]
    seen = [share_of(picture, colour) for _, colour, _ in LAYERS]
    assert seen[0] > 0.01
    assert [each / seen[0] for each in seen] == pytest.approx([each / cells[0] for each in cells], abs=0.05)
