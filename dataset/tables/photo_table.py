"""A table of photographs of any kind, with our columns; told by its content and not by its ending."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd

from dataset.degrees import is_missing
from dataset.pairs import could_be_places
from dataset.tables.axes import AXES, check_signs, in_degrees, merged, side_column
from dataset.tables.binary import EmbeddedPictures, read_parquet, read_workbook
from dataset.tables.code_pages import start_of
from dataset.tables.documents import read_json, read_kml
from dataset.tables.flags import suffix_of
from dataset.tables.headings import HEADINGS, columns_of, folded
from dataset.tables.hints import way_of
from dataset.tables.text import are_pictures, content_of, read_text
from plumbing.picture_kinds import VIDEO_SUFFIXES
from plumbing.text import counted

log = logging.getLogger(__name__)

OTHER_FILES = {
    ".gpx": "holds a track and not photographs: write its places into them (exiftool -geotag TRACK.gpx FOLDER), then import FOLDER",
    ".zip": "is an archive: unpack it, then import the folder or the table inside",
    ".kmz": "is a packed KML: unpack it (it is a zip archive), then import the .kml inside",
    ".rar": "is an archive: unpack it, then import the folder or the table inside",
    ".7z": "is an archive: unpack it, then import the folder or the table inside",
    ".tar": "is an archive: unpack it, then import the folder or the table inside",
    ".shp": "is a shapefile: convert it (ogr2ogr photos.geojson FILE), then import photos.geojson",
    ".gpkg": "is a GeoPackage: convert it (ogr2ogr photos.geojson FILE), then import photos.geojson",
    ".numbers": "is a document of Numbers: export it as CSV",
    ".pdf": "is a PDF: the table that it was made from is needed",
}
"""What to do with files of other kinds."""

VIDEO_FILE = (
    "is a video: take photographs out of it with their places (`mapillary_tools video_process`), or without (`ffmpeg -i FILE "
    "-r 1 frames/%04d.jpg`, then `exiftool -geotag`), then import their folder"
)

PART_ENDINGS = (("deg", "degrees", "d"), ("min", "minutes", "m"), ("sec", "seconds", "s"))
"""Endings of headings where degrees, minutes and seconds have columns of their own, such as lat_deg, lat_min, lat_sec."""

FLAGS = {"latitude": "lat", "longitude": "lon", "picture": "path", "captured_at_utc": "time", "label": "class"}
"""Our columns whose flags are called otherwise, such as --lat-column."""


@dataclass(frozen=True, eq=False)
class PhotoTable:
    """Photographs of a table.

    Attributes:
        photos: texts, empty where the table says nothing: `latitude` and `longitude`, or `latlon` or `lonlat`, where it has
            them; `picture` (the file as the table names it, or the id), `id`, `row` (its number, from 0) and what else it has
            of HEADINGS, `country` and `label` where they are asked for.
        headings: heading by our column.
        columns: all headings.
        pictures: those inside the file, if any.
        no_places: why it has no coordinates, where something is known of it.
    """

    photos: pd.DataFrame
    headings: Mapping[str, str]
    columns: tuple[str, ...]
    pictures: EmbeddedPictures | None = None
    no_places: str = ""

    @property
    def used(self) -> str:
        """Return which columns are used and which are not, in words."""
        words = ", ".join(
            f"{ours.replace('_', ' ')} from {' '.join(heading.split())}" for ours, heading in self.headings.items()
        )
        taken = Counter(
            name for used in self.headings.values() for name in ([used] if used in self.columns else used.split(", "))
        )
        rest = []
        for heading in filter(str.strip, self.columns):
            if taken[heading] > 0:
                taken[heading] -= 1
            else:
                rest.append(heading)
        more = " ..." if len(rest) > 20 else ""
        return f"{words}; not used: {', '.join(rest[:20]) or 'none'}{more}"

    @property
    def has_places(self) -> bool:
        """Say whether there are columns of coordinates."""
        return {"latitude", "longitude"} <= set(self.photos) or not {"latlon", "lonlat"}.isdisjoint(self.photos)


def read_table(path: Path, asked: Mapping[str, str | None] | None = None) -> PhotoTable:
    """Read a table of photographs.

    Args:
        path: CSV and its relatives, JSON, JSON lines, GeoJSON, KML, Parquet, GeoParquet or a workbook; texts also as .gz, .bz2
            or .xz.
        asked: headings by our column, as flags give them; with one of `country` or `label` it needs no coordinates.

    Raises:
        ValueError: it cannot be read, has no rows, or names no pictures.
    """
    asked = asked or {}
    table, pictures = _read(path, asked)
    if not len(table):
        raise ValueError(f"{path} has no rows: there is nothing to import")
    return as_photos(table, path, asked, pictures)


def other_file(path: Path, suffix: str) -> str:
    """Return what a file with an ending is that is no table, and what to do with it; empty where that is not known."""
    what = VIDEO_FILE if suffix in VIDEO_SUFFIXES else OTHER_FILES.get(suffix, "")
    return what.replace("FILE", path.name)


def _read(path: Path, asked: Mapping[str, str | None]) -> tuple[pd.DataFrame, EmbeddedPictures | None]:
    suffix, names = suffix_of(path), list(asked.values())
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"PAR1") or suffix in (".parquet", ".geoparquet", ".pq"):
        return read_parquet(path, names)
    if what := other_file(path, suffix):
        raise ValueError(f"{path} {what}")
    content = content_of(path)
    begins = start_of(content)
    if content.startswith(b"PK\x03\x04"):
        if b"[Content_Types].xml" not in content[:4000] and suffix not in (".xlsx", ".xlsm", ".xlsb", ".ods"):
            raise ValueError(f"{path} {other_file(path, '.zip')}")
        return read_workbook(content, path, names), None
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        return read_workbook(content, path, names), None
    if content.startswith(b"SQLite format 3"):
        raise ValueError(f"{path} {other_file(path, '.gpkg')}")
    if begins.startswith((b"{", b"[")) and not (suffix in (".csv", ".tsv") and begins.startswith(b"[")):
        return read_json(content, path), None
    if begins.startswith(b"<"):
        if b"<kml" in begins or suffix == ".kml":
            return read_kml(content, path), None
        kind = (
            other_file(path, ".gpx")
            if b"<gpx" in begins
            else "is a web page or another kind of XML: save the table as CSV in UTF-8"
        )
        raise ValueError(f"{path} {kind}")
    return read_text(content, path, names), None


def as_photos(
    table: pd.DataFrame,
    path: Path,
    asked: Mapping[str, str | None] | None = None,
    pictures: EmbeddedPictures | None = None,
) -> PhotoTable:
    """Return a table with our columns, as `read_table` does; `path` names it in messages."""
    asked = asked or {}
    headings = [str(heading) for heading in table.columns]
    try:
        candidates = columns_of(headings, asked)
    except KeyError as missing:
        ours = str(missing.args[0])
        raise ValueError(
            f"{path} has no column {asked[ours]} (--{FLAGS.get(ours, ours)}-column); {_its_columns(headings)}"
        ) from None
    chosen = _chosen(table, candidates, asked)
    photos = pd.DataFrame({ours: _values(table.iloc[:, number], ours) for ours, number in chosen.items()})
    photos["row"] = np.arange(len(photos))
    names = {ours: headings[number] for ours, number in chosen.items()}
    for ours, (texts, used) in _in_parts(table, headings, asked).items():
        photos[ours], names[ours] = texts, ", ".join(used)
    try:
        _read_axes(table, photos, names, candidates, chosen)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from None
    photos = _with_picture_names(table, photos, names)
    photos = _with_names(photos, path, headings, pictures)
    empty = (
        photos.drop(columns="row").map(lambda value: isinstance(value, str) and not value).all(axis=1)
        if pictures is None
        else pd.Series(False, photos.index)
    )
    if empty.any():
        log.info(f"{path}: {counted(int(empty.sum()), 'empty row', 'are')} skipped")
        photos = photos[~empty].reset_index(drop=True)
    found = PhotoTable(photos, names, tuple(headings), pictures)
    return found if found.has_places else replace(found, no_places=way_of(table, candidates))


def _read_axes(
    table: pd.DataFrame,
    photos: pd.DataFrame,
    names: dict[str, str],
    candidates: Mapping[str, list[int]],
    chosen: Mapping[str, int],
) -> None:
    """Fill gaps of coordinates, bring them to degrees and find their hemispheres; `photos` and `names` receive it.

    Raises:
        ValueError: headings and values contradict each other.
    """
    headings = [str(heading) for heading in table.columns]
    for axis in AXES:
        if axis not in photos:
            continue
        if axis in chosen and names[axis] == headings[chosen[axis]]:
            numbers = [chosen[axis], *(number for number in candidates[axis] if number != chosen[axis])]
            photos[axis], taken = merged(table, numbers, headings, photos[axis])
            photos[axis] = in_degrees(photos[axis], names[axis], axis)
            names[axis] = ", ".join([names[axis], *(headings[number] for number in taken)])
        if f"{axis}_side" not in photos:
            used = {name for listed in names.values() for name in (listed, *listed.split(", "))}
            free = [number for number, heading in enumerate(headings) if heading not in used]
            number = side_column(table, free, photos[axis], axis)
            if number is not None:
                photos[f"{axis}_side"], names[f"{axis}_side"] = _values(table.iloc[:, number], "id"), headings[number]
    check_signs(names, photos)


def _with_picture_names(table: pd.DataFrame, photos: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Return photographs with the one unused column of file names as `picture`, where no heading names pictures."""
    if {"picture", "address"} & set(photos):
        return photos
    free = [number for number, heading in enumerate(table.columns) if str(heading) not in names.values()]
    found = [number for number in free if are_pictures(table.iloc[:, number])]
    if len(found) == 1:
        photos["picture"], names["picture"] = _values(table.iloc[:, found[0]], "picture"), str(table.columns[found[0]])
    return photos


