"""Datasets of countries alone, and of any labels, go the whole way: folder, label maps, training, calibration, answers, pages."""

import json
import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest

import infer
from dataset.manifest import has_coordinates, read_manifest, write_manifest
from fetch.sources.config import ImportConfig
from fetch.sources.imports import run as do_import
from infer.__main__ import predict as with_pages
from infer.config import EvaluateConfig, InferConfig
from infer.decode.conformal import read_conformal
from infer.evaluate.run import main as evaluate
from infer.model import load_model
from infer.network.devices import pick_device
from infer.predict import main as answer
from infer.prediction import Prediction
from label_maps.build import main as make_label_maps
from label_maps.config import FoldersConfig, LabelMapsConfig
from label_maps.files import read_hierarchy
from label_maps.folders import main as make_folders
from label_maps.run_folder import begin_run
from tests.tiny import joint_config, write_square
from train.calibrate import main as calibrate
from train.config import CalibrateConfig
from train.tasks import train_joint
from viz.config import ReportConfig
from viz.maps.prediction import prediction_html, prediction_png
from viz.report.page import write_report

COLOURS = {"France": (200, 60, 60), "South_Korea": (60, 200, 60), "Mali": (60, 60, 200)}
LABELS = {"urban": (200, 60, 60), "rural": (60, 200, 60), "by the sea": (60, 60, 200)}


def write_folders(source, colours, each):
    rng = np.random.default_rng(0)
    for name, colour in colours.items():
        for number in range(each):
            tint = np.clip(np.array(colour) + rng.normal(0, 20, 3), 0, 255)
            write_square(source / name / f"{number}.jpg", tuple(tint), rng, 24)
    return source


def trained(data, run, partition):
    make_label_maps(LabelMapsConfig(data, run, partition=partition))
    train_joint(joint_config(data, run, batch_size=16, epochs=8))
    calibrate(CalibrateConfig(data, run, workers=0, device="cpu"))
    return run


@pytest.fixture(scope="module")
def countries(tmp_path_factory):
    """A dataset of a folder per country, imported, and its run, trained and calibrated."""
    folder = tmp_path_factory.mktemp("countries")
    source, data = write_folders(folder / "source", COLOURS, 80), folder / "data"
    do_import(ImportConfig(source=source, out=data, folder_names="country", calibration_share=0.3))
    return data, trained(data, folder / "run", "admin")


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    source, data = write_folders(folder / "source", LABELS, 40), folder / "data"
    do_import(ImportConfig(source=source, out=data, folder_names="label", calibration_share=0.3))
    return data, trained(data, folder / "run", "classes")


def predictions_of(out):
    return [Prediction.from_dict(one) for one in json.loads((out / "predictions.json").read_text())]


def test_a_folder_per_country_is_imported_with_codes_and_without_coordinates(countries):
    photos = read_manifest(countries[0])
    assert not has_coordinates(photos).any()
    assert photos["country"].value_counts().to_dict() == {"FR": 80, "KR": 80, "ML": 80}
    assert set(photos["path"].str.split("/").str[1]) == {"FR", "KR", "ML"}


def test_calibration_of_countries_fits_temperatures_confidence_and_sets_with_a_guarantee(countries):
    _, run = countries
    model = load_model(run, pick_device("cpu"))
    assert model.calibrated
    assert not model.answers_points
    found = read_conformal(run, model.hash, model.fusion)
    assert found.guarantee == "exact (held-out part: 36 photographs, 36 groups)"
    assert not found.scores
    assert list(found.class_scores) == ["country"]
    assert found.choose_set(0.9)[0] == "country"
    assert found.choose_set(0.99) is None
    assert set(found.confidence_weights) == {"country"}
    record = json.loads((run / "temperatures.json").read_text())
    assert (record["located"], record["geoscore"]) == (0, {})
    alike = [fitted["country"] for fitted in record["temperatures"].values()]
    assert alike == pytest.approx(alike[:1] * 3, rel=1e-3)
    assert record["nll"][record["fusion"]]["after"] <= record["nll"][record["fusion"]]["before"] + 1e-6


def test_calibrating_says_that_there_is_no_geoscore(countries, tmp_path, capsys):
    data, run = countries
    shutil.copytree(run, tmp_path / "run")
    calibrate(CalibrateConfig(data, tmp_path / "run", workers=0, device="cpu"))
    said = capsys.readouterr().out
    assert "GeoScore" not in said
    # Of one level every fusion is the same.
    assert len(re.findall(r"^(chain|product|greedy) ", said, re.MULTILINE)) == 1
    assert "36 of them without coordinates" in said
    assert "sets of country for in-distribution photographs; coverage guarantee: exact" in said


