"""The base map: what the shipped file holds, how it is made, and that pages and pictures show it."""

import json
import re

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dataset.country_names import country_name
from geocells.country_outlines import country_outlines
from geocells.land import land_table
from geocells.sphere import distance_km
from tests.browser import LAND, OCEAN, evaluate_on_base_map, needs_chromium, screenshot, share_near
from tests.test_viz_web_page import assert_refers_to_no_network
from viz.base_map.drawing import draw_ground, draw_names
from viz.base_map.make import again, coast_and_borders, make_base_map
from viz.base_map.packing import STEP_DEG, BaseMap, base_map, pack, shipped_bytes, unpack
from viz.base_map.shapes import name_place
from viz.config import BaseMapConfig
from viz.web.page import MERCATOR, PLAIN, WEB, Page, base_map_data, map_page

MOST_BYTES = 140_000
PRAIRIE = (49.0, -100.0)


def bare_page(south, west, north, east, crs=MERCATOR, tiles=None):
    """Return a page that has nothing but a part of the base map."""
    bounds = [[south, west], [north, east]]
    return map_page(Page("a", {}, "prediction.js", f"((map) => show(map, {bounds}))"), crs, tiles)


def centred_page(lat, lon, zoom, crs=MERCATOR):
    """Return a page on which a place is in the middle, whatever the size of the window."""
    return map_page(Page("a", {}, "prediction.js", f"((map) => map.setView([{lat}, {lon}], {zoom}))"), crs)


def middle(picture, rows, columns):
    """Return so many pixels on either side of the middle."""
    row, column = picture.shape[0] // 2, picture.shape[1] // 2
    return picture[row - rows : row + rows + 1, column - columns : column + columns + 1]


def land():
    """Return the land of the base map: what an odd number of rings encloses."""
    rings = np.array([shapely.Polygon(ring[:, ::-1]) for ring in base_map().coast], dtype=object)
    return lambda lat, lon: bool(shapely.contains_xy(rings, lon, lat).sum() % 2)


def border_distance_deg(lat, lon):
    lines = np.array([shapely.LineString(line[:, ::-1]) for line in base_map().borders], dtype=object)
    return float(shapely.distance(lines, shapely.Point(lon, lat)).min())


coordinates = st.tuples(st.integers(-4500, 4500), st.integers(-9000, 9000))
lines = st.lists(st.lists(coordinates, min_size=2, max_size=9, unique=True), min_size=1, max_size=5)
names = st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), min_size=1, max_size=4)


@given(lines, lines, names, names, st.data())
def test_reading_gives_what_was_packed(coast, borders, countries, cities, data):
    count = len(countries) + len(cities)
    points = np.array(data.draw(st.lists(coordinates, min_size=count, max_size=count))) * STEP_DEG
    scale = 2.0 ** np.array(data.draw(st.lists(st.integers(0, 12), min_size=count, max_size=count)))
    rings, shared = ([np.array(line) * STEP_DEG for line in each] for each in (coast, borders))
    back = unpack(pack(BaseMap(rings, shared, countries, cities, points, scale)))
    assert (back.countries, back.cities) == (countries, cities)
    assert all(map(np.allclose, (*back.coast, *back.borders), (*rings, *shared)))
    assert (len(back.coast), len(back.borders)) == (len(rings), len(shared))
    assert np.allclose(back.points_deg, points)
    assert back.from_scale == pytest.approx(scale)


def test_packing_what_was_read_gives_the_same_bytes():
    assert pack(base_map()) == shipped_bytes()


def test_the_base_map_with_its_script_takes_at_most_140_kilobytes_of_a_page():
    html = bare_page(-10, -10, 10, 10)
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html)[1])
    taken = len(json.dumps(data["base_map"])) + len((WEB / "base_map.js").read_bytes())
    assert 100_000 < taken <= MOST_BYTES
    assert len(html) - len(bare_page(-10, -10, 10, 10, tiles="https://tile.example.org/{z}/{x}/{y}.png")) <= MOST_BYTES


