import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from tests.browser import evaluate_on_base_map, needs_chromium
from viz.base_map.drawing import draw_lines, draw_names
from viz.base_map.make_regions import inner_borders, make_regions
from viz.base_map.packing import unpack
from viz.base_map.regions import MOST_BYTES, MOST_WIDE_DEG, SHIPPED, regions_of, shipped_regions
from viz.web.page import MERCATOR, Page, map_page

AUSTRALIA = (-32.0, 120.0, -18.0, 142.0)


def test_only_lines_between_regions_of_one_country_are_drawn_and_each_once():
    squares = np.array([shapely.box(x, y, x + 1, y + 1) for y in (0, 1) for x in (0, 1)], dtype=object)
    lines, width = inner_borders(squares, np.array(["A", "A", "A", "B"]), np.array([1.0, 2.0, 3.0, 4.0]), 0.0)
    ends = sorted(sorted(map(tuple, line[[0, -1]].round(6).tolist())) for line in lines)
    assert ends == [[(0, 1), (1, 1)], [(1, 0), (1, 1)]]
    assert sorted(width.tolist()) == [1, 1]


def test_the_border_of_south_australia_and_the_northern_territory_lies_on_the_26th_parallel():
    regions = unpack(regions_of(AUSTRALIA))
    assert {"South Australia", "Northern Territory", "Queensland"} <= set(regions.cities)
    lines = shapely.multilinestrings([shapely.linestrings(line[:, ::-1]) for line in regions.borders if len(line) > 1])
    assert shapely.distance(shapely.Point(133, -26), lines) < 0.05
    assert shapely.distance(shapely.Point(133, -28), lines) > 1.5


def test_a_wide_area_and_the_sea_have_no_regions():
    assert regions_of((-30, 0, 30, MOST_WIDE_DEG + 1)) is None
    assert regions_of((-50, -120, -45, -115)) is None


@given(st.floats(-60, 75), st.floats(-180, 180), st.floats(0.05, MOST_WIDE_DEG))
def test_regions_of_an_area_take_few_bytes_and_are_the_same_by_any_turn(south, west, width):
    packed = regions_of((south, west, min(south + width, 90), west + width))
    assert packed is None or len(packed) <= MOST_BYTES
    turned = regions_of((south, west - 360, min(south + width, 90), west - 360 + width))
    assert (packed is None) == (turned is None)


def test_small_regions_are_left_out_of_a_large_area():
    slovenia, balkans = (unpack(regions_of(view)) for view in ((45.4, 13.4, 46.9, 16.6), (35, 5, 55, 35)))
    assert {"Ajdovščina", "Bohinj"} <= set(slovenia.cities), "municipalities"
    assert not {"Ajdovščina", "Bohinj"} & set(balkans.cities)


def test_the_shipped_regions_are_those_of_natural_earth_and_the_same_twice(shared_data, tmp_path):
    path = shared_data / "naturalearth" / "ne_10m_admin_1_states_provinces.zip"
    made = [make_regions(path, 0.05, tmp_path / name) for name in ("one.npz", "two.npz")]
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert made[0].names == shipped_regions().names
    assert len(made[0].lines) == pytest.approx(len(shipped_regions().lines), abs=20)
    assert (tmp_path / "one.npz").stat().st_size == pytest.approx(SHIPPED.stat().st_size, rel=0.02)


@needs_chromium
@pytest.mark.browser
def test_regions_are_named_where_an_area_is_near_and_not_from_far(tmp_path):
    def shown(zoom):
        page = Page("a", {}, "prediction.js", f"((map) => map.setView([-26, 133], {zoom}))", area=AUSTRALIA)
        return evaluate_on_base_map(map_page(page, MERCATOR), tmp_path, "[...world.layer.shown]")

    assert "South Australia" in shown(5)
    assert "South Australia" not in shown(2)


def test_pictures_of_a_small_area_draw_its_regions_as_pages_do():
    def drawn(south, west, north, east):
        axes = Figure((5, 4)).add_axes((0, 0, 1, 1), xlim=(west, east), ylim=(south, north))
        draw_lines(axes, (0,))
        draw_names(axes, (0,))
        lines = [collection for collection in axes.collections if isinstance(collection, LineCollection)]
        return [len(collection.get_segments()) for collection in lines], {text.get_text() for text in axes.texts}

    (_, _, inner), names = drawn(*AUSTRALIA)
    assert 3 <= inner < len(unpack(regions_of(AUSTRALIA)).borders), "those in sight"
    assert {"South Australia", "Northern Territory"} <= names
    lines, names = drawn(-60.0, 60.0, 10.0, 180.0)
    assert len(lines) == 2
    assert "South Australia" not in names
