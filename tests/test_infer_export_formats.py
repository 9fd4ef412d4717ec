import json

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
import torch
from PIL import Image

from dataset.metadata_location import metadata_locations
from infer.claims import same_place_record
from infer.config import InferConfig
from infer.export.formats import _xmp_degrees, write_format, write_sidecars
from infer.export.tables import as_csv, as_geojson
from infer.model import load_model
from infer.network.devices import pick_device
from infer.predict import main
from tests.tiny import PLACES, write_square

BOXES = shapely.MultiPolygon([shapely.box(170, -20, 180, -10), shapely.box(-180, -20, -170, -10)])


def record(name="a.jpg", confidence=0.8, stated=()):
    cells = [{"id": "0/1", "probability": 0.9}]
    return {
        "input": name,
        "sha256": "ab" * 32,
        "point": {"latitude": -18.5, "longitude": 178.25, "method": "median"},
        "place": {"name": "Suva & more", "country_code": "FJ", "distance_km": 2.0},
        "levels": [{"level": "L8", "cells": cells, "cut_mass": 0.1, "confidence": confidence}],
        "exif": None,
        "stated": list(stated),
        "warnings": [],
        "model": {"run": "demo", "hash": "cd" * 32, "version": "1", "created": "2026"},
        "regions": [
            {
                "coverage": 0.9,
                "level": "L8",
                "area_km2": 12.5,
                "countries": [{"code": "FJ", "share": 1.0}],
                "geometry": shapely.geometry.mapping(BOXES),
            }
        ],
    }


def test_a_geopackage_opens_in_gdal_with_the_same_geometry(tmp_path):
    path = write_format(tmp_path, [record(), record("b.jpg")], "gpkg")
    points = geopandas.read_file(path, layer="points")
    regions = geopandas.read_file(path, layer="regions")
    assert points.crs == regions.crs == "EPSG:4326"
    assert list(points["input"]) == ["a.jpg", "b.jpg"]
    assert (points.geometry.y[0], points.geometry.x[0]) == (-18.5, 178.25)
    assert regions.geometry[0].equals(BOXES)
    assert list(tmp_path.iterdir()) == [path]


def test_kml_opens_in_gdal_with_the_same_geometry(tmp_path):
    path = write_format(tmp_path, [record('<"&>.jpg')], "kml")
    point = geopandas.read_file(path, layer="points").geometry.iloc[0]
    region = geopandas.read_file(path, layer="regions").geometry.iloc[0]
    assert (point.y, point.x) == (-18.5, 178.25)
    assert shapely.union_all(shapely.get_parts(region)).equals(BOXES)


def test_parquet_has_the_columns_of_the_table(tmp_path):
    table = pd.read_parquet(write_format(tmp_path, [record(), record("b.jpg")], "parquet"))
    assert list(table["input"]) == ["a.jpg", "b.jpg"]
    assert table["latitude"].tolist() == [-18.5, -18.5]


def test_every_table_says_how_fine_the_answer_dares_to_be(tmp_path):
    asked = {**record(), "answer_level": "L3", "answer_words": "not sure below L3: cell 0/1 (70% sure)"}
    given = [asked, {**record("b.jpg"), "answer_level": None, "answer_words": "not sure even of L1"}, record("c.jpg")]
    header, first, second, third = (row.split(",") for row in as_csv(given).splitlines())
    columns = ["answer_level", "answer_words"]
    at = [header.index(name) for name in columns]
    assert [[row[k] for k in at] for row in (first, second, third)] == [
        ["L3", "not sure below L3: cell 0/1 (70% sure)"],
        ["", "not sure even of L1"],
        ["", ""],
    ]
    features = as_geojson(given)["features"]
    assert [[f["properties"][name] for name in columns] for f in features] == [
        ["L3", "not sure below L3: cell 0/1 (70% sure)"],
        [None, "not sure even of L1"],
        [None, None],
    ]
    frames = [
        pd.read_parquet(write_format(tmp_path, given, "parquet")),
        geopandas.read_file(write_format(tmp_path, given, "gpkg"), layer="points"),
    ]
    for frame in frames:
        assert frame["answer_level"].isna().tolist() == [False, True, True]
        assert frame["answer_words"].tolist()[:2] == [one["answer_words"] for one in given[:2]]


def test_answers_without_regions_are_written_all_the_same(tmp_path):
    bare = {key: value for key, value in record().items() if key != "regions"}
    for name in ("gpkg", "kml", "parquet"):
        assert write_format(tmp_path, [bare], name).is_file()


@pytest.mark.parametrize(
    "value, sides, text",
    [(-18.5, "NS", "18,30.00000S"), (2.35, "EW", "2,21.00000E"), (59.99999999, "NS", "60,0.00000N")],
)
def test_degrees_are_written_as_xmp_wants_them(value, sides, text):
    assert _xmp_degrees(value, sides) == text


def test_side_cars_say_the_place_and_only_sure_photographs_without_coordinates_have_one(tmp_path):
    stated = [{"source": "EXIF", "latitude": 1.0, "longitude": 2.0}]
    records = [record(), record("unsure.jpg", 0.3), record("known.jpg", 0.9, stated), record("deep/a.jpg")]
    written = write_sidecars(tmp_path, records, 0.5)
    assert [path.name for path in written] == ["a.jpg.xmp", "abababab-a.jpg.xmp"]
    assert metadata_locations(written[0])["XMP"] == pytest.approx((-18.5, 178.25))
    assert "hypothesis" in written[0].read_text()