def test_answers_name_the_set_of_countries_and_no_point(countries, tmp_path, capsys):
    data, run = countries
    answer(InferConfig(photos=(data,), run=run, out=tmp_path, workers=0, device="cpu", maps=False))
    said = capsys.readouterr().out
    assert (
        "trained on countries without coordinates: it answers no point; for points train on some photographs with "
        "coordinates too, from a table with --country-column (docs/methods.md)"
    ) in said
    assert "latitude" not in said
    found = predictions_of(tmp_path)
    truth = read_manifest(data).set_index("path")["country"]
    true = [truth[one.path.removeprefix(f"{data}/")] for one in found]
    assert f"90% set: {', '.join(member.name for member in found[0].sets[0.9].classes)}" in said
    held = [any(member.id == code for member in one.sets[0.9].classes) for one, code in zip(found, true, strict=True)]
    assert np.mean(held) > 0.7
    for one in found:
        assert one.point is None
        assert one.place is None
        assert one.point_method is None
        assert one.to_row()["method"] is None
        assert Prediction.from_dict(one.to_dict()) == one
        assert 0 < one.confidence < 1
        assert one.sets[0.9].classes[0].id == one.finest.best.id
        assert len(one.sets[0.5].classes) <= len(one.sets[0.9].classes)
        # The region is the area of the countries of the set.
        assert {c.code for c in one.regions[0.9].countries} <= {member.id for member in one.sets[0.9].classes}
        assert one.regions[0.9].cells == len(one.sets[0.9].classes)
    assert np.mean([one.finest.best.id == code for one, code in zip(found, true, strict=True)]) > 0.6
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert table["country_set_90"].tolist() == ["; ".join(m.id for m in one.sets[0.9].classes) for one in found]
    assert table["latitude"].isna().all()
    assert table["country_code"].tolist() == table["country_cell"].tolist() == [one.finest.best.id for one in found]
    assert set(table["country"]) <= {"France", "South Korea", "Mali"}


def test_the_page_and_the_picture_show_the_set_and_the_countries(countries):
    data, run = countries
    photo = data / read_manifest(data)["path"].iloc[0]
    prediction = infer.load(run, "cpu").predict(str(photo))
    page = prediction_html(prediction)
    names = [member.name for member in prediction.sets[0.9].classes]
    assert "90% set, " in page
    assert all(name in page for name in names)
    assert f"90% set: {prediction.sets[0.9].classes[0].name}" in str(prediction)
    assert prediction_png(prediction)[:4] == b"\x89PNG"
    assert f"<td>{names[0]}</td>" in page
    within = infer.load(run, "cpu").predict(str(photo), within="FR", coverage=(0.9,))
    assert [member.id for member in within.sets[0.9].classes] == ["FR"]


def test_an_area_of_countries_that_the_run_never_saw_is_refused_and_not_answered_from_slivers(countries):
    data, run = countries
    photo, model = str(data / read_manifest(data)["path"].iloc[0]), infer.load(run, "cpu")
    with pytest.raises(
        ValueError, match=r"no training photographs of Belgium .* are France, South Korea, Mali: name one"
    ):
        model.predict(photo, within="BE")
    with pytest.raises(ValueError, match="no training photographs of Belgium or Spain"):
        model.predict(photo, within=("BE", "Spain"))
    assert model.predict(photo, within=("BE", "FR")).finest.best.id == "FR"
    assert model.predict(photo, within="45,0,50,5").finest.best.id == "FR"


