"""The network: a trunk that turns pictures into features, with one head per level, or for a coordinate."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from infer.network.coordinate_head import HEAD, CoordinateSpec
from infer.network.transform import InputTransform
from infer.network.trunks import build_trunk, pretrained_state, stage_features, stages_width
from plumbing.files import atomic_path


@dataclass(frozen=True)
class NetworkSpec:
    """All that is needed to build a network again; stored beside its weights.

    Attributes:
        arch: name of its trunk, such as `resnet50`; see `infer.network.trunks`.
        classes: number of classes of each level the network has a head for, by level name.
        label_map_hash: of the label maps whose class numbers the heads use.
        transform: how pictures reach it.
        coordinates: how its coordinate head is read; None where it has none.
        hidden: units of the layer between the features of all stages of the trunk and the heads of levels; 0 where
            those are linear in the trunk's own features.
    """

    arch: str
    classes: dict[str, int]
    label_map_hash: str
    transform: InputTransform = field(default_factory=InputTransform)
    coordinates: CoordinateSpec | None = None
    hidden: int = 0

    @property
    def outputs(self) -> dict[str, int]:
        """Return how many numbers each head answers, by its name."""
        return {**self.classes, **({HEAD: self.coordinates.width} if self.coordinates else {})}


class Readout(nn.Module):
    """A hidden layer on standardised features, from which the heads of all levels read.

    Attributes:
        mean: (width,) of the training photographs' features.
        std: (width,) their standard deviation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.layers = nn.Sequential(nn.Dropout(0.4), nn.Linear(width, hidden), nn.GELU(), nn.Dropout(0.3))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, hidden) of (B, width) features."""
        found: Tensor = self.layers((features - self.mean) / self.std)
        return found


class GeoNetwork(nn.Module):
    """A trunk that turns pictures into features, and a head for each level and for a coordinate."""

    def __init__(self, spec: NetworkSpec, *, blank: bool = False) -> None:
        """Build a network with random weights, or with `blank` heads for weights that are loaded next."""
        super().__init__()
        self.trunk, self.width = build_trunk(spec.arch)
        self.readout = Readout(stages_width(self.trunk, self.width), spec.hidden) if spec.hidden else None
        head = partial(nn.utils.skip_init, nn.Linear) if blank else nn.Linear
        self.heads = nn.ModuleDict({level: head(spec.hidden or self.width, n) for level, n in spec.classes.items()})
        if spec.coordinates:
            self.heads[HEAD] = head(self.width, spec.coordinates.width)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return, for each level, (B, classes) logits of (B, 3, H, W) normalised images; one pass of the trunk."""
        return self.answers(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """Return (B, width) features of (B, 3, H, W) normalised images, those of all stages where the heads want them."""
        if self.readout is not None:
            return stage_features(self.trunk, images)
        own: Tensor = self.trunk(images)
        return own

    def answers(self, features: Tensor) -> dict[str, Tensor]:
        """Return what each head says of (B, width) features."""
        read = features if self.readout is None else self.readout(features)
        own = features[:, -self.width :]
        return {name: head(own if name == HEAD else read) for name, head in self.heads.items()}


def check_image_size(network: GeoNetwork, spec: NetworkSpec) -> None:
    """Refuse a size of pictures that the trunk cannot take, before anything is learned.

    Raises:
        ValueError: it cannot; the message says what the trunk says.
    """
    size = spec.transform.size
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(f"{spec.arch} takes no pictures of --image-size {size} ({reason}): most take 224") from None


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
        ValueError: the file is missing, damaged, or no network of this project.
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
            f"{path} is damaged or no network of this project ({type(error).__name__}: {reason}): train it again"
        ) from None
    return network.eval().to(device), spec


def _spec(plain: Mapping[str, Any]) -> NetworkSpec:
    stored = plain.get("coordinates")
    coordinates = None
    if stored is not None:
        mean, std = stored["mean_deg"], stored["std_deg"]
        coordinates = CoordinateSpec(stored["kind"], (mean[0], mean[1]), (std[0], std[1]))
    return NetworkSpec(**{**plain, "transform": InputTransform(**plain["transform"]), "coordinates": coordinates})
