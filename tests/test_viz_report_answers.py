"""The verdict, the photographs, the comparison, the class balance and the terms of a report."""

import re
import shutil
from html import unescape

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from dataset.manifest import coordinates, read_manifest
from geocells.sphere import distance_km, geoscore
from infer.evaluate.photographs import answered_places, write_photographs
from label_maps.files import read_hierarchy
from plumbing.files import write_json
from tests.test_viz_report import evaluation, figure, html_of, run, text_of
from tests.tiny import update_run
from viz.config import ReportConfig
from viz.report.balance import balance_panel
from viz.report.comparison import compare
from viz.report.confidence import wilson
from viz.report.errors import error_panel
from viz.report.files import read_files
from viz.report.page import write_report
from viz.report.photographs import SHOWN, chosen, chosen_classes, place_words
from viz.report.terms import TERMS

__all__ = ["run"]


def answer(run, data, north_deg):
    """Write answers so many degrees north of the test photographs of a dataset, a column of numbers or one number."""
    photos = read_manifest(data)
    photos = photos[photos["split"] == "test"]
    points = coordinates(photos) + np.stack([np.broadcast_to(north_deg, len(photos)), np.zeros(len(photos))], axis=1)
    away = distance_km(points, coordinates(photos))
    write_photographs(run / "evaluation_test.json", answered_places(photos, points, away, np.arange(len(photos))))
    return away


@pytest.fixture
def other(run, tmp_path):
    """Return a copy of the run under another name."""
    copy = shutil.copytree(run, tmp_path / "other")
    update_run(copy, name="other <b>run</b>")
    return copy


def test_the_verdict_stands_in_the_header_with_its_basis(run):
    assert 'class="verdict' not in html_of(run)
    report = evaluation()
    report["answers"]["one place"] = {"geoscore": figure(1605.0), "median_km": figure(4000.0)}
    report["answers"]["one place"] |= {"within_200km": figure(0.1)}
    write_json(run / "evaluation_test.json", report)
    html = html_of(run)
    header = html[html.index("<header>") : html.index("</header>")]
    assert '<p class="verdict good">Twice as good as one fixed answer</p>' in header
    assert (
        "GeoScore 3,210 [2,889, 3,531], where the best single place for all photographs has 1,605 [1,444, 1,766]"
        in header
    )
    report["answers"]["one place"]["geoscore"] = figure(3200.0)
    write_json(run / "evaluation_test.json", report)
    assert '<p class="verdict open">No better than one fixed answer, as far as' in html_of(run)


@given(st.lists(st.tuples(st.floats(0, 2e4), st.integers(0, 9)), min_size=1, max_size=60))
def test_chosen_photographs_are_the_extremes_and_no_photograph_is_shown_twice(rows):
    answered = pd.DataFrame(rows, columns=["distance_km", "group"])
    found = chosen(answered)
    away = answered["distance_km"]
    everything = np.concatenate(list(found.values()))
    assert len(set(everything.tolist())) == len(everything)
    assert all(len(own) <= SHOWN and answered["group"].iloc[own].is_unique for own in found.values())
    assert all(away.iloc[own].is_monotonic_increasing for own in found.values())
    assert away.iloc[found["Best"][0]] == away.min()
    if len(found["Worst"]):
        assert away.iloc[found["Worst"]].max() == away.drop(found["Best"]).max()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=60))
def test_right_and_wrong_photographs_are_spread_over_classes_and_confusions(rows):
    answered = pd.DataFrame(rows, columns=["true_class", "answered_class", "group"])
    answered["right"] = answered["true_class"] == answered["answered_class"]
    found = chosen_classes(answered)
    for kind, right in (("Right", True), ("Wrong", False)):
        own, of_kind = answered.iloc[found[kind]], answered[answered["right"] == right]
        assert (own["right"] == right).all()
        assert len(own) == min(SHOWN, of_kind["group"].nunique())
        assert own["group"].is_unique
        if len(own):
            most = of_kind.groupby(["true_class", "answered_class"]).size().max()
            first = own.iloc[0]
            pair = of_kind[["true_class", "answered_class"]] == first[["true_class", "answered_class"]]
            assert pair.all(axis=1).sum() == most


