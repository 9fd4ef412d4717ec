import pycountry
import pytest

from geocells.land import land_table
from geocells.m49 import REGIONS, regions, subregions
from geocells.natural_earth import read_polygons


def test_every_country_stands_in_one_subregion():
    listed = [code for parts in REGIONS.values() for codes in parts.values() for code in codes.split()]
    assert len(listed) == len(set(listed))
    assert set(listed) == {country.alpha_2 for country in pycountry.countries} | {"XK"}
    assert set(land_table().country.tolist()) - {""} <= set(listed)
    assert set(regions()) == set(subregions()) == set(listed)


@pytest.mark.parametrize(
    "code, subregion, region",
    [
        ("DE", "Western Europe", "Europe"),
        ("CY", "Western Asia", "Asia"),
        ("MX", "Central America", "the Americas"),
        ("CD", "Central Africa", "Africa"),
        ("TL", "Southeast Asia", "Asia"),
        ("AQ", "Antarctica", "Antarctica"),
    ],
)
def test_a_country_lies_where_the_standard_puts_it(code, subregion, region):
    assert (subregions()[code], regions()[code]) == (subregion, region)


def test_natural_earth_says_the_same(shared_data):
    columns = ("ISO_A2", "SUBREGION")
    _, (codes, names) = read_polygons(shared_data / "naturalearth" / "ne_50m_admin_0_countries.zip", columns)
    renamed = {"South-Eastern Asia": "Southeast Asia", "Middle Africa": "Central Africa", "Caribbean": "the Caribbean"}
    theirs = {
        code: renamed.get(name, name)
        for code, name in zip(codes.tolist(), names.tolist(), strict=True)
        if code in subregions() and not name.startswith("Seven seas")
    }
    assert len(theirs) > 220
    assert theirs == {code: subregions()[code] for code in theirs}
