"""What a camera wrote beside the pixels: where, when and in which direction; of damaged metadata what can be read."""

import io
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from PIL import ExifTags, Image

from plumbing.picture_kinds import open_picture

PNG_START, PNG_CHUNKS, EXIF_BYTES = 8, 200_000, 1 << 24
"""Where the chunks of a PNG begin, over how many of them its EXIF is searched, and how large that may be."""


@dataclass(frozen=True)
class Metadata:
    """What EXIF says of a photograph; None where it does not say, or nothing that can be so.

    Attributes:
        latlon_deg: latitude and longitude in degrees, south and west negative.
        captured_at_utc: from the GPS clock, or from the camera's where it knows its offset from UTC.
        compass_angle: direction of view in degrees, clockwise from north, in [0, 360).
        problem: why there are no coordinates, empty when there are.
        unreadable: it could not even be opened.
        description: the text of its ImageDescription, where tools such as mapillary_tools keep theirs.
    """

    latlon_deg: tuple[float, float] | None = None
    captured_at_utc: datetime | None = None
    compass_angle: float | None = None
    problem: str = ""
    unreadable: bool = False
    description: str = ""


def read_metadata(source: Path | bytes) -> Metadata:
    """Read the EXIF of a picture without decoding it; never raises for what a file holds."""
    try:
        # Pillow warns where EXIF is damaged and reads on.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            name = source.name if isinstance(source, Path) else "it"
            with (
                source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file,
                open_picture(file, name) as picture,
            ):
                exif = undecoded_exif(picture, file)
                gps = _ifd(exif, ExifTags.IFD.GPSInfo)
                camera = _ifd(exif, ExifTags.IFD.Exif)
                description = _text(exif.get(ExifTags.Base.ImageDescription))
    # What a hostile or torn file makes a decoder raise is not a closed list.
    except Exception as error:
        return Metadata(problem=f"its metadata cannot be read ({error})", unreadable=True)
    latlon_deg, problem = _latlon_deg(gps)
    angle = _number(gps.get(ExifTags.GPS.GPSImgDirection))
    return Metadata(
        latlon_deg=latlon_deg,
        captured_at_utc=_gps_time(gps) or _camera_time(camera),
        compass_angle=None if angle is None else angle % 360,
        problem=problem,
        description=description,
    )


def undecoded_exif(picture: Image.Image, file: IO[bytes]) -> Image.Exif:
    """Return the EXIF of an opened picture without decoding a pixel.

    Pillow decodes a PNG whole to ask for EXIF behind its pixels, however many it says it has.
    """
    if picture.format == "PNG" and "exif" not in picture.info and (behind := _png_exif(file)):
        picture.info["exif"] = behind
    return Image.Image.getexif(picture)


def _png_exif(file: IO[bytes]) -> bytes:
    """Return the chunk of a PNG that holds EXIF, wherever it lies; empty where there is none."""
    before = file.tell()
    place = PNG_START
    try:
        for _ in range(PNG_CHUNKS):
            file.seek(place)
            head = file.read(8)
            length, kind = int.from_bytes(head[:4]), head[4:]
            if len(head) < 8 or kind == b"IEND":
                break
            if kind == b"eXIf" and length <= EXIF_BYTES:
                return b"Exif\0\0" + file.read(length)
            place += 12 + length
        return b""
    finally:
        file.seek(before)


def _ifd(exif: Image.Exif, tag: int) -> Mapping[int, Any]:
    """Return a block of EXIF, empty when it cannot be read: the others may be whole."""
    try:
        return exif.get_ifd(tag)
    except Exception:
        return {}


def _latlon_deg(gps: Mapping[int, Any]) -> tuple[tuple[float, float] | None, str]:
    if ExifTags.GPS.GPSLatitude not in gps or ExifTags.GPS.GPSLongitude not in gps:
        return None, "no GPS position in its EXIF"
    lat = _degrees(gps[ExifTags.GPS.GPSLatitude])
    lon = _degrees(gps[ExifTags.GPS.GPSLongitude])
    lat_sign = _sign(gps.get(ExifTags.GPS.GPSLatitudeRef), "N", "S")
    lon_sign = _sign(gps.get(ExifTags.GPS.GPSLongitudeRef), "E", "W")
    if lat is None or lon is None:
        return None, "its GPS position is damaged"
    if lat_sign is None or lon_sign is None:
        return None, "its GPS position does not say the hemisphere"
    if lat > 90 or lon > 180:
        return None, f"its GPS position is not on Earth ({lat:g}, {lon:g})"
    return (lat_sign * lat, lon_sign * lon), ""


def _degrees(value: Any) -> float | None:
    """Return degrees from degrees, minutes and seconds, of which trailing ones may be missing."""
    parts = [_number(part) for part in (value if isinstance(value, tuple | list) else (value,))]
    known = [part for part in parts[:3] if part is not None]
    if not known or len(known) < len(parts[:3]) or min(known) < 0 or any(part > 60 for part in known[1:]):
        return None
    return sum(part / 60**place for place, part in enumerate(known))


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return text.strip("\0 ")


def _sign(ref: Any, positive: str, negative: str) -> int | None:
    return {positive: 1, negative: -1}.get(_text(ref)[:1].upper())


def _gps_time(gps: Mapping[int, Any]) -> datetime | None:
    clock = gps.get(ExifTags.GPS.GPSTimeStamp)
    try:
        day = datetime.strptime(_text(gps.get(ExifTags.GPS.GPSDateStamp)), "%Y:%m:%d").replace(tzinfo=UTC)
        hours, minutes, seconds = (float(part) for part in clock or ())
        return day + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None


def _camera_time(camera: Mapping[int, Any]) -> datetime | None:
    """Return when the camera says; without its offset a local time could be any of 26 hours."""
    taken = _text(camera.get(ExifTags.Base.DateTimeOriginal))
    offset = _text(camera.get(ExifTags.Base.OffsetTimeOriginal))
    try:
        return datetime.strptime(f"{taken} {offset}", "%Y:%m:%d %H:%M:%S %z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
