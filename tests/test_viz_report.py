import json
import re
import shutil
from html import escape
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocells import grid
from infer.evaluate.calibration import calibration_error, error_if_perfect, reliability
from infer.evaluate.coverage import covered
from infer.network.weights import load_network, save_network
from infer.run_files import model_hash
from label_maps.files import read_hierarchy
from plumbing.files import read_json, write_json
from tests.browser import needs_chromium, painted, screenshot, share_near, share_of
from tests.test_viz_web_page import HOSTILE, assert_refers_to_no_network, loads
from tests.tiny import PLACES, update_run
from viz.config import ReportConfig
from viz.report.files import last_trainings, read_files, read_metrics
from viz.report.header import SYNTHETIC
from viz.report.line_chart import Line, Panel, panel_html, spread
from viz.report.maps import ERROR_COLOURS, error_colour, training_counts
from viz.report.page import report_html, write_report
from viz.report.parts import area_words, bar
from viz.report.training import CHECK_COLOUR, LEVEL_COLOURS, TRAIN_COLOUR
from viz.web.page import colours as palette


def figure(value):
    return {"value": value, "low": 0.9 * value, "high": 1.1 * value}


def evaluation(**more):
    def answers(score, km, share):
        return {"geoscore": figure(score), "median_km": figure(km), "within_200km": figure(share)}

    group = {"n": 12, "geoscore": 2500.0, "median_km": 600.0}
    return {
        "split": "test",
        "photographs": 1234,
        "answers": {"model": answers(3210, 432, 0.4), "chance": answers(321, 8765, 0.01)},
        "levels": {"L1": {"classes": 40, "top_1": figure(0.5), "top_10": figure(0.9), "in_a_known_cell": 0.97}},
        "slices": {
            "country": {"FR": group, "KE": {**group, "median_km": 5000.0}},
            "country_macro_average": {"geoscore": 2500.0, "median_km": 2800.0},
            "latitude": {"-30 to 0": group, "30 to 60": group},
            "training_photographs_nearby": {"10 to 20": {**group, "median_km": 11.0}, "0 to 10": group},
        },
        **more,
    }


def line(name, epoch, **metrics):
    return {"name": name, "epoch": epoch, "step": 9 * epoch, **metrics}


@pytest.fixture
def run(tiny_run, tmp_path):
    """Return a copy of a trained run that was evaluated."""
    copy = tmp_path / "run"
    shutil.copytree(tiny_run, copy, ignore=shutil.ignore_patterns("checkpoints"))
    write_json(copy / "evaluation_test.json", evaluation())
    return copy


def html_of(run):
    return report_html(read_files(run))


def text_of(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html.split("</style>")[1]).split())


def test_the_page_refers_to_no_network_and_has_no_script(run):
    html = html_of(run)
    assert_refers_to_no_network(html)
    assert "script" not in loads(html).tags
    assert "script-src" not in loads(html).policy


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    write_report(ReportConfig(run, tmp_path / "a.html"))
    write_report(ReportConfig(run, tmp_path / "b.html"))
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_the_page_says_what_the_run_is(run):
    record, said = read_json(run / "run.json"), text_of(html_of(run))
    for key in ("name", "created_at_utc", "version", "dataset_hash", "label_map_hash", "git_commit"):
        assert str(record[key]) in said
    assert "joint.safetensors shufflenet_v2_x0_5 32 by 32" in said
    sizes = read_hierarchy(run).sizes()
    assert re.search(rf"L1 {sizes[0]} 36 .* L8 {sizes[-1]} 36 6 to 6", said)


def test_a_run_of_the_demo_planet_says_so_and_another_does_not(run):
    update_run(run, synthetic=False)
    assert SYNTHETIC not in html_of(run)
    update_run(run, synthetic=True)
    assert SYNTHETIC in html_of(run)


