"""Files of polygons as people have them: GeoJSON, Esri JSON, KML, WKT, GeoPackage, shapefile; nothing that they name is followed.

Only shapefiles go through GDAL, and only when they are shapefiles by content: of other files it would take some for lists of
further files and addresses to open.
"""

import json
import re
import sqlite3
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np
import pyogrio
import shapely

from geocells.esri import esri_features, is_esri, polygon_of_rings
from geocells.outlines import ring_of

MOST_BYTES, MOST_VERTICES = 1_000_000_000, 10_000_000
"""A larger file, unpacked, or one of more vertices is refused: the finest land of Natural Earth has 0.4 million."""
SHAPEFILE, SQLITE, ZIP = b"\x00\x00\x27\x0a", b"SQLite format 3\x00", b"PK\x03\x04"
SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
KINDS = "GeoJSON, Esri JSON, KML, WKT, GeoPackage or a (zipped) shapefile"
WKT = re.compile(r"(SRID=\d+;)?\s*(MULTI)?POLYGON\b", re.IGNORECASE)
DEGREES = re.compile(r"CRS84|EPSG:+(\d*:)?4326", re.IGNORECASE)
ENVELOPES = (0, 32, 48, 48, 64)
"""Bytes of the box in the header of a geometry of a GeoPackage, by its kind."""


@dataclass
class Shapes:
    """What a file holds.

    Attributes:
        polygons: valid or not, (longitude, latitude) as written.
        columns: what is said of each, by name.
        others: shapes that are no polygons, by kind.
    """

    polygons: list[shapely.Geometry] = field(default_factory=list)
    columns: list[Mapping[str, Any]] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    vertices: int = 0

    def add(self, polygon: shapely.Geometry, columns: Mapping[str, Any]) -> None:
        """Add a polygon or multipolygon, those without area left out.

        Raises:
            ValueError: it has coordinates that are not finite, or there are too many in all.
        """
        points = shapely.get_coordinates(polygon)
        self.vertices += len(points)
        if self.vertices > MOST_VERTICES:
            raise ValueError(f"it has over {MOST_VERTICES:,} vertices: simplify it")
        if not np.isfinite(points).all():
            raise ValueError("it has coordinates that are NaN or infinite")
        if not shapely.is_empty(polygon):
            self.polygons.append(shapely.force_2d(polygon))
            self.columns.append(columns)


def read_shapes(path: Path) -> Shapes:
    """Return what a file of areas holds, told by its content.

    Raises:
        ValueError: it is of another kind, damaged or too large; in words that go on from the name of the file.
    """
    if not path.is_file():
        raise ValueError(f"not a file of polygons: name one of {KINDS}")
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"not read: it has over {MOST_BYTES / 1e9:g} GB; simplify it")
    with path.open("rb") as file:
        head = file.read(len(SQLITE))
    try:
        if head.startswith(SHAPEFILE):
            return _of_shapefile(path)
        if head.startswith(ZIP):
            return _of_zip(path)
        if head == SQLITE:
            return _of_geopackage(path)
        return _of_text(path.read_text(encoding="utf-8-sig"))
    # What hostile or torn files raise is of json, expat, sqlite, GDAL, GEOS and numpy.
    except (Exception, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"not a file of polygons that can be read ({reason}); it should be {KINDS}") from None


def _of_text(text: str) -> Shapes:
    start = text.lstrip()[:200]
    if start.startswith("{"):
        return _of_geojson(json.loads(text))
    if start.startswith("<"):
        return _of_kml(text)
    shapes = Shapes()
    if not WKT.match(start):
        raise ValueError("it is another kind of file")
    system, _, wkt = text.strip().rpartition(";")
    if system and system.partition("=")[2].strip() not in ("4326", "4979", "0"):
        raise ValueError(f"its reference system is {system}, not SRID=4326: save it in degrees")
    shapes.add(shapely.from_wkt(wkt), {})
    return shapes


def _of_geojson(content: Any) -> Shapes:
    if is_esri(content):
        return _of_esri(content)
    if content.get("type") == "Topology":
        raise ValueError("it is TopoJSON: save it as GeoJSON")
    crs = content.get("crs")
    if crs is not None and not (isinstance(crs, dict) and DEGREES.search(str(crs.get("properties", {}).get("name")))):
        raise ValueError("its crs is not EPSG:4326: save it in degrees")
    shapes = Shapes()
    for geometry, columns in _features(content):
        kind = geometry.get("type")
        if kind == "Polygon":
            shapes.add(_polygon(geometry["coordinates"]), columns)
        elif kind == "MultiPolygon":
            shapes.add(shapely.MultiPolygon([_polygon(rings) for rings in geometry["coordinates"]]), columns)
        else:
            shapes.others[str(kind)] += 1
    return shapes


def _of_esri(content: Any) -> Shapes:
    shapes = Shapes()
    try:
        for geometry, columns in esri_features(content):
            if "rings" in geometry:
                shapes.add(polygon_of_rings(geometry), columns)
            else:
                kind = next((f"Esri {part}" for part in ("curveRings", "paths", "points") if part in geometry), "Point")
                shapes.others[kind] += 1
    except ValueError as error:
        raise ValueError(re.sub(r"^is ", "it is ", str(error))) from None
    return shapes


