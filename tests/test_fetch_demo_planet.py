"""The made-up world: fields on the sphere, places on land, what a picture shows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from fetch.dataset_counts import gini
from fetch.demo.planet import (
    CLUES,
    NAMES,
    THINGS,
    clue_fields,
    draw_places,
    make_fields,
    on_land,
    regional_clues,
    shown_clues,
)
from geocells import grid
from geocells.land import land_table
from geocells.sphere import distance_km, latlon_deg

FIELDS = clue_fields(0)
LAND = land_table().share
PLACES = draw_places(0, LAND, 2000)

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


def even_points(count):
    return latlon_deg(np.random.default_rng(0).standard_normal((count, 3)))


@settings(deadline=None)
@given(latitudes, longitudes, st.sampled_from([-360.0, 360.0]))
def test_fields_have_no_seam(lat, lon, turn):
    np.testing.assert_allclose(FIELDS([(lat, lon)]), FIELDS([(lat, lon + turn)]), atol=1e-9)


def test_a_pole_is_one_place():
    values = FIELDS([(90, 0), (90, 77), (90, -180)])
    np.testing.assert_allclose(values - values[0], 0, atol=1e-9)


def test_all_values_of_a_field_are_equally_common():
    values = FIELDS(even_points(20_000))
    np.testing.assert_allclose(
        np.quantile(values, [0.1, 0.5, 0.9], axis=0).T, [[0.1, 0.5, 0.9]] * len(CLUES), atol=0.03
    )


def test_two_places_a_quarter_wavelength_apart_are_as_alike_as_isotropic_plane_waves_are():
    # Plane waves of all directions in space correlate as sin(kr) / kr: 2 / pi at a quarter of the wavelength.
    fields = make_fields(3, [1_000] * 100)
    start = even_points(400) * [0.8, 1]
    values, apart = fields(start), fields(start + np.array([np.degrees(250 / 6371.0088), 0]))
    assert np.corrcoef(values.ravel(), apart.ravel())[0, 1] == pytest.approx(2 / np.pi, abs=0.04)


def test_long_waves_change_less_than_short_ones_over_the_same_road():
    start = even_points(1000) * [0.8, 1]
    change = np.abs(FIELDS(start) - FIELDS(start + np.array([0.5, 0]))).mean(axis=0)
    longest, shortest = NAMES.index("sky"), NAMES.index("wall_colour")
    assert change[longest] < 0.02
    assert change[shortest] > 0.12
    assert spearmanr(change, [clue.wavelength_km for clue in CLUES]).statistic < -0.9


def test_the_same_seed_makes_the_same_world_and_another_seed_another():
    again, other = draw_places(0, LAND, 2000), draw_places(1, LAND, 2000)
    np.testing.assert_array_equal(PLACES.latlon_deg, again.latlon_deg)
    np.testing.assert_array_equal(PLACES.creator, again.creator)
    assert not np.any(np.all(PLACES.latlon_deg == other.latlon_deg, axis=1))
    assert not np.allclose(clue_fields(1)(PLACES.latlon_deg), FIELDS(PLACES.latlon_deg))


@pytest.mark.parametrize("count", [1, 2, 37])
def test_as_many_places_are_drawn_as_asked(count):
    assert len(draw_places(5, LAND, count).latlon_deg) == count


def test_every_place_lies_in_a_cell_that_is_mostly_land():
    assert on_land(PLACES.latlon_deg, LAND).all()
    assert not on_land([(0, -140)], LAND).any()  # the Pacific
    assert on_land([(23, 10)], LAND).all()  # the Sahara


def test_sequences_are_short_roads_by_one_creator():
    follows = PLACES.sequence[1:] == PLACES.sequence[:-1]
    step_km = distance_km(PLACES.latlon_deg[1:], PLACES.latlon_deg[:-1])[follows]
    assert step_km.min() > 0.19
    assert np.median(step_km) < 2
    assert np.bincount(PLACES.sequence).max() <= 8
    assert (PLACES.creator[1:] == PLACES.creator[:-1])[follows].all()


def test_cells_are_filled_very_unequally():
    assert gini(np.unique(grid.encode(PLACES.latlon_deg, 5), return_counts=True)[1]) > 0.35


def test_the_hour_of_the_sun_agrees_with_the_clock_and_the_longitude():
    hour = (PLACES.captured_at_s / 3600 + PLACES.latlon_deg[:, 1] / 15) % 24
    np.testing.assert_allclose(hour, PLACES.sun_hour, atol=1e-3)
    assert PLACES.sun_hour.min() >= 6
    assert PLACES.sun_hour.max() <= 20


def test_things_are_in_view_as_often_as_stated_and_their_clues_together():
    shown = shown_clues(0, np.full((20_000, len(CLUES)), 0.5))
    for k, clue in enumerate(CLUES):
        assert np.mean(~np.isnan(shown[:, k])) == pytest.approx(THINGS.get(clue.thing, 1), abs=0.015)
    trees = [NAMES.index("tree_kind"), NAMES.index("tree_density")]
    assert (np.isnan(shown[:, trees[0]]) == np.isnan(shown[:, trees[1]])).all()


def test_pictures_differ_from_their_region_by_the_stated_spread():
    shown = shown_clues(0, np.full((20_000, len(CLUES)), 0.5))
    np.testing.assert_allclose(np.nanstd(shown, axis=0), [clue.spread for clue in CLUES], rtol=0.03)


def test_people_drive_on_one_side_or_the_other():
    side = regional_clues(FIELDS, PLACES.latlon_deg)[:, NAMES.index("driving_side")]
    assert set(side) == {0.0, 1.0}
