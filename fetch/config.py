"""What the commands of `python -m fetch` take."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

from dataset.panorama_flag import PanoramaFlag
from dataset.tables.flags import PhotoColumns
from fetch.download_config import DownloadConfig, refuse_idle
from plumbing.addresses import check_address
from plumbing.flags import Groups, shown
from plumbing.rules import Rule, check_rules, excludes, needs


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """How photographs with coordinates become a dataset folder; every source of photographs takes these."""

    GROUPS: ClassVar[Groups] = {"pictures": "max_side", "splits": "split test_share calibration_share seed"}

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
        if self.test_share + self.calibration_share == 0:
            refuse_idle(self, ("split",), "without --test-share and --calibration-share")


@dataclass(frozen=True, kw_only=True)
class ImportConfig(PhotoColumns, PanoramaFlag, DownloadConfig, IngestConfig):
    """Make a dataset from a table of photographs, or from a folder of photographs with GPS in their EXIF.

    Tables are CSV in any dialect, workbooks, JSON, GeoJSON, KML or Parquet, with pictures and coordinates under usual
    headings (docs/formats.md), and the metadata of YFCC100M. In a folder, side-cars and names such as `48.85,2.35.jpg` give
    the place of a file without GPS.

    Pictures that are not on this machine are downloaded where the table has a column of addresses. Run again, the
    command asks only for what is missing; its exit code is 5 while pictures are pending.

    Nothing is judged by its looks here: `python -m fetch thin` does that, and can be undone.
    """

    GROUPS: ClassVar[Groups] = {
        "source": "images folder_names only exclude exclude_rows percentiles limit",
        "columns of a table": "path_column id_column lat_column lon_column creator_column time_column address_column "
        "country_column class_column",
        "pictures": "",
        "splits": "",
    }

    source: Positional[Path]
    """The table, or the folder of photographs."""
    out: Path
    """Dataset folder to make, or to continue, such as data/mine."""
    images: Path | None = None
    """Folder of the pictures that a table names; the table's own folder when not given."""
    address_column: str | None = None
    """Column with the https addresses of pictures; download_url, image_url, photo_url … are known without this."""
    country_column: str | None = None
    """Column with names or codes of countries. With it, country-only photographs are taken too; names that are ambiguous or
    unknown are listed."""
    class_column: str | None = None
    """Column with any other class, such as region_id, for `label_maps build --partition classes`. It needs no coordinates;
    where a table has them, they place the classes."""
    folder_names: Literal["country", "label"] | None = None
    """What the folders directly below a folder are named by, such as FOLDER/France/1.jpg; their pictures need no coordinates."""
    only: Path | None = None
    """List of ids, as `python -m fetch balance` writes it: other rows are passed by."""
    exclude: Path | None = None
    """File of ids, one a line, that are left out."""
    exclude_rows: tuple[int, ...] = ()
    """Numbers of the rows of a table that are left out, counted from 0 below the headings, as pandas counts them."""
    percentiles: tuple[float, float] | None = None
    """Leave out the rows of a table whose latitude or longitude lies below the first or above the second of these percentiles
    of all, such as 1 99. Left out, none are; of photographs from around the world it would drop the coldest places."""
    limit: int | None = None
    """Read at most so many rows or photographs, evenly from all, those that cannot be used among them; to try a large table."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        IngestConfig.__post_init__(self)
        DownloadConfig.__post_init__(self)
        if self.percentiles is not None and not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            got = shown(self.percentiles)
            raise ValueError(f"--percentiles takes two numbers from 0 to 100, the lower first, got {got}")
        if min(self.exclude_rows, default=0) < 0:
            raise ValueError(f"--exclude-rows counts from 0 below the headings, got {min(self.exclude_rows)}")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"--limit must be 1 or more, got {self.limit}")


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


@dataclass(frozen=True, kw_only=True)
class LooksConfig:
    """Which photographs are left out by their looks and by how crowded they lie."""

    GROUPS: ClassVar[Groups] = {
        "looks": "min_luma max_luma min_luma_std min_colourfulness min_sharpness max_extreme_share",
        "crowding": "min_distance_m duplicate_bits",
    }

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
    """Photographs lie at least this far from each other, across cells too; the better picture stays. 0 is off."""
    duplicate_bits: int = 4
    """Difference hashes (64 bits) of pictures of a sequence, or within 200 m, differ in more bits than this. -1 is off."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.min_distance_m < 0:
            raise ValueError(f"--min-distance-m must be 0 or more, got {self.min_distance_m:g}")
        if not -1 <= self.duplicate_bits <= 12:
            raise ValueError(f"--duplicate-bits must be -1 (off) to 12, got {self.duplicate_bits}")


