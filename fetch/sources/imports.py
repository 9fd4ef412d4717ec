"""`python -m fetch import`: one's own photographs, from a table or a folder, to a dataset folder."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.country_names import match_countries, report
from dataset.exif import read_metadata
from fetch.config import ImportConfig
from fetch.ingest import DATASET, JOURNAL, Candidate, ingest, safe_id
from fetch.rejected import Rejection
from fetch.sources.downloads import DOWNLOADS, Remote, secure
from fetch.sources.table import TABLE_SUFFIXES, check_coordinates, latlon_of_name, manifest_fields, read_table
from fetch.sources.yfcc import is_yfcc, read_yfcc
from fetch.subset import read_subset
from plumbing.files import read_json
from plumbing.images import PICTURE_SUFFIXES

OTHER_PHOTO_SUFFIXES = frozenset({".heic", ".heif", ".avif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf"})
"""Photographs that are not read; said, so that nobody misses them."""

log = logging.getLogger(__name__)


PENDING = 5
"""Exit code where pictures are pending."""


def run(config: ImportConfig) -> int:
    """Import a table or a folder of photographs; return the exit code.

    Raises:
        ValueError: there is no such source, it cannot be used at all, or `out` holds something else.
    """
    _check_out(config)
    excluded = _excluded(config.exclude)
    rejected: list[Rejection] = []
    remote = None
    if config.source.is_dir():
        if config.country_column is not None:
            raise ValueError(f"--country-column is of a table, {config.source} is a folder: leave it out")
        files = find_pictures(config.source, config.out, rejected)
        if not files and not rejected:
            raise ValueError(f"{config.source} holds no photographs (endings: {', '.join(sorted(PICTURE_SUFFIXES))})")
        candidates, total = folder_candidates(config.source, files, excluded, rejected), len(files)
    elif config.source.is_file():
        candidates, total, remote = table_candidates(config, excluded, rejected)
    else:
        raise ValueError(f"{config.source} does not exist: name a table or a folder of photographs")
    taken = ingest(config.out, candidates, config, total, rejected)
    if config.exclude:
        left = sum(rejection.reason == "excluded" for rejection in taken.rejected)
        log.info(f"--exclude {config.exclude}: {left:,} photographs left out; the file names {len(excluded):,} ids")
    if remote is None:
        return 0
    remote.finish()
    return PENDING if remote.done.pending else 0


def _check_out(config: ImportConfig) -> None:
    """Refuse to write over what is not this dataset."""
    out = config.out
    if not out.is_dir() or not any(out.iterdir()):
        return
    if out.resolve() == config.source.resolve():
        raise ValueError(f"--out {out} is the folder of the photographs itself: name a new folder, such as data/mine")
    if (out / DATASET).is_file():
        before = read_json(out / DATASET).get("settings", {}).get("source")
        if before is not None and Path(before).resolve() != config.source.resolve():
            raise ValueError(f"{out} is a dataset made from {before}: name another folder with --out, or delete it")
        if before is None:
            raise ValueError(f"{out} is a dataset that was not imported: name another folder with --out, or delete it")
    elif not (out / JOURNAL).is_file() and not (out / DOWNLOADS).is_dir():
        raise ValueError(f"{out} holds other files and is not a dataset: name an empty or a new folder with --out")


def _excluded(path: Path | None) -> set[str]:
    if path is None:
        return set()
    if not path.is_file():
        raise ValueError(f"--exclude {path} does not exist: it is a file of ids, one a line")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"--exclude {path} is no text: it is a file of ids, one a line") from None
    return {line.strip() for line in lines if line.strip()}


def find_pictures(folder: Path, out: Path, rejected: list[Rejection]) -> list[Path]:
    """Return the photographs below a folder, sorted; hidden files, other files and the dataset itself are passed by."""
    files: list[Path] = []
    for path in _walk(folder, out):
        if path.suffix.lower() in PICTURE_SUFFIXES:
            files.append(path)
        elif path.suffix.lower() in OTHER_PHOTO_SUFFIXES:
            reason = f"of a kind that is not read ({path.suffix.lower()}): convert to JPEG"
            rejected.append(Rejection(path.relative_to(folder).as_posix(), reason))
    return files


def _walk(folder: Path, out: Path) -> Iterator[Path]:
    skip = out.resolve()
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (Path(root) / f).resolve() != skip)
        yield from (Path(root) / name for name in sorted(names) if not name.startswith("."))


def folder_candidates(
    folder: Path, files: list[Path], excluded: set[str], rejected: list[Rejection]
) -> Iterator[Candidate]:
    """Yield photographs with coordinates in their EXIF or else in their name; `rejected` receives the others."""
    for path in files:
        name = path.relative_to(folder).as_posix()
        photo_id = name.removesuffix(path.suffix)
        if excluded & {name, photo_id, path.name, path.stem, safe_id(photo_id)}:
            rejected.append(Rejection(name, "excluded"))
            continue
        metadata = read_metadata(path)
        latlon_deg = metadata.latlon_deg or latlon_of_name(path.name)
        if latlon_deg is None:
            rejected.append(Rejection(name, "without coordinates", metadata.problem))
        elif latlon_deg == (0, 0):
            rejected.append(Rejection(name, "at (0, 0)", "0, 0"))
        else:
            fields = {
                "source": "import",
                "source_id": name,
                "captured_at_utc": metadata.captured_at_utc,
                "compass_angle": metadata.compass_angle,
            }
            yield Candidate(photo_id, latlon_deg, path, fields)


def table_candidates(
    config: ImportConfig, excluded: set[str], rejected: list[Rejection]
) -> tuple[Iterator[Candidate], int, Remote | None]:
    """Return photographs of a table, of how many rows, and what was downloaded; `rejected` receives the others.

    A picture is taken from this machine where it lies here, from its address otherwise.

    Raises:
        ValueError: the table cannot be used at all, or the folder of pictures does not exist.
    """
    if config.images is not None and not config.images.is_dir():
        raise ValueError(f"--images {config.images} is no folder")
    photos = _read(config)
    latlon_deg, reasons = check_coordinates(photos)
    fields = manifest_fields(photos)
    if config.country_column is not None:
        country, reasons = stated_countries(photos["country"], reasons)
        fields = [{**row, "country": code or None} for row, code in zip(fields, country, strict=True)]
    places = list(_places(config, photos, excluded, reasons))
    remote = Remote(config, (place for _, place in places if isinstance(place, str))) if "address" in photos else None

    def candidates() -> Iterator[Candidate]:
        for row, ((name, place), here) in enumerate(zip(places, latlon_deg.tolist(), strict=True)):
            path = remote.find(name, place) if isinstance(place, str) and remote else place
            if isinstance(path, Rejection):
                rejected.append(path)
            elif isinstance(path, Path):
                stem = name.removesuffix(path.suffix)
                given = {"source": "import", "source_id": name, **fields[row]}
                where = None if np.isnan(here).any() else (here[0], here[1])
                yield Candidate(stem, where, path, given, place if isinstance(place, str) else "")

    return candidates(), len(photos), remote


def stated_countries(texts: pd.Series, reasons: NDArray[np.str_]) -> tuple[list[str], NDArray[np.str_]]:
    """Return the code of each row's country, '' where none is sure, and why each row cannot be used, or nothing.

    A row without coordinates can be used where its country is sure. What was not taken literally is said.

    Args:
        texts: names or codes of countries.
        reasons: (N,) why coordinates cannot be used, as `check_coordinates` has it.
    """
    matches = match_countries(texts)
    log.info("countries: " + report(matches, Counter(texts)))
    found = [matches[text] for text in texts]
    in_doubt = [f"with a country that is {match.how}" if match.text else "" for match in found]
    without = reasons == "without coordinates"
    sure = np.array([bool(match.alpha2) for match in found])
    doubts = np.array([doubt or "without coordinates and country" for doubt in in_doubt])
    return [match.alpha2 for match in found], np.where(without, np.where(sure, "", doubts), reasons)


def _read(config: ImportConfig) -> pd.DataFrame:
    """Return the rows of a table that are wanted."""
    if is_yfcc(config.source):
        if config.country_column is not None:
            raise ValueError("--country-column: the metadata of YFCC100M has no countries, leave it out")
        photos = read_yfcc(config.source)
    elif config.source.suffix.lower() in TABLE_SUFFIXES:
        photos = read_table(config.source, config.address_column, config.country_column)
    else:
        raise ValueError(f"{config.source} is neither a folder nor a table ({', '.join(TABLE_SUFFIXES)})")
    if config.only is None:
        return photos
    wanted = set(read_subset(config.only).ids)
    named = photos["id"].isin(wanted) | photos["id"].map(safe_id).isin(wanted)
    if not named.any():
        raise ValueError(f"--only {config.only} names {len(wanted):,} photographs, none of them in {config.source}")
    log.info(f"--only {config.only}: {int(named.sum()):,} of {len(photos):,} rows; the list names {len(wanted):,} ids")
    return photos[named].reset_index(drop=True)


def _places(
    config: ImportConfig, photos: pd.DataFrame, excluded: set[str], reasons: NDArray[np.str_]
) -> Iterator[tuple[str, Path | str | Rejection]]:
    """Yield the name of each row, and the file or the address of its picture, or why it has neither."""
    finder = PictureFinder(config.source.parent, config.images, config.out)
    seen: set[Path | str] = set()
    addresses = photos["address"] if "address" in photos else pd.Series("", index=photos.index)
    for row, (photo_id, picture, address) in enumerate(zip(photos["id"], photos["picture"], addresses, strict=True)):
        name = photo_id or picture or f"row {row + 1}"
        if excluded & {photo_id, picture, safe_id(photo_id)}:
            yield name, Rejection(name, "excluded")
        elif reasons[row]:
            value = f"{photos['latitude'].iat[row]}, {photos['longitude'].iat[row]}".strip(", ")
            if not value and "country" in photos:
                value = str(photos["country"].iat[row])
            yield name, Rejection(name, str(reasons[row]), value)
        else:
            place = finder.find(picture)
            if isinstance(place, str) and not address:
                yield name, Rejection(name, place, picture)
                continue
            if isinstance(place, str):
                place = secure(address)
            yield name, Rejection(name, "listed twice", str(picture)) if place in seen else place
            seen.add(place)


class PictureFinder:
    """Finds the file that a table means.

    An absolute path is taken as it is. A relative one starts in `images`, then in the table's folder, and must stay
    inside one of the two: a table from elsewhere cannot reach other files with `..`. A name without a folder is looked
    for in all folders below; endings may be missing.
    """

    def __init__(self, table_folder: Path, images: Path | None, out: Path) -> None:
        self.roots = [Path(os.path.abspath(root)) for root in ([images] if images else []) + [table_folder]]
        self.out = out
        self._below: dict[str, Path | str] | None = None

    def find(self, picture: str) -> Path | str:
        """Return the file, or why there is none, in words that read after a number."""
        if not picture:
            return "without a picture"
        if "\0" in picture:
            return "missing"
        # Tables written on Windows; a backslash is no sensible part of a file name elsewhere.
        relative = picture.replace("\\", "/")
        places = [Path(os.path.normpath(root / relative)) for root in self.roots]
        if not Path(relative).is_absolute():
            places = [place for place in places if any(place.is_relative_to(root) for root in self.roots)]
            if not places:
                return "outside the folder of pictures"
        for place in places:
            for path in (place, *(place.with_name(place.name + suffix) for suffix in sorted(PICTURE_SUFFIXES))):
                if _is_file(path):
                    return path
        return "missing" if "/" in relative else self._anywhere().get(relative.casefold(), "missing")

    def _anywhere(self) -> dict[str, Path | str]:
        """Return the pictures below the first root by name, with and without ending, or why a name finds none."""
        if self._below is None:
            self._below = {}
            for path in _walk(self.roots[0], self.out):
                if path.suffix.lower() in PICTURE_SUFFIXES:
                    for name in {path.name.casefold(), path.stem.casefold()}:
                        self._below[name] = "ambiguous (several files have the name)" if name in self._below else path
        return self._below


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # A name too long to be one.
        return False
