"""Pictures of any kind become upright 8-bit RGB."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from plumbing.images import open_rgb

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def corners() -> Image.Image:
    """Return 16x24 pixels (w, h) with four colours: red, green above blue, white."""
    picture = Image.new("RGB", (16, 24), RED)
    picture.paste(GREEN, (8, 0, 16, 12))
    picture.paste(BLUE, (0, 12, 8, 24))
    picture.paste(WHITE, (8, 12, 16, 24))
    return picture


def corner_pixels(picture: Image.Image) -> list[tuple[int, ...]]:
    w, h = picture.size
    return [picture.getpixel(at) for at in ((1, 1), (w - 2, 1), (1, h - 2), (w - 2, h - 2))]


def claiming(width: int, height: int) -> bytes:
    """Return a PNG whose header claims a size; its few bytes do not hold that many pixels."""
    file = encoded(Image.new("L", (8, 8)), "PNG")
    header = b"IHDR" + struct.pack(">II", width, height) + file[24:29]
    return file[:12] + header + struct.pack(">I", zlib.crc32(header)) + file[33:]


# EXIF 2.32, table 6: what the 0th row and 0th column of the stored pixels are in the scene.
STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", STORED_AS)
def test_a_picture_stands_upright_whatever_its_orientation(orientation, kind):
    turn = STORED_AS[orientation]
    stored = corners() if turn is None else corners().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    upright = open_rgb(encoded(stored, kind, exif=exif.tobytes(), **options))
    assert upright.size == (16, 24)
    assert corner_pixels(upright) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_a_shrunk_picture_stands_upright_too(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    big = corners().resize((800, 1200), Image.Resampling.NEAREST).transpose(Image.Transpose.ROTATE_90)
    upright = open_rgb(encoded(big, kind, exif=exif.tobytes(), quality=95), max_side=48)
    assert upright.size == (32, 48)
    assert np.abs(np.subtract(corner_pixels(upright), [RED, GREEN, BLUE, WHITE])).max() <= 4


def test_nothing_but_pixels_is_left():
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 0.0), 3: "E", 4: (2.0, 17.0, 0.0)}
    file = encoded(corners(), "JPEG", exif=exif.tobytes(), comment=b"48.85, 2.29", dpi=(72, 72))
    assert open_rgb(file).info == {}


@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA", "CMYK"])
def test_pictures_of_any_mode_keep_their_colours(mode):
    source = corners().convert(mode)
    assert corner_pixels(open_rgb(encoded(source, "TIFF"))) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_pictures_without_colour_keep_their_greys(mode):
    source = Image.new("1", (8, 8), 1)
    source.paste(0, (0, 0, 4, 8))
    assert corner_pixels(open_rgb(encoded(source.convert(mode), "PNG"))) == [(0, 0, 0), WHITE] * 2


def test_cmyk_jpegs_are_read():
    assert open_rgb(encoded(Image.new("RGB", (32, 32), RED).convert("CMYK"), "JPEG", quality=95)).getpixel(
        (9, 9)
    ) == pytest.approx(RED, abs=6)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([[0, 32768, 65535]], dtype=np.uint16), "PNG"),
        (np.array([[0, 32768, 65535]], dtype=np.int32), "TIFF"),
        (np.array([[-1.0, 0.004, 1.0]], dtype=np.float32), "TIFF"),
    ],
)
def test_deep_greys_keep_black_middle_and_white(values, kind):
    grey = np.asarray(open_rgb(encoded(Image.fromarray(values), kind)))[0, :, 0]
    assert grey.tolist() == pytest.approx([0, 128, 255], abs=1)


def test_deep_greys_are_scaled_alike_from_top_to_bottom():
    ramp = np.repeat(np.linspace(0, 1, 2000, dtype=np.float32)[:, None], 4, axis=1)
    grey = np.asarray(open_rgb(encoded(Image.fromarray(ramp), "TIFF")))[:, 0, 0].astype(int)
    assert np.all(np.diff(grey) >= 0)
    assert (grey[0], grey[-1]) == (0, 255)


@pytest.mark.parametrize(
    ("values", "grey"),
    [
        ([0.2, 0.6, 0.8], [51, 153, 204]),
        ([51.0, 153.0, 204.0], [51, 153, 204]),
        ([0.0, 0.01, 0.02], [0, 127, 255]),
        ([np.nan, 0.4, 0.8], [0, 102, 204]),
        ([-np.inf, 0.5, np.inf], [0, 0, 255]),
        ([np.nan, np.nan, np.nan], [0, 0, 0]),
    ],
)
def test_decimals_of_a_usual_scale_are_read_on_it_and_gaps_are_black(values, grey):
    picture = Image.fromarray(np.array([values], dtype=np.float32))
    assert np.asarray(open_rgb(encoded(picture, "TIFF")))[0, :, 0].tolist() == pytest.approx(grey, abs=1)


def test_what_is_transparent_is_white():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert open_rgb(encoded(clear, "PNG")).getpixel((0, 0)) == WHITE
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([255, 0, 0])
    assert open_rgb(encoded(palette, "PNG", transparency=0)).getpixel((0, 0)) == WHITE


def test_of_an_animation_the_first_frame_counts():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    assert open_rgb(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])).getpixel((0, 0)) == RED
    if features.check("webp"):
        file = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
        assert open_rgb(file).getpixel((0, 0)) == RED


@pytest.mark.parametrize(
    ("size", "max_side", "expected"),
    [((100, 50), 20, (20, 10)), ((50, 100), 20, (10, 20)), ((10, 5), 20, (10, 5)), ((1000, 1), 10, (10, 1))],
)
def test_the_longer_side_is_at_most_max_side_and_nothing_grows(size, max_side, expected):
    assert open_rgb(encoded(Image.new("RGB", size), "PNG"), max_side).size == expected


def test_damaged_metadata_does_not_cost_the_picture():
    exif = Image.Exif()
    exif[0x0112] = 1
    file = encoded(corners(), "JPEG", exif=exif.tobytes())
    torn = file.replace(b"Exif\0\0MM\0*", b"Exif\0\0M?\0*").replace(b"Exif\0\0II*\0", b"Exif\0\0I?*\0")
    assert torn != file
    assert open_rgb(torn).size == (16, 24)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"", "empty"),
        (b"this is text", "not a picture"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html>", "web page"),
        (b"PK\3\4", "an archive, not a picture: unpack it"),
        (encoded(Image.effect_noise((64, 64), 50), "JPEG")[:-900], "cut short"),
        (encoded(Image.effect_noise((64, 64), 50), "PNG")[:-900], "cut short"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), r"cut short \(its beginning is not that of a whole PNG file\)$"),
        (claiming(16_000, 16_000), "16000x16000 is over 250 megapixels"),
    ],
    ids=["empty", "text", "page", "archive", "cut JPEG", "cut PNG", "only a signature", "256 megapixels"],
)
def test_what_cannot_be_read_whole_is_refused_in_words(file, words, tmp_path):
    (tmp_path / "a.jpg").write_bytes(file)
    with pytest.raises(ValueError, match=words) as refusal:
        open_rgb(tmp_path / "a.jpg")
    assert "a.jpg" in str(refusal.value)
    with pytest.raises(ValueError, match=words):
        open_rgb(file)


def test_a_missing_file_is_named():
    with pytest.raises(ValueError, match=r"none\.jpg: no such file"):
        open_rgb(Path("none.jpg"))


# Not ru_maxrss on Linux: a child's begins with what its parent held, and by then these tests hold gigabytes.
READ = """
import resource, sys
from pathlib import Path
from plumbing.images import open_rgb
size = open_rgb(Path(sys.argv[1]), 1024).size
status = Path("/proc/self/status")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if status.is_file():
    peak = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))
print(size, peak)
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "I;16"])
def test_a_hundred_megapixels_are_read_within_two_gibibytes(mode, tmp_path):
    picture = Image.new(mode, (10_000, 10_000))
    picture.save(tmp_path / "big.png", compress_level=1)
    del picture
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "big.png")],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    size, peak = done.stdout.rsplit(maxsplit=1)
    assert size == "(1024, 1024)"
    kilobytes = int(peak) if sys.platform != "darwin" else int(peak) // 1024
    assert kilobytes < 2 * 1024**2
