"""How good a run is, beside chance and, where clues are known, beside an oracle."""

import json
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import shapely
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score

from dataset.manifest import CLUES, coordinates, read_manifest, write_manifest
from geocells.hierarchy import UNKNOWN
from geocells.sphere import distance_km, geoscore
from infer.config import EvaluateConfig
from infer.decode.conformal import CONFORMAL, read_conformal
from infer.decode.countries import LeafCountries
from infer.decode.posterior import class_ranks
from infer.decode.region_finder import RegionFinder
from infer.evaluate import stated
from infer.evaluate.calibration import CalibrationMeter
from infer.evaluate.measure import measure, split_photos
from infer.evaluate.metrics import mean_interval
from infer.evaluate.photographs import read_photographs
from infer.evaluate.report import table
from infer.evaluate.run import main
from infer.evaluate.stated import class_probabilities
from infer.evaluate.verdict import verdict
from infer.model import Model, load_model
from infer.prepared import Options, Prepared
from plumbing.config import parse
from train.calibrate import collect

CPU = torch.device("cpu")


def evaluate(tiny, run, out, **flags):
    """Run the command and return what it wrote."""
    main(EvaluateConfig(data=tiny, run=run, out=out, workers=0, device="cpu", **flags))
    return json.loads(out.read_text())


@pytest.fixture
def oracle_model(tiny, monkeypatch):
    """Make every model answer the truth, for it reads the colours."""
    photos = read_manifest(tiny)

    def truth(self, pixels):
        colours = {path: self.transform.pixels(tiny / path).float().mean(dim=(1, 2)) for path in photos["path"]}
        known = torch.stack(list(colours.values()))
        nearest = torch.cdist(pixels.float().mean(dim=(2, 3)), known).argmin(dim=1).numpy()
        classes = self.hierarchy.classes(coordinates(photos)[nearest])
        sizes = self.hierarchy.sizes()
        logits = [40.0 * torch.nn.functional.one_hot(torch.from_numpy(classes[:, d]), n) for d, n in enumerate(sizes)]
        return replace(outputs(self, pixels), logits=logits)

    outputs = Model.outputs
    monkeypatch.setattr(Model, "outputs", truth)


def test_a_model_that_answers_the_truth_is_perfect(tiny, tiny_run, tmp_path, oracle_model):
    report = evaluate(tiny, tiny_run, tmp_path / "e.json")
    figures = report["answers"]["model"]
    assert report["photographs"] == 12
    assert figures["within_200km"]["value"] == 1.0
    assert figures["median_km"]["value"] < 100
    assert figures["geoscore"]["value"] > 4600
    for level in report["levels"].values():
        assert (level["top_1"]["value"], level["top_10"]["value"], level["in_a_known_cell"]) == (1.0, 1.0, 1.0)


def test_top_k_of_every_level_is_that_of_scikit_learn_in_the_file_and_in_the_text(tiny, tiny_run, tmp_path, capsys):
    report = evaluate(tiny, tiny_run, tmp_path / "e.json", split="train", fusion="product")
    printed = capsys.readouterr().out
    model, photos = load_model(tiny_run, CPU).with_choices("product", None), split_photos(tiny, "train")
    _, scaled, _ = class_probabilities(model, tiny, photos, 3, 5, 0)
    true = model.hierarchy.classes(coordinates(photos))[:, 3]
    level = report["levels"]["L8"]
    wanted = {k: top_k_accuracy_score(true, scaled, k=k, labels=range(6)) for k in (1, 3, 5)}
    assert 0 < wanted[1] < wanted[3] < wanted[5] < 1
    assert {k: level[f"top_{k}"]["value"] for k in wanted} == pytest.approx(wanted)
    line = next(line for line in printed.splitlines() if line.startswith("L8"))
    assert [float(share.rstrip("%")) for share in line.split()[2:11:3]] == pytest.approx(
        [100 * wanted[k] for k in wanted], abs=0.06
    )


