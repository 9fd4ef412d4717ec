"""What the commands of `python -m fetch` take."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """How photographs with coordinates become a dataset folder; every source of photographs takes these."""

    max_side: int = 1024
    """Pictures are stored with the longer side at most this many pixels."""
    split: Literal["groups", "cell"] = "groups"
    """What no split divides: groups (of sequence, place, creator in a cell, near-duplicates), or whole L8 cells."""
    test_share: float = 0.15
    """Share of the photographs kept for the final figures."""
    calibration_share: float = 0.15
    """Share of the photographs kept for temperatures, thresholds and choices."""
    seed: int = 0
    """Same seed, same splits."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.max_side < 16:
            raise ValueError(f"--max-side must be at least 16 pixels, got {self.max_side}")
        for flag, share in (("test", self.test_share), ("calibration", self.calibration_share)):
            if not 0 <= share < 1:
                raise ValueError(f"--{flag}-share is a part of one, such as 0.15, got {share:g}")
        if self.test_share + self.calibration_share >= 1:
            held_out = self.test_share + self.calibration_share
            raise ValueError(f"--test-share and --calibration-share leave nothing to train on: together {held_out:g}")


@dataclass(frozen=True, kw_only=True)
class ImportConfig(IngestConfig):
    """Make a dataset from a table of photographs, or from a folder of photographs with GPS in their EXIF.

    Tables are CSV, TSV or Parquet with the columns of OSV-5M, Im2GPS3k, YFCC or GeoCLIP, `image_path,lat,lon`,
    `filename,lat,lon` or `id,path,latitude,longitude`. In a folder, a name such as `48.85,2.35.jpg` gives the place of
    a file without GPS.

    Nothing is judged by its looks here: `python -m fetch thin` does that, and can be undone.
    """

    source: Positional[Path]
    """The table, or the folder of photographs."""
    out: Path
    """Dataset folder to make, or to continue, such as data/mine."""
    images: Path | None = None
    """Folder of the pictures that a table names; the table's own folder when not given."""
    exclude: Path | None = None
    """File of ids, one a line, that are left out."""


@dataclass(frozen=True, kw_only=True)
class DemoConfig(IngestConfig):
    """Make a dataset of a made-up planet: street scenes drawn from clues, for trying everything without a network."""

    out: Path
    """Dataset folder to make, such as data/demo."""
    images: int = 6000
    """How many photographs; a few percent are dark, blurred or near-duplicates, as real ones are."""
    size: int = 96
    """Side of the square pictures in pixels."""
    seed: int = 0
    """Same seed, same world, pictures and splits."""
    places_seed: int | None = None
    """Photograph the same world elsewhere: other cities, journeys and creators, for a test set with another mix of
    places. Left out, the places that belong to --seed."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        if self.images < 1:
            raise ValueError(f"--images must be at least 1, got {self.images}")
        if not 16 <= self.size <= self.max_side:
            raise ValueError(f"--size must be 16 to {self.max_side} pixels (--max-side), got {self.size}")
        if min(self.seed, self.places_seed or 0) < 0:
            raise ValueError(f"--seed must be 0 or more, as --places-seed, got {self.seed} and {self.places_seed}")

    @property
    def series(self) -> str:
        """Return what ids of photographs begin with."""
        return str(self.seed) if self.places_seed is None else f"{self.seed}p{self.places_seed}"


@dataclass(frozen=True, kw_only=True)
class ThinConfig:
    """Leave out dark, blurred, grey and crowded photographs; the pictures stay, so other thresholds can follow.

    Every run starts again from all photographs of the dataset. Photographs that are left out are listed, each with its
    measured value and the threshold, in rejected.csv.
    """

    data: Path
    """Dataset folder."""
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
    """Photographs lie at least this far from each other; the better picture stays. 0 is off."""
    duplicate_bits: int = 4
    """Difference hashes (64 bits) of pictures of a sequence, or within 200 m, differ in more bits than this. -1 is off."""
    max_per_sequence: int | None = None
    """At most so many photographs of a sequence in an L8 cell; no limit when not given."""
    max_creator_share: float | None = None
    """At most this share of an L8 cell's photographs by one creator, though always one; no limit when not given."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.min_distance_m < 0:
            raise ValueError(f"--min-distance-m must be 0 or more, got {self.min_distance_m:g}")
        if not -1 <= self.duplicate_bits <= 12:
            raise ValueError(f"--duplicate-bits must be -1 (off) to 12, got {self.duplicate_bits}")
        if self.max_per_sequence is not None and self.max_per_sequence < 1:
            raise ValueError(f"--max-per-sequence must be 1 or more, got {self.max_per_sequence}")
        if self.max_creator_share is not None and not 0 < self.max_creator_share <= 1:
            raise ValueError(f"--max-creator-share is a part of one, such as 0.2, got {self.max_creator_share:g}")