def test_a_page_with_the_base_map_refers_to_no_network_and_one_over_tiles_has_none():
    assert_refers_to_no_network(bare_page(-10, -10, 10, 10))
    assert '"base_map":null' in bare_page(-10, -10, 10, 10, tiles="https://tile.example.org/{z}/{x}/{y}.png")


@pytest.mark.parametrize(
    ("lat", "lon", "ashore"),
    [(48.86, 2.35, True), (45.0, -35.0, False), (42.0, 50.5, False), (66.5, -179.9, True), (66.5, 179.9, True), (-89, 10, True)],
    ids=["Paris", "Atlantic", "Caspian Sea", "Chukotka, west", "Chukotka, east", "near the South Pole"],
)  # fmt: skip
def test_land_is_what_the_coasts_enclose(lat, lon, ashore):
    assert land()(lat, lon) == ashore


def test_land_takes_the_share_of_a_plain_map_that_the_table_of_land_gives():
    points = np.random.default_rng(0).uniform((-90, -180), (90, 180), (20_000, 2))
    rings = [shapely.Polygon(ring[:, ::-1]) for ring in base_map().coast]
    _, ring = shapely.STRtree(shapely.points(points[:, ::-1])).query(rings, predicate="contains")
    assert np.mean(np.bincount(ring, minlength=len(points)) % 2) == pytest.approx(land_table().share.mean(), abs=0.01)


# Between Canada and the United States, between Indonesia and Papua New Guinea, between Egypt and Sudan.
@pytest.mark.parametrize(("lat", "lon"), [PRAIRIE, (-5.0, 141.0), (22.0, 28.0)])
def test_a_known_border_is_a_line_within_6_km_and_is_there_once(lat, lon):
    assert border_distance_deg(lat, lon) < 0.06


def test_no_two_borders_have_an_edge_in_common():
    ends = [np.stack([line[1:], line[:-1]], axis=1) for line in base_map().borders]
    edges = [tuple(sorted(map(tuple, edge))) for each in ends for edge in each.round(6).tolist()]
    assert len(set(edges)) == len(edges) > 8_000


def test_a_border_is_simplified_once_for_both_neighbours_and_ends_on_the_coast():
    wave = [(5 + 0.2 * np.sin(k), k / 10) for k in range(101)]
    west, east = shapely.Polygon([(0, 0), *wave, (0, 10)]), shapely.Polygon([(10, 0), (10, 10), *wave[::-1]])
    coast, borders = coast_and_borders(np.array([west, east], dtype=object), 0.5)
    assert (len(coast), len(borders)) == (1, 1)
    assert len(borders[0]) < len(wave) / 2
    assert np.allclose(sorted(borders[0][[0, -1]].tolist()), sorted([wave[0][::-1], wave[-1][::-1]]))
    assert shapely.Polygon(coast[0]).area == pytest.approx(100)
    assert all(any(np.allclose(end, corner) for corner in coast[0]) for end in borders[0][[0, -1]])


def test_an_islet_smaller_than_the_grid_is_still_land():
    islet = shapely.box(5.001, 5.001, 5.002, 5.002)
    coast, borders = coast_and_borders(np.array([shapely.box(0, 0, 4, 4), islet], dtype=object), 0.05)
    small = min(coast, key=np.ptp)
    assert shapely.Polygon(small).area == pytest.approx(STEP_DEG**2)
    assert borders == []


def test_every_country_is_named_and_each_name_stands_on_its_country():
    outline = {country_name(code): area for code, area in country_outlines().items()}
    world = base_map()
    assert sorted(world.countries[:250]) == sorted(outline)
    places = shapely.points(world.points_deg[: len(world.countries), ::-1])
    away = shapely.distance([outline[name] for name in world.countries], places)
    assert [name for name, far in zip(world.countries, away, strict=True) if far > STEP_DEG] == []


def test_a_large_country_is_named_again_only_from_near():
    world = base_map()
    russia = [k for k, name in enumerate(world.countries) if name == "Russia"]
    assert world.from_scale[russia[0]] == 1
    assert 5 < len(russia) < 100
    assert (world.from_scale[russia[1:]] >= 9.5).all()
    assert world.countries.count("Luxembourg") == 1


