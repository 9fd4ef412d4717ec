"""Tables of photographs in the layouts that people have, as one layout."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

COLUMNS: dict[str, tuple[str, ...]] = {
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng", "long"),
    # The last three double as ids: Im2GPS3k and YFCC name the file itself in IMG_ID.
    "picture": ("path", "image_path", "img_path", "file_path", "filename", "file_name", "img_file", "image", "file"),
    "id": ("id", "image_id", "img_id", "uuid"),
    "sequence_id": ("sequence_id", "sequence"),
    "creator": ("creator", "creator_username", "username", "author"),
    "captured_at_utc": ("captured_at_utc", "captured_at"),
    "compass_angle": ("compass_angle", "computed_compass_angle", "heading"),
    "is_pano": ("is_pano",),
    "licence": ("licence", "license"),
    "url": ("url",),
    "source": ("source", "source_repo"),
    "address": ("download_url", "image_url", "img_url", "photo_url", "picture_url", "media_url", "thumb_url"),
}
"""Our column, then the names under which tables have it, in order of preference; case does not count.

Known layouts: OSV-5M `id,latitude,longitude,…,sequence,captured_at,creator_username`; Im2GPS3k and YFCC
`IMG_ID,LAT,LON`; GeoCLIP `IMG_FILE,LAT,LON`; `image_path,lat,lon`; the older project's `filename,lat,lon,grid_label`;
`id,path,latitude,longitude,…`.
"""

FIELDS = tuple(name for name in COLUMNS if name not in ("latitude", "longitude", "picture", "id", "address"))
"""Columns that go into a manifest as they are."""

TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")

_NOTHING = frozenset({"", "nan", "na", "n/a", "null", "none"})


def read_table(
    path: Path, address_column: str | None = None, country_column: str | None = None, class_column: str | None = None
) -> pd.DataFrame:
    """Read a table of photographs.

    Args:
        path: CSV, TSV or Parquet.
        address_column: the column of addresses, one of the known ones when None.
        country_column: the column of countries; with one, a table needs no coordinates.
        class_column: the column of any other classes; likewise.

    Returns:
        Texts: `latitude`, `longitude`, `picture` (the file as the table names it, or the id), `id`, `address` where the
        table has one, `country` and `label` where they are asked for, and what it has of FIELDS. Empty where the table says
        nothing.

    Raises:
        ValueError: it cannot be read, has no rows, or lacks the columns without which nothing can be done.
    """
    asked = {"address": address_column, "country": country_column, "label": class_column}
    table = _read_parquet(path, asked) if path.suffix.lower() == ".parquet" else _read_text(path)
    if not len(table):
        raise ValueError(f"{path} has no rows: there is nothing to import")
    return as_photos(table, path, asked)


def as_photos(table: pd.DataFrame, path: Path, asked: Mapping[str, str | None] | None = None) -> pd.DataFrame:
    """Return a table with our columns, as `read_table` does; `path` names it in messages, `asked` columns by ours."""
    named = table.set_axis([str(name).strip().casefold() for name in table.columns], axis=1)
    named = named.loc[:, ~named.columns.duplicated()]
    found = {ours: next((name for name in names if name in named), None) for ours, names in COLUMNS.items()}
    for ours, given in (asked or {}).items():
        if given is not None:
            found[ours] = given.strip().casefold()
            if found[ours] not in named:
                flag = "class" if ours == "label" else ours
                raise ValueError(
                    f"{path} has no column {given} (--{flag}-column); its columns are: "
                    f"{', '.join(map(str, table.columns))}"
                )
    for ours in ("latitude", "longitude"):
        if found[ours] is None and found.get("country") is None and found.get("label") is None:
            raise ValueError(
                f"{path} has no column of the {ours} ({' or '.join(COLUMNS[ours])}); its columns are: "
                f"{', '.join(map(str, table.columns))}"
            )
    if found["picture"] is None and found["id"] is None and found["address"] is None:
        raise ValueError(
            f"{path} names no pictures: it needs a column {', '.join(COLUMNS['picture'][:3])} … , id or image_url; its "
            f"columns are: {', '.join(map(str, table.columns))}"
        )
    photos = pd.DataFrame({ours: _texts(named[name]) for ours, name in found.items() if name is not None})
    photos = photos.assign(**{ours: "" for ours in ("latitude", "longitude") if found[ours] is None})
    if found["picture"] is None:
        photos["picture"] = photos["id"] if found["id"] is not None else photos["address"].map(_name_in_address)
    if found["id"] is None:
        photos["id"] = photos["picture"].str.replace(r"\.\w{1,5}$", "", regex=True)
    return photos


def _name_in_address(address: str) -> str:
    """Return the file name at the end of an address, empty where there is none."""
    try:
        return PurePosixPath(unquote(urlsplit(address).path)).name
    except ValueError:
        return ""


def _texts(column: pd.Series) -> pd.Series:
    """Return a column as stripped texts, empty where there is no value; whole numbers keep their digits."""
    return column.astype(object).where(column.notna(), "").map(lambda value: str(value).strip()).astype(object)


def _read_parquet(path: Path, asked: Mapping[str, str | None]) -> pd.DataFrame:
    known = {name for names in COLUMNS.values() for name in names} | {str(n).strip().casefold() for n in asked.values()}
    try:
        schema = pq.read_schema(path)
        wanted = [name for name in schema.names if name.strip().casefold() in known]
        table = pq.read_table(path, columns=wanted)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} cannot be read as Parquet ({error})") from None
    # Columns that are not read still count for the message that lists them.
    frame = table.to_pandas(integer_object_nulls=True)
    return frame.reindex(columns=schema.names) if len(frame) else pd.DataFrame(columns=schema.names)


def _read_text(path: Path) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        separator = max("\t;,", key=header.count)
        # With the header read as a row, a row longer than it is an error and not a silent shift of columns.
        rows = pd.read_csv(path, sep=separator, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        return rows.iloc[1:].set_axis(rows.iloc[0].tolist(), axis=1).reset_index(drop=True)
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text: save the table as CSV in UTF-8, or as Parquet") from None
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty: there is nothing to import") from None
    except pd.errors.ParserError as error:
        raise ValueError(f"{path} is not a regular table ({str(error).strip()})") from None


def check_coordinates(photos: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Return (N, 2) latitude and longitude in degrees, and for each row why they cannot be used, or nothing.

    Raises:
        ValueError: the columns are evidently swapped.
    """
    texts = [photos[name].str.casefold() for name in ("latitude", "longitude")]
    latlon_deg = np.column_stack([pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64) for text in texts])
    lat, lon = latlon_deg.T
    swapped = (np.abs(lat) > 90) & (np.abs(lat) <= 180) & (np.abs(lon) <= 90)
    numbers = int(np.isfinite(latlon_deg).all(axis=1).sum())
    if swapped.sum() > 0.2 * numbers and (swapped.sum() >= 3 or swapped.sum() == numbers):
        worst = lat[swapped][0]
        raise ValueError(
            f"{int(swapped.sum())} of {numbers} latitudes are beyond 90 degrees (the first is {worst:g}) while their "
            "longitudes are not: the columns are swapped, rename them"
        )
    missing = texts[0].isin(_NOTHING) | texts[1].isin(_NOTHING)
    reasons = np.select(
        [
            missing.to_numpy(),
            np.isnan(latlon_deg).any(axis=1),
            ~((np.abs(lat) <= 90) & (np.abs(lon) <= 180)),
            (lat == 0) & (lon == 0),
        ],
        ["without coordinates", "with coordinates that are not numbers", "with coordinates out of range", "at (0, 0)"],
        default="",
    )
    return latlon_deg, reasons


