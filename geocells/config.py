"""What the commands of geocells take."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class LandConfig:
    """Count the cells that touch land, and write their ids."""

    natural_earth: Path | None = None
    """A file of land polygons, such as ne_50m_land.zip; the table that ships with the project answers when absent."""
    download: Literal["10m", "50m", "110m"] | None = None
    """Fetch the official land file of this scale once, into a cache, and use it."""
    level: int = 8
    """Level of the cells, 1 to 12; 1 to 8 for the shipped table."""
    equal_area: bool = False
    """Cut latitudes so that all cells of a level have the same area."""
    out: Path | None = None
    """Write the cells that touch land: a .txt of one id a line, or a .csv of ids and bounds."""
    sha256: str | None = None
    """Refuse the downloaded file unless this is its SHA-256."""
    base_url: str = "https://naciscdn.org/naturalearth"
    """Where the official files lie: this is where naturalearthdata.com sends those who click on a download."""
    cache: Path | None = None
    """Folder of downloaded files; the user's own cache folder when absent."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.out and self.out.suffix not in (".txt", ".csv"):
            raise ValueError(f"--out ends in .txt or .csv, got {self.out}")
        if self.natural_earth and self.download:
            raise ValueError("--natural-earth and --download exclude each other: name a file, or have one fetched")
        if self.sha256 and not self.download:
            raise ValueError("--sha256 checks a download: add --download 50m")
        if not self.base_url.startswith(("https://", "http://")):
            raise ValueError(f"--base-url starts with https:// or http://, got {self.base_url}")
        if self.equal_area and not (self.natural_earth or self.download):
            raise ValueError("the shipped table has no --equal-area: add --natural-earth FILE or --download 50m")


@dataclass(frozen=True)
class TableConfig:
    """Compute the table of land and countries that ships with the project."""

    natural_earth: tuple[Path, ...]
    """Files of land polygons, added up: ne_10m_land.zip and ne_10m_minor_islands.zip."""
    regions: Path
    """Administrative areas with their country: ne_10m_admin_1_states_provinces.zip."""
    countries: Path
    """Countries, for their ISO codes: ne_50m_admin_0_countries.zip."""
    out: Path = Path("geocells/data/land_l8.npz")
    """The table."""


@dataclass(frozen=True)
class OutlinesConfig:
    """Compute the outlines of countries that ship with the project."""

    countries: Path
    """Countries: ne_50m_admin_0_countries.zip."""
    regions: Path
    """Administrative areas, for what ISO 3166-1 gives a code of its own and for islets: ne_10m_admin_1_states_provinces.zip."""
    land: tuple[Path, ...] = ()
    """Files of land polygons, for islets that neither has: ne_10m_land.zip and ne_10m_minor_islands.zip."""
    tolerance_deg: float = 0.02
    """Triangles smaller than the square of this are cut off coasts and borders, borders alike for both neighbours."""
    out: Path = Path("geocells/data/countries_50m.npz.xz")
    """The outlines."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 0 <= self.tolerance_deg <= 1:
            raise ValueError(f"--tolerance-deg is from 0 to 1, got {self.tolerance_deg:g}: 0.02 is 2 km")