def test_every_level_has_a_report_and_a_matrix_of_its_classes_beside_the_evaluation(tiny, tiny_run, tmp_path, capsys):
    report = evaluate(tiny, tiny_run, tmp_path / "e.json", split="train", fusion="product")
    printed = capsys.readouterr().out
    for level, size in {"L1": 4, "L3": 6, "L5": 6, "L8": 6}.items():
        table = pd.read_csv(tmp_path / f"e_classification_report_{level}.csv").set_index("name")
        assert len(table) == size + 4
        assert table.loc["accuracy", "f1"] == pytest.approx(report["levels"][level]["top_1"]["value"], abs=1e-6)
        assert table["support"][:size].sum() == 36
        matrix = pd.read_csv(tmp_path / f"e_confusion_{level}.csv", index_col="name").iloc[:, 1:]
        assert (matrix.sum(axis=1) == table["support"].reindex(matrix.index)).all()
        assert (matrix.sum() == table["answered"].reindex(matrix.columns)).all()
        assert f"e_confusion_{level}.csv" in printed
    assert (table["training_photographs"][:6] == 6).all()
    assert (table["p90_km_from_center"][:6] > table["median_km_from_center"][:6]).all()
    assert (table["p90_km_from_center"][:6] < 100).all()
    f1 = report["classification"]["L8"]["averages"]["weighted"]["f1"]
    assert re.search(rf"L8 +{table.loc['accuracy', 'f1']:.1%} .* {f1:.1%}", printed)


def test_each_photograph_and_its_answer_stand_in_a_file_beside_the_evaluation(tiny, tiny_run, tmp_path, capsys):
    report = evaluate(tiny, tiny_run, tmp_path / "e.json", split="train", fusion="product")
    assert "e_photographs.parquet" in capsys.readouterr().out
    answered, photos = read_photographs(tmp_path / "e.json"), split_photos(tiny, "train")
    assert answered["id"].tolist() == photos["id"].tolist()
    np.testing.assert_array_equal(answered[["latitude", "longitude"]], coordinates(photos))
    away = distance_km(answered[["latitude", "longitude"]], answered[["answered_latitude", "answered_longitude"]])
    np.testing.assert_allclose(answered["distance_km"], away)
    assert np.median(away) == pytest.approx(report["answers"]["model"]["median_km"]["value"])
    assert answered["group"].nunique() == report["groups"]


def test_the_gain_over_one_place_is_the_paired_difference_of_geoscores(tiny, tiny_run, tmp_path, capsys):
    report = evaluate(tiny, tiny_run, tmp_path / "e.json", split="train")
    own, fixed = (report["answers"][name]["geoscore"]["value"] for name in ("model", "one place"))
    assert report["over_one_place"]["value"] == pytest.approx(own - fixed)
    assert report["over_one_place"]["low"] <= own - fixed <= report["over_one_place"]["high"]
    assert f"{verdict(report).headline}, by GeoScore." in capsys.readouterr().out


def test_photographs_by_continent_are_those_of_its_countries(tiny, tiny_run, tmp_path):
    slices = evaluate(tiny, tiny_run, tmp_path / "e.json", split="train")["slices"]
    counted = {name: own["n"] for name, own in slices["continent"].items()}
    assert counted == {"the Americas": 12, "Oceania": 12, "Africa": 6, "Europe": 6}


def test_a_damaged_file_of_photographs_is_refused_by_its_name_and_none_is_none(tiny, tiny_run, tmp_path):
    assert read_photographs(tmp_path / "e.json") is None
    (tmp_path / "e_photographs.parquet").write_bytes(b"no table")
    with pytest.raises(ValueError, match=r"e_photographs\.parquet is damaged .*evaluate` again"):
        read_photographs(tmp_path / "e.json")
    pd.DataFrame({"id": ["a"]}).to_parquet(tmp_path / "e_photographs.parquet")
    with pytest.raises(ValueError, match=r"e_photographs\.parquet lacks latitude"):
        read_photographs(tmp_path / "e.json")


