"""Flags of `train features`. Nothing here imports torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from plumbing.flags import Groups
from plumbing.rules import Rule, check_rules, excludes, needs
from train.parts_config import CHANGES, AugmentConfig


@dataclass(frozen=True)
class FeaturesConfig:
    """Compute the features of a dataset's pictures once; `--freeze-trunk`, `train refine` and others then read them.

    They lie in `features/` of the dataset folder and may be deleted at any time. Interrupted, the same command continues;
    what is there is not computed again. Under torchrun, or with RANK and WORLD_SIZE set, processes share the pictures.
    """

    GROUPS: ClassVar[Groups] = {
        "network": "run arch weights image_size resize stages",
        "pictures": "split views seed",
        "speed": "precision batch_size workers device",
    }

    data: Path
    """Dataset folder."""
    run: Path | None = None
    """Run whose network computes the features; or name a trunk by --arch."""
    arch: str | None = None
    """Trunk by its name, as `train joint` takes it."""
    weights: str = "pretrained"
    """pretrained, none, a file with weights of the trunk, or the name of an installed package that brings one."""
    image_size: int | None = None
    """Pixels a side of the square that the network sees; left out, what the trunk was trained on, 224 for random weights."""
    resize: Literal["auto", "squash", "crop"] = "auto"
    """How a picture fills that square, as `train joint` takes it."""
    stages: bool = True
    """Features of all stages of the trunk, which `--freeze-trunk` reads with a hidden layer; --no-stages computes those of its
    end alone, which linear heads read (`--hidden 0`)."""
    split: tuple[str, ...] = ()
    """Splits to compute, such as train calibration; left out, all."""
    views: int = 0
    """Randomly changed views of each picture that are computed besides the picture as it is."""
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(flip=0.0, rotation_deg=0.0, crop_scale=0.7))
    """With --views: the random changes, by default those of `train joint`."""
    seed: int = 0
    """Same seed, same views, and the same random weights with --weights none."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto is bfloat16 where the processor computes in it, float32 on others; of a run, what it answers in."""
    batch_size: int = 64
    """Pictures a step."""
    workers: int = 2
    """Processes that decode pictures; 0 decodes in the main process."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        excludes("run", "weights image_size resize stages", why="brings its own network"),
        needs(CHANGES, "views"),
    )

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if (self.run is None) == (self.arch is None):
            raise ValueError("name the network by --run, or a trunk by --arch, one of them")
        check_rules(self)
        if self.batch_size < 1 or self.workers < 0 or self.views < 0:
            raise ValueError("--batch-size must be 1 or more, --workers and --views 0 or more")
        if self.augment.cutmix or self.augment.mixup:
            raise ValueError(
                "--augment.cutmix and --augment.mixup mix pictures, and features are of one: leave them out"
            )