def _chosen(
    table: pd.DataFrame, candidates: Mapping[str, list[int]], asked: Mapping[str, str | None]
) -> dict[str, int]:
    """Return the column of each of ours: the best one, and of places in one column the first that holds places."""
    chosen = {ours: numbers[0] for ours, numbers in candidates.items() if ours not in ("latlon", "lonlat")}
    both = [(ours, number) for ours in ("latlon", "lonlat") for number in candidates.get(ours, [])]
    same = chosen.get("latitude")
    if same is not None and same == chosen.get("longitude"):
        # --lat-column and --lon-column may name one column that holds both.
        return {**{o: n for o, n in chosen.items() if o not in ("latitude", "longitude")}, "latlon": same}
    given = {
        ours for ours in AXES if ours in chosen and not is_missing(_values(table.iloc[:, chosen[ours]], "id")).all()
    }
    if len(given) < 2:
        place = next(((ours, n) for ours, n in both if could_be_places(table.iloc[:, n])), None)
        if place is not None:
            chosen = {ours: n for ours, n in chosen.items() if ours not in ("latitude", "longitude")} | dict([place])
    return chosen


def _in_parts(
    table: pd.DataFrame, headings: Sequence[str], asked: Mapping[str, str | None]
) -> dict[str, tuple[pd.Series, list[str]]]:
    """Return coordinates whose degrees, minutes and seconds have columns of their own, as `48 51 23.76`, and these columns."""
    numbers = {folded(heading): number for number, heading in reversed(list(enumerate(headings)))}
    found: dict[str, tuple[pd.Series, list[str]]] = {}
    for ours, names in (("latitude", ("lat", "latitude")), ("longitude", ("lon", "long", "lng", "longitude"))):
        for name in names:
            parts = [next((numbers[n] for e in ends if (n := name + e) in numbers), None) for ends in PART_ENDINGS]
            degrees, minutes, seconds = parts
            if asked.get(ours) is None and degrees is not None and minutes is not None:
                used = [number for number in (degrees, minutes, seconds) if number is not None]
                texts = [_values(table.iloc[:, number], "id").str.removesuffix(".0") for number in used]
                found[ours] = (
                    texts[0].str.cat(pd.concat(texts[1:], axis=1), sep=" ").str.strip(),
                    [headings[number] for number in used],
                )
    return found


