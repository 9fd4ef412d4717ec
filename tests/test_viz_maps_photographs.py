"""All photographs of one place are shown, each with its verdict."""

import base64
import io
import re

import numpy as np
from PIL import Image

from infer.drawing import Drawing
from infer.prediction import Photograph
from tests.test_viz_maps_prediction import FIJI, hierarchy_of, level_around, prediction_at, words
from viz.maps.prediction import prediction_html


def test_photographs_of_one_place_are_all_shown_with_what_they_agree_on():
    photographs = tuple(
        Photograph(f"{name}.jpg", None, "", False, agreement, odd)
        for name, agreement, odd in (("a", 0.72, False), ("b", 0.0004, True))
    )
    colours = [Image.new("RGB", (8, 8), name) for name in ("teal", "red")]
    drawing = Drawing(colours[0], hierarchy_of(level_around(FIJI, 8)), sources=colours)
    html = prediction_html(prediction_at(FIJI, photographs=photographs, drawing=drawing))
    said = " ".join(words(html).split())
    assert "One answer for 2 photographs of one place; 1 contradicts the others." in said
    assert "a.jpg agrees: puts 72% where the others do" in said
    assert "b.jpg contradicts the others: puts &lt; 0.1% where the others do" in said
    pictures = [base64.b64decode(text) for text in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)]
    shown = [Image.open(io.BytesIO(jpeg)).convert("RGB").getpixel((4, 4)) for jpeg in pictures]
    np.testing.assert_allclose(shown, [(0, 128, 128), (255, 0, 0)], atol=4)


def test_one_photograph_of_several_that_is_gone_leaves_its_words(tmp_path):
    photographs = tuple(Photograph(f"{name}.jpg", None, "", False, 0.5, False) for name in "ab")
    sources = [Image.new("RGB", (8, 8)), tmp_path / "gone.jpg"]
    drawing = Drawing(sources[0], hierarchy_of(level_around(FIJI, 8)), sources=sources)
    html = prediction_html(prediction_at(FIJI, photographs=photographs, drawing=drawing))
    assert html.count("<img") == 1
    assert "b.jpg" in words(html)
