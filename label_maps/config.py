"""Flags of the commands of label_maps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

from geocells.partitions import PARTITIONS
from plumbing.flags import Groups
from plumbing.rules import Rule, check_rules, excludes, needs


@dataclass(frozen=True)
class LabelMapsConfig:
    """Build the hierarchy of classes from a dataset's training photographs and begin a run folder."""

    GROUPS: ClassVar[Groups] = {
        "partition": "partition levels max_images max_level cells countries regions assign clusters seed",
        "classes": "min_images",
    }

    data: Path
    """Dataset folder, with its manifest.parquet."""
    run: Path
    """Run folder to begin; label maps, networks and all else of the model will lie in it."""
    partition: Annotated[str, arg(metavar=PARTITIONS.metavar(), help=f"How the world is cut. {PARTITIONS.help()}")] = (
        "quad"
    )
    levels: tuple[int, ...] | None = None
    """quad: levels of the grid, coarse to fine, 1 to 16; 1 3 5 8 when left out."""
    min_images: int = 1
    """Drop a cell with fewer training photographs, at its level only; its photographs still train coarser levels."""
    max_images: int | None = None
    """adaptive: split a cell while it holds more training photographs than this; 1000 when left out."""
    max_level: int | None = None
    """adaptive: finest level of the grid, 1 to 16; 10 when left out."""
    cells: Path | None = None
    """adaptive: take the cells of this table instead, of columns cluster_id,min_lat,min_lon,max_lat,max_lon."""
    countries: Path | None = None
    """admin: Natural Earth's admin-0 countries, such as ne_50m_admin_0_countries.zip; left out, the shipped table, whose
    borders follow L8 cells."""
    regions: Path | None = None
    """admin: Natural Earth's ne_10m_admin_1_states_provinces.zip, for a level of regions below the countries."""
    assign: Literal["polygons", "centroids"] | None = None
    """admin: a photograph belongs to the area that holds it (polygons, the default) or to that with the nearest middle
    (centroids, as a published method has it)."""
    clusters: tuple[int, ...] | None = None
    """kmeans: clusters of each level, such as 50 500 5000; by the number of training photographs when left out."""
    seed: int | None = None
    """kmeans: of the first guess; 0 when left out."""

    @property
    def RULES(self) -> tuple[Rule, ...]:  # noqa: N802
        """Return which flags have an effect only beside others."""
        return (*PARTITIONS.rules(), needs("regions", "countries"), excludes("cells", "max_images max_level"))

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.min_images < 1:
            raise ValueError(f"--min-images must be 1 or more, got {self.min_images}")
        PARTITIONS[self.partition]
        check_rules(self)
        if self.levels is not None:
            from geocells.partitions.quad import QuadPartition  # which says what is wrong with levels

            QuadPartition(self.levels)
        self._check_adaptive()
        if self.clusters is not None:
            self._check_clusters(self.clusters)

    def _check_adaptive(self) -> None:
        if self.max_images is not None and self.max_images < 1:
            raise ValueError(f"--max-images must be 1 or more, got {self.max_images}")
        if self.max_level is not None and not 1 <= self.max_level <= 16:
            raise ValueError(f"--max-level is 1 to 16, got {self.max_level}")

    @staticmethod
    def _check_clusters(clusters: tuple[int, ...]) -> None:
        given = " ".join(map(str, clusters)) or "nothing"
        if not clusters or list(clusters) != sorted(set(clusters)) or clusters[0] < 1:
            raise ValueError(f"--clusters are numbers, coarse to fine, such as 50 500 5000; got {given}")
        if clusters[-1] < 4:
            raise ValueError(f"--clusters: the finest level has at least 4, got {given}")


@dataclass(frozen=True, kw_only=True)
class FoldersConfig:
    """Link a dataset into one flat folder of pictures a class, for tools that want an ImageFolder."""

    data: Path
    """Dataset folder."""
    run: Path
    """Run folder with the label maps."""
    level: str
    """Level whose classes become folders, such as L3."""
    out: Path
    """Folder to make: OUT/0_1_2/ID.jpg."""
    split: Literal["train", "calibration", "test", "all"] = "all"
    """Which photographs."""
    copy: bool = False
    """Copy pictures instead of linking to them; photographs in shards are always written out."""


@dataclass(frozen=True, kw_only=True)
class CountriesConfig:
    """Match names and codes of countries in a table to ISO 3166-1, and list those that are ambiguous or unknown."""

    table: Positional[Path]
    """CSV file with a column of countries."""
    column: str = "country"
    """Its column."""
    out: Path | None = None
    """Write a CSV of each text, its code and what was done."""
    cutoff: float = 88.0
    """How alike a name must be, 0 to 100, to be taken for a country's."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 0 < self.cutoff <= 100:
            raise ValueError(f"--cutoff is above 0, at most 100, got {self.cutoff:g}")
