"""The tree of cells that hold training photographs, and the partitions that give it its keys."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocells import grid
from geocells.hierarchy import UNKNOWN, Hierarchy, build_hierarchy
from geocells.partitions import QuadPartition, partition_of
from geocells.sphere import EARTH_AREA_KM2, distance_km, spherical_mean

QUAD = QuadPartition()
# A grid of a degree makes photographs fall together; the open strategy finds poles and seams.
place = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
crowded = st.tuples(st.integers(44, 48), st.integers(0, 8)).map(lambda p: (float(p[0]), float(p[1])))
photographs = st.lists(st.one_of(place, crowded), min_size=1, max_size=60)
partitions = st.builds(
    lambda levels, equal_area: QuadPartition(tuple(sorted(levels)), equal_area),
    st.sets(st.integers(1, 10), min_size=1, max_size=4),
    st.booleans(),
)


def built(points, partition=QUAD, min_images=1) -> Hierarchy:
    return build_hierarchy(partition, points, min_images)


def try_built(points, partition, min_images) -> Hierarchy | None:
    try:
        return built(points, partition, min_images)
    except ValueError:
        return None


def keys_of(hierarchy: Hierarchy, level: int) -> set[int]:
    return set(hierarchy.key[hierarchy.rows(level)].tolist())


# What holds of every tree


@given(photographs, partitions)
def test_every_training_photograph_has_a_class_at_each_level(points, partition):
    assert np.all(built(points, partition).classes(points) != UNKNOWN)


@given(photographs, partitions, st.integers(1, 5))
def test_every_class_above_the_finest_level_has_a_child(points, partition, min_images):
    if hierarchy := try_built(points, partition, min_images):
        for level in range(hierarchy.depth - 1):
            assert set(hierarchy.parent_class(level + 1)) == set(range(hierarchy.sizes()[level]))


@given(photographs, partitions, st.integers(1, 5))
def test_the_class_of_a_photograph_has_its_class_above_as_parent(points, partition, min_images):
    if hierarchy := try_built(points, partition, min_images):
        classes = hierarchy.classes(points)
        for level in range(1, hierarchy.depth):
            known = classes[:, level] != UNKNOWN
            above = hierarchy.parent_class(level)[classes[known, level]]
            np.testing.assert_array_equal(above, classes[known, level - 1])


@given(photographs, partitions)
def test_parents_contain_their_children(points, partition):
    hierarchy = built(points, partition)
    children = np.flatnonzero(hierarchy.parent >= 0)
    inner, outer = hierarchy.bounds_deg[children], hierarchy.bounds_deg[hierarchy.parent[children]]
    assert np.all(outer[:, :2] <= inner[:, :2] + 1e-12)
    assert np.all(inner[:, 2:] <= outer[:, 2:] + 1e-12)


@given(photographs, partitions)
def test_photographs_are_counted_once_at_each_level(points, partition):
    hierarchy = built(points, partition)
    for level in range(hierarchy.depth):
        assert hierarchy.train_count[hierarchy.rows(level)].sum() == len(points)


@given(photographs, partitions)
def test_a_parent_counts_what_its_children_count(points, partition):
    hierarchy = built(points, partition)
    counted = np.zeros(len(hierarchy.level), dtype=np.int64)
    below = hierarchy.parent >= 0
    np.add.at(counted, hierarchy.parent[below], hierarchy.train_count[below])
    inner = hierarchy.level < hierarchy.depth - 1
    np.testing.assert_array_equal(counted[inner], hierarchy.train_count[inner])


@given(photographs, partitions)
def test_the_centre_of_a_class_is_the_mean_of_its_photographs_on_the_sphere(points, partition):
    hierarchy = built(points, partition)
    finest = hierarchy.depth - 1
    classes = hierarchy.classes(points)[:, finest]
    for number, center in enumerate(hierarchy.center_deg[hierarchy.rows(finest)]):
        members = np.array(points)[classes == number]
        if partition.levels[-1] > 1:  # half a hemisphere may hold antipodes on its edges
            assert distance_km(center, spherical_mean(members)) == pytest.approx(0, abs=1e-3)


@given(photographs, partitions)
def test_a_class_is_named_by_its_cell(points, partition):
    hierarchy = built(points, partition)
    for name, key, level in zip(hierarchy.name, hierarchy.key, hierarchy.level, strict=True):
        assert grid.parse_id(name) == (key, partition.levels[level])


@given(photographs, partitions)
def test_siblings_are_neighbours_in_the_order_of_their_keys(points, partition):
    hierarchy = built(points, partition)
    for level in range(1, hierarchy.depth):
        order = np.lexsort((hierarchy.key[hierarchy.rows(level)], hierarchy.parent_class(level)))
        np.testing.assert_array_equal(order, np.arange(len(order)))


@given(photographs, st.randoms(use_true_random=False))
def test_the_order_of_the_photographs_does_not_matter(points, random):
    shuffled = points.copy()
    random.shuffle(shuffled)
    one, other = built(points), built(shuffled)
    assert one.name == other.name
    np.testing.assert_array_equal(one.train_count, other.train_count)


# Dropping small classes


def kept_by_rule(points, partition, min_images) -> list[set[int]]:
    """Return the keys kept at each level: those with enough photographs, and the fullest child of each kept parent."""
    keys = partition.keys(np.array(points))
    kept: list[set[int]] = []
    for depth in range(len(partition.levels)):
        count = Counter(keys[:, depth].tolist())
        chosen = {key for key in count if count[key] >= min_images}
        if depth:
            parent = dict(keys[:, [depth, depth - 1]].tolist())
            for above in kept[-1]:
                chosen.add(max((k for k in count if parent[k] == above), key=lambda k: (count[k], -k)))
        kept.append(chosen)
    return kept


@given(photographs, partitions, st.integers(1, 5))
def test_a_level_keeps_the_cells_with_enough_photographs_and_the_fullest_child_of_each_class(
    points, partition, min_images
):
    hierarchy = try_built(points, partition, min_images)
    expected = kept_by_rule(points, partition, min_images)
    assert (hierarchy is None) == (not expected[0])
    if hierarchy is not None:
        assert [keys_of(hierarchy, level) for level in range(hierarchy.depth)] == expected


def test_a_small_class_is_dropped_at_its_level_only():
    points = [(47.0, 2.0)] * 5 + [(47.0, 4.0)]  # one L5 cell, two L8 cells
    hierarchy = built(points, min_images=2)
    assert hierarchy.sizes() == [1, 1, 1, 1]
    assert hierarchy.train_count.tolist() == [6, 6, 6, 5]
    assert hierarchy.classes([(47.0, 4.0)]).tolist() == [[0, 0, 0, UNKNOWN]]


def test_the_fullest_child_stays_even_when_it_is_small():
    points = [(47.0, 2.0)] * 2 + [(47.0, 4.0)] * 1
    hierarchy = built(points, min_images=3)
    assert hierarchy.train_count.tolist() == [3, 3, 3, 2]


def test_when_no_cell_has_enough_photographs_the_message_says_how_many_the_fullest_has():
    with pytest.raises(ValueError, match=r"no L1 cell has 4 training photographs \(the fullest has 3\)"):
        built([(47, 2)] * 3, min_images=4)


# Seams


def test_without_photographs_there_is_no_hierarchy():
    with pytest.raises(ValueError, match="no training photographs"):
        built(np.empty((0, 2)))


def test_one_photograph_makes_one_class_at_each_level():
    hierarchy = built([(48.8567, 2.3508)])
    assert hierarchy.sizes() == [1, 1, 1, 1]
    assert hierarchy.name[0] == "1"
    np.testing.assert_allclose(hierarchy.center_deg, [(48.8567, 2.3508)] * 4)


def test_duplicates_are_counted_and_change_nothing_else():
    one, many = built([(48.8567, 2.3508)]), built([(48.8567, 2.3508)] * 7)
    assert many.name == one.name
    assert many.train_count.tolist() == [7] * 4
    np.testing.assert_allclose(many.center_deg, one.center_deg)


def test_poles_and_antimeridian_have_classes():
    points = [(90, 0), (-90, 0), (0, 180), (0, -180), (10, 540)]
    hierarchy = built(points)
    classes = hierarchy.classes(points)
    assert np.all(classes != UNKNOWN)
    np.testing.assert_array_equal(classes[2], classes[3])


def test_a_place_without_training_photographs_nearby_is_known_as_far_down_as_the_tree_reaches():
    hierarchy = built([(48.8567, 2.3508)])
    assert hierarchy.classes([(-33.9, 151.2), (89, 170), (48.8567, 2.3509)]).tolist() == [
        [UNKNOWN] * 4,
        [0, UNKNOWN, UNKNOWN, UNKNOWN],
        [0, 0, 0, 0],
    ]
    assert hierarchy.classes(np.empty((0, 2))).shape == (0, 4)


def test_a_photograph_in_every_cell_of_a_level_covers_the_earth():
    points = grid.center_deg(np.arange(4**5), 5)
    hierarchy = built(points, QuadPartition((1, 3, 5)))
    assert hierarchy.sizes() == [4, 64, 1024]
    for level in range(3):
        assert hierarchy.area_km2[hierarchy.rows(level)].sum() == pytest.approx(EARTH_AREA_KM2)


def test_a_broken_tree_is_not_built():
    good = built([(48.8567, 2.3508), (-33.9, 151.2)])
    parts = {name: getattr(good, name) for name in good.__dataclass_fields__}
    with pytest.raises(AssertionError, match="one level above"):
        Hierarchy(**parts | {"parent": np.array([-1, -1, 0, 1, 2, 3, 2, 5], dtype=np.int32)})
    with pytest.raises(AssertionError, match="siblings"):
        Hierarchy(**parts | {"parent": good.parent[[0, 1, 3, 2, 4, 5, 6, 7]]})


# Levels and partitions


def test_levels_are_known_by_name():
    hierarchy = built([(48.8567, 2.3508)])
    assert hierarchy.level_names == ("L1", "L3", "L5", "L8")
    assert hierarchy.level_index("L5") == 2
    with pytest.raises(ValueError, match="there is no level 'L4'; this hierarchy has L1, L3, L5, L8"):
        hierarchy.level_index("L4")


@given(partitions)
def test_a_partition_is_known_again_by_its_name_and_levels(partition):
    assert partition_of(partition.name, partition.level_names) == partition


@given(st.lists(place, max_size=20), partitions)
def test_the_key_of_a_point_at_a_level_is_its_cell_of_that_level(points, partition):
    keys = partition.keys(np.array(points).reshape(-1, 2))
    for depth, level in enumerate(partition.levels):
        expected = grid.encode(np.array(points).reshape(-1, 2), level, partition.equal_area)
        np.testing.assert_array_equal(keys[:, depth], expected)


@pytest.mark.parametrize("levels", [(), (3, 1), (1, 1), (0, 3), (1, 17)])
def test_levels_that_cannot_nest_are_refused(levels):
    with pytest.raises(ValueError, match="level"):
        QuadPartition(levels)


@pytest.mark.parametrize(
    "name, levels, said",
    [
        ("hexagons", ("L1",), "there is no partition 'hexagons'"),
        ("quad", ("country",), "named L1 to L16"),
        ("quad", ("L",), "named L1 to L16"),
        ("quad", ("L²",), "named L1 to L16"),
        ("quad", ("L99",), "level L99 does not exist"),
    ],
)
def test_a_partition_that_does_not_exist_is_refused(name, levels, said):
    with pytest.raises(ValueError, match=said):
        partition_of(name, levels)


def test_with_equal_area_all_classes_of_a_level_have_one_area():
    points = np.random.default_rng(0).uniform((-90, -180), (90, 180), (500, 2))
    hierarchy = built(points, QuadPartition((3, 6), equal_area=True))
    np.testing.assert_allclose(hierarchy.area_km2[hierarchy.rows(1)], EARTH_AREA_KM2 / 4**6)
