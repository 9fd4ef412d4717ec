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

    GROUPS: ClassVar[Groups] = {"what is drawn": "level survey tiles"}

    data: Folder
    """Dataset folder."""
    out: Path
    """Page to write, such as coverage.html."""
    level: Annotated[int, arg(metavar="1..8")] = TABLE_LEVEL
    """Level of the cells, 1 to 8."""
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
        if self.survey and self.level != TABLE_LEVEL:
            raise ValueError(f"--survey is shown at level {TABLE_LEVEL}, got --level {self.level}: leave one out")
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
class ReportConfig:
    """Draw what a run is and how accurate it is, as one page that opens from disk."""

    run: Folder
    """Run folder."""
    out: Path
    """Page to write, such as report.html."""
