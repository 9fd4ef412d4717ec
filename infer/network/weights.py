"""Weights on disk: pretrained ones for a trunk, and the networks of runs, written and read."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from infer.network.coordinate_head import CoordinateSpec
from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.transform import InputTransform
from infer.network.trunks import pretrained_state
from plumbing.files import atomic_path


def load_pretrained(network: GeoNetwork, arch: str, weights: str) -> str:
    """Load pretrained weights into a network's trunk and say in words what was loaded.

    Args:
        network: the network.
        arch: its trunk's name.
        weights: `none`, `imagenet` (the best weights of its library, downloaded on first use), or a file: torchvision's
            `.pth`, a `.safetensors` of a trunk, or the network of another run.

    Raises:
        ValueError: the weights cannot be had, or fit nothing of the trunk.
    """
    if weights == "none":
        return "trunk starts from random weights"
    if weights == "imagenet":
        state = pretrained_state(arch)
    elif Path(weights).is_file():
        state = read_state(Path(weights))
    else:
        raise ValueError(f"--weights is imagenet, none or a file; there is no file {weights}")
    if any(name.startswith("trunk.") for name in state):
        state = {name.removeprefix("trunk."): tensor for name, tensor in state.items() if name.startswith("trunk.")}
    # Old files of DenseNet name their layers `norm.1`; what else is old, the layers themselves know to read.
    state = {re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)", r"\1\2", name): tensor for name, tensor in state.items()}
    try:
        absent = network.trunk.load_state_dict(state, strict=False).missing_keys
    except RuntimeError as error:
        raise ValueError(f"--weights {weights} does not fit {arch}: {str(error).splitlines()[-1].strip()}") from None
    if absent:
        count = len(network.trunk.state_dict())
        raise ValueError(
            f"--weights {weights} does not fit {arch}: it lacks {len(absent)} of {count}, such as {absent[0]}"
        )
    return f"trunk starts from {weights}"


def read_state(path: Path) -> dict[str, Tensor]:
    """Read tensors by name from `.safetensors` or `.pth`; no code in a file is ever run.

    Raises:
        ValueError: the file holds no tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise ValueError(f"{path} holds no weights that can be read ({type(error).__name__})") from None
    except Exception as error:  # pickle's own errors share no other base
        raise ValueError(f"{path} is refused: it holds more than tensors ({type(error).__name__})") from None
    state = loaded.get("model_state_dict", loaded) if isinstance(loaded, dict) else {}
    if not isinstance(state, dict) or not state or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ValueError(f"{path} holds no state dict: a mapping from names to tensors is needed")
    return dict(state)


def save_network(path: Path, network: GeoNetwork, spec: NetworkSpec, trained: Mapping[str, Any]) -> None:
    """Write weights, their spec and a few plain facts on their training into one `.safetensors` file."""
    metadata = {"spec": json.dumps(asdict(spec)), "trained": json.dumps(dict(trained))}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with atomic_path(path) as partial:
        # Bytes, not save_file: a full disk must show as an error while the old file still stands.
        partial.write_bytes(safetensors.torch.save(tensors, metadata))


def read_trained(path: Path) -> dict[str, Any]:
    """Return the facts on its training that `save_network` wrote with a network."""
    with safe_open(path, "pt") as file:
        trained: dict[str, Any] = json.loads(file.metadata()["trained"])
    return trained


def load_network(path: Path, device: str | torch.device = "cpu") -> tuple[GeoNetwork, NetworkSpec]:
    """Build the network that a file holds, ready to predict.

    Raises:
        ValueError: the file is missing, damaged, or not a network of this project.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing: train it with `python -m train joint` or `python -m train level`")
    try:
        with safe_open(path, "pt") as file:
            plain = json.loads((file.metadata() or {})["spec"])
        spec = _spec(plain)
        network = GeoNetwork(spec, blank=True)
        network.load_state_dict(safetensors.torch.load_file(path))
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(
            f"{path} is damaged or not a network of this project ({type(error).__name__}: {reason}): train it again"
        ) from None
    return network.eval().to(device), spec


def _spec(plain: Mapping[str, Any]) -> NetworkSpec:
    stored = plain.get("coordinates")
    coordinates = None
    if stored is not None:
        mean, std = stored["mean_deg"], stored["std_deg"]
        coordinates = CoordinateSpec(stored["kind"], (mean[0], mean[1]), (std[0], std[1]))
    return NetworkSpec(**{**plain, "transform": InputTransform(**plain["transform"]), "coordinates": coordinates})
