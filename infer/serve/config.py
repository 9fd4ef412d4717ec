"""Flags of `python -m infer serve`. Nothing here imports torch, so that --help is instant."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import arg

from infer.config import (
    NEEDS_GREEDY,
    RENAMED_VALUES,
    AnswerConfig,
    Fusion,
    GreedyConfig,
    Point,
    Precision,
    check_listing,
)
from plumbing.flags import Folder, Groups, Renamed, Share
from plumbing.rules import Rule, needs


@dataclass(frozen=True, kw_only=True)
class AppConfig(GreedyConfig, AnswerConfig):
    """Serve a page that answers photographs in the browser, with an API; this needs gradio (pip install gradio).

    Beside the page: /locate, one photograph in and JSON out; with --play also /play, people against the network.
    """

    GROUPS: ClassVar[Groups] = {
        "serving": "host port hosts mcp",
        "what is answered": "fusion greedy_thresholds greedy_k point mass top",
        "prior knowledge": "",
        "people against the network": "play blind photos table seed",
        "speed": "precision device",
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        needs("coarsest", "confidence"),
        needs("places", "coverage confidence"),
        needs("blind photos table seed", "play"),
        NEEDS_GREEDY,
    )
    RENAMED: ClassVar[Renamed] = RENAMED_VALUES

    run: Path
    """Run folder with a trained model."""
    host: str = "127.0.0.1"
    """Address to listen at. The default answers this machine alone; 0.0.0.0 answers all who reach it, without a password."""
    port: int = 7860
    """Port to listen at."""
    hosts: tuple[Annotated[str, arg(metavar="NAME")], ...] = ()
    """Further names under which browsers reach this machine, such as photos.example.org. Requests to other names are refused,
    or a page from elsewhere could ask in a visitor's name."""
    mcp: bool = False
    """Also serve the API to language models by the Model Context Protocol, at /gradio_api/mcp/; this needs the package mcp
    (pip install "gradio[mcp]")."""
    play: Folder | None = None
    """Dataset folder: /play is then a game in which a person and the network guess photographs of its test split."""
    blind: bool = False
    """With --play: show photographs as the network sees them, at its resolution, enlarged. Left out, as they are."""
    photos: int = 50
    """With --play: how many photographs are guessed in all; the same ones for every player."""
    table: Path = Path("human_baseline.csv")
    """With --play: table to which answers are appended, that of `python -m infer play`."""
    seed: int = 0
    """With --play: seed of the choice of photographs."""
    fusion: Fusion | None = None
    """How levels are combined, as in `python -m infer predict`. Left out, the one that scored best on the calibration
    split."""
    point: Point | None = None
    """Which point is answered, as in `python -m infer predict`. Left out, the one that scored best on the calibration
    split."""
    mass: Share = 0.9
    """List, per level, the fewest cells that hold this share of the probability."""
    top: int = 100
    """List and draw at most this many cells per level."""
    precision: Precision | None = None
    """What the network computes in: float32, bfloat16, or auto (bfloat16 where the processor computes in it, which is faster).
    Left out, as the run was calibrated."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        _ = self.greedy
        if not 1 <= self.port <= 65_535:
            raise ValueError(f"--port is 1 to 65535, got {self.port}")
        if self.photos < 1:
            raise ValueError(f"--photos must be 1 or more, got {self.photos}")
        check_listing(self.mass, self.top)
