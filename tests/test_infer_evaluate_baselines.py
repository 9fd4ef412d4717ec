"""Chance below, and on the demo planet an oracle above."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset.manifest import CLUES
from geocells.sphere import distance_km, geoscore, latlon_deg
from infer.evaluate import baselines
from infer.evaluate.baselines import Candidates, best_constant, chance, clue_oracle, fit_bandwidth, read_clues

PARIS, LYON, SYDNEY = (48.8567, 2.3508), (45.7597, 4.8422), (-33.87, 151.21)

points = st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=12).map(np.array)


def somewhere(count, seed=0):
    return latlon_deg(np.random.default_rng(seed).standard_normal((count, 3)))


@settings(deadline=None)
@given(points, st.integers(0, 2**32))
def test_chance_answers_training_places_only(train_deg, seed):
    answers = chance(train_deg, 20, seed)
    assert answers.shape == (20, 2)
    assert (answers[:, None] == train_deg[None]).all(axis=-1).any(axis=1).all()


def test_chance_visits_all_training_places_alike():
    counts = np.unique(chance(somewhere(10), 10_000), axis=0, return_counts=True)[1]
    assert len(counts) == 10
    assert counts.min() > 850


@settings(deadline=None)
@given(points)
def test_no_training_place_scores_better_as_a_constant_than_the_best(train_deg):
    means = [geoscore(distance_km(place, train_deg)).mean() for place in train_deg]
    best = geoscore(distance_km(best_constant(train_deg), train_deg)).mean()
    assert best == pytest.approx(max(means), rel=1e-3)


def test_the_best_constant_is_where_most_training_places_are():
    assert tuple(best_constant([PARIS, SYDNEY, LYON])) in (PARIS, LYON)


def test_best_places_agree_with_trying_every_place():
    places, weight = somewhere(300), np.random.default_rng(1).random((7, 300)) ** 8
    tried = geoscore(distance_km(places[:, None], places[None]))
    np.testing.assert_array_equal(Candidates.among(places).best(weight), places[(weight @ tried).argmax(axis=1)])


def test_many_places_are_tried_evenly_and_still_answered_nearby():
    places = np.stack([np.zeros(6_000), np.linspace(-170, 170, 6_000)], axis=-1)
    weight = np.zeros((1, 6_000))
    weight[0, 3_333] = 1
    assert distance_km(Candidates.among(places).best(weight)[0], places[3_333]) < 10


@pytest.mark.parametrize("between", [1, 2, 7])
def test_of_more_places_than_are_tried_the_first_and_the_last_are_among_those_tried(monkeypatch, between):
    monkeypatch.setattr(baselines, "PRIOR_PLACES", 2)
    places = np.array([[10.0, 20.0]] + [[50.0, 60.0]] * between + [[-30.0, -40.0]])
    assert best_constant(places).tolist() in ([10, 20], [-30, -40])


def test_clues_that_fit_one_place_only_find_it():
    clues, places = np.random.default_rng(0).random((200, 6)), somewhere(200)
    answers = clue_oracle(clues, places, clues[:50], clues[50:90], places[50:90])
    np.testing.assert_array_equal(answers, places[:50])


def test_widths_are_fitted_on_evenly_picked_photographs_where_there_are_more(monkeypatch):
    rng = np.random.default_rng(0)
    places = np.stack([rng.uniform(-60, 60, 90), rng.uniform(-170, 170, 90)], axis=1)
    clues = rng.random((90, 3))
    every_third = clue_oracle(clues, places, clues[:20], clues[::3], places[::3])
    monkeypatch.setattr(baselines, "MOST_TO_FIT", 30)
    fitted_on = []
    monkeypatch.setattr(
        baselines, "fit_bandwidth", lambda *those: (fitted_on.append(len(those[2])), fit_bandwidth(*those))[1]
    )
    assert np.array_equal(clue_oracle(clues, places, clues[:20], clues, places), every_third)
    assert fitted_on == [30]


def test_a_clue_not_in_view_says_nothing():
    places = np.array([PARIS, SYDNEY, LYON])
    clues = np.array([[0.1, 0.2], [0.9, 0.2], [0.1, 0.8]])
    hidden = np.array([[np.nan, 0.8], [0.9, np.nan], [np.nan, np.nan]])
    answers = clue_oracle(clues, places, hidden, clues, places)
    np.testing.assert_array_equal(answers[:2], [LYON, SYDNEY])
    np.testing.assert_array_equal(answers[2], best_constant(places))


def test_the_bandwidth_of_a_clue_grows_with_its_spread():
    rng, places = np.random.default_rng(0), somewhere(400)
    region = rng.random((400, 2))
    width = fit_bandwidth(
        region, places, region + rng.standard_normal((400, 2)) * [0.03, 0.3], places, Candidates.among(places)
    )
    assert width[1] / width[0] == pytest.approx(10, rel=0.15)


def test_no_photographs_get_no_answers():
    clues, places = np.random.default_rng(0).random((5, 3)), somewhere(5)
    assert clue_oracle(clues, places, np.empty((0, 3)), clues, places).shape == (0, 2)


def test_the_oracle_refuses_training_clues_with_gaps():
    clues, places = np.array([[0.1], [np.nan]]), somewhere(2)
    with pytest.raises(ValueError, match="without NaN"):
        clue_oracle(clues, places, clues, clues, places)


def test_clues_are_read_in_the_order_asked(tmp_path):
    table = pd.DataFrame({"id": ["a", "b", "c"], "sky": [0.1, None, 0.3], "sky_region": [0.15, 0.25, 0.35]})
    table.to_parquet(tmp_path / CLUES)
    clues = read_clues(tmp_path, ["c", "b"])
    assert clues.names == ("sky",)
    np.testing.assert_array_equal(clues.shown, [[0.3], [np.nan]])
    np.testing.assert_array_equal(clues.region, [[0.35], [0.25]])
    with pytest.raises(ValueError, match="knows no photograph 'x'"):
        read_clues(tmp_path, ["a", "x"])


def test_only_the_demo_planet_has_clues(tmp_path):
    assert read_clues(tmp_path, ["a"]) is None
