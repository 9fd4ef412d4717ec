"""What `python -m fetch demo` takes."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fetch.sources.config import IngestConfig
from plumbing.flags import Groups


@dataclass(frozen=True, kw_only=True)
class DemoConfig(IngestConfig):
    """Make a dataset of the synthetic demo planet: street scenes drawn from clues, to try everything without a network."""

    GROUPS: ClassVar[Groups] = {"planet": "images size places_seed"}

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