def test_the_most_frequent_confusions_come_first_and_each_once_before_any_twice():
    pairs = [(0, 1)] * 3 + [(1, 0)] * 2 + [(2, 0)] + [(0, 0)] * 2 + [(2, 2)] * 3
    answered = pd.DataFrame(pairs, columns=["true_class", "answered_class"])
    answered = answered.assign(right=answered["true_class"] == answered["answered_class"], group=range(len(pairs)))
    found = chosen_classes(answered)
    assert found["Wrong"].tolist() == [0, 3, 5, 1]
    assert found["Right"].tolist() == [8, 6, 9, 7]


def test_photographs_are_shown_with_their_distance_and_named_places(run, tiny, tmp_path):
    away = answer(run, tiny, np.linspace(0.1, 30, 12))
    write_report(ReportConfig(run, tmp_path / "a.html", data=tiny))
    html = (tmp_path / "a.html").read_text(encoding="utf-8")
    said = text_of(html)
    assert html.count("data:image/jpeg;base64") == 12
    assert f"Worst: the largest errors of the split {away[8]:,.0f} km off" in said
    assert re.search(r"11 km off Taken near [^,]+, .*?France Answered near", said)
    assert "Best: the smallest errors of the split 11 km off" in said
    write_report(ReportConfig(run, tmp_path / "b.html", data=tiny))
    assert (tmp_path / "b.html").read_bytes() == (tmp_path / "a.html").read_bytes()


def test_a_report_without_a_dataset_says_how_photographs_are_shown_and_another_dataset_is_refused(run, tiny, tmp_path):
    with pytest.raises(
        ValueError, match=r"no evaluation that says how each photograph was answered.*infer evaluate --data"
    ):
        write_report(ReportConfig(run, tmp_path / "a.html", data=tiny))
    assert "python -m infer evaluate --data DATASET --run RUN" in html_of(run)
    answer(run, tiny, 1.0)
    assert "python -m viz report --run RUN --data DATASET --out report.html" in html_of(run)
    moved = shutil.copytree(tiny, tmp_path / "data")
    photos = read_manifest(moved)
    from dataset.manifest import write_manifest

    write_manifest(moved, photos.assign(id="x" + photos["id"]))
    with pytest.raises(
        ValueError, match=r"has no photograph '.*' of the evaluation: pass the dataset that was evaluated"
    ):
        write_report(ReportConfig(run, tmp_path / "a.html", data=moved))


def test_a_place_far_from_towns_is_told_with_its_distance():
    assert place_words(np.array([48.8567, 2.3508])) == "near Paris, Île-de-France, France"
    assert re.fullmatch(r"[\d,]+ km from .*", place_words(np.array([-45.0, -120.0])))


def test_two_runs_are_compared_on_the_same_photographs_with_paired_intervals(run, other, tiny):
    ours, theirs = answer(run, tiny, 1.0), answer(other, tiny, np.linspace(2, 13, 12))
    found = compare(read_files(run), read_files(other))
    rows = {row.name: row for row in found.rows}
    assert (found.photographs, found.left_out, found.nearer["value"]) == (12, 0, 1.0)
    assert rows["median_km"].difference["value"] == pytest.approx(np.median(ours) - np.median(theirs))
    assert rows["geoscore"].difference["value"] == pytest.approx((geoscore(ours) - geoscore(theirs)).mean())
    assert rows["geoscore"].better
    assert rows["median_km"].better
    assert not compare(read_files(other), read_files(run)).rows[0].better
    assert compare(read_files(run), read_files(run)).rows[0].better is None


