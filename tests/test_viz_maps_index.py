"""The index of many answers as people use it: sort, filter, scroll, read the map; with a mouse and with keys alone."""

import numpy as np
import pytest
from PIL import Image

from geocells.sphere import distance_km
from infer.overview import Overview
from infer.parts import ClassSet, SetMember
from tests.browser import (
    DESKTOP,
    PHONE,
    THEMES,
    needs_axe,
    needs_chromium,
    open_page,
    screenshots,
    serious_faults,
    tab_to,
    wait_until,
)
from tests.test_viz_web_page import assert_refers_to_no_network
from viz.maps.index import index_html

browser = pytest.mark.browser
COUNTRIES = ("Kenya", "Peru", "France", "Fiji")
ROW_BUDGET = 260
"""Bytes of the page for each answer, without its thumbnail."""


def overview(count=40, calibrated=True, **changes):
    """Return made-up answers of which every other one has a known place."""
    rng = np.random.default_rng(0)
    points = rng.uniform((-60, -180), (75, 180), (count, 2)).round(4)
    known = (points + rng.normal(0, 2, (count, 2))).clip((-90, -180), (90, 180)).round(4)
    known[1::2] = np.nan
    away = np.full(count, np.nan)
    away[::2] = distance_km(points[::2], known[::2])
    confidence = rng.uniform(0, 1, (count, 2)) if calibrated else np.full((count, 2), np.nan)
    values = {
        "title": f"{count} answers of demo",
        "total": count,
        "notes": ["A note."],
        "name": [f"photo-{k:05d}.jpg" for k in range(count)],
        "answer": [COUNTRIES[k % 4] for k in range(count)],
        "country": [COUNTRIES[k % 4] for k in range(count)],
        "page": [f"./photo-{k:05d}.html" for k in range(count)],
        "thumbnail": [f"./thumbnails/photo-{k:05d}.jpg" for k in range(count)],
        "levels": ["L3", "L8"],
        "confidence": confidence,
        "points_deg": points,
        "known_deg": known,
        "away_km": away,
        "area_km2": rng.uniform(1e4, 1e7, count),
        "coverage": 0.9,
        "sets": [None] * count,
    }
    return Overview(**{**values, **changes})


def of_countries(count=12):
    """Return answers of countries without points, in sets of one to three countries."""
    members = tuple(SetMember(code, name, 0.4) for code, name in (("KE", "Kenya"), ("PE", "Peru"), ("FR", "France")))
    nowhere, unknown = np.full((count, 2), np.nan), np.full(count, np.nan)
    confidence = np.random.default_rng(0).uniform(0, 1, (count, 1))
    sets = [ClassSet(0.9, "country", members[: 1 + k % 3], 0.9) for k in range(count)]
    places = {"points_deg": nowhere, "known_deg": nowhere, "away_km": unknown, "area_km2": unknown, "coverage": None}
    return overview(count, levels=["country"], confidence=confidence, sets=sets, **places)


def written(found, folder):
    """Write an index with thumbnails and the pages that it links."""
    (folder / "thumbnails").mkdir(exist_ok=True)
    for k, (thumbnail, page) in enumerate(zip(found.thumbnail, found.page, strict=True)):
        if thumbnail and k < 60:
            Image.new("RGB", (96, 64), (5 * k % 255, 90, 160)).save(folder / thumbnail)
            (folder / page).write_text(f"<!DOCTYPE html><title>{k}</title>")
        elif thumbnail:
            (folder / thumbnail).symlink_to((folder / found.thumbnail[0]).resolve())
    (folder / "index.html").write_text(index_html(found), encoding="utf-8")
    return folder / "index.html"


def names(page):
    return page.locator("#rows tbody tr:not([aria-hidden]) .name").all_inner_texts()


def test_the_page_refers_to_no_network_is_the_same_twice_and_says_what_answers_are():
    html = index_html(overview())
    assert_refers_to_no_network(html)
    assert html == index_html(overview())
    assert "A hypothesis, not proof. A note." in html


def test_names_and_answers_are_text_and_names_that_utf8_cannot_hold_do_not_end_it():
    bad = "<script>alert(1)</script>"
    html = index_html(overview(2, name=[bad, "caf\udce9.jpg"], answer=[bad, "x"], title=bad, notes=[bad]))
    assert bad not in html
    assert html.encode("utf-8")


def test_ten_thousand_answers_take_few_bytes_each():
    few, many = len(index_html(overview(10))), len(index_html(overview(10_010)))
    assert (many - few) / 10_000 < ROW_BUDGET


def test_only_some_of_very_many_are_said_to_be_some():
    assert "40 of them are listed, evenly from all." in index_html(overview(total=1000))
    assert "are listed" not in index_html(overview())


