"""The network: a trunk that turns pictures into features, with one head per level, or for a coordinate."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from infer.network.cell_heads import Embedding
from infer.network.coordinate_head import HEAD, CoordinateSpec
from infer.network.embedding import SharedEmbedding, embedding_head
from infer.network.gallery import Gallery, GallerySpec, Layer, Projection
from infer.network.stages import OWN, RESNET, StageFeatures, stages_of
from infer.network.standardise import divisors
from infer.network.transform import InputTransform
from infer.network.trunks import build_trunk


@dataclass(frozen=True)
class NetworkSpec:
    """All that is needed to build a network again; stored beside its weights.

    Attributes:
        arch: name of its trunk, such as `resnet50`; see `infer.network.trunks`.
        classes: number of classes of each level the network has a head for, by level name.
        label_map_hash: of the label maps whose class numbers the heads use.
        transform: how pictures reach it.
        coordinates: how its coordinate head is read; None where it has none.
        told_cells: number of the cells of which the coordinate head is told one; 0 where it is told none.
        hidden: units of the layer between the features of all stages of the trunk and the heads of levels; 0 where
            those are linear in the trunk's own features.
        stages: how that layer reads the stages, see `infer.network.stages`; empty in runs of 0.1.0, which read those of
            ResNets alone.
        precision: what its activations were trained in, `float32` or `bfloat16`; `auto` where that was not recorded.
        trunk_config: what it takes to build the trunk where its library cannot be asked; None where its name is enough.
        projection: of a published model, branches of layers behind the trunk; () where there are none.
        gallery: of a published model, the rows that stand in place of heads; None where levels have heads.
        embedding: units of the embedding that all heads share, see `infer.network.embedding`; 0 where there is none.
        dropout: share of what heads read, and of the units of the embedding, that a step of training leaves out.
    """

    arch: str
    classes: dict[str, int]
    label_map_hash: str
    transform: InputTransform = field(default_factory=InputTransform)
    coordinates: CoordinateSpec | None = None
    hidden: int = 0
    precision: str = "auto"
    trunk_config: dict[str, Any] | None = None
    stages: str = ""
    projection: tuple[tuple[Layer, ...], ...] = ()
    gallery: GallerySpec | None = None
    embedding: int = 0
    dropout: float = 0.0
    told_cells: int = 0

    def with_hidden(self, hidden: int) -> "NetworkSpec":
        """Return the spec of a network whose heads read all stages of its trunk through a hidden layer, with its own dropout."""
        trunk = build_trunk(self.arch, self.transform.size, self.trunk_config).module
        return replace(self, hidden=hidden, stages=stages_of(trunk), dropout=0.0)

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
        found: Tensor = self.layers((features - self.mean) / divisors(self.std))
        return found


class GeoNetwork(nn.Module):
    """A trunk that turns pictures into features, and a head for each level and for a coordinate."""

    def __init__(self, spec: NetworkSpec, *, blank: bool = False) -> None:
        """Build a network with random weights, or with `blank` heads for weights that are loaded next."""
        super().__init__()
        self.arch, self.precision = spec.arch, spec.precision
        trunk = build_trunk(spec.arch, spec.transform.size, spec.trunk_config)
        self.trunk, self.width = trunk.module, trunk.width
        self.removed = trunk.removed
        self.stages = self._stages(spec) if spec.hidden else None
        self.projection = Projection(spec.projection) if spec.projection else None
        self.readout = Readout(self.features_width, spec.hidden) if spec.hidden else None
        self.gallery = Gallery(spec.gallery, spec.classes) if spec.gallery else None
        self.dropout = nn.Dropout(spec.dropout)
        self.embedding = SharedEmbedding(self.width, spec.embedding, spec.dropout) if spec.embedding else None
        self.heads = self._embedded_heads(spec) if spec.embedding else self._linear_heads(spec, blank)

    def _linear_heads(self, spec: NetworkSpec, blank: bool) -> nn.ModuleDict:
        head = partial(nn.utils.skip_init, nn.Linear) if blank else nn.Linear
        headed = {} if spec.gallery else spec.classes
        heads = nn.ModuleDict({level: head(spec.hidden or self.width, n) for level, n in headed.items()})
        if spec.coordinates:
            told = spec.told_cells
            heads[HEAD] = Embedding(self.width, told) if told else head(self.width, spec.coordinates.width)
        return heads

    @staticmethod
    def _embedded_heads(spec: NetworkSpec) -> nn.ModuleDict:
        return nn.ModuleDict(
            {
                name: embedding_head(spec.embedding, count, spec.dropout, name == HEAD)
                for name, count in spec.outputs.items()
            }
        )

    def _stages(self, spec: NetworkSpec) -> StageFeatures | None:
        of_0_1_0 = RESNET if stages_of(self.trunk) == RESNET else OWN
        kind = spec.stages or of_0_1_0
        return None if kind == OWN else StageFeatures(self.trunk, kind, self.width, spec.transform.size)

    @property
    def features_width(self) -> int:
        """Return how many features `features` gives."""
        if self.projection is not None:
            return self.projection.width
        return self.width if self.stages is None else self.stages.width

    def forward(self, images: Tensor, cells: Tensor | None = None) -> dict[str, Tensor]:
        """Return, for each level, (B, classes) logits of (B, 3, H, W) normalised images; one pass of the trunk.

        Of (B, width) features, computed before, the heads alone are asked. A coordinate head that is told cells takes (B,)
        of them.
        """
        return self.answers(images if images.ndim == 2 else self.features(images), cells)

    def features(self, images: Tensor) -> Tensor:
        """Return (B, width) features of (B, 3, H, W) normalised images, those of all stages where the heads want them."""
        if images.device.type == "cpu" and not self.training:
            # Convolutions read it faster there (`bench.answering`); the last bits of float32 differ.
            images = images.contiguous(memory_format=torch.channels_last)
        found: Tensor = self.trunk(images) if self.stages is None else self.stages(self.trunk, images)
        return found if self.projection is None else self.projection(found)

    def answers(self, features: Tensor, cells: Tensor | None = None) -> dict[str, Tensor]:
        """Return the output of each head for (B, width) features, and (B,) cells where the coordinate head is told one."""
        if cells is not None:
            return {HEAD: self.heads[HEAD](features, cells[:, None])[:, 0]}
        if self.gallery is not None:
            summed: dict[str, Tensor] = self.gallery(features)
            return summed
        if self.embedding is not None:
            shared = self.embedding(features)
            return {name: head(shared) for name, head in self.heads.items()}
        read = self.dropout(features) if self.readout is None else self.readout(features)
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
            network.eval().features(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(
            f"{spec.arch} takes no pictures of --image-size {size} ({reason}): leave --image-size out for its own size"
        ) from None
