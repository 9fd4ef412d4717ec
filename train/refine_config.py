"""Flags of `python -m train refine`. Nothing here imports torch, so that --help is instant."""

from dataclasses import dataclass, field, fields
from typing import ClassVar, Literal

from plumbing.flags import Groups
from plumbing.rules import Rule, needs
from train.config import CoordinateLoss, TrainConfig, refuse_mixing
from train.parts_config import AugmentConfig, OptimConfig

OF_TRUNKS = " ".join(
    [
        "arch weights sampler keep resume checkpoint_minutes precision compile cache_pixels tracker",
        "optim.trunk_lr_factor optim.accumulate optim.ema optim.frozen optim.frozen_norm",
        *(f"augment.{part.name}" for part in fields(AugmentConfig)),
    ]
)
"""Flags that mean nothing where no trunk learns."""


@dataclass(frozen=True)
class RefineConfig(TrainConfig):
    """Train what turns a cell into a coordinate inside it, which `infer --point expert` and `--point refined` answer with.

    By default a small head learns in seconds, on features of the run's own network that are computed once. With --own-trunk
    networks learn end to end, as published: an expert for each cell, or one network that is told the cell.
    """

    GROUPS: ClassVar[Groups] = {"refiner": "kind experts_at own_trunk coordinate_loss"}
    INTERRUPTED: ClassVar[str] = (
        "features are kept; the same command begins the head again, and continues networks of --own-trunk with --resume added"
    )
    FIXED: ClassVar[tuple[str, ...]] = ("image_size", "resize", "freeze_trunk", "views")
    """Pictures are those that the run's networks see."""

    kind: Literal["experts", "embedding"] = "embedding"
    """experts: an answer of its own for each cell, for levels of few cells with many photographs each; embedding: one for all
    cells, which is told the cell by an embedding of it."""
    experts_at: str | None = None
    """With experts: one for each cell of this coarser level, such as L3; points are then inside its cells."""
    own_trunk: bool = False
    """Train trunks too: with experts a network for each cell, on its photographs alone; with embedding one network, whose
    answers are latitude and longitude by the mean and standard deviation of the training photographs. All see pictures as the
    run's own network does."""
    coordinate_loss: CoordinateLoss = "mse"
    """Squared error or smooth L1 of shares of the cell's box (with --own-trunk --kind embedding of standardised coordinates),
    latitude and longitude half each, or the squared great-circle distance."""
    arch: str = "efficientnet_b0"
    """With --own-trunk: the trunk, as `train joint` takes it."""
    epochs: int = 50
    """Passes over the training photographs, or over their features."""
    batch_size: int = 256
    """Photographs a step."""
    optim: OptimConfig = field(default_factory=lambda: OptimConfig("adamw", lr=1e-3, weight_decay=0.01))
    """Optimiser and schedule."""
    patience: int = 5
    """Stop after this many epochs without a better validation loss; 0 never stops early."""
    overwrite: bool = False
    """Train again although the run has a refiner already."""

    @property
    def RULES(self) -> tuple[Rule, ...]:  # noqa: N802
        """Return which flags have an effect only beside others."""
        return (*super().RULES, needs("experts_at", "kind", "experts"), needs(OF_TRUNKS, "own_trunk"))

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        refuse_mixing(self.augment)
