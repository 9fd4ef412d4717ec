"""Where the place lies beside the picture: side-cars, notes of Google Takeout, names of files."""

import json
import os
import unicodedata

import piexif
import pytest
from PIL import Image

from dataset.file_names import latlon_of_name
from dataset.manifest import read_manifest
from dataset.metadata_location import metadata_locations, place_for_import
from dataset.side_cars import takeout_note
from fetch.rejected import read_rejected
from fetch.sources.config import ImportConfig
from fetch.sources.imports import run

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    'rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="48,51.396N" exif:GPSLongitude="2,21.132E"{}/>'
    "</rdf:RDF></x:xmpmeta>"
)
PARIS = (48.8566, 2.3522)
TAKEOUT = {
    "geoData": {"latitude": 48.8566, "longitude": 2.3522},
    "geoDataExif": {"latitude": 0.0, "longitude": 0.0},
    "photoTakenTime": {"timestamp": "1588334400"},
}


def photo(path, **settings):
    path.parent.mkdir(exist_ok=True)
    Image.effect_noise((32, 32), 60).convert("RGB").save(path, **settings)
    return path


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("IMG_1.jpg", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-meta.json"),
        ("IMG_1.jpg", "IMG_1.jpg.s.json"),
        ("IMG_1.jpg", "IMG_1.jpg..json"),
        ("IMG_1.jpg", "IMG_1.json"),
        ("IMG_1.JPG", "img_1.jpg.json"),
        ("IMG_1(2).jpg", "IMG_1.jpg(2).json"),
        ("IMG_1(2).jpg", "IMG_1.jpg.supplemental-metadata(2).json"),
        ("IMG_1(2).jpg", "IMG_1(2).jpg.json"),
        ("IMG_1-edited.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1-bearbeitet.jpg", "IMG_1.jpg.json"),
        ("a" * 47 + ".jpg", "a" * 46 + ".json"),
        ("b" * 40 + ".jpg", "b" * 40 + ".jpg.s.json"),
        ("IMG_1(1)-edited.jpg", "IMG_1.jpg(1).json"),
        ("IMG_1-edited(1).jpg", "IMG_1.jpg(1).json"),
        ("IMG_1-ha editado.jpg", "IMG_1.jpg.json"),
        (unicodedata.normalize("NFD", "IMG_1-modifié.jpg"), "IMG_1.jpg.json"),
        (unicodedata.normalize("NFD", "été.jpg"), "été.jpg.supplemental-metadata.json"),
        ("IMG_1-EFFECTS.jpg", "IMG_1.jpg.json"),
        ("PXL_1~2.jpg", "PXL_1.jpg.json"),
        ("IMG_1.MOV", "IMG_1.HEIC.json"),
        ("IMG_1.mp4", "IMG_1.jpg.supplemental-metadata.json"),
        ("PXL_1.MP", "PXL_1.MP.jpg.json"),
        ("IMG_1.jpg", "IMG_1.HEIC.supplemental-metadata.json"),
    ],
)
def test_notes_of_google_takeout_are_found_in_all_their_namings(name, note, tmp_path):
    (tmp_path / note).write_text(json.dumps(TAKEOUT))
    found = takeout_note(tmp_path / name)
    assert found.latlon_deg == PARIS
    assert found.captured_at_utc.isoformat() == "2020-05-01T12:00:00+00:00"


def test_a_note_of_another_photograph_is_not_taken(tmp_path):
    (tmp_path / "IMG_10.jpg.json").write_text(json.dumps(TAKEOUT))
    (tmp_path / "IMG_2.jpg(1).json").write_text(json.dumps(TAKEOUT))
    (tmp_path / "IMG_3.jpg.json").write_text('{"latitude": 1, "longitude": 2}')
    for name in ("IMG_1.jpg", "IMG_2.jpg", "IMG_3.jpg"):
        assert takeout_note(tmp_path / name).latlon_deg is None


def test_a_copy_edited_in_any_language_has_the_note_of_the_original_beside_it(tmp_path):
    (tmp_path / "IMG_1.jpg.json").write_text(json.dumps(TAKEOUT))
    assert takeout_note(tmp_path / "IMG_1-módosított.jpg").latlon_deg is None
    photo(tmp_path / "IMG_1.jpg")
    assert takeout_note(tmp_path / "IMG_1-módosított.jpg").latlon_deg == PARIS
    assert takeout_note(tmp_path / "IMG_1-2.jpg").latlon_deg is None


