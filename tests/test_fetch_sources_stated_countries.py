"""Countries and coordinates of a table that contradict each other are said."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetch.sources.stated_countries import km_outside, warn_of_far_places
from geocells.country_outlines import country_outlines

INSIDE = {"FR": (48.86, 2.35), "US": (39.7, -105.0), "FJ": (-16.8, -179.95), "RU": (66.0, -175.0), "NZ": (-44.0, 170.0)}


def outside(*rows):
    return km_outside(np.array([place for place, _ in rows], dtype=float), [code for _, code in rows])


@given(st.permutations(list(INSIDE)))
def test_a_place_inside_its_country_is_not_outside_in_any_order(codes):
    assert outside(*((INSIDE[code], code) for code in codes)).tolist() == [0] * len(codes)


def test_distances_are_those_to_the_nearest_coast_or_border():
    berlin, madrid = outside(((52.52, 13.405), "FR"), ((40.4168, -3.7038), "FR"))
    # Berlin to Lauterbourg about 550 km, Madrid to the Basque border about 350 km.
    assert berlin == pytest.approx(550, abs=25)
    assert madrid == pytest.approx(350, abs=25)


def test_the_antimeridian_is_no_distance():
    assert outside(((-16.8, 179.99), "FJ"), ((66.5, 179.5), "RU"), ((-16.8, 180.0), "FJ")).max() < 60


def test_rows_without_coordinates_or_country_are_not_judged():
    away = outside(((np.nan, np.nan), "FR"), ((1, 1), ""), ((1, 1), "BV?"))
    assert np.isnan(away).all()
    assert len(km_outside(np.empty((0, 2)), [])) == 0


def test_a_lost_sign_is_said_with_an_example(caplog):
    places = np.array([[39.7, 105.0], [39.7, -105.0], [np.nan, np.nan]])
    with caplog.at_level(logging.WARNING):
        warn_of_far_places(["a", "b", "c"], places, ["US", "US", "US"])
    assert "1 of 2 photographs lies more than 100 km outside" in caplog.text
    assert "a, United States, at 39.7000, 105.0000" in caplog.text
    caplog.clear()
    warn_of_far_places(["b"], places[1:2], ["US"])
    assert not caplog.records


def test_every_country_has_an_outline_that_holds_a_point_of_it():
    codes = sorted(country_outlines())
    inside = np.array([country_outlines()[code].representative_point().coords[0][::-1] for code in codes])
    assert km_outside(inside, codes).max() == 0
