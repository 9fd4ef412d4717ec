"""Rows of answers: the known place, how far the answer is from it, and where a person can look at it."""

import csv
import re
from dataclasses import replace
from html import unescape
from urllib.parse import parse_qs, urlsplit

import numpy as np
import piexif
import pytest

from dataset.manifest import read_manifest
from geocells.sphere import distance_km
from infer.__main__ import predict as main
from infer.config import InferConfig
from infer.prediction import Cell, LevelPrediction, MetadataLocation, Prediction
from infer.review import google_maps_url, openstreetmap_url
from tests.tiny import write_square
from viz.maps.prediction import prediction_html


def said_by(*sources):
    places = tuple(MetadataLocation(source, 10.0 + k, 20.0, 100.0 + k) for k, source in enumerate(sources))
    return replace(Prediction.example(), metadata=places)


@pytest.mark.parametrize(
    ("sources", "chosen"),
    [
        (("EXIF", "dataset"), "dataset"),
        (("comment", "XMP"), "XMP"),
        (("XMP", "EXIF"), "EXIF"),
        (("EXIF", "EXIF"), "EXIF"),
    ],
)
def test_the_known_place_is_that_of_the_most_reliable_source_and_of_the_first_of_several(sources, chosen):
    prediction = said_by(*sources)
    row, number = prediction.to_row(), sources.index(chosen)
    assert row["known_from"] == chosen
    assert (row["known_latitude"], row["known_distance_km"]) == (10.0 + number, 100.0 + number)


def test_without_a_known_place_its_columns_are_empty():
    row = said_by().to_row()
    assert [row[f"known_{name}"] for name in ("latitude", "longitude", "distance_km", "from")] == [None] * 4


def of_countries(best="RU", **changes):
    """Return an answer of a run of countries without coordinates."""
    level = LevelPrediction("country", (Cell(best, 0.92, None, None, 9, None),), 0.08, 0.78)
    values = {
        "levels": {"country": level},
        "answer_level": "country",
        "latitude": None,
        "longitude": None,
        "place": None,
    }
    return replace(Prediction.example(), **{**values, "regions": {}, **changes})


def test_a_country_without_a_point_stands_in_the_table_and_in_the_geojson():
    row = of_countries().to_row()
    assert (row["country_code"], row["country"]) == ("RU", "Russia")
    (feature,) = of_countries().to_geojson()["features"]
    assert (feature["geometry"], feature["properties"]["country_code"]) == (None, "RU")
    own = of_countries("Narnia").to_row()
    assert (own["country_code"], own["country"]) == (None, "Narnia")


def test_a_country_that_is_not_answered_stands_in_no_table():
    assert of_countries(answer_level=None).to_row()["country"] is None
    levels = {"L1": of_countries("0").levels["country"], **of_countries().levels}
    assert of_countries(levels=levels, answer_level="L1").to_row()["country_code"] is None
    labels = {"class": of_countries().levels["country"]}
    assert of_countries(levels=labels, answer_level="class").to_row()["country"] is None
    assert Prediction.example().to_row()["country"] == "India"


def test_links_lead_to_the_point_in_degrees():
    row = Prediction.example().to_row()
    assert parse_qs(urlsplit(row["google_maps"]).query) == {"api": ["1"], "query": ["11.000000,60.000000"]}
    parts = urlsplit(row["openstreetmap"])
    assert parse_qs(parts.query) == {"mlat": ["11.000000"], "mlon": ["60.000000"]}
    assert parts.fragment == "map=10/11.000000/60.000000"
    nowhere = replace(Prediction.example(), latitude=None, longitude=None, place=None)
    assert (nowhere.to_row()["google_maps"], nowhere.to_row()["openstreetmap"]) == (None, None)
    assert google_maps_url(-0.1234567, -179.9).endswith("query=-0.123457,-179.900000")


def test_the_page_links_to_the_point_and_to_each_stated_place():
    page = prediction_html(Prediction.example())
    links = [
        unescape(link) for link in re.findall(r'<a href="([^"]+)" target="_blank" rel="noopener noreferrer">', page)
    ]
    wanted = [(11.0, 60.0), (12.0, 61.0)]
    assert links == [url for place in wanted for url in (google_maps_url(*place), openstreetmap_url(*place))]


def test_a_folder_is_told_its_errors_by_exif_and_a_dataset_by_its_manifest(tiny, tiny_run, tmp_path, capsys):
    folder = tmp_path / "in"
    for k, lat in enumerate((40, 50)):
        write_square(folder / f"{k}.jpg", (230, 40, 40), np.random.default_rng(0))
        gps = {
            piexif.GPSIFD.GPSLatitudeRef: b"N",
            piexif.GPSIFD.GPSLatitude: ((lat, 1), (0, 1), (0, 1)),
            piexif.GPSIFD.GPSLongitudeRef: b"E",
            piexif.GPSIFD.GPSLongitude: ((5, 1), (0, 1), (0, 1)),
        }
        piexif.insert(piexif.dump({"GPS": gps}), str(folder / f"{k}.jpg"))
    write_square(folder / "no-place.jpg", (230, 40, 40), np.random.default_rng(0))
    flags = {"run": tiny_run, "maps": False, "workers": 0, "device": "cpu"}
    main(InferConfig(photos=(folder,), out=tmp_path / "a", **flags))
    with (tmp_path / "a" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["known_from"] for row in rows] == ["EXIF", "EXIF", ""]
    away = [
        distance_km((float(row["latitude"]), float(row["longitude"])), (lat, 5))
        for row, lat in zip(rows[:2], (40, 50), strict=True)
    ]
    assert [float(row["known_distance_km"]) for row in rows[:2]] == pytest.approx(away, abs=1e-2)
    spread = f"median {np.mean(away):,.0f} km, from {min(away):,.0f} to {max(away):,.0f} km"
    assert f"distance from the known place, of 2 answers: {spread}\n" in capsys.readouterr().out
    main(InferConfig(photos=(folder / "0.jpg",), out=tmp_path / "one", **flags))
    assert f"distance from the known place: {away[0]:,.0f} km\n" in capsys.readouterr().out
    main(InferConfig(photos=(tiny,), out=tmp_path / "b", **flags))
    with (tmp_path / "b" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    photos = read_manifest(tiny).set_index("path")
    assert {row["known_from"] for row in rows} == {"dataset"}
    for row in rows:
        truth = photos.loc[row["input"].removeprefix(f"{tiny}/")]
        assert float(row["known_latitude"]) == pytest.approx(truth["latitude"])
    assert "of 12 answers: 25 %" in capsys.readouterr().out
