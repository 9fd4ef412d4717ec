"""The whole line on the demo planet: pictures, classes, networks, temperatures, figures, answers, maps."""

import json
from dataclasses import replace

import pytest
import torch

from dataset.manifest import read_manifest
from fetch.config import ThinConfig
from fetch.demo.config import DemoConfig
from fetch.demo.dataset import run as make_demo
from fetch.thin import run as thin
from infer.__main__ import predict as infer
from infer.config import EvaluateConfig, InferConfig
from infer.evaluate.run import main as evaluate
from infer.model import load_model
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from tests.tiny import joint_config
from train.calibrate import main as calibrate
from train.config import CalibrateConfig, LevelConfig
from train.tasks import train_joint, train_level
from viz.config import CoverageConfig
from viz.maps.coverage import write_coverage

pytestmark = pytest.mark.slow

LEVELS = ("L1", "L3", "L5", "L8")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A demo planet of 400 pictures, thinned: enough groups for a calibration."""
    folder = tmp_path_factory.mktemp("planet") / "data"
    make_demo(DemoConfig(out=folder, images=400))
    thin(ThinConfig(data=folder))
    return folder


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """A joint run and one of a network for each level, both calibrated."""
    folder = tmp_path_factory.mktemp("runs")
    count = int((read_manifest(data)["split"] == "train").sum())
    for name in ("joint", "levels"):
        make_label_maps(LabelMapsConfig(data, folder / name))
        config = joint_config(data, folder / name, epochs=1, batch_size=count // 2)
        if name == "joint":
            train_joint(config)
        else:
            flags = ("arch", "weights", "image_size", "epochs", "batch_size", "workers", "device", "precision")
            for level in LEVELS:
                train_level(LevelConfig(data, folder / name, level=level, **{f: getattr(config, f) for f in flags}))
        calibrate(CalibrateConfig(data, folder / name, workers=0, device="cpu"))
    return folder


def test_two_steps_were_trained_of_each_network(runs):
    for name, networks in (("joint", ["joint"]), ("levels", list(LEVELS))):
        lines = [json.loads(line) for line in (runs / name / "metrics.jsonl").read_text().splitlines()]
        assert [(line["name"], line["step"]) for line in lines] == [(network, 2) for network in networks]


@pytest.mark.parametrize("name", ["joint", "levels"])
def test_a_run_is_measured_beside_chance_and_the_oracle_and_says_that_it_is_made_up(data, runs, name):
    evaluate(EvaluateConfig(data=data, run=runs / name, split="test", workers=0, device="cpu"))
    report = json.loads((runs / name / "evaluation_test.json").read_text())
    assert set(report["answers"]) == {"chance", "one place", "model", "clue oracle"}
    assert report["answers"]["clue oracle"]["geoscore"]["value"] > report["answers"]["chance"]["geoscore"]["value"]
    assert report["trained_on"] == 0
    assert load_model(runs / name, torch.device("cpu")).calibrated


@pytest.mark.parametrize("name", ["joint", "levels"])
def test_photographs_are_answered_with_maps(data, runs, tmp_path, name):
    photos = sorted(data.glob("images/**/*.jpg"))[:3]
    infer(InferConfig(photos=tuple(photos), run=runs / name, out=tmp_path, workers=0, device="cpu"))
    records = json.loads((tmp_path / "predictions.json").read_text())
    assert [record["path"] for record in records] == [str(photo) for photo in photos]
    for record, photo in zip(records, photos, strict=True):
        assert [level["level"] for level in record["levels"]] == list(LEVELS)
        assert any("demo planet" in warning for warning in record["warnings"])
        page = (tmp_path / f"{photo.stem}.html").read_text()
        assert record["levels"][-1]["cells"][0]["id"] in page
        assert (tmp_path / f"{photo.stem}.png").stat().st_size > 5_000


def test_the_coverage_map_is_drawn(data, tmp_path):
    write_coverage(CoverageConfig(data=data, out=tmp_path / "coverage.html"))
    assert (tmp_path / "coverage.html").stat().st_size < 600_000


def test_a_finished_training_is_not_done_again(data, runs):
    before = (runs / "joint" / "joint.safetensors").read_bytes()
    count = int((read_manifest(data)["split"] == "train").sum())
    config = joint_config(data, runs / "joint", epochs=1, batch_size=count // 2)
    train_joint(replace(config, resume=True))
    assert (runs / "joint" / "joint.safetensors").read_bytes() == before
