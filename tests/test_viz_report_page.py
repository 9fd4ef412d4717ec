"""The report in a browser: both sizes, both themes, by keys alone, and without serious faults of accessibility."""

import numpy as np
import pytest

from tests.browser import THEMES, needs_axe, needs_chromium, open_html, screenshots, serious_faults, written
from tests.test_viz_report import html_of, run
from tests.test_viz_report_answers import answer
from tests.test_viz_web_page import HOSTILE
from tests.tiny import update_run
from viz.report.comparison import compare
from viz.report.files import read_files
from viz.report.page import report_html
from viz.report.photographs import read_samples
from viz.web.page import colours

__all__ = ["run"]


@pytest.fixture
def whole(run, tiny):
    """Return a report with photographs and with a comparison, of a run whose name is hostile."""
    answer(run, tiny, np.linspace(0.1, 30, 12))
    update_run(run, name=HOSTILE)
    files = read_files(run)
    samples = read_samples(files.answered["evaluation_test.json"], tiny)
    return report_html(files, samples, compare(files, files))


@needs_axe
@pytest.mark.browser
@pytest.mark.parametrize("theme", THEMES)
def test_no_serious_fault_of_accessibility_with_all_that_is_folded_open(whole, tmp_path, theme):
    with open_html(whole, tmp_path, theme=theme) as page:
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert serious_faults(page) == []


@needs_chromium
@pytest.mark.browser
def test_screenshots_of_both_sizes_and_themes_differ_and_nothing_is_wider_than_the_window(whole, tmp_path):
    taken = screenshots(written(whole, tmp_path), "report", tmp_path / "shots")
    assert len({path.read_bytes() for path in taken}) == 4
    for size in ((1280, 900), (390, 844)):
        with open_html(whole, tmp_path, size) as page:
            assert page.evaluate("document.documentElement.scrollWidth") == size[0]


@needs_chromium
@pytest.mark.browser
@pytest.mark.parametrize("theme", THEMES)
def test_page_and_maps_have_the_colours_of_the_theme(run, tmp_path, theme):
    with open_html(html_of(run), tmp_path, theme=theme) as page:
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        shown = page.evaluate("document.querySelector('img.world').currentSrc.length")
        sources = page.evaluate(
            "[document.querySelector('img.world').src, document.querySelector('source').srcset].map((s) => s.length)"
        )
    assert ground == f"rgb({', '.join(str(int(colours(theme)['ground'][at : at + 2], 16)) for at in (1, 3, 5))})"
    assert shown == sources[theme == "dark"]


@needs_chromium
@pytest.mark.browser
def test_keys_alone_unfold_the_terms_and_scroll_a_wide_table(whole, tmp_path):
    with open_html(whole, tmp_path, (390, 844)) as page:
        page.locator(".terms summary").first.focus()
        page.keyboard.press("Enter")
        assert page.locator(".terms dl").first.is_visible()
        wide = page.locator(".wide:has(table)").first
        wide.focus()
        assert page.evaluate("document.activeElement.className") == "wide"
        assert wide.get_attribute("aria-label")


@needs_chromium
@pytest.mark.browser
def test_a_hostile_name_is_text_in_title_and_heading(whole, tmp_path):
    with open_html(whole, tmp_path) as page:
        assert "<script>alert(1)</script>" in page.title()
        assert "<script>alert(1)</script>" in page.locator("h1").inner_text()
        assert page.locator("script").count() == 0
