"""The coverage map shows where a source has pictures, and where fetching gave up and why."""

from collections import Counter

import pandas as pd
import pytest

from dataset.manifest import SURVEY, write_manifest
from geocells import grid
from geocells.land import land_mask
from tests.browser import LAND, evaluate, needs_chromium, painted, screenshot, share_near
from tests.browser import OCEAN as SEA
from tests.test_viz_maps_coverage import asked_of_cells, words
from tests.test_viz_web_page import assert_refers_to_no_network
from viz.config import CoverageConfig
from viz.maps.coverage import coverage_html, write_coverage
from viz.maps.survey import LAYERS

PARIS, SAHARA, LAGOS, LIMA, OCEAN = (48.86, 2.35), (23.5, 12.1), (6.5, 3.4), (-12.0, -77.0), (0.1, -150.1)
ALTAI = (47.5, 90.2)


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


def searched():
    """Return the survey of a run that also lists the cells where nothing exists: one on land, one at sea."""
    names = [grid.format_id(int(grid.encode(place, 8)), 8) for place in (ALTAI, OCEAN)]
    nothing = pd.DataFrame({"cell": names, "squares": 0, "state": "empty", "reason": "", "photographs": 0})
    return pd.concat([surveyed(), nothing], ignore_index=True).assign(searched_at_utc="2026-11-28T10:00:00+00:00")


def test_the_title_counts_cells_without_pictures_and_those_never_searched():
    said = words(coverage_html([PARIS], "one", survey=searched()))
    land = int(land_mask(8).sum())
    assert f"Land cells where nothing exists: 1; never searched: {land - 5:,}." in said
    html = coverage_html([PARIS], "one", survey=searched())
    assert "land searched, nothing exists" in html
    assert "land never searched" in html


def test_a_survey_of_an_earlier_version_says_nothing_of_what_it_does_not_list():
    html = coverage_html([PARIS], "one", survey=surveyed())
    assert "never searched" not in words(html)
    assert "nothing exists</span>" not in html
    assert "land without photographs" in html


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


@needs_chromium
@pytest.mark.browser
def test_the_pointer_reads_why_there_are_no_photographs(tmp_path):
    html = coverage_html([PARIS], "one", survey=surveyed())
    asked = [list(place) for place in (PARIS, SAHARA, LAGOS, LIMA, OCEAN)]
    answers = evaluate(html, tmp_path, asked_of_cells(asked, 8, "describeCell(c, i, 8).more"))
    assert answers == [
        "the source has pictures in 40 squares; 1 of 20: 30 blurred",
        "the source has pictures in 1 square; 0 of 20: 1 too dark <b>",
        "the source has pictures in 9 squares; 9 could not be fetched",
        "the source has pictures in 7 squares",
        "",
    ]


@needs_chromium
@pytest.mark.browser
def test_the_pointer_tells_searched_and_empty_from_never_searched(tmp_path):
    html = coverage_html([PARIS], "one", survey=searched())
    asked = [list(place) for place in (ALTAI, OCEAN, (61.0, 90.0), LIMA)]
    answers = evaluate(html, tmp_path, asked_of_cells(asked, 8, "describeCell(c, i, 8).more"))
    assert answers == [
        "searched on 2026-11-28, nothing exists",
        "searched on 2026-11-28, nothing exists",
        "never searched",
        "searched on 2026-11-28: the source has pictures in 7 squares",
    ]
    colours = evaluate(html, tmp_path, asked_of_cells([ALTAI, OCEAN], 8, "c.surveyColour(i)"))
    assert colours == [{state: tint for state, tint, _ in LAYERS}["empty"], ""]


@needs_chromium
@pytest.mark.browser
def test_a_coarser_cell_counts_the_states_of_its_land(tmp_path):
    html = coverage_html([PARIS], "one", survey=searched())
    (said,) = evaluate(html, tmp_path, asked_of_cells([SAHARA], 3, "describeCell(c, i, 3).more"))
    cell = grid.encode(SAHARA, 3)
    own = grid.children(cell, 3, 8).ravel()
    state = dict(zip((grid.parse_id(text)[0] for text in searched()["cell"]), searched()["state"], strict=True))
    known = Counter(state[int(k)] for k in own if int(k) in state)
    never = int(land_mask(8)[own].sum()) - known["short"] - known["error"]
    assert known["short"] >= 1
    assert f"{never} never searched" in said
    assert f"{known['short']} without usable pictures" in said


@needs_chromium
@pytest.mark.browser
def test_cells_without_photographs_have_the_colour_of_what_came_of_them(tmp_path):
    wide = []
    for state, west in (("open", 0), ("short", 45), ("error", 90)):
        cells = [grid.encode((lat, lon), 8) for lat in range(45) for lon in range(west, west + 45)]
        wide += [(grid.format_id(int(c), 8), 5, state, "x", 0) for c in sorted(set(map(int, cells)))]
    survey = pd.DataFrame(wide, columns=surveyed().columns)
    html = coverage_html([PARIS], "one", survey=survey)
    bytes_of = "[...new Uint32Array(colours(c).buffer)].map((c) => [c & 255, (c >> 8) & 255, (c >> 16) & 255].join())"
    at = f"map_1.coverage.then((c) => {bytes_of})"
    cells = Counter(evaluate(html, tmp_path, at))
    picture = screenshot(html, tmp_path, 1024, 700)
    for state, colour, _ in LAYERS[:3]:
        assert (
            cells[",".join(str(int(colour[k : k + 2], 16)) for k in (1, 3, 5))] == (survey["state"] == state).sum() > 0
        )
        assert sum(share_near(picture, painted(colour, ground)) for ground in (LAND, SEA)) > 0.01
