"""All stages of a trunk are read in one pass."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.stages import MEANS, OWN, RESNET, StageFeatures, stages_of
from infer.network.transform import InputTransform
from infer.network.trunks import build_trunk


def network(arch: str, size: int = 64) -> GeoNetwork:
    torch.manual_seed(0)
    return GeoNetwork(NetworkSpec(arch, {"L1": 3}, "", InputTransform(size)).with_hidden(8)).eval()


def as_read(images: torch.Tensor) -> torch.Tensor:
    """Return images in the layout that a network reads them in on a CPU, on which the last bits depend."""
    return images.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("arch", ["resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2"])
def test_stages_of_a_resnet_give_maxima_and_means_its_own_features_last(arch):
    torch.manual_seed(0)
    trunk, width, _ = build_trunk(arch)
    stages = StageFeatures(trunk, stages_of(trunk), width, 48)
    images = torch.randn(2, 3, 48, 64)
    with torch.inference_mode():
        features = stages(trunk.eval(), images)
        torch.testing.assert_close(features[:, -width:], trunk(images))
    assert features.shape == (2, stages.width)
    maxima, means = features.chunk(2, dim=1)
    assert (maxima >= means).all()


@pytest.mark.parametrize(
    ("arch", "width"),
    [
        ("mobilenet_v3_small", 1024 + sum((16, 16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96, 576))),
        ("timm:tf_efficientnet_lite0", 1280 + sum((16, 24, 40, 80, 112, 192, 320))),
        ("timm:vit_tiny_patch16_224", 192 * 5),
    ],
)
def test_stages_of_other_trunks_give_the_mean_of_each_its_own_features_last(arch, width):
    if arch.startswith("timm"):
        pytest.importorskip("timm", reason="timm is optional and not installed")
    found = network(arch)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        features = found.features(images)
        assert features.shape == (2, width) == (2, found.features_width)
        assert torch.equal(features[:, -found.width :], found.trunk(as_read(images)))
    assert found.readout is not None
    assert len(found.readout.mean) == width


def test_the_mean_of_a_stage_is_that_of_its_map():
    found = network("mobilenet_v3_small")
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        first = found.trunk.features[0](as_read(images)).mean(dim=(2, 3))
        torch.testing.assert_close(found.features(images)[:, :16], first, atol=0, rtol=0)


def test_a_trunk_without_known_stages_gives_its_own_features():
    trunk, width, _ = build_trunk("shufflenet_v2_x0_5")
    assert stages_of(trunk) == OWN
    assert network("shufflenet_v2_x0_5").features_width == width


def test_threads_do_not_read_each_others_stages():
    found = network("mobilenet_v3_small")
    images = torch.randn(12, 1, 3, 64, 64)
    with torch.inference_mode():
        alone = [found.features(image) for image in images]

    def read(image):
        with torch.inference_mode():
            return found.features(image)

    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(alone, pool.map(read, images), strict=True):
            assert torch.equal(one, other)


def test_a_copy_reads_its_own_stages():
    found = network("mobilenet_v3_small")
    twin = copy.deepcopy(found)
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.nn.init.zeros_(twin.trunk.features[0][0].weight)
        assert not torch.equal(found.features(images)[:, :16], twin.features(images)[:, :16])


def test_runs_of_before_read_stages_of_resnets_alone():
    spec = NetworkSpec("mobilenet_v3_small", {"L1": 3}, "", InputTransform(64), hidden=8)
    assert GeoNetwork(spec).features_width == 1024
    assert GeoNetwork(NetworkSpec("resnet18", {"L1": 3}, "", InputTransform(64), hidden=8)).features_width == 1920
    assert spec.with_hidden(8).stages == MEANS
    assert NetworkSpec("resnet18", {"L1": 3}, "").with_hidden(8).stages == RESNET
