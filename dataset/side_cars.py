"""What lies beside a photograph and says where it was taken: XMP side-cars, and the JSON files of Google Takeout."""

import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from plumbing.text import folded_name

LatLon = tuple[float, float]

SIDE_CAR_BYTES = 1 << 20
"""A larger file is no side-car."""
ESTIMATED = "ESTIMATED FROM PICTURE"
"""What the side-cars of `infer predict --sidecars` say of how their place was found: it is an answer, not an observation."""
SUPPLEMENT = "supplemental-metadata"
TAKEOUT_LENGTH = 46
"""Google Takeout cuts the names of its JSON files to so many characters before `.json`."""
OTHER_KINDS = (
    ".heic", ".heif", ".jpg", ".jpeg", ".png", ".webp", ".dng", ".gif", ".mp.jpg", ".mov", ".mp4", ".mp", "",
)  # fmt: skip
"""Endings of what belongs to the same note: the two halves of a live photo, and copies of another kind."""

_NUMBERED = re.compile(r"(.*)(\(\d+\))")
_COPY = re.compile(r"(.+)~\d+")
_EDITED = re.compile(
    r"(.+)-(?:edited|edit|effects|animation|collage|bearbeitet|modifi[eé]|editado|editada|ha editado|editat|modificato|bewerkt|"
    r"edytowane|redigerad|redigeret|redigert|muokattu|düzenlendi|изменено|отредактировано|upraveno|upravené|szerkesztve|編集済み|"
    r"已修改|已編輯|已编辑|수정됨)",
    re.IGNORECASE,
)
_LETTERS = re.compile(r"(.+)-[^\W\d_](?:[^\W\d_]|[ \u0300-\u036f])*")
"""Edited in whatever language, perhaps cut; it counts only where the original lies beside."""


@dataclass(frozen=True)
class TakeoutNote:
    """What the JSON file of Google Takeout says of a photograph; None where it does not say."""

    latlon_deg: LatLon | None = None
    captured_at_utc: datetime | None = None


def xmp_side_car(photo: Path) -> bytes:
    """Return the XMP side-car of a photograph: NAME.jpg.xmp, or NAME.xmp; empty where there is none."""
    names = _names(photo.parent)
    for name in (f"{photo.name}.xmp", f"{photo.stem}.xmp"):
        if found := names.get(folded_name(name)):
            return _content(photo.parent / found)
    return b""


def takeout_note(photo: Path) -> TakeoutNote:
    """Return what the JSON file of Google Takeout says that belongs to a photograph, in all the ways Takeout names it."""
    names = _names(photo.parent)
    if not any(name.endswith(".json") for name in names):
        return TakeoutNote()
    for name in _takeout_names(photo):
        found = names.get(folded_name(f"{name}.json"))
        note = _note(_content(photo.parent / found)) if found else None
        if note is not None:
            return note
    return TakeoutNote()


def _takeout_names(photo: Path) -> Iterator[str]:
    """Yield names of JSON files, without ending, that could belong to a photograph, the likeliest first."""
    yield from _notes_of(photo.stem, photo.suffix)
    yield photo.name
    yield photo.stem
    originals = [photo.stem, *_originals(photo)]
    for original in originals[1:]:
        yield from _notes_of(original, photo.suffix)
    for original in originals:
        for suffix in OTHER_KINDS:
            yield from _notes_of(original, suffix)


def _originals(photo: Path) -> Iterator[str]:
    """Yield stems of photographs that this one may be an edited copy of; the number of a double may stand before or behind."""
    stem, number = _parted(unicodedata.normalize("NFC", photo.stem))
    if copy := _COPY.fullmatch(stem):
        yield copy[1] + number
    if (edited := _EDITED.fullmatch(stem)) or (
        (edited := _LETTERS.fullmatch(stem)) and _lies_beside(photo, edited[1] + number)
    ):
        yield edited[1] + number


def _lies_beside(photo: Path, stem: str) -> bool:
    endings = (photo.suffix, ".HEIC", ".heic", ".JPG", ".jpg")
    return any(photo.with_name(stem + ending).is_file() for ending in endings)


def _parted(stem: str) -> tuple[str, str]:
    """Return a stem without the number of a double, and that number: `IMG_1` and `(2)`."""
    numbered = _NUMBERED.fullmatch(stem)
    return (numbered[1], numbered[2]) if numbered else (stem, "")


def _notes_of(stem: str, suffix: str) -> Iterator[str]:
    """Yield names of notes of one photograph; the number of a double stands behind."""
    original, number = _parted(stem)
    name = f"{original}{suffix}"
    whole = f"{name}.{SUPPLEMENT}"
    # NAME.jpg.json, or any beginning of NAME.jpg.supplemental-metadata.json.
    for length in [len(whole), *range(len(name), len(whole))]:
        yield whole[:length] + number
    yield whole[: TAKEOUT_LENGTH - len(number)] + number
    yield whole[:TAKEOUT_LENGTH] + number
    yield original + number


def _note(content: bytes) -> TakeoutNote | None:
    """Return what a file says, None where it is not of Takeout."""
    try:
        about = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(about, dict) or not {"geoData", "geoDataExif", "photoTakenTime"} & set(about):
        return None
    places = (_place(about.get(key)) for key in ("geoDataExif", "geoData"))
    return TakeoutNote(next((place for place in places if place), None), _time(about.get("photoTakenTime")))


def _place(about: Any) -> LatLon | None:
    """Return a place; Takeout writes 0, 0 where it knows none."""
    if not isinstance(about, Mapping):
        return None
    try:
        lat_deg, lon_deg = float(about["latitude"]), float(about["longitude"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    known = (lat_deg, lon_deg) != (0, 0) and abs(lat_deg) <= 90 and abs(lon_deg) <= 180
    return (lat_deg, lon_deg) if known else None


def _time(about: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(about["timestamp"]), UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None


def _content(path: Path) -> bytes:
    """Return what a side-car holds; nothing of what is not an ordinary file, such as a pipe, which nobody may ever fill."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            content = file.read(SIDE_CAR_BYTES + 1)
    except OSError:
        return b""
    return content if len(content) <= SIDE_CAR_BYTES else b""


def _names(folder: Path) -> Mapping[str, str]:
    """Return the side-cars of a folder by their folded names."""
    try:
        return _listed(str(folder), folder.stat().st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=8)
def _listed(folder: str, changed_at: int) -> Mapping[str, str]:
    return {folded_name(name): name for name in os.listdir(folder) if name.lower().endswith((".xmp", ".json"))}