def _features(content: Any) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """Yield each geometry, those of collections one by one, and the properties of its feature."""
    waiting: list[tuple[Any, Mapping[str, Any]]] = [(content, {})]
    while waiting:
        item, columns = waiting.pop()
        if not isinstance(item, dict):
            continue
        if item.get("type") == "FeatureCollection":
            waiting += [(feature, {}) for feature in reversed(item["features"])]
        elif item.get("type") == "Feature":
            waiting.append((item.get("geometry"), item.get("properties") or {}))
        elif item.get("type") == "GeometryCollection":
            waiting += [(part, columns) for part in reversed(item["geometries"])]
        else:
            yield item, columns


def _polygon(rings: Any) -> shapely.Polygon:
    return shapely.Polygon(ring_of(rings[0]), [ring_of(ring) for ring in rings[1:]]) if rings else shapely.Polygon()


def _of_kml(text: str) -> Shapes:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it declares entities")
    root = ElementTree.fromstring(text)
    if _tag(root) != "kml":
        raise ValueError(f"it is XML of another kind, <{_tag(root)}>")
    shapes = Shapes()
    for element in root.iter():
        tag = _tag(element)
        if tag in ("NetworkLink", "LineString", "Point"):
            shapes.others["link to another file" if tag == "NetworkLink" else tag] += 1
        if tag != "Polygon":
            continue
        outer = [ring for side in element if _tag(side) == "outerBoundaryIs" for ring in _kml_rings(side)]
        inner = [ring for side in element if _tag(side) == "innerBoundaryIs" for ring in _kml_rings(side)]
        if outer:
            shapes.add(_polygon([outer[0], *inner]), {})
    return shapes


def _kml_rings(side: ElementTree.Element) -> Iterator[list[list[float]]]:
    for element in side.iter():
        if _tag(element) == "coordinates":
            yield [[float(part) for part in point.split(",")[:2]] for point in (element.text or "").split()]


def _tag(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _of_zip(path: Path) -> Shapes:
    """Return the one shapefile or KML of a zip file."""
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if "__MACOSX" not in m.filename and not m.is_dir()]
        wanted = [m for m in members if m.filename.lower().endswith((".shp", ".kml"))]
        if len(wanted) != 1:
            raise ValueError(f"it is a zip file with {len(wanted)} files of areas (.shp, .kml) inside: leave one in it")
        stem = wanted[0].filename[:-4]
        parts = [
            m for m in members if m.filename[:-4] == stem and m.filename[-4:].lower() in (*SHAPEFILE_PARTS, ".kml")
        ]
        if sum(member.file_size for member in parts) > MOST_BYTES:
            raise ValueError(f"it has over {MOST_BYTES / 1e9:g} GB unpacked")
        if wanted[0].filename.lower().endswith(".kml"):
            return _of_kml(_unpacked(archive, wanted[0]).decode("utf-8-sig"))
        with tempfile.TemporaryDirectory() as folder:
            for member in parts:
                (Path(folder) / f"area{member.filename[-4:].lower()}").write_bytes(_unpacked(archive, member))
            return _of_shapefile(Path(folder) / "area.shp")


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member, no more of it than its header says."""
    with archive.open(member) as file:
        return file.read(member.file_size)


def _of_shapefile(path: Path) -> Shapes:
    with path.open("rb") as file:
        if file.read(4) != SHAPEFILE:
            raise ValueError("its .shp is no shapefile")
    meta, _, wkb, fields = pyogrio.raw.read(path.absolute())
    shapes = Shapes()
    for row, content in enumerate([] if wkb is None else wkb):
        _add_wkb(shapes, content, {name: values[row] for name, values in zip(meta["fields"], fields, strict=True)})
    return shapes


def _of_geopackage(path: Path) -> Shapes:
    """Return the shapes of the tables of a GeoPackage; views and virtual tables, which run what a file says, are not asked."""
    shapes = Shapes()
    with tempfile.TemporaryDirectory() as folder:
        # A copy, for a journal beside the file would be replayed.
        copy = Path(folder) / "area.gpkg"
        copy.write_bytes(path.read_bytes())
        db = sqlite3.connect(f"file:{quote(str(copy))}?mode=ro&immutable=1", uri=True)
        try:
            db.execute("pragma trusted_schema=off")
            plain = {
                name
                for name, sql in db.execute("select name, sql from sqlite_master where type = 'table'")
                if sql and not re.match(r"\s*create\s+virtual", sql, re.IGNORECASE)
            }
            for table, column in db.execute("select table_name, column_name from gpkg_geometry_columns").fetchall():
                if table not in plain:
                    shapes.others["view"] += 1
                    continue
                rows = db.execute(f'select * from "{table.replace(chr(34), chr(34) * 2)}"')
                names = [description[0] for description in rows.description]
                for row in rows:
                    values = dict(zip(names, row, strict=True))
                    _add_wkb(shapes, _without_header(values.pop(column)), values)
        finally:
            db.close()
    return shapes


def _without_header(content: Any) -> bytes | None:
    if not isinstance(content, bytes) or content[:2] != b"GP" or len(content) < 8:
        return None
    kind = content[3] >> 1 & 7
    return content[8 + ENVELOPES[kind] :] if kind < len(ENVELOPES) else None


def _add_wkb(shapes: Shapes, content: Any, columns: Mapping[str, Any]) -> None:
    """Add a geometry in WKB if its header says that it is one of polygons; collections could be nested without end."""
    if not isinstance(content, bytes) or len(content) < 5:
        return
    kind = int.from_bytes(content[1:5], "little" if content[0] == 1 else "big") & 0x0FFFFFFF
    if kind % 1000 in (3, 6):
        shapes.add(shapely.from_wkb(content), columns)
    else:
        shapes.others[shapely.GeometryType(kind % 1000).name.capitalize() if kind % 1000 < 8 else "shape"] += 1