def test_a_box_that_a_country_fills_by_half_has_its_name_and_others_have_not():
    areas = np.array([shapely.box(0, 0, 36, 12), shapely.box(0, -12, 20, 0)], dtype=object)
    # Boxes begin at 180 west: here they reach from 12 west to 12 east and to 36 east.
    assert again(areas, [(6.0, 30.0), (-6.0, 8.0)], 24, 12) == []
    ((country, (lat, lon)),) = again(areas, [(6.0, 5.0), (-6.0, 8.0)], 24, 12)
    assert country == 0
    assert (lat, lon) == pytest.approx((6, 24), abs=0.1)


def test_a_name_stands_in_the_widest_room_and_not_in_a_narrow_tail():
    area = shapely.union(shapely.box(0, 0, 10, 6), shapely.box(10, 2.9, 30, 3.1))
    lat, lon = name_place(area, np.empty((0, 2)))
    assert lat == pytest.approx(3, abs=0.5)
    assert 2 < lon < 8
    assert name_place(area, np.array([(10.0, 5.0)])) == (lat, lon)
    above, _ = name_place(area, np.array([(2.8, 5.0)]))
    assert above > 3.4


def test_large_cities_are_named_and_stand_where_they_are_and_come_before_smaller_ones():
    world = base_map()
    where = dict(zip(world.cities, world.points_deg[len(world.countries) :].tolist(), strict=True))
    for city, place in {"Tokyo": (35.69, 139.69), "Lagos": (6.45, 3.39), "São Paulo": (-23.55, -46.64)}.items():
        assert distance_km(where[city], place) < 10
    assert "Brooklyn" not in where
    assert (np.diff(world.from_scale[len(world.countries) :]) >= 0).all()
    assert len(world.cities) > 2_000


@pytest.mark.slow
def test_the_shipped_base_map_is_that_of_natural_earth_and_the_same_twice(shared_data, tmp_path):
    countries = shared_data / "naturalearth" / "ne_50m_admin_0_countries.zip"
    for name in ("one.bin", "two.bin"):
        assert make_base_map(BaseMapConfig(countries, out=tmp_path / name)) == 0
    made = (tmp_path / "one.bin").read_bytes()
    assert made == (tmp_path / "two.bin").read_bytes()
    ours = unpack(made)
    assert ours.countries == base_map().countries
    assert len(ours.coast) == pytest.approx(len(base_map().coast), abs=20)
    assert len(ours.borders) == pytest.approx(len(base_map().borders), abs=20)
    assert len(made) == pytest.approx(len(shipped_bytes()), rel=0.02)


def test_a_tolerance_in_metres_is_refused():
    with pytest.raises(ValueError, match="--tolerance-deg is from 0 to 1, got 2000"):
        BaseMapConfig(WEB, tolerance_deg=2000)


def axes_of(south, west, north, east):
    figure = Figure(figsize=(6, 4), dpi=100)
    canvas, axes = FigureCanvasAgg(figure), figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(west, east), ylim=(south, north), xticks=[], yticks=[])
    return canvas, axes


def painted(canvas):
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def test_names_in_a_picture_do_not_touch_each_other_and_more_are_shown_from_near():
    _, axes = axes_of(35, -5, 60, 32.5)
    draw_names(axes, turns=(0,))
    boxes = [text.get_window_extent() for text in axes.texts]
    assert {"France", "Germany", "Poland"} <= {text.get_text() for text in axes.texts}
    assert not any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[:k])
    _, near = axes_of(49, 0, 53, 6)
    draw_names(near, turns=(0,))
    assert {"Belgium", "Brussels"} <= {text.get_text() for text in near.texts}
    assert "Brussels" not in {text.get_text() for text in axes.texts}


def test_a_picture_shows_land_sea_and_no_seam_at_the_antimeridian():
    canvas, axes = axes_of(60, 165, 75, 195)
    draw_ground(axes, turns=(-360, 0, 360))
    picture = painted(canvas)
    # 67.5 degrees north, from 177 east to 177 west: all land.
    row = picture[200:201, 240:360]
    assert share_near(row, LAND) == 1
    assert share_near(picture, OCEAN) > 0.3


