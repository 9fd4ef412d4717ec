"""Which photographs a command is asked about: files, folders, tables, splits of datasets; and names for what is written of them."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path

import pandas as pd

from dataset.images import Pictures
from dataset.manifest import MANIFEST, coordinates, has_coordinates, read_manifest
from dataset.picture_finder import PictureFinder
from dataset.picture_folder import PictureFolder
from dataset.places import check_coordinates
from dataset.tables.flags import is_table_name
from dataset.tables.folders import with_folders
from dataset.tables.photo_table import PhotoTable, read_table
from plumbing.addresses import address_words
from plumbing.files import atomic_path
from plumbing.picture_kinds import ADVICE, PICTURE_SUFFIXES, VIDEO, VIDEO_SUFFIXES
from plumbing.videos import is_video

FRAMES = "add --every 2s to answer their frames, or name one itself"
"""What to do with videos below a folder."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Photo:
    """A photograph to answer for.

    Attributes:
        path: its file.
        truth_deg: latitude and longitude where a dataset or a table knows them.
        packed: where it lies in a shard, if it has no file.
    """

    path: Path
    truth_deg: tuple[float, float] | None = None
    packed: tuple[Pictures, int] | None = None


def find_photos(
    given: Sequence[Path],
    split: str = "all",
    out: Path | None = None,
    columns: Mapping[str, str | None] | None = None,
    every: str | None = None,
) -> list[Photo]:
    """Return files as given, all pictures below folders in order of their names, and a split of dataset folders.

    Args:
        given: files and folders.
        split: which photographs of a dataset folder, or `all`.
        out: a folder of answers, whose maps are no photographs where it lies inside a folder that is searched.
        columns: headings of tables by our column, as `dataset.tables.flags` names them.
        every: the flag of that name; with it, videos below folders are taken too.

    Raises:
        ValueError: a path does not exist, or a folder holds no pictures.
    """
    found: dict[Path, Photo] = {}
    for path in given:
        if (path / MANIFEST).is_file():
            photos = _of_dataset(path, split)
        elif is_table_name(path) and path.is_file():
            photos = _of_table(path, out, columns or {})
        elif path.is_dir():
            photos = [Photo(p) for p in _pictures_below(path, out, videos=every is not None)]
        elif path.exists():
            photos = [Photo(path)]
        else:
            raise ValueError(
                f"there is no file or folder {path}{address_words(path) or ': check its name and its folder'}"
            )
        if not photos:
            raise ValueError(f"{path} holds no pictures ({', '.join(sorted(PICTURE_SUFFIXES))})")
        found.update({photo.path: photo for photo in photos})
    return list(found.values())


def check_every(every: str | None, photos: Iterable[Path]) -> None:
    """Refuse `--every` where no video is given.

    Raises:
        ValueError: it is given, and none of the files is a video.
    """
    # Of a damaged one it is said that it is damaged.
    if every is not None and not any(is_video(path) or path.suffix.lower() in VIDEO_SUFFIXES for path in photos):
        raise ValueError(f"--every {every} takes frames of videos, and no video is given: leave it out")


def _pictures_below(folder: Path, out: Path | None, videos: bool) -> list[Path]:
    found = PictureFolder.of(folder, out)
    if videos and (taken := [path for path, kind in found.unread.items() if kind == VIDEO]):
        found = replace(
            found,
            pictures=sorted([*found.pictures, *taken]),
            unread={path: kind for path, kind in found.unread.items() if path not in taken},
        )
    words, advice = found.passed_words(), found.advice().replace(ADVICE[VIDEO], FRAMES)
    advice = f"; {advice}" if advice else ""
    if words and not found.pictures:
        raise ValueError(f"{folder} holds no photographs that can be read, but {words}{advice}")
    if words:
        log.info(f"{folder}: skipped: {words}{advice}")
    return found.pictures


def dataset_rows(data: Path, split: str) -> pd.DataFrame:
    """Return the rows of a split of a dataset, or of `all`, with what finding their pictures takes."""
    columns = ["id", "path", "latitude", "longitude", "split", "shard", "offset", "size"]
    photos = read_manifest(data, columns)
    return photos if split == "all" else photos[photos["split"] == split]


