"""The page of an answer as people use it: what it answers, what mouse and keys do, what it looks like."""

import json
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from PIL import Image

from infer.drawing import Drawing
from infer.prediction import Cell, ClassSet, Country, Explanation, LevelPrediction, Prediction, SetMember
from tests.browser import (
    DESKTOP,
    PHONE,
    evaluate,
    needs_axe,
    needs_chromium,
    open_html,
    pixels,
    screenshot,
    screenshots,
    serious_faults,
)
from tests.browser import written as on_disk
from tests.test_viz_maps_prediction import (
    FIJI,
    SAMOA,
    SOUTH,
    abstained,
    exif,
    hierarchy_of,
    hostile_everywhere,
    level_around,
    prediction_at,
    region,
    words,
)
from tests.test_viz_web_page import HOSTILE
from viz.maps.prediction import prediction_html
from viz.maps.ramp import LIGHT, ramp_colour
from viz.web.page import colours

DESERT = (22.3, 29.0)
"""Beside the border of Egypt and Sudan, which is the parallel of 22 degrees."""
COUNTRIES = (Country("EG", "Egypt", 0.6), Country("SD", "Sudan", 0.3), Country("LY", "Libya", 0.1))
L3, L8 = level_around(DESERT, 3, 1, 0.9), level_around(DESERT, 8, 9, 0.3)
PLACE = "at 22.1° N, 28.8° E, Egypt"
"""No town is near to the best cell."""
NOTE = f"The point does not lie in the most probable cell {L8.best.id}: it is the mean of all cells."


def answer(**changes) -> Prediction:
    """Return an answer with all that a page can show of one photograph."""
    boxes = (26.0, 20.0, 32.0, 24.0), (10.0, 10.0, 11.40625, 10.703125)
    wide = region(*boxes, (20.0, 16.0, 38.0, 28.0), area_km2=2_100_000.0)
    near = region(boxes[0], coverage=0.5, area_km2=270_000.0)
    wide, near = (replace(one, countries=COUNTRIES) for one in (wide, near))
    photo = Image.linear_gradient("L").convert("RGB")
    given = {
        "headline": "Most likely southern Egypt or northern Sudan",
        "countries": COUNTRIES,
        "regions": {0.5: near, 0.9: wide},
        "metadata": (exif((30.05, 31.25), 880.0, region_coverage=0.9, in_region=False),),
        "point_note": NOTE,
        "warnings": ("trained on the synthetic demo planet",),
        "explanation": Explanation(L8.cells[0].id, L8.cells[1].id, "occlusion"),
        "drawing": Drawing(photo, hierarchy_of(L3, L8), np.outer(np.arange(8.0), np.arange(8.0)) - 10),
    }
    return prediction_at(DESERT, L3, L8, **{**given, **changes})


@pytest.fixture(scope="module")
def html() -> str:
    """Return the page of that answer."""
    return prediction_html(answer())


def pixel_of(page, place):
    """Return where a place lies in the window, by Mercator's formula between the corners of the map."""
    west, south, east, north, left, top, width, height = page.evaluate(
        "[...map_1.getBounds().toBBoxString().split(',').map(Number), ...((b) => [b.x, b.y, b.width, b.height])"
        "(map_1.getContainer().getBoundingClientRect())]"
    )
    low, high, at = (np.arctanh(np.sin(np.radians(lat))) for lat in (south, north, place[0]))
    return left + width * (place[1] - west) / (east - west), top + height * (high - at) / (high - low)


def tooltip(page):
    return " ".join(page.inner_text(".leaflet-tooltip").split())


def bounds(page):
    return np.array(page.evaluate("map_1.getBounds().toBBoxString().split(',').map(Number)"))


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("where", "Most likely southern Egypt or northern Sudan"),
        ("where", "Africa Northern Africa Egypt at 22.1° N, 28.8° E"),
        ("how sure", "Calibrated confidence in the most probable area: 90% at 3,500 km across, 30% at 110 km"),
        ("how large is the area", "90% region: 2.1 million km² 50% region: 270,000 km²"),
        ("what else could it be", "What else could it be? Egypt 60% Sudan 30% Libya 10%"),
        ("why doubt it", "A hypothesis, not proof."),
        ("why doubt it", "Why doubt it? trained on the synthetic demo planet"),
        ("why doubt it", "In 70 of 100 such answers the most probable area of 110 km is the wrong one."),
        ("why doubt it", "about 90% lie inside their 90% region; the others lie elsewhere."),
        ("why is the pin elsewhere", f"cell ({PLACE}): it is the mean of all cells."),
    ],
)
def test_the_page_answers_what_people_ask(html, question, said):
    assert said in " ".join(unescape(words(html)).split())


def test_a_cell_is_called_by_its_place_and_its_id_stands_small(html):
    panel = re.search("<main.*?</main>", html, re.DOTALL)[0]
    assert L8.best.id not in re.sub("<[^>]+>", "", panel)
    assert f'title="cell {L8.best.id}"' in panel


