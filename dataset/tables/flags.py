"""Endings of tables, and the flags that name their columns. Nothing here imports pandas, so that --help is instant."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from plumbing.flags import Groups

TABLE_SUFFIXES = (
    ".csv", ".tsv", ".tab", ".txt", ".parquet", ".geoparquet", ".pq", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".json", ".jsonl",
    ".ndjson", ".geojson", ".geojsonl", ".kml",
)  # fmt: skip
"""Endings of tables, before `.gz`, `.bz2` or `.xz` where they are compressed."""

PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
"""How compressed tables are opened, by ending."""

COLUMN_FLAGS = {
    "lat_column": "latitude",
    "lon_column": "longitude",
    "path_column": "picture",
    "id_column": "id",
    "creator_column": "creator",
    "time_column": "captured_at_utc",
    "address_column": "address",
    "country_column": "country",
    "class_column": "label",
}
"""Our column by the flag that names one."""


def suffix_of(path: Path) -> str:
    """Return the ending of a file, before that of its compression."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in PACKED else suffix


def is_table_name(path: Path) -> bool:
    """Say whether a file is a table by its ending."""
    return suffix_of(path) in TABLE_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class PlaceColumns:
    """Columns of pictures and places, where a table calls them by names that are not known."""

    GROUPS: ClassVar[Groups] = {"columns of a table": "path_column id_column lat_column lon_column"}

    path_column: str | None = None
    """Column with the file names of pictures; path, filename, Dateiname ... are known without this. Of a table without headings
    its number, from 1."""
    id_column: str | None = None
    """Column with ids."""
    lat_column: str | None = None
    """Column with latitudes, in degrees; latitude, lat, Breitengrad ... are known without this."""
    lon_column: str | None = None
    """Column with longitudes; one column that holds both is given to both flags."""

    @property
    def asked_columns(self) -> dict[str, str | None]:
        """Return headings by our column, as the flags give them."""
        return {ours: getattr(self, flag) for flag, ours in COLUMN_FLAGS.items() if hasattr(self, flag)}

    @property
    def given_columns(self) -> tuple[str, ...]:
        """Return the fields of the flags that are given."""
        return tuple(flag for flag in COLUMN_FLAGS if getattr(self, flag, None) is not None)


@dataclass(frozen=True, kw_only=True)
class PhotoColumns(PlaceColumns):
    """Columns of whatever else a dataset takes from a table."""

    creator_column: str | None = None
    """Column with the names of photographers, who group photographs when splits are made."""
    time_column: str | None = None
    """Column with times, in UTC where they give no offset."""
