"""Conformal sets of classes: the most probable ones, of at least the coverage that is asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocells.hierarchy import UNKNOWN
from infer.decode.class_sets import class_scores, class_set, score_of_each, set_members, set_threshold


def softmax(logits):
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def test_the_score_is_the_mass_of_the_classes_that_are_more_probable():
    p = np.array([[0.5, 0.2, 0.2, 0.1]] * 5)
    assert class_scores(p, np.array([0, 1, 2, 3, UNKNOWN])) == pytest.approx([0, 0.5, 0.5, 0.9, np.inf])
    np.testing.assert_allclose(score_of_each(p)[0], [0, 0.5, 0.5, 0.9])


@given(st.integers(0, 1000), st.integers(1, 40), st.booleans())
def test_the_true_class_is_in_the_set_exactly_where_its_score_is_within_the_threshold(seed, classes, ties):
    rng = np.random.default_rng(seed)
    p = softmax(rng.integers(0, 3, (20, classes)) if ties else rng.normal(0, 2, (20, classes))).astype(np.float32)
    true = rng.integers(0, classes, 20)
    threshold = float(rng.random())
    score = class_scores(p, true)
    np.testing.assert_allclose(np.take_along_axis(score_of_each(p), true[:, None], 1)[:, 0], score, atol=1e-6)
    inside = set_members(p, threshold)[np.arange(20), true]
    clear = np.abs(score - threshold) > 1e-5
    assert (inside | ~(score <= threshold))[clear].all()
    assert set_members(p, threshold)[np.arange(20), p.argmax(axis=1)].all()
    assert set_members(p, np.inf).all()


def test_a_set_lists_the_most_probable_first_and_is_never_empty():
    p = np.array([0.1, 0.6, 0.05, 0.25])
    assert class_set(p, 0.84).tolist() == [1, 3]
    assert class_set(p, 0.6).tolist() == [1, 3]
    assert class_set(p, 0.0).tolist() == [1]
    assert class_set(p, 1.0).tolist() == [1, 3, 0, 2]


def test_an_accurate_run_has_sets_of_one_class():
    p = softmax(12 * np.eye(30)[np.arange(100) % 30])
    true = np.where(np.arange(100) < 5, 0, np.arange(100) % 30)
    threshold = set_threshold(class_scores(p, true), np.arange(100), 0.9)
    assert threshold == 0
    assert set_members(p, threshold).sum() == 100


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_sets_cover_new_groups_as_often_as_asked_however_wrong_the_probabilities(coverage):
    rng = np.random.default_rng(3)
    held = []
    for _ in range(300):
        logits = rng.normal(0, 1.5, (120, 12))
        true = np.array([rng.choice(12, p=row) for row in softmax(logits)])
        # Overconfident by far, and some classes are not known at all.
        p, true = softmax(3 * logits), np.where(rng.random(120) < 0.04, UNKNOWN, true)
        threshold = set_threshold(class_scores(p[:100], true[:100]), np.arange(100), coverage)
        inside = set_members(p[100:], threshold)[np.arange(20), np.maximum(true[100:], 0)]
        held.append((inside & (true[100:] != UNKNOWN)).mean())
    assert coverage - 0.01 < np.mean(held) < coverage + 0.2


def test_a_coverage_beyond_what_is_known_has_no_threshold():
    scores = np.array([0.2, 0.4, np.inf, np.inf])
    assert set_threshold(scores, np.arange(4), 0.4) == 0.4
    assert set_threshold(scores, np.arange(4), 0.9) == np.inf
    # One group of three photographs is one, and not three.
    assert set_threshold(np.array([0.2, 0.3, 0.4]), np.zeros(3, dtype=np.int64), 0.75) == np.inf