@dataclass(frozen=True, kw_only=True)
class ThinConfig(LooksConfig):
    """Leave out dark, blurred, grey and crowded photographs; the pictures stay, so other thresholds can follow.

    Every run starts again from all photographs of the dataset. Photographs that are left out are listed, each with its
    measured value and the threshold, in rejected.csv.
    """

    GROUPS: ClassVar[Groups] = {"looks": "", "crowding": "max_per_sequence max_creator_share"}

    data: Path
    """Dataset folder."""
    max_per_sequence: int | None = None
    """At most so many photographs of a sequence in an L8 cell; no limit when not given."""
    max_creator_share: float | None = None
    """At most this share of an L8 cell's photographs by one creator, though always one; no limit when not given."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        if self.max_per_sequence is not None and self.max_per_sequence < 1:
            raise ValueError(f"--max-per-sequence must be 1 or more, got {self.max_per_sequence}")
        if self.max_creator_share is not None and not 0 < self.max_creator_share <= 1:
            raise ValueError(f"--max-creator-share is a part of one, such as 0.2, got {self.max_creator_share:g}")


@dataclass(frozen=True, kw_only=True)
class Osv5mConfig(IngestConfig):
    """Make a dataset from parts of OpenStreetView-5M: 50,000 photographs and about 2 GB each, instead of 200 GB.

    Downloads only the chosen parts and the two tables, checks their sizes and hashes, continues where it stopped.
    The parts stay in a folder of the dataset; delete them when the dataset is there and you need the space.
    """

    GROUPS: ClassVar[Groups] = {
        "parts": "images test_parts test_images split_from",
        "hub": "repo revision endpoint store",
    }

    out: Path
    """Dataset folder to make, or to continue, such as data/osv5m."""
    parts: tuple[str, ...]
    """Parts of the training pictures, such as 00 01; a wrong name lists those that exist."""
    images: int = 0
    """Take at most this many training pictures, drawn from the parts by --seed; a larger number adds to a smaller one. 0 takes
    all."""
    test_parts: tuple[str, ...] = ("00",)
    """Parts of the official test pictures; nothing behind the flag takes none."""
    test_images: int = 0
    """Take at most this many test pictures; 0 takes all."""
    split_from: Literal["table", "groups"] = "table"
    """table keeps the official test split and shares out the rest; groups shares out all, as --split says."""
    repo: str = "osv5m/osv5m"
    """Dataset on the hub."""
    revision: str = "main"
    """Branch, tag or commit of the dataset."""
    endpoint: str = "https://huggingface.co"
    """Address of the hub, or of a mirror."""
    store: Path | None = None
    """Folder for the downloaded parts; .parts in the dataset folder when not given."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        check_address("--endpoint", self.endpoint)
        for flag, most in (("--images", self.images), ("--test-images", self.test_images)):
            if most < 0:
                raise ValueError(f"{flag} must be 1 or more, or 0 for all, got {most}")
        if not self.parts and not self.test_parts:
            raise ValueError("--parts and --test-parts name nothing: name a part, such as --parts 00")
        if self.split_from == "table" and self.test_parts:
            refuse_idle(self, ("test_share",), "with --split-from table, which keeps the official test split")
        if not self.test_parts:
            refuse_idle(
                self, ("split_from", "test_images"), "without --test-parts, since only they have an official split"
            )


