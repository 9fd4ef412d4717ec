"""Names of cells, the way down to an answer, the ramp of colours, and files that a page saves."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocells import grid
from infer.prediction import Cell, Country, LevelPrediction, Prediction
from tests.test_viz_maps_prediction import FIJI, data_of, exif, level_around, prediction_at, unpacked
from viz.maps.downloads import MOST_CELLS, packed_files
from viz.maps.places import cell_places, place_box
from viz.maps.prediction import prediction_html
from viz.maps.ramp import DARK, LIGHT, MARKS, ramp_colour, ramp_share
from viz.maps.trail import way

NORTH_THAILAND = (18.8, 99.0)


def cell(name, bounds):
    south, west, north, east = bounds
    return Cell(name, 0.5, (south + north) / 2, (west + east) / 2, 3, bounds)


def test_a_small_cell_is_called_by_its_town_and_a_large_one_by_its_countries():
    (small,) = level_around(NORTH_THAILAND, 8, 1).cells
    assert cell_places([small], "L8") == ["near Ban Thi, Thailand"]
    assert cell_places([cell("1/2", (5.0, 97.5, 20.0, 105.5))], "L3") == ["Thailand, Cambodia or Laos"]
    assert cell_places([cell("0", (-60.0, -170.0, -50.0, -120.0))], "L3") == ["at 55.0° S, 145.0° W"]


def test_countries_and_regions_are_called_by_their_names_and_not_by_codes_or_towns():
    box = (42.0, -4.0, 51.0, 8.0)
    assert cell_places([cell("FR", box)], "country") == ["France"]
    assert cell_places([cell("FR/Bretagne", box)], "region") == ["Bretagne, France"]
    assert cell_places([cell("Southeast Asia", box)], "macro") == ["Southeast Asia"]


def test_the_box_of_a_country_leaves_out_far_possessions_and_spans_the_antimeridian():
    south, west, north, east = place_box("FR")
    assert (south > 41, west > -6, north < 52, east < 10) == (True,) * 4
    south, west, north, east = place_box("Polynesia")
    assert west > 170
    assert east < -120


def confident(**changes):
    countries = tuple(Country(code, code, share) for code, share in (("TH", 0.5), ("LA", 0.4), ("FR", 0.1)))
    return prediction_at(NORTH_THAILAND, **{"countries": countries, **changes})


def test_the_way_leads_to_what_the_headline_begins_with_and_no_finer():
    assert way(confident()) == ["Asia", "Southeast Asia", "TH"]
    unsure = confident(
        answer_level=None,
        countries=tuple(Country(code, code, 0.2) for code in ("KE", "ET", "TZ", "UG", "RW")),
    )
    assert way(unsure) == ["Africa", "Eastern Africa"]
    assert way(confident(countries=())) == []


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_probable_is_never_lower_on_the_ramp(one, other):
    low, high = sorted((one, other))
    assert ramp_share(low) <= ramp_share(high)


def test_the_ramp_grows_darker_on_light_maps_and_lighter_on_dark_ones_and_its_marks_are_even():
    def lightness(stops):
        return [sum(int(stop[at : at + 2], 16) for at in (1, 3, 5)) for stop in stops]

    assert lightness(LIGHT) == sorted(lightness(LIGHT), reverse=True)
    assert lightness(DARK) == sorted(lightness(DARK))
    np.testing.assert_allclose([ramp_share(value) for value, _ in MARKS], [0, 1 / 3, 2 / 3, 1])
    assert ramp_colour(0.03162277, LIGHT) == LIGHT[4]


def test_a_page_with_25000_leaves_is_small_and_has_them_all():
    cells = grid.encode(np.random.default_rng(0).uniform((-60, -180), (75, 180), (60_000, 2)), 8)
    cells = np.unique(cells)[:25_000]
    probability = np.sort(np.random.default_rng(1).pareto(1.0, len(cells)))[::-1]
    probability /= probability.sum()
    bounds, centres = grid.bounds_deg(cells, 8).tolist(), grid.center_deg(cells, 8).tolist()
    shuffled = np.random.default_rng(2).permutation(len(cells)).tolist()
    level = LevelPrediction(
        "L8",
        tuple(
            Cell(grid.format_ids(cells[[k]], 8)[0], float(f"{p:.6g}"), *centres[k], 40, tuple(bounds[k]))
            for k, p in zip(shuffled, probability.tolist(), strict=True)
        ),
        0.0,
        0.1,
    )
    html = prediction_html(prediction_at((0.0, 0.0), level))
    assert len(level.cells) == 25_000
    assert len(html.encode()) <= 700_000
    drawn = data_of(html)["layers"][0]["cells"]
    assert len(drawn) == 25_000
    assert [one["id"] for one in drawn[:10]] == [one.id for one in level.cells[:10]]
    assert {one["id"]: one["bounds"][0] for one in drawn} == {one.id: list(one.bounds[:2]) for one in level.cells}


def test_a_saved_answer_can_be_read_back_and_says_nothing_of_folders():
    many = level_around(FIJI, 8, 300)
    whole = prediction_at(FIJI, many, path="/home/ann/photo.jpg", metadata=(exif(FIJI),))
    options = {**whole.provenance.options, "within": ["/home/ann/area.geojson"]}
    whole = dataclasses.replace(whole, provenance=dataclasses.replace(whole.provenance, options=options))
    files = {kind: unpacked(text) for kind, text in packed_files(whole).items()}
    assert "ann" not in json.dumps(files)
    again = Prediction.from_dict(files["json"])
    assert again.levels["L8"].cells == many.cells[:MOST_CELLS]
    assert sum(c.probability for c in again.levels["L8"].cells) + again.levels["L8"].unlisted_probability == (
        pytest.approx(sum(c.probability for c in many.cells) + many.unlisted_probability)
    )
    assert again.headline == whole.headline
