"""An embedding that all heads share, and dropout before heads: as published, stored with the weights, silent in answers."""

import shutil
from dataclasses import replace

import pytest
import torch

from infer.network.coordinate_head import HEAD, CoordinateSpec
from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.transform import InputTransform
from infer.network.weights import load_network, save_network
from plumbing.config import parse
from tests.tiny import joint_config
from train.config import JointConfig, LevelConfig
from train.optim import build_optimizer
from train.parts_config import OptimConfig
from train.tasks import train_joint

COORDINATES = CoordinateSpec("vector", (0.0, 0.0), (1.0, 1.0))
SPEC = NetworkSpec(
    "shufflenet_v2_x0_5", {"L1": 3, "L3": 5}, "abc", InputTransform(32), COORDINATES, embedding=128, dropout=0.2
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return GeoNetwork(SPEC)


def layers(module):
    return [
        (layer.in_features, layer.out_features) if isinstance(layer, torch.nn.Linear) else layer.p
        for layer in module.modules()
        if isinstance(layer, torch.nn.Linear | torch.nn.Dropout)
    ]


def test_layers_are_as_published(network):
    width = network.width
    assert layers(network.embedding) == [(width, 256), 0.2, (256, 128), 0.2]
    assert layers(network.heads["L3"]) == [(128, 64), 0.2, (64, 5)]
    assert layers(network.heads[HEAD]) == [(128, 64), 0.2, (64, 64), 0.2, (64, COORDINATES.width)]


def test_answers_read_the_embedding_and_drop_nothing(network):
    network.eval()
    features = torch.randn(4, network.width)
    shared = network.embedding(features)
    for name, answer in network(features).items():
        torch.testing.assert_close(answer, network.heads[name](shared), rtol=0, atol=0)
    network.train()
    assert not torch.equal(network(features)["L1"], network(features)["L1"])


def test_dropout_without_an_embedding_lies_before_linear_heads():
    network = GeoNetwork(replace(SPEC, embedding=0, dropout=0.5)).train()
    features = torch.ones(2000, network.width)
    with torch.no_grad():
        for head in network.heads.values():
            torch.nn.init.ones_(head.weight)
            torch.nn.init.zeros_(head.bias)
    kept = network(features)["L1"][:, 0].detach() / network.width
    assert float(kept.mean()) == pytest.approx(1, abs=0.01)
    assert float(kept.std()) == pytest.approx(network.width**-0.5, rel=0.1)
    torch.testing.assert_close(network.eval()(features)["L1"][:, 0].detach(), torch.full((2000,), float(network.width)))


def test_every_parameter_learns(network):
    learning = {id(p) for group in build_optimizer(network, OptimConfig()).param_groups for p in group["params"]}
    assert learning == {id(parameter) for parameter in network.parameters()}


def test_a_network_with_an_embedding_is_read_as_it_was_written(network, tmp_path):
    save_network(tmp_path / "joint.safetensors", network, SPEC, {})
    again, spec = load_network(tmp_path / "joint.safetensors")
    assert spec == SPEC
    features = torch.randn(3, network.width)
    for name, answer in network.eval()(features).items():
        torch.testing.assert_close(again(features)[name], answer, rtol=0, atol=0)


def test_a_joint_training_has_the_embedding_of_its_flags_and_no_readout(tiny, tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("joint*", "checkpoints"))
    flags = {"embedding": 16, "dropout": 0.1, "coordinate_weight": 1.0, "readout_epochs": 12, "epochs": 1}
    train_joint(joint_config(tiny, run, **flags))
    network, spec = load_network(run / "joint.safetensors")
    assert (spec.embedding, spec.dropout, spec.hidden) == (16, 0.1, 0)
    assert network.embedding is not None
    assert not list((run / "checkpoints").glob("*readout*"))


@pytest.mark.parametrize(
    ("config", "words", "refusal"),
    [
        (LevelConfig, "--level L3 --dropout 1", "--dropout is a share from 0 to below 1, got 1"),
        (LevelConfig, "--level L3 --embedding -1", "--hidden and --embedding must not be negative"),
        (LevelConfig, "--level L3 --freeze-trunk --dropout 0.2", "--dropout 0.2 has no effect with --freeze-trunk"),
        (JointConfig, "--embedding 64 --readout-epochs 3", "--readout-epochs 3 has no effect with --embedding 64"),
    ],
)
def test_flags_without_sense_are_refused(config, words, refusal):
    with pytest.raises(ValueError, match=refusal):
        parse(config, "x", ["--data", "d", "--run", "r", *words.split()])
