"""Why here and not there: which parts of a photograph speak for the answered cell against the best one elsewhere."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional

from geocells.sphere import distance_km
from infer.evaluate.metrics import RADII_KM
from infer.model import Model

METHOD = "occlusion by the blurred picture"
APART_KM = float(RADII_KM[3])
"""A cell whose coordinate is farther than this is elsewhere: as far as another country."""
WINDOW = 5
"""The side of the square that is hidden at a time goes so many times into that of the picture; measured by
`bench.explain`, on other pairs than it reports: smaller squares leave too much of a thing, larger ones hide several."""
BLUR = 8
"""Likewise the standard deviation of the blur."""
AT_A_TIME = 64
FLOOR = -50.0
"""Log probabilities below are all the same nothing; the published rule gives minus infinity."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """What in a photograph speaks for one cell.

    Attributes:
        cell: the finest cell that is answered.
        against: the likeliest one elsewhere; None where a run knows none so far away.
        heat: (size, size) as the network sees the picture, in nats: how much the log of the odds between both cells
            falls when what is there is hidden; negative where it rises.
    """

    cell: str
    against: str | None
    heat: NDArray[np.float64]


def explain(model: Model, pixels: Tensor, log_leaf: Tensor, cell: str) -> Explanation:
    """Explain the answer for one photograph.

    Args:
        model: what answered.
        pixels: (3, size, size) uint8.
        log_leaf: (leaves,) log probabilities of the finest cells, as answered.
        cell: name of the finest cell that is answered.
    """
    rows = model.hierarchy.rows(model.hierarchy.depth - 1)
    names = model.hierarchy.name[rows]
    best = names.index(cell)
    against = elsewhere(log_leaf.double().cpu().numpy(), model.hierarchy.center_deg[rows], best)
    heat = heat_map(model, pixels, best, against)
    return Explanation(cell, None if against is None else names[against], heat)


def elsewhere(log_leaf: NDArray[np.float64], center_deg: NDArray[np.float64], cell: int) -> int | None:
    """Return the likeliest of (leaves,) cells that are elsewhere than one of them; None where no such cell is possible."""
    far = (distance_km(center_deg, center_deg[cell]) > APART_KM) & (log_leaf > -np.inf)
    return int(np.where(far, log_leaf, -np.inf).argmax()) if far.any() else None


def heat_map(model: Model, pixels: Tensor, cell: int, against: int | None) -> NDArray[np.float64]:
    """Return (size, size) nats that each place of a picture adds to a cell over another, through the whole posterior.

    A square of the picture at a time takes the values of the picture out of focus, which hides things and keeps light
    and colours (Zeiler and Fergus 2014 put grey there, which is itself a thing).

    Args:
        model: what answers.
        pixels: (3, size, size) uint8.
        cell: class of the finest level.
        against: another; when None, the log probability of the cell alone is explained.
    """
    from captum.attr import Occlusion  # a second to import, which other answers do not have to wait for

    image = pixels[None].float()
    side = max(2, image.shape[-1] // WINDOW)
    heat = Occlusion(lambda images: contrast(model, images, cell, against)).attribute(
        image,
        sliding_window_shapes=(3, side, side),
        strides=(3, max(1, side // 3), max(1, side // 3)),
        baselines=out_of_focus(image),
        perturbations_per_eval=AT_A_TIME,
    )
    # Captum gives each channel of a window the same value.
    return heat[0].mean(dim=0).double().cpu().numpy()


def contrast(model: Model, images: Tensor, cell: int, against: int | None) -> Tensor:
    """Return (B,) log odds between two cells for (B, 3, size, size) pictures with values of 0 to 255."""
    log_leaf = model.posterior(model.logits(images.round().to(torch.uint8)))[-1].clamp_min(FLOOR)
    return log_leaf[:, cell] if against is None else log_leaf[:, cell] - log_leaf[:, against]


def out_of_focus(images: Tensor) -> Tensor:
    """Return (B, 3, size, size) pictures so blurred that no thing is left of them, but light and colours."""
    sigma = images.shape[-1] / BLUR
    return functional.gaussian_blur(images, [2 * int(2 * sigma) + 1] * 2, [sigma, sigma])
