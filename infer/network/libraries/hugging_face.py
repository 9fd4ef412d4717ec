"""Vision towers of the Hugging Face hub: CLIP, SigLIP, SigLIP 2, DINOv2, DINOv3 and models built like them.

A name is `OWNER/MODEL`, `OWNER/MODEL@REVISION`, or a local folder. What it takes to build the network again is stored with the
run, so that a run predicts where there is no hub. No code of a repository is ever run.
"""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from infer.network.libraries.beheaded import Trunk
from infer.network.libraries.hub_address import hub_address, hub_answers
from infer.network.transform import InputTransform

OUTPUTS = {"clip": ("CLIPVisionModelWithProjection", "image_embeds"), "siglip": ("SiglipVisionModel", "pooler_output")}
"""By type of model: the class that reads its vision tower alone, and which of its outputs the features are."""
OWN_TOWER = {"clip_vision_model": "clip", "siglip_vision_model": "siglip"}
"""Types of configurations that are of a vision tower alone."""
VISION_TYPES = frozenset(
    {
        "dinov2",
        "dinov2_with_registers",
        "dinov3_vit",
        "dinov3_convnext",
        "vit",
        "beit",
        "deit",
        "convnext",
        "convnextv2",
    }
    | {"swin", "swinv2", "resnet", "regnet"}
)
"""Types of models that see pictures only; their features are `pooler_output`."""


class VisionTower(nn.Module):
    """A vision tower of transformers that answers features alone.

    Attributes:
        tower: the network of the library.
    """

    def __init__(self, tower: nn.Module, output: str, native_size: int | None, size: int | None) -> None:
        """Hold a tower.

        Args:
            tower: the network.
            output: what of its output the features are: `image_embeds`, `pooler_output` or `class_token`.
            native_size: pixels a side that it was trained on; None where any will do.
            size: pixels a side that it is given.
        """
        super().__init__()
        self.tower = tower
        self.output = output
        # Position embeddings of CLIP and SigLIP are stretched to other sizes when they are told so.
        takes = native_size is not None and size is not None and size != native_size
        self.stretch = {"interpolate_pos_encoding": True} if takes and _stretches(tower) else {}

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, width) features of (B, 3, H, W) normalised images."""
        found = self.tower(pixel_values=images, **self.stretch)
        features: Tensor = found.last_hidden_state[:, 0] if self.output == "class_token" else found[self.output]
        return features.flatten(1)


def transform(name: str) -> InputTransform:
    """Return what the model's own image processor does.

    Raises:
        ValueError: it cannot be had, or does something that cannot be done here.
    """
    where, revision = _located(name)
    try:
        processor = _transformers(name).AutoImageProcessor.from_pretrained(where, **revision)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(_unavailable(name, error)) from None
    return processor_transform(processor)


def processor_transform(processor: Any) -> InputTransform:
    """Return what an image processor of transformers does, as an `InputTransform`.

    Raises:
        ValueError: it does not resize to a square, such as those for pictures of any shape.
    """
    size, crop = dict(processor.size or {}), dict(processor.crop_size or {}) if processor.do_center_crop else {}
    shorter = size.get("shortest_edge")
    target = crop.get("height") or size.get("height") or shorter
    if not target or (shorter and not crop) or crop.get("height") != crop.get("width"):
        raise ValueError(
            f"{type(processor).__name__} gives pictures of no fixed square size ({size}): choose a model for one size"
        )
    return InputTransform(
        size=int(target),
        resize="shorter" if shorter else "squash",
        scaled=int(shorter or size.get("height") or target),
        interpolation={0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}[int(processor.resample)],
        mean=tuple(processor.image_mean) if processor.do_normalize else (0.0, 0.0, 0.0),
        std=tuple(processor.image_std) if processor.do_normalize else (1.0, 1.0, 1.0),
        backend="torch",
    )


def config(name: str) -> dict[str, Any]:
    """Return the class, configuration and output of a model's vision tower, as plain values.

    Raises:
        ValueError: it cannot be had, or is not a vision model that is known here.
    """
    where, revision = _located(name)
    try:
        found = _transformers(name).AutoConfig.from_pretrained(where, **revision)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(_unavailable(name, error)) from None
    kind = OWN_TOWER.get(found.model_type, found.model_type)
    if kind in OUTPUTS:
        class_name, output = OUTPUTS[kind]
        vision = getattr(found, "vision_config", found)
        return {"class": class_name, "config": _plain(vision), "output": output}
    if kind in VISION_TYPES:
        return {"class": "AutoModel", "config": _plain(found), "output": "pooler_output"}
    raise ValueError(
        f"hf:{name} is a {found.model_type}: vision models known here are {', '.join(sorted({*OUTPUTS, *VISION_TYPES}))}"
    )


def pinned(name: str) -> str:
    """Return a name with the revision that the hub answers for it; a local folder as it is."""
    where, revision = _located(name)
    if revision.get("revision") or Path(where).is_dir():
        return name
    commit = getattr(_transformers(name).AutoConfig.from_pretrained(where, **revision), "_commit_hash", None)
    return f"{name}@{commit}" if commit else name


def build(name: str, size: int | None = None, config: Mapping[str, Any] | None = None) -> Trunk:
    """Return a vision tower, randomly initialised, for pictures of `size` pixels a side.

    Args:
        name: of the model; asked only where `config` is None.
        size: pixels a side.
        config: what `config` returned for it.

    Raises:
        ValueError: transformers is not installed, or the configuration is damaged.
    """
    kept = dict(config) if config is not None else globals()["config"](name)
    transformers = _transformers(name)
    try:
        plain = dict(kept["config"])
        settings = transformers.AutoConfig.for_model(plain.pop("model_type"), **plain)
        if kept["class"] == "AutoModel":
            tower = transformers.AutoModel.from_config(settings)
        elif kept["class"] in {known for known, _ in OUTPUTS.values()} | {"CLIPVisionModel"}:
            tower = getattr(transformers, kept["class"])(settings)
        else:
            raise ValueError(f"there is no vision tower {kept['class']!r}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"hf:{name} cannot be built from the stored configuration ({error})") from None
    own_size = getattr(settings, "image_size", None)
    module = VisionTower(tower, kept["output"], own_size if isinstance(own_size, int) else None, size)
    return Trunk(module, _width(module, size or own_size or 224))


def pretrained(name: str, trunk: nn.Module) -> Mapping[str, Tensor]:
    """Return the tensors of a model's published vision tower, downloaded on first use."""
    where, revision = _located(name)
    assert isinstance(trunk, VisionTower), "build gives nothing else"
    logs = _transformers(name).logging
    said, bar = logs.get_verbosity(), logs.is_progress_bar_enabled()
    # Of a whole CLIP the text tower is left over, which the library would report tensor by tensor.
    logs.set_verbosity_error()
    logs.disable_progress_bar()
    try:
        loaded = type(trunk.tower).from_pretrained(where, use_safetensors=None, **revision)  # type: ignore[attr-defined]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(_unavailable(name, error)) from None
    finally:
        logs.set_verbosity(said)
        if bar:
            logs.enable_progress_bar()
    return {f"tower.{key}": tensor for key, tensor in loaded.state_dict().items()}


