"""What the calibration split allows to promise: how much mass covers the truth, how often the best cell is right."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocells.hierarchy import UNKNOWN
from infer.model import Model
from infer.promises import DOUBT, SMOOTH, Promises
from infer.regions import needed_mass
from infer.surface import Raster, Surface, fit_weights
from plumbing.progress import progress

AT_ONCE = 256


@torch.inference_mode()
def fit_promises(
    model: Model, logits: list[Tensor], classes: NDArray[np.int64], latlon_deg: NDArray[np.float64]
) -> Promises:
    """Return what the fusion and temperatures of a model promise.

    Args:
        model: with its final temperatures and fusion.
        logits: (N, classes) per level of the calibration photographs.
        classes: (N, levels) true classes, or UNKNOWN.
        latlon_deg: (N, 2) true coordinates.
    """
    hierarchy = model.hierarchy
    posterior = model.posterior(logits)
    raster = Raster.of(hierarchy)
    true_cell = raster.find(latlon_deg)
    surface = Surface(raster, fit_weights(raster, posterior[-1].exp(), true_cell), model.device)
    needed = {SMOOTH: _smooth_needed(surface, posterior[-1], true_cell)}
    for level in reversed(range(hierarchy.depth)):
        mass = posterior[level].exp().double().cpu().numpy()
        area = hierarchy.area_km2[hierarchy.rows(level)]
        needed[hierarchy.level_names[level]] = np.sort(needed_mass(mass, area, classes[:, level]))
    confidence = {
        name: fit_confidence(*_best(posterior[level], classes[:, level]))
        for level, name in enumerate(hierarchy.level_names)
    }
    return Promises(model.fusion, len(latlon_deg), surface.weights, needed, confidence)


def _smooth_needed(surface: Surface, log_leaf: Tensor, true_cell: NDArray[np.int64]) -> NDArray[np.float64]:
    parts = []
    for start in progress(range(0, len(log_leaf), AT_ONCE), "regions", "batch"):
        mass = surface.spread(log_leaf[start : start + AT_ONCE].exp().float()).cpu().numpy()
        mass = mass / mass.sum(axis=1, keepdims=True)
        parts.append(needed_mass(mass, surface.raster.area_km2, true_cell[start : start + AT_ONCE]))
    return np.sort(np.concatenate(parts))


def _best(log_probability: Tensor, true: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the probability of each photograph's best cell, and whether it is right; never where it is UNKNOWN."""
    best, cell = (t.double().cpu().numpy() for t in log_probability.max(dim=1))
    return np.exp(best), (cell == true) & (true != UNKNOWN)


def fit_confidence(best: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope and offset of Platt's logistic from log odds of the best cell's probability to those of being right.

    Photographs whose true cell is no class count as wrong, so that what a model says of its best cell is honest about
    them. Targets are softened as in Platt 1999, so that few photographs, all right, give no certainty.
    """
    odds = np.clip(best, *DOUBT)
    x = torch.from_numpy(np.log(odds / (1 - odds)))
    hits = float(right.sum())
    yes, no = (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2)
    target = torch.from_numpy(np.where(right, yes, no))
    with torch.inference_mode(False), torch.enable_grad():
        line = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([line], max_iter=100, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            odds_right = line[0] * x.clone() + line[1]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(odds_right, target.clone())
            loss.backward()
            return loss

        optimizer.step(closure)
    slope, offset = line.detach().tolist()
    # A better posterior never means less confidence.
    return (slope, offset) if slope > 0 else (0.0, float(np.log(hits + 1) - np.log(len(right) - hits + 1)))
