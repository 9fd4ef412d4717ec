import numpy as np
import pytest

from infer.reliability import (
    calibration_error,
    circle_area_km2,
    circle_radius_km,
    coverage_by_group,
    covered,
    error_if_perfect,
    reliability,
    trust_lines,
)

RNG = np.random.default_rng(0)


def test_confidence_that_is_true_has_next_to_no_error_and_no_less_than_chance_allows():
    confidence = RNG.uniform(size=50_000)
    right = RNG.random(50_000) < confidence
    perfect = error_if_perfect(confidence)
    assert calibration_error(confidence, right) < perfect["p95"] * 1.3 < 0.02


def test_the_error_is_the_gap_of_one_who_is_always_too_sure():
    assert calibration_error(np.full(300, 0.9), np.arange(300) % 2 == 0) == pytest.approx(0.4)


def test_bins_hold_equally_many_photographs_least_sure_first():
    diagram = reliability(RNG.uniform(size=150), np.ones(150, dtype=bool))
    assert [row["n"] for row in diagram] == [10] * 15
    assert np.all(np.diff([row["confidence"] for row in diagram]) > 0)


def test_few_photographs_have_as_many_bins_as_they_fill():
    assert sum(row["n"] for row in reliability(np.array([0.5, 0.6]), np.array([True, False]))) == 2


def test_the_interval_of_a_coverage_is_the_exact_binomial_one():
    # 95 % interval of 9 in 10 by Clopper and Pearson, from the table of their paper's R implementation binom.test.
    found = covered(np.arange(10) < 9)
    assert (found["low"], found["high"]) == pytest.approx((0.5549839, 0.9974714), abs=1e-6)


def test_an_average_that_hides_a_broken_promise_is_seen_by_group():
    hits = np.array([True] * 90 + [False] * 30)
    groups = coverage_by_group(hits, ["north"] * 90 + ["south"] * 30)
    assert groups["north"]["value"] == 1
    assert groups["south"]["value"] == 0


def test_small_groups_have_no_figure():
    assert coverage_by_group(np.ones(5, dtype=bool), ["x"] * 5) == {}


def test_a_circle_of_half_the_circumference_is_the_whole_earth():
    assert circle_area_km2(20015.0868) == pytest.approx(510_065_621.7, rel=1e-6)


def test_the_radius_covers_the_wanted_share():
    away = RNG.exponential(500, 10_001)
    assert np.mean(away <= circle_radius_km(away, 0.9)) == pytest.approx(0.9, abs=1e-3)


def test_the_table_gives_the_interval_of_related_photographs_drawn_together():
    alone = {
        "covered": covered(np.arange(100) < 90),
        "median_area_km2": 1000.0,
        "circle_of_equal_coverage": {"area_km2": 2000.0},
    }
    together = {**alone, "cells": "L5", "covered_by_sequence": {"groups": 9, "low": 0.7, "high": 0.99}}
    report = {"calibration": {}, "not_promised": [0.99], "regions": {"0.5": alone, "0.9": together}}
    lines = trust_lines(report)[1:]
    assert lines[0].startswith("99% regions cannot be promised")
    assert lines[1].startswith("50% regions cover 90.0% [82.4%, 95.1%]")
    assert lines[2].startswith("90% regions of known L5 cells cover 90.0% [70.0%, 99.0%]")
