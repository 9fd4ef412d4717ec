"""Pixel measures separate what they are for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from dataset.nearby import hamming
from fetch.quality import colourfulness, difference_hash, measure, sharpness

NOISE = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
STREET = Image.fromarray(NOISE)

hashes = st.integers(0, 2**64 - 1)


def smooth() -> Image.Image:
    """Return a picture of large soft shapes, whose hash has no ties."""
    coarse = np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)


def test_a_flat_picture_measures_as_flat():
    flat = measure(Image.new("RGB", (64, 48), (90, 90, 90)))
    assert (flat.luma_mean, flat.luma_std, flat.sharpness, flat.colourfulness) == (90, 0, 0, 0)
    assert (flat.extreme_share, flat.dhash) == (0, 0)


@pytest.mark.parametrize(("grey", "share"), [(9, 1), (10, 0), (245, 0), (246, 1)])
def test_extreme_is_below_10_or_above_245(grey, share):
    assert measure(Image.new("RGB", (16, 16), (grey,) * 3)).extreme_share == share


def test_luma_weighs_the_colours_as_pil_does():
    assert measure(Image.new("RGB", (32, 32), (0, 255, 0))).luma_mean == Image.new("RGB", (1, 1), "lime").convert(
        "L"
    ).getpixel((0, 0))


def test_blur_lowers_sharpness():
    blurred = measure(STREET.filter(ImageFilter.GaussianBlur(3)))
    assert blurred.sharpness < 0.01 * measure(STREET).sharpness


def test_sharpness_of_one_bright_pixel_is_the_laplacians_variance_by_hand():
    luma = np.zeros((5, 5), dtype=np.float32)
    luma[2, 2] = 10
    # The nine inner values are four times 10, once -40, four times 0.
    assert sharpness(luma) == pytest.approx(np.var([10, 10, 10, 10, -40, 0, 0, 0, 0]))
    assert sharpness(luma[:2]) == 0


def test_colourfulness_of_two_pixels_agrees_with_the_paper_by_hand():
    # Pure red and pure blue: rg = 255, 0; yb = 127.5, -255.
    pixels = np.array([[[255, 0, 0], [0, 0, 255]]], dtype=np.float32)
    spread = np.hypot(127.5, 191.25)
    assert colourfulness(pixels) == pytest.approx(spread + 0.3 * np.hypot(127.5, -63.75), rel=1e-6)
    assert colourfulness(np.repeat(NOISE[..., :1], 3, axis=-1).astype(np.float32)) == 0


def test_sharpness_hardly_depends_on_the_stored_size():
    at_2048, at_1024 = (measure(smooth().resize((side, side * 3 // 4))).sharpness for side in (2048, 1024))
    assert at_2048 == pytest.approx(at_1024, rel=0.1)


def test_the_hash_has_a_bit_for_each_step_to_brighter():
    steps = Image.fromarray(np.tile(np.arange(0, 90, 10, dtype=np.uint8), (8, 1)))
    assert difference_hash(steps) == 2**64 - 1
    assert difference_hash(steps.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0
    first_row_only = np.zeros((8, 9), dtype=np.uint8)
    first_row_only[0] = np.arange(0, 90, 10)
    assert difference_hash(Image.fromarray(first_row_only)) == 0xFF << 56


def test_a_resized_compressed_picture_keeps_its_hash_within_four_bits():
    small = smooth().resize((200, 150)).quantize(64).convert("RGB")
    assert hamming(np.uint64(difference_hash(smooth())), np.uint64(difference_hash(small))) <= 4
    assert hamming(np.uint64(difference_hash(smooth())), np.uint64(difference_hash(STREET))) > 12


@given(hashes, hashes)
def test_hamming_counts_bits(a, b):
    assert hamming(np.uint64(a), np.uint64(b)) == (a ^ b).bit_count()


@pytest.mark.parametrize("size", [(1, 1), (1, 600), (600, 1), (3, 3)])
def test_the_smallest_pictures_can_be_measured(size):
    assert measure(Image.new("RGB", size, "white")).luma_mean == 255
