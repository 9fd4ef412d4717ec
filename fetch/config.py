"""What the commands of `python -m fetch` take that work on a dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from plumbing.flags import Groups
from plumbing.rules import Rule, check_rules, excludes, needs


@dataclass(frozen=True, kw_only=True)
class SplitFlags:
    """How photographs are shared out to train, calibration and test."""

    split: Literal["groups", "cell"] = "groups"
    """What no split divides: groups (of sequence, place, creator in a cell, near-duplicates), or whole L8 cells."""
    test_share: float = 0.15
    """Share of the photographs kept for the final figures."""
    calibration_share: float = 0.15
    """Share of the photographs kept for temperatures, thresholds and choices."""
    seed: int = 0
    """Same seed, same splits."""

    def __post_init__(self) -> None:
        """Refuse shares that cannot work."""
        for flag, share in (("test", self.test_share), ("calibration", self.calibration_share)):
            if not 0 <= share < 1:
                raise ValueError(f"--{flag}-share is a part of one, such as 0.15, got {share:g}")
        if self.held_out_share >= 1:
            raise ValueError(
                f"--test-share and --calibration-share leave nothing to train on: together {self.held_out_share:g}"
            )

    @property
    def held_out_share(self) -> float:
        """Return the share of the photographs that no training sees."""
        return self.test_share + self.calibration_share


@dataclass(frozen=True, kw_only=True)
class LooksConfig:
    """Which photographs are left out by their looks and by how crowded they lie."""

    GROUPS: ClassVar[Groups] = {
        "looks": "min_luma max_luma min_luma_std min_colourfulness min_sharpness max_extreme_share",
        "crowding": "min_distance_m duplicate_bits",
    }

    min_luma: float = 40.0
    """Mean brightness must be above this (0 is black, 255 white)."""
    max_luma: float = 235.0
    """Mean brightness must be below this."""
    min_luma_std: float = 12.0
    """Brightness must vary by more than this: fog, lens caps and error pages do not."""
    min_colourfulness: float = 5.0
    """Colourfulness (Hasler and Süsstrunk) must be above this; 0 keeps black-and-white pictures."""
    min_sharpness: float = 60.0
    """Variance of the Laplacian must be above this; blurred pictures lie below."""
    max_extreme_share: float = 0.6
    """At most this share of the pixels may be nearly black or nearly white."""
    min_distance_m: float = 78.0
    """Photographs lie at least this far from each other, across cells too; the better picture stays, of a panorama all views.
    0 is off."""
    duplicate_bits: int = 4
    """Difference hashes (64 bits) of pictures of a sequence, or within 200 m, differ in more bits than this. -1 is off."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.min_distance_m < 0:
            raise ValueError(f"--min-distance-m must be 0 or more, got {self.min_distance_m:g}")
        if not -1 <= self.duplicate_bits <= 12:
            raise ValueError(f"--duplicate-bits must be -1 (off) to 12, got {self.duplicate_bits}")