def test_one_group_of_photographs_decides_nothing_between_two_runs(run, other, tiny, tmp_path):
    for folder, north_deg in ((run, 1.0), (other, 5.0)):
        answer(folder, tiny, north_deg)
        path = folder / "evaluation_test_photographs.parquet"
        pd.read_parquet(path).assign(group=7).to_parquet(path)
    found = compare(read_files(run), read_files(other))
    assert {row.better for row in found.rows} == {None}
    assert found.rows[0].difference["value"] > 0
    write_report(ReportConfig(run, tmp_path / "a.html", against=other))
    said = text_of((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert "for this share of photographs: 100.0%." in said
    assert "undecided: no interval" in said
    assert "in 1 group. One group of photographs gives no interval, and cannot decide." in said


def test_a_comparison_stands_on_the_page_and_names_of_runs_are_text(run, other, tiny, tmp_path):
    answer(run, tiny, 1.0)
    answer(other, tiny, 5.0)
    write_report(ReportConfig(run, tmp_path / "a.html", against=other))
    html = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<b>run" not in html
    said = unescape(text_of(html))
    assert "Better than other <b>run</b>: GeoScore +" in said
    assert re.search(
        r"Median error 111 km 556 km \N{MINUS SIGN}445 km better: \N{MINUS SIGN}445 to \N{MINUS SIGN}445", said
    )
    assert "Both runs on the same 12 photographs of the test split, in 12 groups." in said


def test_what_cannot_be_compared_is_refused_with_what_to_do(run, other, tiny, tmp_path):
    answer(run, tiny, 1.0)
    with pytest.raises(ValueError, match=r"other .* has no file of its photographs: run .*--split test"):
        compare(read_files(run), read_files(other))
    away = answer(other, tiny, 1.0)
    moved = pd.read_parquet(other / "evaluation_test_photographs.parquet")
    moved.assign(latitude=moved["latitude"] + 1).to_parquet(other / "evaluation_test_photographs.parquet")
    assert len(away) == 12
    with pytest.raises(ValueError, match="share no photograph of the test split: evaluate both on one dataset"):
        compare(read_files(run), read_files(other))
    (other / "evaluation_test.json").unlink()
    with pytest.raises(
        ValueError, match=r"no evaluation of the same split: this run has evaluation_test.json, .* nothing"
    ):
        compare(read_files(run), read_files(other))
    with pytest.raises(ValueError, match="--against is the run itself"):
        ReportConfig(run, tmp_path / "a.html", against=run)


def test_the_curve_of_errors_is_the_share_within_each_distance():
    errors = np.array([5.0, 50.0, 500.0, 5000.0])
    (line,) = error_panel({"": errors}, "test").lines
    for power, share in line.points:
        assert share == (errors <= 10**power).mean()
    assert line.points[-1][1] == 1.0


def test_the_class_balance_has_every_class_and_counts_its_photographs(run):
    said, hierarchy = text_of(html_of(run)), read_hierarchy(run)
    count = hierarchy.train_count[hierarchy.rows(3)]
    assert count.tolist() == [6] * 6
    assert "L8 6 3 6 6" in said, "six classes, three hold half, six have fewer than ten, the largest has six"
    fine = balance_panel(hierarchy).lines[-1]
    assert [10**y for _, y in fine.points] == pytest.approx([6] * 6)


@pytest.mark.parametrize(("hits", "count"), [(0, 8), (5, 10), (49, 50)])
def test_whiskers_are_those_of_scipy(hits, count):
    interval = binomtest(hits, count).proportion_ci(method="wilson")
    assert wilson(hits / count, count) == pytest.approx((interval.low, interval.high))


def test_levels_of_four_classes_have_no_top_five(run):
    report = evaluation()
    report["levels"]["L1"] |= {"classes": 4, "top_3": figure(0.77), "top_5": figure(0.88), "top_10": figure(0.99)}
    write_json(run / "evaluation_test.json", report)
    said = text_of(html_of(run))
    assert "77.0%" in said
    assert "88.0%" not in said
    assert "99.0%" not in said


def test_a_temperature_at_the_limit_of_the_fit_is_named(run):
    record = {"fusion": "chain", "point": "top", "temperatures": {"chain": {"L1": 1.0, "L8": 20.0}}, "nll": {}}
    write_json(run / "temperatures.json", record)
    assert "The temperature of L8 is at a limit of the fit" in text_of(html_of(run))
    write_json(run / "temperatures.json", {**record, "temperatures": {"chain": {"L1": 1.0, "L8": 2.0}}})
    assert "at a limit of the fit" not in text_of(html_of(run))


def test_every_term_is_explained_in_a_line_and_is_in_the_glossary():
    from pathlib import Path

    glossary = Path("docs/glossary.md").read_text(encoding="utf-8").lower()
    for term, words in TERMS.items():
        assert len(words) <= 125, term
        assert f"**{term.lower()}" in glossary or f"*{term.lower()}*" in glossary or f"({term.lower()})" in glossary, (
            term
        )
