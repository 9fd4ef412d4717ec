"""Trunks that stay: heads learn from features that are computed once, and what they learn is what pixels would have taught."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dataset.features import FeatureCache, FeatureKind
from dataset.manifest import read_manifest
from infer.images import read_pixels
from infer.model import load_model
from infer.network.network import GeoNetwork, NetworkSpec, Readout
from infer.network.transform import InputTransform
from infer.network.weights import load_network
from label_maps.files import read_hierarchy
from tests.tiny import joint_config
from train import frozen
from train import loop as fit
from train.config import LevelConfig, OptimConfig, RegressConfig
from train.frozen import FeatureSource
from train.optim import freeze, to_train
from train.parts_config import AugmentConfig
from train.setup import labelled_splits
from train.state import Trainee
from train.sweep import main as sweep
from train.sweep_config import GridConfig, SweepConfig
from train.tasks import train_joint, train_level, train_regress

CPU = torch.device("cpu")
HEADS = OptimConfig("adamw", lr=0.01, trunk_lr_factor=0.1)
AS_THEY_ARE = AugmentConfig(flip=0.0, rotation_deg=0.0, crop_scale=0.7)
"""The default of `train joint`, which changes nothing without views."""


@pytest.fixture
def run(tiny_run, tmp_path):
    """A run with label maps and no network."""
    return shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints", "*.safetensors"))


@pytest.fixture
def data(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "data", ignore=shutil.ignore_patterns("features"))


def config_of(data, run, **changes):
    flags = {"freeze_trunk": True, "readout_epochs": 12, "optim": HEADS, "augment": AS_THEY_ARE}
    return joint_config(data, run, **{**flags, **changes})


def heads_of(run, name="joint"):
    network, _ = load_network(run / f"{name}.safetensors")
    return {key: tensor for key, tensor in network.state_dict().items() if not key.startswith("trunk.")}


def trunk_of(run, name="joint"):
    network, _ = load_network(run / f"{name}.safetensors")
    return network.trunk.state_dict()


@pytest.mark.parametrize("arch", ["shufflenet_v2_x0_5", "resnet18"])
@pytest.mark.parametrize("hidden", [0, 16])
def test_the_run_answers_with_the_logits_of_its_training_bit_for_bit(data, run, arch, hidden):
    train_joint(config_of(data, run, arch=arch, hidden=hidden))
    model = load_model(run, CPU)
    network, spec = load_network(run / "joint.safetensors")
    assert spec.hidden == hidden
    photos = labelled_splits(data, run, read_hierarchy(run), keyed=True)["calibration"]
    pixels = torch.stack([read_pixels(photos.pictures, k, spec.transform) for k in range(len(photos))])
    kinds = [cache.kind.fingerprint for cache in FeatureCache.all(data)]
    there = FeatureCache.all(data)[0].read()
    with torch.inference_mode():
        kept = network.answers(torch.from_numpy(there.take(there.find(photos.keys))))
        live = network.to(memory_format=torch.channels_last)(
            # As many as a batch of features has: processors add up other batches in another order.
            spec.transform.normalise(torch.cat([pixels, torch.zeros_like(pixels).repeat(5, 1, 1, 1)])[:64]).contiguous(
                memory_format=torch.channels_last
            )
        )
    assert len(kinds) == 1
    for level, answered in zip(model.hierarchy.level_names, model.logits(pixels), strict=True):
        torch.testing.assert_close(kept[level], live[level][: len(photos)], atol=0, rtol=0)
        torch.testing.assert_close(kept[level], answered, atol=1e-5, rtol=1e-5)


def test_features_teach_what_pixels_teach_where_the_trunk_stays(data, run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    plain = AugmentConfig(flip=0, color_jitter=0, rotation_deg=0, crop_scale=1)
    train_joint(config_of(data, run, hidden=0))
    on_pixels = OptimConfig("adamw", lr=0.01, trunk_lr_factor=0)
    train_joint(config_of(data, other, freeze_trunk=False, readout_epochs=0, optim=on_pixels, augment=plain))
    for name, tensor in trunk_of(other).items():
        torch.testing.assert_close(trunk_of(run)[name], tensor, atol=0, rtol=0)
    for name, tensor in heads_of(other).items():
        torch.testing.assert_close(heads_of(run)[name], tensor, atol=1e-5, rtol=1e-5)


def test_no_picture_is_read_once_its_features_are_there(data, run, monkeypatch):
    train_joint(config_of(data, run, epochs=1))
    before = heads_of(run)

    def read(*_):
        raise AssertionError("a picture is read")

    monkeypatch.setattr("infer.images.read_pixels", read)
    monkeypatch.setattr("train.data.read_pixels", read)
    train_joint(config_of(data, run, epochs=1, overwrite=True))
    for name, tensor in before.items():
        torch.testing.assert_close(heads_of(run)[name], tensor, atol=0, rtol=0)


def test_an_interrupted_training_continues_to_the_same_heads(data, run, tmp_path, monkeypatch):
    undisturbed = shutil.copytree(run, tmp_path / "undisturbed")
    train_joint(config_of(data, undisturbed, epochs=3, hidden=16))
    real, steps = fit._step, []

    def interrupted(*given):
        steps.append(1)
        if len(steps) == 6:
            raise KeyboardInterrupt
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(fit, "_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_joint(config_of(data, run, epochs=3, hidden=16))
    train_joint(config_of(data, run, epochs=3, hidden=16, resume=True))
    for name, tensor in heads_of(undisturbed).items():
        torch.testing.assert_close(heads_of(run)[name], tensor, atol=0, rtol=0)


def test_levels_and_coordinates_learn_from_features_too(data, run):
    flags = {"freeze_trunk": True, "arch": "shufflenet_v2_x0_5", "weights": "none", "image_size": 32, "epochs": 1}
    flags |= {"batch_size": 9, "workers": 0, "device": "cpu", "precision": "float32", "resize": "squash"}
    train_level(LevelConfig(data=data, run=run, level="L1", **flags))
    train_regress(RegressConfig(data, run, **flags))
    assert {len(FeatureCache.all(data)), len(list(run.glob("*.safetensors")))} == {1, 2}
    for name, tensor in trunk_of(run, "L1").items():
        torch.testing.assert_close(trunk_of(run, "regress")[name], tensor, atol=0, rtol=0)


def test_each_epoch_learns_from_another_view(data, run, monkeypatch):
    seen, real = [], FeatureSource.__getitems__
    monkeypatch.setattr(
        FeatureSource,
        "__getitems__",
        lambda own, items: (seen.append((items[0][0], found := real(own, items))), found)[1],
    )
    train_joint(config_of(data, run, epochs=3, views=1, batch_size=36, hidden=16))
    drawn = [found for _, found in seen if len(found[0]) == 36]
    epochs = [features[index.argsort()] for index, features in drawn]
    assert torch.equal(epochs[0], epochs[2])
    assert (epochs[0] != epochs[1]).any(dim=1).all()
    assert len(list((data / "features").iterdir())) == 2


def test_random_changes_are_taken_where_views_are_changed_by_them(tiny, run):
    assert config_of(tiny, run, views=2, augment=replace(AS_THEY_ARE, flip=0.3)).augment.flip == 0.3


def test_an_unreadable_picture_is_refused_in_one_line(data, run):
    photos = read_manifest(data)
    path = data / photos["path"][photos["split"] == "train"].iloc[0]
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="pictures without features: 1") as refusal:
        train_joint(config_of(data, run))
    assert str(path) in str(refusal.value)
    assert "`python -m fetch verify` lists all that are missing or damaged" in str(refusal.value)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"readout_epochs": 3}, "--readout-epochs 3 has no effect with --freeze-trunk"),
        ({"cache_pixels": True}, "--cache-pixels"),
        ({"optim": OptimConfig(frozen=("conv1",))}, "--optim.frozen"),
        ({"augment": AugmentConfig(mixup=0.5)}, "--augment.mixup"),
        ({"augment": replace(AS_THEY_ARE, flip=0.3)}, "--augment.flip 0.3 has no effect with --freeze-trunk"),
        (
            {"optim": OptimConfig("adamw", lr=0.01, trunk_lr_factor=0.5)},
            "--optim.trunk-lr-factor 0.5 has no effect with",
        ),
        ({"freeze_trunk": False, "views": 2}, "--views 2 has no effect without --freeze-trunk"),
        ({"freeze_trunk": False, "hidden": 2}, "--hidden 2 has no effect without --freeze-trunk"),
    ],
)
def test_flags_without_effect_are_refused(tiny, run, flags, said):
    with pytest.raises(ValueError, match="no effect") as refusal:
        config_of(tiny, run, **flags)
    assert said in str(refusal.value)


def test_a_sweep_computes_features_once_for_all_trials(data, run, monkeypatch):
    computed, real = [], frozen.compute_features
    monkeypatch.setattr(
        frozen, "compute_features", lambda *given: (found := real(*given), computed.append(found.pictures))[0]
    )
    grid = GridConfig(lrs=(1e-3, 1e-2), weight_decays=(0.0,))
    sweep(SweepConfig(config_of(data, run, epochs=1, hidden=16), grid))
    assert computed == [36, 12, 0, 0]
    assert len(list((run / "sweep" / "joint" / "grid").glob("lr*/joint.safetensors"))) == 2


def source_of(tmp_path, numbers):
    cache = FeatureCache.create(tmp_path, FeatureKind("a", "b", {}, "float32", "own"), numbers.shape[1], "float32")
    keys = np.array([f"{row:032d}".encode() for row in range(len(numbers))], dtype="S32")
    with cache.writer() as writer:
        writer.add(keys, numbers)
    there = cache.read()
    return FeatureSource([(there, there.find(keys))])


def test_features_that_memory_does_not_hold_are_read_batch_by_batch_and_are_the_same(tmp_path, monkeypatch):
    numbers = np.random.default_rng(0).normal(3, 2, (500, 7)).astype(np.float32)
    kept = source_of(tmp_path / "kept", numbers)
    monkeypatch.setattr(frozen, "KEPT_BYTES", 100)
    read = source_of(tmp_path / "read", numbers)
    assert read._kept is None
    items = [(0, int(row)) for row in np.random.default_rng(1).permutation(500)]
    for start in range(0, 500, 64):
        for one, other in zip(
            kept.__getitems__(items[start : start + 64]), read.__getitems__(items[start : start + 64]), strict=True
        ):
            assert torch.equal(one, other)
    readout = Readout(7, 2)
    read.standardise(readout)
    torch.testing.assert_close(readout.mean, torch.from_numpy(numbers.mean(axis=0)))
    torch.testing.assert_close(readout.std, torch.from_numpy(numbers.std(axis=0, ddof=1)))


def test_a_feature_that_never_varied_in_training_does_not_drown_the_others_in_a_photograph_where_it_does(tmp_path):
    numbers = np.random.default_rng(0).normal(3, 2, (200, 7)).astype(np.float32)
    numbers[:, 4] = 0
    readout = Readout(7, 16)
    source_of(tmp_path, numbers).standardise(readout)
    readout.eval()
    usual = torch.from_numpy(numbers[:1])
    changed = usual.clone()
    changed[0, 4] = 0.5
    with torch.inference_mode():
        moved = (readout(changed) - readout(usual)).abs().max()
    assert 0 < moved < 1


@pytest.mark.parametrize(
    ("optim", "graph_starts_at"),
    [
        (OptimConfig(), "conv1"),
        (OptimConfig(frozen=("conv1", "bn1", "layer1", "layer2")), "layer3"),
        (OptimConfig(trunk_lr_factor=0), None),
    ],
    ids=["nothing", "first stages", "rate of 0"],
)
def test_no_graph_is_built_for_frozen_parts(tiny, run, optim, graph_starts_at):
    spec = NetworkSpec("resnet18", {"L1": 3}, "", InputTransform(32))
    network = GeoNetwork(spec)
    config = config_of(tiny, run, freeze_trunk=False, readout_epochs=0, optim=optim)
    trainee = Trainee.of(config, network, 36, fit.World(), CPU)
    to_train(network, config.frozen_parts, optim.frozen_norm)
    graphs = {}
    for name, module in network.trunk.named_children():
        if name != "fc":
            module.register_forward_hook(lambda _, __, output, name=name: graphs.update({name: output.requires_grad}))
    before = [tensor.clone() for tensor in network.trunk.state_dict().values()]
    network(torch.randn(4, 3, 32, 32))["L1"].sum().backward()
    trainee.optimizer.step()
    started = [name for name, builds in graphs.items() if builds]
    assert (started[0] if started else None) == graph_starts_at
    assert network.heads["L1"].weight.grad is not None
    if graph_starts_at is None:
        for tensor, was in zip(network.trunk.state_dict().values(), before, strict=True):
            assert torch.equal(tensor, was), "neither weights nor the statistics of batch norm move"


def test_frozen_parts_answer_without_dropout():
    network = GeoNetwork(NetworkSpec("mobilenet_v3_small", {"L1": 3}, "", InputTransform(32)))
    freeze(network, ("",))
    to_train(network, ("",), False)
    assert not any(module.training for module in network.trunk.modules())
    assert network.heads.training
    to_train(network, (), True)
    assert any(isinstance(module, nn.Dropout) and module.training for module in network.trunk.modules())


def test_metrics_of_a_frozen_training_are_recorded_each_epoch(data, run):
    train_joint(config_of(data, run, epochs=2))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines if line["name"] == "joint"][-2:] == [1, 2]
