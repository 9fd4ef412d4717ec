"""Flags of `python -m label_maps`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from geocells.partitions import DEFAULT_LEVELS, QuadPartition


@dataclass(frozen=True)
class LabelMapsConfig:
    """Build the hierarchy of classes from a dataset's training photographs and begin a run folder."""

    data: Path
    """Dataset folder, with its manifest.parquet."""
    run: Path
    """Run folder to begin; everything that a trained model is will lie in it."""
    partition: Literal["quad", "quad_equal_area"] = "quad"
    """How the world is cut: quad (equal boxes in degrees) or quad_equal_area (cells of a level have equal area)."""
    levels: tuple[int, ...] = DEFAULT_LEVELS
    """Levels of the grid, coarse to fine, 1 to 16."""
    min_images: int = 1
    """Drop a cell with fewer training photographs, at its level only; its photographs still train coarser levels."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.min_images < 1:
            raise ValueError(f"--min-images must be 1 or more, got {self.min_images}")
        QuadPartition(self.levels)
