import csv
import json
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
import torch
from PIL import Image

from dataset.metadata_location import metadata_locations
from infer.__main__ import predict as main
from infer.config import InferConfig
from infer.export.formats import write_format
from infer.export.tables import as_csv, as_geojson
from infer.export.xmp import _xmp_degrees, write_sidecars
from infer.model import load_model
from infer.network.devices import pick_device
from infer.prediction import Cell, Country, LevelPrediction, MetadataLocation, Photograph, Place, Prediction, Region
from tests.tiny import PLACES, write_square

BOXES = shapely.MultiPolygon([shapely.box(170, -20, 180, -10), shapely.box(-180, -20, -170, -10)])


def record(name="a.jpg", confidence=0.8, located=False, **changes):
    country = Country("FJ", "Fiji", 1.0)
    level = LevelPrediction("L8", (Cell("0/1", 0.9, -18.5, 178.25, 4, (-20, 170, -10, -170)),), 0.1, confidence)
    said = (MetadataLocation("EXIF", 1.0, 2.0, 3.0),) if located else ()
    given = replace(
        Prediction.example(),
        input=Path(name).name,
        path=name,
        sha256="ab" * 32,
        latitude=-18.5,
        longitude=178.25,
        place=Place("Suva & more", "FJ", "Fiji", 2.0),
        confidence=confidence,
        levels={"L8": level},
        regions={0.9: Region(0.9, "L8", 1, 12.5, 0.9, (country,), shapely.geometry.mapping(BOXES))},
        metadata=said,
    )
    return replace(given, **changes)


def photograph(name, sha="ab" * 32, located=False):
    return Photograph(Path(name).name, name, sha, located, 0.9, False)


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
    points = geopandas.read_file(path, layer="points")
    assert points["Name"].tolist() == ['<"&>.jpg']
    point = points.geometry.iloc[0]
    region = geopandas.read_file(path, layer="regions").geometry.iloc[0]
    assert (point.y, point.x) == (-18.5, 178.25)
    assert shapely.union_all(shapely.get_parts(region)).equals(BOXES)


def test_parquet_has_the_columns_of_the_table(tmp_path):
    table = pd.read_parquet(write_format(tmp_path, [record(), record("b.jpg")], "parquet"))
    assert list(table["input"]) == ["a.jpg", "b.jpg"]
    assert table["latitude"].tolist() == [-18.5, -18.5]


def test_every_table_says_how_fine_the_answer_is(tmp_path):
    abstained = {"latitude": None, "longitude": None, "place": None}
    given = [
        record(answer_level="L3", headline="Somewhere in Fiji", **abstained),
        record("b.jpg", answer_level=None, headline="Anywhere on land", **abstained),
        record("c.jpg"),
    ]
    rows = list(csv.DictReader(as_csv(given).splitlines()))
    assert [row["answer_level"] for row in rows] == ["L3", "", "L3"]
    assert [row["headline"] for row in rows] == ["Somewhere in Fiji", "Anywhere on land", "Most likely India"]
    assert [row["latitude"] for row in rows] == ["", "", "-18.5"]
    pins = [f for f in as_geojson(given)["features"] if f["properties"]["kind"] == "point"]
    assert [f["geometry"] is None for f in pins] == [True, True, False]
    assert pd.read_parquet(write_format(tmp_path, given, "parquet"))["latitude"].isna().tolist() == [True, True, False]
    assert len(geopandas.read_file(write_format(tmp_path, given, "gpkg"), layer="points")) == 1


def test_every_file_says_confidence_warnings_and_no_folder(tmp_path):
    given = [record("home/me/holiday.jpg", warnings=("trained on the synthetic demo planet",))]
    for name in ("kml", "gpkg"):
        table = geopandas.read_file(write_format(tmp_path, given, name), layer="points")
        assert "demo planet" in " ".join(str(value) for value in table.iloc[0])
        assert "home/me" not in " ".join(str(value) for value in table.iloc[0])
    text = (tmp_path / "predictions.kml").read_text()
    assert "confidence 80%" in text
    assert "home/me" not in text
    collection = json.dumps(as_geojson(given))
    assert "home/me" not in collection
    assert collection.count("demo planet") == 2
    assert "demo planet" in write_sidecars(tmp_path, given, 0.5)[0].read_text()