def test_evaluation_of_countries_and_its_report_have_no_kilometres(countries, tmp_path, capsys):
    data, run = countries
    shutil.copytree(run, tmp_path / "run")
    evaluate(EvaluateConfig(data=data, run=tmp_path / "run", workers=0, device="cpu"))
    said = capsys.readouterr().out
    assert "macro F1" in said
    assert re.search("always the largest class, (France|South Korea|Mali): ", said)
    assert "90% sets cover" in said
    assert "km" not in said
    report = json.loads((tmp_path / "run" / "evaluation_test.json").read_text())
    figures = report["classes"]
    assert report["level"] == "country"
    assert figures["top_1"]["low"] <= figures["top_1"]["value"] <= figures["top_3"]["value"] == 1
    assert set(figures["sets"]) == {"0.5", "0.9"}
    assert figures["sets"]["0.9"]["mean_size"]["value"] <= 3
    assert figures["by_class"].keys() == {"FR", "KR", "ML"}
    assert report["leaks"]["compared_with"] == report["leaks"]["training_photographs"] > 0
    write_report(ReportConfig(run=tmp_path / "run", out=tmp_path / "report.html"))
    assert "--data DATASET" in (tmp_path / "report.html").read_text()
    write_report(ReportConfig(run=tmp_path / "run", out=tmp_path / "report.html", data=data))
    page = (tmp_path / "report.html").read_text()
    right = round(figures["top_1"]["value"] * report["photographs"])
    shown = [re.findall('<img alt="Photograph', part) for part in page.split("<h4>")[1:3]]
    assert [len(images) for images in shown] == [min(4, right), min(4, report["photographs"] - right)]
    assert re.search(
        r"<h4>Wrong: .*?<b>(France|South Korea|Mali)</b><span>Answered (France|South Korea|Mali)</span>", page
    )
    assert not re.findall("<dt>(GeoScore|Median error)</dt>", page)
    assert "Do conformal sets have the coverage they state?" in page
    assert "South Korea" in page
    names = {"France", "South Korea", "Mali"}
    table = pd.read_csv(tmp_path / "run" / "evaluation_test_classification_report_country.csv").set_index("name")
    assert set(table.index[:3]) == names
    assert table.loc["accuracy", "f1"] == pytest.approx(figures["top_1"]["value"], abs=1e-6)
    assert table.loc["macro average of true classes", "f1"] == pytest.approx(figures["macro_f1"]["value"], abs=1e-6)
    assert table["support"][:3].sum() == report["photographs"]
    matrix = pd.read_csv(tmp_path / "run" / "evaluation_test_confusion_country.csv", index_col="name")
    assert set(matrix.columns[1:]) == set(matrix.index) == names
    assert np.trace(matrix.iloc[:, 1:]) == round(figures["top_1"]["value"] * report["photographs"])
    assert "Confusion matrix, percent of the true class" in page
    assert page.count("<h3>Classes of country") == 1
    assert "GeoScore" not in page
    with pytest.raises(ValueError, match="--baselines compares kilometres"):
        evaluate(EvaluateConfig(data=data, run=run, workers=0, device="cpu", baselines=True))


def test_bulk_answers_leave_coordinates_empty(countries, tmp_path):
    data, run = countries
    answer(InferConfig(photos=(data,), run=run, out=tmp_path, workers=0, device="cpu", bulk=True))
    table = pd.read_parquet(tmp_path)
    assert table["latitude"].isna().all()
    assert table["country_cell"].isin(["FR", "KR", "ML"]).all()
    assert (table["country_code"] == table["country_cell"]).all()
    names = {"FR": "France", "KR": "South Korea", "ML": "Mali"}
    assert table["country"].tolist() == [names[code] for code in table["country_code"]]
    assert table["place"].isna().all()
    assert table["country_confidence"].between(0, 1).all()
    assert table["problem"].isna().all()


@pytest.mark.parametrize("bulk", [False, True])
def test_a_point_is_refused_where_there_are_no_coordinates(countries, tmp_path, bulk):
    data, run = countries
    asked = InferConfig(photos=(data,), run=run, out=tmp_path, workers=0, device="cpu", point="median", bulk=bulk)
    with pytest.raises(
        ValueError, match=r"--point median: run was trained on countries .*; leave --point out, or for points"
    ):
        answer(asked)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="--point geoscore: run was trained on countries without coordinates"):
        infer.load(run, "cpu").predict(str(data / read_manifest(data)["path"].iloc[0]), point="geoscore")
    with pytest.raises(ValueError, match="--point top: run was trained on countries without coordinates"):
        evaluate(EvaluateConfig(data=data, run=run, workers=0, device="cpu", point="top"))


def test_sidecars_are_refused_where_there_are_no_coordinates(countries, tmp_path):
    data, run = countries
    with pytest.raises(ValueError, match="--sidecars holds coordinates, and run answers none"):
        answer(InferConfig(photos=(data,), run=run, out=tmp_path, workers=0, device="cpu", sidecars=0.5))


def test_labels_are_answered_with_sets_and_without_a_map(labels, tmp_path, capsys):
    data, run = labels
    assert read_hierarchy(run).name == ("by the sea", "rural", "urban")
    assert not read_hierarchy(run).placed
    with_pages(InferConfig(photos=(data,), run=run, out=tmp_path, workers=0, device="cpu", limit=4))
    assert "trained on labels without coordinates: it answers no point, no region and no map" in capsys.readouterr().out
    for one in predictions_of(tmp_path):
        assert one.headline.startswith("Most likely ")
        assert one.finest.best.latitude is None
        assert not one.regions
        assert not one.countries
        assert {member.id for member in one.sets[0.5].classes} <= set(LABELS)
        assert "90% set" not in one.headline
    assert len([path for path in tmp_path.glob("*.html") if path.name != "index.html"]) == 4
    index = (tmp_path / "index.html").read_text()
    assert "90% set, classes" in index
    assert "folium" not in index.split("<body")[1]
    with pytest.raises(ValueError, match="are labels without places"):
        infer.load(run, "cpu").predict(str(data / read_manifest(data)["path"].iloc[0]), within="FR")


