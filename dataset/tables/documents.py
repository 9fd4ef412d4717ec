"""Tables that are documents: JSON and JSON lines, GeoJSON, Esri JSON, COCO and iNaturalist, mapillary_tools, KML."""

import io
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd

from dataset.tables.code_pages import decoded
from dataset.tables.headings import is_known, known_headings
from geocells.esri import esri_features, is_esri
from plumbing.text import counted

log = logging.getLogger(__name__)

_WGS84 = re.compile(r"(CRS84|EPSG:+4326|EPSG:+4979|4326)$", re.IGNORECASE)
_PICTURE_IN_HTML = re.compile(r"""<img[^>]+src\s*=\s*["']([^"']+)""", re.IGNORECASE)


def read_json(content: bytes, path: Path) -> pd.DataFrame:
    """Return the records of JSON or JSON lines as rows; parts of nested ones under headings such as `location.lat`.

    Raises:
        ValueError: it is damaged, or holds no records.
    """
    text = decoded(content, path).replace("\x1e", "").strip()  # RFC 8142 puts it before each feature.
    try:
        records = _records(json.loads(text))
    except json.JSONDecodeError as error:
        records = _lines(text, path, error)
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply to be a table of photographs") from None
    except ValueError as error:
        raise ValueError(f"{path} {error}") from None
    return pd.DataFrame([_flat(record) for record in records], dtype=object)