@needs_chromium
@browser
def test_headings_sort_and_say_by_what_and_unknown_values_come_last(tmp_path):
    found = overview()
    with open_page(written(found, tmp_path)) as page:
        assert names(page)[:2] == ["photo-00000.jpg", "photo-00001.jpg"]
        heading = page.locator("#rows thead th.away")
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == "ascending"
        order = np.argsort(found.away_km)
        assert names(page)[:3] == [found.name[k] for k in order[:3]]
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == "descending"
        known = order[~np.isnan(found.away_km[order])][::-1]
        assert names(page)[:3] == [found.name[k] for k in known[:3]]
        assert page.evaluate("ordered().map((i) => data.away[i]).lastIndexOf(null)") == 39
        page.locator("#rows thead th.confidence").get_by_role("button").click()
        level = page.evaluate("chosen.level")
        assert names(page)[0] == found.name[int(found.confidence[:, level].argmax())]


@needs_chromium
@browser
def test_filters_leave_rows_and_points_and_count_them(tmp_path):
    found = overview()
    with open_page(written(found, tmp_path)) as page:
        page.get_by_label("Filter by name, country or answer").fill("PERU")
        assert np.isnan(found.away_km[1::4]).all()
        assert page.inner_text("#count") == "10 of 40 answers shown"
        assert names(page) == [found.name[k] for k in range(1, 40, 4)]
        page.get_by_label("Filter by name, country or answer").fill("")
        page.locator("#least").select_option("0.8")
        level = page.evaluate("chosen.level")
        sure = [name for k, name in enumerate(found.name) if round(found.confidence[k, level], 3) >= 0.8]
        assert names(page) == sure
        assert page.inner_text("#count").startswith(f"{len(sure)} of 40 answers shown; median distance from the known")
        page.get_by_role("radio", name="L8" if level == 0 else "L3").check()
        assert names(page) == [
            name for k, name in enumerate(found.name) if round(found.confidence[k, 1 - level], 3) >= 0.8
        ]


@needs_chromium
@browser
def test_a_point_of_the_map_reads_its_answer_and_a_click_goes_to_its_row(tmp_path):
    found = overview(400)
    with open_page(written(found, tmp_path)) as page:
        # The most confident point lies above all others.
        level = page.evaluate("chosen.level")
        best = int(found.confidence[:, level].argmax())
        at = page.evaluate(f"map_1.latLngToContainerPoint({found.points_deg[best].tolist()})")
        box = page.locator(".folium-map").bounding_box()
        page.mouse.move(box["x"] + at["x"], box["y"] + at["y"])
        said = page.locator(".leaflet-tooltip").inner_text()
        assert found.name[best] in said
        assert f"{round(100 * round(found.confidence[best, level], 3))}%" in said
        page.mouse.click(box["x"] + at["x"], box["y"] + at["y"])
        row = page.locator("#rows tr[aria-current]")
        assert found.name[best] in row.inner_text()
        assert row.evaluate(
            "(r) => { const a = r.getBoundingClientRect(), b = document.getElementById('scroll').getBoundingClientRect();"
            " return a.top >= b.top && a.bottom <= b.bottom; }"
        )
        assert found.name[best] in page.inner_text("#card")


JUMPS = """async () => {
  const scroll = document.getElementById("scroll"), step = (scroll.scrollHeight - scroll.clientHeight) / 41, spent = [];
  for (let k = 1; k <= 40; k++) {
    scroll.scrollTop = k * step;
    const started = performance.now();
    scroll.dispatchEvent(new Event("scroll"));
    spent.push(performance.now() - started);
    await new Promise(requestAnimationFrame);
  }
  return Math.min(...spent);
}"""
"""Milliseconds of the script in that of forty jumps through the table which other programs disturbed least."""
FRAME_MS = 16


@needs_chromium
@browser
def test_ten_thousand_rows_scroll_within_a_frame_with_a_few_dozen_in_the_page(tmp_path):
    found = overview(10_000, thumbnail=[None] * 10_000)
    with open_page(written(found, tmp_path)) as page:
        assert page.evaluate(JUMPS) < FRAME_MS
        assert page.locator("#rows").get_attribute("aria-rowcount") == "10001"
        assert page.evaluate("document.getElementById('scroll').scrollHeight") == pytest.approx(10_000 * 64, rel=0.01)
        assert 5 < page.locator("#rows tbody tr").count() < 60
        shown = names(page)
        assert shown == sorted(shown)
        page.evaluate("document.getElementById('scroll').scrollTop = 1e9")
        page.locator("#rows", has_text=found.name[-1]).wait_for()


