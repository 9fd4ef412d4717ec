"""Flags of `python -m infer play`. Nothing here imports torch, so that --help is instant."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import arg

from plumbing.flags import Folder, Groups
from plumbing.rules import Rule, check_rules, excludes

Resolution = Literal["network", "full"]


@dataclass(frozen=True, kw_only=True)
class PlayConfig:
    """Measure a human baseline: type the countries of held-out photographs, and be compared with a network on the same ones.

    An answer is appended to the table at once; a second start goes on with the photographs that are not guessed yet.
    """

    GROUPS: ClassVar[Groups] = {
        "photographs and run": "data run player photos resolution seed",
        "files": "table picture open",
        "score": "score",
        "speed": "device",
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        excludes(
            "score", "data run player photos resolution seed table picture open device", why="reads a table that exists"
        ),
    )

    data: Folder | None = None
    """Dataset folder; photographs of its test split are shown whose country is known."""
    run: Folder | None = None
    """Run folder of the network to compare with."""
    player: Annotated[str, arg(metavar="NAME")] | None = None
    """Who guesses, as the table is to name you."""
    photos: int = 50
    """How many photographs are guessed in all; the same ones for every player."""
    resolution: Resolution = "network"
    """How they are shown: network (the pixels that the network sees, enlarged) or full (as they are)."""
    table: Path = Path("human_baseline.csv")
    """Table to which answers are appended."""
    picture: Path | None = None
    """File for the photograph that is to be guessed, a PNG. Left out, picture.png beside the table."""
    open: bool = False
    """Also open each photograph in the picture viewer of this machine."""
    score: Annotated[Path, arg(metavar="TABLE")] | None = None
    """Play nothing: print the scores of a table."""
    seed: int = 0
    """Seed of the choice of photographs."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        check_rules(self)
        if self.score is not None:
            return
        missing = [f"--{name}" for name in ("data", "run", "player") if getattr(self, name) is None]
        if missing:
            raise ValueError(
                f"{missing[0]} is missing: playing takes --data, --run and --player; --score TABLE prints the scores of a table"
            )
        if not (self.player or "").strip():
            raise ValueError("--player must be a name")
        if self.photos < 1:
            raise ValueError(f"--photos must be 1 or more, got {self.photos}")
        if self.picture is not None and self.picture.suffix != ".png":
            raise ValueError(f"--picture is a file NAME.png, got {self.picture}")