def test_figures_stand_beside_chance_with_their_intervals(run):
    said = text_of(html_of(run))
    assert "432 km median error chance: 8,765 km" in said
    assert "GeoScore, of 5,000 321 289–353 3,210 2,889–3,531" in said
    assert "Within 200 km 1.0% 0.9–1.1 40.0% 36.0–44.0" in said
    assert "Clue oracle" not in said


def test_levels_have_top_1_to_top_10_and_what_an_older_file_lacks_is_left_blank(run):
    assert "Among best 10 True cell is a class L1 40 50.0% 45.0–55.0 90.0% 81.0–99.0 97.0%" in text_of(html_of(run))
    report = evaluation()
    report["levels"]["L1"] |= {"top_3": figure(0.6), "top_5": figure(0.8)}
    write_json(run / "evaluation_test.json", report)
    said = text_of(html_of(run))
    assert "Best cell right Among best 3 Among best 5 Among best 10" in said
    assert "L1 40 50.0% 45.0–55.0 60.0% 54.0–66.0 80.0% 72.0–88.0 90.0% 81.0–99.0 97.0%" in said


def test_percentiles_of_errors_are_told_in_words_and_narrow_screens_leave_out_what_is_minor(run):
    report = evaluation()
    for name in ("model", "chance"):
        report["answers"][name] |= {"p25_km": figure(100.0), "p95_km": figure(5000.0)}
    report["answers"]["one place"] = report["answers"]["chance"]
    write_json(run / "evaluation_test.json", report)
    html = html_of(run)
    assert "25 % of errors below 100 km 90–110 100 km 90–110" in text_of(html)
    assert "95 % of errors below 5,000 km" in text_of(html)
    assert '<th scope="col" class="minor">One place</th>' in html
    assert html.count('<td class="minor">') == len(report["answers"]["model"]) + 1


def test_the_oracle_has_a_column_where_it_was_measured(run):
    report = evaluation()
    report["answers"]["clue oracle"] = report["answers"]["model"]
    write_json(run / "evaluation_test.json", report)
    assert "Chance This run Clue oracle" in text_of(html_of(run))


@pytest.mark.parametrize("groups", [1, 2])
def test_figures_of_one_group_have_no_intervals(run, groups):
    against = {"run": "other", "photographs": 12, "geoscore": figure(77.0)}
    levels = {"L1": {"ece_before": 0.2, "ece_intervals": {"before": figure(0.2)}, "ece_if_perfect": {"mean": 0.01}}}
    write_json(run / "evaluation_test.json", evaluation(groups=groups, against=against, calibration=levels))
    said = text_of(html_of(run))
    intervals = ("2,889–3,531", "45.0–55.0", "18.0–22.0", "+69 +85")
    assert [interval in said for interval in intervals] == [groups > 1] * len(intervals)
    assert ("Without intervals, for resampling one group gives none." in said) == (groups == 1)
    assert "+77" in said


def test_photographs_that_were_trained_on_are_named(run):
    assert "trained on: the figures" not in text_of(html_of(run))
    write_json(run / "evaluation_test.json", evaluation(trained_on=7))
    assert "7 of these photographs were trained on: the figures" in text_of(html_of(run))


def test_photographs_related_to_training_ones_are_named_by_kind(run):
    leaks = {"photographs": 20, "share": 0.02, "contaminated": True, "kinds": {"same place": 20, "same sequence": 0}}
    write_json(run / "evaluation_test.json", evaluation(leaks=leaks))
    assert "20 of these photographs are related to training ones: same place 20." in text_of(html_of(run))
    write_json(run / "evaluation_test.json", evaluation(leaks={**leaks, "contaminated": False}))
    assert "are related to training ones" not in text_of(html_of(run))


def test_what_an_audit_did_not_know_and_impossible_coverages_are_reported(run):
    leaks = {"photographs": 0, "share": 0.0, "contaminated": False, "kinds": {}}
    unknown = {**leaks, "training_photographs": 90, "compared_with": 40}
    write_json(run / "evaluation_test.json", evaluation(leaks=unknown, impossible_coverages=[0.9]))
    said = text_of(html_of(run))
    assert "The leak audit knew 40 of 90 training photographs" in said
    assert "Regions of 90% coverage are impossible for such photographs." in said
    write_json(
        run / "evaluation_test.json", evaluation(leaks={**unknown, "compared_with": 90}, impossible_coverages=[])
    )
    assert "The leak audit knew" not in text_of(html_of(run))


