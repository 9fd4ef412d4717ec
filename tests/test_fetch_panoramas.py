"""Panoramas that are imported become views: photographs of their own, in one sequence, each with its direction."""

import logging

import numpy as np
import pytest
from PIL import ExifTags, Image

from dataset.manifest import read_manifest
from fetch.rejected import read_rejected
from fetch.sources.config import ImportConfig
from fetch.sources.imports import run
from tests.spheres import colours, gpano, panorama


def gps(lat: float, lon: float, direction: float | None = None) -> bytes:
    exif = Image.Exif()
    tags = {1: "S" if lat < 0 else "N", 2: (abs(lat), 0.0, 0.0), 3: "W" if lon < 0 else "E", 4: (abs(lon), 0.0, 0.0)}
    if direction is not None:
        tags[ExifTags.GPS.GPSImgDirection] = direction
    exif.get_ifd(0x8825).update(tags)
    return exif.tobytes()


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a panorama and an ordinary photograph."""
    (tmp_path / "in").mkdir()
    panorama(1024).save(
        tmp_path / "in" / "pano.jpg", xmp=gpano(PoseHeadingDegrees=300), exif=gps(48, 2, 10.0), quality=95
    )
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "in" / "plain.jpg", exif=gps(-33, 151))
    return tmp_path / "in"


def imported(source, out, **flags):
    run(ImportConfig(source=source, out=out, **flags))
    return read_manifest(out)


def test_a_panorama_becomes_four_photographs_with_their_directions(folder, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    photos = imported(folder, tmp_path / "out")
    views = photos[photos["id"] != "plain"]
    assert views["id"].tolist() == [f"pano-view-{k}" for k in (1, 2, 3, 4)]
    assert views["compass_angle"].tolist() == [300, 30, 120, 210]
    assert views["is_pano"].tolist() == [False] * 4
    assert set(views["source_id"]) == {"pano.jpg"}
    assert set(views["modification"]) == {"view of 90 degrees cut from a panorama"}
    assert set(views["width"]) == set(views["height"]) == {326}
    assert "1 panorama was cut into 4 views (--panorama off keeps it whole)" in caplog.text


def test_each_view_shows_what_lies_in_its_direction(folder, tmp_path):
    photos = imported(folder, tmp_path / "out").set_index("id")
    for number, yaw in enumerate((0, 90, 180, -90), 1):
        with Image.open(tmp_path / "out" / photos.loc[f"pano-view-{number}", "path"]) as view:
            middle = np.asarray(view, dtype=float)[161:165, 161:165].mean(axis=(0, 1))
        assert middle == pytest.approx(colours(np.array(yaw), np.array(0.0)), abs=6)


@pytest.mark.parametrize("split", ["groups", "cell"])
def test_no_split_divides_the_views_of_a_panorama_even_without_a_place(split, tmp_path):
    for name in ("France", "Chile"):
        (tmp_path / "in" / name).mkdir(parents=True)
        for k in range(6):
            panorama(512, seed=k + 10 * (name == "Chile")).save(tmp_path / "in" / name / f"{k}.jpg", xmp=gpano())
    photos = imported(
        tmp_path / "in", tmp_path / "out", folder_names="country", split=split, test_share=0.3, calibration_share=0.3
    )
    assert len(photos) == 48
    assert photos.groupby("sequence_id")["split"].nunique().max() == 1
    assert photos["sequence_id"].nunique() == 12


def test_off_stores_a_panorama_as_before(folder, tmp_path):
    photos = imported(folder, tmp_path / "out", panorama="off").set_index("id")
    assert photos.loc["pano", ["width", "height"]].tolist() == [1024, 512]
    assert photos.loc["pano", "compass_angle"] == 10


def test_a_number_cuts_so_many(folder, tmp_path):
    assert len(imported(folder, tmp_path / "out", panorama="6")) == 7


def test_run_again_nothing_is_stored_again(folder, tmp_path, caplog):
    before = imported(folder, tmp_path / "out")
    caplog.set_level(logging.INFO)
    after = imported(folder, tmp_path / "out")
    assert "5 of them stored before" in caplog.text
    assert after.equals(before)
    assert len(imported(folder, tmp_path / "out", panorama="off")) == 2
    assert len(list((tmp_path / "out" / "images").rglob("*.jpg"))) == 2


def test_a_table_says_that_a_picture_is_a_panorama_and_where_it_looks(tmp_path):
    wide = np.random.default_rng(0).integers(0, 256, (512, 1024, 3), dtype=np.uint8)
    Image.fromarray(wide).save(tmp_path / "a.jpg")
    Image.fromarray(wide[::-1]).save(tmp_path / "b.jpg")
    (tmp_path / "t.csv").write_text(
        "id,path,latitude,longitude,is_pano,compass_angle,sequence\na,a.jpg,1,2,true,45,s1\nb,b.jpg,40,50,false,90,s2\n"
    )
    photos = imported(tmp_path / "t.csv", tmp_path / "out").set_index("id")
    assert photos.index.tolist() == ["a-view-1", "a-view-2", "a-view-3", "a-view-4", "b"]
    assert photos["compass_angle"].tolist() == [45, 135, 225, 315, 90]
    assert photos["sequence_id"].tolist() == ["s1"] * 4 + ["s2"]


def test_without_gpano_the_direction_is_that_of_the_exif(tmp_path):
    (tmp_path / "in").mkdir()
    panorama(1024).save(tmp_path / "in" / "pano.jpg", exif=gps(48, 2, 350.0), quality=95)
    photos = imported(tmp_path / "in", tmp_path / "out")
    assert photos["compass_angle"].tolist() == [350, 80, 170, 260]


def test_a_torn_panorama_is_listed_and_ends_nothing(folder, tmp_path):
    torn = folder / "torn.jpg"
    torn.write_bytes((folder / "pano.jpg").read_bytes()[:6000])
    photos = imported(folder, tmp_path / "out")
    assert len(photos) == 5
    assert {(r.id, r.reason) for r in read_rejected(tmp_path / "out")} == {
        (f"torn-view-{k}", "unreadable") for k in range(1, 5)
    }


def test_a_wrong_value_is_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="--panorama is auto, off, or a number of views"):
        imported(folder, tmp_path / "out", panorama="yes")


def test_a_video_is_refused_with_the_way(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(40))
    with pytest.raises(ValueError, match=r"is a video: take photographs out of it .*mapillary_tools"):
        imported(tmp_path / "clip.mp4", tmp_path / "out")
