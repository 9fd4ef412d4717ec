"""Reports of classes against scikit-learn's own, their order on the globe, and the files they are written to."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import classification_report, confusion_matrix

from geocells.hierarchy import UNKNOWN, build_hierarchy
from geocells.partitions import build_partition
from geocells.sphere import distance_km
from infer.evaluate.class_files import UNKNOWN_CLASS, write_class_files
from infer.evaluate.class_order import order_by_confusion, order_by_place
from infer.evaluate.class_report import MOST_CLASSES, class_names, class_report, is_reported
from label_maps.spread import class_spread

TOWNS = {
    "Oslo": (59.9, 10.8),
    "Suva": (-18.1, 178.4),
    "Paris": (48.9, 2.3),
    "Apia": (-13.8, -171.8),
    "Rome": (41.9, 12.5),
}


def facts(count):
    return [{"id": f"c{k}", "name": f"Class {k}", "training_photographs": k} for k in range(count)]


def placed_facts():
    return [{"id": town, "name": town, "latitude": lat, "longitude": lon} for town, (lat, lon) in TOWNS.items()]


@given(st.integers(0, 500), st.integers(2, 12), st.integers(1, 60))
def test_the_report_equals_scikit_learns_own(seed, count, photographs):
    rng = np.random.default_rng(seed)
    true, best = rng.integers(0, count, photographs), rng.integers(0, count, photographs)
    report = class_report(best, true, np.arange(photographs), facts(count))
    wanted = classification_report(true, best, output_dict=True, zero_division=0)
    assert report["accuracy"] == pytest.approx(wanted["accuracy"])
    for name in ("macro", "weighted"):
        figures = {key.replace("-score", ""): value for key, value in wanted[f"{name} avg"].items() if key != "support"}
        assert report["averages"][name] == pytest.approx(figures)
    assert len(report["by_class"]) == len(wanted) - 3
    for key, own in report["by_class"].items():
        theirs = wanted[key.removeprefix("c")]
        assert (own["precision"], own["recall"], own["f1"], own["n"]) == pytest.approx(
            (theirs["precision"], theirs["recall"], theirs["f1-score"], theirs["support"])
        )
    labels = [int(key.removeprefix("c")) for key in report["order"]]
    rows = [[report["confusion"].get(f"c{t}", {}).get(f"c{b}", 0) for b in labels] for t in labels]
    if len(labels) > 1:
        np.testing.assert_array_equal(rows, confusion_matrix(true, best, labels=labels))
    assert np.sum(rows) == photographs


def test_a_photograph_of_a_class_that_the_run_lacks_costs_precision_and_accuracy_and_has_a_row_of_its_own(tmp_path):
    true, best = np.array([0, 0, UNKNOWN, 1]), np.array([0, 0, 0, 1])
    report = class_report(best, true, np.arange(4), facts(3))
    assert report["accuracy"] == 0.75
    assert report["by_class"]["c0"]["precision"] == pytest.approx(2 / 3)
    assert report["by_class"]["c0"]["recall"] == 1
    assert report["unknown"] == {"c0": 1}
    _, confusion = write_class_files(tmp_path / "e.json", {"label": report})
    assert pd.read_csv(confusion).iloc[-1].tolist()[1:] == [UNKNOWN_CLASS, 1, 0]


def test_of_unknown_classes_alone_everything_is_zero():
    report = class_report(np.array([1, 1]), np.array([UNKNOWN, UNKNOWN]), np.arange(2), facts(3))
    assert (report["accuracy"], report["averages"]["weighted"]["f1"], report["unknown"]) == (0, 0, {"c1": 2})
    assert report["confusion"] == {}


def test_neighbours_stand_together_also_across_the_antimeridian():
    order = [list(TOWNS)[k] for k in order_by_place(np.array(list(TOWNS.values())))]
    assert abs(order.index("Suva") - order.index("Apia")) == 1
    assert {order[1], order[2]} & {"Paris", "Oslo", "Rome"}
    assert sorted(order[:2] if "Suva" in order[:2] else order[-2:]) == ["Apia", "Suva"]


@given(st.integers(0, 200), st.integers(3, 40))
def test_the_order_of_places_is_a_permutation_whose_neighbours_are_nearer_than_by_chance(seed, count):
    rng = np.random.default_rng(seed)
    places = np.stack([rng.uniform(-90, 90, count), rng.uniform(-180, 180, count)], axis=1)
    order = order_by_place(places)
    assert sorted(order.tolist()) == list(range(count))

    def walk(row):
        return distance_km(places[row[:-1]], places[row[1:]]).sum()

    if count > 10:
        assert walk(order) < np.mean([walk(rng.permutation(count)) for _ in range(20)])


def test_classes_without_places_are_ordered_by_what_is_taken_for_what():
    confusion = np.diag([9, 9, 9, 9])
    confusion[0, 3] = confusion[3, 0] = 8
    confusion[1, 2] = confusion[2, 1] = 8
    order = order_by_confusion(confusion).tolist()
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset((0, 3)), frozenset((1, 2))}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_classes_are_in_order_already(count):
    assert order_by_place(np.zeros((count, 2))).tolist() == list(range(count))
    assert order_by_confusion(np.eye(count, dtype=np.int64)).tolist() == list(range(count))


def test_the_files_hold_names_places_averages_and_every_confusion(tmp_path):
    true, best = np.array([0, 0, 1, 2, 2, 2, 3]), np.array([0, 2, 1, 2, 2, 0, 3])
    report = class_report(best, true, np.array([0, 0, 1, 2, 3, 3, 4]), placed_facts(), placed=True)
    paths = write_class_files(tmp_path / "evaluation_test.json", {"country": report})
    assert [path.name for path in paths] == [
        "evaluation_test_classification_report_country.csv",
        "evaluation_test_confusion_country.csv",
    ]
    table = pd.read_csv(paths[0])
    wanted = classification_report(true, best, output_dict=True)
    paris = table[table["class"] == "Paris"].iloc[0]
    assert (paris["support"], paris["groups"], paris["answered"], paris["latitude"]) == (3, 2, 3, 48.9)
    assert paris["f1"] == pytest.approx(wanted["2"]["f1-score"], abs=1e-6)
    by_name = table.set_index("name")
    assert by_name.loc["accuracy", "f1"] == pytest.approx(5 / 7, abs=1e-6)
    assert by_name.loc["weighted average", "precision"] == pytest.approx(wanted["weighted avg"]["precision"], abs=1e-6)
    matrix = pd.read_csv(paths[1], index_col="name").drop(columns="true class")
    assert list(matrix.columns) == list(matrix.index) == report["order"]
    assert matrix.to_numpy().sum() == 7
    assert (matrix.loc["Oslo", "Paris"], matrix.loc["Paris", "Oslo"], matrix.loc["Paris", "Paris"]) == (1, 1, 2)


def test_the_dispersion_of_a_class_is_that_of_its_training_photographs_around_its_centre():
    rng = np.random.default_rng(3)
    places = np.concatenate([rng.normal((10, 179.9), 2, (40, 2)), rng.normal((50, 10), 0.2, (10, 2))])
    places[:, 1] = (places[:, 1] + 180) % 360 - 180
    labels = ["wide"] * 40 + ["narrow"] * 10
    partition = build_partition("classes", places, labels=labels)
    keys = partition.keys_of(labels)
    hierarchy = build_hierarchy(partition, partition.center_deg[keys[:, 0]], 1, keys)
    photos = pd.DataFrame({"latitude": places[:, 0], "longitude": places[:, 1], "label": labels})
    (spread,) = class_spread(hierarchy, photos)
    assert hierarchy.name == ("narrow", "wide")
    for row, rows in ((1, slice(0, 40)), (0, slice(40, 50))):
        away = distance_km(places[rows], hierarchy.center_deg[row])
        np.testing.assert_allclose(spread[row], np.quantile(away, [0.5, 0.9]))
    assert spread[1, 0] > 5 * spread[0, 0]
    assert np.isnan(class_spread(hierarchy, photos.assign(latitude=np.nan))).all()


def test_levels_of_thousands_of_cells_have_no_report_and_cells_are_named_by_their_country():
    rng = np.random.default_rng(0)
    places = np.stack([rng.uniform(-60, 75, 3000), rng.uniform(-180, 180, 3000)], axis=1)
    hierarchy = build_hierarchy(build_partition("quad", places), places)
    assert [is_reported(hierarchy, level) for level in range(4)] == [size <= MOST_CLASSES for size in hierarchy.sizes()]
    assert is_reported(hierarchy, 1)
    assert not is_reported(hierarchy, 3)
    paris = build_hierarchy(build_partition("quad", places[:1]), [[48.86, 2.35]])
    assert class_names(paris, 1) == [f"{paris.name[1]} (centre in France)"]