_NUMBER = r"[-+]?\d{1,3}(?:\.\d+)?"
_IN_NAME = re.compile(rf"(?:img_)?({_NUMBER}),\s?({_NUMBER})(?:[_ ].*)?", flags=re.IGNORECASE)


def latlon_of_name(name: str) -> tuple[float, float] | None:
    """Return latitude and longitude of a file name such as `48.85,2.35.jpg` or `img_48.85,2.35.jpg`, or None.

    At least one of the numbers must have decimals: `12,5.jpg` is more often a date or a page.
    """
    match = _IN_NAME.fullmatch(Path(name).stem)
    if not match or "." not in match[1] + match[2]:
        return None
    lat_deg, lon_deg = float(match[1]), float(match[2])
    return (lat_deg, lon_deg) if abs(lat_deg) <= 90 and abs(lon_deg) <= 180 else None


def manifest_fields(photos: pd.DataFrame) -> Sequence[dict[str, object]]:
    """Return, for each row of a table, what goes into the manifest as it is, in the manifest's types."""
    fields = photos[[name for name in FIELDS if name in photos]].copy()
    for name in fields:
        fields[name] = fields[name].where(~fields[name].str.casefold().isin(_NOTHING), None)
    if "captured_at_utc" in fields:
        fields["captured_at_utc"] = utc_times(fields["captured_at_utc"])
    if "compass_angle" in fields:
        fields["compass_angle"] = pd.to_numeric(fields["compass_angle"], errors="coerce") % 360
    if "is_pano" in fields:
        answers = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        fields["is_pano"] = fields["is_pano"].str.casefold().map(answers).astype(object)
    plain = fields.astype(object).where(fields.notna(), None)
    return [dict(zip(plain.columns, values, strict=True)) for values in plain.itertuples(index=False, name=None)]


def utc_times(texts: pd.Series) -> pd.Series:
    """Return times of texts: ISO 8601 (UTC where no offset is given) or Unix time in seconds or milliseconds."""
    numbers = pd.to_numeric(texts, errors="coerce")
    milliseconds = numbers.where(numbers.abs() > 1e11, numbers * 1000)
    unix = pd.to_datetime(milliseconds, unit="ms", utc=True, errors="coerce")
    return unix.fillna(pd.to_datetime(texts, utc=True, errors="coerce", format="mixed"))
