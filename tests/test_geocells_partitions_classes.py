"""Labels as classes: placed by photographs with coordinates, and told by labels alone without."""

import numpy as np
import pytest
import shapely

from geocells.hierarchy import build_hierarchy
from geocells.partitions import NO_CELL, build_partition, partition_of
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
