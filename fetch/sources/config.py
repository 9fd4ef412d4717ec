"""What the commands take that make a dataset from other people's photographs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

from dataset.panorama_flag import PanoramaFlag
from dataset.tables.flags import PhotoColumns
from fetch.config import SplitFlags
from fetch.download_config import DownloadConfig, refuse_idle
from plumbing.addresses import check_address
from plumbing.flags import Groups, shown


@dataclass(frozen=True, kw_only=True)
class IngestConfig(SplitFlags):
    """How photographs with coordinates become a dataset folder; every source of photographs takes these."""

    GROUPS: ClassVar[Groups] = {"pictures": "max_side", "splits": "split test_share calibration_share seed"}

    max_side: int = 1024
    """Pictures are stored with the longer side at most this many pixels."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.max_side < 16:
            raise ValueError(f"--max-side must be at least 16 pixels, got {self.max_side}")
        SplitFlags.__post_init__(self)
        if self.held_out_share == 0:
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
    """What folders are named by, such as FOLDER/France/1.jpg or FOLDER/train/France/1.jpg; their pictures need no coordinates."""
    only: Path | None = None
    """List of ids, as `python -m fetch balance` writes it: other rows are skipped."""
    exclude: Path | None = None
    """File of ids, one a line, that are left out."""
    exclude_rows: tuple[int, ...] = ()
    """Numbers of the rows of a table that are left out, counted from 0 below the headings, as pandas counts them."""
    percentiles: tuple[float, float] | None = None
    """Leave out the rows of a table whose latitude or longitude lies below the first or above the second of these percentiles
    of all, such as 1 99. When not given, none are left out; of photographs from around the world it would drop the coldest
    places."""
    limit: int | None = None
    """Read at most this many rows or photographs, evenly from all, those that cannot be used among them; to try a large table."""

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