def test_its_own_note_goes_before_that_of_the_other_kind(tmp_path):
    (tmp_path / "IMG_1.HEIC.json").write_text(json.dumps(TAKEOUT))
    (tmp_path / "IMG_1.PNG.json").write_text(json.dumps({"geoData": {"latitude": 1, "longitude": 2}}))
    assert takeout_note(tmp_path / "IMG_1.PNG").latlon_deg == (1, 2)
    assert takeout_note(tmp_path / "IMG_1.HEIC").latlon_deg == PARIS


@pytest.mark.parametrize("number", ["9" * 400, "NaN", "1e999", '"x"', "[1]", "null"])
def test_numbers_that_are_no_degrees_are_no_place(number, tmp_path):
    about = f'{{"geoData": {{"latitude": {number}, "longitude": 2}}, "photoTakenTime": {{"timestamp": {number}}}}}'
    (tmp_path / "a.jpg.json").write_text(about)
    description = f'{{"MAPLatitude": {number}, "MAPLongitude": 2}}'
    path = photo(
        tmp_path / "a.jpg", exif=piexif.dump({"0th": {piexif.ImageIFD.ImageDescription: description.encode()}})
    )
    assert metadata_locations(path) == {}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_side_car_that_is_not_a_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg.json")
    os.mkfifo(tmp_path / "a.jpg.xmp")
    assert metadata_locations(photo(tmp_path / "a.jpg")) == {}


def test_a_side_car_places_what_the_camera_put_at_0_0(tmp_path):
    rationals = dict.fromkeys((piexif.GPSIFD.GPSLatitude, piexif.GPSIFD.GPSLongitude), ((0, 1), (0, 1), (0, 1)))
    exif = piexif.dump({"GPS": {piexif.GPSIFD.GPSLatitudeRef: b"N", piexif.GPSIFD.GPSLongitudeRef: b"E"} | rationals})
    path = photo(tmp_path / "photos" / "a.jpg", exif=exif)
    photo(tmp_path / "photos" / "b.jpg", exif=exif)
    assert place_for_import(path) == ("EXIF", (0, 0))
    (tmp_path / "photos" / "a.jpg.json").write_text(json.dumps(TAKEOUT))
    assert place_for_import(path) == ("Takeout", PARIS)
    run(ImportConfig(source=tmp_path / "photos", out=tmp_path / "d"))
    assert read_manifest(tmp_path / "d")[["source_id", "latitude"]].to_numpy().tolist() == [["a.jpg", PARIS[0]]]
    assert [left.reason for left in read_rejected(tmp_path / "d")] == ["at (0, 0)"]


def test_the_place_that_the_camera_noted_wins_in_takeout_and_0_0_is_none(tmp_path):
    about = TAKEOUT | {"geoDataExif": {"latitude": -1.5, "longitude": 2.5}}
    (tmp_path / "a.jpg.json").write_text(json.dumps(about))
    (tmp_path / "b.jpg.json").write_text(json.dumps({"geoData": {"latitude": 0, "longitude": 0}}))
    assert takeout_note(tmp_path / "a.jpg").latlon_deg == (-1.5, 2.5)
    assert takeout_note(tmp_path / "b.jpg").latlon_deg is None


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.xmp", "A.JPG.XMP"])
def test_xmp_side_cars_are_read_beside_the_photograph(name, tmp_path):
    (tmp_path / name).write_text(XMP.format(""))
    assert place_for_import(photo(tmp_path / "a.jpg")) == ("side-car", pytest.approx(PARIS))


def test_an_estimate_of_this_project_in_a_side_car_is_not_a_place_to_learn_from(tmp_path):
    (tmp_path / "a.jpg.xmp").write_text(XMP.format(' exif:GPSProcessingMethod="ESTIMATED FROM PICTURE"'))
    assert metadata_locations(photo(tmp_path / "a.jpg")) == {}


def test_mapillary_tools_description_and_xmp_in_the_file_are_read(tmp_path):
    about = json.dumps({"MAPLatitude": 48.8566, "MAPLongitude": 2.3522, "MAPCaptureTime": "2018_03_01_12_00_00_000"})
    exif = piexif.dump({"0th": {piexif.ImageIFD.ImageDescription: about.encode()}})
    assert metadata_locations(photo(tmp_path / "a.jpg", exif=exif)) == {"Mapillary": PARIS}
    assert place_for_import(photo(tmp_path / "b.jpg", xmp=XMP.format("").encode())) == ("XMP", pytest.approx(PARIS))


