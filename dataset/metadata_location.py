"""Where a file, its name or a side-car says that it was taken, for import and for comparison. The network sees none of it."""

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset.exif import read_metadata
from dataset.file_names import latlon_of_name
from dataset.side_cars import ESTIMATED, takeout_note, xmp_side_car
from dataset.xmp import latlon_of_xmp, packet_of
from plumbing.picture_kinds import open_picture
from plumbing.videos import is_video, video_latlon_deg

LatLon = tuple[float, float]

METADATA_BYTES = 1 << 26
"""Metadata lie within so many first bytes of a file."""
NOWHERE = (0, 0)
COMMENTS, PACKETS = ("comment", "Comment", "Description"), ("xmp", "XML:com.adobe.xmp")
"""Where Pillow keeps what it finds of comments and of XMP packets."""
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
    written = _written(content)
    packet = packet_of(content) or written.packet
    found |= {"XMP": _in_packet(packet), "Mapillary": _in_description(metadata.description)}
    if isinstance(source, Path):
        found |= {"video": video_latlon_deg(source) if is_video(source) else None}
        side_car = packet_of(xmp_side_car(source))
        found |= {"side-car": _in_packet(side_car), "Takeout": takeout_note(source).latlon_deg}
        found |= {"file name": latlon_of_name(source.name)}
    found |= {"comment": _in_text(written.comment)}
    return {where: place for where, place in found.items() if place is not None}


def place_for_import(source: Path) -> tuple[str, LatLon] | None:
    """Return where a file was taken, and by what, for a dataset; a comment with two numbers is too little to learn from.

    Devices write 0, 0 where they know no place: that one is returned only where nothing else says more.
    """
    found = [(where, place) for where, place in metadata_locations(source).items() if where != "comment"]
    return next((stated for stated in found if stated[1] != NOWHERE), next(iter(found), None))


def _in_packet(packet: str) -> LatLon | None:
    """Return the place of an XMP packet, None where it is an estimate."""
    return None if ESTIMATED in packet else latlon_of_xmp(packet)


def _in_description(text: str) -> LatLon | None:
    """Return the place in the JSON that mapillary_tools writes into the EXIF."""
    if "MAPLatitude" not in text:
        return None
    try:
        about = json.loads(text)
        lat_deg, lon_deg = (about[key] for key in ("MAPLatitude", "MAPLongitude"))
        return None if isinstance(lat_deg, bool) else _on_earth(float(lat_deg), float(lon_deg))
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None


def _beginning(path: Path) -> bytes:
    """Return as much of a file as holds its metadata, however large it is."""
    with path.open("rb") as file:
        return file.read(METADATA_BYTES)


@dataclass(frozen=True)
class _Written:
    """Texts that a format keeps in a way of its own, such as compressed: comments, and an XMP packet."""

    comment: str = ""
    packet: str = ""


def _written(content: bytes) -> _Written:
    try:
        with open_picture(io.BytesIO(content), "it") as picture:
            comment, packet = (
                " ".join(_text(picture.info[key]) for key in keys if picture.info.get(key))
                for keys in (COMMENTS, PACKETS)
            )
    # What a hostile or torn file makes a decoder raise is not a closed list.
    except Exception:
        return _Written()
    return _Written(comment, packet_of(packet.encode()))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _in_text(text: str) -> LatLon | None:
    match = PAIR.search(text)
    return _on_earth(float(match.group(1)), float(match.group(2))) if match else None


def _on_earth(lat: float | None, lon: float | None) -> LatLon | None:
    if lat is None or lon is None or not (abs(lat) <= 90 and abs(lon) <= 180):
        return None
    return lat, lon