def _of_dataset(data: Path, split: str) -> list[Photo]:
    photos = dataset_rows(data, split)
    pictures = Pictures.of_dataset(data, photos)
    places = zip(coordinates(photos).tolist(), has_coordinates(photos).tolist(), strict=True)
    truths = [(lat_deg, lon_deg) if known else None for (lat_deg, lon_deg), known in places]
    rows = zip(photos["path"], truths, photos["shard"].notna(), strict=True)
    return [
        Photo(data / path, truth_deg, (pictures, k) if packed and not (data / path).is_file() else None)
        for k, (path, truth_deg, packed) in enumerate(rows)
    ]


def unique_names(photos: Sequence[Path], reserved: Sequence[str] = ()) -> dict[Path, str]:
    """Return a name for what is written of each photograph: its stem, with a number where it is taken or `reserved`."""
    taken: set[str] = set(reserved)
    names = {}
    for photo in photos:
        numbered = (f"{photo.stem}-{number}" for number in count(2))
        # Some file systems do not tell upper from lower case.
        names[photo] = next(name for name in chain([photo.stem], numbered) if name.lower() not in taken)
        taken.add(names[photo].lower())
    return names


def files_of(photos: Sequence[Photo], out: Path) -> list[Path]:
    """Return each photograph's file; for those in shards, the one that each is to get in a folder."""
    names = unique_names([photo.path for photo in photos if photo.packed])
    return [out / f"{names[photo.path]}{photo.path.suffix}" if photo.packed else photo.path for photo in photos]


def unpacked(photos: Sequence[Photo], files: Sequence[Path]) -> list[Photo]:
    """Return photographs that all have files; those in shards get theirs of `files_of`."""
    found = []
    for photo, path in zip(photos, files, strict=True):
        if photo.packed is None:
            found.append(photo)
            continue
        pictures, index = photo.packed
        try:
            content = pictures.source(index)
        except ValueError as error:
            log.warning("left out: %s", error)
            continue
        assert isinstance(content, bytes), "what is packed lies in a shard"
        with atomic_path(path) as partial:
            partial.write_bytes(content)
        found.append(Photo(path, photo.truth_deg))
    return found


def _of_table(path: Path, out: Path | None, columns: Mapping[str, str | None]) -> list[Photo]:
    """Return the photographs that a table names, in its order, with the places that it gives them.

    Raises:
        ValueError: it cannot be read, or names no pictures.
    """
    try:
        table = read_table(path, columns)
    except ValueError:
        # Any text may end so; as a photograph it is refused by name, and the others are answered.
        if path.suffix.lower() == ".txt":
            return [Photo(path)]
        raise
    if table.pictures is not None:
        raise ValueError(
            f"{path} holds the pictures themselves: make a dataset of it (python -m fetch import {path} --out data/NAME), then "
            "predict data/NAME"
        )
    table = replace(table, photos=with_folders(table.photos, [path.parent]))
    truths = _truths(path, table)
    log.info("%s: %s", path, table.used)
    names = table.photos["picture"].tolist()
    finder = PictureFinder(path.parent, None, out, names)
    found = [finder.find(name) for name in names]
    # What is not found is named when it is read, as any other file that cannot be.
    files = [place if isinstance(place, Path) else path.parent / name for place, name in zip(found, names, strict=True)]
    return [Photo(file, truth) for file, truth, name in zip(files, truths, names, strict=True) if name]


def _truths(path: Path, table: PhotoTable) -> list[tuple[float, float] | None]:
    """Return where a table says that its photographs were taken; nothing where it cannot be read, which is said."""
    nowhere: list[tuple[float, float] | None] = [None] * len(table.photos)
    if not table.has_places:
        return nowhere
    try:
        latlon_deg, reasons = check_coordinates(table.photos)
    except ValueError as error:
        log.warning("%s: %s; photographs are answered, and not compared with the table", path, error)
        return nowhere
    return [(lat, lon) if not reason else None for (lat, lon), reason in zip(latlon_deg.tolist(), reasons, strict=True)]
