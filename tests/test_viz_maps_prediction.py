import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from geocells import grid
from tests.browser import evaluate, needs_chromium, screenshot, share_of
from tests.test_viz_page import HOSTILE, assert_refers_to_no_network, loads
from viz.maps.cells import CellLayer, rank_colour, view_deg
from viz.maps.png import prediction_png
from viz.maps.prediction import prediction_html
from viz.web.page import OCEAN

FIJI, SAMOA, SOUTH = (-17.8, 179.6), (-13.8, -171.8), (-88.0, 30.0)
PURPLE, RED, ORANGE, YELLOW = "#7b1fa2", "#d62728", "#f57c00", "#f2c500"


def layer_around(point, level, count=12):
    """Return a cell and those near it, with falling probability."""
    middle = grid.encode(point, level)
    ring = np.r_[middle, grid.neighbours(middle, level), np.arange(4**level)]
    cells = ring[np.sort(np.unique(ring, return_index=True)[1])][:count]
    probability = 0.5 ** np.arange(1, len(cells) + 1)
    return CellLayer(f"L{level}", grid.format_ids(cells, level), probability, grid.bounds_deg(cells, level))


def answer_at(point, exif=None, **changes):
    cell = {"id": "1/2", "probability": 0.5, "latitude": point[0], "longitude": point[1]}
    return {
        "input": "photo.jpg",
        "sha256": "ab" * 32,
        "point": {"latitude": point[0], "longitude": point[1], "method": "median"},
        "place": {"name": "Suva", "country_code": "FJ", "distance_km": 12.3},
        "levels": [{"level": "L8", "cells": [cell], "cut_mass": 0.01}],
        "exif": exif and {"latitude": exif[0], "longitude": exif[1], "distance_km": 1.0},
        "warnings": [],
    } | changes


def data_of(html):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html)[1])


def words(html):
    return re.sub(r"<[^>]+>", " ", re.search(r"<aside.*?</aside>", html, re.DOTALL)[0])


def thumbnail():
    content = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(content, "JPEG")
    return content.getvalue()


def test_the_page_refers_to_no_network_and_is_the_same_twice():
    ask = answer_at(FIJI, exif=SAMOA), [layer_around(FIJI, 3), layer_around(FIJI, 8)], thumbnail()
    assert_refers_to_no_network(prediction_html(*ask))
    assert prediction_html(*ask) == prediction_html(*ask)


def test_hostile_names_stay_text_wherever_they_come_from():
    layer = layer_around(FIJI, 2, count=1)
    hostile = CellLayer(HOSTILE, [HOSTILE], layer.probability, layer.bounds_deg)
    level = {"level": HOSTILE, "cells": [{"id": HOSTILE, "probability": 0.5}]}
    place = {"name": HOSTILE, "country_code": HOSTILE, "distance_km": 1}
    changes = {"input": HOSTILE, "place": place, "levels": [level], "warnings": [HOSTILE], "sha256": HOSTILE}
    html = prediction_html(answer_at(FIJI, **changes), [hostile], thumbnail(), model={"run": HOSTILE, "hash": HOSTILE})
    plain = prediction_html(answer_at(FIJI, warnings=["x"]), [layer], thumbnail(), model={"run": "x", "hash": "x"})
    assert "<script>alert" not in html
    assert loads(html).tags == loads(plain).tags


def test_the_panel_says_what_is_known_and_that_it_is_no_proof():
    model = {"run": "runs/demo", "hash": "cd" * 32, "version": "1.2", "created": "2025-01-02"}
    said = words(prediction_html(answer_at(FIJI, warnings=["small picture"]), [layer_around(FIJI, 8)], model=model))
    for part in (
        "Suva, FJ",
        "A hypothesis, not proof.",
        "small picture",
        "1/2",
        "50.0%",
        "ab" * 8,
        "cd" * 8,
        "runs/demo",
    ):
        assert part in said
    assert "True place" not in said


def test_a_known_true_place_is_compared_with_the_answer_and_beats_the_exif():
    said = words(prediction_html(answer_at((0, 0), exif=(0, 50)), [], truth_deg=(0, 1)))
    # One degree of the equator of a sphere of radius 6,371.0088 km.
    assert "111.2 km" in said
    assert "from its EXIF" not in said


def test_a_place_without_a_name_is_called_by_its_coordinates():
    assert "17.8000° S, 179.6000° E" in words(prediction_html(answer_at(FIJI, place=None), []))


