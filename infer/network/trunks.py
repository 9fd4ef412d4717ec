"""Trunks by name: any classifier of torchvision, `timm:NAME` where timm is installed, `hub:OWNER/REPOSITORY:NAME`.

A trunk is the classifier without its last layer. For a hub, PyTorch Hub downloads and runs the code of that repository:
name only one that you trust. `hub:FOLDER:NAME` takes a local folder with a hubconf.py.
"""

import importlib.util
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn


def build_trunk(arch: str) -> tuple[nn.Module, int]:
    """Return a trunk, randomly initialised, and its number of features.

    Raises:
        ValueError: there is no classifier of that name.
    """
    library, _, name = arch.partition(":")
    if library == "timm" and name:
        model = _timm(name, pretrained=False)
        return model, int(model.num_features)
    if library == "hub" and name:
        return _beheaded(_hub(name, pretrained=False), arch)
    known = torchvision.models.list_models(module=torchvision.models)
    if arch not in known:
        raise ValueError(f"torchvision has no classifier {arch!r}; it has: {', '.join(known)}; others are timm:NAME")
    extra = {"aux_logits": False, "init_weights": True} if arch in ("googlenet", "inception_v3") else {}
    return _beheaded(torchvision.models.get_model(arch, weights=None, **extra), arch)


def stages_width(trunk: nn.Module, width: int) -> int:
    """Return how many features `stage_features` gives of a trunk with `width` features of its own."""
    # The stages of a ResNet have 1, 2, 4 and 8 times as many channels as its first; each gives maxima and means.
    return width // 8 * 15 * 2 if isinstance(trunk, torchvision.models.ResNet) else width


def stage_features(trunk: nn.Module, images: Tensor) -> Tensor:
    """Return the maximum and the mean, over the picture, of what each stage of a trunk answers; its own features come last.

    Early stages know colours and textures that the last one has given up for what it was trained to tell apart.

    Args:
        trunk: a ResNet of torchvision; of any other trunk there are its own features alone.
        images: (B, 3, H, W), normalised.

    Returns:
        (B, `stages_width`) features.
    """
    if not isinstance(trunk, torchvision.models.ResNet):
        own: Tensor = trunk(images)
        return own
    maps = [trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(images))))]
    for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
        maps.append(stage(maps[-1]))
    return torch.cat([*(seen.amax(dim=(2, 3)) for seen in maps[1:]), *(seen.mean(dim=(2, 3)) for seen in maps[1:])], 1)


def _beheaded(model: nn.Module, arch: str) -> tuple[nn.Module, int]:
    """Return a classifier without its last layer, and the number of features that the layer took."""
    # The last layer is linear, or, in SqueezeNet, a 1x1 convolution to the 1,000 classes of ImageNet.
    layers = [(name, layer) for name, layer in model.named_modules() if _classifies(layer)]
    if not layers:
        raise ValueError(f"{arch} is not a classifier: it does not end in a linear layer")
    name, layer = layers[-1]
    owner, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(owner), leaf, nn.Identity())
    return model, layer.in_features if isinstance(layer, nn.Linear) else int(layer.in_channels)


def _classifies(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.out_channels == 1000)


def _timm(name: str, pretrained: bool) -> Any:
    if importlib.util.find_spec("timm") is None:
        raise ValueError(f"timm:{name} needs its package: pip install timm")
    import timm

    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"{name[:6]}*")[:8])
        raise ValueError(f"timm has no model {name!r}" + (f"; similar ones are {near}" if near else ""))
    return timm.create_model(name, pretrained=pretrained, num_classes=0)


def _hub(name: str, pretrained: bool) -> nn.Module:
    repository, _, model = name.rpartition(":")
    if not repository:
        raise ValueError(f"hub:{name} is not of the form hub:OWNER/REPOSITORY:NAME")
    source = "local" if Path(repository).is_dir() else "github"
    try:
        # Naming a repository is the user's consent to run its code.
        loaded = torch.hub.load(repository, model, source=source, trust_repo=True, pretrained=pretrained)
    except (OSError, HTTPException, RuntimeError, ValueError, ImportError) as error:
        raise ValueError(f"hub:{name} cannot be loaded ({str(error).splitlines()[0]})") from None
    if not isinstance(loaded, nn.Module):
        raise ValueError(f"hub:{name} gives no network but {type(loaded).__name__}")
    return loaded


def pretrained_state(arch: str) -> Mapping[str, Tensor]:
    """Return the tensors of a classifier's published weights, downloaded on first use.

    Raises:
        ValueError: they cannot be had.
    """
    library, _, name = arch.partition(":")
    file = "weights"
    try:
        if library == "timm" and name:
            return _timm(name, pretrained=True).state_dict()
        if library == "hub" and name:
            return _hub(name, pretrained=True).state_dict()
        chosen = torchvision.models.get_model_weights(arch).DEFAULT
        file = chosen.url.rsplit("/", 1)[-1]
        state: Mapping[str, Tensor] = chosen.get_state_dict(progress=True, check_hash=True)
        return state
    # No network, a torn download, another file's hash: each library has its own errors for these.
    except (OSError, HTTPException, RuntimeError) as error:
        raise ValueError(
            f"cannot download the ImageNet weights of {arch} ({str(error).splitlines()[0]}): give --weights none, or "
            f"--weights FILE with {file} copied from another machine"
        ) from None
