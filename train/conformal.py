"""Conformal calibration on the calibration split: conformity scores, and how often the best cell is right.

Each leakage group counts as one: the coverage is for photographs of a place or journey drawn at random, and the few places
of which there are hundreds do not decide it. Split-conformal coverage is guaranteed where nothing else was fitted on the
photographs whose scores are taken: a part of the groups is held out for them where there are enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from infer.decode.class_sets import class_scores
from infer.decode.conformal import (
    SMOOTH,
    UNSEEN_KM,
    ConformalCalibration,
    ConformalScores,
    as_json,
    confidence_features,
)
from infer.decode.density import COMPONENTS, SmoothDensity, fit_weights
from infer.decode.posterior import likeliest
from infer.decode.raster import Raster
from infer.decode.region import conformity_scores
from infer.model import Model
from infer.network.output import NetworkOutput
from label_maps.labels import class_level
from plumbing.progress import progress
from plumbing.version import now_utc

AT_ONCE = 256
LEAST = 30
"""Leakage groups that a calibration, or a part of one, has at least."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Logits and truth of the calibration photographs.

    Attributes:
        logits: (N, classes) per level, before any temperature.
        classes: (N, levels) true classes.
        latlon_deg: (N, 2) true coordinates; of photographs that have none they mean nothing.
        group: (N,) leakage groups.
        outputs: the network output, for points that take more than a posterior.
        placed: (N,) which have coordinates; None where all have. Of the others the class at one level is known, or known to
            be none of the run's.
    """

    logits: list[Tensor]
    classes: Tensor
    latlon_deg: NDArray[np.float64]
    group: NDArray[np.int64]
    outputs: NetworkOutput | None = None
    placed: NDArray[np.bool_] | None = None

    @property
    def here(self) -> NDArray[np.bool_]:
        """Return (N,) which photographs have coordinates."""
        return np.ones(len(self.group), dtype=bool) if self.placed is None else self.placed

    def located(self) -> "Calibration":
        """Return the photographs that have coordinates."""
        return self if self.here.all() else self.rows(np.flatnonzero(self.here))

    def rows(self, chosen: NDArray[np.int64]) -> "Calibration":
        """Return some of the photographs, by their numbers."""
        own = torch.from_numpy(chosen).to(self.classes.device)
        logits = [level[own] for level in self.logits]
        outputs = None
        if self.outputs is not None:
            outputs = replace(self.outputs.rows(own), logits=logits)
        placed = None if self.placed is None else self.placed[chosen]
        return Calibration(logits, self.classes[own], self.latlon_deg[chosen], self.group[chosen], outputs, placed)

    @classmethod
    def joined(cls, parts: "Sequence[Calibration]") -> "Calibration":
        """Return the photographs of several datasets as one, without their network output."""
        logits = [torch.cat(level) for level in zip(*(part.logits for part in parts), strict=True)]
        classes, places = torch.cat([part.classes for part in parts]), [part.latlon_deg for part in parts]
        first = np.cumsum([0, *(part.group.max(initial=-1) + 1 for part in parts)])
        groups = [part.group + start for part, start in zip(parts, first, strict=False)]
        placed = np.concatenate([part.here for part in parts])
        return cls(logits, classes, np.concatenate(places), np.concatenate(groups), placed=placed)


@dataclass(frozen=True, eq=False)
class Parts:
    """Calibration photographs, divided by whole groups.

    Attributes:
        fitted: those that temperatures, fusion, point and density are fitted on.
        held_out: those whose conformity scores are taken; None where there are too few to divide. The scores are then of the
            former, and the coverage guarantee is approximate.
    """

    fitted: Calibration
    held_out: Calibration | None

    @classmethod
    def of(cls, data: Calibration, share: float, seed: int) -> "Parts":
        """Return photographs with this share of their groups held out, if both parts have at least `LEAST` groups."""
        numbers, member = np.unique(data.group, return_inverse=True)
        held = round(share * len(numbers))
        if min(held, len(numbers) - held) < LEAST:
            return cls(data, None)
        chosen = np.isin(member, np.random.default_rng(seed).permutation(len(numbers))[:held])
        return cls(data.rows(np.flatnonzero(~chosen)), data.rows(np.flatnonzero(chosen)))

    @property
    def scored(self) -> Calibration:
        """Return the photographs whose conformity scores are taken."""
        return self.fitted if self.held_out is None else self.held_out

    @property
    def every(self) -> tuple[Calibration, ...]:
        """Return the parts that there are."""
        return (self.fitted,) if self.held_out is None else (self.fitted, self.held_out)

    def far_from(self, training_deg: NDArray[np.float64]) -> "Parts | None":
        """Return the photographs at least `UNSEEN_KM` from any of (M, 2) training ones; None where they are too few groups."""
        if not len(training_deg):
            return None
        tree = cKDTree(unit_vectors(training_deg))
        far = [
            part.rows(np.flatnonzero(tree.query(unit_vectors(part.latlon_deg))[0] >= chord(UNSEEN_KM)))
            for part in (own.located() for own in self.every)
        ]
        if len(far) == 2 and min(_groups(part) for part in far) >= LEAST:
            return Parts(far[0], far[1])
        # Groups are those of one dataset, and parts divide them.
        found = Calibration.joined(far)
        return Parts(found, None) if _groups(found) >= LEAST else None


def _groups(data: Calibration) -> int:
    return len(np.unique(data.group))


def fit_all(model: Model, known: Parts, unseen: Parts | None) -> dict[str, Any]:
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


@torch.inference_mode()
def fit_conformal(model: Model, parts: Parts) -> ConformalCalibration:
    """Return the conformal calibration of a model, with its fusion and temperatures, on photographs.

    The density is fitted on one part and the conformity scores are of the other; confidence, which has no such guarantee, is
    fitted on both. Regions take coordinates; sets of countries or labels take whatever tells the class.
    """
    weights, scores = _fit_regions(model, parts)
    exact, photographs = parts.held_out is not None, len(parts.scored.group)
    confidences, sets = _fit_confidences(model, parts), _class_scores(model, parts.scored)
    return ConformalCalibration(model.fusion, photographs, weights, scores, confidences, exact, sets)


def _class_scores(model: Model, scored: Calibration) -> dict[str, ConformalScores]:
    """Return the conformity scores of sets at the level whose classes can be known without coordinates; empty without one."""
    level = class_level(model.hierarchy)
    if level is None:
        return {}
    probability = model.posterior(scored.logits)[level].exp().double().cpu().numpy()
    score = class_scores(probability, scored.classes[:, level].cpu().numpy())
    return {model.hierarchy.level_names[level]: ConformalScores.of(score, scored.group)}


def _fit_regions(model: Model, parts: Parts) -> tuple[tuple[float, ...], dict[str, ConformalScores]]:
    """Return the weights of the smoothed density, and the conformity scores of regions; nothing without coordinates."""
    hierarchy, fitted, scored = model.hierarchy, parts.fitted.located(), parts.scored.located()
    if not len(fitted.group) or not len(scored.group) or not hierarchy.placed:
        return (), {}
    density = _fit_density(model, fitted)
    posterior, classes = model.posterior(scored.logits), scored.classes.cpu().numpy()
    true_cell = density.raster.find(scored.latlon_deg)
    scores = {SMOOTH: ConformalScores.of(_smooth_scores(density, posterior[-1], true_cell), scored.group)}
    for level in reversed(range(hierarchy.depth)):
        mass = posterior[level].exp().double().cpu().numpy()
        area = hierarchy.area_km2[hierarchy.rows(level)]
        scores[hierarchy.level_names[level]] = ConformalScores.of(
            conformity_scores(mass, area, classes[:, level]), scored.group
        )
    return density.weights, scores


def _fit_density(model: Model, data: Calibration) -> SmoothDensity:
    raster = Raster.of(model.hierarchy)
    leaf, true_cell = model.posterior(data.logits)[-1].exp(), raster.find(data.latlon_deg)
    return SmoothDensity(raster, fit_weights(raster, leaf, true_cell, group_weights(data.group)), model.device)


def _fit_confidences(model: Model, parts: Parts) -> dict[str, tuple[float, ...]]:
    """Return the weights of `confidence_features` by level name."""
    posteriors = [model.posterior(part.logits) for part in parts.every]
    # Parts divide the groups, so that each photograph counts in both as it does in its own.
    counts = np.concatenate([group_weights(part.group) for part in parts.every])
    fitted = {}
    for level, name in enumerate(model.hierarchy.level_names):
        best, cell = (np.concatenate(found) for found in zip(*(likeliest(p[level]) for p in posteriors), strict=True))
        true = torch.cat([part.classes[:, level] for part in parts.every]).cpu().numpy()
        right = (cell == true) & (true != UNKNOWN)
        asked = np.concatenate([part.here for part in parts.every]) | (level == class_level(model.hierarchy))
        if asked.any():
            learned = model.hierarchy.learned(level, cell)[asked]
            fitted[name] = fit_confidence(best[asked], learned, right[asked], counts[asked])
    return fitted


def _smooth_scores(density: SmoothDensity, log_leaf: Tensor, true_cell: NDArray[np.int64]) -> NDArray[np.float64]:
    parts = []
    for start in progress(range(0, len(log_leaf), AT_ONCE), "regions", "batch"):
        mass = density.spread(log_leaf[start : start + AT_ONCE].exp().float()).cpu().numpy()
        mass = mass / mass.sum(axis=1, keepdims=True)
        parts.append(conformity_scores(mass, density.raster.area_km2, true_cell[start : start + AT_ONCE]))
    return np.concatenate(parts)


def fit_confidence(
    best: NDArray[np.float64], learned: NDArray[np.int64], right: NDArray[np.bool_], counts: NDArray[np.float64]
) -> tuple[float, ...]:
    """Return beta calibration's weights of `confidence_features`, whose sum is the log odds of the best cell's being right.

    Photographs whose true cell is not a class count as wrong, so that what a model says of its best cell is honest about
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
