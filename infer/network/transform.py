"""From a picture to what the network sees; training validates through this very function."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

from plumbing.images import open_rgb, upright_rgb

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of the RGB of ImageNet, in 0..1, as torchvision's weights expect them."""

MAX_SIDE = 4096
"""Larger pictures are shrunk once more before they are resized, which bounds memory."""


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

    def pixels(self, source: Path | bytes | Image.Image) -> Tensor:
        """Return a (3, size, size) uint8 tensor of an image file, its bytes, or an opened picture.

        Raises:
            ValueError: it cannot be decoded; the message names the file.
        """
        if isinstance(source, Image.Image):
            return self.from_picture(upright_rgb(source.copy(), max_side=max(MAX_SIDE, 4 * self.size)))
        # A JPEG decodes at the fraction of its size that is still four times the wanted one: nothing is lost that is seen.
        return self.from_picture(open_rgb(source, max_side=max(MAX_SIDE, 4 * self.size), draft_side=4 * self.size))

    def from_picture(self, picture: Image.Image) -> Tensor:
        """Return a (3, size, size) uint8 tensor of an RGB picture."""
        if self.resize == "crop":
            edge = min(picture.size)
            left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
            picture = picture.crop((left, top, left + edge, top + edge))
        pixels = torch.from_numpy(np.array(picture, dtype=np.uint8)).permute(2, 0, 1)
        # Torchvision's resize differs from Pillow's by one level of 255 and takes a fraction of the time; its decoders
        # are no faster and deprecated.
        return functional.resize(pixels, [self.size, self.size], antialias=True).contiguous()


def normalise(pixels: Tensor) -> Tensor:
    """Return the network's input of (B, 3, size, size) uint8 pixels, on their device."""
    mean = torch.tensor(IMAGENET_MEAN, device=pixels.device).view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=pixels.device).view(1, 3, 1, 1)
    return (pixels.float() / 255 - mean) / std
