"""A table of photographs as candidates: its rows, its countries, and the picture that each row means."""

import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.country_names import match_countries, report
from dataset.picture_finder import PictureFinder
from dataset.places import WITHOUT, check_coordinates
from dataset.tables.binary import EmbeddedPictures
from dataset.tables.fields import ManifestFields
from dataset.tables.flags import COLUMN_FLAGS, TABLE_SUFFIXES, is_table_name
from dataset.tables.folders import with_folders
from dataset.tables.photo_table import PhotoTable, check_places, other_file, read_table
from fetch.candidates import Candidate, safe_id
from fetch.download_config import refuse_idle
from fetch.rejected import Rejection
from fetch.sources.config import ImportConfig
from fetch.sources.downloads import Remote, secure
from fetch.sources.outliers import without_outliers
from fetch.sources.stated_countries import warn_of_far_places
from fetch.sources.yfcc import is_yfcc, read_yfcc
from fetch.subset import read_subset
from plumbing.evenly import evenly
from plumbing.text import counted

PICTURE_ENDING = re.compile(r"\.\w{1,5}$")

log = logging.getLogger(__name__)


def table_candidates(
    config: ImportConfig, excluded: set[str], rejected: list[Rejection]
) -> tuple[Iterator[Candidate], int, Remote | None]:
    """Return photographs of a table, of how many rows, and what was downloaded; `rejected` receives the others.

    A picture is taken from this machine where it is stored here, from its address otherwise.

    Raises:
        ValueError: the table cannot be used at all, or the folder of pictures does not exist.
    """
    if config.images is not None and not config.images.is_dir():
        raise ValueError(f"--images {config.images} is not a folder")
    table = _read(config)
    photos = table.photos
    if config.limit is not None and config.limit < len(photos):
        log.info(f"--limit {config.limit}: {config.limit:,} of {counted(len(photos), 'row')}")
        photos = photos.iloc[evenly(list(range(len(photos))), config.limit)].reset_index(drop=True)
    if table.pictures is None:
        photos = with_folders(photos, [*([config.images] if config.images else []), config.source.parent])
    latlon_deg, reasons = _coordinates(config, table, photos)
    if table.headings:
        log.info(f"{config.source}: {table.used}")
    nowhere = reasons == WITHOUT
    fields = ManifestFields.of(photos)
    if config.country_column is not None:
        country, reasons = countries_of(photos["country"], reasons)
        warn_of_far_places(photos["id"].where(photos["id"] != "", photos["picture"]).tolist(), latlon_deg, country)
        fields = fields.with_column("country", country)
    if config.class_column is not None:
        reasons = np.where(nowhere & (photos["label"] != ""), "", reasons)
        reasons = np.where(reasons == WITHOUT, f"{WITHOUT} and label", reasons)
        fields = fields.with_column("label", photos["label"].tolist())
    reasons = without_outliers(config, photos, latlon_deg, reasons)
    places = list(_places(config, photos, excluded, reasons, table.pictures))
    if "address" not in photos:
        config.refuse_downloads(f"on {config.source}, which has no column of addresses")
    remote = Remote(config, (place for _, place in places if isinstance(place, str))) if "address" in photos else None

    def candidates() -> Iterator[Candidate]:
        for row, (name, place) in enumerate(places):
            path = remote.find(name, place) if isinstance(place, str) and remote else place
            if isinstance(path, Rejection):
                rejected.append(path)
            else:
                inside = path if isinstance(path, Path) else _inside(table.pictures, path)
                if inside is None:
                    rejected.append(Rejection(name, "without a picture"))
                    continue
                stem = name.removesuffix(path.suffix) if isinstance(path, Path) else PICTURE_ENDING.sub("", name)
                given = {"source": "import", "source_id": name, **fields.row(row)}
                lat_deg, lon_deg = latlon_deg[row].tolist()
                where = None if np.isnan(lat_deg) or np.isnan(lon_deg) else (lat_deg, lon_deg)
                yield Candidate(stem, where, inside, given, place if isinstance(place, str) else "")

    return candidates(), len(photos), remote


def countries_of(texts: pd.Series, reasons: NDArray[np.str_]) -> tuple[list[str], NDArray[np.str_]]:
    """Return the code of each row's country, '' where it is ambiguous or unknown, and why each row cannot be used, or nothing.

    A row without coordinates can be used where its country is known. What was not taken literally is said.

    Args:
        texts: names or codes of countries.
        reasons: (N,) why coordinates cannot be used, as `check_coordinates` has it.
    """
    matches = match_countries(texts)
    log.info("countries: " + report(matches, Counter(texts)))
    found = [matches[text] for text in texts]
    in_doubt = [f"with a country that is {match.how}" if match.text else "" for match in found]
    without = reasons == WITHOUT
    sure = np.array([bool(match.alpha2) for match in found])
    doubts = np.array([doubt or f"{WITHOUT} and country" for doubt in in_doubt])
    return [match.alpha2 for match in found], np.where(without, np.where(sure, "", doubts), reasons)


