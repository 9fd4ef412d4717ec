"""The quad grid: numbers, texts, places, parents and neighbours of cells."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geocells import grid
from geocells.sphere import EARTH_AREA_KM2, box_area_km2

levels = st.integers(1, grid.MAX_LEVEL)
places = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
kinds = st.booleans()
cells_of_levels = levels.flatmap(lambda level: st.tuples(st.integers(0, 4**level - 1), st.just(level)))
NORTH, NORTH_EAST, EAST, SOUTH_EAST, SOUTH, SOUTH_WEST, WEST, NORTH_WEST = range(8)


def all_cells(level: int) -> np.ndarray:
    return np.arange(4**level)


# Points and cells


@given(places, levels, kinds)
def test_a_point_lies_inside_the_bounds_of_its_cell(place, level, equal_area):
    south, west, north, east = grid.bounds_deg(grid.encode(place, level, equal_area), level, equal_area)
    latitude, longitude = place
    rounding = 1e-9  # degrees, 0.1 mm
    assert south - rounding <= latitude <= north + rounding
    off_middle = (longitude - (west + east) / 2 + 180) % 360 - 180
    assert abs(off_middle) <= (east - west) / 2 + rounding


@given(places, st.integers(1, 5), kinds)
def test_a_point_lies_in_exactly_one_cell_of_a_level(place, level, equal_area):
    south, west, north, east = np.moveaxis(grid.bounds_deg(all_cells(level), level, equal_area), -1, 0)
    latitude, longitude = place[0], (place[1] + 180) % 360 - 180
    # As encode has it, edges belong to the cell on their south and east; the pole to the last row.
    holds = (west <= longitude) & (longitude < east) & (latitude <= north) & ((south < latitude) | (south == -90))
    assert holds.sum() == 1
    assert np.abs(np.flatnonzero(holds)[0] - grid.encode(place, level, equal_area)) * _off_edges(place, level) == 0


def _off_edges(place, level):
    """Return 0 for a point within rounding of an edge, where either cell is right, else 1."""
    fractions = np.array([(1 - np.sin(np.radians(place[0]))) / 2, (90 - place[0]) / 180, (place[1] + 180) / 360])
    steps = fractions * 2**level
    return int(np.all(np.abs(steps - np.round(steps)) > 1e-9))


@given(cells_of_levels, kinds)
def test_the_middle_of_a_cell_lies_in_it(cell_level, equal_area):
    cell, level = cell_level
    assert grid.encode(grid.center_deg(cell, level, equal_area), level, equal_area) == cell


@given(cells_of_levels)
def test_a_cell_begins_at_its_north_west_corner(cell_level):
    cell, level = cell_level
    _, west, north, _ = grid.bounds_deg(cell, level)
    assert grid.encode((north, west), level) == cell


@given(places, levels, kinds, st.sampled_from([-720.0, -360.0, 360.0, 720.0]))
def test_longitude_wraps(place, level, equal_area, turn):
    place = (place[0], round(place[1], 6))  # beyond rounding, a turn more is the same number
    if _off_edges(place, level):
        assert grid.encode((place[0], place[1] + turn), level, equal_area) == grid.encode(place, level, equal_area)


@pytest.mark.parametrize("longitude", [1e6, -1e12, 1e18, 1.7e308])
def test_any_finite_longitude_has_a_cell(longitude):
    assert 0 <= grid.encode((0, longitude), grid.MAX_LEVEL) < 4**grid.MAX_LEVEL


@given(levels, st.floats(-90, 90))
def test_180_east_is_180_west(level, latitude):
    assert grid.encode((latitude, 180), level) == grid.encode((latitude, -180), level)


@pytest.mark.parametrize("equal_area", [False, True])
@pytest.mark.parametrize("level", [1, 8, 16])
def test_the_poles_lie_in_the_first_and_the_last_row(level, equal_area):
    rows, cols = grid.to_row_col(grid.encode([(90, 0), (-90, 0), (90, -180), (-90, 179.999999)], level, equal_area))
    last = 2**level - 1
    assert rows.tolist() == [0, last, 0, last]
    assert cols.tolist() == [2 ** (level - 1), 2 ** (level - 1), 0, last]


def test_digits_are_north_west_north_east_south_west_south_east():
    corners = [(45, -90), (45, 90), (-45, -90), (-45, 90)]
    assert grid.encode(corners, 1).tolist() == [0, 1, 2, 3]
    assert grid.format_ids(grid.encode([(80, -170), (80, -80), (20, -170), (20, -80)], 2), 2) == [
        "0/0",
        "0/1",
        "0/2",
        "0/3",
    ]


def test_paris_lies_in_the_cell_that_halving_step_by_step_finds():
    south, north, west, east, digits = -90.0, 90.0, -180.0, 180.0, []
    for _ in range(16):
        lat, lon = (south + north) / 2, (west + east) / 2
        digits.append(2 * (lat >= 48.8567) + (lon <= 2.3508))
        south, north = (south, lat) if digits[-1] >= 2 else (lat, north)
        west, east = (lon, east) if digits[-1] % 2 else (west, lon)
    text = "/".join(map(str, digits))
    assert grid.format_id(int(grid.encode((48.8567, 2.3508), 16)), 16) == text


def test_points_come_in_any_shape():
    points = np.zeros((3, 5, 2))
    assert grid.encode(points, 4).shape == (3, 5)
    assert grid.encode(np.empty((0, 2)), 4).shape == (0,)
    assert grid.bounds_deg(np.zeros((2, 3), dtype=int), 4).shape == (2, 3, 4)
    assert grid.encode(points.astype(np.float32), 4).dtype == np.int64
    assert grid.encode([(1, 2), (3, 4)], 16).tolist() == grid.encode([(1.0, 2.0), (3.0, 4.0)], 16).tolist()


@pytest.mark.parametrize("level", [0, -1, 17])
def test_a_level_that_does_not_exist_is_refused_by_name(level):
    with pytest.raises(ValueError, match=f"level L{level} does not exist: levels are L1 to L16"):
        grid.encode((0, 0), level)


@pytest.mark.parametrize("place", [(90.1, 0), (121, 31), (np.nan, 0), (0, np.nan), (0, np.inf)])
def test_what_is_no_coordinate_has_no_cell(place):
    with pytest.raises(ValueError, match=r"latitude|longitude"):
        grid.encode(place, 8)


# Rows, columns, bounds, areas


@given(cells_of_levels)
def test_row_and_column_say_the_cell(cell_level):
    cell, level = cell_level
    row, col = grid.to_row_col(cell)
    assert 0 <= min(row, col) <= max(row, col) < 2**level
    assert grid.from_row_col(row, col) == cell


def test_rows_are_counted_from_the_north_and_columns_from_180_west():
    assert grid.bounds_deg(grid.from_row_col(0, 0), 8).tolist() == [90 - 0.703125, -180, 90, -180 + 1.40625]
    assert grid.bounds_deg(grid.from_row_col(255, 255), 8).tolist() == [-90, 180 - 1.40625, -90 + 0.703125, 180]


def test_cells_of_level_8_are_0_703125_by_1_40625_degrees():
    south, west, north, east = grid.bounds_deg(all_cells(8), 8).T
    np.testing.assert_array_equal(north - south, 0.703125)
    np.testing.assert_array_equal(east - west, 1.40625)


@pytest.mark.parametrize("equal_area", [False, True])
@pytest.mark.parametrize("level", [1, 2, 5, 8])
def test_the_cells_of_a_level_cover_the_earth_once(level, equal_area):
    assert box_area_km2(grid.bounds_deg(all_cells(level), level, equal_area)).sum() == pytest.approx(EARTH_AREA_KM2)


@pytest.mark.parametrize("equal_area", [False, True])
def test_cells_of_a_level_overlap_nowhere(equal_area):
    south, west, north, east = grid.bounds_deg(all_cells(3), 3, equal_area).T
    boxes = shapely.box(west, south, east, north)
    overlap = shapely.area(shapely.intersection(boxes[:, None], boxes[None]))
    np.testing.assert_allclose(overlap[~np.eye(64, dtype=bool)], 0)


@pytest.mark.parametrize("level", [1, 5, 8])
def test_with_equal_area_all_cells_of_a_level_have_the_same_area(level):
    areas = box_area_km2(grid.bounds_deg(all_cells(level), level, equal_area=True))
    np.testing.assert_allclose(areas, EARTH_AREA_KM2 / 4**level, rtol=1e-9)


def test_with_equal_area_the_same_number_of_even_points_falls_into_each_cell():
    random = np.random.default_rng(0)
    points = np.stack(
        [np.degrees(np.arcsin(random.uniform(-1, 1, 64_000))), random.uniform(-180, 180, 64_000)], axis=-1
    )
    count = np.bincount(grid.encode(points, 3, equal_area=True), minlength=64)
    assert np.abs(count - 1000).max() < 150  # nearly five standard deviations


def test_row_edges_run_from_pole_to_pole_through_the_equator():
    for equal_area in (False, True):
        edges = grid.row_edges_deg(8, equal_area)
        assert edges[[0, 128, 256]] == pytest.approx([90, 0, -90], abs=1e-12)
        assert np.all(np.diff(edges) < 0)


# Parents and children


@given(places, levels, levels, kinds)
def test_a_coarser_cell_of_a_point_is_the_parent_of_the_finer(place, a, b, equal_area):
    fine, coarse = max(a, b), min(a, b)
    assert grid.parent(grid.encode(place, fine, equal_area), fine, coarse) == grid.encode(place, coarse, equal_area)


@given(cells_of_levels, levels, kinds)
def test_a_parent_contains_its_children(cell_level, other, equal_area):
    cell, level = cell_level
    coarse = min(level, other)
    inner = grid.bounds_deg(cell, level, equal_area)
    outer = grid.bounds_deg(grid.parent(cell, level, coarse), coarse, equal_area)
    assert np.all(outer[:2] <= inner[:2] + 1e-12)
    assert np.all(inner[2:] <= outer[2:] + 1e-12)


@given(levels.flatmap(lambda n: st.tuples(st.integers(0, 4**n - 1), st.just(n), st.integers(n, min(n + 3, 16)))))
def test_children_are_all_cells_with_that_parent(cell_levels):
    cell, level, finer = cell_levels
    children = grid.children(cell, level, finer)
    assert len(np.unique(children)) == 4 ** (finer - level)
    assert np.all(grid.parent(children, finer, level) == cell)
    assert np.all(np.diff(children) == 1)


@given(st.integers(1, 6), kinds)
def test_children_fill_their_parent(level, equal_area):
    cells = all_cells(level)[:: 4 ** max(0, level - 3)]
    areas = box_area_km2(grid.bounds_deg(grid.children(cells, level, level + 1), level + 1, equal_area)).sum(axis=-1)
    np.testing.assert_allclose(areas, box_area_km2(grid.bounds_deg(cells, level, equal_area)))


# Neighbours


@pytest.mark.parametrize("level", [1, 2, 3, 6])
def test_every_cell_is_a_neighbour_of_its_neighbours(level):
    around = grid.neighbours(all_cells(level), level)
    back = grid.neighbours(around, level)
    assert np.all(np.any(back == all_cells(level)[:, None, None], axis=-1))


@pytest.mark.parametrize("level", [3, 6, 16])
def test_a_cell_has_eight_different_neighbours_and_is_none_of_them(level):
    cells = np.random.default_rng(0).integers(0, 4**level, 1000)
    corners = grid.from_row_col([0, 0, 2**level - 1, 2**level - 1], [0, 2**level - 1, 0, 2**level - 1])
    cells = np.concatenate([cells, corners])
    around = np.sort(grid.neighbours(cells, level), axis=-1)
    assert np.all(np.diff(around, axis=-1) > 0)
    assert np.all(around != cells[:, None])
    assert np.all((around >= 0) & (around < 4**level))


def test_neighbours_of_a_cell_in_the_open_touch_it_in_their_order():
    cell = grid.encode((40, 10), 8)
    around = grid.center_deg(grid.neighbours(cell, 8), 8) - grid.center_deg(cell, 8)
    steps = np.array([(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)])
    np.testing.assert_allclose(around, steps * [0.703125, 1.40625])


def test_east_of_the_antimeridian_lies_the_west():
    last = grid.encode((10, 179.9), 8)
    assert grid.neighbours(last, 8)[EAST] == grid.encode((10, -179.9), 8)
    assert grid.neighbours(grid.encode((10, -179.9), 8), 8)[WEST] == last


def test_over_a_pole_lies_the_same_row_half_the_world_away():
    assert grid.neighbours(grid.encode((89.9, 10), 8), 8)[NORTH] == grid.encode((89.9, -170), 8)
    assert grid.neighbours(grid.encode((-89.9, 10), 8), 8)[SOUTH] == grid.encode((-89.9, -170), 8)


# Texts


@given(cells_of_levels, st.sampled_from("/_"))
def test_a_text_reads_back_as_its_cell_with_either_separator(cell_level, separator):
    cell, level = cell_level
    assert grid.parse_id(grid.format_id(cell, level).replace("/", separator)) == (cell, level)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=16))
def test_a_cell_writes_as_the_digits_it_was_read_from(digits):
    text = "/".join(map(str, digits))
    assert grid.format_id(*grid.parse_id(text)) == text


@given(cells_of_levels, levels)
def test_the_text_of_a_parent_begins_that_of_its_children(cell_level, other):
    cell, level = cell_level
    coarse = min(level, other)
    parent = int(grid.parent(cell, level, coarse))
    assert grid.format_id(cell, level).startswith(grid.format_id(parent, coarse))


def test_texts_of_many_are_the_texts_of_each():
    cells = np.array([0, 5, 65535])
    assert grid.format_ids(cells, 8) == ["0/0/0/0/0/0/0/0", "0/0/0/0/0/0/1/1", "3/3/3/3/3/3/3/3"]
    assert grid.format_ids(np.empty(0), 8) == []


@pytest.mark.parametrize(
    "text", ["", "4", "0/4", "0//1", "/0", "0/", "00", "a", " 0", "-1", "0/1\n", "²", "0/" * 16 + "0"]
)
def test_what_is_no_cell_is_refused(text):
    with pytest.raises(ValueError, match=r"is not a cell: a cell is 1 to 16 digits"):
        grid.parse_id(text)
