"""What a calibration split promises where its photographs hang together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.decode.conformal import Needs, Promises, as_json, from_json
from infer.decode.region import conformal_quantile

SOME = st.lists(st.tuples(st.floats(0, 1) | st.just(np.inf), st.integers(0, 5)), min_size=1, max_size=40)


def needs_of(drawn):
    masses, group = (np.array(column) for column in zip(*drawn, strict=True))
    return Needs.of(masses, group)


@given(SOME, st.floats(0.01, 0.99))
def test_photographs_that_are_not_related_promise_as_in_split_conformal_prediction(drawn, coverage):
    masses = np.array([mass for mass, _ in drawn])
    assert Needs.of(masses, np.arange(len(masses))).quantile(coverage) == conformal_quantile(masses, coverage)


@given(SOME, st.floats(0.01, 0.99), st.integers(2, 4))
def test_more_photographs_of_each_group_promise_the_same(drawn, coverage, times):
    once, often = needs_of(drawn), needs_of(drawn * times)
    assert often.groups == once.groups
    assert often.quantile(coverage) == once.quantile(coverage)


@given(SOME, st.floats(0.01, 0.98))
def test_more_coverage_never_takes_less(drawn, coverage):
    needs = needs_of(drawn)
    assert needs.quantile(coverage) <= needs.quantile(coverage + 0.01)


@given(SOME)
def test_needs_are_the_same_after_writing_and_reading(drawn):
    needs = needs_of(drawn)
    promises = Promises("chain", len(drawn), (1.0,), {"smooth": needs}, {"L1": (1.0, 1.0, 0.0, 0.5)})
    read = from_json(as_json(promises), "chain").needed["smooth"]
    np.testing.assert_allclose(read.masses, needs.masses, rtol=1e-6)
    np.testing.assert_array_equal(read.related, needs.related)
    assert read.groups == needs.groups


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_the_promised_share_of_new_groups_is_covered_though_large_ones_are_easy(coverage):
    """The needs of a group lie together, and groups of hundreds, as of cities, need next to nothing."""
    rng = np.random.default_rng(0)

    def draw(groups):
        size = np.minimum(rng.zipf(1.7, groups), 400)
        easy = np.minimum(1, 3 / size) * rng.random(groups)
        group = np.repeat(np.arange(groups), size)
        return np.clip(easy[group] + rng.normal(0, 0.02, len(group)), 0, 1), group

    by_group, by_photograph = [], []
    for _ in range(60):
        needed, group = draw(300)
        new, of = draw(300)
        first = np.unique(of, return_index=True)[1]
        by_group.append(np.mean(new[first] <= Needs.of(needed, group).quantile(coverage)))
        by_photograph.append(np.mean(new[first] <= conformal_quantile(needed, coverage)))
    assert np.mean(by_group) == pytest.approx(coverage, abs=0.015)
    # What photographs promise one by one, they promise for the large groups.
    assert np.mean(by_photograph) < coverage - 0.1