def test_ranks_have_the_colours_that_they_always_had():
    ranks = [rank_colour(rank) for rank in range(1, 13)]
    assert ranks == [PURPLE, *[RED] * 4, *[ORANGE] * 5, YELLOW, YELLOW]
    cells = data_of(prediction_html(answer_at(FIJI), [layer_around(FIJI, 8)]))["layers"][0]["cells"]
    assert [cell["colour"] for cell in cells] == ranks
    assert cells[0]["label"] == "3/1/1/3/3/1/1/3 (50.0%)"


def test_cells_and_line_across_the_antimeridian_lie_beside_each_other():
    data = data_of(prediction_html(answer_at(FIJI, exif=SAMOA), [layer_around(FIJI, 8)]))
    line = np.array(data["line"])
    assert np.abs(np.diff(line[:, 1])).max() < 1
    assert line[-1] == pytest.approx((SAMOA[0], SAMOA[1] + 360), abs=1e-4)
    west = [cell["bounds"][0][1] for cell in data["layers"][0]["cells"][:9]]
    assert max(west) - min(west) < 3


def test_the_first_view_holds_the_cells_with_most_of_the_probability_and_not_the_rest():
    near, far = layer_around(FIJI, 8, count=1), layer_around((60, 0), 8, count=1)
    bounds = np.vstack([near.bounds_deg, far.bounds_deg])
    for probability, reaches in (([0.9, 0.1], False), ([0.6, 0.4], True)):
        _, _, north, _ = view_deg(CellLayer("L8", ["a", "b"], np.array(probability), bounds), [FIJI])
        assert (north > 60) == reaches


def test_cells_out_of_order_are_refused():
    with pytest.raises(ValueError, match="L1: cells must come by descending probability"):
        CellLayer("L1", ["0", "1"], np.array([0.1, 0.9]), np.zeros((2, 4)))


def test_the_picture_is_a_png_and_shows_ranks_on_a_map(tmp_path):
    content = prediction_png(answer_at(FIJI, exif=SAMOA), [layer_around(FIJI, 8)])
    assert content == prediction_png(answer_at(FIJI, exif=SAMOA), [layer_around(FIJI, 8)])
    with Image.open(io.BytesIO(content)) as picture:
        shown = np.asarray(picture.convert("RGB"))
    assert share_of(shown, OCEAN) > 0.1
    red_green_blue = shown.astype(int)
    purple = (red_green_blue[..., 2] > red_green_blue[..., 0] + 20) & (red_green_blue[..., 1] < 110)
    assert purple.mean() > 0.002


@pytest.mark.parametrize(
    ("point", "layers"), [(SOUTH, 1), ((90.0, 0.0), 1), (FIJI, 0)], ids=["near a pole", "at a pole", "without cells"]
)
def test_page_and_picture_can_be_drawn(point, layers):
    ask = answer_at(point), [layer_around(point, 8)] * layers
    assert prediction_html(*ask).endswith("</html>")
    assert prediction_png(*ask).startswith(b"\x89PNG")


@needs_chromium
@pytest.mark.browser
def test_the_finest_level_is_shown_first_and_a_button_shows_another(tmp_path):
    html = prediction_html(answer_at(FIJI, exif=SAMOA), [layer_around(FIJI, 2, 6), layer_around(FIJI, 8, 7)])
    shown = "Object.values(map_1._layers).filter((l) => l.options.fillOpacity && l._bounds && l._latlngs).length"
    pressed = "[...document.querySelectorAll('.levels button')].map((b) => b.getAttribute('aria-pressed'))"
    before, marks = evaluate(html, tmp_path, f"[{shown}, {pressed}]")
    after = evaluate(html, tmp_path, f"(document.querySelector('.levels button').click(), {shown})")
    assert marks == ["false", "true"]
    # Boxes of the level and both strokes of the line.
    assert [before, after] == [7 + 2, 6 + 2]


@needs_chromium
@pytest.mark.browser
@pytest.mark.parametrize("point", [FIJI, SOUTH], ids=["fiji", "near the pole"])
def test_the_best_cell_is_seen_in_purple_amid_land_or_sea(point, tmp_path):
    picture = screenshot(prediction_html(answer_at(point), [layer_around(point, 8)]), tmp_path).astype(int)
    purple = (picture[..., 2] > picture[..., 0] + 20) & (picture[..., 1] < 110) & (picture[..., 0] > 90)
    assert purple[:, 350:].mean() > 0.002