@needs_chromium
@browser
def test_keys_alone_sort_filter_scroll_and_open_a_page(tmp_path):
    found = overview(200)
    with open_page(written(found, tmp_path)) as page:
        tab_to(page, "#filter")
        page.keyboard.type("fiji")
        assert page.inner_text("#count").startswith("50 of 200")
        tab_to(page, "input[name=level]")
        page.keyboard.press("ArrowRight")
        tab_to(page, "#scroll")
        page.keyboard.press("PageDown")
        wait_until(page, "document.getElementById('scroll').scrollTop > 100")
        page.keyboard.press("Home")
        tab_to(page, "th.name button")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        assert page.locator("#rows th.name").first.get_attribute("aria-sort") == "descending"
        assert page.evaluate("document.activeElement.textContent") == "Photograph"
        # The tab key goes on through rows that were not in the page before.
        for _ in range(6):
            tab_to(page, "tbody th a")
        assert page.evaluate("document.activeElement.textContent") == "photo-00179.jpg"
        for _ in range(20):
            tab_to(page, "tbody th a")
        assert page.evaluate("document.activeElement.textContent") == "photo-00099.jpg"
        assert "photo-00099.jpg" in page.inner_text("#card")
        tab_to(page, "tbody td.answer button")
        page.keyboard.press("Enter")
        assert page.evaluate("[map_1.getCenter().lat, map_1.getCenter().lng]") == pytest.approx(
            found.points_deg[99].tolist(), abs=0.01
        )


@needs_chromium
@browser
def test_a_row_links_its_page_and_its_thumbnail_is_a_file_beside_it(tmp_path):
    with open_page(written(overview(), tmp_path)) as page:
        assert page.locator("#rows img").first.evaluate("async (i) => (await i.decode(), i.naturalWidth)") == 96
        page.get_by_role("link", name="photo-00002.jpg").click()
        assert page.title() == "2"


@needs_chromium
@browser
def test_answers_of_a_run_that_is_not_calibrated_have_neither_confidence_nor_its_filter(tmp_path):
    found = overview(8, calibrated=False, coverage=None, area_km2=np.full(8, np.nan))
    with open_page(written(found, tmp_path)) as page:
        assert page.locator("#rows thead th").all_inner_texts() == ["Photograph", "Answer", "Off by, km"]
        assert page.locator("#least").count() == 0
        assert "not calibrated" in page.inner_text(".legend")


def test_a_page_of_answers_without_points_has_neither_map_nor_words_about_one():
    html = index_html(of_countries())
    assert_refers_to_no_network(html)
    assert html == index_html(of_countries())
    assert "Leaflet" not in html
    assert "folium" not in html.split("<body")[1]
    assert "point of the map" not in html
    assert "km²" not in html.split("<body")[1].split("<script>")[0]
    assert len(html) < len(index_html(overview())) / 4


CUT = """() => [...document.querySelectorAll("#rows thead th")].filter((th) => {
  const words = document.createRange();
  words.selectNodeContents(th);
  return words.getBoundingClientRect().right > th.getBoundingClientRect().right + 0.5;
}).map((th) => th.innerText)"""
"""Headings whose words are wider than their column."""


@needs_chromium
@browser
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_page_of_answers_without_points_sorts_by_the_size_of_their_sets(tmp_path, size):
    found = of_countries()
    with open_page(written(found, tmp_path), size) as page:
        heads = page.locator("#rows thead th").all_inner_texts()
        assert heads == ["Photograph", "Answer", "Confidence", "90% set, countries"]
        page.locator("#rows thead th.set").get_by_role("button").click()
        assert names(page)[:4] == [found.name[k] for k in (0, 3, 6, 9)]
        page.locator("#rows tbody td.set").nth(1).hover()
        assert "90% set, 1 country: Kenya" in page.inner_text("#card")
        assert page.locator(".legend").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


@needs_chromium
@browser
@pytest.mark.parametrize("found", [overview(), of_countries()], ids=["places", "countries"])
def test_no_heading_is_cut_off_on_a_phone_also_while_it_sorts(tmp_path, found):
    with open_page(written(found, tmp_path), PHONE) as page:
        for heading in page.locator("#rows thead th:visible").all():
            heading.get_by_role("button").click()
            assert page.evaluate(CUT) == []


@needs_axe
@browser
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("found", [overview(), of_countries()], ids=["places", "countries"])
def test_axe_finds_no_serious_fault_and_nothing_is_cut_off_at_the_side(tmp_path, size, theme, found):
    with open_page(written(found, tmp_path), size, theme) as page:
        assert serious_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


@needs_chromium
@browser
def test_screenshots_are_taken_at_both_sizes_and_in_both_themes(tmp_path):
    taken = screenshots(written(overview(), tmp_path), "index", tmp_path)
    assert len({path.read_bytes() for path in taken}) == 4
