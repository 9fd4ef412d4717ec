"""Flags of the commands that draw."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import arg

from geocells.levels import TABLE_LEVEL
from plumbing.addresses import check_tiles
from plumbing.flags import Folder, Groups


@dataclass(frozen=True)
class CoverageConfig:
    """Draw where a dataset has photographs, as one page that opens from disk."""

    GROUPS: ClassVar[Groups] = {"what is drawn": "level run survey tiles"}

    data: Folder
    """Dataset folder."""
    out: Path
    """Page to write, such as coverage.html."""
    level: Annotated[int, arg(metavar="1..8")] = TABLE_LEVEL
    """Level of the cells that is shown first, 1 to 8; the page switches between all of them."""
    run: Folder | None = None
    """Run folder that `infer evaluate` has measured: also show how far off its answers are in each cell. Left out, no errors."""
    tiles: Annotated[str, arg(metavar="URL")] | None = None
    """Address of background map tiles, such as https://tile.example.org/{z}/{x}/{y}.png; the page then needs a network.
    Left out, it opens offline."""
    survey: bool = False
    """Also show where the source has pictures but the dataset has none, and why; needs a survey of `python -m fetch mapillary`."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 1 <= self.level <= TABLE_LEVEL:
            raise ValueError(
                f"--level must be 1 to {TABLE_LEVEL}, got {self.level}: the table of land ends at L{TABLE_LEVEL}"
            )
        if self.tiles is not None:
            check_tiles("--tiles", self.tiles)
        check_page(self.out)


def check_page(out: Path) -> None:
    """Refuse a page that would stand in a folder that nobody made, as a misspelt one is, or take the place of a folder.

    Raises:
        ValueError: there is no such folder, or the page is one.
    """
    if out.is_dir():
        raise ValueError(f"--out {out} is a folder: name the page in it, such as {out / 'page.html'}")
    if not out.parent.is_dir():
        raise ValueError(f"--out {out}: there is no folder {out.parent}: make it first, or choose another --out")


@dataclass(frozen=True)
class BaseMapConfig:
    """Compute the base map that ships with the project: coast, borders, names of countries and large cities."""

    countries: Path
    """Countries: ne_50m_admin_0_countries.zip of Natural Earth."""
    regions: Path | None = None
    """First-level regions: ne_10m_admin_1_states_provinces.zip of Natural Earth, written beside the base map. Left out, they
    are not computed."""
    tolerance_deg: float = 0.05
    """Triangles smaller than the square of this are cut off coasts and borders, borders alike for both neighbours."""
    least_population: int = 15_000
    """Cities of fewer people are left out."""
    apart_deg: float = 1.4
    """Cities of up to 100,000 people that lie nearer than this to a larger one are left out; larger ones may lie nearer."""
    out: Path = Path("viz/base_map/natural_earth_50m.bin")
    """The base map."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 0 <= self.tolerance_deg <= 1:
            raise ValueError(f"--tolerance-deg is from 0 to 1, got {self.tolerance_deg:g}: 0.05 is 6 km")
        if not 0 <= self.apart_deg <= 90:
            raise ValueError(f"--apart-deg is from 0 to 90, got {self.apart_deg:g}: 1.4 is 156 km")
        if self.least_population < 1:
            raise ValueError(f"--least-population must be 1 or more, got {self.least_population}")


@dataclass(frozen=True)
class ReportConfig:
    """Draw what a run is and how accurate it is, as one page that opens from disk."""

    GROUPS: ClassVar[Groups] = {"what is drawn": "data against png"}

    run: Folder
    """Run folder."""
    out: Path
    """Page to write, such as report.html."""
    data: Folder | None = None
    """Dataset folder of the evaluation: the best, typical and worst photographs are shown, or those of right and wrong classes.
    Left out, they are not."""
    against: Annotated[Path, arg(metavar="RUN")] | None = None
    """Another run, evaluated on the same split: the differences come with paired 95 % cluster-bootstrap intervals.
    Left out, no other."""
    png: Folder | None = None
    """Folder that also gets each figure as a PNG. Left out, none."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        check_page(self.out)
        if self.against is not None and self.against.resolve() == self.run.resolve():
            raise ValueError(f"--against is the run itself, {self.against}: name another one, or leave it out")
        if self.png is not None and self.png.exists() and not self.png.is_dir():
            raise ValueError(f"--png is a folder for pictures, and {self.png} is a file: choose another name")