def _with_names(
    photos: pd.DataFrame, path: Path, headings: Sequence[str], pictures: EmbeddedPictures | None
) -> pd.DataFrame:
    """Return photographs that all have a `picture` and an `id`, as far as the table says.

    Raises:
        ValueError: no column names pictures.
    """
    for name in {"picture", "id"} & set(photos):
        photos[name] = _whole_numbers(_without_quotes(photos[name]))
    if pictures is not None and "picture" not in photos:
        photos["picture"] = photos["id"] if "id" in photos else [f"{path.stem}-{row:06d}" for row in photos["row"]]
    if not {"picture", "id", "address"} & set(photos):
        examples = ", ".join(HEADINGS["picture"].split()[:3])
        raise ValueError(
            f"{path} has no column that names pictures ({examples} ..., id or image_url): name one with --path-column; "
            f"{_its_columns(headings)}"
        )
    if "picture" not in photos:
        photos["picture"] = photos["id"] if "id" in photos else photos["address"].map(_name_in_address)
    if "id" not in photos:
        photos["id"] = photos["picture"].str.replace(r"\.\w{1,5}$", "", regex=True)
    if pictures is not None:
        unnamed = photos["picture"] == ""
        photos["picture"] = photos["picture"].mask(unnamed, [f"{path.stem}-{row:06d}" for row in photos["row"]])
        photos["id"] = photos["id"].mask(photos["id"] == "", photos["picture"])
    return photos


