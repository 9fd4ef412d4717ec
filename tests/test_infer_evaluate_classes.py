"""Figures of classes, against scikit-learn and against counting."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, top_k_accuracy_score

from geocells.hierarchy import UNKNOWN
from infer.evaluate.classes import class_figures, macro_f1, set_figures, top_figures


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 7, 400)
    logits = rng.normal(0, 1, (400, 15))
    logits[np.arange(400), true] += 1.0
    p = np.exp(logits)
    return p / p.sum(axis=1, keepdims=True), true, np.arange(400) // 4


def test_top_k_and_f1_are_those_of_scikit_learn(answers):
    p, true, group = answers
    figures = class_figures(p, true, group, largest=2)
    for k in (1, 3, 5, 10):
        assert figures[f"top_{k}"]["value"] == pytest.approx(top_k_accuracy_score(true, p, k=k, labels=range(15)))
    wanted = f1_score(true, p.argmax(axis=1), labels=range(7), average="macro")
    assert figures["macro_f1"]["value"] == pytest.approx(wanted)
    assert figures["macro_f1"]["low"] < wanted < figures["macro_f1"]["high"]
    assert figures["largest_class"]["value"] == (true == 2).mean()
    assert (figures["photographs"], figures["groups"], figures["classes"]) == (400, 100, 15)


def test_the_interval_of_f1_is_that_of_resampled_groups(answers):
    p, true, group = answers
    best, rng = p.argmax(axis=1), np.random.default_rng(5)
    f1 = []
    for _ in range(500):
        rows = np.concatenate([np.flatnonzero(group == g) for g in rng.integers(0, 100, 100)])
        f1.append(f1_score(true[rows], best[rows], labels=range(7), average="macro", zero_division=0))
    figure = macro_f1(best, true, group)
    np.testing.assert_allclose([figure["low"], figure["high"]], np.quantile(f1, [0.025, 0.975]), atol=0.01)


def test_where_the_truth_has_one_class_the_interval_is_that_of_this_class_alone():
    alone, group = np.zeros(6, dtype=np.int64), np.arange(6)
    assert macro_f1(alone, alone, group) == {"value": 1, "low": 1, "high": 1}


def test_an_unknown_class_is_never_right_and_counts_against_the_class_it_is_taken_for():
    p = np.array([[0.6, 0.4], [0.6, 0.4], [0.3, 0.7]])
    true, group = np.array([0, UNKNOWN, 1]), np.arange(3)
    figures = class_figures(p, true, group)
    assert figures["top_1"]["value"] == figures["top_10"]["value"] == pytest.approx(2 / 3)
    assert figures["macro_f1"]["value"] == pytest.approx((2 / 3 + 1) / 2)
    assert figures["in_a_known_class"] == pytest.approx(2 / 3)
    nobody = class_figures(p, np.full(3, UNKNOWN), group)
    assert nobody["top_1"]["value"] == 0
    assert nobody["macro_f1"] == {"value": 0, "low": 0, "high": 0}


def test_ties_count_against_the_true_class():
    assert top_figures(np.full((4, 4), 0.25), np.arange(4), np.arange(4))["top_3"]["value"] == 0


def test_sets_are_counted_by_group_and_by_photograph():
    p = np.array([[0.7, 0.2, 0.1]] * 4)
    figures = set_figures(p, np.array([0, 1, 2, UNKNOWN]), np.array([0, 0, 1, 2]), 0.8)
    assert (figures["mean_size"]["value"], figures["median_size"]) == (2, 2)
    assert figures["covered"]["value"] == pytest.approx(1 / 3)
    assert figures["covered"]["groups"] == 3
    assert figures["covered_of_photographs"]["value"] == 0.5


def test_impossible_coverages_have_no_figures(answers):
    p, true, group = answers
    assert set(class_figures(p, true, group, thresholds={0.5: 0.8, 0.9: np.inf})["sets"]) == {"0.5"}
