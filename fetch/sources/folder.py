"""A folder of photographs: which files are pictures, and where EXIF or names place them."""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from dataset.exif import read_metadata
from dataset.metadata_location import NOWHERE, place_for_import
from dataset.picture_folder import PictureFolder, kind_words
from dataset.side_cars import takeout_note
from fetch.candidates import Candidate, safe_id
from fetch.rejected import UNREADABLE, Rejection
from fetch.sources.config import ImportConfig
from fetch.sources.folder_names import stated_by_folders
from plumbing.picture_kinds import ADVICE
from plumbing.text import counted, utf8

PLACE_WORDS = {
    "EXIF": "EXIF",
    "XMP": "XMP in the file",
    "Mapillary": "the description by mapillary_tools",
    "side-car": "XMP side-cars",
    "Takeout": "Google Takeout",
    "file name": "file names",
}
"""By what photographs are placed, in words."""

log = logging.getLogger(__name__)


def find_pictures(folder: Path, out: Path, rejected: list[Rejection]) -> list[Path]:
    """Return the photographs below a folder, sorted; `rejected` receives those of kinds that are not read.

    Everything else that is passed by is counted and named in the log: thumbnails, hidden files, side-cars, the dataset itself.
    """
    found = PictureFolder.of(folder, out)
    words = {kind: kind_words(found.of_kind(kind), kind) for kind in set(found.unread.values())}
    for path, kind in found.unread.items():
        name = utf8(path.relative_to(folder).as_posix())
        rejected.append(Rejection(name, f"of a kind that is not read: {words[kind]}", ADVICE.get(kind, "")))
    if passed := found.passed_words():
        log.info(f"{folder}: {counted(len(found.pictures), 'photograph')}; skipped: {passed}")
    if advice := found.advice():
        log.info(f"what to do with kinds that are not read: {advice}")
    return found.pictures


def folder_candidates(
    config: ImportConfig, files: list[Path], excluded: set[str], rejected: list[Rejection]
) -> Iterator[Candidate]:
    """Yield photographs whose file, side-car or name has coordinates, or whose folder names their country or label.

    `rejected` receives the others.
    """
    folder, of_folder = config.source, stated_by_folders(config, files)
    places: Counter[str] = Counter()
    for path in files:
        name = utf8(path.relative_to(folder).as_posix())
        stated = of_folder.of(path)
        photo_id = name.removesuffix(utf8(path.suffix))
        if excluded & {name, photo_id, path.name, path.stem, safe_id(photo_id)}:
            rejected.append(Rejection(name, "excluded"))
            continue
        metadata = read_metadata(path)
        where, latlon_deg = (
            ("EXIF", metadata.latlon_deg)
            if metadata.latlon_deg not in (None, NOWHERE)
            else place_for_import(path) or ("", None)
        )
        if latlon_deg is None and isinstance(stated, str):
            rejected.append(Rejection(name, stated, of_folder.name_of(path)))
        elif latlon_deg is None and not stated and metadata.unreadable:
            rejected.append(Rejection(name, UNREADABLE, metadata.problem))
        elif latlon_deg is None and not stated:
            what = f" and a folder of its {config.folder_names}" if config.folder_names else ""
            rejected.append(Rejection(name, f"without coordinates{what}", metadata.problem))
        elif latlon_deg == NOWHERE:
            rejected.append(Rejection(name, "at (0, 0)", "0, 0"))
        else:
            fields = {
                "source": "import",
                "source_id": name,
                "captured_at_utc": metadata.captured_at_utc or takeout_note(path).captured_at_utc,
                "compass_angle": metadata.compass_angle,
                **(stated if isinstance(stated, dict) else {}),
            }
            places[where] += latlon_deg is not None
            yield Candidate(photo_id, latlon_deg, path, fields)
    if set(+places) - {"EXIF"}:
        log.info("places: " + ", ".join(f"{n:,} from {PLACE_WORDS[where]}" for where, n in (+places).most_common()))