def test_a_comment_with_two_numbers_is_compared_and_not_learned_from(tmp_path):
    path = photo(tmp_path / "a.jpg", comment=b"48.8566, 2.3522")
    assert metadata_locations(path) == {"comment": PARIS}
    assert place_for_import(path) is None


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("48.8584,2.2945.jpg", (48.8584, 2.2945)),
        ("48.8566_2.3522.jpg", PARIS),
        ("-33.8688_151.2093.png", (-33.8688, 151.2093)),
        ("img_40.4168_-3.7038.jpg", (40.4168, -3.7038)),
        ("0007531_45.4642_9.1900.jpg", (45.4642, 9.19)),
        ("41.9028 12.4964.jpg", (41.9028, 12.4964)),
        ("52.5200,13.4050,90.jpg", (52.52, 13.405)),
        ("lat41.9028_lon12.4964.jpg", (41.9028, 12.4964)),
        ("@35.6762@139.6503@.jpg", (35.6762, 139.6503)),
        ("@0543256.96@4178906.70@10@S@037.75601@-122.50884@f7@@@@@201807@@.jpg", (37.75601, -122.50884)),
        ("48.85_2.29.jpg", (48.85, 2.29)),
        ("-33.8 151.2.jpg", (-33.8, 151.2)),
        ("streetview_48.85_2.29_90.jpg", (48.85, 2.29)),
        ("48.85;2.29.jpg", (48.85, 2.29)),
        ("(48.8566, 2.3522).jpg", PARIS),
        ("48.8566%2C2.3522.jpg", PARIS),
        ("48.8566_2.3522.jpeg.jpg", PARIS),
        ("lat48.8566lon2.3522.jpg", PARIS),
        ("lat=-33.8688&lon=151.2093.png", (-33.8688, 151.2093)),
        ("lat-33.8688_lon-70.5.jpg", (-33.8688, -70.5)),
        ("lon_2.3522_lat_48.8566.jpg", PARIS),
        ("S33.8688_W70.5.jpg", (-33.8688, -70.5)),
        ("48.8566N_2.3522W.jpg", (48.8566, -2.3522)),
        ("48.8566°N 2.3522°E.jpg", PARIS),
        ("+48.8566+002.3522.jpg", PARIS),
        ("@48.8566,2.3522,15z.jpg", PARIS),
        ("Boston_0000123_2014_05_180_42.3601_-71.0589_AbCdEfGhIjKlMnOpQrStUv.JPG", (42.3601, -71.0589)),
    ],
)
def test_names_of_files_of_place_recognition_are_known(name, place):
    assert latlon_of_name(name) == pytest.approx(place)


@pytest.mark.parametrize(
    "name",
    [
        "IMG_20200501_120000.jpg",
        "DSC_0001.jpg",
        "v1.2_3.4.jpg",
        "2020_05_01.jpg",
        "95.0000_10.0000.jpg",
        "photo 1.25 of 3.50.jpg",
        "2023-05-14_12.30.45.jpg",
        "IMG_20230514_123045.123.jpg",
        "12.05_14.30.jpg",
        "30.12_23.59.jpg",
        "photo 12.05, 14.30.jpg",
        "lat-48.85-lon-2.29.jpg",
        "f1.8_50.0mm.jpg",
        "48.8566-2.3522.jpg",
    ],
)
def test_other_names_hold_no_place(name):
    assert latlon_of_name(name) is None


def test_a_folder_is_imported_by_whatever_lies_beside_its_pictures(tmp_path, caplog):
    caplog.set_level("INFO")
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("side.jpg", "takeout.jpg", "48.8566_2.3522.jpg", "nowhere.jpg"):
        photo(folder / name)
    (folder / "side.jpg.xmp").write_text(XMP.format(""))
    (folder / "takeout.jpg.json").write_text(json.dumps(TAKEOUT))
    run(ImportConfig(source=folder, out=tmp_path / "d"))
    photos = read_manifest(tmp_path / "d").set_index("source_id")
    assert sorted(photos.index) == ["48.8566_2.3522.jpg", "side.jpg", "takeout.jpg"]
    assert photos["latitude"].tolist() == pytest.approx([PARIS[0]] * 3)
    assert photos["longitude"].tolist() == pytest.approx([PARIS[1]] * 3)
    assert photos.loc["takeout.jpg", "captured_at_utc"].isoformat() == "2020-05-01T12:00:00+00:00"
    assert [left.id for left in read_rejected(tmp_path / "d")] == ["nowhere.jpg"]
    assert "1 from XMP side-cars" in caplog.text
    assert "1 from Google Takeout" in caplog.text