def weights_file(name: str) -> str:
    """Return how the file with the published weights is called."""
    return "model.safetensors"


def _width(module: VisionTower, size: int) -> int:
    with torch.inference_mode():
        return int(module.eval()(torch.zeros(1, 3, size, size)).shape[1])


def _stretches(tower: nn.Module) -> bool:
    return type(tower).__name__ in {known for known, _ in OUTPUTS.values()} | {"CLIPVisionModel"}


def _plain(settings: Any) -> dict[str, Any]:
    """Return a configuration as plain values without what concerns the machine that it was read on."""
    content: dict[str, Any] = json.loads(settings.to_json_string(use_diff=True))
    dropped = ("_name_or_path", "transformers_version", "architectures", "torch_dtype", "dtype")
    return {key: value for key, value in content.items() if key not in dropped}


def _located(name: str) -> tuple[str, dict[str, Any]]:
    """Return a folder or an id of the hub, and as keywords its revision, and that only what is stored here is read."""
    if Path(name).is_dir():
        return name, {}
    where, _, revision = name.partition("@")
    stored = {} if hub_answers() else {"local_files_only": True}
    return where, {**stored, **({"revision": revision} if revision else {})}


def _unavailable(name: str, error: Exception) -> str:
    if not Path(name).is_dir() and not hub_answers():
        return (
            f"hf:{name} is not stored on this machine and {hub_address()} does not answer: connect to the network, or give a "
            "folder with config.json, preprocessor_config.json and model.safetensors copied from another machine"
        )
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return (
        f"hf:{name} cannot be read ({reason}): check the name and the connection, or give a folder with config.json, "
        "preprocessor_config.json and model.safetensors copied from another machine"
    )


def _transformers(name: str) -> Any:
    if importlib.util.find_spec("transformers") is None:
        raise ValueError(f"hf:{name} needs its package: pip install transformers")
    import transformers

    return transformers
