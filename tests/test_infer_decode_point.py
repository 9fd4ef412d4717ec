"""From a posterior over leaves to one point."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells.hierarchy import build_hierarchy
from geocells.partitions import QuadPartition
from geocells.sphere import distance_km, geoscore, latlon_deg, spherical_mean, unit_vectors
from infer.decode.point import POINTS, answer_points, center_vectors

PARIS, LYON, SYDNEY, SUVA, APIA = (
    (48.8567, 2.3508),
    (45.7597, 4.8422),
    (-33.87, 151.21),
    (-18.14, 178.44),
    (-13.8, -172),
)


def geometric_median(points_deg, weights, steps=200):
    """Return the point with the least weighted sum of chords to the points, by Weiszfeld's iteration.

    Args:
        points_deg: (N, 2), at least one.
        weights: (N,) non-negative, not all zero.
        steps: at most so many iterations; convergence is slow only where the median is one of the points.

    Returns:
        (2,) latitude and longitude.
    """
    vectors, w = unit_vectors(points_deg), np.asarray(weights, dtype=np.float64)
    center = unit_vectors(spherical_mean(points_deg, w))
    for _ in range(steps):
        # The floor keeps the iteration from dividing by zero where it lands on a point (about 6 m).
        pull = w / np.maximum(np.linalg.norm(vectors - center, axis=-1), 1e-6)
        moved = pull @ vectors
        if np.linalg.norm(moved) < 1e-12:
            break
        moved /= np.linalg.norm(moved)
        if np.linalg.norm(moved - center) < 1e-9:
            break
        center = moved
    return latlon_deg(center)


def answer(method, places_deg, weights):
    """Answer for one photograph."""
    log_leaf = torch.tensor(np.atleast_2d(weights), dtype=torch.float32).log()
    return answer_points(method, log_leaf, torch.from_numpy(unit_vectors(places_deg)).float()).numpy()[0]


@st.composite
def worlds(draw, most=40):
    """Leaves anywhere, or all in one region, with probabilities that sum to one."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    count = draw(st.integers(1, most))
    if draw(st.booleans()):
        places = latlon_deg(rng.standard_normal((count, 3)))
    else:
        places = np.array([48, 179.9]) + rng.normal(0, 4, (count, 2))
    return places, rng.dirichlet(np.full(count, 0.5)) + 1e-9


def expected_geoscore(point, places, weights):
    return (weights * geoscore(distance_km(point, places))).sum()


def expected_km(point, places, weights):
    return (weights * distance_km(point, places)).sum() / weights.sum()


@given(worlds())
def test_top_is_the_most_probable_leaf(world):
    places, weights = world
    assert distance_km(answer("top", *world), places[weights.argmax()]) < 0.01


@given(worlds())
def test_mean_is_the_mean_on_the_sphere(world):
    places, weights = world
    if np.linalg.norm(weights @ unit_vectors(places)) > 0.05:
        assert distance_km(answer("mean", *world), spherical_mean(places, weights)) < 0.1


@given(worlds())
def test_no_leaf_has_a_higher_expected_geoscore_than_the_answer(world):
    best = max(expected_geoscore(place, *world) for place in world[0])
    assert expected_geoscore(answer("geoscore", *world), *world) >= best - 0.05


@given(worlds())
def test_no_leaf_has_a_smaller_expected_distance_than_the_median(world):
    assert expected_km(answer("median", *world), *world) <= min(expected_km(p, *world) for p in world[0]) + 0.05


@given(worlds())
def test_the_median_is_as_near_as_that_of_weiszfelds_iteration(world):
    theirs = expected_km(geometric_median(*world), *world)
    assert expected_km(answer("median", *world), *world) <= 1.03 * theirs + 0.5


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_the_median_within_a_region_is_that_of_weiszfelds_iteration(number):
    rng = np.random.default_rng(number)
    places, weights = np.array([48, 2]) + rng.normal(0, 2, (30, 2)), rng.dirichlet(np.ones(30))
    assert distance_km(answer("median", places, weights), geometric_median(places, weights)) < 3


@pytest.mark.parametrize("method", ["top", "median", "geoscore"])
def test_a_place_with_more_than_half_of_the_probability_wins_over_far_ones(method):
    assert distance_km(answer(method, [PARIS, SYDNEY], [0.52, 0.48]), PARIS) < 0.01


