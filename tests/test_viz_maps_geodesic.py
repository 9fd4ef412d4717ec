from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocells.sphere import distance_km
from viz.maps.geodesic import great_circle_deg, split_at_antimeridian, unwrap_boxes

places = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@given(places, places)
def test_a_great_circle_has_its_ends_and_even_steps_and_is_as_long_as_the_distance(a, b):
    way = great_circle_deg(a, b, points=17)
    steps = distance_km(way[:-1], way[1:])
    assert distance_km(way[0], a) == pytest.approx(0, abs=1e-3)
    assert distance_km(way[-1], b) == pytest.approx(0, abs=1e-3)
    assert steps.sum() == pytest.approx(float(distance_km(a, b)), abs=1e-3)
    assert np.ptp(steps) < 1e-3


@given(places, places)
def test_parts_of_a_way_stay_on_the_map_and_leave_at_one_edge_to_return_at_the_other(a, b):
    parts = split_at_antimeridian(great_circle_deg(a, b))
    assert all(np.abs(part[:, 1]).max() <= 180 + 1e-9 for part in parts)
    for left, right in pairwise(parts):
        assert left[-1, 0] == right[0, 0]
        assert abs(left[-1, 1]) == pytest.approx(180)
        assert right[0, 1] == pytest.approx(-left[-1, 1])


def test_the_way_from_fiji_to_samoa_is_cut_once_and_the_way_from_lyon_to_paris_is_not():
    fiji, samoa, lyon, paris = (-17.8, 178.0), (-13.8, -171.8), (45.76, 4.84), (48.86, 2.35)
    assert [len(split_at_antimeridian(great_circle_deg(*ends))) for ends in ((fiji, samoa), (lyon, paris))] == [2, 1]


def test_the_middle_of_the_way_from_nashville_to_los_angeles_is_where_trigonometry_puts_it():
    # Midpoint formula of the haversine literature (atan2 of Bx, By), worked out by hand.
    (lat_a, lon_a), (lat_b, lon_b) = np.radians([(36.12, -86.67), (33.94, -118.40)])
    x, y = np.cos(lat_b) * np.cos(lon_b - lon_a), np.cos(lat_b) * np.sin(lon_b - lon_a)
    lat = np.arctan2(np.sin(lat_a) + np.sin(lat_b), np.hypot(np.cos(lat_a) + x, y))
    lon = lon_a + np.arctan2(y, np.cos(lat_a) + x)
    middle = great_circle_deg((36.12, -86.67), (33.94, -118.40), points=3)[1]
    assert middle == pytest.approx(np.degrees([lat, lon]), abs=1e-9)


@given(st.floats(-180, 180), st.floats(-180, 180), st.floats(0.01, 170))
def test_boxes_are_moved_by_whole_turns_to_within_half_a_turn_of_a_meridian(lon, west, width):
    east = west + width if west + width <= 180 else west + width - 360
    moved = unwrap_boxes([(-1, west, 1, east)], lon)[0]
    assert abs((moved[1] + moved[3]) / 2 - lon) <= 180 + 1e-9
    assert moved[3] - moved[1] == pytest.approx(width)
    assert (moved[1] - west) / 360 == pytest.approx(round((moved[1] - west) / 360), abs=1e-9)
