"""A dataset folder: coordinates and pictures in `manifest.parquet` and `images/`, and never class numbers."""

import hashlib
import re
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from geocells import grid
from plumbing.files import atomic_path
from plumbing.inside import LEADING_OUT, is_relative, unreserved
from plumbing.near_paths import did_you_mean
from plumbing.parquet import read_columns

MANIFEST = "manifest.parquet"
DATASET = "dataset.json"
"""What a dataset is: name, source, settings; absent beside a manifest that was made elsewhere."""
CLUES = "clues.parquet"
"""What each picture shows, known only of the demo planet."""
SURVEY = "survey.parquet"
"""Where its source has pictures, and what came of each cell; of sources that can be surveyed."""

SPLITS = ("train", "calibration", "test")
HASH_BLOCK = 250_000

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("path", pa.string()),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("country", pa.string()),
        ("label", pa.string()),
        ("split", pa.string()),
        ("source", pa.string()),
        ("source_id", pa.string()),
        ("sequence_id", pa.string()),
        ("creator", pa.string()),
        ("captured_at_utc", pa.timestamp("ms", tz="UTC")),
        ("compass_angle", pa.float64()),
        ("is_pano", pa.bool_()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("licence", pa.string()),
        ("url", pa.string()),
        ("modification", pa.string()),
        ("sha256", pa.string()),
        ("dhash", pa.uint64()),
        ("shard", pa.string()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
    ]
)
"""Columns of a manifest, in order; a missing value is null. `path` is relative to the dataset folder, with `/`;
`country` is the ISO 3166-1 alpha-2 code that the source gives, often the only place of a photograph without coordinates;
`label` is any class that the source gives, such as urban or rural (`label_maps build --partition classes`);
`modification` is what was changed of the picture, as its licence may ask;
`dhash` is the 64-bit difference hash; `shard`, `offset`, `size` say where the picture lies once packed."""

ADDED_LATER = ("country", "label", "modification")
"""Columns that older manifests lack; they are read as null."""

SURVEY_SCHEMA = pa.schema(
    [
        ("cell", pa.string()),
        ("squares", pa.int32()),
        ("state", pa.string()),
        ("reason", pa.string()),
        ("photographs", pa.int32()),
        ("searched_at_utc", pa.string()),
    ]
)
"""Columns of survey.parquet, which lists all cells that were searched: text of a cell of `grid.TABLE_LEVEL`; how many squares
of a few kilometres in it have pictures; `ok`, `short`, `open` (not finished), `error` or `empty` (the source has nothing); why it
is not ok; how many photographs the dataset has; when the source was searched. Files without the last column list only cells
with pictures."""
EMPTY_CELLS = "empty_cells.csv"
"""Table of the searched cells without a photograph, with the reason."""


def image_path(photo_id: str, latlon_deg: NDArray[np.float64], stated: str | None = None) -> str:
    """Return where a dataset keeps a picture, relative to its folder: browsable by cell, or by country or label without one."""
    if np.isnan(latlon_deg).any():
        folder = re.sub(r"[^\w.-]+", "_", str(stated), flags=re.ASCII).strip("._") or "_"
        return f"images/{unreserved(folder)}/{photo_id}.jpg"
    cell = grid.encode(latlon_deg, grid.TABLE_LEVEL)
    return f"images/{grid.format_id(int(cell), grid.TABLE_LEVEL)}/{photo_id}.jpg"


def is_image_path(name: object) -> bool:
    """Say whether a dataset may keep a picture under a name: it leads to something below `images`."""
    return isinstance(name, str) and is_relative(name) and PurePosixPath(name).parts[0] == "images"


def write_manifest(data: Path, photos: pd.DataFrame) -> None:
    """Write the manifest of a dataset folder, in the order given; absent columns become null.

    Raises:
        ValueError: an id stands twice, or a column does not fit the schema.
    """
    twice = photos["id"][photos["id"].duplicated()]
    if len(twice):
        raise ValueError(
            f"id {twice.iloc[0]!r} stands {int((photos['id'] == twice.iloc[0]).sum())} times: ids are unique"
        )
    with atomic_path(data / MANIFEST) as partial:
        pq.write_table(manifest_table(photos), partial, compression="zstd")


def manifest_table(photos: pd.DataFrame) -> pa.Table:
    """Return rows in the columns and types of a manifest; absent columns become null.

    Raises:
        ValueError: a column does not fit the schema.
    """
    # As objects, since a column of NaN is not a column of missing dates or texts.
    absent = {name: "object" for name in SCHEMA.names if name not in photos}
    columns = photos.reindex(columns=SCHEMA.names).astype(absent)
    return pa.Table.from_pandas(columns, schema=SCHEMA, preserve_index=False).replace_schema_metadata(None)


