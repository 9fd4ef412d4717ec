"""Files of areas are read in all usual formats, and follow nothing that they name."""

import json
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geocells.natural_earth import read_polygons

BOX = shapely.box(5, 45, 15, 55)
KML = (
    '<kml xmlns="http://www.opengis.net/kml/2.2"><Placemark><Polygon><outerBoundaryIs><LinearRing><coordinates>'
    "5,45,0 15,45,0 15,55,0 5,55,0</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark>{}</kml>"
)


def geojson(*geometries: object, **more: object) -> str:
    features = [{"type": "Feature", "properties": {}, "geometry": geometry} for geometry in geometries]
    return json.dumps({"type": "FeatureCollection", "features": features, **more})


def square(west: float, south: float, east: float, north: float) -> dict[str, object]:
    return {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north]]]}


def written(folder: Path, content: str | bytes, name: str = "area.geojson") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        geojson(square(5, 45, 15, 55)),
        json.dumps(square(5, 45, 15, 55)),
        json.dumps({"type": "GeometryCollection", "geometries": [square(5, 45, 15, 55)]}),
        "\ufeff" + geojson(square(5, 45, 15, 55)),
        geojson(square(5, 45, 15, 55), crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}),
        KML.format(""),
        "SRID=4326;" + BOX.wkt,
        shapely.MultiPolygon([BOX]).wkt,
    ],
)
def test_an_area_is_read_whatever_the_format_and_the_name_and_whether_its_rings_are_closed(tmp_path, content):
    polygons, _ = read_polygons(written(tmp_path, content))
    assert shapely.union_all(polygons).equals(BOX)


def test_a_zipped_kml_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "area.kmz", "w") as archive:
        archive.writestr("doc.kml", KML.format(""))
    assert shapely.union_all(read_polygons(tmp_path / "area.kmz")[0]).equals(BOX)


@pytest.mark.parametrize("west, east", [(170, 190), (-190, -170), (170, -170)])
def test_areas_across_the_antimeridian_are_the_same_however_they_are_drawn(tmp_path, west, east):
    polygons, _ = read_polygons(written(tmp_path, geojson(square(west, -20, east, -10))))
    area = shapely.union_all(polygons)
    assert shapely.intersects_xy(area, 175, -15)
    assert shapely.intersects_xy(area, -175, -15)
    assert shapely.bounds(area)[0] >= -180
    assert shapely.bounds(area)[2] <= 180


VRT = "<OGRVRTDataSource><OGRVRTLayer name='a'><SrcDataSource>secret.geojson</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (VRT, "XML of another kind, <OGRVRTDataSource>"),
        ('<!DOCTYPE kml [<!ENTITY a SYSTEM "file:///etc/passwd">]><kml>&a;</kml>', "it declares entities"),
        (
            "<kml><NetworkLink><Link><href>http://x</href></Link></NetworkLink></kml>",
            "holds no polygons but 1 link to another",
        ),
        (geojson(crs={"type": "link", "properties": {"href": "http://127.0.0.1/crs"}}), "its crs is not EPSG:4326"),
        (
            geojson(crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}),
            "its crs is not EPSG:4326",
        ),
        (geojson(crs=7), "its crs is not EPSG:4326"),
        ('{"type":"Polygon","coordinates":[[[NaN,0],[1,0],[1,1],[NaN,0]]]}', "NaN or infinite"),
        ('{"type":"Polygon","coordinates":[[[1e999,0],[1,0],[1,1]]]}', "NaN or infinite"),
        ('{"type":"Polygon","coordinates":[[[0,0],[1,NaN],[1,1]]]}', "NaN or infinite"),
        ('{"type":"Polygon","coordinates":[[[0,0],[1,0]]]}', "fewer than three points"),
        ('{"type":"Polygon","coordinates":' + "[" * 100_000, "not a file of polygons that can be read"),
        ('{"type":"Polygon","coordinates":null}', "holds no polygons"),
        ('{"type":"Polygon"}', "not a file of polygons that can be read"),
        ('{"type":"FeatureCollection","features":{}}', "holds no polygons"),
        ('{"type":"Topology","objects":{}}', "TopoJSON: save it as GeoJSON"),
        (geojson({"type": "LineString", "coordinates": [[5, 45], [15, 45]]}), "holds no polygons but 1 LineString"),
        (geojson(square(1e6, 5e6, 2e6, 6e6)), "not in degrees"),
        (geojson(square(45, 120, 55, 150)), "swapped: write the longitude first"),
        ("GEOMETRYCOLLECTION(" * 100_000, "another kind of file"),
        ("POLYGON((5 45", "not a file of polygons that can be read"),
        (b"\xff\xfe\x00", "not a file of polygons that can be read"),
        (b"", "another kind of file"),
        (b"PK\x03\x04" + bytes(40), "not a file of polygons that can be read"),
        (b"SQLite format 3\x00" + bytes(100), "not a file of polygons that can be read"),
        (b"\x00\x00\x27\x0a" + bytes(100), "not a file of polygons|holds no polygons"),
    ],
)
def test_what_is_no_area_is_one_line_with_the_true_reason(tmp_path, content, reason):
    written(tmp_path, geojson(square(0, 0, 1, 1)), "secret.geojson")
    with pytest.raises(ValueError, match=reason) as refused:
        read_polygons(written(tmp_path, content))
    assert "\n" not in str(refused.value)
    assert str(tmp_path / "area.geojson") in str(refused.value)


