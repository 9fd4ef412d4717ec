"""Features of all stages of a trunk, beside its own: early stages know colours and textures that the last one gives up.

Features of several stages as one descriptor are due to Hariharan et al. 2015 (hypercolumns).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

RESNET, MEANS, OWN = "resnet", "means", "own"
TRANSFORMER_STAGES = 4
"""The layers of a transformer are alike: every so many of them count as one stage."""

_seen: ContextVar[list[Tensor] | None] = ContextVar("seen", default=None)


def stages_of(trunk: nn.Module) -> str:
    """Return how the stages of a trunk are read: `resnet` (maxima and means), `means`, or `own` where it has none."""
    if isinstance(trunk, torchvision.models.ResNet):
        return RESNET
    return MEANS if _modules(trunk) else OWN


class StageFeatures(nn.Module):
    """Reads all stages of a trunk in one pass; holds no weights."""

    def __init__(self, trunk: nn.Module, kind: str, width: int, size: int) -> None:
        """Prepare to read a trunk.

        Args:
            trunk: the network.
            kind: what `stages_of` returned for it when the run was trained.
            width: of the trunk's own features.
            size: pixels a side of its pictures.
        """
        super().__init__()
        self.kind = kind
        # The stages of a ResNet have 1, 2, 4 and 8 times as many channels as its first; each gives maxima and means.
        self.width = width // 8 * 15 * 2
        if kind == MEANS:
            for module in _modules(trunk):
                module.register_forward_hook(_keep)
            self.width = self._measured_width(trunk, size)

    def _measured_width(self, trunk: nn.Module, size: int) -> int:
        was = trunk.training
        with torch.inference_mode():
            found = self(trunk.eval(), torch.zeros(1, 3, size, size))
        trunk.train(was)
        return int(found.shape[1])

    def forward(self, trunk: nn.Module, images: Tensor) -> Tensor:
        """Return (B, features) of (B, 3, H, W) normalised images; the trunk's own come last."""
        if self.kind == RESNET:
            return resnet_stages(trunk, images)
        with _kept() as maps:
            own: Tensor = trunk(images)
        return torch.cat([*(_mean(found, trunk) for found in maps), own], 1)


def resnet_stages(trunk: Any, images: Tensor) -> Tensor:
    """Return the maximum and the mean, over the picture, of what each stage of a ResNet answers.

    The mean of its last stage, which is what it answers itself, comes last.
    """
    maps = [trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(images))))]
    for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
        maps.append(stage(maps[-1]))
    return torch.cat([*(seen.amax(dim=(2, 3)) for seen in maps[1:]), *(seen.mean(dim=(2, 3)) for seen in maps[1:])], 1)


def _modules(trunk: nn.Module) -> list[nn.Module]:
    """Return the modules whose output is that of a stage."""
    for name in ("blocks", "stages", "features", "layers"):
        found = getattr(trunk, name, None)
        if isinstance(found, nn.Sequential | nn.ModuleList) and len(found) > 1:
            return _spread(list(found), alike=isinstance(getattr(trunk, "pos_embed", None), nn.Parameter))
    lists = [m for m in trunk.modules() if isinstance(m, nn.ModuleList) and len(m) > 1]
    layers = max(lists, key=len, default=None) if hasattr(trunk, "tower") else None
    return [] if layers is None else _spread(list(layers), alike=True)


def _spread(stages: Sequence[nn.Module], alike: bool) -> list[nn.Module]:
    """Return all stages, or a few of layers that are alike."""
    if not alike or len(stages) <= TRANSFORMER_STAGES:
        return list(stages)
    ends = torch.linspace(0, len(stages), TRANSFORMER_STAGES + 1).round().long()[1:] - 1
    return [stages[int(k)] for k in ends]


def _mean(found: Tensor, trunk: nn.Module) -> Tensor:
    """Return the (B, channels) mean over the picture of a map or of tokens."""
    if found.ndim == 3:
        return found.mean(dim=1)
    return found.mean(dim=(1, 2) if str(getattr(trunk, "output_fmt", "")).endswith("NHWC") else (2, 3))


def _keep(module: nn.Module, given: Any, found: Any) -> None:
    """Keep what a stage answers, where somebody reads stages; threads do not see each other's."""
    maps = _seen.get()
    if maps is not None:
        maps.append(found[0] if isinstance(found, tuple) else found)


@contextmanager
def _kept() -> Iterator[list[Tensor]]:
    """Yield the list into which the hooks of this thread put what stages answer."""
    maps: list[Tensor] = []
    token = _seen.set(maps)
    try:
        yield maps
    finally:
        _seen.reset(token)