def _without_quotes(texts: pd.Series) -> pd.Series:
    """Return names without the single quotes around them, all or none of them."""
    given = texts[texts != ""]
    return texts.str.strip("'") if len(given) and given.str.fullmatch(r"'.+'").all() else texts


def _whole_numbers(texts: pd.Series) -> pd.Series:
    """Return names without the `.0` that they get where numbers were read as floats, all or none of them."""
    given = texts[texts != ""]
    return texts.str.removesuffix(".0") if len(given) and given.str.fullmatch(r"\d+\.0").all() else texts


def _values(column: pd.Series, ours: str) -> pd.Series:
    """Return a column as stripped texts, empty where there is no value; numbers and places stay as they are."""
    if ours in ("latitude", "longitude") and pd.api.types.is_float_dtype(column):
        return column
    if ours in ("latlon", "lonlat"):
        return column.astype(object)
    return column.astype(object).where(column.notna(), "").map(lambda value: str(value).strip()).astype(object)


def _name_in_address(address: str) -> str:
    """Return the file name at the end of an address, empty where there is none."""
    try:
        return PurePosixPath(unquote(urlsplit(address).path)).name
    except ValueError:
        return ""


def _its_columns(headings: Sequence[str]) -> str:
    return f"its columns are: {', '.join(headings[:40])}" + (" ..." if len(headings) > 40 else "")


def check_places(table: PhotoTable, path: Path) -> None:
    """Refuse a table without columns of coordinates.

    Raises:
        ValueError: it has none.
    """
    if table.has_places:
        return
    missing = "longitude" if "latitude" in table.photos else "latitude"
    names = " or ".join(HEADINGS[missing].split()[:2])
    way = table.no_places or f"name it with --{FLAGS[missing]}-column"
    raise ValueError(f"{path} has no column of the {missing} ({names}): {way}; {_its_columns(table.columns)}")
