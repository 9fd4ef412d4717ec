"""Pictures are told by content, by one list, and no decoder outside of it is tried."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from plumbing.images import open_rgb
from plumbing.picture_kinds import RAW, VIDEO, decoder, kind_of, kind_of_file

KINDS = {"JPEG": "JPEG", "PNG": "PNG", "GIF": "GIF", "BMP": "BMP", "TIFF": "TIFF", "WebP": "WEBP"}


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (32, 48, 3), dtype=np.uint8))


def encoded(kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture().save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_told_by_content_whatever_the_name(kind, tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(KINDS[kind]))
    assert kind_of_file(tmp_path / "a.png") == kind
    assert open_rgb(tmp_path / "a.png").size == (48, 32)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_is_read():
    content = encoded("AVIF", quality=90)
    assert kind_of(content[:64]) == "AVIF"
    assert open_rgb(content).size == (48, 32)


def test_heic_is_read_under_any_name_and_stands_upright(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif reads HEIC")
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    if "HEIF" not in Image.SAVE:
        pytest.skip("this pillow-heif writes no HEIC")
    (tmp_path / "a.jpg").write_bytes(encoded("HEIF", exif=exif.tobytes()))
    assert kind_of_file(tmp_path / "a.jpg") == "HEIC"
    assert open_rgb(tmp_path / "a.jpg").size == (32, 48)


def test_without_its_package_heic_says_what_to_install(monkeypatch):
    decoder.cache_clear()
    monkeypatch.setattr("plumbing.picture_kinds._add_heif", lambda: None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    with pytest.raises(ValueError, match=r"picture is a HEIC file, .*\(`pip install pillow-heif`\)"):
        open_rgb(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    decoder.cache_clear()


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", VIDEO),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", RAW),
        (b"II\x2a\0\x10\0\0\0CR\2\0", RAW),
        (b"FUJIFILMCCD-RAW 0201", RAW),
        (b"\xff\x0a\xfa", "JPEG XL"),
        (b"%PDF-1.7", ""),
        (b"", ""),
    ],
)
def test_kinds_that_are_not_decoded_are_known_too(head, kind):
    assert kind_of(head) == kind


def test_a_raw_file_that_is_tiff_by_content_is_not_answered_from_its_preview(tmp_path: Path):
    (tmp_path / "a.NEF").write_bytes(encoded("TIFF"))
    with pytest.raises(ValueError, match=r"a\.NEF is a RAW file, .*exiftool -b -JpgFromRaw"):
        open_rgb(tmp_path / "a.NEF")


@pytest.mark.filterwarnings("ignore:.* image format is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", ["DDS", "SPIDER", "PCX", "TGA", "SGI", "IM", "PPM", "ICO"])
def test_rare_formats_of_pillow_are_not_opened(kind):
    file = io.BytesIO()
    (picture().convert("F") if kind == "SPIDER" else picture()).save(file, kind)
    with pytest.raises(ValueError, match="not a picture that can be read"):
        open_rgb(file.getvalue())
    assert decoder(kind) == ""


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_whatever_a_decoder_raises_becomes_the_one_message():
    content = encoded("AVIF", quality=90)
    start = content.index(b"mdat") + 4
    refused = []
    for seed in range(20):
        noise = np.random.default_rng(seed).integers(0, 256, len(content) - start, dtype=np.uint8)
        with contextlib.suppress(ValueError):
            open_rgb(content[:start] + noise.tobytes())
            continue
        refused.append(seed)
    assert refused


def test_memory_that_is_lacking_is_of_one_picture(monkeypatch):
    content = encoded("JPEG")

    def lacking(*_):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", lacking)
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.load", lacking, raising=False)
    with pytest.raises(ValueError, match=r"damaged or cut short \(MemoryError\)"):
        open_rgb(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", "a pointer of Git LFS.*git lfs pull"),
        (bytes(5000), "it begins with nothing but zeros.*Copy it again"),
    ],
)
def test_what_stands_in_for_a_picture_is_said(content, words, tmp_path):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.jpg: {words}"):
        open_rgb(tmp_path / "a.jpg")
