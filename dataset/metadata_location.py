"""Where a file, its name or a side-car says that it was taken, for import and for comparison. The network sees none of it."""

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path

from dataset.exif import read_metadata
from dataset.file_names import latlon_of_name
from dataset.side_cars import ESTIMATED, takeout_note, xmp_side_car
from plumbing.picture_kinds import open_picture
from plumbing.videos import is_video, video_latlon_deg

LatLon = tuple[float, float]

METADATA_BYTES = 1 << 26
"""Metadata lie within so many first bytes of a file."""
XMP_COORDINATE = r"exif:GPS{}(?:=[\"']|>)\s*([^\"'<]+)"
DEGREES = re.compile(r"^(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?(?:,(\d+(?:\.\d+)?))?\s*([NSEW])$")
PAIR = re.compile(r"(?<![\d.])([-+]?\d{1,2}\.\d{2,})\s*[,; ]\s*([-+]?\d{1,3}\.\d{2,})(?![\d.])")


def metadata_locations(source: Path | bytes) -> dict[str, LatLon]:
    """Return latitude and longitude by where they are stated, the most reliable first; never raises.

    The keys are `EXIF`, `XMP`, `Mapillary` (what mapillary_tools writes into the ImageDescription), `side-car` (XMP beside the
    file), `Takeout` (the JSON of Google Takeout), `video` (the tag of phones), `file name` and `comment`. Side-cars with an
    estimate of this project count for nothing.
    """
    metadata = read_metadata(source)
    found = {"EXIF": metadata.latlon_deg}
    try:
        content = source if isinstance(source, bytes) else _beginning(source)
    except OSError:
        return {}
    found |= {"XMP": _in_packet(content), "Mapillary": _in_description(metadata.description)}
    if isinstance(source, Path):
        found |= {"video": video_latlon_deg(source) if is_video(source) else None}
        found |= {"side-car": _in_packet(xmp_side_car(source)), "Takeout": takeout_note(source).latlon_deg}
        found |= {"file name": latlon_of_name(source.name)}
    found |= {"comment": _in_text(_comment(content))}
    return {where: place for where, place in found.items() if place is not None}


def place_for_import(source: Path) -> tuple[str, LatLon] | None:
    """Return where a file was taken, and by what, for a dataset; a comment with two numbers is too little to learn from."""
    return next(((where, place) for where, place in metadata_locations(source).items() if where != "comment"), None)


def _in_packet(content: bytes) -> LatLon | None:
    """Return the place of an XMP packet, None where it is an estimate."""
    text = _xmp(content)
    return None if ESTIMATED in text else _in_xmp(text)


def _in_description(text: str) -> LatLon | None:
    """Return the place in the JSON that mapillary_tools writes into the EXIF."""
    if "MAPLatitude" not in text:
        return None
    try:
        about = json.loads(text)
        return (
            _on_earth(float(about["MAPLatitude"]), float(about["MAPLongitude"])) if isinstance(about, Mapping) else None
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _beginning(path: Path) -> bytes:
    """Return as much of a file as holds its metadata, however large it is."""
    with path.open("rb") as file:
        return file.read(METADATA_BYTES)


def _xmp(content: bytes) -> str:
    """Return the XMP packet; it is plain text wherever a format keeps it."""
    start = content.find(b"<x:xmpmeta")
    end = content.find(b"</x:xmpmeta>", start)
    return content[start:end].decode("utf-8", "replace") if 0 <= start < end else ""


def _in_xmp(text: str) -> LatLon | None:
    values = [re.search(XMP_COORDINATE.format(name), text) for name in ("Latitude", "Longitude")]
    lat, lon = (_degrees(match.group(1).strip()) if match else None for match in values)
    return _on_earth(lat, lon)


def _degrees(text: str) -> float | None:
    """Return degrees of `48,51.5N`, `48,51,30N` (the XMP specification) or a plain number."""
    if match := DEGREES.match(text):
        *parts, side = match.groups()
        value = sum(float(part) / 60**place for place, part in enumerate(parts) if part)
        return -value if side in "SW" else value
    try:
        return float(text)
    except ValueError:
        return None


def _comment(content: bytes) -> str:
    try:
        with open_picture(io.BytesIO(content), "it") as picture:
            parts = [picture.info.get(key) for key in ("comment", "Comment", "Description")]
    # What a hostile or torn file makes a decoder raise is not a closed list.
    except Exception:
        return ""
    return " ".join(p.decode("utf-8", "replace") if isinstance(p, bytes) else str(p) for p in parts if p)


def _in_text(text: str) -> LatLon | None:
    match = PAIR.search(text)
    return _on_earth(float(match.group(1)), float(match.group(2))) if match else None


def _on_earth(lat: float | None, lon: float | None) -> LatLon | None:
    if lat is None or lon is None or not (abs(lat) <= 90 and abs(lon) <= 180):
        return None
    return lat, lon