def test_figures_are_those_of_the_answers(tiny, tiny_run, tmp_path):
    report = evaluate(tiny, tiny_run, tmp_path / "e.json", split="calibration", point="top", fusion="product")
    photos = split_photos(tiny, "calibration")
    measured = measure(load_model(tiny_run, CPU).with_choices("product", "top"), tiny, photos, 5, 0)
    away = distance_km(measured.points_deg, coordinates(photos))
    assert report["answers"]["model"]["mean_km"]["value"] == pytest.approx(away.mean(), rel=1e-4)
    assert (report["fusion"], report["point"], report["split"]) == ("product", "top", "calibration")


def test_the_report_says_the_numbers_of_the_greedy_rule(tiny, tiny_run, tmp_path, capsys):
    numbers = {"greedy_thresholds": (0.9,), "greedy_k": (1, 5)}
    report = evaluate(tiny, tiny_run, tmp_path / "e.json", fusion="greedy", **numbers)
    assert report["greedy"] == {"thresholds": [0.9], "k": [1, 5]}
    assert "fusion greedy (thresholds 0.9; k 1 5), point" in capsys.readouterr().out
    assert evaluate(tiny, tiny_run, tmp_path / "e.json")["greedy"] is None


def test_the_report_says_what_was_measured_on_what(tiny, tiny_run, tmp_path, capsys):
    report = evaluate(tiny, tiny_run, tmp_path / "e.json")
    assert set(report) >= {
        *("run", "model_hash", "fusion", "point", "split", "split_hash", "photographs", "trained_on", "version"),
        *("earth_radius_km", "geoscore_scale_km", "created_at_utc", "answers", "levels", "slices"),
    }
    assert report["earth_radius_km"] == 6371.0088
    assert report["trained_on"] == 0
    printed = capsys.readouterr().out
    assert "on the test split: n = 12 photographs in " in printed
    assert report["split_hash"][:12] in printed
    assert str(tmp_path / "e.json") in printed
    for figure in (*report["answers"]["model"].values(), report["levels"]["L3"]["top_1"]):
        assert figure["low"] <= figure["value"] <= figure["high"]


def test_chance_stands_beside_the_model_and_the_oracle_only_where_clues_are_known(tiny, tiny_run, tmp_path):
    assert set(evaluate(tiny, tiny_run, tmp_path / "e.json")["answers"]) == {"model", "chance", "one place"}
    data = shutil.copytree(tiny, tmp_path / "data")
    ids = read_manifest(data)["id"]
    clue = np.random.default_rng(0).random(len(ids))
    pd.DataFrame({"id": ids, "sky": clue, "sky_region": clue}).to_parquet(data / CLUES)
    report = evaluate(data, tiny_run, tmp_path / "e.json")
    assert set(report["answers"]) == {"model", "chance", "one place", "clue oracle"}
    lines = table(report).splitlines()
    assert [line.split()[0] for line in lines[2:6]] == ["chance", "one", "model", "clue"]