def test_a_run_stands_against_another_with_the_sign_of_the_difference(run):
    differences = {"geoscore": {"value": 123.4, "low": 50.0, "high": 200.0}, "nearer": figure(0.5)}
    write_json(run / "evaluation_test.json", evaluation(against={"run": "old", "photographs": 99, **differences}))
    said = text_of(html_of(run))
    assert "Against old, on the same 99 photographs This run from to GeoScore higher by +123 +50 +200" in said
    assert "Answer nearer 50.0% 45.0% 55.0%" in said


def test_recall_by_area_is_shown_where_it_was_measured(run):
    write_json(run / "evaluation_test.json", evaluation(recall_by_area_km2={"1e+06": 0.25}))
    assert "Within km² of the time 1,000,000 25.0%" in text_of(html_of(run))


def test_groups_by_number_come_in_their_order_and_latitude_from_the_north(run):
    said = text_of(html_of(run))
    assert "Training photographs Photographs Median error GeoScore 0 to 10 12 600 km 2,500 10 to 20 12 11 km" in said
    assert said.index("30 to 60") < said.index("-30 to 0")


def test_groups_of_photographs_are_counted_beside_them(run):
    report = evaluation()
    for own in report["slices"]["training_photographs_nearby"].values():
        own["groups"] = 7
    write_json(run / "evaluation_test.json", {**report, "groups": 9})
    said = text_of(html_of(run))
    assert "photographs in 9 groups" in said
    assert "Training photographs Photographs Groups Median error GeoScore 0 to 10 12 7 600 km" in said


def test_only_the_first_countries_are_open(run):
    report = evaluation()
    group = report["slices"]["country"]["FR"]
    report["slices"]["country"] = {f"{a}{b}": group for a in "ABCDE" for b in "VWXYZ"}
    write_json(run / "evaluation_test.json", report)
    assert "<summary>13 more</summary>" in html_of(run)


def test_each_evaluation_has_its_section_and_the_test_split_is_told_first(run):
    write_json(run / "evaluation_calibration.json", {**evaluation(), "split": "calibration", "photographs": 55})
    said = text_of(html_of(run))
    assert "Evaluation: calibration split, 55 photographs" in said
    assert "1,234 photographs of the test split" in said


def test_figures_of_other_weights_than_the_run_has_now_are_marked(run, tmp_path, caplog):
    own = model_hash(read_json(run / "run.json"), [run / "joint.safetensors"])
    write_json(run / "evaluation_test.json", evaluation(model_hash=own))
    assert "other weights" not in html_of(run)
    write_json(run / "evaluation_test.json", evaluation(model_hash="0" * 64))
    assert "evaluation_test.json is of other weights than the run has now" in text_of(html_of(run))
    write_report(ReportConfig(run, tmp_path / "a.html"))
    assert "evaluation_test.json is of other weights" in caplog.text