def test_a_zip_that_hides_another_format_behind_the_name_of_a_shapefile_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "area.zip", "w") as archive:
        archive.writestr("a.shp", VRT)
    with pytest.raises(ValueError, match=r"its \.shp is no shapefile"):
        read_polygons(tmp_path / "area.zip")


@pytest.mark.parametrize("torn", [None, b"GP\0\1", b"GP\0\1\xe6\x10\0\0\1\6", "text"])
def test_rows_of_a_geopackage_without_a_whole_geometry_are_passed_by(tmp_path, torn):
    path = tmp_path / "area.gpkg"
    names = [np.array(["a", "b"], dtype=object)]
    boxes = shapely.to_wkb(np.array([BOX, BOX]))
    pyogrio.raw.write(path, boxes, names, ["name"], geometry_type="Polygon", crs="EPSG:4326")
    with sqlite3.connect(path) as db:
        for (trigger,) in db.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            db.execute(f'drop trigger "{trigger}"')
        db.execute("update area set geom = ? where name = 'b'", (torn,))
    db.close()
    assert [shape.equals(BOX) for shape in read_polygons(path)[0]] == [True]


def test_views_of_a_geopackage_are_not_asked(tmp_path):
    path = tmp_path / "area.gpkg"
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array([BOX])),
        [np.array(["a"], dtype=object)],
        ["name"],
        geometry_type="Polygon",
        crs="EPSG:4326",
    )
    with sqlite3.connect(path) as db:
        db.execute("create view hostile as select * from area")
        db.execute("update gpkg_geometry_columns set table_name = 'hostile'")
    db.close()
    with pytest.raises(ValueError, match="holds no polygons but 1 view"):
        read_polygons(path)


def test_too_many_vertices_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("geocells.area_files.MOST_VERTICES", 4)
    with pytest.raises(ValueError, match="over 4 vertices: simplify it"):
        read_polygons(written(tmp_path, geojson(square(5, 45, 15, 55))))


@given(
    st.binary(max_size=60),
    st.integers(0, 10**6),
    st.sampled_from([KML.format(""), geojson(square(1, 2, 3, 4)), BOX.wkt]),
)
def test_damage_anywhere_is_read_or_one_line(tmp_path_factory, noise, place, content):
    changed = bytearray(content.encode())
    changed[place % len(changed) : place % len(changed) + len(noise)] = noise
    path = written(tmp_path_factory.getbasetemp(), bytes(changed), "damaged")
    said = str(path)
    try:
        read_polygons(path)
    except ValueError as error:
        said = str(error)
    assert str(path) in said
