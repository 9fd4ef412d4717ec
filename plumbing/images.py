"""Pictures of any kind to upright 8-bit RGB, within bounded memory."""

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from plumbing.picture_kinds import UnreadKindError, open_picture

MAX_MEGAPIXELS = 250
"""A larger picture is refused before it is decoded: as RGB it would take most of a gigabyte."""

LARGE_MEGAPIXELS = 50
"""Of larger pictures one is decoded at a time: several threads would hold some gigabytes together."""

STRIP_ROWS = 512

UPRIGHT_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture of each EXIF orientation upright; 1 is upright."""

_large = threading.Lock()

# Pillow warns of damage that it reads past; what it cannot read past raises.
warnings.filterwarnings("ignore", module=r"PIL\.")

# `open_rgb` looks itself, before decoding; Pillow would warn of what is allowed and what is refused alike.
Image.MAX_IMAGE_PIXELS = None


def open_rgb(source: Path | bytes, max_side: int | None = None, draft_side: int | None = None) -> Image.Image:
    """Decode a picture to upright 8-bit RGB: CMYK, 16-bit, palette, grey, transparent; an animation's first frame.

    Args:
        source: a file, or the bytes of one.
        max_side: shrink so that the longer side is at most this many pixels; JPEG then decodes at a fraction of its
            size, which bounds memory and time.
        draft_side: how long both sides of such a fraction still are; twice `max_side` when None.

    Raises:
        ValueError: it cannot be decoded whole; the message says why and names a file.
    """
    name = str(source) if isinstance(source, Path) else "picture"
    if isinstance(source, Path) and not source.is_file():
        raise ValueError(f"{name}: no such file")
    if (source.stat().st_size if isinstance(source, Path) else len(source)) == 0:
        raise ValueError(f"{name}: the file is empty (0 bytes)")
    try:
        with (
            source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file,
            open_picture(file, name) as picture,
        ):
            width, height = picture.size
            if width * height <= MAX_MEGAPIXELS * 1_000_000:
                with _turn_of_large(width * height):
                    return upright_rgb(picture, max_side, draft_side)
    except UnreadKindError:
        raise
    # What a hostile or torn file makes a decoder raise is not a closed list; memory that is lacking is of one file, too.
    except Exception as error:
        raise ValueError(f"{name}: damaged or cut short ({str(error) or type(error).__name__})") from None
    raise ValueError(f"{name}: {width}x{height} is over {MAX_MEGAPIXELS} megapixels; shrink it first")


@contextlib.contextmanager
def _turn_of_large(pixels: int) -> Iterator[None]:
    """Wait until no other large picture is being decoded."""
    with _large if pixels > LARGE_MEGAPIXELS * 1_000_000 else contextlib.nullcontext():
        yield


def upright_rgb(picture: Image.Image, max_side: int | None = None, draft_side: int | None = None) -> Image.Image:
    """Return a copy of an opened picture, upright, as 8-bit RGB, without metadata, no longer than `max_side`."""
    if max_side is not None:
        # A JPEG decodes straight to 1/2, 1/4 or 1/8 of its size; twice the wanted size keeps the final filter honest.
        side = draft_side or 2 * max_side
        picture.draft("RGB", (side, side))
    picture.load()
    # Asked only now: Pillow turns a TIFF upright while loading, and then the tag is gone.
    turn = _turn(picture)
    shrink = 1.0 if max_side is None else min(1.0, max_side / max(picture.size))
    size = (max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink)))
    if picture.mode not in ("RGB", "L"):
        picture = _eight_bit_rgb(picture)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if turn is not None:
        picture = picture.transpose(turn)
    upright = picture.convert("RGB")
    upright.info = {}
    return upright


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """Return what turns a picture upright; None where damaged metadata hides it, for the pixels are still good."""
    try:
        return UPRIGHT_BY.get(picture.getexif().get(0x0112, 1))
    # What damage makes the parser raise is not a closed list.
    except Exception:
        return None


def _eight_bit_rgb(picture: Image.Image) -> Image.Image:
    """Return an RGB picture of any mode, strip by strip, so that large ones never stand in memory three times."""
    extrema = _white_and_black(picture) if picture.mode == "F" else None
    rgb = Image.new("RGB", picture.size)
    for top in range(0, picture.height, STRIP_ROWS):
        strip = picture.crop((0, top, picture.width, min(top + STRIP_ROWS, picture.height)))
        rgb.paste(_strip_rgb(strip, extrema), (0, top))
    return rgb


def _white_and_black(picture: Image.Image) -> tuple[float, float]:
    """Return which values of decimals are black and white: those of a usual scale where they fill it, else their ends."""
    low, high = np.inf, -np.inf
    for top in range(0, picture.height, STRIP_ROWS):
        strip = np.asarray(picture.crop((0, top, picture.width, min(top + STRIP_ROWS, picture.height))))
        finite = strip[np.isfinite(strip)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        return 0.0, 1.0
    scale = next((white for white in (1.0, 255.0, 65535.0) if low >= 0 and white / 2 < high <= white), None)
    return (low, high) if scale is None else (0.0, scale)


def _strip_rgb(strip: Image.Image, extrema: tuple[float, float] | None) -> Image.Image:
    """Return a strip as RGB or grey; transparency lies on white, as a browser shows it."""
    if extrema is not None:
        low, high = extrema
        values = np.nan_to_num((np.asarray(strip) - low) / max(high - low, 1e-9))
        return Image.fromarray((255 * values.clip(0, 1)).astype(np.uint8))
    if strip.mode.startswith("I"):
        return Image.fromarray((np.asarray(strip).clip(0, 65535).astype(np.uint16) >> 8).astype(np.uint8))
    if strip.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in strip.info:
        layer = strip.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return strip.convert("RGB")
