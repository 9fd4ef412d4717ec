"""Coordinates, time and direction as a camera wrote them."""

import csv
import io
import struct
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from dataset.exif import Metadata, read_metadata


def photo(gps: dict | None = None, camera: dict | None = None) -> bytes:
    exif = Image.Exif()
    if gps:
        exif.get_ifd(0x8825).update(gps)
    if camera:
        exif.get_ifd(0x8769).update(camera)
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif.tobytes())
    return file.getvalue()


def dms(degrees: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    micro = round(abs(degrees) * 3600 * 10_000)
    return (
        IFDRational(micro // 36_000_000, 1),
        IFDRational(micro // 600_000 % 60, 1),
        IFDRational(micro % 600_000, 10_000),
    )


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_what_is_written_in_any_hemisphere_is_read(lat_deg, lon_deg):
    refs = {1: "S" if lat_deg < 0 else "N", 3: "W" if lon_deg < 0 else "E"}
    metadata = read_metadata(photo({**refs, 2: dms(lat_deg), 4: dms(lon_deg)}))
    assert metadata.latlon_deg == pytest.approx((lat_deg, lon_deg), abs=1e-7)
    assert metadata.problem == ""


PARIS = {1: "N", 2: (48.0, 51.5, 0.0), 3: "E", 4: (2.0, 21.0, 0.0)}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({2: None}, "no GPS position"),
        ({1: None}, "hemisphere"),
        ({3: "\0"}, "hemisphere"),
        ({2: (91.0, 0.0, 0.0)}, "not on Earth"),
        ({2: (48.0, 75.0, 0.0)}, "damaged"),
        ({2: (IFDRational(0, 0), IFDRational(0, 0), IFDRational(0, 0))}, "damaged"),
        ({2: (IFDRational(48, 1), IFDRational(5, 0), IFDRational(0, 1))}, "damaged"),
    ],
)
def test_a_position_that_cannot_be_meant_is_none_and_says_why(changed, words):
    gps = {tag: value for tag, value in {**PARIS, **changed}.items() if value is not None}
    metadata = read_metadata(photo(gps))
    assert metadata.latlon_deg is None
    assert words in metadata.problem


def test_decimal_degrees_and_minutes_without_seconds_are_read():
    assert read_metadata(photo({**PARIS, 2: (48.858333,)})).latlon_deg == pytest.approx((48.858333, 2.35), abs=1e-6)


def test_the_gps_clock_is_utc():
    gps = {**PARIS, 7: (14.0, 41.0, 49.0), 29: "2008:10:23"}
    camera = {36867: "2008:10:22 16:43:21", 36881: "+02:00"}
    assert read_metadata(photo(gps, camera)).captured_at_utc == datetime(2008, 10, 23, 14, 41, 49, tzinfo=UTC)


def test_the_cameras_clock_counts_only_with_its_offset():
    with_offset = read_metadata(photo(None, {36867: "2022:08:14 14:12:31", 36881: "+03:00"}))
    assert with_offset.captured_at_utc == datetime(2022, 8, 14, 11, 12, 31, tzinfo=UTC)
    assert read_metadata(photo(None, {36867: "2022:08:14 14:12:31"})).captured_at_utc is None


def test_directions_are_in_0_to_360():
    assert read_metadata(photo({**PARIS, 17: 370.5})).compass_angle == pytest.approx(10.5)
    assert read_metadata(photo({**PARIS, 17: IFDRational(0, 0)})).compass_angle is None


def test_a_picture_without_metadata_says_nothing():
    assert read_metadata(photo()) == Metadata(problem="no GPS position in its EXIF")


@given(st.binary(max_size=300), st.integers(0, 300))
def test_damage_never_raises(noise, at):
    file = photo(PARIS)
    damaged = file[:at] + noise + file[at + len(noise) :]
    read = read_metadata(damaged)
    assert (read.latlon_deg is None) == bool(read.problem)


def test_camera_files_agree_with_their_index(shared_data):
    with (shared_data / "exif_originals" / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15
    for row in rows:
        found = read_metadata(shared_data / "exif_originals" / row["file"]).latlon_deg
        assert found == pytest.approx((float(row["latitude"]), float(row["longitude"])), abs=1e-4), row["file"]


def png_of(width: int, height: int, exif: bytes) -> bytes:
    """Return a PNG that says it is large and has its EXIF behind the pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    packed = b"".join([*(pixels.compress(row) for _ in range(height)), pixels.flush()])
    parts = [(b"IHDR", header), (b"IDAT", packed), (b"eXIf", exif), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in parts)


def test_exif_behind_the_pixels_of_a_png_is_read_and_no_pixel_is_decoded(monkeypatch):
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 0.0), 3: "E", 4: (2.0, 17.0, 0.0)}
    content = png_of(4096, 4096, exif.tobytes().removeprefix(b"Exif\0\0"))

    def decoded(*_):
        raise AssertionError("a pixel was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoded)
    assert read_metadata(content).latlon_deg == pytest.approx((48.85, 2.2833333))
