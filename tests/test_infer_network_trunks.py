from pathlib import Path

import pytest
import torch

from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.transform import InputTransform
from infer.network.trunks import build_trunk
from infer.network.weights import load_pretrained

HUBCONF = """
from torch import nn

def little(pretrained=False):
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 7))
    if pretrained:
        nn.init.constant_(network[0].weight, 0.25)
    return network

def words(pretrained=False):
    return "no network"
"""


@pytest.fixture
def hub(tmp_path: Path) -> str:
    (tmp_path / "hubconf.py").write_text(HUBCONF)
    return f"hub:{tmp_path}:little"


def test_a_hub_folder_gives_a_trunk_without_its_last_layer(hub: str) -> None:
    trunk, width, _ = build_trunk(hub)
    assert width == 5
    assert trunk(torch.zeros(2, 3, 16, 16)).shape == (2, 5)


def test_a_hub_gives_its_published_weights(hub: str) -> None:
    network = GeoNetwork(NetworkSpec(hub, {"L1": 4}, "", InputTransform(16)))
    assert load_pretrained(network, hub, "pretrained") == "trunk starts from pretrained"
    assert torch.all(network.trunk[0].weight == 0.25)


def test_what_a_hub_cannot_give_is_one_line(hub: str) -> None:
    with pytest.raises(ValueError, match="cannot be loaded"):
        build_trunk(hub.replace("little", "absent"))
    with pytest.raises(ValueError, match="gives no network but str"):
        build_trunk(hub.replace("little", "words"))
    with pytest.raises(ValueError, match="not of the form"):
        build_trunk("hub:alone")


def test_timm_gives_a_trunk_by_name() -> None:
    pytest.importorskip("timm", reason="timm is optional and not installed")
    trunk, width, _ = build_trunk("timm:resnet10t")
    assert trunk.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, width)
    with pytest.raises(ValueError, match="timm has no model 'resnet10x': similar ones are resnet10t"):
        build_trunk("timm:resnet10x")


def test_without_timm_its_names_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install timm"):
        build_trunk("timm:resnet10t")