def of_countries(**changes) -> Prediction:
    """Return an answer of a run of countries without coordinates: Egypt, in a set with Sudan."""
    level = LevelPrediction("country", (Cell("EG", 0.925, None, None, 9, None),), 0.075, 0.783)
    members = (SetMember("EG", "Egypt", 0.925), SetMember("SD", "Sudan", 0.043))
    given = {"levels": {"country": level}, "answer_level": "country", "confidence": level.confidence}
    given |= {"latitude": None, "longitude": None, "place": None, "metadata": (), "point_note": "", "regions": {}}
    given |= {
        "sets": {0.5: ClassSet(0.5, "country", members[:1], 0.925), 0.9: ClassSet(0.9, "country", members, 0.968)}
    }
    return answer(**{**given, "explanation": None, **changes})


def test_raw_probabilities_of_countries_are_called_so_and_the_others_of_the_set_are_listed():
    said = " ".join(unescape(words(prediction_html(of_countries()))).split())
    assert "Calibrated confidence in the most probable area: 78.3% for Egypt" in said
    assert "What else could it be? Country Raw probability Egypt 92.5% Sudan 4.3% Raw probabilities are not" in said
    level = replace(of_countries().finest, confidence=None)
    bare = prediction_html(of_countries(levels={"country": level}, confidence=None, sets={}))
    said = " ".join(unescape(words(bare)).split())
    assert "Country Probability Egypt 92.5%" in said
    assert "alibrated confidence above" not in said


@needs_chromium
@pytest.mark.browser
def test_no_picture_is_wider_than_a_phone(tmp_path):
    with open_html(prediction_html(of_countries()), tmp_path, PHONE) as page:
        assert page.locator(".panel > img").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


@needs_chromium
@pytest.mark.browser
def test_the_right_cell_and_the_border_of_two_named_countries_lie_under_known_pixels(html, tmp_path):
    with open_html(html, tmp_path, DESKTOP) as page:
        picture = pixels(page)
        south, west, north, east = L8.best.bounds
        # A corner of the best cell without mark or border on it.
        x, y = pixel_of(page, (north - 0.1 * (north - south), west + 0.1 * (east - west)))
        assert np.abs(picture[round(y), round(x)] - over(ramp_colour(0.5), 0.8)).max() <= 4
        page.mouse.move(x, y)
        assert tooltip(page) == f"{PLACE} probability 50%, 20 training photographs cell {L8.best.id}"
        assert pixel_of(page, (22.0, 26.5))[0] > 400
        x, y = pixel_of(page, (22.0, 26.5))
        strip = picture[round(y) - 3 : round(y) + 4, round(x)].astype(int)
        border = [int(colours()["border"][at : at + 2], 16) for at in (1, 3, 5)]
        assert np.abs(strip - border).max(axis=1).min() < 40
        assert np.abs(picture[round(y) - 20, round(x)] - over(LIGHT[0], 0)).max() <= 4
        assert {"Egypt", "Sudan"} <= set(page.evaluate("map_1.baseMap.then((world) => [...world.layer.shown])"))


def over(colour, share):
    """Return a colour as it is seen over land."""
    top, land = ([int(text[at : at + 2], 16) for at in (1, 3, 5)] for text in (colour, colours()["land"]))
    return np.array(top) * share + np.array(land) * (1 - share)


@needs_chromium
@pytest.mark.browser
def test_breadcrumb_countries_and_metadata_zoom_and_the_level_switch_shows_other_cells(html, tmp_path):
    with open_html(html, tmp_path, DESKTOP) as page:
        seen = {}
        for name in ("Africa", "Northern Africa", "Egypt"):
            page.locator(".trail").get_by_role("button", name=name, exact=True).click()
            seen[name] = bounds(page)
        widths = [box[2] - box[0] for box in seen.values()]
        assert widths == sorted(widths, reverse=True)
        west, south, east, north = seen["Egypt"]
        assert west < 25 < 35 < east
        assert south < 22.5 < 31.3 < north
        page.locator(".trail button").last.click()
        west, south, east, north = bounds(page)
        assert south < DESERT[0] < north
        assert east - west < 15
        assert "Egypt" in tooltip(page)
        page.get_by_role("button", name="Show", exact=True).click()
        west, south, east, north = bounds(page)
        assert west < 29 < 31.25 < east
        assert south < 22.3 < 30.05 < north
        pressed = "[...document.querySelectorAll('.levels button')].map((b) => b.getAttribute('aria-pressed'))"
        assert page.evaluate(pressed) == ["false", "true"]
        count = "Object.values(map_1._layers).filter((layer) => layer.cell).length"
        assert page.evaluate(count) == 9
        page.locator(".levels button").first.click()
        assert (page.evaluate(count), page.evaluate(pressed)) == (1, ["true", "false"])