def test_labels_are_evaluated_reported_and_linked_by_class(labels, tmp_path):
    data, run = labels
    shutil.copytree(run, tmp_path / "run")
    evaluate(EvaluateConfig(data=data, run=tmp_path / "run", workers=0, device="cpu"))
    report = json.loads((tmp_path / "run" / "evaluation_test.json").read_text())
    assert (report["level"], report["classes"]["classes"]) == ("class", 3)
    write_report(ReportConfig(run=tmp_path / "run", out=tmp_path / "report.html"))
    assert "by the sea" in (tmp_path / "report.html").read_text()
    make_folders(FoldersConfig(data=data, run=run, level="class", out=tmp_path / "links"))
    assert {path.name: len(os.listdir(path)) for path in (tmp_path / "links").iterdir()} == dict.fromkeys(LABELS, 40)


def test_a_label_decides_where_photographs_have_coordinates_too(tiny, tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(tiny, data)
    photos = read_manifest(data)
    # The two labels share every place: coordinates do not tell them.
    photos["label"] = np.where(np.arange(len(photos)) % 2, "odd", "even")
    photos.loc[photos.index[:5], "label"] = None
    write_manifest(data, photos)
    run = trained(data, run, "classes")
    hierarchy = read_hierarchy(run)
    assert hierarchy.placed
    assert hierarchy.train_count.sum() == (photos["label"].notna() & (photos["split"] == "train")).sum()
    prediction = infer.load(run, "cpu").predict(str(data / photos["path"].iloc[7]))
    assert prediction.point is not None
    assert prediction.sets[0.5].classes[0].id in ("odd", "even")
    evaluate(EvaluateConfig(data=data, run=run, workers=0, device="cpu"))
    assert json.loads((run / "evaluation_test.json").read_text())["levels"]["class"]["classes"] == 2


def test_mixed_photographs_calibrate_regions_by_coordinates_and_sets_by_what_each_states(countries, tiny, tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(countries[0], data)
    shutil.copytree(tiny / "images", data / "images", dirs_exist_ok=True)
    write_manifest(data, pd.concat([read_manifest(data), read_manifest(tiny)], ignore_index=True))
    run = trained(data, run, "admin")
    model = load_model(run, pick_device("cpu"))
    assert model.answers_points
    record = json.loads((run / "temperatures.json").read_text())
    assert 0 < record["located"] < record["photographs"]
    assert record["geoscore"]
    found = read_conformal(run, model.hash, model.fusion)
    assert found.class_scores["country"].groups > found.scores["smooth"].groups > 0
    evaluate(EvaluateConfig(data=data, run=run, workers=0, device="cpu"))
    report = json.loads((run / "evaluation_test.json").read_text())
    assert report["answers"]["model"]["geoscore"]["value"] >= 0
    assert (
        report["country_only"]["photographs"] + report["photographs"] == (read_manifest(data)["split"] == "test").sum()
    )
    write_report(ReportConfig(run=run, out=tmp_path / "report.html"))
    assert "Photographs without coordinates" in (tmp_path / "report.html").read_text()


def test_answers_from_before_sets_are_read():
    content = Prediction.example().to_dict()
    del content["sets"]
    assert Prediction.from_dict(content).sets == {}


def test_the_app_answers_countries(countries):
    pytest.importorskip("gradio", reason="gradio is optional")
    from pathlib import Path

    from infer.predictor import load
    from infer.prepared import Options
    from infer.serve.app import framed
    from infer.serve.photographs import Photographs

    data, run = countries
    photo = Path(data / read_manifest(data)["path"].iloc[0])
    prediction = Photographs(load(run, "cpu"), Options()).one(photo, Options())
    assert "90% set, " in framed(prediction_html(prediction))


def test_an_imported_run_without_its_photographs_answers_points(countries, tmp_path):
    data, run = countries
    shutil.copytree(run, tmp_path / "run")
    hierarchy, photos = read_hierarchy(run), read_manifest(data)
    begin_run(tmp_path / "run", hierarchy, photos.iloc[:0], {}, {})
    assert load_model(tmp_path / "run", pick_device("cpu")).answers_points
    begin_run(tmp_path / "run", hierarchy, photos, {}, {})
    assert not load_model(tmp_path / "run", pick_device("cpu")).answers_points
