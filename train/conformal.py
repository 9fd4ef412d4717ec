"""Conformal calibration on the calibration split: conformity scores, and how often the best cell is right.

Each leakage group counts as one: the coverage is for photographs of a place or journey drawn at random, and the few places
of which there are hundreds do not decide it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial import cKDTree
from scipy.special import expit
from torch import Tensor

from dataset.groups import group_weights
from geocells.hierarchy import UNKNOWN
from geocells.sphere import chord, unit_vectors
from infer.config import IN_DISTRIBUTION, UNSEEN
from infer.decode.conformal import (
    SMOOTH,
    UNSEEN_KM,
    ConformalCalibration,
    ConformalScores,
    as_json,
    confidence_features,
)
from infer.decode.density import COMPONENTS, Surface, fit_weights
from infer.decode.posterior import likeliest
from infer.decode.raster import Raster
from infer.decode.region import conformity_scores
from infer.model import Model, NetworkOutput
from plumbing.progress import progress
from plumbing.version import now_utc

AT_ONCE = 256
LEAST = 30
"""Of fewer photographs of unseen places nothing is measured."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Logits and truth of the calibration photographs.

    Attributes:
        logits: (N, classes) per level, before any temperature.
        classes: (N, levels) true classes.
        latlon_deg: (N, 2) true coordinates.
        group: (N,) numbers of groups of related photographs.
        seen: all that the networks say of them, for points that take more than a posterior.
    """

    logits: list[Tensor]
    classes: Tensor
    latlon_deg: NDArray[np.float64]
    group: NDArray[np.int64]
    seen: NetworkOutput | None = None

    def rows(self, chosen: NDArray[np.int64]) -> "Calibration":
        """Return some of the photographs, without what else the networks say of them."""
        own = torch.from_numpy(chosen).to(self.classes.device)
        logits = [level[own] for level in self.logits]
        return Calibration(logits, self.classes[own], self.latlon_deg[chosen], self.group[chosen])

    @classmethod
    def joined(cls, parts: "Sequence[Calibration]") -> "Calibration":
        """Return the photographs of several datasets as one."""
        logits = [torch.cat(level) for level in zip(*(part.logits for part in parts), strict=True)]
        classes, places = torch.cat([part.classes for part in parts]), [part.latlon_deg for part in parts]
        first = np.cumsum([0, *(part.group.max(initial=-1) + 1 for part in parts)])
        groups = [part.group + start for part, start in zip(parts, first, strict=False)]
        return cls(logits, classes, np.concatenate(places), np.concatenate(groups))


def fit_all(model: Model, known: Calibration, unseen: Calibration | None) -> dict[str, Any]:
    """Return what `conformal.json` holds: calibrations for in-distribution photographs, and for unseen places.

    Args:
        model: with its final temperatures and fusion.
        known: the calibration photographs.
        unseen: those of places that are new to the run; None where there are too few.
    """
    places: dict[str, Any] = {IN_DISTRIBUTION: as_json(fit_conformal(model, known))}
    if unseen is not None:
        places[UNSEEN] = as_json(fit_conformal(model, unseen))
    return {"created_at_utc": now_utc(), "components": COMPONENTS, "places": places}


def far_from(training_deg: NDArray[np.float64], data: Calibration) -> Calibration | None:
    """Return the photographs at least `UNSEEN_KM` from any of (M, 2) training ones; None where those are too few."""
    if not len(training_deg):
        return None
    near = cKDTree(unit_vectors(training_deg)).query(unit_vectors(data.latlon_deg))[0]
    far = np.flatnonzero(near >= chord(UNSEEN_KM))
    return data.rows(far) if len(far) >= LEAST else None


@torch.inference_mode()
def fit_conformal(model: Model, data: Calibration) -> ConformalCalibration:
    """Return the conformal calibration of a model, with its fusion and temperatures, on photographs."""
    hierarchy = model.hierarchy
    posterior, classes = model.posterior(data.logits), data.classes.cpu().numpy()
    raster, counts = Raster.of(hierarchy), group_weights(data.group)
    true_cell = raster.find(data.latlon_deg)
    surface = Surface(raster, fit_weights(raster, posterior[-1].exp(), true_cell, counts), model.device)
    scores = {SMOOTH: ConformalScores.of(_smooth_scores(surface, posterior[-1], true_cell), data.group)}
    for level in reversed(range(hierarchy.depth)):
        mass = posterior[level].exp().double().cpu().numpy()
        area = hierarchy.area_km2[hierarchy.rows(level)]
        scores[hierarchy.level_names[level]] = ConformalScores.of(
            conformity_scores(mass, area, classes[:, level]), data.group
        )
    confidence = {}
    for level, name in enumerate(hierarchy.level_names):
        best, cell = likeliest(posterior[level])
        right = (cell == classes[:, level]) & (classes[:, level] != UNKNOWN)
        confidence[name] = fit_confidence(best, hierarchy.learned(level, cell), right, counts)
    return ConformalCalibration(model.fusion, len(data.latlon_deg), surface.weights, scores, confidence)


def _smooth_scores(surface: Surface, log_leaf: Tensor, true_cell: NDArray[np.int64]) -> NDArray[np.float64]:
    parts = []
    for start in progress(range(0, len(log_leaf), AT_ONCE), "regions", "batch"):
        mass = surface.spread(log_leaf[start : start + AT_ONCE].exp().float()).cpu().numpy()
        mass = mass / mass.sum(axis=1, keepdims=True)
        parts.append(conformity_scores(mass, surface.raster.area_km2, true_cell[start : start + AT_ONCE]))
    return np.concatenate(parts)


def fit_confidence(
    best: NDArray[np.float64], learned: NDArray[np.int64], right: NDArray[np.bool_], counts: NDArray[np.float64]
) -> tuple[float, ...]:
    """Return beta calibration's weights of `confidence_features`, whose sum is the log odds of the best cell's being right.

    Photographs whose true cell is no class count as wrong, so that what a model says of its best cell is honest about
    them. Targets are softened as in Platt 1999, so that few photographs, all right, give no certainty. No weight but the
    constant is negative, so that a better posterior, or more training photographs, never mean less confidence.

    Args:
        best: (N,) probabilities.
        learned: (N,) how many training photographs the best cells have.
        right: (N,) whether the best cell is the true one.
        counts: (N,) how much each photograph counts.

    Source: Kull, Silva Filho and Flach 2017.
    """
    x, hits, total = confidence_features(best, learned), float(counts[right].sum()), float(counts.sum())
    target = np.where(right, (hits + 1) / (hits + 2), 1 / (total - hits + 2))

    def nll(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        odds = x @ weights
        loss = counts @ (np.logaddexp(0, odds) - target * odds) / total
        return float(loss), x.T @ (counts * (expit(odds) - target)) / total

    bounds = [(0, None), (0, None), (None, None), (0, None)]
    return tuple(minimize(nll, [1.0, 1.0, 0.0, 0.0], jac=True, method="L-BFGS-B", bounds=bounds).x.tolist())