def test_many_weak_neighbours_win_over_one_strong_leaf_for_geoscore_alone():
    around = np.array(PARIS) + np.random.default_rng(0).normal(0, 0.5, (20, 2))
    places, weights = np.concatenate([[SYDNEY], around]), np.concatenate([[0.2], np.full(20, 0.04)])
    assert distance_km(answer("top", places, weights), SYDNEY) < 1
    assert distance_km(answer("geoscore", places, weights), PARIS) < 100


def test_geoscore_lies_between_leaves_that_are_near_and_equal():
    places = [(0, 0), (0, 2), (2, 1)]
    point = answer("geoscore", places, [1 / 3] * 3)
    assert expected_geoscore(point, places, np.full(3, 1 / 3)) > max(
        expected_geoscore(place, places, np.full(3, 1 / 3)) for place in places
    )


@given(worlds(most=12), st.floats(-180, 180))
def test_a_turn_of_the_world_leaves_the_score_of_the_answer(world, turn):
    places, weights = world
    turned = places + np.array([0, turn])
    moved, still = answer("geoscore", turned, weights), answer("geoscore", places, weights)
    assert expected_geoscore(moved, turned, weights) == pytest.approx(
        expected_geoscore(still, places, weights), rel=1e-4
    )


@pytest.mark.parametrize("method", POINTS)
@pytest.mark.parametrize("turn", [0, 90, 178, 181.5])
def test_no_answer_sees_a_seam(method, turn):
    places, weights = np.array([(10, 0), (10, 1), (11, 0.4)]), [0.4, 0.3, 0.3]
    still = answer(method, places, weights)
    moved = answer(method, places + np.array([0, turn]), weights)
    assert distance_km(moved, still + np.array([0, turn])) < 0.5


@pytest.mark.parametrize("method", ["mean", "median", "geoscore"])
def test_between_two_places_across_the_antimeridian_lies_the_pacific(method):
    point = answer(method, [SUVA, APIA, SUVA], [0.3, 0.4, 0.3])
    assert min(distance_km(point, SUVA), distance_km(point, APIA)) < 700


@pytest.mark.parametrize("method", POINTS)
@pytest.mark.parametrize("place", [(90, 0), (-90, 0), (0, 180), (0, -180), PARIS])
def test_a_single_leaf_is_answered_exactly(method, place):
    assert distance_km(answer(method, [place], [1.0]), place) < 0.01


@pytest.mark.parametrize("method", POINTS)
def test_leaves_without_any_probability_are_not_answered(method):
    point = answer(method, [PARIS, SYDNEY], [1.0, 0.0])
    assert distance_km(point, PARIS) < 0.01


@pytest.mark.parametrize("method", POINTS)
def test_antipodes_of_equal_weight_still_have_an_answer(method):
    point = answer(method, [(0, 0), (0, 180)], [0.5, 0.5])
    assert np.isfinite(point).all()


@pytest.mark.parametrize("method", POINTS)
def test_photographs_are_answered_alike_alone_and_among_others(method):
    rng = np.random.default_rng(0)
    leaves = torch.from_numpy(unit_vectors(latlon_deg(rng.standard_normal((3000, 3))))).float()
    log_leaf = torch.from_numpy(rng.normal(0, 3, (5, 3000))).float().log_softmax(dim=1)
    together = answer_points(method, log_leaf, leaves).numpy()
    assert together.shape == (5, 2)
    assert together.dtype == np.float64
    alone = np.concatenate([answer_points(method, row[None], leaves).numpy() for row in log_leaf])
    assert distance_km(together, alone).max() < 0.01
    assert answer_points(method, log_leaf[:0], leaves).shape == (0, 2)


def test_a_method_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"--point is one of top, mean, median, geoscore, got 'mode'"):
        answer("mode", [PARIS], [1.0])


def test_cells_stand_for_the_mean_of_their_training_photographs():
    hierarchy = build_hierarchy(QuadPartition((1, 5)), [PARIS, LYON, SYDNEY])
    for level, centers in enumerate(center_vectors(hierarchy)):
        away = distance_km(latlon_deg(centers.numpy()), hierarchy.center_deg[hierarchy.rows(level)])
        assert away.max() < 0.01
