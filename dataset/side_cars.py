"""What lies beside a photograph and says where it was taken: XMP side-cars, and the JSON files of Google Takeout."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

LatLon = tuple[float, float]

SIDE_CAR_BYTES = 1 << 20
"""A larger file is no side-car."""
ESTIMATED = "ESTIMATED FROM PICTURE"
"""What the side-cars of `infer predict --sidecars` say of how their place was found: it is an answer, not an observation."""
SUPPLEMENT = ".supplemental-metadata"
TAKEOUT_LENGTH = 46
"""Google Takeout cuts the names of its JSON files to so many characters before `.json`."""

_NUMBERED = re.compile(r"(.*)(\(\d+\))")
_EDITED = re.compile(
    r"(.+)-(?:edited|bearbeitet|modifi[eé]|editado|editada|modificato|bewerkt|edytowane|redigerad|redigeret|redigert|muokattu|"
    r"düzenlendi|изменено|отредактировано|upraveno|編集済み|已修改|已編輯|수정됨)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TakeoutNote:
    """What the JSON file of Google Takeout says of a photograph; None where it does not say."""

    latlon_deg: LatLon | None = None
    captured_at_utc: datetime | None = None


def xmp_side_car(photo: Path) -> bytes:
    """Return the XMP side-car of a photograph: NAME.jpg.xmp, or NAME.xmp; empty where there is none."""
    names = _names(photo.parent)
    for name in (f"{photo.name}.xmp", f"{photo.stem}.xmp"):
        if found := names.get(name.casefold()):
            return _content(photo.parent / found)
    return b""


def takeout_note(photo: Path) -> TakeoutNote:
    """Return what the JSON file of Google Takeout says that belongs to a photograph, in all the ways Takeout names it."""
    names = _names(photo.parent)
    for name in _takeout_names(photo):
        found = names.get(f"{name}.json".casefold())
        note = _note(_content(photo.parent / found)) if found else None
        if note is not None:
            return note
    return TakeoutNote()


def _takeout_names(photo: Path) -> Iterator[str]:
    """Yield names of JSON files, without ending, that could belong to a photograph."""
    stem, number = photo.stem, ""
    if numbered := _NUMBERED.fullmatch(stem):
        stem, number = numbered.groups()
    originals = [stem] + ([edited[1]] if (edited := _EDITED.fullmatch(stem)) else [])
    for original in originals:
        name = f"{original}{photo.suffix}"
        whole = f"{name}{SUPPLEMENT}"
        # NAME.jpg.json, or any beginning of NAME.jpg.supplemental-metadata.json; the number of a double stands behind.
        for length in [len(whole), *range(len(name), len(whole))]:
            yield whole[:length] + number
        yield whole[: TAKEOUT_LENGTH - len(number)] + number
        yield whole[:TAKEOUT_LENGTH] + number
        yield original + number
    yield photo.name
    yield photo.stem


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
    except (KeyError, TypeError, ValueError):
        return None
    known = (lat_deg, lon_deg) != (0, 0) and abs(lat_deg) <= 90 and abs(lon_deg) <= 180
    return (lat_deg, lon_deg) if known else None


def _time(about: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(about["timestamp"]), UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(SIDE_CAR_BYTES + 1)
    except OSError:
        return b""
    return content if len(content) <= SIDE_CAR_BYTES else b""


def _names(folder: Path) -> Mapping[str, str]:
    """Return the side-cars of a folder by their names in small letters."""
    try:
        return _listed(str(folder), folder.stat().st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=8)
def _listed(folder: str, changed_at: int) -> Mapping[str, str]:
    return {name.casefold(): name for name in os.listdir(folder) if name.lower().endswith((".xmp", ".json"))}