def test_calibration_and_coverage_are_shown_where_they_were_measured(run):
    rng = np.random.default_rng(0)
    sure = rng.random(500)
    right, counts = rng.random(500) < sure, np.ones(500)
    level = {
        "ece_before": calibration_error(sure**0.2, right, counts),
        "ece_after": calibration_error(sure, right, counts),
        "ece_if_perfect": error_if_perfect(sure, counts),
        "reliability": {
            "before": reliability(sure**0.2, right, counts),
            "after": reliability(sure, right, counts),
        },
    }
    region = {
        "covered": covered(rng.random(500) < 0.9, np.arange(500)),
        "median_area_km2": 2.34e6,
        "slices": {"latitude": {}},
    }
    assert "Is the confidence calibrated" not in html_of(run)
    write_json(run / "evaluation_test.json", evaluation(calibration={"L1": level}, regions={"0.9": region}))
    said = text_of(html_of(run))
    assert f"raw final if perfect L1 {level['ece_before']:.1%} {level['ece_after']:.1%}" in said
    assert f"90% {region['covered']['value']:.1%}" in said
    level["ece_intervals"] = {"after": {"value": 0.05, "low": 0.0123, "high": 0.0456}}
    write_json(
        run / "evaluation_test.json",
        evaluation(calibration={"L1": level}, regions={"0.9": region}, guarantee="approximate"),
    )
    said = text_of(html_of(run))
    assert f"{level['ece_after']:.1%} 1.2–4.6" in said
    assert "Coverage guarantee: approximate." in said
    assert "2.34 million" in said
    region |= {"cells": "L5", "covered_of_photographs": {"value": 0.123}}
    write_json(run / "evaluation_test.json", evaluation(regions={"0.9": region}))
    said = text_of(html_of(run))
    assert f"90%, of known L5 cells {region['covered']['value']:.1%}" in said
    # Beside what counts each group of related photographs as one stands what counts each photograph.
    assert "12.3%" in said


def test_what_an_evaluation_says_beyond_is_listed_by_its_own_names(run):
    write_json(run / "evaluation_test.json", evaluation(novel={"inner": [1, 2], "ratio": 1 / 3}))
    said = text_of(html_of(run))
    assert "novel / inner [1, 2]" in said
    assert "novel / ratio 0.333333" in said


def test_hostile_text_stays_text(run):
    plain = set(loads(html_of(run)).tags)
    update_run(run, name=HOSTILE, dataset={"name": HOSTILE, "source": HOSTILE}, git_commit=HOSTILE)
    report = evaluation(split=HOSTILE)
    report["slices"]["country"] = {HOSTILE: report["slices"]["country"]["FR"], "KE": report["slices"]["country"]["KE"]}
    write_json(run / "evaluation_test.json", report)
    lines = (
        (run / "metrics.jsonl").read_text(encoding="utf-8").replace('"name": "joint"', f'"name": {json.dumps(HOSTILE)}')
    )
    (run / "metrics.jsonl").write_text(lines, encoding="utf-8")
    html = html_of(run)
    assert "<script" not in html
    assert set(loads(html).tags) == plain
    assert html.count(escape("</script><script>alert(1)</script>{{ 7 * 7 }}")) > 7


def test_what_is_absent_is_named_with_the_command_that_makes_it(run):
    for path in [*run.glob("*.safetensors"), *run.glob("evaluation_*"), run / "metrics.jsonl"]:
        path.unlink()
    shutil.rmtree(run / "label_maps")
    html = html_of(run)
    commands = re.findall(r'<p class="missing">[^<]*<code>python -m (\w+ \w+)', html)
    assert commands == ["infer evaluate", "label_maps build", "train joint", "train calibrate", "train joint"]


def test_the_chosen_way_of_answering_is_marked(run):
    ways = {fusion: {"top": 1000.0, "median": 1000.0 + k} for k, fusion in enumerate(("chain", "product"))}
    fitted = {"chain": {"L1": 0.5, "L8": 1.25}, "product": {"L1": 2.0, "L8": 3.0}}
    nll = {"chain": {"before": 4.5, "after": 3.25}}
    record = {"fusion": "product", "point": "median", "temperatures": fitted, "geoscore": ways, "nll": nll}
    write_json(run / "temperatures.json", record)
    html = html_of(run)
    assert re.findall(r"<mark>(.*?)</mark>", html) == ["1,001", "product"]
    assert "chain 0.500 1.250 4.500 3.250" in text_of(html)


@pytest.mark.parametrize("name", ["temperatures.json", "evaluation_test.json"])
def test_a_file_of_something_else_is_refused_by_its_name(run, name):
    write_json(run / name, {"a": 1})
    with pytest.raises(ValueError, match=f"{name} lacks .*again with"):
        html_of(run)


