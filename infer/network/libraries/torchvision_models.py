"""Trunks of torchvision: any classifier by its name, without its last layer."""

import difflib
from collections.abc import Mapping
from typing import Any

import torchvision
from torch import Tensor, nn

from infer.network.libraries.beheaded import Trunk, beheaded
from infer.network.transform import InputTransform


def transform(name: str) -> InputTransform:
    """Return how the published weights of a classifier were measured."""
    preset = torchvision.models.get_model_weights(_known(name)).DEFAULT.transforms()
    return InputTransform(
        size=preset.crop_size[0],
        resize="shorter",
        scaled=preset.resize_size[0],
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        backend="pillow",
    )


def config(name: str) -> dict[str, Any] | None:
    """Return nothing: the name is enough."""
    _known(name)
    return None


def build(name: str, size: int | None = None, config: Mapping[str, Any] | None = None) -> Trunk:
    """Return a classifier without its last layer, randomly initialised.

    Raises:
        ValueError: there is no classifier of that name.
    """
    extra = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    return beheaded(torchvision.models.get_model(_known(name), weights=None, **extra), name)


def pretrained(name: str, trunk: nn.Module) -> Mapping[str, Tensor]:
    """Return the tensors of a classifier's best published weights, downloaded on first use."""
    chosen = torchvision.models.get_model_weights(_known(name)).DEFAULT
    state: Mapping[str, Tensor] = chosen.get_state_dict(progress=True, check_hash=True)
    return state


def weights_file(name: str) -> str:
    """Return how the file with the published weights is called."""
    url: str = torchvision.models.get_model_weights(_known(name)).DEFAULT.url
    return url.rsplit("/", 1)[-1]


def _known(name: str) -> str:
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        near = difflib.get_close_matches(name.lower(), known, n=4, cutoff=0.5)
        meant = f"similar ones are {', '.join(near)}; " if near else ""
        raise ValueError(
            f"torchvision has no classifier {name!r}: {meant}`torchvision.models.list_models()` lists them; others are "
            "timm:NAME and hf:NAME"
        )
    return name
