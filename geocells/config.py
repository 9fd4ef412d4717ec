"""What the commands of geocells take."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import arg

from plumbing.flags import Groups
from plumbing.rules import Rule, check_rules, needs


@dataclass(frozen=True)
class LandConfig:
    """Count the cells that touch land, and write their ids."""

    GROUPS: ClassVar[Groups] = {
        "cells": "level equal_area",
        "land polygons": "natural_earth download sha256 base_url cache",
        "files written": "out",
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        needs("sha256 base_url cache", "download"),
        needs("equal_area", "natural_earth download"),
    )

    natural_earth: Path | None = None
    """A file of land polygons, such as ne_50m_land.zip. Left out, the table that ships with the project answers."""
    download: Literal["10m", "50m", "110m"] | None = None
    """Download the official land file of this scale once, into a cache, and use it."""
    level: Annotated[int, arg(metavar="1..12")] = 8
    """Level of the cells, 1 to 12; 1 to 8 for the shipped table."""
    equal_area: bool = False
    """Cut latitudes so that all cells of a level have the same area."""
    out: Path | None = None
    """Write the cells that touch land: a .txt with one id per line, or a .csv of ids and bounds. Left out, they are only
    counted."""
    sha256: str | None = None
    """With --download: refuse the file unless this is its SHA-256. Left out, it is not checked."""
    base_url: Annotated[str, arg(metavar="URL")] = "https://naciscdn.org/naturalearth"
    """Where the official files are; downloads from naturalearthdata.com lead there."""
    cache: Path | None = None
    """Folder for downloaded files. Left out, the user's cache folder."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.out and self.out.suffix not in (".txt", ".csv"):
            raise ValueError(f"--out ends in .txt or .csv, got {self.out}")
        if self.natural_earth and self.download:
            raise ValueError("--natural-earth and --download exclude each other: name a file, or have one fetched")
        check_rules(self)
        if not self.base_url.startswith(("https://", "http://")):
            raise ValueError(f"--base-url starts with https:// or http://, got {self.base_url}")


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
