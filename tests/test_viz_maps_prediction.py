"""An answer on its page and in its picture: what is drawn, and what is said."""

import base64
import dataclasses
import io
import json
import re
import subprocess
import sys
import zlib

import numpy as np
import pytest
import shapely
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from geocells import grid
from geocells.hierarchy import build_hierarchy
from geocells.partitions.registry import partition_of
from infer.prediction import (
    AreaPrior,
    Cell,
    Country,
    LevelPrediction,
    MetadataLocation,
    Photograph,
    Place,
    Prediction,
    Provenance,
    Region,
)
from tests.browser import OCEAN, share_of
from tests.test_viz_web_page import HOSTILE, assert_refers_to_no_network, loads
from viz.maps.cells import cell_strength, rank_colour
from viz.maps.png import prediction_figure, prediction_png, shown_lines
from viz.maps.prediction import prediction_html
from viz.maps.scene import Scene

FIJI, SAMOA, SOUTH = (-17.8, 179.6), (-13.8, -171.8), (-88.0, 30.0)
PURPLE, RED, ORANGE, YELLOW = "#7b1fa2", "#d62728", "#f57c00", "#f2c500"


def level_around(point, level, count=12, confidence=0.042):
    """Return a cell and those near it, with falling probability."""
    middle = grid.encode(point, level)
    ring = np.r_[middle, grid.neighbours(middle, level), np.arange(4**level)]
    rows = ring[np.sort(np.unique(ring, return_index=True)[1])][:count]
    bounds, centers = grid.bounds_deg(rows, level).tolist(), grid.center_deg(rows, level).tolist()
    cells = tuple(
        Cell(id, 0.5 ** (1 + k), *centers[k], 20, tuple(bounds[k])) for k, id in enumerate(grid.format_ids(rows, level))
    )
    return LevelPrediction(f"L{level}", cells, 0.5 ** len(rows), confidence)


def hierarchy_of(*levels):
    """Return the hierarchy of the finest of some levels; coarse ones come first."""
    points = [(cell.latitude, cell.longitude) for cell in levels[-1].cells]
    return build_hierarchy(partition_of("quad", tuple(level.level for level in levels)), points)


def exif(at, distance_km=1.0, **changes):
    return dataclasses.replace(MetadataLocation("EXIF", *at, distance_km), **changes)


def prediction_at(point, *levels, **changes):
    levels = levels or (level_around(point, 8),)
    return dataclasses.replace(
        Prediction.example(),
        **{
            "headline": "Most likely Fiji",
            "latitude": point[0],
            "longitude": point[1],
            "place": Place("Suva, Central", "FJ", "Fiji", 12.3),
            "levels": {level.level: level for level in levels},
            "answer_level": levels[-1].level,
            "confidence": levels[-1].confidence,
            "regions": {},
            "sets": {},
            "metadata": (),
            "prior": None,
            "warnings": (),
            **changes,
        },
    )


def region(*boxes, coverage=0.9, area_km2=413_000.0, countries=("Fiji", "Tonga")):
    geometry = shapely.geometry.mapping(shapely.MultiPolygon([shapely.box(*box) for box in boxes]))
    named = tuple(Country("XX", name, 0.25) for name in countries)
    return Region(coverage, "L8", 7, area_km2, 0.9, named, geometry)


def abstained(**changes):
    """Return an answer at L3 only, whose region lies on both sides of the antimeridian."""
    wide = region((170, -25, 180, -10), (-180, -22, -170, -12))
    without = {"latitude": None, "longitude": None, "place": None, "answer_level": "L3", "confidence": 0.81}
    levels = level_around(FIJI, 1, 4, 0.95), level_around(FIJI, 3, 5, 0.81), level_around(FIJI, 8)
    return prediction_at(FIJI, *levels, **{**without, "regions": {0.9: wide}, **changes})


def unpacked(text):
    return json.loads(zlib.decompress(base64.b64decode(text)))


def data_of(html):
    """Return what the scripts of a page are given, with the cells of each layer in the order of their probability."""
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html)[1])
    drawn = unpacked(data.pop("drawn"))
    return {**data, "regions": drawn["regions"], "layers": [layer_of(columns) for columns in drawn["layers"]]}


def layer_of(columns):
    south, west = (np.cumsum(columns[edge]) for edge in ("south", "west"))
    north, east = south + columns["height"], west + columns["width"]
    cells = [
        {
            "id": name,
            "place": columns["places"][columns["place"][k]],
            "probability": columns["probability"][k],
            "photographs": None if columns["photographs"] is None else columns["photographs"][k],
            "bounds": [[south[k] / 1e6, west[k] / 1e6], [north[k] / 1e6, east[k] / 1e6]],
            "polygons": columns["outlines"].get(str(k)),
        }
        for k, name in enumerate(columns["id"])
    ]
    return {**columns, "cells": sorted(cells, key=lambda cell: -cell["probability"])}


