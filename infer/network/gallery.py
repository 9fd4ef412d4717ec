"""Parts of published models: the layers behind their trunks, and galleries, whose rows add up to the classes of any partition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Layer = tuple[str | int, ...]
"""The kind of a layer, one of `LAYERS`, and its sizes."""
LAYERS = {
    "linear": nn.Linear,
    "layer_norm": nn.LayerNorm,
    "group_norm": nn.GroupNorm,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
}
EMPTY = -1e30
"""Where sums of nothing would be minus infinity."""


@dataclass(frozen=True)
class GallerySpec:
    """How a gallery is read.

    Attributes:
        rows: how many it has.
        width: numbers of each.
        normalise: whether features are divided by their length first, so that a row of length 1 gives their cosine.
        bias: whether each row has a number of its own that is added.
    """

    rows: int
    width: int
    normalise: bool = True
    bias: bool = False


class Projection(nn.Module):
    """Layers between a trunk's features and what rows are compared with.

    Attributes:
        branches: sequences of layers, all of which see the trunk's features; what they answer lies side by side.
        width: how many numbers they answer together.
    """

    def __init__(self, branches: Sequence[Sequence[Layer]]) -> None:
        super().__init__()
        linear = [[layer for layer in layers if layer[0] == "linear"] for layers in branches]
        self.width = sum(int(layers[-1][-1]) for layers in linear)
        self.branches = nn.ModuleList(nn.Sequential(*map(_built, layers)) for layers in branches)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, width) of (B, trunk's width) features, in single precision."""
        # In half precision logits of a gallery, which are large, would be off by tenths.
        with torch.autocast(features.device.type, enabled=False):
            return torch.cat([branch(features.float()) for branch in self.branches], dim=1)


def _built(layer: Layer) -> nn.Module:
    kind, *sizes = layer
    if kind not in LAYERS:
        raise ValueError(f"there is no layer {kind!r}; there are: {', '.join(LAYERS)}")
    made: nn.Module = LAYERS[str(kind)](*sizes)
    return made


class Gallery(nn.Module):
    """Rows, such as embeddings of places or of prompts, each of which belongs to one class of every level.

    The logit of a row is its product with the features, times a scale; that of a class is the log-sum-exp of its rows. By the
    chain rule a class then has the sum of the softmax probabilities of its rows, at every level.

    Attributes:
        rows: (rows, width), ordered by class, so that the rows of a class lie side by side at every level.
        bias: (rows,) or None.
        log_scale: log of what products are multiplied by.
    """

    rows: Tensor
    bias: Tensor | None
    log_scale: Tensor

    def __init__(self, spec: GallerySpec, classes: Mapping[str, int]) -> None:
        super().__init__()
        self.levels, self.normalise = tuple(classes), spec.normalise
        self.register_buffer("rows", torch.zeros(spec.rows, spec.width))
        self.register_buffer("bias", torch.zeros(spec.rows) if spec.bias else None)
        self.register_buffer("log_scale", torch.zeros(()))
        for level, count in classes.items():
            self.register_buffer(f"lengths_{level}", torch.zeros(count, dtype=torch.int64))

    def place(self, class_of_row: Mapping[str, Tensor]) -> None:
        """Give it, for each level, the (rows,) classes of its rows.

        Raises:
            ValueError: the rows of a class do not lie side by side, or a class has none.
        """
        for level in self.levels:
            lengths = getattr(self, f"lengths_{level}")
            found, counts = torch.unique_consecutive(class_of_row[level], return_counts=True)
            if not torch.equal(found, torch.arange(len(lengths))):
                raise ValueError(f"rows of {level} are not ordered by class, or a class has no row")
            lengths.copy_(counts)

    def row_logits(self, features: Tensor) -> Tensor:
        """Return (rows, B) logits of (B, width) features."""
        with torch.autocast(features.device.type, enabled=False):
            seen = F.normalize(features.float(), dim=1) if self.normalise else features.float()
            logits = self.log_scale.exp() * (self.rows @ seen.T)
            return logits if self.bias is None else logits + self.bias[:, None]

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Return, for each level, (B, classes) logits of (B, width) features."""
        finer, ends = self.row_logits(features), None
        found: dict[str, Tensor] = {}
        for level in reversed(self.levels):
            # Each level is summed from the one below, which has fewer classes than there are rows.
            lengths = getattr(self, f"lengths_{level}")
            below, ends = ends, lengths.cumsum(0)
            if below is not None:
                lengths = torch.diff(torch.searchsorted(below, ends) + 1, prepend=ends.new_zeros(1))
            finer = self._summed(finer, lengths)
            found[level] = finer.T
        return {level: found[level] for level in self.levels}

    def _summed(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """Return the (classes, B) log-sum-exp of the (rows, B) logits of each class."""
        if len(lengths) == len(rows):
            return rows
        of = torch.repeat_interleave(torch.arange(len(lengths), device=rows.device), lengths, output_size=len(rows))
        highest = rows.new_full((len(lengths), rows.shape[1]), EMPTY)
        highest = highest.scatter_reduce(0, of[:, None].expand_as(rows), rows, "amax")
        sums = torch.zeros_like(highest).index_add_(0, of, (rows - highest.index_select(0, of)).exp())
        return highest + sums.log()


def layers_of(plain: Any) -> tuple[tuple[Layer, ...], ...]:
    """Return the branches of a projection as a run stores them."""
    return tuple(tuple(tuple(layer) for layer in branch) for branch in plain)
