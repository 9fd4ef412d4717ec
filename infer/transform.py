"""From a picture to what the network sees; training validates through this very function."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.v2 import functional

from plumbing.images import open_rgb, turn_of

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of the RGB of ImageNet, in 0..1, as torchvision's weights expect them."""

PLAIN_MEGAPIXELS = 16
"""Larger pictures are decoded at a fraction of their size, which bounds memory."""
TURNING = (b"eXIf", b"Raw profile type exif", b"tiff:Orientation")
"""What a PNG holds that is to be turned upright."""


@dataclass(frozen=True)
class InputTransform:
    """How a picture becomes a tensor; stored with the weights.

    Attributes:
        size: pixels a side of the square that the network sees.
        resize: `squash` scales both sides to `size` and keeps all of the picture (the published recipe); `crop` scales
            the shorter side and cuts the middle out.
    """

    size: int = 224
    resize: str = "squash"

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.size < 16:
            raise ValueError(f"--image-size must be 16 or more, got {self.size}")
        if self.resize not in ("squash", "crop"):
            raise ValueError(f"resize is squash or crop, got {self.resize!r}")

    def pixels(self, source: Path | bytes) -> Tensor:
        """Return a (3, size, size) uint8 tensor of an image file or its bytes.

        Raises:
            ValueError: it cannot be decoded; the message names the file.
        """
        plain = decode_plain(source)
        # Decoding to four times the wanted size bounds memory for huge pictures and loses nothing that is seen.
        return self.from_picture(open_rgb(source, max_side=4 * self.size)) if plain is None else self.from_tensor(plain)

    def from_picture(self, picture: Image.Image) -> Tensor:
        """Return a (3, size, size) uint8 tensor of an RGB picture."""
        return self.from_tensor(torch.from_numpy(np.array(picture, dtype=np.uint8)).permute(2, 0, 1))

    def from_tensor(self, picture: Tensor) -> Tensor:
        """Return a (3, size, size) uint8 tensor of a (3, H, W) one."""
        if self.resize == "crop":
            height, width = picture.shape[1:]
            edge = min(height, width)
            top, left = (height - edge) // 2, (width - edge) // 2
            picture = picture[:, top : top + edge, left : left + edge]
        return functional.resize(picture, [self.size, self.size], antialias=True).contiguous()


def decode_plain(source: Path | bytes) -> Tensor | None:
    """Return (3, H, W) uint8 pixels of a plain picture, two to five times as fast as `open_rgb` makes them.

    Plain is an upright, opaque, still JPEG, PNG or WebP in 8-bit RGB or grey, neither huge nor damaged; None of others.
    """
    try:
        content = source.read_bytes() if isinstance(source, Path) else source
        with Image.open(io.BytesIO(content)) as picture:
            if not _is_plain(picture, content):
                return None
        # The decoder writes only where it decodes to.
        pixels = decode_image(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB)
    # `open_rgb` reads what can be read at all, and says what is wrong with the rest.
    except Exception:
        return None
    return pixels if pixels.dtype == torch.uint8 else None


def _is_plain(picture: Image.Image, content: bytes) -> bool:
    # Pillow decodes all of a PNG to look for an orientation behind the pixels.
    turned = any(mark in content for mark in TURNING) if picture.format == "PNG" else turn_of(picture) is not None
    return (
        not turned
        and picture.format in ("JPEG", "PNG", "WEBP")
        and picture.mode in ("RGB", "L")
        and picture.width * picture.height <= PLAIN_MEGAPIXELS * 1_000_000
        and "transparency" not in picture.info
        and getattr(picture, "n_frames", 1) == 1
    )


def normalise(pixels: Tensor) -> Tensor:
    """Return the network's input of (B, 3, size, size) uint8 pixels, on their device."""
    mean = torch.tensor(IMAGENET_MEAN, device=pixels.device).view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=pixels.device).view(1, 3, 1, 1)
    return (pixels.float() / 255 - mean) / std
