"""Which cells touch land, how much of each is land, and of which country."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geocells import grid
from geocells.land import cell_boxes, land_mask, land_share, land_table, shares, touching_land
from geocells.natural_earth import read_polygons
from geocells.sphere import EARTH_AREA_KM2, box_area_km2

WORLD = shapely.box(-180, -90, 180, 90)
IN_CELL = shapely.box(10.1, 47.2, 10.2, 47.3)
kinds = st.booleans()
corners = st.tuples(st.floats(-180, 180), st.floats(-90, 90))
triangles = st.tuples(corners, corners, corners).map(shapely.Polygon).filter(lambda p: p.is_valid and p.area > 1e-3)
lands = st.lists(triangles, max_size=4).map(np.array)


def areas_km2(level: int) -> np.ndarray:
    return box_area_km2(grid.bounds_deg(np.arange(4**level), level))


# Any touch counts


@given(lands, st.integers(1, 5), kinds)
def test_a_cell_touches_land_when_its_box_meets_a_polygon(land, level, equal_area):
    boxes = cell_boxes(np.arange(4**level), level, equal_area)
    meets = shapely.intersects(boxes[:, None], land[None]).any(axis=-1)
    np.testing.assert_array_equal(touching_land(land, level, equal_area), meets)


@given(lands, st.integers(1, 4), kinds)
def test_a_cell_touches_land_when_one_of_its_children_does(land, level, equal_area):
    children = touching_land(land, level + 1, equal_area).reshape(-1, 4)
    np.testing.assert_array_equal(touching_land(land, level, equal_area), children.any(axis=-1))


@pytest.mark.parametrize("equal_area", [False, True])
def test_a_world_of_land_touches_all_and_no_land_none(equal_area):
    assert touching_land(np.array([WORLD]), 6, equal_area).all()
    assert not touching_land(np.array([], dtype=object), 6, equal_area).any()
    assert not touching_land(np.array([shapely.Polygon()]), 6, equal_area).any()


def test_a_single_point_of_contact_counts():
    _, _, north, east = grid.bounds_deg(grid.encode((47, 10), 8), 8)
    corner_land = shapely.Polygon([(east, north), (east + 0.1, north + 0.1), (east, north + 0.1)])
    assert touching_land(np.array([corner_land]), 8)[grid.encode((47, 10), 8)]
    assert touching_land(np.array([corner_land]), 8).sum() == 4


def test_an_islet_touches_one_cell_of_every_level():
    for level in range(1, 13):
        touched = touching_land(np.array([shapely.Point(10.1234567, 47.7654321).buffer(1e-9)]), level)
        assert np.flatnonzero(touched).tolist() == [grid.encode((47.7654321, 10.1234567), level)]


def test_a_cell_inside_a_lake_does_not_touch_land():
    lake = shapely.box(0, 0, 20, 20)
    touched = touching_land(np.array([shapely.difference(shapely.box(-30, -30, 50, 50), lake)]), 8)
    assert not touched[grid.encode((10, 10), 8)]
    assert touched[grid.encode([(10, 0.1), (10, -10), (0.1, 10)], 8)].all()


def test_parts_of_a_multipolygon_count_each():
    both = shapely.MultiPolygon([IN_CELL, shapely.box(-70.2, -30.2, -70.1, -30.1)])
    touched = touching_land(np.array([both]), 8)
    assert np.flatnonzero(touched).tolist() == sorted(grid.encode([(47.25, 10.15), (-30.15, -70.15)], 8).tolist())


def test_land_at_the_edge_of_the_map_stays_on_its_side():
    touched = touching_land(np.array([shapely.box(179.5, -90, 180, -80)]), 3)
    assert np.flatnonzero(touched).tolist() == [63]


@pytest.mark.parametrize("level", [0, 13])
def test_land_of_a_level_too_coarse_or_too_fine_is_refused(level):
    for function in (touching_land, land_share):
        with pytest.raises(ValueError, match=f"levels 1 to 12, got {level}"):
            function(np.array([WORLD]), level)


# Shares


@given(st.tuples(corners, corners), st.integers(1, 6), kinds)
def test_the_land_of_all_cells_adds_up_to_the_area_of_a_box(two, level, equal_area):
    (a, b), (c, d) = two
    west, south, east, north = min(a, c), min(b, d), max(a, c), max(b, d)
    share = land_share(np.array([shapely.box(west, south, east, north)]), level, equal_area)
    cells_km2 = box_area_km2(grid.bounds_deg(np.arange(4**level), level, equal_area))
    assert np.all((share >= 0) & (share <= 1))
    assert share @ cells_km2 == pytest.approx(box_area_km2((south, west, north, east)), abs=1)


@given(lands, st.integers(1, 5))
def test_only_cells_that_touch_land_have_a_share_of_it(land, level):
    touched = touching_land(land, level)
    assert np.all(touched | (land_share(land, level) == 0))
    inside = shapely.contains(shapely.union_all(land), cell_boxes(np.arange(4**level), level))
    np.testing.assert_allclose(land_share(land, level)[inside], 1)


def test_a_world_of_land_is_all_land():
    np.testing.assert_array_equal(land_share(np.array([WORLD]), 5), 1)
    np.testing.assert_array_equal(land_share(np.array([], dtype=object), 5), 0)


def test_the_northern_half_of_a_cell_is_less_than_half_of_it():
    south, west, north, east = grid.bounds_deg(4, 2)  # 1/0 of L2, up to the pole
    half = land_share(np.array([shapely.box(west, (south + north) / 2, east, north)]), 2)[4]
    middle = np.sin(np.radians((south + north) / 2))
    assert half == pytest.approx((1 - middle) / (1 - np.sin(np.radians(south))))
    assert half < 0.3


def test_shares_are_told_apart_by_area():
    south, west, north, east = grid.bounds_deg(grid.encode((0.1, 0.1), 8), 8)
    third = west + (east - west) / 3
    areas = np.array([shapely.box(third, south, east, north), shapely.box(west, south, third, north)])
    cell, area, share = shares(areas, 8)
    assert set(cell) == {grid.encode((0.1, 0.1), 8)}
    assert dict(zip(area.tolist(), share.tolist(), strict=True)) == pytest.approx({0: 2 / 3, 1: 1 / 3})


# The shipped table


def test_the_shipped_table_cannot_be_changed_by_those_who_read_it():
    assert land_table() is land_table()
    for column in (land_table().share, land_table().country):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = column[1]


def test_the_shipped_table_is_one_row_for_each_cell_of_level_8():
    table = land_table()
    assert (table.share.shape, table.share.dtype) == ((65536,), np.float32)
    assert (table.country.shape, table.country.dtype.kind) == ((65536,), "U")
    assert (table.share.min(), table.share.max()) == (0, 1)


def test_the_land_of_the_shipped_table_is_that_of_the_earth():
    # CIA World Factbook: land 148.94 million km2, lakes included as here.
    assert land_table().share @ areas_km2(8) == pytest.approx(148.94e6, rel=0.02)
    assert land_table().share @ areas_km2(8) / EARTH_AREA_KM2 == pytest.approx(0.29, abs=0.01)


def test_only_cells_that_touch_land_have_a_country_in_the_shipped_table():
    table = land_table()
    assert not table.country[table.share == 0].any()
    named = table.country[table.share > 0] != ""
    assert named.mean() > 0.999
    assert all(len(code) == 2 and code.isalpha() and code.isupper() for code in np.unique(table.country) if code)


CAPITALS = {
    "AF": (34.53, 69.17), "AR": (-34.9, -58.6), "AU": (-35.3, 149.1), "BR": (-15.8, -47.9), "CA": (45.42, -75.7),
    "CH": (46.95, 7.45), "CN": (39.9, 116.4), "DE": (52.52, 13.4), "EG": (30.04, 31.24), "ES": (40.42, -3.7),
    "FR": (48.86, 2.35), "GB": (51.51, -0.13), "GF": (4.0, -53.0), "GL": (72.0, -40.0), "IN": (28.6, 77.2),
    "IS": (64.15, -21.9), "JP": (35.68, 139.7), "KE": (-1.29, 36.82), "KZ": (51.17, 71.45), "MG": (-18.9, 47.5),
    "MX": (19.43, -99.13), "NA": (-22.56, 17.08), "NO": (60.5, 9.5), "NZ": (-41.4, 175.3), "PF": (-17.6, -149.5),
    "RE": (-21.1, 55.5), "RU": (55.75, 37.62), "SE": (59.6, 17.6), "SJ": (78.2, 15.6), "SO": (9.5, 44.0),
    "SS": (4.85, 31.6), "UA": (50.45, 30.52), "US": (38.9, -77.5), "XK": (42.6, 21.0), "ZA": (-25.75, 28.2),
    "AQ": (-80.0, 0.0),
}  # fmt: skip


@pytest.mark.parametrize("code", CAPITALS)
def test_the_shipped_table_knows_the_country_of_a_capital_or_a_middle(code):
    cell = grid.encode(CAPITALS[code], 8)
    assert land_table().country[cell] == code
    assert land_table().share[cell] > 0


@pytest.mark.parametrize("middle_of_an_ocean", [(0, -30), (30, -40), (-40, -120), (0, 80), (85, 0), (-60, 90)])
def test_the_oceans_are_no_land_in_the_shipped_table(middle_of_an_ocean):
    cell = grid.encode(middle_of_an_ocean, 8)
    assert land_table().share[cell] == 0
    assert land_table().country[cell] == ""


def test_the_shipped_table_says_which_coarser_cells_touch_land():
    np.testing.assert_array_equal(land_mask(8), land_table().share > 0)
    assert land_mask(1).tolist() == [True] * 4
    np.testing.assert_array_equal(land_mask(5).reshape(-1, 16).any(axis=-1), land_mask(3))


@pytest.mark.parametrize("level", [0, 9])
def test_the_shipped_table_refuses_levels_that_it_does_not_have(level):
    with pytest.raises(ValueError, match=f"levels 1 to 8, got {level}"):
        land_mask(level)


# Natural Earth


@pytest.fixture(scope="module")
def natural_earth(shared_data):
    return lambda name: read_polygons(shared_data / "naturalearth" / f"ne_{name}.zip")[0]


@pytest.mark.parametrize("level, count", [(1, 4), (3, 61), (5, 617), (8, 25185)])
def test_land_of_natural_earth_50m_touches_so_many_cells(natural_earth, level, count):
    assert touching_land(natural_earth("50m_land"), level).sum() == count


@pytest.mark.parametrize("scale, count", [("110m", 24353), ("10m", 25631)])
def test_land_of_other_scales_touches_so_many_cells_of_level_8(natural_earth, scale, count):
    assert touching_land(natural_earth(f"{scale}_land"), 8).sum() == count


def test_6579_of_the_land_cells_lie_south_of_60_south(natural_earth):
    bounds = grid.bounds_deg(np.flatnonzero(touching_land(natural_earth("50m_land"), 8)), 8)
    assert np.sum(bounds[:, 2] <= -60) == 6579


def test_the_shipped_table_touches_land_exactly_where_natural_earth_10m_and_its_islets_do(natural_earth):
    land = np.concatenate([natural_earth("10m_land"), natural_earth("10m_minor_islands")])
    np.testing.assert_array_equal(land_table().share > 0, touching_land(land, 8))


def test_the_shares_of_the_shipped_table_are_those_of_natural_earth_50m_but_for_its_coarser_coasts(natural_earth):
    difference = np.abs(land_share(natural_earth("50m_land"), 8) - land_table().share)
    assert difference.mean() < 0.003
    assert np.median(difference[land_table().share > 0]) < 0.005


def test_places_inside_the_countries_of_natural_earth_50m_have_their_code(shared_data):
    outlines, (codes,) = read_polygons(shared_data / "naturalearth" / "ne_50m_admin_0_countries.zip", ("ISO_A2",))
    larger_than_cells = (codes != "-99") & (shapely.area(outlines) > 5)
    inside = shapely.point_on_surface(outlines[larger_than_cells])
    cells = grid.encode(np.stack([shapely.get_y(inside), shapely.get_x(inside)], axis=-1), 8)
    # One place lies in a cell of which a neighbour has more.
    assert np.sum(land_table().country[cells] != codes[larger_than_cells]) <= 1
    assert larger_than_cells.sum() > 100
