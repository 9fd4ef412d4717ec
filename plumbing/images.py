"""Pictures of any kind to upright 8-bit RGB, within bounded memory."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_MEGAPIXELS = 250
"""A larger picture is refused before it is decoded: as RGB it would take most of a gigabyte."""

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".mpo"})
"""Endings taken for photographs when a folder is searched."""

Image.MAX_IMAGE_PIXELS = MAX_MEGAPIXELS * 1_000_000


def open_rgb(source: Path | bytes, max_side: int | None = None) -> Image.Image:
    """Decode a picture to upright 8-bit RGB: CMYK, 16-bit, palette, grey, transparent; an animation's first frame.

    Args:
        source: a file, or the bytes of one.
        max_side: shrink so that the longer side is at most this many pixels; JPEG then decodes at a fraction of its
            size, which bounds memory and time.

    Raises:
        ValueError: it cannot be decoded whole; the message says why and names a file.
    """
    name = str(source) if isinstance(source, Path) else "picture"
    if isinstance(source, Path) and not source.is_file():
        raise ValueError(f"{name}: no such file")
    if (source.stat().st_size if isinstance(source, Path) else len(source)) == 0:
        raise ValueError(f"{name}: the file is empty (0 bytes)")
    try:
        with Image.open(source if isinstance(source, Path) else io.BytesIO(source)) as picture:
            return _upright_rgb(picture, max_side)
    except UnidentifiedImageError:
        raise ValueError(f"{name}: not a picture that can be read (is it another kind of file?)") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{name}: more than {2 * MAX_MEGAPIXELS} megapixels; shrink it first") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        raise ValueError(f"{name}: damaged or cut short ({error})") from None


def _upright_rgb(picture: Image.Image, max_side: int | None) -> Image.Image:
    if picture.width * picture.height > MAX_MEGAPIXELS * 1_000_000:
        raise ValueError(f"{picture.width}x{picture.height} is over {MAX_MEGAPIXELS} megapixels; shrink it first")
    if max_side is not None:
        # A JPEG decodes straight to 1/2, 1/4 or 1/8 of its size; twice the wanted size keeps the final filter honest.
        picture.draft("RGB", (2 * max_side, 2 * max_side))
    orientation = picture.getexif().get(0x0112, 1)
    picture.load()
    shrink = 1.0 if max_side is None else min(1.0, max_side / max(picture.size))
    size = (max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink)))
    if picture.mode not in ("RGB", "L"):
        picture = _eight_bit_rgb(picture)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if orientation in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture.info["exif"] = exif.tobytes()
        picture = ImageOps.exif_transpose(picture)
    upright = picture.convert("RGB")
    upright.info = {}
    return upright


def _eight_bit_rgb(picture: Image.Image) -> Image.Image:
    """Return an RGB picture of any mode; transparency lies on white, as a browser shows it."""
    if picture.mode.startswith(("I;16", "I")):
        return Image.fromarray((np.asarray(picture).astype(np.uint32).clip(0, 65535) >> 8).astype(np.uint8))
    if picture.mode == "F":
        values = np.asarray(picture)
        return Image.fromarray((255 * (values - values.min()) / max(float(np.ptp(values)), 1e-9)).astype(np.uint8))
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return picture.convert("RGB")
