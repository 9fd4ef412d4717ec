"""XMP packets, in files and beside them: where they lie, and the place of the camera that they state.

Source: XMP Specification Part 2 (GPSCoordinate), https://developer.adobe.com/xmp/docs/XMPNamespaces/exif/
"""

import codecs
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree

import pandas as pd

from dataset.degrees import read_degrees

LatLon = tuple[float, float]

PACKET_BYTES = 1 << 22
"""A longer packet is searched as text and not read as XML."""
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
EXIF = "{http://ns.adobe.com/exif/1.0/}"
ROOTS = (b"x:xmpmeta", b"x:xapmeta", b"rdf:RDF")
NAMES = ("GPSLatitude", "GPSLongitude", "GPSLatitudeRef", "GPSLongitudeRef")
DJI = "{http://www.dji.com/drone-dji/1.0/}"
DJI_NAMES = (("GpsLatitude",), ("GpsLongitude", "GpsLongtitude"))
"""Fields of drones, in degrees; older ones misspell the second."""

_AS_TEXT = r"{}:{}\s{{0,9}}(?:=\s{{0,9}}[\"']|>)\s{{0,99}}([^\"'<]{{1,99}})"
_COORDINATE = re.compile(r"(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?(?:,(\d+(?:\.\d+)?))?\s*([NSEW])", re.IGNORECASE)


def packet_of(content: bytes) -> str:
    """Return the XMP packet of a file or of a side-car, which is plain text wherever a format keeps it; empty without one."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.decode("utf-16", "replace").encode()
    for root in ROOTS:
        start = content.find(b"<" + root)
        end = content.find(b"</" + root, start)
        if 0 <= start < end:
            return content[start : content.find(b">", end) + 1].decode("utf-8", "replace")
    return ""


def latlon_of_xmp(packet: str) -> LatLon | None:
    """Return latitude and longitude in degrees where a packet says that its picture was taken, or None.

    Places that were shown or named, which XMP keeps further inside, are others.
    """
    root = _root(packet)
    fields = _fields(packet, root, EXIF, "exif", NAMES)
    lat, lon = (_degrees(fields.get(name, ""), fields.get(f"{name}Ref", "")) for name in NAMES[:2])
    if lat is None or lon is None:
        return _of_drone(packet, root)
    return (lat, lon) if abs(lat) <= 90 and abs(lon) <= 180 else None


def _of_drone(packet: str, root: ElementTree.Element | None) -> LatLon | None:
    """Return where a drone says that it flew; it writes 0, 0 where it does not know."""
    if "drone-dji" not in packet:
        return None
    fields = _fields(packet, root, DJI, "drone-dji", [name for names in DJI_NAMES for name in names])
    texts = (next((fields[name] for name in names if name in fields), "") for names in DJI_NAMES)
    lat, lon = (_degrees(text, "") for text in texts)
    if lat is None or lon is None or not (abs(lat) <= 90 and abs(lon) <= 180) or (lat, lon) == (0, 0):
        return None
    return lat, lon


def _root(packet: str) -> ElementTree.Element | None:
    """Return a packet as XML; None of one that is not well-formed."""
    try:
        return ElementTree.fromstring(packet) if len(packet) <= PACKET_BYTES else None
    # Entities are defined in front of a packet, and so not at all.
    except ElementTree.ParseError:
        return None


def _fields(
    packet: str, root: ElementTree.Element | None, space: str, prefix: str, names: Sequence[str]
) -> Mapping[str, str]:
    """Return those fields that a packet has, by name; of one that is not well-formed those that a search finds."""
    if root is None:
        found = {name: re.search(_AS_TEXT.format(prefix, name), packet) for name in names}
        return {name: match[1].strip() for name, match in found.items() if match}
    return dict(_stated(root, space, names))


def _stated(root: ElementTree.Element, space: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for about in [root] if root.tag == f"{RDF}RDF" else root.findall(f"{RDF}RDF"):
        for description in about.findall(f"{RDF}Description"):
            for name in names:
                text = description.get(space + name) or description.findtext(space + name)
                if text:
                    yield name, text.strip()


def _degrees(text: str, side: str) -> float | None:
    """Return degrees of `48,51.5N`, of `48,51,30N`, or as people write them; None of what is not one."""
    if match := _COORDINATE.fullmatch(text):
        *parts, letter = match.groups()
        values = [float(part) for part in parts if part]
        if max(values[1:], default=0) >= 60:
            return None
        degrees = sum(value / 60**place for place, value in enumerate(values))
        return -degrees if letter.upper() in "SW" else degrees
    if "," in text:
        # Between degrees and minutes, and not in front of decimals as people write them.
        return None
    try:
        number = float(read_degrees(pd.Series([text])).degrees[0])
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    # Some programs write plain numbers and the hemisphere as EXIF has it.
    return -abs(number) if side[:1].upper() in ("S", "W") else number