def test_without_a_file_named_the_report_lies_in_the_run(tiny, tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    main(EvaluateConfig(data=tiny, run=run, split="calibration", workers=0, device="cpu"))
    assert json.loads((run / "evaluation_calibration.json").read_text())["photographs"] == 12


def test_figures_on_training_photographs_come_with_a_warning(tiny, tiny_run, tmp_path, caplog):
    report = evaluate(tiny, tiny_run, tmp_path / "e.json", split="train")
    assert report["trained_on"] == 36
    assert "36 of 36 photographs were trained on" in caplog.text


def test_photographs_that_were_trained_on_are_known_in_whatever_split_they_are_now(tiny, tiny_run, tmp_path):
    data = shutil.copytree(tiny, tmp_path / "data")
    photos = read_manifest(data)
    photos.loc[photos["id"] == "paris-0", "split"] = "test"
    write_manifest(data, photos)
    assert evaluate(data, tiny_run, tmp_path / "e.json")["trained_on"] == 1


def test_photographs_that_cannot_be_read_are_named_and_left_out(tiny, tiny_run, tmp_path, caplog):
    data = shutil.copytree(tiny, tmp_path / "data")
    gone, torn = split_photos(data, "test")["path"][[0, 5]]
    (data / gone).unlink()
    (data / torn).write_bytes(b"nothing")
    report = evaluate(data, tiny_run, tmp_path / "e.json")
    assert report["photographs"] == 10
    assert gone in caplog.text
    assert torn in caplog.text


def test_a_split_of_which_nothing_can_be_read_is_refused_and_nothing_written(tiny, tiny_run, tmp_path):
    data = shutil.copytree(tiny, tmp_path / "data")
    shutil.rmtree(data / "images")
    with pytest.raises(ValueError, match=r"no photograph of .* could be read \(12 tried\)"):
        evaluate(data, tiny_run, tmp_path / "e.json")
    assert not (tmp_path / "e.json").exists()


def test_a_split_that_is_not_there_is_refused(tiny, tmp_path):
    with pytest.raises(ValueError, match="--split is one of train, calibration, test, got 'val'"):
        split_photos(tiny, "val")
    photos = read_manifest(tiny)
    write_manifest(tmp_path, photos[photos["split"] != "test"])
    with pytest.raises(ValueError, match=r"the test split of .* holds none of its 48 photographs"):
        split_photos(tmp_path, "test")


def test_slices_are_by_country_by_band_and_by_coverage(tiny, tiny_run, tmp_path, oracle_model):
    sliced = evaluate(tiny, tiny_run, tmp_path / "e.json", split="train")["slices"]
    assert {"FR": 6, "KE": 6}.items() <= {name: s["n"] for name, s in sliced["country"].items()}.items()
    assert sliced["latitude"]["-30 to 0"]["n"] == 18
    assert sum(s["n"] for s in sliced["training_photographs_nearby"].values()) == 36
    assert sliced["country_macro_average"]["geoscore"] > 4500


def test_cells_that_the_run_does_not_know_are_no_hits(tiny, tiny_run, tmp_path, oracle_model):
    data = shutil.copytree(tiny, tmp_path / "data")
    photos = read_manifest(data)
    away = (photos["split"] == "test") & photos["id"].str.startswith(("paris", "lima"))
    photos.loc[away, "latitude"] = 70.0
    write_manifest(data, photos)
    report = evaluate(data, tiny_run, tmp_path / "e.json")
    assert report["levels"]["L8"]["in_a_known_cell"] == pytest.approx(8 / 12)
    assert report["levels"]["L8"]["top_10"]["value"] == pytest.approx(8 / 12)


@given(st.integers(1, 8), st.integers(0, 99))
def test_ranks_count_the_classes_that_score_higher(size, number):
    rng = np.random.default_rng(number)
    score, true = rng.permutation(size).astype(float), int(rng.integers(0, size))
    ranks = class_ranks([torch.from_numpy(score[None])], np.array([[true]]))
    assert ranks.tolist() == [[sum(score > score[true])]]


def test_unknown_cells_rank_after_all_classes():
    scores = [torch.tensor([[0.3, 0.2], [0.3, 0.2]])]
    assert class_ranks(scores, np.array([[UNKNOWN], [0]])).tolist() == [[2], [0]]


@pytest.mark.parametrize("score", [0.0, float("-inf"), float("nan")])
def test_who_scores_all_classes_alike_has_found_none(score):
    assert class_ranks([torch.full((1, 4), score)], np.array([[2]])).tolist() == [[3]]


def test_same_seed_same_report(tiny, tiny_run, tmp_path):
    one, other = (evaluate(tiny, tiny_run, tmp_path / f"{n}.json", seed=3) for n in "ab")
    assert {**one, "created_at_utc": ""} == {**other, "created_at_utc": ""}


def test_a_smaller_map_is_scored_on_its_own_scale(tiny, tiny_run, tmp_path):
    world, region = (
        evaluate(tiny, tiny_run, tmp_path / "e.json", geoscore_scale_km=s)["answers"]["chance"]["geoscore"]["value"]
        for s in (1492.7, 149.27)
    )
    assert region < world


def test_the_scale_holds_for_slices_their_macro_average_and_one_place_for_all(tiny, tiny_run, tmp_path):
    reports = [
        evaluate(tiny, tiny_run, tmp_path / "e.json", split="train", geoscore_scale_km=s) for s in (1492.7, 149.27)
    ]
    world, region = (report["slices"] for report in reports)
    for by in ("country", "latitude", "training_photographs_nearby"):
        for name, own in world[by].items():
            assert region[by][name]["geoscore"] < own["geoscore"]
            assert region[by][name]["median_km"] == own["median_km"]
    assert region["country_macro_average"]["geoscore"] < world["country_macro_average"]["geoscore"]
    # On a small scale one place for all is a training place, on a large one that between most.
    photos = read_manifest(tiny)
    train = coordinates(photos[photos["split"] == "train"])
    for report, scale_km in zip(reports, (1492.7, 149.27), strict=True):
        best = max(geoscore(distance_km(train, place), scale_km).mean() for place in train)
        assert report["answers"]["one place"]["geoscore"]["value"] == pytest.approx(best)


def test_the_coverages_that_are_asked_for_are_measured(tiny, calibrated, tmp_path, capsys):
    report = evaluate(tiny, calibrated, tmp_path / "e.json", coverage=(0.3, 0.8))
    assert list(report["regions"]) == ["0.3", "0.8"]
    assert report["regions"]["0.3"]["covered"]["value"] <= report["regions"]["0.8"]["covered"]["value"]
    assert report["guarantee"] == "approximate"
    printed = capsys.readouterr().out
    assert "30% regions cover" in printed
    assert "coverage guarantee: approximate" in printed
    with pytest.raises(ValueError, match=r"--coverage is a share between 0 and 1, such as 0\.9, got 1\.5"):
        EvaluateConfig(data=tiny, run=calibrated, coverage=(1.5,))


def test_intervals_of_a_split_resample_its_groups_and_their_number_is_printed(tiny, tiny_run, tmp_path, capsys):
    data = shutil.copytree(tiny, tmp_path / "data")
    photos = read_manifest(data)
    write_manifest(data, photos.assign(sequence_id=photos["id"].str.split("-").str[0]))
    report = evaluate(data, tiny_run, tmp_path / "e.json")
    test = photos[photos["split"] == "test"]
    groups = test["id"].str.split("-").str[0].nunique()
    assert report["groups"] == groups < 12
    assert f"n = 12 photographs in {groups} groups" in capsys.readouterr().out
    measured = measure(load_model(tiny_run, CPU), data, split_photos(data, "test"), 64, 0)
    away = distance_km(measured.points_deg, coordinates(test))
    group = np.unique(test["id"].str.split("-").str[0], return_inverse=True)[1]
    expected = mean_interval(away, group)
    found = report["answers"]["model"]["mean_km"]
    assert (found["low"], found["high"]) == pytest.approx((expected["low"], expected["high"]), rel=1e-4)


def test_answers_are_counted_within_the_distances_that_are_asked_for(tiny, tiny_run, tmp_path, capsys):
    report = evaluate(tiny, tiny_run, tmp_path / "e.json", radii_km=(9000, 0.5, 5000.0))
    photos = split_photos(tiny, "test")
    away = distance_km(measure(load_model(tiny_run, CPU), tiny, photos, 64, 0).points_deg, coordinates(photos))
    for answer in report["answers"].values():
        assert [name for name in answer if "within" in name] == ["within_0.5km", "within_5000km", "within_9000km"]
    found = report["answers"]["model"]
    for radius in (5000, 9000):
        assert found[f"within_{radius}km"]["value"] == pytest.approx((away <= radius).mean(), abs=1e-4)
    assert "≤0.5 km  ≤5000 km  ≤9000 km\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"radii_km": (0.0, 5.0)}, "--radii-km takes distances above 0"),
        ({"radii_km": ()}, "--radii-km takes distances above 0"),
    ],
)
def test_distances_that_count_nothing_are_refused(tmp_path, flags, words):
    with pytest.raises(ValueError, match=words):
        EvaluateConfig(data=tmp_path, run=tmp_path, **flags)


