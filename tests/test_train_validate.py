"""What is measured after an epoch: kilometres only where answers and truths have places."""

import json
import logging
import shutil

import pytest
import torch

from dataset.manifest import read_manifest, write_manifest
from infer.network import devices
from label_maps.build import main as build
from label_maps.config import LabelMapsConfig
from tests.tiny import joint_config
from train.sweep_results import Judgement
from train.tasks import train_joint


def labelled(tiny, data, with_places):
    """Copy the dataset with the place's name as the label, and with coordinates or without."""
    shutil.copytree(tiny, data, ignore=shutil.ignore_patterns("features"))
    photos = read_manifest(data)
    photos["label"] = photos["id"].str.rsplit("-", n=1).str[0]
    if not with_places:
        photos[["latitude", "longitude"]] = float("nan")
    write_manifest(data, photos)
    return data


@pytest.mark.slow
@pytest.mark.parametrize("with_places", [True, False])
@pytest.mark.parametrize("readout_epochs", [0, 1])
def test_a_training_of_labels_says_kilometres_only_where_photographs_have_places(
    with_places, readout_epochs, tiny, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    data, run = labelled(tiny, tmp_path / "data", with_places), tmp_path / "run"
    build(LabelMapsConfig(data, run, partition="classes"))
    train_joint(joint_config(data, run, loss="cross_entropy", epochs=1, readout_epochs=readout_epochs))
    for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
        assert ("val/geoscore" in line) == ("val/median_km" in line) == with_places
        assert 0 <= line["val/class_top1"] <= 1
    assert ("GeoScore" in caplog.text) == (with_places and readout_epochs > 0)
    assert ("with linear heads: top-1" in caplog.text) == (not with_places and readout_epochs > 0)


def test_a_rank_by_kilometres_that_nobody_measured_is_refused():
    with pytest.raises(ValueError, match="no photograph has coordinates: rank by loss or accuracy"):
        Judgement.of("geoscore", "class").value({"val/loss": 1.0})


@pytest.mark.parametrize(("able", "warned"), [(True, False), (False, True)])
def test_bfloat16_that_is_asked_for_is_warned_of_where_the_processor_is_slow_in_it(able, warned, monkeypatch, caplog):
    monkeypatch.setattr(devices, "computes_bfloat16", lambda device: able)
    assert devices.asked_precision("bfloat16", torch.device("cpu")) == "bfloat16"
    assert ("does not compute in it, which is slower than float32" in caplog.text) == warned
    caplog.clear()
    assert devices.asked_precision("auto", torch.device("cpu")) == ("bfloat16" if able else "float32")
    assert caplog.text == ""
