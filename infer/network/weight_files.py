"""Tensors by name out of a weights file, however the file wraps them; no code in a file is ever run."""

import pickle
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts keep the tensors beside other things."""
PREFIXES = ("_orig_mod.", "module.", "backbone.", "trunk.")
"""What compiled networks, parallel ones, and networks with a trunk put before the names of its tensors."""
ENDINGS = (".safetensors", ".pth", ".pt", ".bin")


def find_weights(name: str) -> Path:
    """Return a file of weights: a path, or the one that an installed package of that name brings.

    Raises:
        ValueError: there is neither.
    """
    if Path(name).is_file():
        return Path(name)
    try:
        files = [file for file in metadata.files(name) or () if file.suffix in ENDINGS]
    except (metadata.PackageNotFoundError, ValueError):
        files = []
    if len(files) != 1:
        brings = f"the package {name} brings {len(files)} files of weights, not one"
        brings = brings if files else f"there is no file {name}, and no installed package of that name brings one"
        raise ValueError(f"--weights is pretrained, none, a file, or a package that brings one; {brings}")
    return Path(str(files[0].locate()))


def read_state(path: Path) -> dict[str, Tensor]:
    """Read tensors by name from `.safetensors` or from what torch saved.

    Tensors under `state_dict`, `model` or `model_state_dict` are found; everything else beside them is ignored.

    Raises:
        ValueError: the file holds no tensors by name; the message says what it is where that can be told.
    """
    refuse_other_kinds(path)
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} is refused: it holds more than tensors ({type(error).__name__})") from None
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} holds no weights that can be read ({type(error).__name__})") from None
    except Exception as error:  # pickle's own errors share no other base
        raise ValueError(f"{path} is refused: it holds more than tensors ({type(error).__name__})") from None
    for wrapper in WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict) or not loaded or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise ValueError(f"{path} holds no state dict: a mapping from names to tensors is needed")
    return dict(loaded)


def refuse_other_kinds(path: Path) -> None:
    """Refuse what was saved in the place of weights by mistake.

    Raises:
        ValueError: it is a web page or a pointer of Git LFS.
    """
    with path.open("rb") as file:
        start = file.read(200).lstrip().lower()
    if not start:
        raise ValueError(f"{path} is empty, not weights: copy the file again")
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ValueError(f"{path} is a web page, not weights: download the file itself (its raw or `resolve` address)")
    if start.startswith(b"version https://git-lfs"):
        raise ValueError(f"{path} is a pointer of Git LFS, not weights: fetch the file with `git lfs pull`")


def unprefixed(state: Mapping[str, Tensor], known: set[str]) -> dict[str, Tensor]:
    """Return tensors under the names of a trunk, without what wrappers put before them.

    Where some tensors lie under a prefix, such as the trunk of a run, those that do not are of other parts and left out.

    Args:
        state: tensors by name.
        known: the names of the trunk's own tensors.
    """
    found = dict(state)
    while len(known & found.keys()) < len(known):
        prefix = next((p for p in PREFIXES if any(name.startswith(p) for name in found)), None)
        if prefix is None:
            break
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}
    return found


def in_order(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Return tensors of an EfficientNet under timm's names; None where the file is not one in the other naming.

    The file has the same tensors in the same order as a tree of modules: stem, blocks, head. Its classifier comes last.
    """
    if "_conv_stem.weight" not in state or "conv_stem.weight" not in own:
        return None
    tensors = [tensor for name, tensor in state.items() if not name.startswith("_fc.")]
    if [tensor.shape for tensor in tensors] != [tensor.shape for tensor in own.values()]:
        return None
    return dict(zip(own, tensors, strict=True))