def test_a_picture_shows_a_known_border():
    canvas, axes = axes_of(47, -103, 51, -97)
    draw_ground(axes, turns=(0,))
    # 49 degrees north, in the middle.
    column = middle(painted(canvas), 50, 0).astype(int).sum(axis=(1, 2))
    assert abs(int(column.argmin()) - 50) <= 2
    assert column.min() < column.max() - 90


@needs_chromium
@pytest.mark.browser
def test_the_script_of_pages_reads_what_the_reader_of_files_reads(tmp_path):
    read = "[world.coast, world.borders].map((lines) => lines.map((l) => [l.lat.length, l.lat[0], l.lng[l.lng.length - 1]]))"
    coast, borders = evaluate_on_base_map(bare_page(-10, -10, 10, 10), tmp_path, read)
    for ours, theirs in ((base_map().coast, coast), (base_map().borders, borders)):
        assert np.allclose([(len(line), line[0, 0], line[-1, 1]) for line in ours], theirs)
    named = evaluate_on_base_map(
        bare_page(-10, -10, 10, 10), tmp_path, "world.names.map((n) => [n.text, n.lat, n.country])"
    )
    world = base_map()
    assert [text for text, _, _ in named] == [*world.countries, *world.cities]
    assert np.allclose([lat for _, lat, _ in named], world.points_deg[:, 0])
    assert sum(country for _, _, country in named) == len(world.countries)


@needs_chromium
@pytest.mark.browser
@pytest.mark.parametrize(("crs", "zoom"), [(MERCATOR, 4), (PLAIN, 3)])
def test_the_border_of_canada_and_the_united_states_is_drawn_where_it_is_and_both_are_named(crs, zoom, tmp_path):
    html = centred_page(*PRAIRIE, zoom, crs)
    beside = middle(screenshot(html, tmp_path), 8, 0)
    dark = beside.astype(int).sum(axis=(1, 2))
    assert abs(int(dark.argmin()) - 8) <= 1
    assert dark.min() < dark.max() - 90
    assert share_near(np.vstack([beside[:5], beside[-5:]]), LAND) == 1
    shown = evaluate_on_base_map(html, tmp_path, "[...world.layer.shown]")
    assert {"Canada", "United States"} <= set(shown)
    assert "Belgium" not in shown


@needs_chromium
@pytest.mark.browser
def test_a_name_is_written_where_its_country_is(tmp_path):
    world = base_map()
    html = centred_page(*world.points_deg[world.countries.index("Canada")].tolist(), 4)
    around = middle(screenshot(html, tmp_path), 8, 25).astype(int)
    dark = (np.abs(around - [0x2B, 0x34, 0x40]).max(axis=-1) < 40).mean()
    assert 0.05 < dark < 0.6


@needs_chromium
@pytest.mark.browser
def test_more_names_are_shown_from_near_and_none_touches_another(tmp_path):
    far, near = (
        set(evaluate_on_base_map(bare_page(*box), tmp_path, "[...world.layer.shown]"))
        for box in ((-60, -170, 75, 170), (49.5, 2, 51.7, 6.5))
    )
    assert "Brazil" in far
    assert "Brussels" not in far
    assert {"Belgium", "Brussels"} <= near


@needs_chromium
@pytest.mark.browser
def test_a_page_has_no_seam_at_the_antimeridian_and_land_to_the_south_pole(tmp_path):
    chukotka = screenshot(centred_page(67.5, 180, 5), tmp_path)
    assert share_near(middle(chukotka, 3, 25), LAND) == 1
    pole = screenshot(centred_page(-89.5, 0, 4, PLAIN), tmp_path)
    assert share_near(middle(pole, 1, 400), LAND) == 1


def test_the_page_takes_the_shipped_file_as_it_is():
    import base64

    assert base64.b64decode(base_map_data()["packed"]) == shipped_bytes()
