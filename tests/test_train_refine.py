"""A head that turns cells into coordinates learns on features that are computed once."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open

from geocells.hierarchy import build_hierarchy
from geocells.partitions import QuadPartition
from geocells.sphere import unit_vectors
from infer.config import EvaluateConfig, InferConfig
from infer.evaluate.run import main as evaluate
from infer.model import load_model
from infer.network.refiner import RefinerSpec
from infer.network.weights import load_network, save_network
from infer.predict import main as infer
from infer.run_files import REFINE
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from tests.tiny import assert_answers_alike_alone_and_in_bulk, joint_config
from train.calibrate import main as calibrate
from train.config import CalibrateConfig, OptimConfig
from train.refine import Examples, learn, main, measure, new_refiner
from train.refine_config import RefineConfig
from train.tasks import train_joint

CPU = torch.device("cpu")
KINDS = ("experts", "embedding")
LOSSES = ("mse", "smooth_l1", "great_circle")


def planet(seed, count=400, width=12, noise=0.02):
    """Photographs whose features hold where they were taken, in some linear way, on both sides of the antimeridian."""
    rng = np.random.default_rng(seed)
    places = np.stack([rng.uniform(-40, 40, count), (rng.uniform(120, 240, count) + 180) % 360 - 180], axis=1)
    features = unit_vectors(places) @ np.random.default_rng(0).normal(0, 1, (3, width))
    return places, torch.from_numpy(features + rng.normal(0, noise, features.shape)).float()


def problem(kind, **flags):
    """A refiner of such a planet, and its training and validation photographs."""
    (places, features), (others, other_features) = planet(1), planet(2)
    hierarchy = build_hierarchy(QuadPartition((1, 2)), places)
    training, validation = (
        Examples(f, torch.from_numpy(hierarchy.classes(p)[:, 1]), p)
        for p, f in ((places, features), (others, other_features))
    )
    spec = RefinerSpec(kind, "L2", hierarchy.sizes()[1], features.shape[1], "", "", "")
    refiner = new_refiner(spec, hierarchy, training, seed=0)
    optim = OptimConfig("adamw", lr=0.02 if kind == "experts" else 0.003)
    return refiner, training, validation, RefineConfig(None, None, kind=kind, optim=optim, batch_size=64, **flags)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_where_features_hold_the_position_refining_lowers_the_error(kind, loss):
    history = learn(*problem(kind, coordinate_loss=loss, epochs=40))
    before, after = history[0], min(history, key=lambda line: line["val/loss"])
    assert before["val/mean_km_in_cell"] > 1000
    assert after["val/mean_km_in_cell"] < 0.35 * before["val/mean_km_in_cell"]
    assert after["val/loss"] < 0.2 * before["val/loss"]


@pytest.mark.parametrize("kind", KINDS)
def test_where_features_hold_nothing_next_to_nothing_is_learned(kind):
    refiner, training, validation, config = problem(kind, epochs=30)
    generator = torch.Generator().manual_seed(3)
    training, validation = (
        Examples(torch.randn(e.features.shape, generator=generator), e.cells, e.latlon_deg)
        for e in (training, validation)
    )
    history = learn(refiner, training, validation, config)
    best = min(line["val/loss"] for line in history)
    assert best <= history[0]["val/loss"]
    assert best > 0.8 * history[0]["val/loss"]
    assert len(history) < 31, "patience ends it"
    assert best < history[-1]["val/loss"]
    assert measure(refiner, validation, config)["val/loss"] == best, "the weights kept are those of the best epoch"


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_refiner(kind):
    refiner, training, validation, config = problem(kind, epochs=6)
    history = learn(refiner, training, validation, config)
    again, *rest = problem(kind, epochs=6)
    assert learn(again, *rest) == history
    for name, tensor in refiner.state_dict().items():
        torch.testing.assert_close(tensor, again.state_dict()[name], rtol=0, atol=0)


@pytest.mark.parametrize("schedule", ["constant", "one_cycle", "cosine", "step", "plateau"])
def test_every_schedule_and_clipping_can_be_had(schedule):
    refiner, training, validation, _ = problem("experts")
    config = RefineConfig(
        None, None, kind="experts", optim=OptimConfig("sgd", 0.1, schedule=schedule, clip=1.0), epochs=3, patience=0
    )
    history = learn(refiner, training, validation, config)
    assert len(history) == 4
    assert history[-1]["train/loss"] < history[1]["train/loss"]


def test_a_loss_that_is_no_number_ends_in_one_line():
    refiner, training, validation, config = problem("experts")
    training.features[3] = torch.nan
    with pytest.raises(ValueError, match=r"NaN or infinite in epoch 1: lower --optim\.lr"):
        learn(refiner, training, validation, config)


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of the tiny run to refine."""
    return shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))


def refine(data, run, **flags):
    main(RefineConfig(data, run, **{"epochs": 2, "batch_size": 16, "workers": 0, "device": "cpu", **flags}))


