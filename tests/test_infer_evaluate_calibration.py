import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dataset.groups import group_weights
from infer.decode.conformal import read_conformal
from infer.evaluate.calibration import (
    SEARCH_KM2,
    CalibrationMeter,
    calibration_error,
    calibration_error_interval,
    error_if_perfect,
    reliability,
)
from infer.evaluate.coverage import circle_area_km2, circle_radius_km, coverage_by_slice, covered
from infer.evaluate.metrics import mean_interval
from infer.evaluate.report import region_lines
from infer.model import load_model

RNG = np.random.default_rng(0)


def alone(count):
    """Each photograph is a group by itself."""
    return np.arange(count)


def ones(count):
    """Each photograph counts as one."""
    return np.ones(count)


def test_confidence_that_is_true_has_next_to_no_error_and_no_less_than_chance_allows():
    confidence = RNG.uniform(size=50_000)
    right = RNG.random(50_000) < confidence
    perfect = error_if_perfect(confidence, ones(50_000))
    assert calibration_error(confidence, right, ones(50_000)) < perfect["p95"] * 1.3 < 0.02


def test_the_error_is_the_gap_of_one_who_is_always_overconfident():
    assert calibration_error(np.full(300, 0.9), np.arange(300) % 2 == 0, ones(300)) == pytest.approx(0.4)


def test_bins_hold_equally_many_photographs_least_confident_first():
    diagram = reliability(RNG.uniform(size=150), np.ones(150, dtype=bool), ones(150))
    assert [row["n"] for row in diagram] == [10] * 15
    assert np.all(np.diff([row["confidence"] for row in diagram]) > 0)


def test_few_photographs_have_as_many_bins_as_they_fill():
    assert sum(row["n"] for row in reliability(np.array([0.5, 0.6]), np.array([True, False]), ones(2))) == 2


def test_the_interval_of_a_coverage_is_the_exact_binomial_one():
    # 95 % interval of 9 in 10 by Clopper and Pearson, from the table of their paper's R implementation binom.test.
    found = covered(np.arange(10) < 9, alone(10))
    assert (found["low"], found["high"]) == pytest.approx((0.5549839, 0.9974714), abs=1e-6)


def test_an_average_that_hides_groups_without_coverage_is_seen_by_slice():
    hits = np.array([True] * 90 + [False] * 30)
    slices = coverage_by_slice(hits, ["north"] * 90 + ["south"] * 30, alone(120))
    assert slices["north"]["value"] == 1
    assert slices["south"]["value"] == 0


