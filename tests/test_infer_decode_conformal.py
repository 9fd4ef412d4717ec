"""Conformal calibration where photographs come in groups."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.config import EvaluateConfig, InferConfig
from infer.decode.conformal import CONFORMAL, ConformalCalibration, ConformalScores, as_json, from_json, read_conformal
from infer.decode.density import COMPONENTS
from infer.decode.region import conformal_quantile
from plumbing.config import parse
from plumbing.text import counted

SOME = st.lists(st.tuples(st.floats(0, 1) | st.just(np.inf), st.integers(0, 5)), min_size=1, max_size=40)


def scores_of(drawn):
    masses, group = (np.array(column) for column in zip(*drawn, strict=True))
    return ConformalScores.of(masses, group)


@given(SOME, st.floats(0.01, 0.99))
def test_groups_of_one_photograph_give_the_quantile_of_split_conformal_prediction(drawn, coverage):
    masses = np.array([mass for mass, _ in drawn])
    assert ConformalScores.of(masses, np.arange(len(masses))).quantile(coverage) == conformal_quantile(masses, coverage)


@given(SOME, st.floats(0.01, 0.99), st.integers(2, 4))
def test_more_photographs_of_each_group_give_the_same_threshold(drawn, coverage, times):
    once, often = scores_of(drawn), scores_of(drawn * times)
    assert often.groups == once.groups
    assert often.quantile(coverage) == once.quantile(coverage)


@given(SOME, st.floats(0.01, 0.98))
def test_more_coverage_never_takes_less(drawn, coverage):
    scores = scores_of(drawn)
    assert scores.quantile(coverage) <= scores.quantile(coverage + 0.01)


@given(SOME)
def test_scores_are_the_same_after_writing_and_reading(drawn):
    scores = scores_of(drawn)
    weights = {"L1": (1.0, 1.0, 0.0, 0.5)}
    conformal = ConformalCalibration("chain", len(drawn), (1.0,), {"smooth": scores}, weights, exact=True)
    sizes = f"{counted(len(drawn), 'photograph')}, {counted(scores.groups, 'group')}"
    assert conformal.guarantee == f"exact (held-out part: {sizes})"
    assert from_json(as_json(conformal), "chain").guarantee == conformal.guarantee
    read = from_json(as_json(conformal), "chain").scores["smooth"]
    np.testing.assert_allclose(read.scores, scores.scores, rtol=1e-6)
    np.testing.assert_array_equal(read.group_sizes, scores.group_sizes)
    assert read.groups == scores.groups


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_new_groups_have_the_coverage_asked_for_though_large_ones_are_easy(coverage):
    """The scores of a group lie together, and those of groups of hundreds, as of cities, are close to zero."""
    rng = np.random.default_rng(0)

    def draw(groups):
        size = np.minimum(rng.zipf(1.7, groups), 400)
        easy = np.minimum(1, 3 / size) * rng.random(groups)
        group = np.repeat(np.arange(groups), size)
        return np.clip(easy[group] + rng.normal(0, 0.02, len(group)), 0, 1), group

    by_group, by_photograph = [], []
    for _ in range(60):
        known, group = draw(300)
        new, of = draw(300)
        first = np.unique(of, return_index=True)[1]
        by_group.append(np.mean(new[first] <= ConformalScores.of(known, group).quantile(coverage)))
        by_photograph.append(np.mean(new[first] <= conformal_quantile(known, coverage)))
    assert np.mean(by_group) == pytest.approx(coverage, abs=0.015)
    # A threshold from photographs counted one by one is one for the large groups.
    assert np.mean(by_photograph) < coverage - 0.1


def test_what_version_0_1_0_wrote_is_read_and_its_guarantee_is_approximate(tmp_path):
    old = {
        "photographs": 3,
        "surface_weights": [1.0] + [0.0] * (COMPONENTS - 1),
        "confidence": {"L1": {"a": 1.0, "b": 1.0, "c": 0.0, "d": 0.5}},
        "needed_mass": {"smooth": {"groups": 2, "masses": [0.2, 0.4, 0.6], "related": [2, 2, 1]}},
    }
    promises = {"usual": old, "elsewhere": {**old, "photographs": 4}}
    content = {"model_hash": "abc", "fusion": "chain", "components": COMPONENTS, "promises": promises}
    (tmp_path / CONFORMAL).write_text(json.dumps(content))
    known, unseen = (read_conformal(tmp_path, "abc", "chain", places) for places in ("in-distribution", "unseen"))
    assert (known.photographs, unseen.photographs) == (3, 4)
    assert known.scores["smooth"].scores.tolist() == [0.2, 0.4, 0.6]
    assert known.scores["smooth"].group_sizes.tolist() == [2, 2, 1]
    assert (known.groups, known.weights[0], known.confidence_weights) == (2, 1.0, {"L1": (1.0, 1.0, 0.0, 0.5)})
    assert known.guarantee == "approximate"


def fitted(**changes):
    """A conformal.json for weights abc and the chain rule, with changes to what it says."""
    own = {
        "photographs": 3,
        "groups": 2,
        "guarantee": "exact",
        "density_weights": [1.0] + [0.0] * (COMPONENTS - 1),
        "confidence": {"L1": {"a": 1.0, "b": 1.0, "c": 0.0, "d": 0.5}},
        "conformity_scores": {"smooth": {"groups": 2, "scores": [0.2, 0.4, 0.6], "group_sizes": [2, 2, 1]}},
    }
    places = {"in-distribution": own | changes.pop("own", {})}
    return {"model_hash": "abc", "fusion": "chain", "components": COMPONENTS, "places": places} | changes


def read(folder, content, places="in-distribution"):
    (folder / CONFORMAL).write_text(json.dumps(content))
    return read_conformal(folder, "abc", "chain", places)


def test_a_calibration_of_these_weights_and_this_fusion_is_read_without_a_warning(tmp_path, caplog):
    found = read(tmp_path, fitted())
    assert (found.photographs, found.groups, found.exact, found.fusion) == (3, 2, True, "chain")
    assert not caplog.records


def test_a_run_without_a_calibration_says_so(tmp_path, caplog):
    assert read_conformal(tmp_path, "abc", "chain") is None
    assert caplog.messages == [
        f"{tmp_path} has no conformal calibration, so no regions: run `python -m train calibrate`"
    ]


@pytest.mark.parametrize("changes", [{"model_hash": "abd"}, {"components": COMPONENTS + 1}, {"model_hash": None}])
def test_a_calibration_of_other_weights_or_another_density_is_ignored_with_a_warning(tmp_path, caplog, changes):
    assert read(tmp_path, fitted(**changes)) is None
    assert "conformal.json is ignored: fitted for different weights; run `python -m train calibrate`" in caplog.text


@pytest.mark.parametrize("fusion", ["product", "finest"])
def test_a_calibration_of_another_fusion_is_ignored_and_its_fusion_named(tmp_path, caplog, fusion):
    assert read(tmp_path, fitted(fusion=fusion)) is None
    assert f"calibrated for --fusion {fusion} only: answers by chain have none" in caplog.text


def test_places_that_were_not_calibrated_are_refused_with_the_flag_that_calibrates_them(tmp_path):
    with pytest.raises(ValueError, match=r"no calibration for --places unseen: .* 30 km .*--unseen DATASET"):
        read(tmp_path, fitted(), "unseen")


SMOOTH_SCORES = {"groups": 2, "scores": [0.2], "group_sizes": [1]}


@pytest.mark.parametrize(
    "own",
    [
        {"conformity_scores": {"smooth": SMOOTH_SCORES | {"scores": [0.2, float("nan")], "group_sizes": [1, 1]}}},
        {"conformity_scores": {"smooth": SMOOTH_SCORES | {"scores": [[0.2]]}}},
        {"conformity_scores": {"smooth": SMOOTH_SCORES | {"group_sizes": [-1]}}},
        {"conformity_scores": {"smooth": SMOOTH_SCORES | {"groups": -1}}},
        {"class_scores": {"class": SMOOTH_SCORES | {"scores": [float("nan")]}}},
        {"density_weights": [1.0, float("inf")]},
        {"confidence": {"L1": {"a": float("nan"), "b": 1.0, "c": 0.0, "d": 0.5}}},
        {"confidence": {"L1": {"a": 1.0}}},
        {"density_weights": None},
    ],
)
def test_numbers_that_no_calibration_has_are_damage_in_one_line(tmp_path, own):
    with pytest.raises(ValueError, match=r"conformal\.json is .*damaged .*: run `python -m train calibrate` again"):
        read(tmp_path, fitted(own=own))


@pytest.mark.parametrize("content", [[], {"places": 3}, {"places": ["in-distribution"]}])
def test_a_file_of_another_shape_is_damage(tmp_path, content):
    with pytest.raises(ValueError, match=r"conformal\.json is damaged: run `python -m train calibrate` again"):
        read(tmp_path, content)


@pytest.mark.parametrize(("old", "now"), [("usual", "in-distribution"), ("elsewhere", "unseen")])
@pytest.mark.parametrize("config", [InferConfig, EvaluateConfig])
def test_the_words_of_version_0_1_0_for_places_are_refused_with_those_of_today(config, old, now):
    flags = ["--run", "run", "--data", "data", "--places", old]
    with pytest.raises(ValueError, match=rf"^--places is one of .*, got '{old}'; {old} is now called {now}$"):
        parse(config, "python -m infer", flags)


@pytest.mark.parametrize("coverage", [0.3, 0.5, 0.8])
def test_the_coverage_is_guaranteed_with_few_groups_of_unequal_sizes_too(coverage):
    rng, covered = np.random.default_rng(0), []
    for _ in range(2000):
        group = np.repeat(np.arange(11), rng.integers(1, 20, 11))
        scores = rng.exponential(1, 11)[group] * rng.uniform(0.5, 1, len(group))
        known = group < 10
        threshold = ConformalScores.of(scores[known], group[known]).quantile(coverage)
        covered.append(np.mean(scores[~known] <= threshold))
    # Three standard errors of a mean of 2,000, and no more than one group above.
    assert coverage - 0.03 <= np.mean(covered) <= coverage + 1 / 11 + 0.03


def identity(in_known_cells):
    """A calibration that leaves probabilities as they are, where a share of the groups is in known cells."""
    count = round(100 * in_known_cells)
    scores = ConformalScores(np.linspace(0.1, 0.9, count), np.ones(count, dtype=int), 100)
    return ConformalCalibration("chain", 100, (), {"L8": scores}, {"L8": (1.0, 1.0, 0.0, 0.0)})


def inside(calibration, best, mass):
    one = np.ones(1)
    return calibration.confidence_inside("L8", best * one, 5 * one, mass * one)[0]


@given(st.floats(0.01, 0.99), st.floats(0.01, 1))
def test_within_an_area_confidence_follows_bayes_rule(best, mass):
    assert inside(identity(1.0), best, mass) == pytest.approx(best, abs=1e-6)


@given(st.floats(0.001, 1), st.floats(0.0, 1), st.floats(0.0, 1))
def test_within_an_area_confidence_is_never_more_than_photographs_lie_in_known_cells(best, mass, known):
    calibration = identity(known)
    assert inside(calibration, best, mass) <= round(100 * known) / 100 + 1e-9


def test_the_only_cell_left_of_an_area_is_not_certain():
    assert inside(identity(0.6), 1.0, 0.002) == pytest.approx(0.6)
    overconfident = ConformalCalibration("chain", 100, (), identity(0.6).scores, {"L8": (1.0, 1.0, -2.0, 0.0)})
    assert inside(overconfident, 1.0, 0.002) < 0.2
