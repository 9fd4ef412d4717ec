import numpy as np
import pandas as pd
import pytest

from dataset.features import FeatureCache, FeatureKind
from dataset.manifest import MANIFEST
from dataset.picture_keys import picture_keys
from infer.evaluate.coverage import searched_area
from infer.evaluate.leakage import alike_to_training, find_leaks, leak_line, leak_report
from infer.evaluate.metrics import paired_differences

TRAIN = pd.DataFrame(
    {
        "id": ["t0", "t1"],
        "latitude": [10.0, -20.0],
        "longitude": [20.0, 179.9999],
        "sequence_id": ["s0", ""],
        "creator": ["ann", None],
        "sha256": ["aa", "bb"],
        "dhash": np.array([0, 2**63], dtype=np.uint64),
    }
)
DETAILED = 0x9D4B26D1A37C58E6
"""A difference hash like those of streets: no row and no column repeats its neighbour."""
CLEAN = {
    "id": "x",
    "latitude": 40.0,
    "longitude": 40.0,
    "sequence_id": "",
    "creator": None,
    "sha256": "zz",
    "dhash": np.uint64(0xFFFF),
}


def leaking(**planted):
    found = find_leaks(pd.DataFrame([CLEAN, {**CLEAN, "id": "y", **planted}]), TRAIN)
    assert not any(marks[0] for marks in found.values()), "the clean one is not accused"
    return {kind for kind, marks in found.items() if marks[1]}


@pytest.mark.parametrize(("bits", "found"), [(4, True), (5, False)])
def test_a_near_duplicate_with_detail_leaks_at_any_distance(bits, found):
    hashes = (
        pd.DataFrame([{**CLEAN, "dhash": np.uint64(DETAILED)}]),
        TRAIN.assign(dhash=np.array([0, DETAILED ^ ((1 << bits) - 1)], dtype=np.uint64)),
    )
    assert find_leaks(*hashes)["near-duplicate"].tolist() == [found]


@pytest.mark.parametrize(
    "planted, kinds",
    [
        ({}, set()),
        ({"id": "t0"}, {"same photograph"}),
        ({"sha256": "aa"}, {"same photograph"}),
        ({"sequence_id": "s0"}, {"same sequence"}),
        ({"creator": "ann"}, set()),
        ({"creator": "ann", "latitude": 10.3, "longitude": 20.3}, {"same creator in a cell"}),
        ({"latitude": 10.0008, "longitude": 20.0}, {"same place"}),
        ({"latitude": 10.0011, "longitude": 20.0}, set()),
        ({"latitude": -20.0, "longitude": -179.9999}, {"same place"}),
        ({"latitude": 10.0015, "longitude": 20.0, "dhash": np.uint64(0b1111)}, {"near-duplicate"}),
        ({"latitude": 10.0015, "longitude": 20.0, "dhash": np.uint64(0b11111)}, set()),
        ({"dhash": np.uint64(0)}, set()),
    ],
)
def test_a_planted_leak_of_each_kind_is_caught(planted, kinds):
    assert leaking(**planted) == kinds


def test_columns_that_nobody_filled_relate_nothing():
    bare = TRAIN[["id", "latitude", "longitude"]]
    found = find_leaks(bare.assign(id=["a", "b"]), bare)
    assert {kind for kind, marks in found.items() if marks.any()} == {"same place"}


KIND = FeatureKind("resnet18", "ab", {"size": 32}, "float32", "own")


def photographs(names):
    return pd.DataFrame({"path": [f"{name}.jpg" for name in names], "sha256": [name * 64 for name in names]})


def cached(folder, names, numbers):
    with FeatureCache.create(folder, KIND, 2, "float32").writer() as writer:
        writer.add(picture_keys(folder, photographs(names)), np.array(numbers, dtype=np.float32))


def test_photographs_with_features_like_a_training_one_are_marked_and_those_without_features_are_not(tmp_path):
    own, training = tmp_path / "test", tmp_path / "training"
    for folder in (own, training):
        folder.mkdir()
        (folder / MANIFEST).touch()
    test, train = photographs("abc"), photographs("hdefg")
    assert alike_to_training(own, test, training, train, KIND) is None
    cached(own, "ab", [[3, 3], [0, 1]])
    cached(training, "defg", [[1, 1], [1, -1], [-1, 1], [-1, -1]])
    assert alike_to_training(own, test, training, train, KIND).tolist() == [True, False, False]
    assert alike_to_training(own, test.iloc[[2, 1, 0]], training, train, KIND).tolist() == [False, False, True]
    assert alike_to_training(own, test.iloc[[2]], training, train, KIND) is None
    assert alike_to_training(own, test, training, train.iloc[:1], KIND) is None


def test_a_dataset_without_training_photographs_leaks_nothing():
    assert not any(marks.any() for marks in find_leaks(TRAIN, TRAIN.iloc[:0]).values())


@pytest.mark.parametrize("leaks, stamped", [(5, False), (6, True)])
def test_a_result_is_stamped_above_half_a_percent(leaks, stamped):
    report = leak_report({"same place": np.arange(1000) < leaks, "same sequence": np.zeros(1000, dtype=bool)})
    assert report["contaminated"] is stamped
    assert leak_line(report).startswith("CONTAMINATED" if stamped else "leak audit")


def test_an_audit_says_when_it_knew_of_no_training_photograph_or_not_of_all():
    report = leak_report({"same place": np.zeros(3, dtype=bool)})
    assert leak_line({**report, "training_photographs": 9, "compared_with": 0}).startswith(
        "leak audit not made: none of 9"
    )
    assert "compared with 4 of 9" in leak_line({**report, "training_photographs": 9, "compared_with": 4})
    assert leak_line({**report, "training_photographs": 9, "compared_with": 9}) == leak_line(report)


def test_a_paired_comparison_sees_what_separate_intervals_would_not():
    rng = np.random.default_rng(0)
    ours = rng.exponential(1000, 500)
    found = paired_differences(ours, ours + 5, np.arange(len(ours)))
    assert found["mean_km"]["value"] == pytest.approx(-5)
    assert found["mean_km"]["high"] < 0
    assert found["median_km"] == pytest.approx({"value": -5, "low": -5, "high": -5})
    assert found["geoscore"]["low"] > 0
    assert found["nearer"]["value"] == 1


def test_the_area_searched_is_that_of_the_cells_at_least_as_dense():
    mass, area = np.array([[0.3, 0.4, 0.3]] * 3), np.array([1.0, 2.0, 10.0])
    assert searched_area(mass, area, np.array([1, 2, -1])).tolist() == [3, 13, np.inf]
