import re

import numpy as np
import pandas as pd
import pytest

from bench.maps import photographs
from dataset.manifest import write_manifest
from fetch.balance import run as balance
from fetch.config import BalanceConfig
from fetch.subset import read_subset
from geocells import grid
from geocells.land import land_mask, land_table
from tests.browser import LAND, OCEAN, evaluate, needs_chromium, painted, screenshot, share_near, share_of
from tests.test_viz_web_page import assert_refers_to_no_network
from viz.config import CoverageConfig
from viz.maps.cell_balance import level_balance
from viz.maps.coverage import RAMP, coverage_html, write_coverage
from viz.web.page import CELL_OPACITY

PARIS, MID_PACIFIC = (48.86, 2.35), (0.1, -150.1)
MOST_BYTES = 600_000


def words(html):
    return re.sub(r"<[^>]+>", "", re.search(r"<header>.*?</header>", html)[0])


def asked_of_cells(points, level, then="describeCell(c, i, {level})"):
    """Return a script that answers for the cell of each point."""
    each = then.format(level=level)
    return (
        f"map_1.coverage.then((c) => {np.asarray(points).tolist()}"
        f".map(([lat, lon]) => cellAt(lat, lon, {level})).map((i) => {each}))"
    )


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
    html = coverage_html([PARIS], "<script>alert(1)</script>", split=["<script>alert(2)"], data="<script>alert(3)")
    assert "<script>alert" not in html


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


def test_a_million_photographs_over_all_cells_stay_under_600_kilobytes():
    assert len(coverage_html(photographs(), "all")) < MOST_BYTES


def test_three_splits_of_counts_that_do_not_repeat_on_all_land_stay_under_600_kilobytes():
    rng = np.random.default_rng(0)
    cells = np.flatnonzero(land_mask(8))
    points = grid.center_deg(np.repeat(cells, rng.geometric(0.02, len(cells))), 8)
    split = rng.choice(["train", "calibration", "test"], len(points), p=(0.7, 0.15, 0.15))
    assert len(points) > 1_000_000
    assert len(coverage_html(points, "land", split=split)) < MOST_BYTES


def test_cells_to_act_on_are_those_that_the_command_cuts_and_leaves_out(tmp_path):
    rng = np.random.default_rng(0)
    counts = {cell: int(n) for cell, n in zip((5, 77, 300, 801, 1000), (40, 9, 8, 7, 2), strict=True)}
    points = np.vstack([rng.uniform(*grid.bounds_deg(c, 5).reshape(2, 2), size=(n, 2)) for c, n in counts.items()])
    photos = pd.DataFrame({"id": [str(k) for k in range(len(points))], "latitude": points[:, 0]})
    write_manifest(tmp_path, photos.assign(longitude=points[:, 1], captured_at_utc=pd.NaT, split="train"))
    balance(BalanceConfig(data=tmp_path, target="cell", level=5, out=tmp_path / "subset.txt"))
    kept = [int(photo) for photo in read_subset(tmp_path / "subset.txt").ids]
    left = np.bincount(grid.encode(points[kept], 5), minlength=4**5)
    have = np.bincount(grid.encode(points, 5), minlength=4**5)
    found = level_balance(have)
    assert found.kept == len(kept)
    assert dict(zip(found.over.cells.tolist(), found.over.change.tolist(), strict=True)) == {
        cell: n - left[cell] for cell, n in counts.items() if 0 < left[cell] < n
    }
    assert set(found.under.cells.tolist()) == {cell for cell in counts if left[cell] == 0} != set()
    # With what they lack they would have stayed.
    more = have.copy()
    more[found.under.cells] += found.under.change
    assert level_balance(more).under.total == 0


@needs_chromium
@pytest.mark.browser
def test_land_ocean_and_photographs_take_the_share_of_the_map_that_they_have_of_the_grid(tmp_path):
    covered = np.flatnonzero(land_mask(8))[::3]
    html = coverage_html(grid.center_deg(covered, 8), "thirds")
    # At this width the world is shown once, and lines take little of it.
    picture = screenshot(html, tmp_path, 2048 + 350, 1300)[:1100, :2048]
    green_land, green_sea = (share_near(picture, painted(RAMP[0], ground)) for ground in (LAND, OCEAN))
    land, sea = share_of(picture, LAND), share_of(picture, OCEAN)
    world = land + sea + green_land + green_sea
    # The rest of the world are coasts, borders and names.
    assert world > 0.7
    assert (green_land + green_sea) / world == pytest.approx(len(covered) / 4**8, abs=0.02)
    # Land is what is land and not each cell that touches it, 39 % of the world; borders and names cover a little of it.
    assert (land + green_land) / world == pytest.approx(land_table().share.mean(), abs=0.03)


@needs_chromium
@pytest.mark.browser
def test_exactly_the_cells_with_photographs_are_painted_and_the_base_map_is_seen_through_them(tmp_path):
    covered = np.flatnonzero(land_mask(5))[::3]
    html = coverage_html(grid.center_deg(covered, 5), "thirds", level=5)
    opacity = evaluate(html, tmp_path, "map_1.coverage.then((c) => [...colours(c)].filter((_, i) => i % 4 === 3))")
    filled = np.flatnonzero(np.array(opacity))
    row, col = np.divmod(filled, grid.side(5))
    assert sorted(grid.from_row_col(row, col).tolist()) == covered.tolist()
    assert set(opacity) == {0, CELL_OPACITY}
    assert 128 < CELL_OPACITY < 255


@needs_chromium
@pytest.mark.browser
@pytest.mark.parametrize("level", [3, 8])
def test_the_pointer_reads_the_cell_the_count_and_the_country_that_the_grid_gives(tmp_path, level):
    rng = np.random.default_rng(0)
    photos = np.vstack([np.repeat([PARIS], 1000, axis=0), rng.uniform((-90, -180), (90, 180), (3000, 2))])
    asked = np.vstack(
        [photos[999:1200], rng.uniform((-90, -180), (90, 180), (200, 2)), [(90, 0), (-90, 180), (0, 180)]]
    )
    split = np.where(np.arange(len(photos)) % 4 == 0, "test", "train")
    html = coverage_html(photos, "random", split=split)
    answers = evaluate(html, tmp_path, asked_of_cells(asked, level))
    cells = grid.encode(asked, level)
    counts, test = (np.bincount(grid.encode(p, level), minlength=4**level)[cells] for p in (photos, photos[::4]))
    assert [answer["id"] for answer in answers] == grid.format_ids(cells, level)
    nothing = np.where(land_mask(level)[cells], "land, no photographs", "ocean")
    said = [
        f"{n:,} photograph{'' if n == 1 else 's'}" if n else empty for n, empty in zip(counts, nothing, strict=True)
    ]
    assert [answer["text"] for answer in answers] == said
    both = zip(counts.tolist(), test.tolist(), strict=True)
    parts = [[f"{n - k:,} train"] * (n > k) + [f"{k:,} test"] * (k > 0) for n, k in both]
    assert [answer["splits"] for answer in answers] == [", ".join(part) for part in parts]
    assert counts.max() >= 1000
    assert answers[0]["country"] == {3: "land: mostly Russia", 8: "France"}[level]


@needs_chromium
@pytest.mark.browser
def test_a_photograph_on_the_ocean_is_green(tmp_path):
    html = coverage_html(np.repeat([MID_PACIFIC], 2, axis=0), "ship", level=2)
    picture = screenshot(html, tmp_path)
    assert share_near(picture, painted(RAMP[-1], OCEAN)) > 0.02