@dataclass(frozen=True, kw_only=True)
class PullConfig(DownloadConfig):
    """Bring exactly the pictures that a list names from a dataset at another address.

    The list is one that `python -m fetch balance` writes. Its SHA-256 must be that of its ids, and the pictures must
    be those that it was made from; what is stored already is not downloaded again.
    """

    subset: Positional[Path]
    """The list: a header, then ids, one a line."""
    source: Annotated[str, arg(name="from")]
    """Address of a dataset folder with a manifest.parquet: a folder, zip://FILE, https://, s3://, gs://, az://, hf://, sftp://
    and the like."""
    out: Path
    """Dataset folder to make, or to continue."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        if not self.is_web:
            self.refuse_downloads(f"with --from {self.source}, which is not a web server", "threads")

    @property
    def is_web(self) -> bool:
        """Say whether the dataset lies on a web server."""
        return self.source.lower().startswith(("http://", "https://"))


@dataclass(frozen=True, kw_only=True)
class BalanceConfig:
    """Write a list of photographs whose places are spread as wanted; the dataset stays as it is.

    Groups (cells, countries, rows of a table) with at least --min-share of the photographs are anchors: the subset is
    as large as it can be while each of them meets its target in full. Others stay where they have at least --slack of
    their target, and go where they have less.
    """

    data: Path
    """Dataset folder."""
    target: str
    """cell or country for equal shares, or a CSV file of shares with the columns country (or cell) and share."""
    out: Path
    """List to write: small enough to be committed, and all that is needed to get the same subset again."""
    level: int = 8
    """Level of the cells that --target cell means."""
    min_share: float | None = None
    """Share of all photographs from which on a group is an anchor. Left out, 0.0075 as published for countries and
    tables; for cells, of which there may be thousands, the one that keeps most photographs."""
    slack: float = 0.75
    """Groups that are not anchors stay with at least this part of their target."""
    keep_short: bool = False
    """Keep groups below that too, with all that they have."""
    seed: int = 0
    """Same seed, same subset."""

    GROUPS: ClassVar[Groups] = {"groups of photographs": "level min_share slack keep_short"}
    RULES: ClassVar[tuple[Rule, ...]] = (
        needs("level", "target", "cell"),
        excludes("keep_short", "slack", True, why="keeps every group"),
    )

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.min_share is not None and not 0 <= self.min_share < 1:
            raise ValueError(f"--min-share is a part of one, such as 0.0075, got {self.min_share:g}")
        if not 0 < self.slack <= 1:
            raise ValueError(f"--slack is above 0 and at most 1, got {self.slack:g}")
        if not 1 <= self.level <= 16:
            raise ValueError(f"--level must be 1 to 16, got {self.level}")
        check_rules(self)


@dataclass(frozen=True, kw_only=True)
class PackConfig:
    """Put the pictures of a dataset into tar shards, pre-sized for training; webdataset reads them too."""

    GROUPS: ClassVar[Groups] = {"pictures": "short_side quality", "shards": "out shard_mb"}

    data: Path
    """Dataset folder."""
    out: Path | None = None
    """Dataset folder to make, with shards and no images/; the dataset itself gets the shards when left out."""
    short_side: int = 256
    """Pictures are shrunk until their shorter side is this long; smaller ones keep their bytes."""
    quality: int = 90
    """Quality of the JPEG of pictures that are shrunk."""
    shard_mb: int = 256
    """A shard is full at so many megabytes."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.short_side < 16:
            raise ValueError(f"--short-side must be 16 or more, got {self.short_side}")
        if not 1 <= self.quality <= 100:
            raise ValueError(f"--quality is from 1 to 100, got {self.quality}")
        if self.shard_mb < 1:
            raise ValueError(f"--shard-mb must be 1 or more, got {self.shard_mb}")


@dataclass(frozen=True, kw_only=True)
class VerifyConfig:
    """Say which pictures of a dataset are missing, changed or damaged; exit code 2 when there is any."""

    data: Path
    """Dataset folder."""
    quick: bool = False
    """Do not decode: hashes only."""


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Share out the photographs of a dataset to train, calibration and test again; runs begun before no longer fit it."""

    data: Path
    """Dataset folder."""
    split: Literal["groups", "cell"] = "groups"
    """What no split divides: groups (of sequence, place, creator in a cell, near-duplicates), or whole L8 cells."""
    features: bool = False
    """With groups: near-duplicates by features too, which a difference hash misses; `train features` makes them."""
    test_share: float = 0.15
    """Share of the photographs kept for the final figures."""
    calibration_share: float = 0.15
    """Share of the photographs kept for temperatures, thresholds and choices."""
    seed: int = 0
    """Same seed, same splits."""

    RULES: ClassVar[tuple[Rule, ...]] = (needs("features", "split", "groups"),)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        check_rules(self)
        if min(self.test_share, self.calibration_share) < 0 or not 0 < self.test_share + self.calibration_share < 1:
            raise ValueError(
                "--test-share and --calibration-share are parts of one, such as 0.15, and leave some to train on; got "
                f"{self.test_share:g} and {self.calibration_share:g}"
            )


@dataclass(frozen=True, kw_only=True)
class StatusConfig:
    """Say how many photographs a dataset has, where, and how much space they take."""

    data: Path
    """Dataset folder."""
