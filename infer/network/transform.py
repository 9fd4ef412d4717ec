"""From a picture to what the network sees; training validates through this very function."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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

RESIZES = ("squash", "crop", "shorter")
BACKENDS = ("torch", "pillow")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")


@dataclass(frozen=True)
class InputTransform:
    """How a picture becomes a tensor; stored with the weights.

    The defaults are how runs of 0.1.0 see pictures, which stored `size` and `resize` alone.

    Attributes:
        size: pixels a side of the square that the network sees.
        resize: `squash` scales both sides to `scaled` and keeps all of the picture (the published recipe); `crop` cuts the
            middle square out, then scales it; `shorter` scales the shorter side to `scaled`, then cuts the middle out.
        scaled: pixels that sides are scaled to before the middle `size` of them is cut out; 0 is `size`.
        interpolation: `nearest`, `bilinear`, `bicubic` or `lanczos`, with antialiasing.
        mean: (3,) of the RGB in 0..1, which is subtracted.
        std: (3,) by which the difference is divided.
        backend: which library resizes. `pillow` is what timm and torchvision's weights were measured with, `torch` what
            transformers uses; the two differ by one level of 255.
    """

    size: int = 224
    resize: str = "squash"
    scaled: int = 0
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    backend: str = "torch"

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.size < 16:
            raise ValueError(f"--image-size must be 16 or more, got {self.size}")
        for name, value, known in (
            ("resize", self.resize, RESIZES),
            ("interpolation", self.interpolation, INTERPOLATIONS),
            ("backend", self.backend, BACKENDS),
        ):
            if value not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, got {value!r}")
        if self.scaled and (self.scaled < self.size or self.resize == "crop"):
            raise ValueError(f"{self.resize} to {self.scaled} pixels cannot hold a middle of {self.size}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"mean and std are three numbers each, std above 0, got {self.mean} and {self.std}")

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "InputTransform":
        """Return the transform that a run stores; keys that it lacks mean the defaults."""
        triples = {key: tuple(map(float, plain[key])) for key in ("mean", "std") if key in plain}
        return cls(**{**plain, **triples})

    def resized(self, size: int | None, resize: str) -> "InputTransform":
        """Return the same transform for another size, or another way to fill the square.

        Args:
            size: pixels a side; None keeps it. `scaled` changes in proportion.
            resize: `auto` keeps it; `squash` and `crop` lose no margin.
        """
        wanted = size or self.size
        if resize != "auto" and resize != self.resize:
            return replace(self, size=wanted, resize=resize, scaled=0)
        return replace(self, size=wanted, scaled=round(self.scaled * wanted / self.size))

    def of_pixels(self) -> "InputTransform":
        """Return the transform as far as it decides pixels: without the mean and the standard deviation of the colours."""
        return replace(self, mean=IMAGENET_MEAN, std=IMAGENET_STD)

    @property
    def view_side(self) -> int:
        """Return of how many pixels a side a picture is enough, where it is made and not read."""
        return 2 * max(self.size, self.scaled)

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
        width, height = self._scaled_size(picture)
        if self.backend == "pillow":
            picture = picture.resize((width, height), Image.Resampling[self.interpolation.upper()])
            pixels = _as_tensor(picture)
        else:
            # Torchvision's resize takes a fraction of Pillow's time; its decoders are no faster and deprecated.
            mode = functional.InterpolationMode[self.interpolation.upper()]
            pixels = functional.resize(_as_tensor(picture), [height, width], interpolation=mode, antialias=True)
        return self._middle(pixels).contiguous()

    def _scaled_size(self, picture: Image.Image) -> tuple[int, int]:
        """Return the width and height that a picture is scaled to."""
        edge = self.scaled or self.size
        if self.resize != "shorter":
            return edge, edge
        shorter, longer = sorted(picture.size)
        # As torchvision, timm and transformers all do it: the longer side is cut, not rounded.
        other = int(edge * longer / shorter)
        return (edge, other) if picture.width <= picture.height else (other, edge)

    def _middle(self, pixels: Tensor) -> Tensor:
        height, width = pixels.shape[-2:]
        # Where an odd number of pixels is left over, transformers cuts one less on the left and timm rounds to even.
        whole = int if self.backend == "torch" else round
        top, left = whole((height - self.size) / 2), whole((width - self.size) / 2)
        return pixels[..., top : top + self.size, left : left + self.size]

    def normalise(self, pixels: Tensor) -> Tensor:
        """Return the network's input of (B, 3, size, size) uint8 pixels, on their device."""
        mean = torch.tensor(self.mean, device=pixels.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, device=pixels.device).view(1, 3, 1, 1)
        return (pixels.float() / 255 - mean) / std


def _as_tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture, dtype=np.uint8)).permute(2, 0, 1)
