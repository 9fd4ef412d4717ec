"""What a run computes in, from its calibration to its answers, and how often its trunk is passed."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import infer
from infer.__main__ import predict
from infer.config import EvaluateConfig, InferConfig
from infer.evaluate.run import main as evaluate
from infer.model import load_model
from infer.prediction import Prediction
from infer.prepared import Options
from infer.serve.config import AppConfig
from plumbing.config import parse
from tests.tiny import PLACES, write_square
from train.calibrate import main as calibrate
from train.config import CalibrateConfig

CPU = torch.device("cpu")
APPROXIMATE = (
    "calibrated in bfloat16 but answered in float32: confidence and coverage are approximate; run `python -m train "
    "calibrate --precision float32`"
)


@pytest.fixture(scope="module")
def reduced(tiny, tiny_run, tmp_path_factory):
    """A run that was calibrated in bfloat16. It is not to be changed."""
    run = shutil.copytree(tiny_run, tmp_path_factory.mktemp("reduced") / "run")
    calibrate(CalibrateConfig(tiny, run, workers=0, device="cpu", precision="bfloat16"))
    return run


@pytest.fixture
def able(monkeypatch):
    """A processor that computes in bfloat16, as far as this software can tell."""
    monkeypatch.setattr("infer.network.devices.computes_bfloat16", lambda device: True)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(3)
    return [write_square(folder / f"{name}.png", colour, rng) for name, (_, _, colour) in PLACES.items()]


@pytest.mark.usefixtures("able")
def test_a_run_answers_in_the_precision_that_it_was_calibrated_in(calibrated, reduced, photos):
    assert json.loads((reduced / "temperatures.json").read_text())["precision"] == "bfloat16"
    assert json.loads((calibrated / "temperatures.json").read_text())["precision"] == "float32"
    for run, precision in ((reduced, "bfloat16"), (calibrated, "float32")):
        answer = infer.load(run, "cpu").predict(photos[0])
        assert answer.provenance.precision == precision
        assert not any("calibrated in" in warning for warning in answer.warnings)


@pytest.mark.usefixtures("able")
def test_an_answer_in_another_precision_than_that_of_the_calibration_says_so_everywhere(
    reduced, photos, tmp_path, capsys
):
    config = InferConfig(
        photos=(photos[0],), run=reduced, out=tmp_path, workers=0, device="cpu", maps=False, precision="float32"
    )
    predict(config)
    (record,) = json.loads((tmp_path / "predictions.json").read_text())
    assert record["provenance"]["precision"] == "float32"
    assert APPROXIMATE in record["warnings"]
    assert f"warning: {APPROXIMATE}" in capsys.readouterr().out
    predict(replace(config, bulk=True, maps=True, out=tmp_path / "bulk"))
    assert APPROXIMATE in pd.read_parquet(tmp_path / "bulk")["warnings"][0]


def test_a_processor_without_bfloat16_answers_in_float32_and_says_so(reduced, photos, monkeypatch):
    monkeypatch.setattr("infer.network.devices.computes_bfloat16", lambda device: False)
    assert APPROXIMATE in infer.load(reduced, "cpu").predict(photos[0]).warnings


def test_bulk_answers_of_another_precision_are_not_mixed(tiny_run, photos, tmp_path):
    config = InferConfig(photos=tuple(photos), run=tiny_run, out=tmp_path, workers=0, device="cpu", bulk=True)
    predict(config)
    with pytest.raises(ValueError, match="holds answers of other photographs or flags"):
        predict(replace(config, precision="bfloat16"))


@pytest.mark.usefixtures("able")
def test_an_evaluation_names_its_precision_and_warns_of_another_one(tiny, reduced, tmp_path, caplog):
    given = {"data": tiny, "run": reduced, "workers": 0, "device": "cpu", "split": "test"}
    evaluate(EvaluateConfig(**given, out=tmp_path / "own.json"))
    assert "was calibrated in" not in caplog.text
    evaluate(EvaluateConfig(**given, out=tmp_path / "other.json", precision="float32"))
    assert "was calibrated in bfloat16 and is measured in float32" in caplog.text
    said = [json.loads((tmp_path / f"{name}.json").read_text())["precision"] for name in ("own", "other")]
    assert said == ["bfloat16", "float32"]


@pytest.mark.parametrize("config", [InferConfig, EvaluateConfig, AppConfig, CalibrateConfig])
def test_a_precision_that_does_not_exist_is_refused_with_its_flag(config):
    with pytest.raises(ValueError, match=r"--precision.*float16"):
        parse(config, "python -m some command", ["--run", "run", "--precision", "float16"])


def test_from_python_too(tiny_run):
    with pytest.raises(ValueError, match="--precision is auto, float32 or bfloat16, got 'half'"):
        infer.load(tiny_run, "cpu", precision="half")


def test_answers_without_a_precision_are_still_read(calibrated, photos):
    content = infer.load(calibrated, "cpu").predict(photos[0]).to_dict()
    del content["provenance"]["precision"]
    assert Prediction.from_dict(content).provenance.precision is None


def test_the_layout_of_pixels_that_a_cpu_reads_faster_changes_no_answer(tiny_run):
    (network,) = load_model(tiny_run, CPU).networks
    images = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    layouts = []
    hook = network.trunk.register_forward_pre_hook(
        lambda _, given: layouts.append(given[0].is_contiguous(memory_format=torch.channels_last))
    )
    found = network(images)
    hook.remove()
    assert layouts == [True]
    assert network.readout is None
    plain = network.answers(network.trunk(images))
    for level, logits in found.items():
        torch.testing.assert_close(logits, plain[level], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"coverage": (0.5, 0.9), "within": ("-90,-180,90,180",), "confidence": 0.2},
        {"same_place": True},
        {"fusion": "product", "point": "median"},
    ],
    ids=["plain", "regions, area and abstention", "one place", "other choices"],
)
def test_the_trunk_is_passed_once_for_each_photograph_whatever_is_asked_for(calibrated, photos, asked):
    predictor = infer.load(calibrated, "cpu")
    passed = []
    for network in predictor.model.networks:
        network.trunk.register_forward_hook(lambda _, given, output: passed.append(len(given[0])))
    prepared = predictor.prepared(Options(**asked))
    answers = list(predictor.stream(photos, prepared, batch_size=4, workers=0, refuse=True))
    assert len(answers) == (1 if asked.get("same_place") else len(photos))
    assert sum(passed) == len(photos)


def test_similar_photographs_take_no_further_pass_of_the_trunk(tiny, calibrated, photos, tmp_path, monkeypatch):
    run = shutil.copytree(calibrated, tmp_path / "run")
    predictor = infer.load(run, "cpu")
    neighbours = predictor.neighbours(tiny, workers=0)
    # The heat map hides a part of the photograph at a time, which takes passes of its own.
    heat = type("Found", (), {"cell": "", "against": None, "heat": np.zeros((32, 32))})()
    monkeypatch.setattr("infer.explain.evidence.explain", lambda *given: heat)
    passed = []
    for network in predictor.model.networks:
        network.trunk.register_forward_hook(lambda _, given, output: passed.append(len(given[0])))
    prepared = predictor.prepared(Options())
    answers = list(predictor.stream(photos, prepared, workers=0, refuse=True, explain=True, neighbours=neighbours))
    assert all(prediction.similar for _, prediction in answers)
    assert sum(passed) == len(photos)
