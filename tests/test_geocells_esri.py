"""Esri JSON is read as an area and as a table of points, in degrees alone."""

import json

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from dataset.places import check_coordinates
from dataset.tables.photo_table import read_table
from dataset.tables.times import utc_times
from geocells.esri import is_esri, polygon_of_rings
from geocells.natural_earth import read_polygons

DEGREES = {"wkid": 4326}
OUTER = [[5, 45], [5, 55], [15, 55], [15, 45], [5, 45]]
HOLE = [[7, 47], [9, 47], [9, 49], [7, 49], [7, 47]]
ISLAND = [[7.5, 47.5], [7.5, 48], [8, 48], [8, 47.5], [7.5, 47.5]]
AWAY = [[20, 0], [20, 1], [21, 1], [21, 0], [20, 0]]
SQUARE, INSIDE = [[0, 0], [0, 8], [8, 8], [8, 0], [0, 0]], [[2, 2], [4, 2], [4, 4], [2, 4], [2, 2]]
EXPECTED = shapely.MultiPolygon(
    [shapely.Polygon(OUTER, [HOLE]), shapely.Polygon(ISLAND), shapely.Polygon(AWAY)],
)


def written(folder, content, name="a.json"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def area(*rings, **more):
    features = [{"attributes": {"name": "x"}, "geometry": {"rings": list(rings)}}]
    return {"geometryType": "esriGeometryPolygon", "spatialReference": DEGREES, "features": features, **more}


def points(*rows, **more):
    features = [{"attributes": dict(fields), "geometry": {"x": x, "y": y}} for x, y, fields in rows]
    return {"geometryType": "esriGeometryPoint", "spatialReference": DEGREES, "features": features, **more}


@pytest.mark.parametrize(
    "content",
    [
        area(OUTER, HOLE, ISLAND, AWAY),
        area(AWAY, HOLE, ISLAND, OUTER),
        {"rings": [OUTER, HOLE, ISLAND, AWAY], "spatialReference": {"wkid": 4326, "latestWkid": 4326}},
        {"features": [{"attributes": {}, "geometry": {"rings": [r[:-1] for r in (OUTER, HOLE, ISLAND, AWAY)]}}]},
    ],
)
def test_rings_become_polygons_with_their_holes_and_islands_in_them(content, tmp_path):
    assert is_esri(content)
    assert shapely.union_all(read_polygons(written(tmp_path, content))[0]).equals(EXPECTED)


def test_rings_written_the_other_way_round_are_outlines():
    assert polygon_of_rings({"rings": [OUTER[::-1], AWAY[::-1]]}).equals(
        shapely.MultiPolygon([shapely.Polygon(OUTER), shapely.Polygon(AWAY)])
    )


@given(st.lists(st.tuples(st.integers(-17, 16), st.integers(-8, 7)), min_size=1, max_size=8, unique=True), st.randoms())
def test_squares_with_holes_have_the_area_of_both(cells, random):
    rings = []
    for x, y in cells:
        corner = np.array([10 * x, 10 * y])
        rings += [(corner + np.array(ring)).tolist() for ring in (SQUARE, INSIDE)]
    random.shuffle(rings)
    polygon = polygon_of_rings({"rings": rings})
    assert polygon.is_valid
    assert polygon.area == len(cells) * (64 - 4)


@pytest.mark.parametrize(
    "reference", [{"wkid": 102100, "latestWkid": 3857}, {"wkid": 3857}, {"wkt": "PROJCS[...]"}, {"wkid": 4269}]
)
def test_other_reference_systems_are_refused_with_the_way(reference, tmp_path):
    path = written(tmp_path, area(OUTER, spatialReference=reference))
    name = f"EPSG:{reference.get('latestWkid', reference.get('wkid'))}" if "wkid" in reference else "another"
    with pytest.raises(ValueError, match=rf"it is Esri JSON in {name}.*ogr2ogr -t_srs EPSG:4326.*outSR=4326"):
        read_polygons(path)
    path = written(tmp_path, points((2.35, 48.85, {"path": "a.jpg"}), spatialReference=reference))
    with pytest.raises(ValueError, match=rf"a\.json is Esri JSON in {name}.*ogr2ogr -t_srs EPSG:4326"):
        read_table(path)
    geometry = {"x": 2.35, "y": 48.85, "spatialReference": reference}
    with pytest.raises(ValueError, match="is Esri JSON in"):
        read_table(written(tmp_path, {"features": [{"attributes": {"path": "a.jpg"}, "geometry": geometry}]}))


def test_points_are_rows_with_their_attributes(tmp_path):
    rows = [
        (2.35, 48.85, {"OBJECTID": 1, "photo": "a.jpg", "DateTime": 1622548800000, "Direction": 12.5}),
        (-151.2, -33.9, {"OBJECTID": 2, "photo": "b.jpg", "DateTime": None, "Direction": None}),
    ]
    table = read_table(written(tmp_path, points(*rows)))
    latlon_deg, reasons = check_coordinates(table.photos)
    assert latlon_deg.tolist() == [[48.85, 2.35], [-33.9, -151.2]]
    assert reasons.tolist() == ["", ""]
    assert table.photos["picture"].tolist() == ["a.jpg", "b.jpg"]
    times = utc_times(table.photos["captured_at_utc"])
    assert pd.Timestamp(times.iloc[0]) == pd.Timestamp("2021-06-01T12:00:00Z")
    assert pd.isna(times.iloc[1])


def test_a_feature_without_a_place_is_one_of_the_rows_without(tmp_path):
    content = points(
        (2.35, 48.85, {"path": "a.jpg"}), (None, None, {"path": "b.jpg"}), ("NaN", "NaN", {"path": "c.jpg"})
    )
    content["features"].append({"attributes": {"path": "d.jpg"}, "geometry": None})
    _, reasons = check_coordinates(read_table(written(tmp_path, content)).photos)
    assert reasons.tolist() == ["", *["without coordinates"] * 3]


def test_polygons_are_no_photographs_and_points_are_no_area(tmp_path):
    with pytest.raises(ValueError, match="is Esri JSON of esriGeometryPolygon: photographs have points"):
        read_table(written(tmp_path, area(OUTER)))
    with pytest.raises(ValueError, match="Point"):
        read_polygons(written(tmp_path, points((2.35, 48.85, {"path": "a.jpg"}))))


@pytest.mark.parametrize(
    "content",
    [
        {"geometryType": "esriGeometryPoint"},
        {"geometryType": "esriGeometryPoint", "features": {}},
        {"geometryType": "esriGeometryPolygon", "features": [{"attributes": 3, "geometry": {"rings": []}}]},
        area([[0, 0]]),
        area([[0, 0], ["a", 1], [2, 2]]),
        area([[0, 0], [1e999, 1], [2, 2]]),
        {"rings": 7},
        {"rings": [[]], "spatialReference": [1]},
    ],
)
def test_damage_is_one_line(content, tmp_path):
    path = written(tmp_path, content)
    for read in (read_table, read_polygons):
        with pytest.raises(ValueError, match=r"^[^\n]*a\.json[^\n]*$"):
            read(path)
