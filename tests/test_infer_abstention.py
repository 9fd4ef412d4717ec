import json

import hypothesis
import numpy as np
import pytest
import shapely
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

import infer
from infer.__main__ import predict as main
from infer.answer import answered_depth
from infer.config import InferConfig
from infer.decode.conformal import ConformalCalibration
from tests.tiny import PLACES, write_square
from train.conformal import fit_confidence


def test_the_finest_level_that_is_confident_enough_is_answered():
    assert answered_depth([0.9, 0.7, 0.3], 0.6) == 1
    assert answered_depth([0.9, 0.7, 0.6], 0.6) == 2


def test_without_a_wanted_confidence_the_finest_level_is_answered():
    assert answered_depth([0.9, 0.1], None) == 1
    assert answered_depth([None, None], None) == 1


def test_an_answer_coarser_than_wanted_is_none():
    assert answered_depth([0.9, 0.5, 0.3], 0.6, coarsest=1) is None


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_confidence_is_the_share_that_is_right_where_the_model_is_too_sure(share):
    rng = np.random.default_rng(0)
    best = rng.uniform(0.9, 0.999, 4000)
    assert np.mean(sure(best, rng.random(4000) < share)) == pytest.approx(share, abs=0.01)


def test_confidence_bends_where_sure_photographs_are_right_less_often_than_their_odds_say():
    # As where a cell that nothing was trained on lies beside the best one: the surest stay at even odds.
    best = np.random.default_rng(0).uniform(0.05, 0.99, 200_000)
    true = np.minimum(best, 0.5)
    right = np.random.default_rng(1).random(len(best)) < true
    odds = np.log(best / (1 - best))[:, None]
    straight = LogisticRegression(C=1e9).fit(odds, right).predict_proba(odds)[:, 1]
    assert np.abs(sure(best, right) - true).mean() < 0.8 * np.abs(straight - true).mean()


@hypothesis.given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_confidence_never_falls_as_the_probability_rises(answers):
    best, right = (np.array(column) for column in zip(*answers, strict=True))
    confidence = sure(np.sort(best), right[np.argsort(best)])
    assert (np.diff(confidence) >= -1e-12).all()
    assert ((confidence > 0) & (confidence < 1)).all()


def test_what_a_photograph_counts_is_how_often_it_is_there():
    rng = np.random.default_rng(0)
    best, times = rng.uniform(0.05, 0.95, 200), rng.integers(1, 6, 200)
    right = rng.random(200) < best * np.where(times > 2, 0.4, 1)
    learned = rng.integers(1, 50, 200)
    counted = fit_confidence(best, learned, right, times.astype(float))
    repeated = fit_confidence(*(np.repeat(x, times) for x in (best, learned, right)), np.ones(times.sum()))
    assert counted == pytest.approx(repeated, abs=1e-3)
    assert counted != pytest.approx(fit_confidence(best, learned, right, np.ones(200)), abs=0.1)


def test_confidence_of_true_probabilities_leaves_them_alone():
    best = np.random.default_rng(0).uniform(0.02, 0.98, 50_000)
    right = np.random.default_rng(1).random(len(best)) < best
    np.testing.assert_allclose(sure(best, right), best, atol=0.01)


def test_confidence_knows_where_photographs_are_many():
    # At the same probability, best cells of many training photographs are right more often.
    rng = np.random.default_rng(0)
    best, learned = rng.uniform(0.1, 0.9, 100_000), rng.integers(1, 200, 100_000)
    odds = np.log(best / (1 - best)) - 2 + 0.6 * np.log(learned)
    right = rng.random(len(best)) < 1 / (1 + np.exp(-odds))
    said = sure(best, right, learned)
    np.testing.assert_allclose(said, 1 / (1 + np.exp(-odds)), atol=0.03)
    few, many = (said[part].mean() for part in (learned < 20, learned > 100))
    assert (few, many) == pytest.approx((right[learned < 20].mean(), right[learned > 100].mean()), abs=0.01)


def sure(best, right, learned=None):
    """The confidence of these photographs as calibrated on themselves."""
    learned = np.ones(len(best), dtype=int) if learned is None else learned
    weights = fit_confidence(best, learned, right, np.ones(len(best)))
    return ConformalCalibration("chain", len(best), (), {}, {"L1": weights}).confidence("L1", best, learned)


