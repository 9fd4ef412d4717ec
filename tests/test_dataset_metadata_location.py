import io

import numpy as np
import piexif
import pytest
from PIL import Image

from dataset.metadata_location import metadata_locations
from infer.export.strip import write_stripped
from plumbing.images import open_rgb

XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" {}/></rdf:RDF></x:xmpmeta>"""


def picture(side=24):
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, side + 8, 3), dtype=np.uint8))


def gps(lat=48.5, lon=2.25, orientation=1):
    rational = [((int(value * 1000), 1000), (0, 1), (0, 1)) for value in (lat, lon)]
    block = {
        piexif.GPSIFD.GPSLatitudeRef: b"N",
        piexif.GPSIFD.GPSLatitude: rational[0],
        piexif.GPSIFD.GPSLongitudeRef: b"E",
        piexif.GPSIFD.GPSLongitude: rational[1],
    }
    return piexif.dump({"GPS": block, "0th": {piexif.ImageIFD.Orientation: orientation}})


def saved(path, **extra):
    picture().save(path, "JPEG", quality=90, **extra)
    return path


@pytest.mark.parametrize(
    "words, place",
    [
        ('exif:GPSLatitude="48,51.5N" exif:GPSLongitude="2,21W"', (48 + 51.5 / 60, -2.35)),
        ('exif:GPSLatitude="33,30,36S" exif:GPSLongitude="151,12,0E"', (-33.51, 151.2)),
        ('exif:GPSLatitude="48.25" exif:GPSLongitude="-2.5"', (48.25, -2.5)),
    ],
)
def test_coordinates_in_xmp_are_found(tmp_path, words, place):
    path = saved(tmp_path / "a.jpg", xmp=XMP.format(words).encode())
    assert metadata_locations(path)["XMP"] == pytest.approx(place)


def test_coordinates_in_a_comment_are_found(tmp_path):
    path = saved(tmp_path / "a.jpg", comment="taken at 48.8584, 2.2945 by me")
    assert metadata_locations(path) == {"comment": (48.8584, 2.2945)}


def test_a_comment_with_other_numbers_states_no_place(tmp_path):
    assert metadata_locations(saved(tmp_path / "a.jpg", comment="f/2.8, 1.25 s, 95.75, 300.25")) == {}


def test_every_source_is_told_apart(tmp_path):
    words = 'exif:GPSLatitude="10,0N" exif:GPSLongitude="20,0E"'
    path = saved(tmp_path / "a.jpg", exif=gps(), xmp=XMP.format(words).encode(), comment="30.55,40.55")
    assert metadata_locations(path) == {
        "EXIF": pytest.approx((48.5, 2.25)),
        "XMP": (10, 20),
        "comment": (30.55, 40.55),
    }


def test_a_file_that_is_no_picture_states_nothing(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 nothing")
    assert metadata_locations(tmp_path / "a.jpg") == {}


@pytest.mark.parametrize("progressive", [False, True])
def test_a_stripped_jpeg_has_the_same_pixels_and_no_metadata(tmp_path, progressive):
    words = 'exif:GPSLatitude="10,0N" exif:GPSLongitude="20,0E"'
    extra = {"exif": gps(), "xmp": XMP.format(words).encode(), "comment": "30.55,40.55", "progressive": progressive}
    path = saved(tmp_path / "a.jpg", **extra)
    before = path.read_bytes()
    copy = write_stripped(path, tmp_path / "out")
    assert metadata_locations(copy) == {}
    assert b"Exif" not in copy.read_bytes()
    assert b"30.55" not in copy.read_bytes()
    assert np.array_equal(np.asarray(open_rgb(copy)), np.asarray(open_rgb(path)))
    assert path.read_bytes() == before


def test_a_picture_on_its_side_is_upright_when_stripped(tmp_path):
    path = saved(tmp_path / "a.jpg", exif=gps(orientation=6))
    copy = write_stripped(path, tmp_path / "out")
    assert copy.suffix == ".png"
    assert np.array_equal(np.asarray(open_rgb(copy)), np.asarray(open_rgb(path)))


def test_what_follows_the_end_of_a_jpeg_is_left_out(tmp_path):
    path = saved(tmp_path / "a.jpg")
    whole = path.read_bytes()
    path.write_bytes(whole + b"secret")
    copied = write_stripped(path, tmp_path / "out").read_bytes()
    assert b"secret" not in copied
    Image.open(io.BytesIO(copied)).load()


def test_a_copy_takes_the_stem_that_it_is_given(tmp_path):
    path = saved(tmp_path / "a.jpg")
    assert write_stripped(path, tmp_path / "out", "a-2") == tmp_path / "out" / "a-2.jpg"


def test_an_original_is_never_overwritten(tmp_path):
    path = saved(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match="would be overwritten"):
        write_stripped(path, tmp_path)
