"""Flags of the commands that answer. Nothing here imports torch, so that --help is instant."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

Fusion = Literal["chain", "product", "seed"]
Point = Literal["top", "mean", "median", "geoscore"]


@dataclass(frozen=True, kw_only=True)
class InferConfig:
    """Say where photographs were taken: a probability for every cell, a point, a map. A hypothesis, not proof."""

    photos: Positional[tuple[Path, ...]]
    """Photographs, folders of them, or dataset folders."""
    run: Path
    """Run folder with a trained model."""
    split: Literal["train", "calibration", "test", "all"] = "test"
    """Which photographs of a dataset folder; their true places are then on the maps."""
    limit: int | None = None
    """Take at most so many photographs, evenly from all."""
    out: Path = Path("predictions")
    """Folder for predictions.json, .csv, .geojson, and a map of each photograph."""
    fusion: Fusion | None = None
    """How levels are combined: chain (chain rule down the tree), product (of the levels' own posteriors), seed (the
    published greedy rule). Left out, what the calibration split preferred."""
    point: Point | None = None
    """Which point: top (most probable cell), mean, median, geoscore (highest expected GeoScore). Left out, what the
    calibration split preferred."""
    mass: float = 0.9
    """Keep, per level, the fewest cells that hold this share of what is left; what was cut is reported."""
    top: int = 100
    """List and draw at most so many cells a level."""
    maps: bool = True
    """Draw NAME.html and NAME.png for each photograph."""
    tiles: str | None = None
    """Address of background map tiles, https://.../{z}/{x}/{y}.png; the maps then need a network. Left out, they open
    offline."""
    batch_size: int = 32
    """Photographs a step."""
    workers: int = 2
    """Processes that decode photographs, where there are many."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not self.photos:
            raise ValueError(
                "no photographs given: name files or folders, such as `python -m infer photo.jpg --run RUN`"
            )
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"--limit must be 1 or more, got {self.limit}")
        if not 0 < self.mass <= 1:
            raise ValueError(f"--mass is a share above 0, at most 1, got {self.mass:g}")
        if self.top < 1 or self.batch_size < 1 or self.workers < 0:
            raise ValueError("--top and --batch-size must be 1 or more, --workers 0 or more")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Measure a run on a split of a dataset: kilometres, GeoScore and classes, with 95 % bootstrap intervals."""

    data: Path
    """Dataset folder."""
    run: Path
    """Run folder with a trained model."""
    split: str = "test"
    """Split to measure on: train, calibration or test."""
    out: Path | None = None
    """JSON file for all figures; evaluation_SPLIT.json in the run folder when left out."""
    fusion: Fusion | None = None
    """chain, product or seed; what the calibration split preferred when left out."""
    point: Point | None = None
    """top, mean, median or geoscore; what the calibration split preferred when left out."""
    geoscore_scale_km: float = 1492.7
    """Scale of the GeoScore; smaller for datasets of less than the world."""
    seed: int = 0
    """Of the bootstrap and of chance."""
    batch_size: int = 64
    """Photographs a step."""
    workers: int = 2
    """Processes that decode photographs."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
