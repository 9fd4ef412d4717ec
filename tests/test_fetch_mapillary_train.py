"""What is fetched from a Mapillary whose world is the demo planet trains as the demo planet does."""

import json

import pytest

from dataset.manifest import read_manifest
from fetch.mapillary.cli import run
from fetch.mapillary.config import MapillaryConfig
from infer.config import EvaluateConfig
from infer.evaluate.run import main as evaluate
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from tests.mapillary_stub import TOKEN, Stub, World
from tests.tiny import joint_config
from train.calibrate import main as calibrate
from train.config import CalibrateConfig
from train.tasks import train_joint


@pytest.mark.slow
def test_a_fetched_dataset_goes_through_training_calibration_and_evaluation(tmp_path, monkeypatch):
    monkeypatch.setenv("MAPILLARY_TOKEN", TOKEN)
    data, folder = tmp_path / "data", tmp_path / "run"
    with Stub(World(0, 500)) as stub:
        service = {"graph_url": stub.url, "tiles_url": stub.url, "image_hosts": ("127.0.0.1",)}
        pace = {"requests_per_second": 0, "tiles_per_second": 0, "threads": 8, "fill_tiles": 0}
        assert run(MapillaryConfig(out=data, per_cell=3, **service, **pace)) == 0
    count = int((read_manifest(data)["split"] == "train").sum())
    assert count > 60
    make_label_maps(LabelMapsConfig(data, folder))
    train_joint(joint_config(data, folder, epochs=1, batch_size=count // 2))
    calibrate(CalibrateConfig(data, folder, workers=0, device="cpu"))
    evaluate(EvaluateConfig(data=data, run=folder, split="test", workers=0, device="cpu"))
    report = json.loads((folder / "evaluation_test.json").read_text())
    assert {"chance", "model"} <= set(report["answers"])
