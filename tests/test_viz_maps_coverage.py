import re

import numpy as np
import pandas as pd
import pytest

from dataset.manifest import write_manifest
from geocells import grid
from geocells.land import land_mask, land_table
from tests.browser import LAND, OCEAN, evaluate, needs_chromium, painted, screenshot, share_near, share_of
from tests.test_viz_web_page import assert_refers_to_no_network
from viz.config import CoverageConfig
from viz.maps.coverage import RAMP, coverage_html, write_coverage
from viz.web.page import CELL_OPACITY

PARIS, MID_PACIFIC = (48.86, 2.35), (0.1, -150.1)


def words(html):
    return re.sub(r"<[^>]+>", "", re.search(r"<header>.*?</header>", html)[0])


def test_a_page_in_a_folder_that_nobody_made_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"there is no folder .*/tpyo: make it first"):
        CoverageConfig(tmp_path, tmp_path / "tpyo" / "coverage.html")
    with pytest.raises(ValueError, match="is a folder: name the page in it"):
        CoverageConfig(tmp_path, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_page_refers_to_no_network_and_is_the_same_twice():
    html = coverage_html([PARIS], "one")
    assert_refers_to_no_network(html)
    assert html == coverage_html([PARIS], "one")


def test_the_title_counts_photographs_and_land_cells_and_names_those_at_sea():
    said = words(coverage_html([PARIS, PARIS, MID_PACIFIC], "mine"))
    assert said.startswith("mine: 3 photographs")
    assert f"1 of {land_mask(8).sum():,} land cells of level L8" in said
    assert "1 cell that the table of land calls ocean" in said


def test_the_name_of_a_dataset_is_escaped():
    assert "<script>alert" not in coverage_html([PARIS], "<script>alert(1)</script>")


def test_a_dataset_folder_becomes_a_page(tmp_path):
    photos = pd.DataFrame({"id": ["a", "b"], "latitude": [48.86, -33.9], "longitude": [2.35, 151.2]})
    write_manifest(tmp_path / "mine", photos.assign(captured_at_utc=pd.NaT))
    write_coverage(CoverageConfig(tmp_path / "mine", tmp_path / "coverage.html", level=5))
    assert words((tmp_path / "coverage.html").read_text()).startswith("mine: 2 photographs")


def test_levels_beyond_the_table_of_land_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--level must be 1 to 8, got 9"):
        CoverageConfig(tmp_path, tmp_path / "coverage.html", level=9)
    with pytest.raises(ValueError, match="levels 1 to 8, got 9"):
        coverage_html([PARIS], "mine", level=9)


def test_a_million_photographs_in_every_cell_stay_under_600_kilobytes():
    everywhere = grid.center_deg(np.arange(4**8), 8)
    small = len(coverage_html(everywhere, "all"))
    # A count of a million takes two bytes more, in base64, for every cell.
    assert small + 2 * 4 / 3 * 4**8 < 600_000


@needs_chromium
@pytest.mark.browser
def test_land_ocean_and_photographs_take_the_share_of_the_map_that_they_have_of_the_grid(tmp_path):
    covered = np.flatnonzero(land_mask(8))[::3]
    html = coverage_html(grid.center_deg(covered, 8), "thirds")
    # At this width the world is shown once, eight pixels a cell, and lines take little of it.
    picture = screenshot(html, tmp_path, 2048, 1200)
    green_land, green_sea = (share_near(picture, painted(RAMP[0], ground)) for ground in (LAND, OCEAN))
    land, sea = share_of(picture, LAND), share_of(picture, OCEAN)
    world = land + sea + green_land + green_sea
    # The rest of the world are coasts, borders and names.
    assert 0.78 < world < 1024 / 1200
    assert (green_land + green_sea) / world == pytest.approx(len(covered) / 4**8, abs=0.02)
    # Land is what is land and not each cell that touches it, 39 % of the world; borders and names cover a little of it.
    assert (land + green_land) / world == pytest.approx(land_table().share.mean(), abs=0.03)


@needs_chromium
@pytest.mark.browser
def test_exactly_the_cells_with_photographs_are_painted_and_the_base_map_is_seen_through_them(tmp_path):
    covered = np.flatnonzero(land_mask(5))[::3]
    html = coverage_html(grid.center_deg(covered, 5), "thirds", level=5)
    opacity = evaluate(html, tmp_path, "[...colours()].filter((_, i) => i % 4 === 3)")
    painted = np.flatnonzero(np.array(opacity))
    row, col = np.divmod(painted, grid.side(5))
    assert sorted(grid.from_row_col(row, col).tolist()) == covered.tolist()
    assert set(opacity) == {0, CELL_OPACITY}
    assert 128 < CELL_OPACITY < 255


@needs_chromium
@pytest.mark.browser
def test_the_pointer_reads_the_cell_and_count_that_the_grid_gives(tmp_path):
    rng = np.random.default_rng(0)
    photos = np.vstack([np.repeat([PARIS], 1000, axis=0), rng.uniform((-90, -180), (90, 180), (3000, 2))])
    asked = np.vstack(
        [photos[999:1200], rng.uniform((-90, -180), (90, 180), (200, 2)), [(90, 0), (-90, 180), (0, 180)]]
    )
    html = coverage_html(photos, "random")
    answers = evaluate(html, tmp_path, f"{asked.tolist()}.map(([lat, lon]) => describeCell(lat, lon))")
    cells = grid.encode(asked, 8)
    counts = np.bincount(grid.encode(photos, 8), minlength=4**8)[cells]
    assert [answer["id"] for answer in answers] == grid.format_ids(cells, 8)
    nothing = np.where(land_mask(8)[cells], "land, no photographs", "ocean")
    said = [
        f"{n:,} photograph{'' if n == 1 else 's'}" if n else empty for n, empty in zip(counts, nothing, strict=True)
    ]
    assert [answer["text"] for answer in answers] == said
    assert counts.max() >= 1000


@needs_chromium
@pytest.mark.browser
def test_a_photograph_on_the_ocean_is_green(tmp_path):
    html = coverage_html(np.repeat([MID_PACIFIC], 2, axis=0), "ship", level=2)
    picture = screenshot(html, tmp_path)
    assert share_near(picture, painted(RAMP[-1], OCEAN)) > 0.02
