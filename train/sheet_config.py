"""Flags of the sheet of augmented training pictures. Nothing here imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar

from plumbing.config import parse
from train.config import JointConfig, LevelConfig
from train.refine_config import RefineConfig
from train.sweep_config import dealt, names_flag

AUGMENTATIONS = "augmentations.jpg"
"""The sheet in a run folder, which the run's report shows."""


@dataclass(frozen=True)
class SheetConfig:
    """Draw training pictures as the network sees them, unchanged and changed at random, by the code that training uses.

    Beside the flags below it takes all flags of `train joint`, with --level of `train level`, or with --own-trunk of `train
    refine`; a recipe stands for flags.
    Each row is a photograph: first as it is validated, then as epochs 1, 2 and so on would learn it.
    """

    out: Path | None = None
    """Picture to write, NAME.png or NAME.jpg. Left out, augmentations.jpg in the run folder, which `viz report` then shows."""
    photographs: int = 6
    """Rows: training photographs, evenly from all."""
    variants: int = 6
    """Columns beside the unchanged picture."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.photographs < 1 or self.variants < 1:
            raise ValueError(
                f"--photographs and --variants must be 1 or more, got {self.photographs} and {self.variants}"
            )
        if self.out is not None and self.out.suffix.lower() not in (".png", ".jpg"):
            raise ValueError(f"--out is a file NAME.png or NAME.jpg, got {self.out}")


@dataclass(frozen=True)
class AugmentationsConfig:
    """Draw training pictures as the network sees them, unchanged and changed at random."""

    training: JointConfig | LevelConfig | RefineConfig
    """Whose pictures are changed, and how."""
    sheet: SheetConfig = field(default_factory=SheetConfig)
    """What is drawn."""

    PARTS: ClassVar[tuple[type, ...]] = (SheetConfig, JointConfig, LevelConfig, RefineConfig)
    """Whose flags it takes."""

    @classmethod
    def from_arguments(cls, prog: str, argv: Sequence[str]) -> "AugmentationsConfig":
        """Deal the words of a command line to the sheet and to the training.

        Raises:
            ValueError: one of them refuses a value, or nothing says where to write.
        """
        if {"-h", "--help"}.intersection(argv):
            parse(SheetConfig, f"{prog} RECIPE.yaml --data FOLDER [--run FOLDER] [--level L]", ["--help"])
        of_sheet, of_training = dealt(argv, {f"--{flag.name.replace('_', '-')}" for flag in fields(SheetConfig)})
        sheet = parse(SheetConfig, prog, of_sheet)
        if not any(word.split("=")[0] == "--run" for word in of_training):
            if sheet.out is None:
                raise ValueError("name a picture to write by --out NAME.png, or a run folder by --run")
            of_training = [*of_training, "--run", str(sheet.out.parent)]
        return cls(parse(_kind(of_training), prog, of_training), sheet)


def _kind(words: Sequence[str]) -> type[JointConfig | LevelConfig | RefineConfig]:
    """Return the flags of which training some words are."""
    if names_flag(words, "own_trunk"):
        return RefineConfig
    return LevelConfig if names_flag(words, "level") else JointConfig