def test_published_shares_are_not_set_beside_other_distances():
    words = ["--data", "d", "--run", "r", "--benchmark", "im2gps3k", "--radii-km", "5", "20"]
    with pytest.raises(ValueError, match="--radii-km 5 20 has no effect with --benchmark im2gps3k"):
        parse(EvaluateConfig, "x", words)


@pytest.mark.parametrize("flags", [{"geoscore_scale_km": 0}, {"geoscore_scale_km": -1}, {"batch_size": 0}])
def test_flags_that_cannot_work_are_refused(tmp_path, flags):
    with pytest.raises(ValueError, match=r"--geoscore-scale-km must be above 0|--batch-size must be 1 or more"):
        EvaluateConfig(data=tmp_path, run=tmp_path, **flags)


def test_the_confidence_of_an_answer_depends_on_the_training_photographs_of_its_best_cell(tiny, calibrated, tmp_path):
    run = shutil.copytree(calibrated, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    model = load_model(run, CPU)
    # Cells of as many training photographs as their number, and a confidence that knows nothing else.
    counts = np.arange(1, len(model.hierarchy.key) + 1)
    model = replace(model, hierarchy=replace(model.hierarchy, train_count=counts))
    conformal = read_conformal(run, model.hash, model.fusion)
    weights = dict.fromkeys(conformal.confidence_weights, (0.0, 0.0, -1.0, 0.5))
    conformal = replace(conformal, confidence_weights=weights)
    data = collect(model, tiny, split_photos(tiny, "test"), 8, 0)
    posterior = model.posterior(data.logits)
    meter = CalibrationMeter(model, conformal)
    meter.add(data.logits, posterior, data.classes.numpy(), data.latlon_deg)
    prepared = Prepared(Options(), model, None, conformal, None, 0, LeafCountries.of(model.hierarchy))
    stated = prepared.confidence(posterior)
    for level, found in enumerate(meter.levels(np.arange(12)).values()):
        rows = model.hierarchy.rows(level).start + posterior[level].argmax(dim=1).numpy()
        said = 1 / (1 + np.exp(1 - 0.5 * np.log(counts[rows])))
        diagram = found["reliability"]["after"]
        assert [row["confidence"] for row in diagram] == pytest.approx(np.sort(said))
        assert stated[:, level] == pytest.approx(said)


def test_a_coverage_that_falls_back_to_a_level_is_measured_there_and_one_that_nothing_keeps_is_said(
    tiny, calibrated, tmp_path, capsys
):
    run = shutil.copytree(calibrated, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    content = json.loads((run / CONFORMAL).read_text())
    scores = content["places"]["in-distribution"]["conformity_scores"]
    # As if most calibration photographs lay at sea.
    few = {"groups": 12, "scores": scores["smooth"]["scores"][:7], "group_sizes": [1] * 7}
    scores |= dict.fromkeys(("smooth", "L8", "L5"), few)
    (run / CONFORMAL).write_text(json.dumps(content))
    report = evaluate(tiny, run, tmp_path / "e.json")
    assert {coverage: region["cells"] for coverage, region in report["regions"].items()} == {"0.5": "land", "0.9": "L3"}
    assert report["impossible_coverages"] == []
    assert "90% regions of known L3 cells cover" in capsys.readouterr().out
    # What an answer's region is made of is what was measured.
    model, photos = load_model(run, torch.device("cpu")), split_photos(tiny, "test")
    conformal = read_conformal(run, model.hash, model.fusion)
    finder = RegionFinder(model.hierarchy, conformal, model.device, (0.9,))
    regions = [own[0] for own in finder.regions(model.posterior(collect(model, tiny, photos, 8, 0).logits))]
    assert {region["level"] for region in regions} == {"L3"}
    assert report["regions"]["0.9"]["median_area_km2"] == pytest.approx(
        np.median([region["area_km2"] for region in regions]), rel=1e-3
    )
    held = [
        shapely.covers(shapely.geometry.shape(region["geometry"]), shapely.Point(lon, lat))
        for region, (lat, lon) in zip(regions, coordinates(photos), strict=True)
    ]
    assert report["regions"]["0.9"]["covered_of_photographs"]["value"] == np.mean(held)
    # A region has at least the densest cell, though it hold more than is needed.
    none = {"groups": 12, "scores": [], "group_sizes": []}
    scores |= dict.fromkeys(("smooth", "L8", "L5"), none)
    scores["L3"] = {"groups": 12, "scores": [0.0] * 12, "group_sizes": [1] * 12}
    (run / CONFORMAL).write_text(json.dumps(content))
    report = evaluate(tiny, run, tmp_path / "e.json")
    covered = report["regions"]["0.9"]["covered_of_photographs"]["value"]
    assert 0 < covered == report["levels"]["L3"]["top_1"]["value"]
    content["places"]["in-distribution"]["conformity_scores"] = {"smooth": none}
    (run / CONFORMAL).write_text(json.dumps(content))
    report = evaluate(tiny, run, tmp_path / "e.json")
    assert report["regions"] == {}
    assert report["impossible_coverages"] == [0.5, 0.9]
    assert "50% regions are impossible" in capsys.readouterr().out


def test_the_gain_over_always_the_largest_class_is_the_difference_of_two_shares(monkeypatch):
    hierarchy = SimpleNamespace(train_count=np.array([3, 9, 5]), rows=lambda level: slice(0, 3))
    monkeypatch.setattr(stated, "leakage_groups", lambda photos: np.arange(4))
    true, best = np.array([0, 1, 2, 2]), np.array([0, 1, 2, 0])
    gain = stated._over_largest_class(SimpleNamespace(hierarchy=hierarchy), 0, best, true, pd.DataFrame(), 0)
    assert gain["value"] == pytest.approx(3 / 4 - 1 / 4)


def test_the_confidence_in_classes_is_asked_for_the_best_probability_of_each_photograph(tiny, tiny_run, monkeypatch):
    asked = {}

    class Conformal:
        confidence_weights = frozenset({"L8"})

        def confidence(self, name, best, count):
            asked[name] = (best, count)
            return best

    monkeypatch.setattr(stated, "class_level", lambda hierarchy: 3)
    monkeypatch.setattr(stated, "read_conformal", lambda *of: Conformal())
    monkeypatch.setattr(stated, "_thresholds", lambda *of: {})
    model, photos = load_model(tiny_run, CPU), split_photos(tiny, "test")
    config = EvaluateConfig(data=tiny, run=tiny_run, split="test", workers=0, device="cpu")
    stated.measured_classes(model, config, photos)
    best, count = asked["L8"]
    _, scaled, _ = class_probabilities(model, tiny, photos, 3, 5, 0)
    assert best == pytest.approx(np.sort(scaled, axis=1)[:, -1], abs=1e-6)
    assert count.shape == best.shape == (len(photos),)
