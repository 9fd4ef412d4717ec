"""Figures that say how far answers lie from the truth."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells.sphere import geoscore
from infer.evaluate.metrics import (
    RADII_KM,
    RESAMPLES,
    _resampled_quantiles,
    distance_figures,
    group_draws,
    macro_average,
    mean_interval,
    median_difference,
    median_interval,
    paired_differences,
    percentile_intervals,
    slices,
)


def alone(count):
    """Each photograph is a group by itself."""
    return np.arange(count)


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
    figures = distance_figures(away, alone(len(away)))
    assert figures["mean_km"]["value"] == pytest.approx(away.mean())
    assert figures["median_km"]["value"] == pytest.approx(np.median(away))
    for percentile in (25, 75, 90, 95):
        assert figures[f"p{percentile}_km"]["value"] == pytest.approx(np.percentile(away, percentile))
    assert figures["geoscore"]["value"] == pytest.approx((5000 * np.exp(-away / 1492.7)).mean())
    for radius in RADII_KM:
        assert figures[f"within_{radius}km"]["value"] == pytest.approx(sum(d <= radius for d in away) / len(away))


def test_a_distance_equal_to_the_radius_counts():
    figures = distance_figures(np.array([1.0, 25.0, 200.0, 750.0, 2500.0]), alone(5))
    assert [figures[f"within_{radius}km"]["value"] for radius in RADII_KM] == [0.2, 0.4, 0.6, 0.8, 1.0]


@given(distances.filter(lambda d: len(d) >= 3), st.integers(0, 9))
def test_the_interval_holds_the_value_and_stays_within_the_data(away, number):
    for name, figure in distance_figures(away, alone(len(away)), number).items():
        assert figure["low"] <= figure["high"]
        if name.endswith("_km"):
            assert away.min() - 1e-9 <= figure["low"] <= figure["high"] <= away.max() + 1e-9


def test_the_interval_of_many_is_narrower_by_the_root_of_their_number():
    rng = np.random.default_rng(0)
    few, many = (mean_interval(rng.exponential(900, n), alone(n)) for n in (100, 6400))
    assert few["low"] < few["value"] < few["high"]
    assert (few["high"] - few["low"]) / (many["high"] - many["low"]) == pytest.approx(8, rel=0.25)


def test_the_interval_agrees_with_the_bootstrap_of_scipy():
    values = np.random.default_rng(1).exponential(900, 400)
    ours = mean_interval(values, alone(400))
    theirs = scipy.stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(2))
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours["low"] == pytest.approx(theirs.confidence_interval.low, abs=0.1 * width)
    assert ours["high"] == pytest.approx(theirs.confidence_interval.high, abs=0.1 * width)


def test_the_interval_of_the_median_agrees_with_the_bootstrap_of_scipy():
    values = np.random.default_rng(1).exponential(900, 401)
    ours = distance_figures(values, alone(401))["median_km"]
    theirs = scipy.stats.bootstrap((values,), np.median, method="percentile", rng=np.random.default_rng(2))
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours["low"] == pytest.approx(theirs.confidence_interval.low, abs=0.15 * width)
    assert ours["high"] == pytest.approx(theirs.confidence_interval.high, abs=0.15 * width)


def test_intervals_of_percentiles_are_those_of_resampled_groups():
    rng = np.random.default_rng(4)
    values, group = rng.exponential(900, 300), np.arange(300) // 3
    drawn = [np.concatenate([values[group == g] for g in rng.integers(0, 100, 100)]) for _ in range(3000)]
    for percentile, figure in percentile_intervals(values, group).items():
        plain = np.percentile([np.percentile(one, percentile) for one in drawn], [2.5, 97.5])
        np.testing.assert_allclose([figure["low"], figure["high"]], plain, rtol=0.08)


@given(st.integers(1, 40), st.integers(0, 99))
def test_a_resampled_quantile_is_that_of_numpy_on_the_photographs_drawn(count, seed):
    values = np.random.default_rng(seed).exponential(900, count)
    quantiles = _resampled_quantiles(values[None], alone(count), seed, [0.25, 0.5, 0.9])
    drawn = np.concatenate(list(group_draws(count, seed, 1)))[:5].astype(int)
    for row, times in enumerate(drawn):
        np.testing.assert_allclose(quantiles[row], np.quantile(np.repeat(values, times), [0.25, 0.5, 0.9]))


def test_one_photograph_and_equal_ones_have_an_interval_of_no_width():
    for away in (np.array([42.0]), np.full(20, 42.0)):
        assert set(distance_figures(away, alone(len(away)))["mean_km"].values()) == {42.0}
        assert set(distance_figures(away, alone(len(away)))["median_km"].values()) == {42.0}


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(1).exponential(900, 50)
    own = alone(50)
    assert mean_interval(values, own, 3) == mean_interval(values, own, 3) != mean_interval(values, own, 4)


def test_slices_say_how_many_the_largest_first_and_leave_out_tiny_groups():
    away = np.array([0.0] * 6 + [1492.7] * 8 + [5.0] * 4)
    sliced = slices(away, ["a"] * 6 + ["b"] * 8 + ["c"] * 4, alone(18) // 2)
    assert list(sliced) == ["b", "a"]
    assert [(s["n"], s["groups"]) for s in sliced.values()] == [(8, 4), (6, 3)]
    assert (sliced["a"]["geoscore"], sliced["a"]["median_km"]) == (5000.0, 0.0)
    assert sliced["b"]["geoscore"] == pytest.approx(5000 / np.e)
    assert sliced["b"]["median_km"] == 1492.7


def test_slices_are_scored_on_the_scale_that_is_asked_for():
    sliced = slices(np.full(5, 100.0), ["a"] * 5, alone(5), scale_km=100)
    assert sliced["a"]["geoscore"] == pytest.approx(5000 / np.e)
    assert macro_average(sliced)["geoscore"] == pytest.approx(5000 / np.e)


def plain(values, statistic, seed):
    """The bootstrap that resamples photographs, as written in textbooks."""
    rows = np.random.default_rng(seed).integers(0, len(values), (RESAMPLES, len(values)))
    return np.quantile([statistic(values[row]) for row in rows], [0.025, 0.975])


@settings(max_examples=20)
@given(distances, st.integers(0, 3))
def test_groups_of_one_photograph_give_the_plain_bootstrap_to_the_last_resample(away, seed):
    # Whatever the groups are called.
    group = np.random.default_rng(seed).permutation(100)[: len(away)]
    for find, statistic in ((mean_interval, np.mean), (median_interval, np.median)):
        found = find(away, group, seed)
        assert (found["low"], found["high"]) == pytest.approx(plain(away, statistic, seed), rel=1e-9, abs=1e-9)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(0, 20_015), st.integers(0, 4)), min_size=1, max_size=25))
def test_a_resample_holds_every_photograph_of_a_drawn_group_as_often_as_the_group_is_drawn(drawn):
    values, group = (np.array(column) for column in zip(*drawn, strict=True))
    first = {g: k for k, g in enumerate(dict.fromkeys(group.tolist()))}
    parts = [values[group == g] for g in first]
    rows = np.random.default_rng(0).integers(0, len(parts), (RESAMPLES, len(parts)))
    resamples = [np.concatenate([parts[k] for k in row]) for row in rows]
    for find, statistic in ((mean_interval, np.mean), (median_interval, np.median)):
        expected = np.quantile([statistic(resample) for resample in resamples], [0.025, 0.975])
        found = find(values, group)
        assert (found["low"], found["high"]) == pytest.approx(expected, rel=1e-9, abs=1e-9)


# A median of steps of fifty equal values moves in steps too.
@pytest.mark.parametrize(("find", "near"), [(mean_interval, 0.1), (median_interval, 0.35)])
def test_groups_of_fifty_identical_photographs_have_an_interval_wider_by_the_root_of_fifty(find, near):
    values = np.repeat(np.random.default_rng(0).exponential(900, 200), 50)
    together, apart = find(values, alone(10_000) // 50), find(values, alone(10_000))
    assert together["value"] == apart["value"]
    widths = [found["high"] - found["low"] for found in (together, apart)]
    assert widths[0] / widths[1] == pytest.approx(50**0.5, rel=near)


def test_paired_differences_resample_groups_and_draw_the_same_for_both():
    rng = np.random.default_rng(0)
    ours, shift = np.repeat(rng.exponential(900, 200), 50), np.repeat(rng.normal(0, 50, 200), 50)
    together, apart = (paired_differences(ours, ours + shift, alone(10_000) // k) for k in (50, 1))
    for name in ("geoscore", "mean_km", "nearer"):
        wide, narrow = (found[name]["high"] - found[name]["low"] for found in (together, apart))
        assert wide / narrow == pytest.approx(50**0.5, rel=0.25)
    exact = median_difference(ours, ours + 5, alone(10_000) // 50)
    assert list(exact.values()) == pytest.approx([-5, -5, -5])


def test_paired_differences_are_ours_less_theirs_on_the_same_photographs():
    ours, theirs = np.array([10.0, 20.0, 30.0, 700.0, 50.0]), np.array([40.0, 20.0, 90.0, 500.0, 60.0])
    found = {name: figure["value"] for name, figure in paired_differences(ours, theirs, alone(5)).items()}
    assert found == pytest.approx(
        {
            "geoscore": geoscore(ours).mean() - geoscore(theirs).mean(),
            "mean_km": 162 - 142,
            "nearer": 3 / 5,  # equally near is not nearer
            "median_km": 30 - 60,
        }
    )
    assert found["median_km"] == median_difference(ours, theirs, alone(5))["value"]


@pytest.mark.parametrize(("shift_km", "nearer"), [(9, 1), (-9, 0)])
def test_a_method_that_is_better_by_the_same_everywhere_is_better_in_every_resample(shift_km, nearer):
    ours = np.random.default_rng(0).exponential(900, 60) + 10
    found = paired_differences(ours, ours + shift_km, alone(60) // 3, scale_km=1e5)
    assert list(found["mean_km"].values()) == pytest.approx([-shift_km] * 3)
    assert list(found["median_km"].values()) == pytest.approx([-shift_km] * 3)
    assert list(found["nearer"].values()) == [nearer] * 3
    # So wide a scale is nearly a straight line: 0.05 points a kilometre.
    assert list(found["geoscore"].values()) == pytest.approx([0.05 * shift_km] * 3, rel=0.1)


def test_seeds_of_a_training_count_in_one_median_of_the_same_groups():
    rng = np.random.default_rng(0)
    one, group = rng.exponential(900, 60), alone(60) // 3
    once, twice = (median_difference(np.stack([one] * k), np.stack([one + 9] * k), group) for k in (1, 2))
    assert once == pytest.approx(twice)


def test_the_macro_average_weighs_groups_alike():
    sliced = slices(np.array([0.0] * 5 + [1000.0] * 95), ["a"] * 5 + ["b"] * 95, alone(100))
    assert macro_average(sliced)["median_km"] == 500
    assert macro_average({}) == {}
