"""What can be measured on a picture without knowing what it shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MEASURED_SIDE = 512
"""Pictures are measured at this longer side (smaller ones as they are): sharpness depends on the scale."""


@dataclass(frozen=True)
class Measures:
    """Pixel statistics of one picture.

    Attributes:
        luma_mean: mean brightness, 0 to 255.
        luma_std: standard deviation of brightness.
        sharpness: variance of the 3x3 Laplacian of brightness; low is blurred.
        colourfulness: Hasler and Süsstrunk 2003, "Measuring colourfulness in natural images"; 0 is grey.
        extreme_share: share of pixels with brightness below 10 or above 245.
        dhash: 64-bit difference hash; near-duplicates differ in few bits.
    """

    luma_mean: float
    luma_std: float
    sharpness: float
    colourfulness: float
    extreme_share: float
    dhash: int


def measure(picture: Image.Image) -> Measures:
    """Measure an RGB picture."""
    shrink = MEASURED_SIDE / max(picture.size)
    if shrink < 1:
        size = (max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink)))
        picture = picture.resize(size, Image.Resampling.BOX)
    grey = picture.convert("L")
    luma = np.asarray(grey, dtype=np.float32)
    return Measures(
        luma_mean=float(luma.mean()),
        luma_std=float(luma.std()),
        sharpness=sharpness(luma),
        colourfulness=colourfulness(np.asarray(picture, dtype=np.float32)),
        extreme_share=float(np.mean((luma < 10) | (luma > 245))),
        dhash=difference_hash(grey),
    )


def sharpness(luma: NDArray[np.float32]) -> float:
    """Return the variance of the 3x3 Laplacian of (H, W) brightness; 0 when there is no inner pixel."""
    if min(luma.shape) < 3:
        return 0.0
    middle = luma[1:-1, 1:-1]
    return float(np.var(luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * middle))


def colourfulness(rgb: NDArray[np.float32]) -> float:
    """Return the colourfulness of an (H, W, 3) picture (Hasler and Süsstrunk 2003, formula 1)."""
    red_green = rgb[..., 0] - rgb[..., 1]
    yellow_blue = (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def difference_hash(picture: Image.Image) -> int:
    """Return the 64-bit difference hash: in 8 rows of 9 greys, whether each is brighter than the one to its left."""
    greys = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    return int.from_bytes(np.packbits(greys[:, 1:] > greys[:, :-1]).tobytes(), "big")
