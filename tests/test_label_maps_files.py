"""A hierarchy as files: what is read is what was written, and files that disagree are named."""

import json
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells.hierarchy import build_hierarchy
from geocells.partitions import QuadPartition
from label_maps.build import _as_stored
from label_maps.files import children_path, hierarchy_hash, label_map_path, read_hierarchy, write_hierarchy

places = st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=30)
levels = st.sets(st.integers(1, 16), min_size=1, max_size=4).map(lambda chosen: tuple(sorted(chosen)))


@pytest.fixture
def run(tmp_path):
    """A run of classes on three levels."""
    points = [(48.8, 2.3), (48.9, 2.4), (-1.3, 36.8), (-33.9, 151.2), (-18.1, 178.4), (40.7, -74.0), (45.0, 3.0)]
    write_hierarchy(tmp_path, build_hierarchy(QuadPartition((1, 3, 5)), points))
    return tmp_path


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@settings(max_examples=60)
@given(places, levels, st.booleans(), st.integers(1, 3))
def test_what_is_read_is_what_was_written(tmp_path_factory, points, chosen, equal_area, min_images):
    try:
        written = _as_stored(build_hierarchy(QuadPartition(chosen, equal_area), points, min_images))
    except ValueError:
        return  # no cell has so many images
    run = tmp_path_factory.mktemp("run")
    write_hierarchy(run, written)
    read = read_hierarchy(run)
    for field in fields(written):
        np.testing.assert_array_equal(getattr(read, field.name), getattr(written, field.name), field.name)
    assert hierarchy_hash(read) == hierarchy_hash(written)


def test_the_hash_tells_hierarchies_apart():
    points = [(48.8, 2.3), (-1.3, 36.8)]
    made = [
        build_hierarchy(QuadPartition((1, 3)), points),
        build_hierarchy(QuadPartition((1, 4)), points),
        build_hierarchy(QuadPartition((1, 3), equal_area=True), points),
        build_hierarchy(QuadPartition((1, 3)), [*points, points[0]]),
        build_hierarchy(QuadPartition((1, 3)), points[:1]),
    ]
    assert len({hierarchy_hash(hierarchy) for hierarchy in made}) == len(made)


def test_a_list_of_classes_is_readable_by_people(run):
    content = json.loads(label_map_path(run, "L1").read_text())
    assert (content["partition"], content["level"], content["levels"]) == ("quad", "L1", ["L1", "L3", "L5"])
    assert [c["id"] for c in content["classes"]] == ["0", "1", "3"]
    north_east = content["classes"][1]
    assert [north_east[edge] for edge in ("south", "west", "north", "east")] == [0, 0, 90, 180]
    assert north_east["train_count"] == 3
    assert json.loads(children_path(run, "L1", "L3").read_text()) == {"0": [0], "1": [1, 2], "2": [3, 4, 5]}


def test_a_run_without_label_maps_says_how_to_make_them(tmp_path):
    with pytest.raises(ValueError, match=r"has no label maps: make them with `python -m label_maps"):
        read_hierarchy(tmp_path)


@pytest.mark.parametrize("name", ["label_map_L1.json", "label_map_L3.json", "label_map_L5.json", "l3_to_l5.json"])
@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_text("{garbage"), "is not valid JSON"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "is not valid JSON"),
        (lambda path: path.write_text("{}"), ""),
        (lambda path: path.write_text("[]"), ""),
        (lambda path: path.write_text("null"), ""),
        (lambda path: path.write_text('{"level": "L3", "levels": 3, "classes": 7}'), ""),
        (lambda path: path.write_text('{"0": 1}'), ""),
        (lambda path: path.write_text('{"0": [null], "x": [0]}'), ""),
    ],
)
def test_a_file_that_is_gone_or_garbage_is_named(run, name, damage, complaint):
    path = run / "label_maps" / name
    damage(path)
    with pytest.raises(ValueError, match=rf"{name}.*{complaint}") as refusal:
        read_hierarchy(run)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda c: c["classes"].reverse(), "label_map_L3.json"),
        (lambda c: c["classes"].append(dict(c["classes"][0])), "l1_to_l3.json"),
        (lambda c: c["classes"].pop(), "l1_to_l3.json"),
        (lambda c: c["classes"].clear(), "label_map_L3.json"),
        (lambda c: c["classes"][0].pop("key"), "label_map_L3.json"),
        (lambda c: c["classes"][0].update(key="many"), "label_map_L3.json"),
        (lambda c: c["classes"][0].update(id="0/0/0"), "label_map_L3.json"),
        (lambda c: c["classes"][1].update(c["classes"][2]), "label_map_L3.json"),
        (lambda c: c.update(level="L5"), "label_map_L3.json"),
        (lambda c: c.update(levels=["L1", "L3", "L8"]), "label_map_L3.json"),
        (lambda c: c.update(partition="quad_equal_area"), "label_map_L3.json"),
    ],
)
def test_a_list_of_classes_that_disagrees_is_named(run, edit, complaint):
    change(label_map_path(run, "L3"), edit)
    with pytest.raises(ValueError, match=complaint) as refusal:
        read_hierarchy(run)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "edit",
    [
        lambda c: c.pop("1"),
        lambda c: c["1"].pop(),
        lambda c: c["1"].append(0),
        lambda c: c.update({"9": [99]}),
        lambda c: c.update({"0": c["1"], "1": c["0"]}),
    ],
)
def test_a_map_of_children_that_leaves_one_out_or_swaps_two_is_named(run, edit):
    change(children_path(run, "L1", "L3"), edit)
    with pytest.raises(ValueError, match=r"l1_to_l3\.json"):
        read_hierarchy(run)


@pytest.mark.parametrize(
    ("name", "written"),
    [("partition", "hexagons"), ("levels", ["L0", "L3"]), ("levels", ["country"]), ("levels", [])],
)
def test_an_unknown_partition_or_level_is_refused(run, name, written):
    for path in (run / "label_maps").glob("label_map_*.json"):
        change(path, lambda c: c.update({name: written}))
    with pytest.raises(ValueError, match=r"hexagons|L0|country|label_map_L1\.json"):
        read_hierarchy(run)