def read_manifest(data: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read all rows of the manifest of a dataset folder, country-only photographs too.

    Args:
        data: the dataset folder.
        columns: those wanted, all when None.

    Raises:
        ValueError: there is not a dataset, it is empty, or it lacks a column.
    """
    path = data / MANIFEST
    if not path.is_file():
        if near := did_you_mean(data, MANIFEST):
            raise ValueError(f"{data} is not a dataset, it has no {MANIFEST}{near}")
        raise ValueError(f"{data} is not a dataset, it has no {MANIFEST}: make one with `python -m fetch demo|import`")
    wanted = SCHEMA.names if columns is None else columns
    table = read_columns(path, columns, "make the dataset again with `python -m fetch`")
    there = table.column_names
    missing = [name for name in wanted if name not in (*there, *ADDED_LATER)]
    if missing:
        raise ValueError(f"{path} lacks the column {missing[0]}: make the dataset again with `python -m fetch`")
    if not len(table):
        raise ValueError(f"{data} holds no photographs: import some with `python -m fetch import`")
    _check(path, table)
    photos = table.to_pandas()
    photos = photos.assign(**{name: None for name in wanted if name not in photos})
    return photos if columns is None else photos[columns]


def _check(path: Path, table: pa.Table) -> None:
    """Refuse values of other kinds than a manifest has, and files outside of the dataset.

    Raises:
        ValueError: there are such; the message names the column and a value.
    """
    again = "make the dataset again with `python -m fetch`"
    for name in table.column_names:
        if name in SCHEMA.names and not _same_kind(table.schema.field(name).type, SCHEMA.field(name).type):
            raise ValueError(f"{path} has {table.schema.field(name).type} in the column {name}: {again}")
    for name in ("path", "shard"):
        if name in table.column_names and (odd := _leading_out(table[name])) is not None:
            raise ValueError(f"{path} names the file {odd!r}, which is not inside of the dataset: {again}")
    for name, limit in (("latitude", 90.0), ("longitude", 360.0)):
        if name in table.column_names and len(off := table[name].filter(_beyond(table[name], limit))):
            raise ValueError(f"{path} has {off[0]} as {name}, which is not on Earth: {again}")


def _same_kind(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Say whether a column of a type can be read as another: any numbers, any texts, nulls."""
    if pa.types.is_null(found) or found.equals(wanted):
        return True
    if pa.types.is_dictionary(found):
        found = found.value_type
    kinds = (
        (pa.types.is_integer, pa.types.is_floating),
        (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
        (pa.types.is_temporal,),
        (pa.types.is_boolean,),
    )
    return any(any(is_a(found) for is_a in kind) and any(is_a(wanted) for is_a in kind) for kind in kinds)


def _leading_out(names: pa.ChunkedArray) -> str | None:
    """Return a name that is absolute or leads out of its folder, on any system; None where there is none."""
    odd = pc.match_substring_regex(names.cast(pa.large_string()), LEADING_OUT)
    found = names.filter(odd.fill_null(False))
    return str(found[0]) if len(found) else None


def _beyond(values: pa.ChunkedArray, limit: float) -> pa.ChunkedArray:
    return pc.greater(pc.abs(values.cast(pa.float64())), limit).fill_null(False)


def read_located(data: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read the rows of a manifest that have coordinates, as `read_manifest` reads all.

    Raises:
        ValueError: as `read_manifest`, or no photograph has coordinates.
    """
    photos = read_manifest(data, None if columns is None else [*dict.fromkeys([*columns, "latitude"])])
    here = has_coordinates(photos)
    if not here.any():
        raise ValueError(
            f"{data} has no photograph with coordinates: import some that have them; `python -m fetch status --data {data}` counts "
            "those that it has by country or label"
        )
    photos = photos if here.all() else photos[here].reset_index(drop=True)
    return photos if columns is None else photos[columns]


def coordinates(photos: pd.DataFrame) -> NDArray[np.float64]:
    """Return (N, 2) latitude and longitude in degrees of the rows of a manifest."""
    return photos[["latitude", "longitude"]].to_numpy(dtype=np.float64)


def has_coordinates(photos: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows of a manifest have coordinates; the others are country-only."""
    return photos["latitude"].notna().to_numpy()


def content_hash(photos: pd.DataFrame) -> str:
    """Return one SHA-256 over ids, places, labels and splits, in whatever order, by which a run knows its dataset again."""
    rows = photos[["id", "latitude", "longitude", "split"]]
    stated = rows["latitude"].isna()
    if stated.any():
        # What tells the place of these; datasets without any keep the hash that they had.
        rows = rows.assign(country=photos["country"].where(stated, "").fillna(""))
    if "label" in photos and photos["label"].notna().any():
        rows = rows.assign(label=photos["label"].fillna(""))
    # A block at a time: hashing makes Python texts of a block's ids, and millions of them would not be small.
    blocks = [rows.iloc[start : start + HASH_BLOCK] for start in range(0, max(len(rows), 1), HASH_BLOCK)]
    of_rows = [pd.util.hash_pandas_object(block, index=False).to_numpy() for block in blocks]
    return hashlib.sha256(np.sort(np.concatenate(of_rows)).tobytes()).hexdigest()