def words(html):
    return re.sub(r"<[^>]+>", " ", re.search(r"<main.*?</main>", html, re.DOTALL)[0])


def headline(html):
    return re.search(r"<h1>(.*?)</h1>", html)[1]


def written(prediction):
    return " ".join(text for text, *_ in shown_lines(prediction))


def test_the_page_refers_to_no_network_and_is_the_same_twice():
    prediction = prediction_at(FIJI, level_around(FIJI, 3), level_around(FIJI, 8), metadata=(exif(SAMOA),))
    assert_refers_to_no_network(prediction_html(prediction))
    assert prediction_html(prediction) == prediction_html(prediction)


def test_drawing_an_answer_needs_no_torch():
    program = "import sys, viz.maps.prediction, infer.drawing; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "False"


def test_an_answer_read_back_from_its_file_gives_the_same_page():
    prediction = abstained(
        metadata=(exif(SAMOA, None),), prior=AreaPrior("within Fiji", 0.031, "the model itself put 3.1% inside Fiji")
    )
    again = Prediction.from_dict(json.loads(json.dumps(prediction.to_dict())))
    assert prediction_html(again) == prediction_html(prediction)
    assert prediction_png(again) == prediction_png(prediction)


def hostile_everywhere():
    cell = Cell(HOSTILE, 0.5, *FIJI, 3, tuple(grid.bounds_deg(grid.encode(FIJI, 2), 2).tolist()))
    return prediction_at(
        FIJI,
        LevelPrediction(HOSTILE, (cell,), 0.5, 0.5),
        input=HOSTILE,
        sha256=HOSTILE,
        headline=HOSTILE,
        point_method=HOSTILE,
        point_note=HOSTILE,
        place=Place(HOSTILE, HOSTILE, HOSTILE, 1.0),
        regions={0.9: region((170, -25, 180, -10), countries=(HOSTILE,))},
        metadata=(exif(SAMOA, source=HOSTILE, input=HOSTILE),),
        prior=AreaPrior(HOSTILE, 0.5, HOSTILE),
        photographs=(Photograph(HOSTILE, HOSTILE, HOSTILE, False, 0.5, False),),
        warnings=(HOSTILE,),
        provenance=Provenance(*[HOSTILE] * 7, {HOSTILE: 1.0}, {HOSTILE: HOSTILE, "many": [HOSTILE]}),
    )


def plain_everywhere():
    prediction = hostile_everywhere().to_dict()
    return Prediction.from_dict(json.loads(json.dumps(prediction).replace(json.dumps(HOSTILE), '"x"')))


def test_hostile_names_stay_text_wherever_they_come_from():
    html = prediction_html(hostile_everywhere())
    assert "<script>alert" not in html
    assert loads(html).tags == loads(prediction_html(plain_everywhere())).tags
    assert prediction_png(hostile_everywhere()).startswith(b"\x89PNG")


def test_the_headline_stands_first_and_the_town_in_small_print_with_its_country():
    html = prediction_html(prediction_at(FIJI))
    assert headline(html) == "Most likely Fiji"
    assert "Point 17.8000° S, 179.6000° E; nearest town Suva, Central, Fiji, 12 km away.</p>" in html
    assert html.index("<h1>") < html.index("Suva")
    assert "<title>photo.jpg: Most likely Fiji</title>" in html


def test_the_calibrated_confidence_is_a_sentence_and_the_probability_of_a_cell_stands_beside_its_name():
    prediction = prediction_at(FIJI)
    html = prediction_html(prediction)
    said = "Calibrated confidence in the most probable area: 4.2% at 110 km across"
    assert said in words(html)
    assert said in written(prediction)
    # The best cell has a posterior probability of one half, which is no confidence.
    assert "50%" not in written(prediction)
    assert data_of(html)["layers"][0]["cells"][0]["probability"] == 0.5
    assert "posterior" not in words(html)


def test_a_run_that_is_not_calibrated_says_so_where_a_confidence_would_stand():
    prediction = prediction_at(FIJI, level_around(FIJI, 8, confidence=None))
    html = prediction_html(prediction)
    assert "Confidence: not calibrated" in words(html)
    assert "The run is not calibrated, so its percentages may be far too high." in words(html)
    assert "Confidence: not calibrated" in written(prediction)
    assert "%" not in written(prediction)


def test_warnings_stand_on_the_page_before_places_and_alternatives_and_first_in_the_picture():
    warnings = ("trained on the synthetic demo planet", "not calibrated")
    prediction = prediction_at(FIJI, warnings=warnings)
    html = prediction_html(prediction)
    assert all(f'<p class="warning">{warning}</p>' in html for warning in warnings)
    assert html.index("synthetic demo planet") < html.index("Copy coordinates") < html.index("What else could it be?")
    assert [text for text, *_ in shown_lines(prediction)][:3] == [*warnings, "Most likely Fiji"]