def test_a_damaged_network_is_refused_by_its_name(run):
    (run / "joint.safetensors").write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"joint\.safetensors is damaged"):
        html_of(run)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is not a run folder"):
        write_report(ReportConfig(tmp_path, tmp_path / "report.html"))


def test_a_resumed_training_replaces_the_epochs_that_it_repeats():
    lines = [
        line("joint", 1, v=1),
        line("joint", 2, v=2),
        line("L3", 1, v=9),
        line("joint", 2, v=3),
        line("joint", 3, v=4),
    ]
    joint, other = last_trainings(lines)
    assert [epoch["v"] for epoch in joint.epochs] == [1, 3, 4]
    assert (joint.replaced, other.replaced) == (1, 0)


def test_a_training_begun_again_leaves_nothing_of_the_one_before():
    (trained,) = last_trainings([line("joint", 1, v=1), line("joint", 2, v=2), line("joint", 1, v=3)])
    assert [epoch["v"] for epoch in trained.epochs] == [3]
    assert trained.replaced == 2


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 5)), max_size=20))
def test_epochs_ascend_and_none_is_lost_uncounted(written):
    trainings = last_trainings([line(name, epoch) for name, epoch in written])
    for trained in trainings:
        epochs = [epoch["epoch"] for epoch in trained.epochs]
        assert epochs == sorted(set(epochs))
    assert sum(len(trained.epochs) + trained.replaced for trained in trainings) == len(written)


def test_half_a_line_of_metrics_is_counted_and_left_out(run):
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"name": "joint", "epo')
    lines, damaged = read_metrics(run / "metrics.jsonl")
    assert (len(lines), damaged) == (2, 1)
    assert "1 line of metrics.jsonl cannot be read" in text_of(html_of(run))


def test_each_network_has_its_curves_and_one_without_cells_has_no_hits(run):
    more = [line("regress", k, **{"train/loss": 1 / k, "val/loss": float("nan"), "val/median_km": 9.0}) for k in (1, 2)]
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(one) + "\n" for one in more)
    joint, regress = re.findall(r"<h3>(?:joint|regress)</h3>.*?</div>", html_of(run))
    assert re.findall(r"<figcaption>(\w+)", joint) == ["Loss", "Best", "Median", "GeoScore"]
    assert re.findall(r"<figcaption>(\w+)", regress) == ["Loss", "Median"]
    assert "NaN" not in regress
    assert "nan" not in regress


def test_heads_that_learned_once_more_are_told_with_what_they_reached(run):
    assert "hidden layer" not in text_of(html_of(run))
    network, spec = load_network(run / "joint.safetensors")
    metrics = {"val/geoscore": 3456.7, "val/median_km": 321.0}
    save_network(
        run / "joint.safetensors",
        network,
        spec,
        {"epochs": 2, "photographs": 36, "readout_epochs": 12, "metrics": metrics},
    )
    assert "in the place of linear heads: GeoScore 3,457, median 321 km (val)." in text_of(html_of(run))


def panel(points, **changes):
    shape = {"x_range": (0, 10), "y_range": (0, 1), "y_words": "{:g}".format, "x_words": "{:g}".format}
    return Panel("a", "b", [Line("c", "series-1", points)], **{**shape, **changes})


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 1)), min_size=1, max_size=9))
def test_points_lie_within_the_picture_and_higher_values_above(points):
    html = panel_html(panel(points))
    at = [(float(x), float(y)) for x, y in re.findall(r'cx="(\S+)" cy="(\S+)"', html)]
    assert len(at) == len(points)
    assert all(0 <= x <= 280 and 0 <= y <= 200 for x, y in at)
    for (_, a), (_, y_a) in zip(points, at, strict=True):
        assert all(y_a <= y_b for (_, b), (_, y_b) in zip(points, at, strict=True) if a > b)


def test_one_epoch_alone_stands_in_the_middle():
    html = panel_html(panel([(3, 0.5)], x_range=(3, 3)))
    assert float(re.search(r'cx="(\S+)"', html)[1]) == pytest.approx((48 + 280 - 62) / 2)
    assert 'class="line"' not in html