def test_of_photographs_of_one_place_each_without_coordinates_has_a_side_car(tmp_path):
    stated = [{"source": "EXIF", "latitude": 1.0, "longitude": 2.0}]
    each = [record("a/x.jpg"), record("b/x.jpg"), record("c/x.jpg", stated=stated), record("y.jpg")]
    each[1]["sha256"] = "01" * 32
    written = write_sidecars(tmp_path, [same_place_record(each, [0.9] * 4, [])], 0.5)
    assert [path.name for path in written] == ["x.jpg.xmp", "01010101-x.jpg.xmp", "y.jpg.xmp"]
    written = write_sidecars(tmp_path, [same_place_record(each[2:], [0.9] * 2, [])], 0.5)
    assert [path.name for path in written] == ["y.jpg.xmp"]


@pytest.fixture
def planted(tmp_path):
    plain = write_square(tmp_path / "in" / "plain.jpg", PLACES["paris"][2], np.random.default_rng(0))
    words = 'exif:GPSLatitude="33,52S" exif:GPSLongitude="151,12E"'
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a {words}/></x:xmpmeta>'.encode()
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "S", 2: (33.0, 52.0, 0.0), 3: "E", 4: (151.0, 12.0, 0.0)})
    content, path = plain.read_bytes(), tmp_path / "in" / "planted.jpg"
    packets = (0xE1, exif.tobytes()), (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp), (0xFE, b"-33.8688, 151.2093")
    segments = [bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2) + body for marker, body in packets]
    path.write_bytes(content[:2] + b"".join(segments) + content[2:])
    return plain, path


def test_planted_coordinates_give_the_same_logits(planted, tiny_run):
    model = load_model(tiny_run, pick_device("cpu"))
    ours, theirs = (model.logits(model.transform.pixels(path)[None]) for path in planted)
    assert set(metadata_locations(planted[1])) == {"EXIF", "XMP", "comment"}
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def answers(photos, run, out, **flags):
    main(InferConfig(photos=tuple(photos), run=run, out=out, maps=False, workers=0, device="cpu", **flags))
    return json.loads((out / "predictions.json").read_text())


def test_side_cars_of_a_run_that_knows_no_confidence_are_refused(planted, tiny_run, tmp_path):
    with pytest.raises(ValueError, match=r"^--sidecars needs to know how often run is right: run `python -m train"):
        answers(planted, tiny_run, tmp_path / "out", sidecars=0.5)
    assert not (tmp_path / "out").exists()


def test_side_cars_need_no_regions(planted, calibrated, tmp_path):
    plain, _ = answers(planted, calibrated, tmp_path / "out", sidecars=1e-6, coverage=())
    assert plain["levels"][-1]["confidence"] > 1e-6
    assert [path.name for path in (tmp_path / "out" / "sidecars").iterdir()] == ["plain.jpg.xmp"]


def test_the_places_that_any_photograph_of_a_place_states_are_compared(planted, calibrated, tmp_path):
    (given,) = answers(planted, calibrated, tmp_path / "out", same_place=True, coverage=(0.5,), sidecars=1e-6)
    plain, other = given["photographs"]
    assert (plain["stated"], [place["source"] for place in other["stated"]]) == ([], ["EXIF", "XMP", "comment"])
    assert given["stated"] == other["stated"]
    (alone,) = answers(planted[1:], calibrated, tmp_path / "alone", coverage=(0.5,))
    assert (other["sha256"], plain["sha256"]) == (alone["sha256"], given["sha256"])
    assert plain["sha256"] != other["sha256"]
    assert given["exif"]["latitude"] == alone["exif"]["latitude"]
    assert all({"distance_km", "region_coverage", "in_region"} <= set(place) for place in other["stated"])
    words = [warning.split(" says ")[0] for warning in given["warnings"] if " says " in warning]
    assert words == [f"{planted[1]}'s {source}" for source in ("EXIF", "XMP", "comment")]
    assert [path.name for path in (tmp_path / "out" / "sidecars").iterdir()] == ["plain.jpg.xmp"]


def test_every_file_asked_for_is_written_and_originals_stay_as_they_are(planted, calibrated, tmp_path):
    before = [path.read_bytes() for path in planted]
    out = tmp_path / "out"
    flags = {"formats": ("parquet", "kml", "gpkg"), "strip": True, "sidecars": 0.5}
    plain, given = answers(planted, calibrated, out, **flags)
    assert [path.read_bytes() for path in planted] == before
    assert {path.name for path in out.iterdir()} >= {
        f"predictions.{name}" for name in ("json", "parquet", "kml", "gpkg")
    }
    assert metadata_locations(out / "stripped" / "planted.jpg") == {}
    assert plain["stated"] == []
    assert [place["source"] for place in given["stated"]] == ["EXIF", "XMP", "comment"]
    assert given["audit"]["flags"]["formats"] == ["parquet", "kml", "gpkg"]
    assert given["point"] == plain["point"]