def test_slices_of_few_groups_have_no_figure_however_many_photographs_they_have():
    assert coverage_by_slice(np.ones(190, dtype=bool), ["x"] * 190, alone(190) // 10) == {}
    assert list(coverage_by_slice(np.ones(200, dtype=bool), ["x"] * 200, alone(200) // 10)) == ["x"]


def test_a_circle_of_half_the_circumference_is_the_whole_earth():
    assert circle_area_km2(20015.0868) == pytest.approx(510_065_621.7, rel=1e-6)


def test_the_radius_covers_the_wanted_share():
    away = RNG.exponential(500, 10_001)
    assert np.mean(away <= circle_radius_km(away, 0.9, ones(10_001))) == pytest.approx(0.9, abs=1e-3)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=30))
def test_a_group_counts_as_one_photograph_however_many_it_has(drawn):
    hits, group = (np.array(column) for column in zip(*drawn, strict=True))
    found = covered(hits, group)
    shares = [hits[group == g].mean() for g in np.unique(group)]
    assert found["value"] == pytest.approx(np.mean(shares))
    assert (found["n"], found["groups"]) == (len(hits), len(shares))
    assert found["low"] <= found["value"] + 1e-9
    assert found["value"] <= found["high"] + 1e-9
    # Each photograph three times over is no more evidence.
    thrice = covered(np.tile(hits, 3), np.tile(group, 3))
    assert [thrice[key] for key in ("value", "low", "high")] == pytest.approx(
        [found[key] for key in ("value", "low", "high")]
    )


def test_the_interval_of_photographs_one_by_one_draws_whole_groups():
    # Forty groups of ten that agree are forty trials, not four hundred.
    hits, group = np.repeat(np.arange(40) % 2 == 0, 10), np.repeat(np.arange(40), 10)
    together, apart = (mean_interval(hits.astype(float), of) for of in (group, alone(400)))
    assert together["value"] == apart["value"] == 0.5
    width = [found["high"] - found["low"] for found in (together, apart)]
    assert width == pytest.approx([2 * 1.96 * 0.5 / 40**0.5, 2 * 1.96 * 0.5 / 400**0.5], rel=0.1)


def test_the_interval_of_the_error_resamples_groups_and_holds_the_truth():
    # Overconfident by 0.2 in every bin; photographs of a group are right or wrong together.
    confidence = np.repeat(RNG.uniform(0.3, 1, 400), 25)
    right = np.repeat(RNG.random(400), 25) < confidence - 0.2
    together = calibration_error_interval(confidence, right, alone(10_000) // 25)
    apart = calibration_error_interval(confidence, right, alone(10_000))
    for found in (together, apart):
        assert found["value"] == pytest.approx(calibration_error(confidence, right, ones(10_000)))
    assert together["low"] <= 0.2 <= together["high"]
    wide, narrow = (found["high"] - found["low"] for found in (together, apart))
    assert wide / narrow == pytest.approx(5, rel=0.25)


def test_the_error_of_every_resample_is_that_of_its_photographs(monkeypatch):
    confidence, right, group = RNG.uniform(size=60), RNG.random(60) < 0.5, RNG.integers(0, 20, 60)
    found = calibration_error_interval(confidence, right, group)
    parts = [np.flatnonzero(group == g) for g in dict.fromkeys(group.tolist())]
    errors = []
    for row in np.random.default_rng(0).integers(0, len(parts), (1000, len(parts))):
        times = np.bincount(row, minlength=len(parts))
        counts = np.zeros(60)
        for part, often in zip(parts, times, strict=True):
            counts[part] = often / len(part)
        drawn = counts > 0
        errors.append(calibration_error(confidence[drawn], right[drawn], counts[drawn]))
    bias = np.mean(errors) - found["value"]
    low, high = np.quantile(errors, [0.025, 0.975]) - bias
    assert (found["low"], found["high"]) == pytest.approx((max(0, low), high), abs=1e-6)


def test_what_a_photograph_counts_is_how_often_it_is_there():
    confidence, right, times = RNG.uniform(size=40), RNG.random(40) < 0.5, RNG.integers(1, 5, 40)
    repeated = [np.repeat(column, times) for column in (confidence, right)]
    # With one bin, for where bins end a photograph that is there often is cut in two.
    counted = calibration_error(confidence, right, times.astype(float), bins=1)
    assert counted == pytest.approx(calibration_error(*repeated, ones(times.sum()), bins=1))
    (bin_of_all,) = reliability(confidence, right, times.astype(float), bins=1)
    assert bin_of_all["n"] == times.sum()


@given(st.lists(st.floats(0.01, 3), min_size=1, max_size=60), st.integers(1, 20))
def test_bins_are_never_empty_and_together_hold_everything(counts, bins):
    counts = np.array(counts)
    diagram = reliability(np.linspace(0, 1, len(counts)), np.ones(len(counts), dtype=bool), counts, bins)
    assert 1 <= len(diagram) <= min(bins, len(counts))
    assert sum(row["n"] for row in diagram) == pytest.approx(counts.sum(), abs=1e-4)


def test_the_table_counts_leakage_groups():
    land = {
        "covered": covered(np.arange(100) < 90, alone(100)),
        "median_area_km2": 1000.0,
        "circle_of_equal_coverage": {"area_km2": 2000.0},
    }
    level = {**land, "cells": "L5", "covered": covered(np.arange(100) < 90, alone(100) // 10)}
    report = {"impossible_coverages": [0.99], "regions": {"0.5": land, "0.9": level}}
    guaranteed = {**report, "places": "unseen", "guarantee": "approximate"}
    assert next(region_lines(guaranteed)) == "regions for unseen photographs; coverage guarantee: approximate"
    lines = list(region_lines(report))
    assert lines[0].startswith("99% regions are impossible")
    assert lines[1].startswith("50% regions cover 90.0% [82.4%, 95.1%] of 100 groups (100 photographs)")
    assert lines[2].startswith("90% regions of known L5 cells cover 90.0% [55.5%, 99.7%] of 10 groups")


@pytest.mark.parametrize("sizes", [(5, 7, 4, 8), (4, 5, 6, 2, 3, 3, 6, 1, 4, 3, 3)])
def test_what_covers_all_is_a_share_of_one_and_not_a_little_more(sizes):
    group = np.repeat(np.arange(len(sizes)), sizes)
    found = covered(np.ones(len(group), dtype=bool), group)
    assert found["value"] == 1
    assert (
        circle_radius_km(np.arange(len(group), dtype=np.float64), found["value"], group_weights(group))
        == len(group) - 1
    )


def test_the_larger_the_area_that_is_searched_the_more_places_are_found(calibrated):
    model = load_model(calibrated, torch.device("cpu"))
    meter = CalibrationMeter(model, read_conformal(calibrated, model.hash, model.fusion, "in-distribution"))
    hierarchy = model.hierarchy
    place_deg = hierarchy.center_deg[hierarchy.rows(hierarchy.depth - 1)]
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(len(place_deg), count, generator=generator) for count in hierarchy.sizes()]
    posterior = model.posterior(logits)
    meter.add(logits, posterior, hierarchy.classes(place_deg), place_deg)
    found = meter.recall_by_area()
    assert list(found) == [f"{limit:g}" for limit in SEARCH_KM2]
    assert list(found.values()) == sorted(found.values())
    assert max(found.values()) > min(found.values())


def test_what_is_searched_for_a_photograph_does_not_depend_on_those_beside_it(calibrated):
    model = load_model(calibrated, torch.device("cpu"))
    together, alone = (
        CalibrationMeter(model, read_conformal(calibrated, model.hash, model.fusion, "in-distribution"))
        for _ in range(2)
    )
    hierarchy = model.hierarchy
    place_deg = hierarchy.center_deg[hierarchy.rows(hierarchy.depth - 1)][:5]
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(5, count, generator=generator) for count in hierarchy.sizes()]
    posterior, classes = model.posterior(logits), hierarchy.classes(place_deg)
    together.add(logits, posterior, classes, place_deg)
    for k in range(5):
        one = slice(k, k + 1)
        alone.add([x[one] for x in logits], [x[one] for x in posterior], classes[one], place_deg[one])
    for name, scores in together.scores.items():
        np.testing.assert_allclose(np.concatenate(scores), np.concatenate(alone.scores[name]), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(np.concatenate(together.searched), np.concatenate(alone.searched), rtol=1e-6)
