"""What an answer rests on, on its page."""

import numpy as np
import pytest

from tests.browser import evaluate, needs_chromium
from tests.test_viz_page import HOSTILE, assert_refers_to_no_network, loads
from tests.test_viz_prediction import FIJI, SAMOA, answer_at, data_of, layer_around, thumbnail, words
from viz.maps.prediction import prediction_html
from viz.report.maps import cell_error_map, error_colour

HEAT = np.outer(np.arange(8.0), np.arange(8.0)) - 10


def neighbour(at=SAMOA, **changes):
    return {
        "id": "n-1",
        "latitude": at[0],
        "longitude": at[1],
        "similarity": 0.974,
        "distance_km": 1234.5,
        "licence": "CC BY-SA 4.0",
        "creator": "Ann",
        "path": "data/n-1.jpg",
    } | changes


def page(neighbours=(), **changes):
    explanation = {"cell": "1/2", "against": "3/0", "method": "occlusion"}
    answer = answer_at(FIJI, explanation=explanation, neighbours=list(neighbours), **changes)
    return prediction_html(
        answer, [layer_around(FIJI, 8)], thumbnail(), None, None, None, HEAT, [thumbnail()] * len(neighbours)
    )


def test_the_page_says_why_and_who_took_the_similar_photographs_under_which_licence():
    said = words(page([neighbour()]))
    for part in (
        "Why in 1/2, and not in 3/0",
        "1,234 km",
        "97% alike",
        "Ann",
        "CC BY-SA 4.0",
        "A hypothesis, not proof.",
    ):
        assert part in said


def test_what_is_not_known_of_a_similar_photograph_is_said():
    said = words(page([neighbour(licence=None, creator=None)]))
    assert "licence not known" in said
    assert "creator not known" in said


def test_a_similar_photograph_whose_picture_is_gone_keeps_its_words():
    answer = answer_at(FIJI, neighbours=[neighbour(), neighbour(id="n-2", creator="Bob")])
    html = prediction_html(answer, [], thumbnail(), neighbours_jpeg=[thumbnail(), None])
    assert "Bob" in words(html)
    assert html.count('src="data:image/jpeg') == 2


def test_evidence_is_from_nobody_else_and_the_same_twice():
    assert_refers_to_no_network(page([neighbour()]))
    assert page([neighbour()]) == page([neighbour()])


def test_hostile_evidence_stays_text():
    changes = dict.fromkeys(("id", "licence", "creator", "path"), HOSTILE)
    hostile = page([neighbour(**changes)], input=HOSTILE)
    why = {"cell": HOSTILE, "against": HOSTILE, "method": HOSTILE}
    both = hostile, prediction_html(answer_at(FIJI, explanation=why), [layer_around(FIJI, 8)], thumbnail(), heat=HEAT)
    assert not any("<script>alert" in html for html in both)
    assert loads(hostile).tags == loads(page([neighbour()])).tags


def test_without_evidence_the_page_speaks_of_none():
    html = prediction_html(answer_at(FIJI), [layer_around(FIJI, 8)], thumbnail())
    assert data_of(html)["neighbours"] == []
    for part in ('class="heat"', 'id="heat"', 'class="neighbours"', "similar training"):
        assert part not in html


def test_a_similar_photograph_across_the_antimeridian_is_drawn_near_the_answer():
    (drawn,) = data_of(page([neighbour()]))["neighbours"]
    assert drawn["at"] == pytest.approx([SAMOA[0], SAMOA[1] + 360])


def test_cells_with_an_error_are_coloured_and_the_map_says_of_what():
    html = cell_error_map(5, {"1/0/2/2/2": 5000.0}, "test")
    assert "Median error by cell of L5, test split" in html
    assert html != cell_error_map(5, {"1/0/2/2/2": 5.0}, "test")
    assert error_colour(5000.0) != error_colour(5.0)


@needs_chromium
@pytest.mark.browser
def test_a_box_switches_the_heat_off_and_similar_photographs_are_on_the_map(tmp_path):
    shown = "getComputedStyle(document.querySelector('.stack .heat')).display"
    marks = "document.querySelectorAll('.folium-map .neighbour').length"
    clicked = f"(document.querySelector('#heat').click(), {shown})"
    assert evaluate(page([neighbour(), neighbour(FIJI)]), tmp_path, f"[{shown}, {clicked}, {marks}]") == [
        *("block", "none", 2)
    ]


@needs_chromium
@pytest.mark.browser
def test_the_heat_lies_right_over_the_photograph(tmp_path):
    box = "JSON.stringify(document.querySelector('{}').getBoundingClientRect())"
    photo, heat = (box.format(f".stack img{kind}") for kind in (":not(.heat)", ".heat"))
    assert evaluate(page(), tmp_path, f"{photo} === {heat}") is True