def answers(photos, run, out, **flags):
    main(InferConfig(photos=tuple(photos), run=run, out=out, maps=False, workers=0, device="cpu", **flags))
    return json.loads((out / "predictions.json").read_text())


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(1)
    return [write_square(tmp_path / f"{name}.jpg", colour, rng) for name, (_, _, colour) in PLACES.items()]


def test_a_calibrated_run_gives_regions_and_confidence(calibrated, photos, tmp_path):
    for given in answers(photos, calibrated, tmp_path / "out", coverage=(0.5, 0.9)):
        small, large = given["regions"]
        assert (small["coverage"], large["coverage"]) == (0.5, 0.9)
        assert 0 < small["area_km2"] <= large["area_km2"]
        assert large["geometry"]["type"] == "MultiPolygon"
        assert all(0 <= level["confidence"] <= 1 for level in given["levels"])


def test_a_coverage_that_too_few_calibration_photographs_allow_is_named_as_impossible(calibrated, photos, tmp_path):
    (given,) = answers(photos[:1], calibrated, tmp_path / "out", coverage=(0.5, 0.99))
    assert [region["coverage"] for region in given["regions"]] == [0.5]
    assert "no 99% region: too few calibration photographs (12)" in given["warnings"]


def test_a_run_without_conformal_calibration_answers_all_the_same(tiny_run, photos, tmp_path):
    (given,) = answers(photos[:1], tiny_run, tmp_path / "out")
    assert given["regions"] == []
    with pytest.raises(ValueError, match=r"^--confidence 0\.6 needs a calibrated run and run is not: run `python"):
        answers(photos[:1], tiny_run, tmp_path / "out", confidence=0.6)


def test_within_a_country_the_answer_lies_there_and_the_mass_removed_is_told(calibrated, photos, tmp_path):
    (given,) = answers(photos[:1], calibrated, tmp_path / "out", within=("KE",))
    assert given["place"]["country_code"] == "KE"
    assert 0 <= given["prior"]["probability_inside"] <= 1
    assert given["prior"]["area"] == "within KE"
    assert given["prior"]["sentence"].startswith("the model itself put ")
    assert "inside Kenya" in given["prior"]["sentence"]
    assert given["prior"]["sentence"] in (tmp_path / "out" / "predictions.csv").read_text()
    assert {country["code"] for country in given["regions"][0]["countries"]} == {"KE"}


def test_photographs_of_one_place_have_one_answer(calibrated, photos, tmp_path):
    (given,) = answers([photos[0], photos[1]], calibrated, tmp_path / "out", same_place=True)
    assert [photo["path"] for photo in given["photographs"]] == [str(photos[0]), str(photos[1])]


def test_a_coverage_for_unseen_places_that_was_not_calibrated_is_refused(calibrated, photos, tmp_path):
    with pytest.raises(ValueError, match="--places unseen"):
        answers(photos[:1], calibrated, tmp_path / "out", places="unseen")


def test_an_abstaining_answer_has_no_point_and_no_town_and_says_the_region(calibrated, photos, tmp_path):
    (given,) = answers(photos[:1], calibrated, tmp_path / "out", confidence=0.999)
    assert given["answer_level"] != "L8"
    assert (given["latitude"], given["longitude"], given["place"]) == (None, None, None)
    assert given["headline"].endswith("not confident enough to say more")
    assert "Paris" not in (tmp_path / "out" / "predictions.csv").read_text()
    point, *regions = json.loads((tmp_path / "out" / "predictions.geojson").read_text())["features"]
    assert point["geometry"] is None
    assert [region["properties"]["coverage"] for region in regions] == [0.5, 0.9]


def test_within_an_area_point_and_regions_lie_inside_whatever_the_photograph(calibrated, photos):
    area = shapely.box(2.4, 48.3, 5.0, 48.8)  # a part of the cell of Paris, without its middle
    for given in infer.load(calibrated, "cpu").predict([*photos], within="48.3,2.4,48.8,5"):
        assert area.covers(shapely.Point(given.longitude, given.latitude))
        for region in given.regions.values():
            assert area.buffer(1e-6).covers(shapely.geometry.shape(region.geometry))
