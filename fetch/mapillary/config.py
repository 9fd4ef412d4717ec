"""What `python -m fetch mapillary` and `python -m fetch recheck` take."""

from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from tyro.conf import Positional

from fetch.config import LooksConfig, ThinConfig
from fetch.sources.config import IngestConfig
from plumbing.addresses import is_loopback
from plumbing.flags import Groups
from plumbing.rules import Rule, check_rules, needs

Stage = Literal["all", "survey", "plan", "run", "fill", "status", "verify", "probe"]

GRAPH_URL = "https://graph.mapillary.com"
TILES_URL = "https://tiles.mapillary.com"


@dataclass(frozen=True, kw_only=True)
class GraphConfig:
    """Where Mapillary's graph answers, and how gently it is asked."""

    GROUPS: ClassVar[Groups] = {
        "service": "token_file graph_url contact",
        "pace": "requests_per_second threads timeout_s backoff_s",
    }

    token_file: Path | None = None
    """File that holds the access token; the environment variable MAPILLARY_TOKEN when not given."""
    graph_url: str = GRAPH_URL
    """Address of the graph: metadata."""
    requests_per_second: float = 40.0
    """Requests to the graph; 0 is without a limit. Mapillary allows 60,000 a minute."""
    threads: int = 32
    """At most this many requests in flight."""
    timeout_s: float = 30.0
    """Longest silence of a server; a whole answer may take twice as long."""
    backoff_s: float = 1.0
    """Longest wait before the first new try; it doubles with each further one, up to a minute."""
    contact: str = ""
    """Address for the operators of the service to write to, sent with every request."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        check_address("--graph-url", self.graph_url)
        if self.requests_per_second < 0:
            raise ValueError(f"--requests-per-second must be 0 (no limit) or more, got {self.requests_per_second:g}")
        if not 1 <= self.threads <= 128:
            raise ValueError(f"--threads must be 1 to 128, got {self.threads}")
        if self.timeout_s <= 0 or self.backoff_s < 0:
            raise ValueError("--timeout-s must be above 0 and --backoff-s 0 or more")
        if not self.contact.isascii() or not self.contact.isprintable():
            raise ValueError(f"--contact must be plain ASCII, got {self.contact!r}")


@dataclass(frozen=True, kw_only=True)
class ServiceConfig(GraphConfig):
    """Where Mapillary's graph, tiles and pictures are, and how gently they are asked for."""

    GROUPS: ClassVar[Groups] = {"service": "tiles_url image_hosts", "pace": "tiles_per_second tiles_per_day"}

    tiles_url: str = TILES_URL
    """Address of the vector tiles."""
    image_hosts: tuple[str, ...] = ("fbcdn.net",)
    """Hosts, with all below them, from which pictures are taken."""
    tiles_per_second: float = 2.0
    """Requests for tiles; 0 is without a limit."""
    tiles_per_day: int = 8000
    """Requests for tiles in a day (UTC), counted across runs; a run that needs more ends with exit code 4."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        check_address("--tiles-url", self.tiles_url)
        if self.tiles_per_second < 0:
            raise ValueError(f"--tiles-per-second must be 0 (no limit) or more, got {self.tiles_per_second:g}")
        if not 0 <= self.tiles_per_day <= 40_000:
            raise ValueError(f"--tiles-per-day must be 0 to 40000 (Mapillary allows 50,000), got {self.tiles_per_day}")
        if not all(self.image_hosts):
            raise ValueError("--image-hosts holds an empty name, which would allow every host")

    @classmethod
    def of_graph(cls, config: GraphConfig) -> "ServiceConfig":
        """Return the settings of a service of which only the graph is asked."""
        return cls(**{field.name: getattr(config, field.name) for field in fields(GraphConfig)})


@dataclass(frozen=True, kw_only=True)
class MapillaryConfig(ServiceConfig, IngestConfig, LooksConfig):
    """Make a dataset of Mapillary's pictures, spread over the planet: survey, plan, run, fill.

    Stages: `survey` reads the overview tiles (about a thousand requests); `plan` orders the candidates of every cell;
    `run` fetches, measures and thins them; `fill` looks into single tiles where a cell is short; `status` says where
    things stand; `verify` holds the files against the state; `probe` asks the live service what is not yet known of
    it. `all` is the first four and the status. Every stage continues where it stopped.

    Exit codes: 0 done, 2 bad input, 3 refused or blocked by the service, 4 quota of the day is spent, 5 the service
    fails too often.
    """

    stage: Positional[Stage] = "all"
    """Which stage to run."""
    out: Path
    """Dataset folder to make, or to continue, such as data/world."""
    per_cell: int = 20
    """How many pictures a cell of level 8 is to have."""
    cells: tuple[str, ...] = ()
    """Only these cells of any level, such as 0/1/2 or 0_1_2."""
    bbox: tuple[float, float, float, float] | None = None
    """Only cells that touch this box: south, west, north, east in degrees; west above east spans the antimeridian."""
    country: tuple[str, ...] = ()
    """Only cells with most land in these countries, by ISO code, such as FR JP."""
    since: date | None = None
    """Only pictures captured on this day or later."""
    until: date | None = None
    """Only pictures captured on this day or earlier."""
    pano: Literal["drop", "crop"] = "drop"
    """Panoramas are left out, or a view in the direction of travel is cut from them."""
    min_side: int = 480
    """The shorter side of the original must have at least this many pixels."""
    max_per_sequence: int = 2
    """At most this many pictures of a sequence in a cell."""
    max_creator_share: float = 0.2
    """A creator gets at most this share of a cell, as long as others have pictures there."""
    fill_tiles: int = 4
    """At most this many tiles of zoom 14 are looked into for a cell that is short."""
    survey_days: int | None = None
    """Ask again for what the survey learned more than this many days ago, and plan again; without it a survey is made once."""
    dry_run: bool = False
    """Say what it would cost in requests, bytes, time and disk; ask nothing, write nothing."""

    GROUPS: ClassVar[Groups] = {
        "what is fetched": "per_cell cells bbox country since until pano min_side max_per_sequence max_creator_share",
        "stages": "stage fill_tiles survey_days dry_run",
        "looks": "",
        "crowding": "",
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        needs("fill_tiles", "stage", "all", "fill"),
        needs("survey_days", "stage", "all", "survey", "plan", "status"),
        needs("dry_run", "stage", "all", "survey", "run", "fill"),
    )

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        IngestConfig.__post_init__(self)
        ServiceConfig.__post_init__(self)
        LooksConfig.__post_init__(self)
        if not 1 <= self.per_cell <= 10_000:
            raise ValueError(f"--per-cell must be 1 to 10000, got {self.per_cell}")
        if self.max_per_sequence < 1:
            raise ValueError(f"--max-per-sequence must be 1 or more, got {self.max_per_sequence}")
        if self.seed < 0:
            raise ValueError(f"--seed must be 0 or more, got {self.seed}")
        if not 0 <= self.fill_tiles <= 64:
            raise ValueError(f"--fill-tiles must be 0 to 64, got {self.fill_tiles}")
        if self.survey_days is not None and self.survey_days < 0:
            raise ValueError(f"--survey-days must be 0 or more, got {self.survey_days}")
        if self.since and self.until and self.since > self.until:
            raise ValueError(f"--since {self.since} lies after --until {self.until}")
        if self.bbox is not None:
            south, west, north, east = self.bbox
            if not (-90 <= south < north <= 90 and -180 <= west <= 180 and -180 <= east <= 180 and west != east):
                raise ValueError(
                    f"--bbox is south west north east in degrees, got {' '.join(f'{v:g}' for v in self.bbox)}"
                )
        check_rules(self)

    def thresholds(self) -> ThinConfig:
        """Return the thresholds as `python -m fetch thin` takes them."""
        shared = {field.name: getattr(self, field.name) for field in fields(LooksConfig)}
        return ThinConfig(data=self.out, max_per_sequence=self.max_per_sequence, **shared)

    def captured_ms(self) -> tuple[int, int]:
        """Return from when, and until before when, pictures are taken: milliseconds since 1970."""
        since = self.since or date(2010, 1, 1)
        until = self.until or date(9000, 1, 1)
        start, end = (datetime(d.year, d.month, d.day, tzinfo=UTC).timestamp() for d in (since, until))
        return int(start * 1000), int((end + 86_400) * 1000)


@dataclass(frozen=True, kw_only=True)
class RecheckConfig(GraphConfig):
    """Find pictures that were deleted at Mapillary, and remove them from a dataset."""

    data: Path
    """Dataset folder."""
    dry_run: bool = False
    """Only say which ones are gone."""


def check_address(flag: str, url: str) -> None:
    """Refuse an address over which a token could be read.

    Raises:
        ValueError: it is not https, unless it is loopback; or it is more than scheme, host and path.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError(f"{flag} must be an address such as https://host, got {url!r}")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError(f"{flag} must be https (http only on this machine), got {url!r}: the token would be readable")
