"""Labels as classes: placed by photographs with coordinates, and told by labels alone without."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geocells.hierarchy import build_hierarchy
from geocells.partitions import NO_CELL, build_partition, partition_of
from geocells.partitions.classes import MARGIN_DEG
from label_maps.files import hierarchy_hash, read_hierarchy, write_hierarchy

PLACES = np.array([[10.0, 10.0], [12.0, 10.0], [12.0, 13.0], [-5.0, 179.0], [-6.0, -179.0], [-8.0, 179.5]])
LABELS = ["inland"] * 3 + ["reef"] * 3


def test_a_point_belongs_to_the_hull_that_holds_it_also_across_the_antimeridian():
    partition = build_partition("classes", PLACES, labels=LABELS)
    assert partition.placed
    points = [[11.5, 10.5], [-6.0, 179.9], [-6.0, -179.5], [-7.0, 539.5], [11.0, 20.0], [-40.0, 170.0]]
    assert partition.names(partition.keys(points)[:, 0], 0) == ["inland", "reef", "reef", "reef", "inland", "reef"]
    np.testing.assert_allclose(partition.bounds_deg(np.array([0, 1]), 0)[0], [9.95, 9.95, 12.05, 13.05], atol=1e-3)
    _, west, _, east = partition.bounds_deg(np.array([1]), 0)[0]
    assert west > 178
    assert east < -178
    assert (partition.area_km2(np.array([0, 1]), 0) > 10_000).all()
    assert partition.center_deg[0] == pytest.approx([11.34, 10.99], abs=0.05)


def test_a_single_photograph_has_an_area_and_of_two_hulls_the_nearer_centre_counts():
    places = np.array([[0.0, 0.0], [0.0, 10.0], [10.0, 0.0], [3.0, 3.0]])
    partition = build_partition("classes", places, labels=["wide", "wide", "wide", "small"])
    assert partition.names(partition.keys([[3.0, 3.01]])[:, 0], 0) == ["small"]
    assert 50 < partition.area_km2(np.array([0]), 0)[0] < 200


latitudes = st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 90.0, 0.0]))
longitudes = st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, 180.0, 179.99, 0.0]))


@given(st.lists(st.lists(st.tuples(latitudes, longitudes), min_size=1, max_size=6), min_size=1, max_size=3))
def test_every_class_has_an_area_that_holds_its_photographs_wherever_they_lie(groups):
    places = np.array([place for group in groups for place in group])
    owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    partition = build_partition("classes", places, labels=[f"c{k}" for k in owner])
    assert (partition.area_km2(np.arange(len(groups)), 0) > 0).all()
    west, _, east, _ = shapely.total_bounds(partition.areas)
    assert -180 <= west <= east <= 180
    assert shapely.intersects(partition.areas[owner], shapely.points(places[:, ::-1])).all()
    assert (partition.keys(places) >= 0).all()


@pytest.mark.parametrize(
    "places",
    [[(10, 20)], [(10, 20), (10, 20)], [(10, 20), (12, 24)], [(10, 20), (11, 22), (12, 24)], [(5, 179.9), (5, -179.9)]],
)
def test_one_place_two_places_and_places_on_a_line_have_the_margin_around_them(places):
    partition = build_partition("classes", np.array(places, dtype=float), labels=["a"] * len(places))
    hull = partition.outline(0, 0)
    assert hull.is_valid
    (lat, lon), (south, west, _, east) = places[0], partition.bounds_deg(np.array([0]), 0)[0]
    assert hull.intersects(shapely.Point(lon, lat))
    assert south == pytest.approx(min(p[0] for p in places) - MARGIN_DEG, abs=0.005)
    assert (east - west) % 360 == pytest.approx(max((p[1] - lon) % 360 for p in places) + 2 * MARGIN_DEG, abs=0.01)
    assert partition.area_km2(np.array([0]), 0)[0] > 80


def test_photographs_around_a_pole_have_it_inside_and_those_of_one_side_do_not():
    lon = np.arange(-180.0, 180, 40)
    around = np.column_stack([np.full(len(lon), -80.0), lon])
    partition = build_partition("classes", around, labels=["ice"] * len(lon))
    assert partition.outline(0, 0).intersects(shapely.Point(17.0, -89.9))
    cap_km2 = 2 * np.pi * 6371.0088**2 * (1 - np.cos(np.radians(10.05)))
    assert partition.area_km2(np.array([0]), 0)[0] == pytest.approx(cap_km2, rel=0.01)
    side = build_partition("classes", around[:3], labels=["ice"] * 3)
    assert not side.outline(0, 0).intersects(shapely.Point(-140.0, -89.9))


def test_without_coordinates_of_some_class_labels_alone_tell_classes():
    places = np.where(np.arange(6)[:, None] < 3, PLACES, np.nan)
    partition = build_partition("classes", places, labels=LABELS)
    assert not partition.placed
    assert partition.keys([[11.0, 10.5]]).tolist() == [[NO_CELL]]
    assert partition.keys_of(["reef", "inland", "unheard of"]).ravel().tolist() == [1, 0, NO_CELL]
    assert partition.outline(1, 0) is None
    assert partition.bounds_deg(np.array([1]), 0).tolist() == [[-90, -180, 90, 180]]


@pytest.mark.parametrize("placed", [True, False])
def test_a_hierarchy_of_labels_is_read_as_it_was_written(tmp_path, placed):
    places = PLACES if placed else np.full_like(PLACES, np.nan)
    partition = build_partition("classes", places, labels=LABELS)
    keys = partition.keys_of(LABELS)
    hierarchy = build_hierarchy(partition, partition.center_deg[keys[:, 0]], 1, keys)
    assert hierarchy.name == ("inland", "reef")
    assert hierarchy.train_count.tolist() == [3, 3]
    assert hierarchy.placed == placed
    write_hierarchy(tmp_path, hierarchy)
    again = read_hierarchy(tmp_path)
    assert hierarchy_hash(again) == hierarchy_hash(hierarchy)
    assert again.placed == placed
    restored = partition_of("classes", ("class",), partition.arrays())
    assert shapely.equals(restored.areas, partition.areas).all()


def test_classes_of_too_few_photographs_are_dropped():
    partition = build_partition("classes", PLACES[:4], labels=LABELS[:4])
    keys = partition.keys_of(LABELS[:4])
    assert build_hierarchy(partition, partition.center_deg[keys[:, 0]], 2, keys).name == ("inland",)


def test_no_labels_are_refused():
    with pytest.raises(ValueError, match="no training photograph has one: import them"):
        build_partition("classes", PLACES)
