"""The pages of the app in a browser that reaches nothing but them: by mouse, by keyboard alone, at both sizes, in both themes."""

import os
import re
from pathlib import Path

import pytest

from infer.play.table import NETWORK, PERSON, read
from tests.browser import (
    DESKTOP,
    PHONE,
    THEMES,
    needs_axe,
    needs_chromium,
    open_page,
    serious_faults,
    tab_to,
    wait_for_base_map,
)

pytestmark = [pytest.mark.slow, pytest.mark.browser, needs_chromium]

TIMEOUT_MS = 90_000


@pytest.fixture(scope="module")
def photos(tiny):
    return sorted(tiny.glob("images/**/lima-*.jpg"))[-2:]


def field(page, selector):
    return page.locator(f"{selector} textarea, {selector} input").first


def opened(page, selector):
    page.set_default_timeout(TIMEOUT_MS)
    page.wait_for_selector(selector)
    return page


def answered(page):
    """Return the page of the answer, once it is there."""
    page.wait_for_selector("iframe.answer")
    frame = page.frame_locator("iframe.answer")
    frame.locator("h1").first.wait_for()
    return frame


def saved(page, name, size, theme, tmp_path):
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    path = folder / f"{name}-{'desktop' if size == DESKTOP else 'phone'}-{theme}.png"
    page.screenshot(path=path, full_page=True)
    assert path.stat().st_size > 10_000


def test_an_upload_is_answered_within_a_country_and_its_name_is_text(app, photos, tmp_path):
    named = tmp_path / "<img src=x onerror=fired=1><script>fired=1<script>.jpg"
    named.write_bytes(photos[0].read_bytes())
    with open_page(app.url) as page:
        opened(page, "#ask").set_input_files("#photos input[type=file]", [named, photos[1]])
        page.wait_for_selector(".photographs figure:nth-child(2) img")
        field(page, "#countries").fill("Peru, Australia")
        page.click("#ask")
        frame = answered(page)
        assert re.search("Peru|Australia", frame.locator("h1").first.inner_text())
        assert "hypothesis, not proof" in frame.locator("body").inner_text().lower()
        links = page.locator("a[download]").evaluate_all("(links) => links.map((link) => link.download)")
        assert {Path(name).suffix for name in links} >= {".json", ".geojson", ".html", ".png"}
        assert page.evaluate("typeof fired") == "undefined"
        assert page.locator(".photographs script, .photographs [onerror]").count() == 0
        page.locator("#choice input").click()
        page.get_by_role("option", name=photos[1].name).click()
        page.wait_for_function(
            "(name) => document.querySelector('iframe.answer').srcdoc.includes(name)", arg=photos[1].name
        )


def test_what_cannot_be_answered_is_one_line_on_the_page(app, photos):
    with open_page(app.url) as page:
        opened(page, "#ask").set_input_files("#photos input[type=file]", photos[0])
        page.wait_for_selector(".photographs img")
        field(page, "#countries").fill("Atlantis")
        page.click("#ask")
        assert page.get_by_text("'Atlantis' is not an area").first.inner_text()


def test_the_keyboard_alone_asks_and_draws_a_box(app, photos):
    with open_page(app.url) as page:
        opened(page, "#ask")
        tab_to(page, "#photos button")
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Space")
        chooser.value.set_files(photos[0])
        page.wait_for_selector(".photographs img")
        page.locator("#area button").first.focus()
        page.keyboard.press("Enter")
        map_of_area = page.frame_locator("iframe.area-map").locator(".folium-map")
        map_of_area.focus()
        for key in ("Enter", "ArrowRight", "ArrowDown", "Enter"):
            page.keyboard.press(key)
            page.wait_for_timeout(400)
        box = field(page, "#box").input_value()
        south, west, north, east = map(float, box.split(","))
        assert -90 <= south < north <= 90
        assert west < east
        tab_to(page, "#ask")
        page.keyboard.press("Enter")
        page.wait_for_selector("iframe.answer, .toast-body")


def test_two_clicks_draw_a_box_and_it_may_cross_the_antimeridian(app):
    with open_page(f"{app.url}/area") as page:
        wait_for_base_map(page)
        for lat, lng in ((10, 20), (40, 60)):
            x, y = page.evaluate(
                "([lat, lng]) => { const at = map_1.latLngToContainerPoint([lat, lng]), box = map_1.getContainer()"
                ".getBoundingClientRect(); return [box.left + at.x, box.top + at.y]; }",
                [lat, lng],
            )
            page.mouse.click(x, y)
        drawn = page.inner_text("#drawn").removeprefix("Box ")
        assert [float(part) for part in drawn.split(",")] == pytest.approx([10, 20, 40, 60], abs=0.5)
        assert page.evaluate("boxOf({ lat: -20, lng: 170 }, { lat: -10.004, lng: 190 })") == "-20,170,-10,-170"
        assert page.evaluate("boxOf({ lat: 95, lng: -400 }, { lat: -95, lng: 400 })") == "-90,-180,90,180"
        page.click("#clear")
        assert page.inner_text("#drawn") == "No box is drawn."


