"""Trackers: what TensorBoard and Weights & Biases are told; the latter without a network, in its offline mode."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from dataset.manifest import read_manifest
from tests.tiny import joint_config
from train.tasks import train_joint
from train.trackers import _named

BLOCK = 32_768
"""The file of a run is a log of records in blocks, each behind 7 bytes: checksum, length, and whether more of it follows."""


@pytest.fixture
def wandb(monkeypatch, tmp_path):
    package = pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name.lower()))
    return package


@pytest.fixture
def run(tiny_run, tmp_path):
    return shutil.copytree(
        tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("joint*", "checkpoints", "*.jsonl")
    )


def records(folder: Path):
    """Return the records of the only run in a folder."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    content, at, part, found = path.read_bytes(), 7, b"", []
    while at + 7 <= len(content):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        part += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            found.append(Record.FromString(part))
            part = b""
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::wandb")
@pytest.mark.filterwarnings("ignore:::pydantic")
def test_weights_and_biases_gets_metrics_config_class_mapping_weights_and_test_data(tiny, run, wandb):
    train_joint(joint_config(tiny, run, tracker=("wandb",)))
    wandb.teardown()  # which writes what its own process still holds
    told = records(run)
    artifacts = {r.artifact.name: r.artifact for r in told if r.HasField("artifact")}
    assert {name: artifact.type for name, artifact in artifacts.items()} == {
        "label-maps": "class-mapping",
        "joint-config": "config",
        "joint-weights": "model",
        "test-data": "dataset",
    }
    contents = {name: {e.path: e.size for e in a.manifest.contents} for name, a in artifacts.items()}
    assert contents["joint-weights"] == {"joint.safetensors": (run / "joint.safetensors").stat().st_size}
    assert "label_map_L3.json" in " ".join(contents["label-maps"])
    assert list(contents["joint-config"]) == ["joint.json"]
    assert list(contents["test-data"]) == ["test.parquet"]
    epochs = [
        {i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in r.history.item}
        for r in told
        if r.HasField("history")
    ]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [epoch["val/loss"] for epoch in epochs] == [line["val/loss"] for line in lines]


@pytest.mark.slow
def test_a_training_that_ends_early_closes_its_trackers(tiny, run):
    class Told:
        closed = False

        def log(self, metrics, step):
            raise KeyboardInterrupt

        def keep(self, kind, name, paths):
            raise AssertionError("nothing was trained")

        def close(self):
            self.closed = True

    told = Told()
    with pytest.raises(KeyboardInterrupt):
        train_joint(joint_config(tiny, run), (told,))
    assert told.closed


@pytest.mark.slow
def test_what_was_trained_is_handed_over_before_trackers_are_closed(tiny, run):
    calls = []

    class Told:
        def log(self, metrics, step):
            calls.append("log")

        def keep(self, kind, name, paths):
            calls.append((kind, name, [path.name for path in paths]))
            assert all(path.exists() for path in paths)
            if kind == "dataset":
                rows = read_manifest(tiny)
                kept = pd.read_parquet(paths[0])
                assert sorted(kept["id"]) == sorted(rows.loc[rows["split"] == "test", "id"])

        def close(self):
            calls.append("close")

    train_joint(joint_config(tiny, run), (Told(),))
    assert calls == [
        "log",
        "log",
        ("class-mapping", "label-maps", ["label_maps", "run.json"]),
        ("config", "joint-config", ["joint.json"]),
        ("model", "joint-weights", ["joint.safetensors"]),
        ("dataset", "test-data", ["test.parquet"]),
        "close",
    ]


def test_trials_of_a_sweep_stand_together_in_the_project_of_their_run():
    trial = Path("runs/country/sweep/country/grid/lr0.1_wd0.01")
    assert _named(trial, "country") == ("country", "sweep country grid", "country lr0.1_wd0.01")
    assert _named(Path("runs/country"), "country") == ("country", None, "country")