@dataclass(frozen=True, kw_only=True)
class ThinConfig(LooksConfig):
    """Leave out dark, blurred, grey and crowded photographs; the pictures stay, so other thresholds can follow.

    Every run starts again from all photographs of the dataset. Photographs that are left out are listed, each with its
    measured value and the threshold, in rejected.csv.
    """

    GROUPS: ClassVar[Groups] = {"looks": "", "crowding": "max_per_sequence max_creator_share"}

    data: Path
    """Dataset folder."""
    max_per_sequence: int | None = None
    """At most this many photographs of a sequence in an L8 cell; no limit when not given."""
    max_creator_share: float | None = None
    """At most this share of an L8 cell's photographs by one creator, though always one; no limit when not given."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        if self.max_per_sequence is not None and self.max_per_sequence < 1:
            raise ValueError(f"--max-per-sequence must be 1 or more, got {self.max_per_sequence}")
        if self.max_creator_share is not None and not 0 < self.max_creator_share <= 1:
            raise ValueError(f"--max-creator-share is a part of one, such as 0.2, got {self.max_creator_share:g}")


@dataclass(frozen=True, kw_only=True)
class BalanceConfig:
    """Write a list of photographs whose places are spread as wanted; the dataset stays as it is.

    Groups (cells, countries, rows of a table) with at least --min-share of the photographs are anchors: the subset is
    as large as it can be while each of them meets its target in full. Others stay where they have at least --slack of
    their target, and go where they have less.
    """

    data: Path
    """Dataset folder."""
    target: str
    """cell or country for equal shares, or a CSV file of shares with the columns country (or cell) and share."""
    out: Path
    """List to write: small enough to be committed, and all that is needed to get the same subset again."""
    level: int = 8
    """Level of the cells that --target cell means."""
    min_share: float | None = None
    """Share of all photographs from which on a group is an anchor. Left out, 0.0075 as published for countries and
    tables; for cells, of which there may be thousands, the one that keeps most photographs."""
    slack: float = 0.75
    """Groups that are not anchors stay with at least this part of their target."""
    keep_short: bool = False
    """Keep groups below that too, with all that they have."""
    seed: int = 0
    """Same seed, same subset."""

    GROUPS: ClassVar[Groups] = {"groups of photographs": "level min_share slack keep_short"}
    RULES: ClassVar[tuple[Rule, ...]] = (
        needs("level", "target", "cell"),
        excludes("keep_short", "slack", True, why="keeps every group"),
    )

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.min_share is not None and not 0 <= self.min_share < 1:
            raise ValueError(f"--min-share is a part of one, such as 0.0075, got {self.min_share:g}")
        if not 0 < self.slack <= 1:
            raise ValueError(f"--slack is above 0 and at most 1, got {self.slack:g}")
        if not 1 <= self.level <= 16:
            raise ValueError(f"--level must be 1 to 16, got {self.level}")
        check_rules(self)


@dataclass(frozen=True, kw_only=True)
class PackConfig:
    """Put the pictures of a dataset into tar shards, pre-sized for training; webdataset reads them too."""

    GROUPS: ClassVar[Groups] = {"pictures": "short_side quality", "shards": "out shard_mb"}

    data: Path
    """Dataset folder."""
    out: Path | None = None
    """Dataset folder to make, with shards and no images/; the dataset itself gets the shards when left out."""
    short_side: int = 256
    """Pictures are shrunk until their shorter side is this long; smaller ones keep their bytes."""
    quality: int = 90
    """Quality of the JPEG of pictures that are shrunk."""
    shard_mb: int = 256
    """A shard is full at this many megabytes."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.short_side < 16:
            raise ValueError(f"--short-side must be 16 or more, got {self.short_side}")
        if not 1 <= self.quality <= 100:
            raise ValueError(f"--quality is from 1 to 100, got {self.quality}")
        if self.shard_mb < 1:
            raise ValueError(f"--shard-mb must be 1 or more, got {self.shard_mb}")


@dataclass(frozen=True, kw_only=True)
class VerifyConfig:
    """Say which pictures of a dataset are missing, changed or damaged; exit code 2 when there is any."""

    data: Path
    """Dataset folder."""
    quick: bool = False
    """Do not decode: hashes only."""


@dataclass(frozen=True, kw_only=True)
class SplitConfig(SplitFlags):
    """Share out the photographs of a dataset to train, calibration and test again; runs begun before no longer fit it."""

    data: Path
    """Dataset folder."""
    features: bool = False
    """With groups: near-duplicates by features too, which a difference hash misses; `train features` makes them."""

    RULES: ClassVar[tuple[Rule, ...]] = (needs("features", "split", "groups"),)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        check_rules(self)
        if self.held_out_share == 0:
            raise ValueError("--test-share and --calibration-share hold nothing out, got 0 and 0: give one a share")


@dataclass(frozen=True, kw_only=True)
class StatusConfig:
    """Say how many photographs a dataset has, where, and how much space they take."""

    data: Path
    """Dataset folder."""
