"""Points on the sphere: distances, means, medians, areas."""

import numpy as np
import pytest
from haversine import haversine, haversine_vector
from hypothesis import assume, given
from hypothesis import strategies as st
from pyproj import Geod
from scipy.spatial.transform import Rotation

from geocells.sphere import (
    EARTH_AREA_KM2,
    EARTH_RADIUS_KM,
    arc_km,
    box_area_km2,
    chord,
    distance_km,
    group_means,
    latlon_deg,
    spherical_mean,
    unit_vectors,
)

HALF_TURN_KM = np.pi * EARTH_RADIUS_KM
SPHERE = Geod(a=EARTH_RADIUS_KM * 1000, b=EARTH_RADIUS_KM * 1000)

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)
places = st.tuples(latitudes, longitudes)
several = st.lists(places, min_size=1, max_size=8)
rotations = st.tuples(*[st.floats(-180, 180)] * 3).map(lambda a: Rotation.from_euler("zyx", a, degrees=True))


def many(count: int, seed: int = 0) -> np.ndarray:
    """Return points spread evenly over the sphere."""
    return latlon_deg(np.random.default_rng(seed).normal(size=(count, 3)))


def turned(rotation: Rotation, points_deg: np.ndarray) -> np.ndarray:
    return latlon_deg(rotation.apply(unit_vectors(points_deg)))


def near_pole_of_date_line(count: int = 50) -> np.ndarray:
    """Return points within some hundred kilometres of one another."""
    return np.array([40, 3]) + np.random.default_rng(1).normal(scale=2, size=(count, 2))


# Distances


def test_lyon_to_paris_agrees_with_the_haversine_package():
    assert distance_km((45.7597, 4.8422), (48.8567, 2.3508)) == pytest.approx(392.2172595594006)


def test_distances_of_many_pairs_agree_with_the_haversine_package():
    a, b = many(2000, 1), many(2000, 2)
    np.testing.assert_allclose(distance_km(a, b), haversine_vector(list(a), list(b)), rtol=1e-9)


def test_distances_of_many_pairs_agree_with_proj_on_a_sphere():
    a, b = many(2000, 1), many(2000, 2)
    _, _, metres = SPHERE.inv(a[:, 1], a[:, 0], b[:, 1], b[:, 0])
    np.testing.assert_allclose(distance_km(a, b), metres / 1000, rtol=1e-9)


def test_a_metre_is_a_metre():
    step_deg = 0.001 / EARTH_RADIUS_KM * 180 / np.pi
    assert distance_km((48.0, 2.0), (48.0 + step_deg, 2.0)) == pytest.approx(0.001, rel=1e-6)


@given(st.floats(1e-6, 10))
def test_distance_keeps_its_precision_near_the_antipode(off_deg):
    off_km = off_deg / 180 * HALF_TURN_KM
    assert distance_km((0, 0), (0, 180 - off_deg)) == pytest.approx(HALF_TURN_KM - off_km, abs=1e-8)


@given(places, places)
def test_distance_is_symmetric_and_at_most_half_a_turn(a, b):
    assert distance_km(a, b) == distance_km(b, a)
    assert 0 <= distance_km(a, b) <= HALF_TURN_KM + 1e-9


@given(places)
def test_a_place_is_at_no_distance_from_itself(place):
    assert distance_km(place, place) == 0


@given(places, places, places)
def test_a_detour_is_never_shorter(a, b, c):
    assert distance_km(a, c) <= distance_km(a, b) + distance_km(b, c) + 1e-6


@given(places)
def test_the_antipode_is_half_a_turn_away(place):
    assert distance_km(place, (-place[0], place[1] + 180)) == pytest.approx(HALF_TURN_KM)


@given(places, st.sampled_from([-720.0, -360.0, 360.0, 3600.0]))
def test_longitude_wraps_without_a_seam(place, turn):
    assert distance_km(place, (place[0], place[1] + turn)) == pytest.approx(0, abs=1e-6)


@given(longitudes, longitudes, st.sampled_from([-90, 90]))
def test_at_a_pole_every_longitude_is_the_same_place(a, b, pole):
    assert distance_km((pole, a), (pole, b)) == pytest.approx(0, abs=1e-9)


@given(places, places, rotations)
def test_distance_does_not_change_when_the_globe_is_turned(a, b, rotation):
    points = turned(rotation, np.array([a, b]))
    assert distance_km(*points) == pytest.approx(distance_km(a, b), abs=1e-6)


def test_distances_broadcast():
    assert distance_km(many(5)[:, None], many(3)).shape == (5, 3)
    assert distance_km(np.empty((0, 2)), (0, 0)).shape == (0,)


@given(places, places)
def test_a_chord_is_the_straight_distance_between_unit_vectors(a, b):
    straight = np.linalg.norm(unit_vectors(a) - unit_vectors(b))
    assert chord(distance_km(a, b)) == pytest.approx(straight, abs=1e-12)


@given(places, places)
def test_the_arc_of_a_chord_is_the_great_circle_distance(a, b):
    straight = np.linalg.norm(unit_vectors(a) - unit_vectors(b))
    assert arc_km(straight) == pytest.approx(distance_km(a, b), abs=0.2)
    assert arc_km(chord(100.0)) == pytest.approx(100.0, rel=1e-12)
    assert arc_km(2.0000001) == HALF_TURN_KM


def test_a_chord_is_never_longer_than_the_diameter():
    assert chord(1e9) == 2


# Coordinates


