import pycountry
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset.country_names import country_name, match_country
from geocells.m49 import REGIONS, regions, subregions
from infer.wording import ANYWHERE, abstention_headline, headline, percent, prior_words, region_words

EVEN = [(code, 1.0) for code in sorted(subregions())]


@pytest.mark.parametrize(
    "countries, words",
    [
        ([("DE", 1.0)], "Germany"),
        ([("DE", 0.93), ("NL", 0.07)], "Germany"),
        ([("TH", 0.6), ("LA", 0.35), ("KH", 0.05)], "Thailand or Laos"),
        ([("DE", 4.0), ("PL", 3.0), ("CZ", 2.5)], "Germany, Poland or Czechia"),
        ([("NL", 0.5), ("US", 0.3), ("CD", 0.2)], "the Netherlands, the United States or the Democratic Republic of the Congo"),
        ([("KE", 0.3), ("ET", 0.2), ("TZ", 0.1), ("YE", 0.2), ("SA", 0.2)], "Eastern Africa or Western Asia"),
        ([("BR", 0.4), ("PE", 0.2), ("CO", 0.2), ("AR", 0.2)], "South America"),
        ([("JM", 0.3), ("CU", 0.3), ("HT", 0.2), ("BS", 0.2)], "the Caribbean"),
        ([(code, 1.0) for code in ("KE", "NG", "EG", "ZA", "CD", "GH", "DZ", "TZ")], "Africa"),
        ([("", 0.9), ("DE", 0.1)], "Germany"),
        ([("AQ", 1.0)], "Antarctica"),
        ([], ANYWHERE),
        ([("", 1.0)], ANYWHERE),
    ],
)  # fmt: skip
def test_a_region_is_named_by_the_fewest_places_that_hold_it(countries, words):
    assert region_words(countries) == words


def test_the_whole_world_is_anywhere_on_land():
    continents = {region: [codes.split()[0] for codes in parts.values()] for region, parts in REGIONS.items()}
    spread = [(codes[0], 1.0) for codes in continents.values()]
    assert region_words(spread) == "anywhere on land"
    assert region_words(EVEN, cover=1.0) == "anywhere on land"


@given(st.lists(st.tuples(st.sampled_from(sorted(subregions())), st.floats(1e-3, 1)), min_size=1, max_size=30))
def test_what_is_named_holds_nine_tenths(countries):
    words = region_words(countries)
    if words != ANYWHERE:
        named = set(words.replace(" or ", "|").replace(", ", "|").split("|"))
        # A comma or an "or" within a name would have split it: none of these countries has one in its place.
        held = sum(
            mass
            for code, mass in countries
            if {country_name(code, article=True), subregions()[code], regions()[code]} & named
            or country_name(code, article=True) in words
        )
        assert held >= 0.9 * sum(mass for _, mass in countries) - 1e-6


@given(st.lists(st.tuples(st.sampled_from(["DE", "FR", "TH", "BR"]), st.floats(0.1, 1)), min_size=1, max_size=4))
def test_only_shares_count_not_their_sum(countries):
    assert region_words(countries) == region_words([(code, mass * 8) for code, mass in countries])


@pytest.mark.parametrize(
    "countries, words",
    [
        ([("DE", 0.9), ("PL", 0.1)], "Most likely Germany"),
        ([("NL", 1.0)], "Most likely the Netherlands"),
        ([("DE", 0.25), ("PL", 0.2), ("CZ", 0.15), ("FR", 0.2), ("TH", 0.2)], "Most likely Germany, Poland or France"),
        ([("BR", 0.2), ("PE", 0.2), ("CO", 0.2), ("AR", 0.2), ("CL", 0.2)], "Most likely Brazil, Peru or Colombia"),
        ([(code, 1.0) for code in ("BR", "PE", "CO", "AR", "CL", "BO", "EC", "UY")], "Most likely South America"),
        ([], "Could be anywhere on land"),
    ],
)
def test_the_headline_names_what_holds_half(countries, words):
    assert headline(countries) == words


@pytest.mark.parametrize(
    "countries, words",
    [
        (
            [("KE", 3), ("ET", 2), ("TZ", 1), ("YE", 2), ("SA", 2)],
            "Probably somewhere in Eastern Africa or Western Asia",
        ),
        ([("TH", 0.6), ("LA", 0.4)], "Probably somewhere in Thailand or Laos"),
        ([], "Anywhere on land"),
    ],
)
def test_an_abstention_names_the_region_and_no_more(countries, words):
    assert abstention_headline(countries) == f"{words}; not confident enough to say more"


@pytest.mark.parametrize(
    "said, codes, inside, words",
    [
        ("within DE", ["DE"], 0.031, "the model itself put 3.1% inside Germany (within DE)"),
        (
            "within NL BE",
            ["NL", "BE"],
            1.0,
            "the model itself put 100% inside the Netherlands and Belgium (within NL BE)",
        ),
        ("excluding FR", None, 0.5, "the model itself put 50% inside the area (excluding FR)"),
    ],
)
def test_what_the_model_put_inside_is_said(said, codes, inside, words):
    assert prior_words(said, codes, inside) == words


@pytest.mark.parametrize(
    "share, words",
    [(1, "100%"), (0.9999, "more than 99.9%"), (0.5, "50%"), (0.031, "3.1%"), (0.0004, "less than 0.1%"), (0, "0%")],
)
def test_percent_never_rounds_to_nothing_or_all(share, words):
    assert percent(share) == words


def test_the_name_of_each_country_leads_back_to_its_code():
    codes = [country.alpha_2 for country in pycountry.countries] + ["XK"]
    for article in (False, True):
        assert {code: match_country(country_name(code, article)).alpha2 for code in codes} == {
            code: code for code in codes
        }


def test_the_two_congos_are_told_apart():
    assert country_name("CG") == "Republic of the Congo"
    assert country_name("CD") == "Democratic Republic of the Congo"


def test_a_code_that_is_none_is_refused():
    with pytest.raises(ValueError, match="'ZZ' is not a country's code"):
        country_name("ZZ")