def test_geojson_holds_the_regions_and_the_table_their_areas():
    collection = as_geojson([record()])
    point, region = collection["features"]
    assert point["properties"]["region_90_km2"] == region["properties"]["area_km2"] == 12.5
    assert shapely.geometry.shape(region["geometry"]).equals(BOXES)


def test_answers_without_regions_are_written_all_the_same(tmp_path):
    bare = record(regions={})
    for name in ("gpkg", "kml", "parquet"):
        assert write_format(tmp_path, [bare], name).is_file()


@pytest.mark.parametrize(
    "value, sides, text",
    [(-18.5, "NS", "18,30.00000S"), (2.35, "EW", "2,21.00000E"), (59.99999999, "NS", "60,0.00000N")],
)
def test_degrees_are_written_as_xmp_wants_them(value, sides, text):
    assert _xmp_degrees(value, sides) == text


def test_side_cars_say_the_place_and_only_confident_photographs_without_coordinates_have_one(tmp_path):
    given = [record(), record("doubtful.jpg", 0.3), record("known.jpg", 0.9, located=True), record("deep/a.jpg")]
    written = write_sidecars(tmp_path, given, 0.5)
    assert [path.name for path in written] == ["a.jpg.xmp", "abababab-a.jpg.xmp"]
    assert "18,30.00000S" in written[0].read_text()
    assert "178,15.00000E" in written[0].read_text()
    assert metadata_locations(written[0]) == {}, "an answer is no place that a photograph says"
    assert "hypothesis" in written[0].read_text()


def test_an_abstaining_answer_has_no_side_car(tmp_path):
    assert write_sidecars(tmp_path, [record(latitude=None, longitude=None)], 0.5) == []


def test_of_photographs_of_one_place_each_without_coordinates_has_a_side_car(tmp_path):
    each = (
        photograph("a/x.jpg"),
        photograph("b/x.jpg", "01" * 32),
        photograph("c/x.jpg", located=True),
        photograph("y.jpg"),
    )
    written = write_sidecars(tmp_path, [record(photographs=each)], 0.5)
    assert [path.name for path in written] == ["x.jpg.xmp", "01010101-x.jpg.xmp", "y.jpg.xmp"]
    written = write_sidecars(tmp_path, [record(photographs=each[2:])], 0.5)
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
    with pytest.raises(
        ValueError, match=r"^--sidecars 0\.5 needs a calibrated run and run is not: run `python -m train calibrate`"
    ):
        answers(planted, tiny_run, tmp_path / "out", sidecars=0.5)
    assert not (tmp_path / "out").exists()


def test_side_cars_need_no_regions(planted, calibrated, tmp_path):
    plain, _ = answers(planted, calibrated, tmp_path / "out", sidecars=1e-6, coverage=())
    assert plain["levels"][-1]["confidence"] > 1e-6
    assert [path.name for path in (tmp_path / "out" / "sidecars").iterdir()] == ["plain.jpg.xmp"]


def test_the_metadata_locations_of_all_photographs_of_a_place_are_compared(planted, calibrated, tmp_path):
    (given,) = answers(planted, calibrated, tmp_path / "out", same_place=True, coverage=(0.5,), sidecars=1e-6)
    plain, other = given["photographs"]
    assert (plain["located"], other["located"]) == (False, True)
    assert [place["source"] for place in given["metadata"]] == ["EXIF", "XMP", "comment"]
    assert {place["input"] for place in given["metadata"]} == {"planted.jpg"}
    (alone,) = answers(planted[1:], calibrated, tmp_path / "alone", coverage=(0.5,))
    assert (other["sha256"], plain["sha256"]) == (alone["sha256"], given["sha256"])
    assert plain["sha256"] != other["sha256"]
    assert given["metadata"][0]["latitude"] == alone["metadata"][0]["latitude"]
    assert all(place["distance_km"] > 0 and place["region_coverage"] == 0.5 for place in given["metadata"])
    outside = [place["source"] for place in given["metadata"] if not place["in_region"]]
    words = [warning.split(" says ")[0] for warning in given["warnings"] if " says " in warning]
    assert words == [f"planted.jpg: {source}" for source in outside]
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
    assert plain["metadata"] == []
    assert [place["source"] for place in given["metadata"]] == ["EXIF", "XMP", "comment"]
    assert (given["latitude"], given["longitude"]) == (plain["latitude"], plain["longitude"])
