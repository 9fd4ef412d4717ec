import io

import numpy as np
import pytest
import torch
from PIL import Image

from infer.network.transform import InputTransform
from plumbing.images import open_rgb

SMOOTH = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(
    (160, 120), Image.Resampling.BICUBIC
)


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def turned(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(SMOOTH, kind, exif=exif.tobytes())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_picture_that_lies_on_its_side_is_seen_upright(kind, orientation):
    content = turned(kind, orientation)
    upright = InputTransform(32).from_picture(open_rgb(content))
    assert torch.equal(InputTransform(32).pixels(content), upright)
    assert not torch.equal(upright, InputTransform(32).from_picture(SMOOTH))


@pytest.mark.parametrize("resize", ["squash", "crop"])
@pytest.mark.parametrize("size", [16, 64, 224])
def test_what_the_network_sees_is_what_pillow_would_resize_to(size, resize):
    content = encoded(SMOOTH, "PNG")
    cut = SMOOTH if resize == "squash" else SMOOTH.crop((20, 0, 140, 120))
    expected = np.asarray(cut.resize((size, size), Image.Resampling.BILINEAR)).astype(int)
    seen = InputTransform(size, resize).pixels(content)
    assert seen.dtype == torch.uint8
    np.testing.assert_allclose(seen.permute(1, 2, 0).numpy(), expected, atol=2)


@pytest.mark.parametrize("resize", ["squash", "crop"])
def test_a_large_jpeg_decoded_at_a_fraction_looks_as_it_does_whole(resize):
    content = encoded(SMOOTH.resize((1600, 1200), Image.Resampling.BICUBIC), "JPEG", quality=95)
    transform = InputTransform(32, resize)
    with Image.open(io.BytesIO(content)) as picture:
        picture.draft("RGB", (128, 128))
        assert picture.size == (200, 150), "four times the wanted size is kept"
    whole = transform.from_picture(open_rgb(content)).numpy().astype(int)
    np.testing.assert_allclose(transform.pixels(content).numpy(), whole, atol=3)


def test_a_file_that_is_no_picture_is_named(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a\.jpg: not a picture"):
        InputTransform(16).pixels(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"b\.jpg: no such file"):
        InputTransform(16).pixels(tmp_path / "b.jpg")