def _read(config: ImportConfig) -> PhotoTable:
    """Return the rows of a table that are wanted."""
    if is_yfcc(config.source):
        refuse_idle(config, tuple(COLUMN_FLAGS), "on the metadata of YFCC100M, whose columns are fixed")
        photos = read_yfcc(config.source)
        photos["row"] = np.arange(len(photos))
        # Its columns are known, and have no headings.
        table = PhotoTable(photos, {}, tuple(map(str, photos)))
    elif is_table_name(config.source):
        table = read_table(config.source, config.asked_columns)
        if config.country_column is None and config.class_column is None:
            check_places(table, config.source)
    else:
        what = other_file(config.source, config.source.suffix.lower())
        what = f"it {what}" if what else f"tables end in {', '.join(TABLE_SUFFIXES)}"
        raise ValueError(f"{config.source} is neither a folder nor a table: {what}")
    return replace(table, photos=_wanted(config, table.photos))


def _coordinates(
    config: ImportConfig, table: PhotoTable, photos: pd.DataFrame
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Return (N, 2) latitude and longitude, and why each row cannot be used; rows that are dropped are not looked at.

    Raises:
        ValueError: they cannot be read whole; the message names the table.
    """
    if not table.has_places:
        return np.full((len(photos), 2), np.nan), np.full(len(photos), WITHOUT)
    try:
        ignored = photos["row"].isin(config.exclude_rows).to_numpy()
        return check_coordinates(photos, ignored, known_columns=not table.headings)
    except ValueError as error:
        raise ValueError(f"{config.source}: {error}") from None


def _inside(pictures: EmbeddedPictures | None, row: int | str) -> bytes | None:
    assert pictures is not None, "only they have rows"
    assert isinstance(row, int), "addresses become files before"
    return pictures.read(row)


def _wanted(config: ImportConfig, photos: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table that `--only` names."""
    beyond = max(config.exclude_rows, default=0)
    if config.exclude_rows and beyond > photos["row"].max():
        raise ValueError(
            f"--exclude-rows {beyond}: {config.source} has {counted(photos['row'].max() + 1, 'row')}, numbered from 0"
        )
    if config.only is None:
        return photos
    wanted = set(read_subset(config.only).ids)
    named = photos["id"].isin(wanted) | photos["id"].map(safe_id).isin(wanted)
    if not named.any():
        raise ValueError(f"--only {config.only}: {config.source} has none of its {counted(len(wanted), 'photograph')}")
    log.info(
        f"--only {config.only}: {int(named.sum()):,} of {counted(len(photos), 'row')}; the list names {counted(len(wanted), 'id')}"
    )
    return photos[named].reset_index(drop=True)


def _places(
    config: ImportConfig,
    photos: pd.DataFrame,
    excluded: set[str],
    reasons: NDArray[np.str_],
    pictures: EmbeddedPictures | None,
) -> Iterator[tuple[str, Path | str | int | Rejection]]:
    """Yield the name of each row, and the file, the address or the row of its picture, or why it has none."""
    finder = PictureFinder(config.source.parent, config.images, config.out, photos["picture"])
    seen: set[Path | str | int] = set()
    addresses = photos["address"] if "address" in photos else pd.Series("", index=photos.index)
    numbers = photos["row"].to_numpy()
    for row, (photo_id, picture, address) in enumerate(zip(photos["id"], photos["picture"], addresses, strict=True)):
        name = photo_id or picture or f"row {row + 1}"
        if excluded & {photo_id, picture, safe_id(photo_id)}:
            yield name, Rejection(name, "excluded")
        elif reasons[row]:
            yield name, Rejection(name, str(reasons[row]), _said(photos.iloc[row]))
        elif pictures is not None:
            yield name, int(numbers[row])
        else:
            place: Path | str = finder.find(picture)
            if isinstance(place, str) and not address:
                yield name, Rejection(name, place, picture)
                continue
            if isinstance(place, str):
                place = secure(address)
            yield name, Rejection(name, "listed twice", str(picture)) if place in seen else place
            seen.add(place)


def _said(photo: pd.Series) -> str:
    """Return what a row says of its place."""
    places = ", ".join(str(photo[name]) for name in ("latitude", "longitude", "latlon", "lonlat") if name in photo)
    return places.strip(", ") or ", ".join(str(photo[name]) for name in ("country", "label") if name in photo)