@given(st.lists(st.floats(0, 100), max_size=8).map(sorted))
def test_names_of_lines_keep_apart_in_their_order(heights):
    moved = spread(heights, 13, 0, 100)
    assert len(moved) == len(heights)
    assert all(b - a >= 13 - 1e-9 for a, b in pairwise(moved))
    if len(heights) <= 7:
        assert all(-1e-9 <= height <= 100 + 1e-9 for height in moved)


def test_the_map_counts_the_training_photographs_of_the_finest_cells(run):
    counts = training_counts(read_hierarchy(run))
    cells = grid.encode([(lat, lon) for lat, lon, _ in PLACES.values()], 8)
    assert np.flatnonzero(counts).tolist() == sorted(cells.tolist())
    assert set(counts[cells]) == {6}


def test_an_error_at_an_edge_has_the_colour_of_the_nearer():
    assert [error_colour(km) for km in (25, 25.1, 2500, 9000)] == [ERROR_COLOURS["light"][k] for k in (0, 1, 3, 4)]


def test_bars_end_where_their_scale_ends():
    assert 'width:100.00%"></b>' in bar(1.7)
    assert 'left:90.00%;width:10.00%"' in bar(0.95, 0.9, 1.2)


def test_areas_are_written_to_three_digits():
    assert [area_words(km2) for km2 in (128_234_567, 10_300_000, 11_018.6)] == ["128 million", "10.3 million", "11,019"]


@needs_chromium
@pytest.mark.browser
def test_the_page_shows_curves_of_every_level_and_none_without_metrics(run, tmp_path):
    names = read_hierarchy(run).level_names
    colours = (TRAIN_COLOUR, CHECK_COLOUR, *LEVEL_COLOURS[: len(names)])
    lines = [
        line("joint", k, **{"train/loss": 3 / k, "val/loss": 2.0, "val/geoscore": 900.0})
        | {f"val/{name}_top1": 0.2 * level + 0.1 for level, name in enumerate(names)}
        for k in (1, 2, 3)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    html = html_of(run)
    shown = screenshot(html, tmp_path, 1200, 5600)
    (run / "metrics.jsonl").unlink()
    bare = screenshot(html_of(run), tmp_path, 1200, 5600)
    for name in colours:
        # The class balance has curves too.
        more = (share_of(shown, palette()[name]) - share_of(bare, palette()[name])) * shown[..., 0].size
        assert more > 100, name


@needs_chromium
@pytest.mark.browser
def test_the_map_shows_the_error_of_countries(run, tmp_path):
    shown = screenshot(html_of(run), tmp_path, 1200, 5600)
    kenya = share_near(shown, painted(error_colour(5000))) * shown[..., 0].size
    france = share_near(shown, painted(error_colour(600))) * shown[..., 0].size
    assert kenya > 30
    assert france > 30


@needs_chromium
@pytest.mark.browser
@pytest.mark.parametrize("width", [500, 1200])
def test_nothing_but_tables_is_wider_than_the_window(run, tmp_path, width):
    shown = screenshot(html_of(run), tmp_path, width, 5600)
    # The margin on the right has the colour of the page from top to bottom.
    assert (shown[:, -4:] == shown[0, -1]).all()


def test_experts_with_own_trunks_are_called_by_their_cells(run):
    network, spec = load_network(run / "joint.safetensors")
    save_network(run / "refine" / "0002.safetensors", network, spec, {"epochs": 3, "photographs": 6})
    write_json(run / "refine" / "refiner.json", {"kind": "experts", "level": "L8", "networks": {"0002": ""}})
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(
            json.dumps(line("refine/0002", e, **{"val/loss": 0.1, "val/median_km": 90.0})) + "\n" for e in (1, 2)
        )
    hierarchy = read_hierarchy(run)
    cell = hierarchy.name[hierarchy.rows(3).start + 2]
    text = text_of(html_of(run))
    assert text.count(f"expert of {cell}") == 2, "a row of the table of networks, and its curves"
    assert "refine/0002" not in text
