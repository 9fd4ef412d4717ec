"""Trunks of timm, where it is installed: any of its models, without the classifier."""

import difflib
import importlib.util
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from infer.network.libraries.beheaded import Trunk
from infer.network.transform import InputTransform


def transform(name: str) -> InputTransform:
    """Return how the published weights of a model were measured, by `timm.data.resolve_data_config`."""
    own = _timm(name).data.resolve_data_config({}, pretrained_cfg=_published(name))
    size = own["input_size"][-1]
    mean, std = tuple(own["mean"]), tuple(own["std"])
    if name.startswith("tf_efficientnet_lite"):
        # TensorFlow's own input, which timm rounds to 0.5 and 0.5.
        mean, std = (127 / 255,) * 3, (128 / 255,) * 3
    return InputTransform(
        size=size,
        resize="squash" if own["crop_mode"] == "squash" else "shorter",
        scaled=int(size / own["crop_pct"]),
        interpolation=own["interpolation"] if own["interpolation"] != "random" else "bilinear",
        mean=mean,
        std=std,
        backend="pillow",
    )


def config(name: str) -> dict[str, Any] | None:
    """Return nothing: the name is enough."""
    _known(name)
    return None


def build(name: str, size: int | None = None, config: Mapping[str, Any] | None = None) -> Trunk:
    """Return a model without its classifier, randomly initialised, for pictures of `size` pixels a side.

    Raises:
        ValueError: timm is not installed, or has no such model.
    """
    model = _create(name, size)
    head = model.default_cfg.get("classifier") or ()
    names = (head,) if isinstance(head, str) else tuple(head)
    return Trunk(model, int(model.num_features), tuple(f"{name}." for name in names))


def pretrained(name: str, trunk: nn.Module) -> Mapping[str, Tensor]:
    """Return the tensors of a model's published weights, downloaded on first use."""
    state: Mapping[str, Tensor] = _timm().create_model(_known(name), pretrained=True, num_classes=0).state_dict()
    return state


def weights_file(name: str) -> str:
    """Return how the file with the published weights is called."""
    return "model.safetensors"


def _create(name: str, size: int | None) -> Any:
    """Return a model; a vision transformer takes pictures of another size than its own if it is told so."""
    create = _timm(_known(name)).create_model
    if size is None or size == _published(_known(name))["input_size"][-1]:
        return create(name, num_classes=0)
    try:
        return create(name, num_classes=0, dynamic_img_size=True)
    except TypeError:
        return create(name, num_classes=0)


def _published(name: str) -> dict[str, Any]:
    found: dict[str, Any] = _timm(name).models.get_pretrained_cfg(_known(name)).to_dict()
    return found


def _known(name: str) -> str:
    timm = _timm(name)
    if not timm.is_model(name):
        near = difflib.get_close_matches(name.lower(), timm.list_models(), n=4, cutoff=0.5)
        meant = f"similar ones are {', '.join(near)}; " if near else ""
        raise ValueError(f"timm has no model {name!r}: {meant}`timm.list_models()` lists them")
    return name


def _timm(name: str = "NAME") -> Any:
    if importlib.util.find_spec("timm") is None:
        raise ValueError(f"timm:{name} needs its package: pip install timm")
    import timm
    import timm.data

    return timm
