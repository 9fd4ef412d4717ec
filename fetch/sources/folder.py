"""A folder of photographs: which files are pictures, where EXIF or names place them, and which file a table means.

With `--folder-names`, the folder directly below is the country or the label of its pictures, as torchvision's ImageFolder has it.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from dataset.country_names import match_countries, report
from dataset.exif import read_metadata
from fetch.config import ImportConfig
from fetch.ingest import Candidate, safe_id
from fetch.rejected import Rejection
from fetch.sources.columns import latlon_of_name
from plumbing.images import PICTURE_SUFFIXES

log = logging.getLogger(__name__)

OTHER_PHOTO_SUFFIXES = frozenset({".heic", ".heif", ".avif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf"})
"""Photographs that are not read; said, so that nobody misses them."""


def find_pictures(folder: Path, out: Path, rejected: list[Rejection]) -> list[Path]:
    """Return the photographs below a folder, sorted; hidden files, other files and the dataset itself are passed by."""
    files: list[Path] = []
    for path in walk(folder, out):
        if path.suffix.lower() in PICTURE_SUFFIXES:
            files.append(path)
        elif path.suffix.lower() in OTHER_PHOTO_SUFFIXES:
            reason = f"of a kind that is not read ({path.suffix.lower()}): convert to JPEG"
            rejected.append(Rejection(path.relative_to(folder).as_posix(), reason))
    return files


def walk(folder: Path, out: Path) -> Iterator[Path]:
    """Yield the files below a folder in order, without hidden ones and without the dataset in `out`."""
    skip = out.resolve()
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (Path(root) / f).resolve() != skip)
        yield from (Path(root) / name for name in sorted(names) if not name.startswith("."))


def stated_by_folders(config: ImportConfig, files: list[Path]) -> dict[str, dict[str, str] | str]:
    """Return, by the name of each folder directly below the source, what it states of its pictures, or why it states nothing."""
    if config.folder_names is None:
        return {}
    count = Counter(path.relative_to(config.source).parts[0] for path in files if path.parent != config.source)
    if config.folder_names == "label":
        return {name: {"label": name} for name in count}
    matches = match_countries(name.replace("_", " ") for name in count)
    log.info("countries: " + report(matches, Counter({name.replace("_", " "): n for name, n in count.items()})))
    found = {name: matches[name.replace("_", " ")] for name in count}
    return {
        name: {"country": match.alpha2} if match.alpha2 else f"with a country that is {match.how}"
        for name, match in found.items()
    }


def folder_candidates(
    config: ImportConfig, files: list[Path], excluded: set[str], rejected: list[Rejection]
) -> Iterator[Candidate]:
    """Yield photographs with coordinates in their EXIF or name, or in a folder that names their country or label.

    `rejected` receives the others.
    """
    folder, of_folder = config.source, stated_by_folders(config, files)
    for path in files:
        name = path.relative_to(folder).as_posix()
        stated = of_folder.get(name.split("/")[0], {})
        photo_id = name.removesuffix(path.suffix)
        if excluded & {name, photo_id, path.name, path.stem, safe_id(photo_id)}:
            rejected.append(Rejection(name, "excluded"))
            continue
        metadata = read_metadata(path)
        latlon_deg = metadata.latlon_deg or latlon_of_name(path.name)
        if latlon_deg is None and isinstance(stated, str):
            rejected.append(Rejection(name, stated, name.split("/")[0]))
        elif latlon_deg is None and not stated:
            what = f" and a folder of its {config.folder_names}" if config.folder_names else ""
            rejected.append(Rejection(name, f"without coordinates{what}", metadata.problem))
        elif latlon_deg == (0, 0):
            rejected.append(Rejection(name, "at (0, 0)", "0, 0"))
        else:
            fields = {
                "source": "import",
                "source_id": name,
                "captured_at_utc": metadata.captured_at_utc,
                "compass_angle": metadata.compass_angle,
                **(stated if isinstance(stated, dict) else {}),
            }
            yield Candidate(photo_id, latlon_deg, path, fields)


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
        # Tables written on Windows; a backslash is not a sensible part of a file name elsewhere.
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
            for path in walk(self.roots[0], self.out):
                if path.suffix.lower() in PICTURE_SUFFIXES:
                    for name in {path.name.casefold(), path.stem.casefold()}:
                        self._below[name] = "ambiguous (several files have the name)" if name in self._below else path
        return self._below


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # A name too long to be one.
        return False
