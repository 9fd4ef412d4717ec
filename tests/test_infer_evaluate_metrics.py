"""Figures that say how far answers lie from the truth."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from geocells.sphere import geoscore
from infer.evaluate.metrics import RADII_KM, distance_figures, macro_average, mean_interval, slices

distances = st.lists(st.floats(0, 20_015), min_size=1, max_size=40).map(np.array)


@pytest.mark.parametrize(
    ("distance_km", "score"), [(0, 5000), (1, 4996.65), (25, 4916.96), (200, 4373.01), (750, 3025.25), (2500, 936.71)]
)
def test_the_geoscore_is_that_of_osv_5m(distance_km, score):
    assert geoscore(distance_km) == pytest.approx(score, abs=0.005)


def test_a_smaller_map_has_a_smaller_scale():
    assert geoscore(100, 100) == pytest.approx(5000 / np.e)


@given(distances)
def test_figures_are_plain_means_and_shares_within_radii(away):
    figures = distance_figures(away)
    assert figures["mean_km"]["value"] == pytest.approx(away.mean())
    assert figures["median_km"]["value"] == pytest.approx(np.median(away))
    assert figures["geoscore"]["value"] == pytest.approx((5000 * np.exp(-away / 1492.7)).mean())
    for radius in RADII_KM:
        assert figures[f"within_{radius}km"]["value"] == pytest.approx(sum(d <= radius for d in away) / len(away))


def test_a_distance_equal_to_the_radius_counts():
    figures = distance_figures(np.array([1.0, 25.0, 200.0, 750.0, 2500.0]))
    assert [figures[f"within_{radius}km"]["value"] for radius in RADII_KM] == [0.2, 0.4, 0.6, 0.8, 1.0]


@given(distances.filter(lambda d: len(d) >= 3), st.integers(0, 9))
def test_the_interval_holds_the_value_and_stays_within_the_data(away, number):
    for name, figure in distance_figures(away, number).items():
        assert figure["low"] <= figure["high"]
        if name.endswith("_km"):
            assert away.min() - 1e-9 <= figure["low"] <= figure["high"] <= away.max() + 1e-9


def test_the_interval_of_many_is_narrower_by_the_root_of_their_number():
    rng = np.random.default_rng(0)
    few, many = (mean_interval(rng.exponential(900, n)) for n in (100, 6400))
    assert few["low"] < few["value"] < few["high"]
    assert (few["high"] - few["low"]) / (many["high"] - many["low"]) == pytest.approx(8, rel=0.25)


def test_the_interval_agrees_with_the_bootstrap_of_scipy():
    values = np.random.default_rng(1).exponential(900, 400)
    ours = mean_interval(values)
    theirs = scipy.stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(2))
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours["low"] == pytest.approx(theirs.confidence_interval.low, abs=0.1 * width)
    assert ours["high"] == pytest.approx(theirs.confidence_interval.high, abs=0.1 * width)


def test_the_interval_of_the_median_agrees_with_the_bootstrap_of_scipy():
    values = np.random.default_rng(1).exponential(900, 401)
    ours = distance_figures(values)["median_km"]
    theirs = scipy.stats.bootstrap((values,), np.median, method="percentile", rng=np.random.default_rng(2))
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours["low"] == pytest.approx(theirs.confidence_interval.low, abs=0.15 * width)
    assert ours["high"] == pytest.approx(theirs.confidence_interval.high, abs=0.15 * width)


def test_one_photograph_and_equal_ones_have_an_interval_of_no_width():
    for away in (np.array([42.0]), np.full(20, 42.0)):
        assert set(distance_figures(away)["mean_km"].values()) == {42.0}
        assert set(distance_figures(away)["median_km"].values()) == {42.0}


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(1).exponential(900, 50)
    assert mean_interval(values, 3) == mean_interval(values, 3) != mean_interval(values, 4)


def test_slices_say_how_many_the_largest_first_and_leave_out_tiny_groups():
    away = np.array([0.0] * 6 + [1492.7] * 8 + [5.0] * 4)
    sliced = slices(away, ["a"] * 6 + ["b"] * 8 + ["c"] * 4)
    assert list(sliced) == ["b", "a"]
    assert sliced["a"] == {"n": 6, "geoscore": 5000.0, "median_km": 0.0}
    assert sliced["b"] == {"n": 8, "geoscore": pytest.approx(5000 / np.e), "median_km": 1492.7}


def test_the_macro_average_weighs_groups_alike():
    sliced = slices(np.array([0.0] * 5 + [1000.0] * 95), ["a"] * 5 + ["b"] * 95)
    assert macro_average(sliced)["median_km"] == 500
    assert macro_average({}) == {}
