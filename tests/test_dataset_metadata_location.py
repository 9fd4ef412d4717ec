import io

import numpy as np
import piexif
import pytest
from PIL import Image, PngImagePlugin

from dataset.metadata_location import metadata_locations
from dataset.xmp import latlon_of_xmp
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
        ("exif:GPSLatitude = \"48,51.5n\"\n exif:GPSLongitude = '2,21 w'", (48 + 51.5 / 60, -2.35)),
        ('exif:GPSDestLatitude="1,0N" exif:GPSLatitude="48,30N" exif:GPSLongitude="2,30E"', (48.5, 2.5)),
        ('exif:GPSLatitude="48&#176; 30\' 0&quot; S" exif:GPSLongitude="2 deg 30\' 0&quot; W"', (-48.5, -2.5)),
        (
            'exif:GPSLatitude="33.5" exif:GPSLatitudeRef="S" exif:GPSLongitude="70.5" exif:GPSLongitudeRef="W"',
            (-33.5, -70.5),
        ),
    ],
)
def test_coordinates_in_xmp_are_found(tmp_path, words, place):
    path = saved(tmp_path / "a.jpg", xmp=XMP.format(words).encode())
    assert metadata_locations(path)["XMP"] == pytest.approx(place)


@pytest.mark.parametrize(
    "words",
    [
        'exif:GPSLatitude="48,75N" exif:GPSLongitude="2,21E"',
        'exif:GPSLatitude="48,51,396N" exif:GPSLongitude="2,21E"',
        'exif:GPSLatitude="95,0N" exif:GPSLongitude="2,21E"',
        'exif:GPSLatitude="nan" exif:GPSLongitude="inf"',
        'exif:GPSLatitude="&lol9;" exif:GPSLongitude="2,21E"',
        'exif:GPSLatitude="48,30N"',
    ],
)
def test_xmp_that_names_no_place_on_earth_states_none(tmp_path, words):
    assert metadata_locations(saved(tmp_path / "a.jpg", xmp=XMP.format(words).encode())) == {}


PLACED = XMP.format('exif:GPSLatitude="48,30N" exif:GPSLongitude="2,30E"')
SHOWN = (
    "<rdf:Description xmlns:Iptc4xmpExt='http://iptc.org/std/Iptc4xmpExt/2008-02-29/' "
    "xmlns:exif='http://ns.adobe.com/exif/1.0/'>"
    "<Iptc4xmpExt:LocationShown><rdf:Bag><rdf:li rdf:parseType='Resource'><exif:GPSLatitude>1,0N</exif:GPSLatitude>"
    "<exif:GPSLongitude>1,0E</exif:GPSLongitude></rdf:li></rdf:Bag></Iptc4xmpExt:LocationShown></rdf:Description>"
)


@pytest.mark.parametrize(
    "packet",
    [
        PLACED.encode("utf-16"),
        b"\xef\xbb\xbf" + PLACED.encode(),
        PLACED.replace("x:xmpmeta", "x:xapmeta").encode(),
        PLACED[PLACED.index("<rdf:RDF") : PLACED.index("</x:xmpmeta>")].encode(),
        PLACED.replace("exif:", "e:").replace("xmlns:exif", "xmlns:e").encode(),
        PLACED.replace("<rdf:Description", SHOWN + "<rdf:Description").encode(),
        PLACED.replace("</rdf:RDF>", "<broken></rdf:RDF>").encode(),
    ],
)
def test_packets_are_read_as_other_programs_write_them(tmp_path, packet):
    (tmp_path / "a.jpg.xmp").write_bytes(packet)
    assert metadata_locations(saved(tmp_path / "a.jpg")) == {"side-car": (48.5, 2.5)}


DRONE = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    'xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" {}{}/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize("end", ["", " <<damaged"])
@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ('drone-dji:GpsLatitude="+48.5000000" drone-dji:GpsLongitude="-2.5000000"', (48.5, -2.5)),
        ('drone-dji:GpsLatitude="-33.85" drone-dji:GpsLongtitude="151.2"', (-33.85, 151.2)),
        ('drone-dji:GpsLatitude="0.000000" drone-dji:GpsLongitude="0.000000"', None),
        ('drone-dji:GpsLatitude="91" drone-dji:GpsLongitude="2"', None),
        ('drone-dji:GpsLatitude="48.5"', None),
    ],
)
def test_drones_say_where_they_flew(fields, place, end):
    assert latlon_of_xmp(DRONE.format(fields, end)) == place


def test_what_the_camera_says_goes_before_what_the_drone_says():
    both = DRONE.format(
        'xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="10,0N" exif:GPSLongitude="20,0E" '
        'drone-dji:GpsLatitude="48.5" drone-dji:GpsLongitude="2.5"',
        "",
    )
    assert latlon_of_xmp(both) == (10, 20)


def test_a_place_that_is_shown_is_not_that_of_the_camera(tmp_path):
    packet = XMP.format("").replace("<rdf:Description", SHOWN + "<rdf:Description")
    assert metadata_locations(saved(tmp_path / "a.jpg", xmp=packet.encode())) == {}


def test_xmp_that_a_png_keeps_compressed_is_read(tmp_path):
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", PLACED, zip=True)
    picture().save(tmp_path / "a.png", pnginfo=texts)
    assert metadata_locations(tmp_path / "a.png") == {"XMP": (48.5, 2.5)}


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