@pytest.mark.parametrize("flags", [{"kind": "embedding"}, {"kind": "experts"}, {"kind": "experts", "experts_at": "L3"}])
def test_a_refined_run_is_calibrated_measured_and_asked_like_any_other(tiny, run, tmp_path, capsys, flags):
    refine(tiny, run, **flags)
    assert "12 photographs of the calibration split, " + flags.get("experts_at", "L8") + " cell taken as known:" in (
        capsys.readouterr().out
    )
    calibrate(CalibrateConfig(tiny, run, workers=0, device="cpu"))
    record = json.loads((run / "temperatures.json").read_text())
    assert set(record["geoscore"]["chain"]) == {"top", "mean", "median", "geoscore", "refined", "expert"}
    printed = capsys.readouterr().out
    assert printed.splitlines()[1].split()[-2:] == ["refined", "expert"]
    evaluate(EvaluateConfig(data=tiny, run=run, point="refined", workers=0, device="cpu", out=tmp_path / "e.json"))
    assert json.loads((tmp_path / "e.json").read_text())["point"] == "refined"
    assert_answers_alike_alone_and_in_bulk(tiny, run, tmp_path, "refined")
    asked = {"run": run, "point": "refined", "workers": 0, "device": "cpu"}
    infer(InferConfig(photos=(tiny,), out=tmp_path / "same", same_place=True, maps=False, **asked))
    assert len(json.loads((tmp_path / "same" / "predictions.json").read_text())) == 1


def test_a_calibration_may_make_refined_the_point_of_the_run(tiny, run):
    refine(tiny, run)
    record = {"fusion": "chain", "point": "refined", "model_hash": load_model(run, CPU).hash, "temperatures": {}}
    (run / "temperatures.json").write_text(json.dumps(record))
    assert load_model(run, CPU).point == "refined"
    (run / REFINE).unlink()
    assert load_model(run, CPU).point == "geoscore"


def test_what_was_learned_is_told_in_the_file_and_in_the_metrics(tiny, run):
    (run / "metrics.jsonl").unlink()
    refine(tiny, run)
    with safe_open(run / REFINE, "pt") as file:
        spec, trained = (json.loads(file.metadata()[key]) for key in ("spec", "trained"))
    assert (spec["kind"], spec["level"], spec["cells"], spec["trunk"]) == ("embedding", "L8", 6, "joint.safetensors")
    assert trained["photographs"] == 36
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [(line["name"], line["epoch"]) for line in lines] == [("refine", 0), ("refine", 1), ("refine", 2)]
    assert trained["metrics"]["val/loss"] == min(line["val/loss"] for line in lines)


def stored(path):
    with safe_open(path, "pt") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)


def test_training_twice_gives_the_same_refiner(tiny, run):
    refine(tiny, run)
    facts, tensors = stored(run / REFINE)
    refine(tiny, run, overwrite=True)
    facts_again, tensors_again = stored(run / REFINE)
    assert facts == facts_again
    assert set(tensors) == set(tensors_again)
    assert all(torch.equal(tensor, tensors_again[name]) for name, tensor in tensors.items())


@pytest.mark.parametrize("partition", ["adaptive", "kmeans", "macro"])
def test_every_partition_can_be_refined(tiny, tmp_path, partition):
    own = {"kmeans": {"clusters": (4, 6)}, "adaptive": {}, "macro": {}}[partition]
    make_label_maps(LabelMapsConfig(tiny, tmp_path, partition=partition, **own))
    train_joint(joint_config(tiny, tmp_path, epochs=1))
    refine(tiny, tmp_path, kind="experts")
    assert "refined" in load_model(tmp_path, CPU).point_methods


def test_a_refiner_that_exists_is_not_replaced_unasked(tiny, run):
    refine(tiny, run)
    with pytest.raises(ValueError, match=r"refine\.safetensors exists: pass --overwrite"):
        refine(tiny, run)


def test_after_another_training_of_the_network_the_refiner_is_refused_until_trained_again(tiny, run):
    refine(tiny, run)
    network, spec = load_network(run / "joint.safetensors")
    with torch.no_grad():
        network.heads["L1"].bias[0] += 1e-3
    save_network(run / "joint.safetensors", network, spec, {})
    with pytest.raises(ValueError, match=r"was trained on another network than .*joint\.safetensors: train it again"):
        load_model(run, CPU)
    refine(tiny, run, overwrite=True)
    assert "refined" in load_model(run, CPU).point_methods


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"epochs": 0}, "--epochs must be 1 or more, got 0"),
        ({"patience": -1}, "--patience must be 0 or more, got -1"),
        ({"arch": "resnet18"}, "--arch resnet18 has no effect without --own-trunk"),
        ({"experts_at": "L3"}, "no effect without --kind experts"),
        ({"optim": OptimConfig(frozen=("conv1",))}, "no effect without --own-trunk"),
        ({"optim": OptimConfig(ema=0.9)}, "no effect without --own-trunk"),
    ],
)
def test_flags_that_cannot_work_are_refused(tmp_path, flags, complaint):
    with pytest.raises(ValueError, match=complaint):
        RefineConfig(tmp_path, tmp_path, **flags)


def test_a_level_or_a_run_that_is_not_there_is_named(tiny, run, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="there is no level 'L4'; this hierarchy has L1, L3, L5, L8"):
        refine(tiny, run, kind="experts", experts_at="L4")
    with pytest.raises(ValueError, match="has no label maps"):
        refine(tiny, tmp_path / "nowhere")
    (run / "joint.safetensors").unlink()
    with pytest.raises(ValueError, match="has no network for L1, L3, L5, L8"):
        refine(tiny, run)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"train\.refine runs in one process"):
        refine(tiny, run)
