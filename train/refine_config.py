"""Flags of `python -m train refine`. Nothing here imports torch, so that --help is instant."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from plumbing.rules import Rule, check_rules, needs
from train.config import CoordinateLoss
from train.parts_config import OPTIM_RULES, OptimConfig

TRUNK_OPTIM = ("trunk_lr_factor", "accumulate", "ema", "frozen", "frozen_norm")
"""Settings of the optimiser that mean nothing where no trunk learns."""


@dataclass(frozen=True)
class RefineConfig:
    """Train a small head that turns a cell into a coordinate inside it, on features of the run's own network.

    The features are computed once; the head then learns in seconds. `infer --point refined` answers with it.
    """

    data: Path
    """Dataset folder."""
    run: Path
    """Run folder with its networks."""
    kind: Literal["experts", "embedding"] = "embedding"
    """experts: a linear layer for each cell, for levels of few cells with many photographs each; embedding: one head for
    all cells, which is told the cell by an embedding of it."""
    experts_at: str | None = None
    """With experts: one for each cell of this coarser level, such as L3; `--point refined` then answers by its cells."""
    coordinate_loss: CoordinateLoss = "mse"
    """Squared error or smooth L1 of shares of the cell's box, latitude and longitude half each, or the squared
    great-circle distance."""
    epochs: int = 50
    """Passes over the training photographs' features."""
    batch_size: int = 256
    """Photographs a step."""
    optim: OptimConfig = field(default_factory=lambda: OptimConfig("adamw", lr=1e-3, weight_decay=0.01))
    """Optimiser and schedule of the head."""
    patience: int = 5
    """Stop after so many epochs without a better validation loss; 0 never stops early."""
    overwrite: bool = False
    """Train again although the run has a refiner already."""
    workers: int = 2
    """Processes that decode photographs; 0 decodes in the training process."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    seed: int = 0
    """Same seed, same refiner."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        needs("experts_at", "kind", "experts"),
        *OPTIM_RULES,
    )

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.epochs < 1 or self.batch_size < 1 or self.workers < 0 or self.patience < 0:
            raise ValueError("--epochs and --batch-size must be 1 or more, --workers and --patience 0 or more")
        check_rules(self)
        of_trunks = OptimConfig()
        if any(getattr(self.optim, flag) != getattr(of_trunks, flag) for flag in TRUNK_OPTIM):
            raise ValueError(
                "a refiner learns on features that stay: leave out "
                + ", ".join(f"--optim.{flag.replace('_', '-')}" for flag in TRUNK_OPTIM)
            )