def test_warnings_are_seen_in_the_picture():
    bare, warned = (
        np.asarray(Image.open(io.BytesIO(prediction_png(prediction_at(FIJI, warnings=warnings)))).convert("RGB"))
        for warnings in ((), ("trained on the synthetic demo planet",))
    )
    assert warned.shape[0] > bare.shape[0]
    assert share_of(bare, "#fff6e5") == 0
    assert share_of(warned[:60], "#fff6e5") > 0.3


def test_the_page_says_that_an_answer_is_not_proof_and_where_it_comes_from():
    made = Provenance(
        "demo", "cd" * 32, "1.2", "2025-01-02", "2025-03-04", "ef" * 20, "chain", {"L8": 1.5}, {"within": "x/y.geojson"}
    )
    html = prediction_html(prediction_at(FIJI, sha256="ab" * 32, provenance=made))
    assert "A hypothesis, not proof." in words(html)
    folded = re.search(r"<details>(.*?)</details>", html)[1]
    for part in (
        "ab" * 32,
        "cd" * 32,
        "ef" * 20,
        "demo",
        "1.2",
        "2025-01-02",
        "2025-03-04",
        "L8 1.5",
        "within y.geojson",
    ):
        assert f"{part}</dd>" in folded
    assert "x/y.geojson" not in html


def test_exif_and_dataset_are_named_and_neither_is_called_the_true_place():
    places = (exif(SAMOA, 1050.1, region_coverage=0.9, in_region=False), exif((-17, 178), 12, source="dataset"))
    prediction = prediction_at(FIJI, metadata=places)
    html = prediction_html(prediction)
    said = words(html)
    assert "EXIF says 13.8000° S, 171.8000° W: 1,050.1 km from the point, outside the 90% region." in said
    assert "The dataset says 17.0000° S, 178.0000° E: 12.0 km from the point." in said
    assert "true place" not in html.lower()
    assert [place["lines"][0] for place in data_of(html)["locations"]] == ["EXIF says", "the dataset says"]
    assert "The dataset says 17.0000° S, 178.0000° E: 12.0 km from the point" in written(prediction)


def test_why_the_point_lies_outside_the_best_cell_is_said():
    note = "The point does not lie in the most probable cell 0/1: it is the mean of all cells."
    assert note in words(prediction_html(prediction_at(FIJI, point_note=note)))


def test_what_was_known_beforehand_is_said_before_the_headline():
    prediction = prediction_at(FIJI, prior=AreaPrior("within Fiji", 0.031, "the model itself put 3.1% inside Fiji"))
    said = "Known beforehand: within Fiji. The model itself put 3.1% inside."
    html = prediction_html(prediction)
    assert html.index(said) < html.index("<h1>")
    assert written(prediction).index(said) < written(prediction).index("Most likely Fiji")


def test_an_answer_that_abstains_has_no_pin_and_no_town_and_frames_its_region():
    html = prediction_html(abstained(headline="Somewhere in Fiji or Tonga: not confident below L3"))
    data = data_of(html)
    assert headline(html) == "Somewhere in Fiji or Tonga: not confident below L3"
    assert data["point"] is None
    for part in ("Point", "nearest town", "Suva"):
        assert part not in words(html)
    assert 'class="pin"' not in html
    # The levels that are answered, L1 and L3: the second one is shown.
    assert [len(layer["cells"]) for layer in data["layers"]] == [4, 5]
    (south, west), (north, east) = data["fit"]
    # Fifteen by twenty degrees, with a tenth of margin on each side.
    assert (south, west, north, east) == pytest.approx((-26.5, 168, -8.5, 192))
    assert "81% at 3,500 km" in words(html)


def test_an_answer_that_is_not_confident_of_any_level_shows_its_region_alone():
    prediction = abstained(answer_level=None, confidence=None)
    html = prediction_html(prediction)
    data = data_of(html)
    assert data["layers"] == []
    assert data["fit"][0][1] == pytest.approx(168)
    assert len(data["regions"]) == 1
    assert "No level is confident enough" in words(html)
    assert prediction_png(prediction).startswith(b"\x89PNG")


def test_an_answer_without_anything_to_show_is_the_world():
    prediction = abstained(answer_level=None, confidence=None, regions={})
    assert data_of(prediction_html(prediction))["fit"] == [[-90, -180], [90, 180]]
    assert prediction_png(prediction).startswith(b"\x89PNG")


