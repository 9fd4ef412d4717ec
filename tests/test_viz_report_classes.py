"""Reports of classes on the page: names, the matrix and what is folded into its last row."""

import re

import numpy as np
import pytest

from infer.evaluate.class_report import class_report
from tests.browser import needs_chromium, screenshot
from viz.report.classes import reports_html
from viz.report.confusion import SHOWN, confusion_html


def report_of(count, true, best):
    rng = np.random.default_rng(0)
    facts = [
        {"id": f"k{k}", "name": f"Land {k} & sea", "training_photographs": 3, "latitude": lat, "longitude": lon}
        | {"median_km": 12.0 + k, "p90_km": 1234.0}
        for k, (lat, lon) in enumerate(rng.uniform(-60, 60, (count, 2)))
    ]
    return class_report(np.array(best), np.array(true), np.arange(len(true)), facts, placed=True)


def rows_of(html):
    table = re.search(r'<table class="matrix">.*?</table>', html, re.DOTALL)[0]
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td>([\d,]+)</td>(.*?)</tr>', table)
    return {name: (int(n), re.findall(r"<td[^>]*>(.*?)</td>", cells)) for name, n, cells in rows}


def test_each_row_of_the_matrix_is_the_percentage_of_the_true_class():
    html = confusion_html(report_of(3, [0, 0, 0, 0, 1, 2], [0, 0, 0, 1, 1, 0]), "e_confusion_country.csv")
    rows = rows_of(html)
    order = list(rows)
    n, cells = rows["Land 0 &amp; sea"]
    assert n == 4
    assert cells[order.index("Land 0 &amp; sea")] == "75"
    assert cells[order.index("Land 1 &amp; sea")] == "25"
    assert cells[order.index("Land 2 &amp; sea")] == ""
    assert rows["Land 2 &amp; sea"][1][order.index("Land 0 &amp; sea")] == "100"
    assert 'title="Land 2 &amp; sea answered as Land 0 &amp; sea: 1 of 1"' in html
    assert "All counts are in e_confusion_country.csv" in html


def test_the_most_frequent_confusion_comes_first_with_its_share_and_distance():
    html = confusion_html(report_of(3, [0, 0, 0, 1, 1], [2, 2, 0, 0, 1]), "f.csv")
    first = re.search(r"<tbody><tr>(.*?)</tr>", html)[1]
    said = re.sub(r"<[^>]+>", " ", first).split()
    assert said[:9] == ["Land", "0", "&amp;", "sea", "Land", "2", "&amp;", "sea", "2"]
    assert said[9] == "67%"
    assert said[-1] == "km"


def test_of_many_classes_the_smallest_share_a_row_and_nothing_is_lost():
    rng = np.random.default_rng(1)
    true = np.concatenate([np.arange(60), rng.integers(0, 30, 400)])
    rows = rows_of(confusion_html(report_of(60, true, rng.permutation(true)), "f.csv"))
    assert len(rows) == SHOWN + 1
    assert list(rows)[-1] == "other classes"
    assert sum(n for n, _ in rows.values()) == 460
    assert all(len(cells) == SHOWN + 1 for _, cells in rows.values())


def test_a_single_class_and_perfect_answers_have_no_confusions():
    assert confusion_html(report_of(1, [0, 0], [0, 0]), "f.csv") == ""
    assert "No photograph was taken for another class." in confusion_html(report_of(2, [0, 1], [0, 1]), "f.csv")


def test_the_page_says_averages_spread_and_where_the_files_are_and_folds_further_levels():
    one = report_of(3, [0, 0, 1, 2], [0, 1, 1, 2])
    html = reports_html({"country": one, "region": one}, "evaluation_test.json")
    said = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "evaluation_test_classification_report_country.csv" in said
    assert "evaluation_test_confusion_region.csv" in said
    assert "Accuracy 75.0% of 4 photographs" in said
    assert "of 1 photograph taken for another class" in said
    assert "<h3>Classes: how often" in reports_html({"class": one}, "evaluation_test.json")
    assert "Macro average 83.3% 83.3% 77.8%" in said
    assert "12 1,234" in said
    assert html.count("<details open>") == 1
    assert html.count("<details><summary>Classes of region, 75.0% right</summary>") == 1


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_the_matrix_shows_its_diagonal_dark_at_either_width(tmp_path, width):
    from viz.web.page import look

    rng = np.random.default_rng(1)
    true = rng.integers(0, 12, 300)
    html = confusion_html(report_of(12, true, true), "f.csv")
    page = f"<!DOCTYPE html><style>{look('report.css')}</style><main><section>{html}</section></main>"
    shot = screenshot(page, tmp_path, width, 800).astype(int)
    dark = np.abs(shot - (0x0B, 0x5C, 0xAD)).max(axis=2) < 12
    assert dark.sum() > 2000