def _lines(text: str, path: Path, error: json.JSONDecodeError) -> list[dict[str, Any]]:
    """Return one record a line; `error` is what is wrong with the text as one document."""
    records: list[dict[str, Any]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            where, reason = (error.lineno, error.msg) if number == 1 else (number, "not a record")
            raise ValueError(f"{path} is damaged JSON: line {where}: {reason}") from None
        if not isinstance(record, dict):
            raise ValueError(f"{path}: line {number} is not a record but {line[:40]!r}")
        records += _records(record) if record.get("type") == "Feature" else [record]
    return records


def _records(content: Any) -> list[dict[str, Any]]:
    """Return the records of a document of any known kind.

    Raises:
        ValueError: it holds none; the rest of a sentence about the file.
    """
    if isinstance(content, list):
        if not all(isinstance(record, dict) for record in content):
            raise ValueError(
                'is a list of something else than records such as {"file_name": "a.jpg", "lat": 1, "lon": 2}'
            )
        return content
    if not isinstance(content, dict):
        raise ValueError("is not a list of records")
    if content.get("type") in ("FeatureCollection", "Feature"):
        return _features(content)
    if is_esri(content):
        return _esri_points(content)
    if isinstance(content.get("images"), list):
        return _with_licences(content)
    lists = {
        key: value for key, value in content.items() if isinstance(value, list) and value and isinstance(value[0], dict)
    }
    if len(lists) == 1:
        return _records(next(iter(lists.values())))
    if isinstance(content.get("columns"), list) and isinstance(content.get("data"), list):
        return _by_rows(content["columns"], content["data"])
    if len(known_headings(content)) > 1 and all(isinstance(value, list) for value in content.values()):
        if len({len(column) for column in content.values()}) > 1:
            raise ValueError("has columns of several lengths: export it again")
        return _by_rows(list(content), list(map(list, zip(*content.values(), strict=True))))
    if len(inner := [value for value in content.values() if isinstance(value, dict)]) == 1 and not known_headings(
        content
    ):
        return _records(inner[0])
    if content and all(isinstance(value, dict) for value in content.values()):
        return _keyed(content)
    if content and all(isinstance(value, list) and len(value) == 2 for value in content.values()):
        return [{"path": name, "latlon": place} for name, place in content.items()]
    if len(known_headings(content)) > 1:
        return [content]
    raise ValueError("holds no list of photographs: its parts are " + (", ".join(list(content)[:8]) or "none"))


def _by_rows(headings: list[Any], rows: list[Any]) -> list[dict[str, Any]]:
    """Return the records of rows without headings.

    Raises:
        ValueError: a row is not as long as the headings.
    """
    if not all(isinstance(row, list) and len(row) == len(headings) for row in rows):
        raise ValueError("has rows that are not as long as its columns: export it again")
    return [dict(zip(map(str, headings), row, strict=True)) for row in rows]


def _features(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    crs = content.get("crs")
    name = str((crs.get("properties") or {}).get("name", "")) if isinstance(crs, dict) else ""
    if name and not _WGS84.search(name):
        raise ValueError(f"is in {name}: convert it to WGS 84 (ogr2ogr -t_srs EPSG:4326 wgs84.geojson ...)")
    features = content.get("features") if content["type"] == "FeatureCollection" else [content]
    if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
        raise ValueError("is GeoJSON without a list of features")
    return [
        {
            **({"id": f["id"]} if "id" in f else {}),
            **(f.get("properties") or {}),
            "geometry": _single(f.get("geometry")),
        }
        for f in features
    ]


def _esri_points(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the features of Esri JSON that are points."""
    records = []
    for geometry, attributes in esri_features(content):
        if geometry and "x" not in geometry:
            kind = content.get("geometryType") or "shapes that are no points"
            raise ValueError(f"is Esri JSON of {kind}: photographs have points (esriGeometryPoint)")
        x, y = geometry.get("x"), geometry.get("y")
        known = isinstance(x, int | float) and isinstance(y, int | float)
        records.append({**attributes, "geometry": {"type": "Point", "coordinates": [x, y]} if known else None})
    return records


def _single(geometry: Any) -> Any:
    """Return the only point of a multipoint or of a collection, any other geometry as it is."""
    if isinstance(geometry, dict):
        places, parts = geometry.get("coordinates"), geometry.get("geometries")
        if geometry.get("type") == "MultiPoint" and isinstance(places, list) and len(places) == 1:
            return {"type": "Point", "coordinates": places[0]}
        if geometry.get("type") == "GeometryCollection" and isinstance(parts, list) and len(parts) == 1:
            return parts[0]
    return geometry


def _with_licences(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the images of COCO or iNaturalist, their licences by name."""
    images = [image for image in content["images"] if isinstance(image, dict)]
    listed = content.get("licenses")
    licences = (
        {one.get("id"): one.get("name") for one in listed if isinstance(one, dict)} if isinstance(listed, list) else {}
    )
    return [
        image | ({"license": licences[image["license"]]} if image.get("license") in licences else {})
        for image in images
    ]


def _keyed(content: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return records that lie under the names of their pictures, or columns as pandas writes them."""
    if known_headings(content):
        rows = {str(row) for column in content.values() for row in column}
        ordered = sorted(rows, key=lambda row: (len(row), row))
        return [{heading: column.get(row) for heading, column in content.items()} for row in ordered]
    has_path = any(
        is_known(heading) and "picture" in known_headings([heading]) for one in content.values() for heading in one
    )
    return [record if has_path else {"path": name, **record} for name, record in content.items()]


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a record without records inside it, except places."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict) and "coordinates" not in value and prefix.count(".") < 4:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def read_kml(content: bytes, path: Path) -> pd.DataFrame:
    """Return the placemarks of KML that have a point; `name` where no field names the picture.

    Raises:
        ValueError: it is damaged, or something else than KML.
    """
    text = content.replace(b"\0", b"")  # It may be UTF-16.
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise ValueError(f"{path} declares entities, which tables of photographs have no use for: export it again")
    try:
        placemarks = list(_placemarks(content))
    except (ElementTree.ParseError, RecursionError) as error:
        raise ValueError(f"{path} is damaged KML ({error})") from None
    rows = [row for row in placemarks if row.get("geometry")]
    if len(rows) < len(placemarks):
        log.info(
            f"{path}: {len(placemarks) - len(rows):,} of {counted(len(placemarks), 'placemark')} left out: without a "
            "point"
        )
    table = pd.DataFrame(rows, dtype=object)
    if len(table) and "picture" not in known_headings(table.columns.drop("name", errors="ignore")):
        table = table.rename(columns={"name": "path"})
    return table


def _placemarks(content: bytes) -> Iterator[dict[str, Any]]:
    for _, element in ElementTree.iterparse(io.BytesIO(content)):
        if _tag(element) in ("Placemark", "PhotoOverlay"):
            yield _placemark(element)
            element.clear()


def _placemark(element: ElementTree.Element) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for part in element.iter():
        tag, text = _tag(part), (part.text or "").strip()
        if tag in ("name", "when") and tag not in row:
            row["timestamp" if tag == "when" else tag] = text
        elif tag == "Data":
            row[part.get("name", "")] = next(((v.text or "").strip() for v in part if _tag(v) == "value"), "")
        elif tag == "SimpleData":
            row[part.get("name", "")] = text
        elif tag == "description" and (picture := _PICTURE_IN_HTML.search(text)):
            row["image"] = picture[1]
        elif tag == "Point":
            row["geometry"] = _point(part)
        elif tag == "Icon" and _tag(element) == "PhotoOverlay":
            row["image"] = next(((h.text or "").strip() for h in part if _tag(h) == "href"), "")
    return row


def _point(element: ElementTree.Element) -> dict[str, Any] | None:
    for part in element.iter():
        if _tag(part) == "coordinates":
            numbers: Sequence[str] = (part.text or "").strip().split(",")
            return {"type": "Point", "coordinates": [number.strip() for number in numbers]}
    return None


def _tag(element: ElementTree.Element) -> str:
    return str(element.tag).rsplit("}", 1)[-1]