@given(places)
def test_a_unit_vector_reads_back_as_its_place(place):
    vector = unit_vectors(place)
    assert np.linalg.norm(vector) == pytest.approx(1)
    assert distance_km(latlon_deg(7 * vector), place) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "place, vector", [((0, 0), (1, 0, 0)), ((0, 90), (0, 1, 0)), ((90, 12), (0, 0, 1)), ((0, 180), (-1, 0, 0))]
)
def test_the_axes_are_where_they_are_said_to_be(place, vector):
    np.testing.assert_allclose(unit_vectors(place), vector, atol=1e-12)


@pytest.mark.parametrize(
    "points, said",
    [
        ([(48, 2), (121, 31)], "latitude 121 is not in"),
        ((-90.0001, 0), "are they swapped"),
        ((np.nan, 0), "latitude nan"),
        ((np.inf, 0), "latitude inf"),
        ((0, np.nan), "longitude nan"),
        ([(0, 0), (0, -np.inf)], "longitude -inf"),
    ],
)
def test_what_is_no_coordinate_is_refused_with_its_value(points, said):
    with pytest.raises(ValueError, match=said):
        unit_vectors(points)


# Means


@given(several)
def test_a_mean_of_one_place_repeated_is_that_place(points):
    assert distance_km(spherical_mean([points[0]] * 3), points[0]) == pytest.approx(0, abs=1e-6)


@given(rotations, st.integers(1, 20))
def test_turning_the_globe_turns_the_mean_with_it(rotation, count):
    points = near_pole_of_date_line(count)
    weights = np.linspace(1, 2, count)
    expected = turned(rotation, spherical_mean(points, weights)[None])[0]
    assert distance_km(spherical_mean(turned(rotation, points), weights), expected) == pytest.approx(0, abs=1e-3)


def test_a_mean_across_the_antimeridian_lies_on_it():
    assert distance_km(spherical_mean([(10, 179), (10, -179)]), (10.0015, 180)) < 0.1


def test_a_mean_around_a_pole_is_the_pole():
    ring = [(80, longitude) for longitude in range(-180, 180, 30)]
    assert spherical_mean(ring)[0] == pytest.approx(90)


@given(several, st.integers(0, 7), st.integers(1, 5))
def test_a_weight_counts_as_so_many_copies(points, index, copies):
    index %= len(points)
    weights = np.ones(len(points))
    weights[index] = copies
    repeated = points + [points[index]] * (copies - 1)
    assume(np.linalg.norm(unit_vectors(repeated).sum(axis=0)) > 1e-3)
    assert distance_km(spherical_mean(points, weights), spherical_mean(repeated)) == pytest.approx(0, abs=1e-4)


def test_the_mean_of_antipodes_is_the_heavier_one():
    np.testing.assert_allclose(spherical_mean([(0, 0), (0, 180)], [1, 1]), (0, 0))
    np.testing.assert_allclose(spherical_mean([(90, 0), (-90, 0), (0, 0), (0, 180)]), (90, 0), atol=1e-6)


@given(st.lists(st.tuples(places, st.integers(0, 3)), max_size=20))
def test_means_by_group_are_the_means_of_the_groups(rows):
    points = np.array([place for place, _ in rows]).reshape(-1, 2)
    group = np.array([g for _, g in rows], dtype=np.int64)
    means = group_means(points, group, 5)
    assert np.isnan(means[4]).all()
    for g in range(4):
        members = points[group == g]
        if len(members) == 0:
            assert np.isnan(means[g]).all()
        elif np.linalg.norm(unit_vectors(members).sum(axis=0)) > 1e-3:
            assert distance_km(means[g], spherical_mean(members)) == pytest.approx(0, abs=1e-4)


# Areas


def test_the_whole_earth_has_the_area_of_a_sphere_and_nearly_that_of_the_ellipsoid():
    assert box_area_km2((-90, -180, 90, 180)) == pytest.approx(EARTH_AREA_KM2)
    assert box_area_km2((-90, -180, 90, 180)) == pytest.approx(510_065_621.7, rel=1e-6)  # WGS 84


@given(latitudes, latitudes, longitudes, longitudes, latitudes)
def test_a_box_cut_in_two_keeps_its_area(south, north, west, east, cut):
    south, cut, north = sorted((south, cut, north))
    parts = box_area_km2([(south, west, cut, east), (cut, west, north, east)])
    assert parts.sum() == pytest.approx(box_area_km2((south, west, north, east)), abs=1e-4)


def test_a_box_across_the_antimeridian_has_the_area_of_its_like_elsewhere():
    assert box_area_km2((10, 170, 30, -170)) == pytest.approx(box_area_km2((10, 20, 30, 40)))
    assert box_area_km2((10, 170, 30, 180)) == pytest.approx(box_area_km2((10, 0, 30, 10)))


def test_a_box_without_extent_has_no_area():
    np.testing.assert_array_equal(box_area_km2([(10, 20, 10, 30), (10, 20, 30, 20)]), 0)


@pytest.mark.parametrize("box", [(0, 0, 0.7, 1.4), (59, -80, 60, -75), (-89, 10, -85, 50), (88, -180, 90, -90)])
def test_areas_of_boxes_agree_with_proj_on_a_sphere(box):
    south, west, north, east = box
    # PROJ joins vertices by great circles; parallels become a thousand short ones.
    lon = np.linspace(west, east, 1001)
    metres2, _ = SPHERE.polygon_area_perimeter(
        np.concatenate([lon, lon[::-1]]), np.concatenate([np.full(1001, south), np.full(1001, north)])
    )
    assert box_area_km2(box) == pytest.approx(metres2 / 1e6, rel=1e-5)


def test_the_haversine_package_has_our_radius():
    assert haversine((0, 0), (0, 90)) == pytest.approx(HALF_TURN_KM / 2, rel=1e-12)
