"""What explains an answer, on its page: heat map and similar training photographs."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from geocells.hierarchy import build_hierarchy
from geocells.partitions.registry import partition_of
from infer.drawing import Drawing
from infer.prediction import Explanation, SimilarPhotograph
from tests.browser import evaluate, needs_chromium
from tests.test_viz_maps_prediction import FIJI, SAMOA, abstained, data_of, level_around, prediction_at, words
from tests.test_viz_web_page import HOSTILE, assert_refers_to_no_network, loads
from viz.maps.places import cell_places
from viz.maps.prediction import prediction_html
from viz.report.maps import cell_error_map, error_colour

HEAT = np.outer(np.arange(8.0), np.arange(8.0)) - 10
TEAL = Image.new("RGB", (8, 8), "teal")
WHY = Explanation("1/2", "3/0", "occlusion")


def jpeg():
    content = io.BytesIO()
    TEAL.save(content, "JPEG")
    return content.getvalue()


def drawing(heat=None, similar_jpeg=(), source=TEAL):
    cells = level_around(FIJI, 8).cells
    partition = partition_of("quad", ("L8",))
    return Drawing(source, build_hierarchy(partition, [(c.latitude, c.longitude) for c in cells]), heat, similar_jpeg)


def similar(at=SAMOA, **changes):
    photograph = SimilarPhotograph("n-1", *at, 0.974, 1234.5, "CC BY-SA 4.0", "Ann", "/home/ann/data/n-1.jpg")
    return dataclasses.replace(photograph, **changes)


def page(*photographs, **changes):
    drawn = drawing(HEAT, [jpeg()] * len(photographs))
    return prediction_html(
        prediction_at(FIJI, **{"drawing": drawn, "explanation": WHY, "similar": photographs, **changes})
    )


def test_the_page_says_why_and_who_took_the_similar_photographs_under_which_licence():
    said = words(page(similar()))
    for part in (
        "What speaks for the best cell, 1/2 and against 3/0, the most probable cell elsewhere: occlusion",
        "1,234.5 km from the point",
        "similarity 0.97",
        "Ann",
        "CC BY-SA 4.0",
        "A hypothesis, not proof.",
    ):
        assert part in said


def test_the_cells_that_a_heat_map_compares_are_named_by_their_places():
    best, other = level_around(FIJI, 8).cells[:2]
    said = words(page(explanation=Explanation(best.id, other.id, "occlusion")))
    names = cell_places((best, other), "L8")
    assert names[0] == "near Levuka, Fiji"
    assert f"best cell, {names[0]} and against {names[1]}, the most probable cell elsewhere" in said


def test_of_the_path_of_a_similar_photograph_only_the_file_name_is_shown():
    html = page(similar(), similar(path="C:\\ann\\n-2.jpg"))
    assert 'alt="n-1.jpg"' in html
    assert 'alt="n-2.jpg"' in html
    assert "ann" not in html.replace("Ann", "").split("</style>")[-1].split("<script")[0]


def test_what_is_not_known_of_a_similar_photograph_is_said():
    said = words(page(similar(licence=None, creator=None)))
    assert "licence not known" in said
    assert "creator not known" in said


def test_a_similar_photograph_whose_picture_is_gone_keeps_its_words():
    photographs = similar(), similar(id="n-2", creator="Bob")
    html = prediction_html(prediction_at(FIJI, drawing=drawing(None, [jpeg(), None]), similar=photographs))
    assert "Bob" in words(html)
    assert html.count('src="data:image/jpeg') == 2


def test_an_answer_without_a_drawing_keeps_the_words_on_similar_photographs_and_shows_no_picture():
    html = prediction_html(prediction_at(FIJI, similar=(similar(),), explanation=WHY))
    assert "CC BY-SA 4.0" in words(html)
    assert "<img" not in html


def test_a_photograph_that_is_gone_leaves_its_place_empty(tmp_path):
    gone = prediction_at(FIJI, drawing=drawing(HEAT, source=tmp_path / "gone.jpg"), explanation=WHY)
    assert "<img" not in prediction_html(gone)


def test_cells_are_drawn_alike_with_and_without_a_drawing_where_they_are_boxes():
    drawn, bare = (data_of(prediction_html(prediction_at(FIJI, drawing=d))) for d in (drawing(), None))
    assert drawn == bare


def test_without_a_point_the_distance_of_similar_photographs_is_not_said():
    html = prediction_html(abstained(similar=(similar(),)))
    assert "1,234.5 km" not in html
    assert "similarity 0.97" in words(html)


def test_an_explained_page_refers_to_no_network_and_is_the_same_twice():
    assert_refers_to_no_network(page(similar()))
    assert page(similar()) == page(similar())


def test_hostile_explanations_stay_text():
    hostile = similar(**dict.fromkeys(("id", "licence", "creator", "path"), HOSTILE))
    html = page(hostile, input=HOSTILE, explanation=Explanation(HOSTILE, HOSTILE, HOSTILE))
    assert "<script>alert" not in html
    assert loads(html).tags == loads(page(similar())).tags


def test_without_an_explanation_the_page_speaks_of_none():
    html = prediction_html(prediction_at(FIJI, drawing=drawing()))
    assert data_of(html)["similar"] == []
    for part in ('class="heat"', 'id="heat"', 'class="similar"', "similar training"):
        assert part not in html


def test_a_similar_photograph_across_the_antimeridian_is_drawn_near_the_answer():
    (drawn,) = data_of(page(similar()))["similar"]
    assert drawn["at"] == pytest.approx([SAMOA[0], SAMOA[1] + 360])


def test_cells_with_an_error_are_coloured_and_the_map_says_of_what():
    near, far = (cell_error_map(5, {"1/0/2/2/2": error}, "test") for error in (5.0, 5000.0))
    assert far.caption == "Median error by cell of L5, test split"
    assert np.isfinite(far.share).sum() == np.isfinite(near.share).sum() == 4 ** (8 - 5)
    assert np.nanmax(far.share) > np.nanmax(near.share)
    assert error_colour(5000.0) != error_colour(5.0)


@needs_chromium
@pytest.mark.browser
def test_a_box_switches_the_heat_on_right_over_the_photograph_and_similar_photographs_are_on_the_map(tmp_path):
    shown = "getComputedStyle(document.querySelector('.stack .heat')).display"
    marks = "document.querySelectorAll('.folium-map .similar-place').length"
    box = "JSON.stringify(document.querySelector('{}').getBoundingClientRect())"
    photo, heat = (box.format(f".stack img{kind}") for kind in (":not(.heat)", ".heat"))
    asked = f"[{shown}, (document.querySelector('#heat').click(), {shown}), {photo} === {heat}, {marks}]"
    answered = evaluate(page(similar(), similar(FIJI)), tmp_path, f"map_1.answer.then(() => {asked})")
    assert answered == ["none", "block", True, 2]
