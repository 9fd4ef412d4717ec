import numpy as np
import pytest
import reverse_geocode

from geocells.hierarchy import build_hierarchy
from geocells.m49 import subregions
from geocells.partitions import QuadPartition
from geocells.sphere import distance_km
from infer.decode.prior import make_prior
from infer.place_names import _towns, nearest_places

PLACES = [(50.94, 5.84), (52.5, 13.4), (48.86, 2.35), (-75.0, 0.0)]
HIERARCHY = build_hierarchy(QuadPartition((1, 8)), PLACES)


def names(points, prior=None):
    return [
        town and (town["name"], town["country_code"], town["country"])
        for town in nearest_places(np.array(points), prior)
    ]


def test_without_prior_knowledge_the_nearest_town_is_named():
    assert names([(48.8566, 2.3522), (50.94, 5.84)])[1] == ("Spaubeek, Limburg", "NL", "Netherlands")
    assert nearest_places(np.array([(50.94, 5.84)]))[0]["distance_km"] < 1.5


@pytest.mark.parametrize("code", ["DE", "BE"])
def test_the_town_lies_in_the_country_asked_for(code):
    prior = (
        make_prior(HIERARCHY, [code], []) if code == "DE" else make_prior(HIERARCHY, ["DE", "NL", "BE"], ["DE", "NL"])
    )
    towns = nearest_places(np.array(PLACES), prior)
    assert {town["country_code"] for town in towns} == {code}


def test_an_excluded_country_has_no_town():
    assert names([(50.94, 5.84)], make_prior(HIERARCHY, [], ["NL"]))[0][1] in ("DE", "BE")


def test_the_town_lies_in_the_box_asked_for():
    prior = make_prior(HIERARCHY, ["52,13,53,14"], [])
    point = nearest_places(np.array([(48.86, 2.35)]), prior)[0]
    assert point["country_code"] in ("DE", "PL")
    assert point["distance_km"] > 700


def test_where_no_town_lies_none_is_named():
    assert names([(-75.0, 0.0), (52.5, 13.4)], make_prior(HIERARCHY, ["AQ"], [])) == [None, None]


def test_no_points_have_no_towns():
    assert nearest_places(np.empty((0, 2))) == []


def test_the_nearest_town_is_nearest_by_great_circles():
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-60, 80, 20), rng.uniform(-180, 180, 20)])
    towns = _towns()
    for point, found in zip(points, nearest_places(points), strict=True):
        assert found["distance_km"] == pytest.approx(distance_km(point, towns.point_deg).min(), abs=0.051)


def test_every_town_is_in_a_country_with_a_name():
    assert set(_towns().code.tolist()) <= set(subregions())


def test_the_package_itself_names_the_same_town():
    towns = reverse_geocode.search([(48.8566, 2.3522), (-33.87, 151.21)])
    assert [name for name, *_ in names([(48.8566, 2.3522), (-33.87, 151.21)])] == [
        ", ".join(dict.fromkeys([town["city"], town["state"]])) for town in towns
    ]