def test_play_scores_a_guess_with_the_keyboard_alone(app):
    with open_page(f"{app.url}/play") as page:
        opened(page, "#player")
        tab_to(page, "#player")
        page.keyboard.type("Keys <b>only</b>")
        page.keyboard.press("Enter")
        page.wait_for_selector("#photo[src]")
        assert page.evaluate("document.activeElement.id") == "countries"
        page.keyboard.type("Frnace")
        page.keyboard.press("Enter")
        page.wait_for_selector("#problem:not(:empty)")
        assert page.inner_text("#problem") == "'Frnace' is not a country: did you mean France?"
        field(page, "#guess").fill("Peru, Kenya, Fiji, France, Australia")
        tab_to(page, ".folium-map")
        page.keyboard.press("Enter")
        assert page.inner_text("#picked").startswith("Place ")
        field(page, "#guess").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("#result:not([hidden])")
        rows = page.locator("#compared tbody tr").all_inner_texts()
        answers = read(app.uploads.parent / "table.csv")
        person = next(a for a in answers if a.kind == PERSON and a.player == "Keys <b>only</b>")
        network = next(a for a in answers if a.kind == NETWORK and a.photograph == person.photograph)
        for row, answer in zip(rows, (person, network), strict=True):
            points = round(5000 * 2.718281828 ** (-answer.distance_km / 1492.7))
            assert abs(int(row.split()[-1].replace(",", "")) - points) <= 1
        assert person.guesses == ("PE", "KE", "FJ", "FR", "AU")
        scores = page.inner_text("#scores")
        assert "Keys <b>only</b> and the network on 1 photograph\n" in scores
        assert "Only 1 group of photographs: no interval can be given, and nothing is decided." in scores
        tab_to(page, "#next")
        page.keyboard.press("Enter")
        page.wait_for_selector("#guess:not([hidden])")
        assert page.inner_text("#progress") == "Photograph 2 of 12"


def test_a_click_on_the_map_is_a_guess(app):
    with open_page(f"{app.url}/play") as page:
        opened(page, "#player").fill("#player", "Mouse")
        page.press("#player", "Enter")
        page.wait_for_selector("#photo[src]")
        x, y = page.evaluate(
            "(() => { const at = map_1.latLngToContainerPoint([-10, -75]), box = map_1.getContainer().getBoundingClientRect();"
            " return [box.left + at.x, box.top + at.y]; })()"
        )
        page.mouse.click(x, y)
        assert page.inner_text("#picked").startswith("Place ")
        page.click("#guess button[type=submit]")
        page.wait_for_selector("#result:not([hidden])")
        person = next(a for a in read(app.uploads.parent / "table.csv") if a.player == "Mouse")
        assert person.guesses == ("PE",)
        assert (person.latitude, person.longitude) == pytest.approx((-10, -75), abs=1)


@needs_axe
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_page_of_the_app_has_a_serious_fault_of_accessibility(app, photos, size, theme, tmp_path):
    with open_page(app.url, size, theme) as page:
        opened(page, "#ask")
        assert serious_faults(page) == []
        page.set_input_files("#photos input[type=file]", photos[0])
        page.wait_for_selector(".photographs img")
        page.click("#ask")
        answered(page)
        page.wait_for_selector("a[download]")
        assert serious_faults(page) == []
        saved(page, "app", size, theme, tmp_path)
    with open_page(f"{app.url}/play", size, theme) as page:
        opened(page, "#player").fill("#player", f"Reader {size[0]} {theme}")
        assert serious_faults(page) == []
        page.press("#player", "Enter")
        page.wait_for_selector("#photo[src]")
        wait_for_base_map(page)
        assert serious_faults(page) == []
        saved(page, "play", size, theme, tmp_path)
        page.fill("#countries", "Peru, Kenya")
        page.press("#countries", "Enter")
        page.wait_for_selector("#result:not([hidden])")
        assert serious_faults(page) == []
        saved(page, "play-result", size, theme, tmp_path)
    with open_page(f"{app.url}/area", size, theme) as page:
        wait_for_base_map(page)
        assert serious_faults(page) == []