@needs_chromium
@pytest.mark.browser
def test_cells_are_coloured_by_rank_when_asked_and_downloads_hold_the_answer_without_folders(html, tmp_path):
    best = "Object.values(map_1._layers).find((layer) => layer.cell && layer.cell.rank === 1).options.fillColor"
    with open_html(prediction_html(answer(path="/home/ann/photo.jpg")), tmp_path, DESKTOP) as page:
        mixed = "rgb({}, {}, {})".format(*(int(ramp_colour(0.5)[at : at + 2], 16) for at in (1, 3, 5)))
        assert page.evaluate(best) == mixed
        assert not page.get_by_text("rank 2 to 5").is_visible()
        page.get_by_label("Colour by rank").check()
        assert page.evaluate(best) == "#7b1fa2"
        assert page.get_by_text("rank 2 to 5").is_visible()
        saved = {}
        for button in page.locator(".downloads button").all():
            with page.expect_download() as waiting:
                button.click()
            saved[waiting.value.suggested_filename] = json.loads(waiting.value.path().read_text(encoding="utf-8"))
        assert saved["photo.json"] == json.loads(json.dumps(answer(path=None).to_dict()))
        kinds = [feature["properties"]["kind"] for feature in saved["photo.geojson"]["features"]]
        assert kinds == ["point", "region", "region"]
        assert "ann" not in json.dumps(saved)
        page.get_by_role("button", name="Copy coordinates").click()
        page.get_by_text("Copied").wait_for()


@needs_chromium
@pytest.mark.browser
def test_keys_alone_reach_and_use_everything(html, tmp_path):
    able = "main a, main button, main input, main summary, .key button, .key input, .folium-map, .leaflet-marker-icon"
    with open_html(html, tmp_path, DESKTOP) as page:
        page.evaluate(f"document.querySelectorAll('{able}').forEach((one, k) => (one.dataset.number = k))")
        wanted, reached = page.locator(able).count(), set()
        for _ in range(wanted + 20):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.dataset.number"))
        assert reached - {None} == {str(k) for k in range(wanted)}
        page.locator("#next").focus()
        page.keyboard.press("Enter")
        assert f"cell {L8.best.id}" in tooltip(page)
        page.keyboard.press("Enter")
        assert f"cell {L8.cells[1].id}" in tooltip(page)
        assert page.inner_text("#cell").startswith("2 of 9: ")
        page.locator(".leaflet-marker-icon", has=page.locator(".pin")).focus()
        page.keyboard.press("Enter")
        assert "point of photo.jpg" in page.inner_text(".leaflet-popup")


@needs_chromium
@pytest.mark.browser
def test_a_script_in_every_name_is_text_on_the_page(tmp_path):
    with open_html(prediction_html(hostile_everywhere()), tmp_path, PHONE) as page:
        assert page.text_content("h1") == HOSTILE


@needs_axe
@pytest.mark.browser
def test_no_serious_fault_of_accessibility_and_the_map_is_seen_at_once_on_a_phone(html, tmp_path):
    with open_html(html, tmp_path, PHONE, "dark") as page:
        top, height = page.evaluate(
            "((box) => [box.y, box.height])(document.querySelector('.folium-map').getBoundingClientRect())"
        )
        assert top < 0.4 * PHONE[1]
        assert top + height < PHONE[1]
        assert serious_faults(page) == []
    with open_html(html, tmp_path, DESKTOP) as page:
        assert serious_faults(page) == []


@needs_chromium
@pytest.mark.browser
def test_what_the_page_looks_like_is_kept_at_both_sizes_and_in_both_themes(html, tmp_path):
    taken = screenshots(on_disk(html, tmp_path), "answer", tmp_path)
    sizes = []
    for path in taken:
        with Image.open(path) as shot:
            sizes.append(shot.size)
    assert sizes == [DESKTOP, DESKTOP, PHONE, PHONE]


@needs_chromium
@pytest.mark.browser
@pytest.mark.parametrize("point", [FIJI, SOUTH], ids=["fiji", "near the pole"])
def test_the_best_cell_is_seen_in_the_colour_of_its_probability_amid_land_or_sea(point, tmp_path):
    # A half, of a ramp from light orange to dark violet.
    picture = screenshot(prediction_html(prediction_at(point)), tmp_path).astype(int)
    violet = (picture[..., 2] > picture[..., 1] + 40) & (picture[..., 0] > picture[..., 1] + 20)
    assert violet[:, 400:].mean() > 0.002


@needs_chromium
@pytest.mark.browser
@pytest.mark.parametrize("level", ["L3", None], ids=["coarser level", "no level"])
def test_the_map_of_an_answer_that_abstains_starts_without_a_point(level, tmp_path):
    html = prediction_html(abstained(answer_level=level, metadata=(exif(SAMOA, None),)))
    marks = "[...document.querySelectorAll('.folium-map .pin, .folium-map .metadata-location')].map((m) => m.className)"
    outlines = "document.querySelectorAll('.folium-map path.region').length"
    assert evaluate(html, tmp_path, f"map_1.answer.then(() => [{marks}, {outlines}])") == [["metadata-location"], 1]
