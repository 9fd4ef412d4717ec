"""Weights on disk: pretrained ones for a trunk, and the networks of runs, written and read."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open

from infer.network.coordinate_head import CoordinateSpec
from infer.network.gallery import GallerySpec, layers_of
from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.transform import InputTransform
from infer.network.trunks import pretrained_state
from infer.network.weight_files import find_weights, in_order, read_state, unprefixed
from plumbing.damage import one_line
from plumbing.files import atomic_path
from plumbing.text import counted

MOST_SIDE = 8192
"""Pixels of a side that a network sees at most."""


def load_pretrained(network: GeoNetwork, arch: str, weights: str) -> str:
    """Load pretrained weights into a network's trunk and say in words what was loaded.

    Args:
        network: the network.
        arch: its trunk's name.
        weights: `none`, `pretrained` (those that its library publishes, downloaded on first use), or a file: torchvision's
            `.pth`, a `.safetensors` of a trunk, the network of another run; or a package that brings such a file.

    Raises:
        ValueError: the weights cannot be had, or are of another architecture.
    """
    if weights == "none":
        return "trunk starts from random weights"
    own = network.trunk.state_dict()
    if weights == "pretrained":
        state = dict(pretrained_state(arch, network.trunk))
    else:
        state = unprefixed(read_state(find_weights(weights)), set(own))
        state = in_order(state, own) or state
    # Old files of DenseNet name their layers `norm.1`; what else is old, the layers themselves know to read.
    state = {re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)", r"\1\2", name): tensor for name, tensor in state.items()}
    state = {name: tensor for name, tensor in state.items() if not name.startswith(network.removed)}
    try:
        missing, unused = network.trunk.load_state_dict(state, strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip().rstrip(".")
        raise ValueError(
            f"--weights {weights} does not fit {arch}: {reason}; name the architecture that it is of (--arch)"
        ) from None
    # Files older than this counter of batch norm lack it, and nothing reads it.
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unused:
        raise ValueError(f"--weights {weights} does not fit {arch}: {_difference(missing, unused, len(own))}")
    return f"trunk starts from {weights}"


def _difference(missing: list[str], unused: list[str], count: int) -> str:
    """Return in words which tensors of a file are not those of a trunk."""
    parts = [f"it lacks {len(missing)} of {counted(count, 'tensor')}, such as {missing[0]}"] if missing else []
    parts += [f"it has {counted(len(unused), 'tensor')} that the trunk has not, such as {unused[0]}"] if unused else []
    return f"{' and '.join(parts)}; name the architecture that it is of (--arch)"


def save_network(path: Path, network: GeoNetwork, spec: NetworkSpec, trained: Mapping[str, Any]) -> None:
    """Write weights, their spec and a few plain facts on their training into one `.safetensors` file."""
    metadata = {"spec": json.dumps(asdict(spec)), "trained": json.dumps(dict(trained))}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with atomic_path(path) as partial:
        # Bytes, not save_file: a full disk must show as an error while the old file still stands.
        partial.write_bytes(safetensors.torch.save(tensors, metadata))


def read_trained(path: Path) -> dict[str, Any]:
    """Return the facts on its training that `save_network` wrote with a network."""
    with one_line(path, "train it again"):
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
        _check_sizes(path, spec)
        network = GeoNetwork(spec, blank=True)
        network.load_state_dict(safetensors.torch.load_file(path))
        check_finite(network.state_dict())
    # What a header from elsewhere makes of a spec or a network is not a closed list.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[-1].strip()
        raise ValueError(
            f"{path} is damaged or not a network of this project ({type(error).__name__}: {reason}): train it again"
        ) from None
    return network.eval().to(device), spec


def _check_sizes(path: Path, spec: NetworkSpec) -> None:
    """Refuse a spec that promises more than its file can hold, before memory is taken for it.

    Raises:
        ValueError: it does, or a size is none.
    """
    sizes = [*spec.classes.values(), spec.transform.size, spec.transform.scaled]
    if not all(type(size) is int and size >= 0 for size in sizes) or not all(
        isinstance(name, str) for name in spec.classes
    ):
        raise ValueError(f"its spec has sizes that are none: {sizes[:4]}")
    if max(spec.transform.size, spec.transform.scaled) > MOST_SIDE:
        raise ValueError(f"its spec asks for pictures of {spec.transform.size} pixels, over {MOST_SIDE}")
    if spec.gallery is None and sum(spec.classes.values()) > path.stat().st_size:
        raise ValueError(f"its spec names {sum(spec.classes.values()):,} classes, more than the file can hold")


def check_finite(state: Mapping[str, torch.Tensor]) -> None:
    """Refuse weights that are not numbers.

    Raises:
        ValueError: one is NaN or infinite; the message names its tensor.
    """
    for name, tensor in state.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{name} has NaN or infinite weights")


def _spec(plain: Mapping[str, Any]) -> NetworkSpec:
    stored = plain.get("coordinates")
    coordinates = None
    if stored is not None:
        mean, std = stored["mean_deg"], stored["std_deg"]
        coordinates = CoordinateSpec(stored["kind"], (mean[0], mean[1]), (std[0], std[1]))
    published: dict[str, Any] = {"projection": layers_of(plain.get("projection", ()))}
    published["gallery"] = GallerySpec(**plain["gallery"]) if plain.get("gallery") else None
    own = {"transform": InputTransform.from_json(plain["transform"]), "coordinates": coordinates}
    return NetworkSpec(**{**plain, **own, **published})
