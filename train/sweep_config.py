"""A sweep is a recipe and a grid: which flags of a sweep are whose. Nothing here imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar, Literal

import yaml

from plumbing.config import parse
from plumbing.rules import Rule, check_rules, needs
from train.config import JointConfig, LevelConfig


@dataclass(frozen=True)
class GridConfig:
    """Train a recipe many times over learning rates and weight decays, and show which was best.

    The default grid is that of "Lost & Found" (Schlumberger et al. 2024). Beside the flags below a sweep takes all flags of
    `train joint`, or, with --level, of `train level`; a recipe stands for flags of the training. Interrupted, the same command
    continues; more --trials add to those there are. A sweep's trainings lie in sweep/joint/ or sweep/LEVEL/ of the run folder.
    They are judged by what the trunk learns: their heads stay linear, whatever --readout-epochs says. A training whose loss
    becomes NaN or infinite, or never falls below that of equal probabilities, ranks last and is named so.
    """

    method: Literal["grid", "halving"] = "grid"
    """grid tries every pair; halving draws pairs at random and stops the worse ones early (successive halving)."""
    lrs: tuple[float, ...] = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
    """Learning rates of the grid; halving draws between the least and the greatest."""
    weight_decays: tuple[float, ...] = (1e-1, 1e-2, 1e-3)
    """Weight decays of the grid; halving draws between the least and the greatest."""
    augmented: Literal["yes", "no", "both"] = "yes"
    """Train with the random changes of --augment, without any, or each pair with and without, to compare them."""
    rank_by: Literal["recipe", "loss", "accuracy", "geoscore"] = "recipe"
    """By which figure of the calibration split, at its best epoch, trainings are ranked; recipe is what the training keeps its
    best network by (--keep)."""
    trials: int = 15
    """Trainings that halving begins."""
    overwrite: bool = False
    """Delete this sweep and its trainings, and begin it again."""

    RULES: ClassVar[tuple[Rule, ...]] = (needs("trials", "method", "halving"),)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        check_rules(self)
        if not self.lrs or min(self.lrs) <= 0:
            raise ValueError(f"--lrs needs numbers above 0, got {self.lrs}")
        if not self.weight_decays or min(self.weight_decays) < 0:
            raise ValueError(f"--weight-decays needs numbers that are not negative, got {self.weight_decays}")
        if self.method == "halving" and min(self.weight_decays) == 0:
            raise ValueError(
                "--method halving draws weight decays on a logarithmic scale: leave 0 out of --weight-decays"
            )
        if self.trials < 1:
            raise ValueError(f"--trials must be 1 or more, got {self.trials}")


@dataclass(frozen=True)
class SweepConfig:
    """Train a recipe many times over learning rates and weight decays, and show which was best."""

    training: JointConfig | LevelConfig
    """What is trained; the grid takes the place of its learning rate and weight decay."""
    grid: GridConfig = field(default_factory=GridConfig)
    """What is varied."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.grid.augmented != "yes" and self.training.freeze_trunk:
            raise ValueError(
                f"--augmented {self.grid.augmented} changes pictures, and --freeze-trunk learns from features: leave one out"
            )

    PARTS: ClassVar[tuple[type, ...]] = (GridConfig, JointConfig, LevelConfig)
    """Whose flags a sweep takes."""

    @classmethod
    def from_arguments(cls, prog: str, argv: Sequence[str]) -> "SweepConfig":
        """Deal the words of a command line to the grid and to the training.

        Raises:
            ValueError: one of them refuses a value, or a flag has no effect in a sweep.
        """
        if {"-h", "--help"}.intersection(argv):
            parse(GridConfig, f"{prog} RECIPE.yaml --data FOLDER --run FOLDER [--level L]", ["--help"])
        of_grid, of_training = dealt(argv, {f"--{flag.name.replace('_', '-')}" for flag in fields(GridConfig)})
        for flag, instead in (("--optim.lr", "--lrs"), ("--optim.weight-decay", "--weight-decays")):
            if any(word.split("=")[0].replace("_", "-") == flag for word in of_training):
                raise ValueError(f"{flag} is what a sweep varies: give the values to try by {instead}")
        kind: type[JointConfig | LevelConfig] = LevelConfig if names_flag(of_training, "level") else JointConfig
        return cls(parse(kind, prog, of_training), parse(GridConfig, prog, of_grid))


def dealt(argv: Sequence[str], flags: set[str]) -> tuple[list[str], list[str]]:
    """Return the words of some flags with their values, and all other words."""
    chosen: list[str] = []
    rest: list[str] = []
    into = rest
    for word in argv:
        if word.startswith("--"):
            into = chosen if word.split("=")[0].replace("_", "-") in flags else rest
        elif word.endswith((".yaml", ".yml")):
            into = rest
        into.append(word)
    return chosen, rest


def names_flag(argv: Sequence[str], flag: str) -> bool:
    """Return whether the words, or a recipe among them, name a flag such as `level`."""
    recipes = [Path(word) for word in argv if word.endswith((".yaml", ".yml"))]
    content = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in recipes if path.is_file()]
    return any(flag in values for values in content if isinstance(values, dict)) or any(
        word.split("=")[0] == f"--{flag.replace('_', '-')}" for word in argv
    )