def test_ranks_have_the_colours_that_they_always_had():
    ranks = [rank_colour(rank) for rank in range(1, 13)]
    assert ranks == [PURPLE, *[RED] * 4, *[ORANGE] * 5, YELLOW, YELLOW]
    data = data_of(prediction_html(prediction_at(FIJI)))
    assert data["ranks"] == [[1, PURPLE], [5, RED], [10, ORANGE], [None, YELLOW]]
    # 0.4 to 0.8, by the root of the probability relative to the best.
    cells = data["layers"][0]["cells"]
    strength = cell_strength(np.array([cell["probability"] for cell in cells[:3]]))
    assert strength.round(4).tolist() == [0.8, 0.6828, 0.6]
    south, west, north, east = grid.bounds_deg(grid.encode(FIJI, 8), 8).tolist()
    assert cells[0]["bounds"] == [[south, west], [north, east]]


def test_cells_and_line_across_the_antimeridian_lie_beside_each_other():
    data = data_of(prediction_html(prediction_at(FIJI, metadata=(exif(SAMOA),))))
    line = np.array(data["locations"][0]["line"])
    assert np.abs(np.diff(line[:, 1])).max() < 1
    assert line[-1] == pytest.approx((SAMOA[0], SAMOA[1] + 360), abs=1e-4)
    west = [cell["bounds"][0][1] for cell in data["layers"][0]["cells"][:9]]
    assert max(west) - min(west) < 3


@pytest.mark.parametrize(("probabilities", "reaches"), [((0.9, 0.1), False), ((0.6, 0.4), True)])
def test_the_first_view_holds_the_cells_with_most_of_the_probability_and_not_the_rest(probabilities, reaches):
    near, far = (level_around(place, 8, count=1).best for place in (FIJI, (60, 0)))
    cells = tuple(dataclasses.replace(c, probability=p) for c, p in zip((near, far), probabilities, strict=True))
    ((_, _, north, _),) = Scene.of(prediction_at(FIJI, LevelPrediction("L8", cells, 0.0, 0.5))).views()
    assert (north > 60) == reaches


def test_the_picture_is_a_png_and_shows_ranks_on_a_map():
    prediction = prediction_at(FIJI, metadata=(exif(SAMOA),))
    content = prediction_png(prediction)
    assert content == prediction_png(prediction)
    with Image.open(io.BytesIO(content)) as picture:
        shown = np.asarray(picture.convert("RGB"))
    assert share_of(shown, OCEAN) > 0.1
    red_green_blue = shown.astype(int)
    purple = (red_green_blue[..., 2] > red_green_blue[..., 0] + 20) & (red_green_blue[..., 1] < 110)
    assert purple.mean() > 0.002


def test_the_picture_shows_where_the_region_ends():
    lined, bare = (
        np.asarray(Image.open(io.BytesIO(prediction_png(one))).convert("RGB")).max(axis=-1) < 110
        for one in (abstained(answer_level=None), abstained(answer_level=None, regions={}))
    )
    # Below the words and right of the map of the world.
    assert lined[250:-100, 900:].mean() > bare[250:-100, 900:].mean() + 0.002


def test_a_long_file_name_is_shortened_in_the_picture_and_whole_on_the_page():
    prediction = prediction_at(FIJI, input=f"{'a' * 200}.jpg")
    assert f"{'a' * 35}…{'a' * 31}.jpg" in written(prediction)
    assert f"<dd>{'a' * 200}.jpg</dd>" in prediction_html(prediction)


def test_a_file_that_is_named_like_a_formula_or_in_letters_without_a_font_is_written_as_text():
    prediction = prediction_at(FIJI, input="$\\frac$ 日.jpg")
    assert "$\\frac$ □.jpg" in written(prediction)
    assert prediction_png(prediction).startswith(b"\x89PNG")


@pytest.mark.parametrize("point", [SOUTH, (90.0, 0.0)], ids=["near a pole", "at a pole"])
def test_page_and_picture_can_be_drawn_at_the_poles(point):
    assert prediction_html(prediction_at(point)).endswith("</html>")
    assert prediction_png(prediction_at(point)).startswith(b"\x89PNG")


@pytest.mark.parametrize("fusion", ["chain", "greedy"])
def test_nothing_that_is_written_below_the_maps_of_a_picture_touches_another(fusion):
    made = dataclasses.replace(prediction_at(FIJI).provenance, fusion=fusion)
    wide, narrow = region((170, -25, 180, -10), (-180, -22, -170, -12)), region((177, -19, 179, -17), coverage=0.5)
    figure = prediction_figure(prediction_at(FIJI, provenance=made, regions={0.9: wide, 0.5: narrow}))
    FigureCanvasAgg(figure).draw()
    texts, (legend,) = ([drawn.get_window_extent() for drawn in kind] for kind in (figure.texts, figure.legends))
    assert legend.x1 <= figure.bbox.x1
    for k, box in enumerate(texts):
        assert not any(box.overlaps(other) for other in [*texts[:k], legend])
