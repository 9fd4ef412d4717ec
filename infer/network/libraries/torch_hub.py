"""Trunks of PyTorch Hub: OWNER/REPOSITORY:NAME, or FOLDER:NAME of a local folder with a hubconf.py.

PyTorch Hub downloads and runs the code of a repository: name only one that you trust.
"""

from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from infer.network.libraries.beheaded import Trunk, beheaded
from infer.network.transform import InputTransform


def transform(name: str) -> InputTransform:
    """Return what ImageNet classifiers expect: a hub says nothing of it."""
    return InputTransform()


def config(name: str) -> dict[str, Any] | None:
    """Return nothing: the repository is asked again."""
    return None


def build(name: str, size: int | None = None, config: Mapping[str, Any] | None = None) -> Trunk:
    """Return a classifier without its last layer, randomly initialised."""
    return beheaded(_load(name, pretrained=False), f"hub:{name}")


def pretrained(name: str, trunk: nn.Module) -> Mapping[str, Tensor]:
    """Return the tensors of a classifier's published weights, downloaded on first use."""
    return _load(name, pretrained=True).state_dict()


def weights_file(name: str) -> str:
    """Return how the file with the published weights is called."""
    return "weights"


def _load(name: str, pretrained: bool) -> nn.Module:
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
