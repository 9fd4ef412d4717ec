"""Conformal calibration of a run: `conformal.json`, and the prediction regions that it gives a posterior."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from infer.config import IN_DISTRIBUTION, RENAMED_FUSIONS, RENAMED_PLACES
from infer.decode.density import COMPONENTS
from infer.decode.region import conformal_quantile
from infer.run_files import to_calibrate
from plumbing.files import read_json
from plumbing.text import counted

log = logging.getLogger(__name__)

CONFORMAL = "conformal.json"
SMOOTH = "smooth"
"""Name of the smoothed density beside those of the levels."""
UNSEEN_KM = 30.0
"""Where no dataset of unseen places is named, a calibration photograph at least so far from any training photograph, as far as
a city and its surroundings reach, stands for places that are new to a run. On two demo planets such photographs are about as far
from training photographs as places drawn again are, and yet need smaller regions (bench/LOG.md)."""
CLIP = (1e-6, 1 - 1e-6)
BETA = ("a", "b", "c", "d")
"""Parameters of beta calibration (Kull et al. 2017) with one more, for a best cell with n training photographs: log odds of being
right = a log p - b log(1 - p) + c + d log n. Where photographs are many, others lie in the cell itself, not beside it."""


@dataclass(frozen=True, eq=False)
class ConformalScores:
    """Conformity scores of calibration photographs: the mass of all cells at least as dense as the true one.

    Attributes:
        scores: (N,) ascending, without the photographs in no known cell, which no region covers.
        group_sizes: (N,) how many calibration photographs the leakage group of each has; each group counts as one.
        groups: number of groups of all photographs, those that no region covers included.
    """

    scores: NDArray[np.float64]
    group_sizes: NDArray[np.int64]
    groups: int

    @classmethod
    def of(cls, scores: NDArray[np.float64], group: NDArray[np.int64]) -> "ConformalScores":
        """Return the scores of (N,) photographs, infinite where no region covers them, with their (N,) groups."""
        _, member, size = np.unique(group, return_inverse=True, return_counts=True)
        order = np.argsort(scores, kind="stable")[: int(np.isfinite(scores).sum())]
        return cls(scores[order], size[member[order]], len(size))

    @property
    def in_known_cells(self) -> float:
        """Return the share of the groups whose true place is in a cell that the run knows."""
        return min(1.0, float((1 / self.group_sizes).sum()) / max(self.groups, 1))

    def quantile(self, coverage: float) -> float:
        """Return the threshold that a region of this coverage takes; infinite where that coverage is impossible."""
        weights = 1 / self.group_sizes
        never = (1 - self.in_known_cells) * self.groups
        return conformal_quantile(np.append(self.scores, np.inf), coverage, np.append(weights, never))


@dataclass(frozen=True, eq=False)
class ConformalCalibration:
    """What was measured on the calibration split, for one way to combine levels.

    Attributes:
        fusion: that way.
        photographs: whose conformity scores these are.
        weights: of the smoothed density; empty where no calibration photograph has coordinates.
        scores: by `SMOOTH` and by level name, best choice first.
        confidence_weights: weights of `confidence_features`, by level name, whose sum is the log odds of the best cell's
            being right.
        class_scores: conformity scores of `infer.decode.class_sets` by the name of the level whose classes can be known without
            coordinates; empty where there is none.
        exact: whether nothing else was fitted on these photographs. Only then does the coverage guarantee of
            split-conformal prediction hold; it is for groups that are exchangeable with those of the calibration.
    """

    fusion: str
    photographs: int
    weights: tuple[float, ...]
    scores: Mapping[str, ConformalScores]
    confidence_weights: Mapping[str, tuple[float, ...]]
    exact: bool = False
    class_scores: Mapping[str, ConformalScores] = field(default_factory=dict)

    @property
    def groups(self) -> int:
        """Return how many leakage groups the photographs make."""
        return max((own.groups for kinds in (self.scores, self.class_scores) for own in kinds.values()), default=0)

    @property
    def guarantee(self) -> str:
        """Return in words how far the coverage is guaranteed."""
        if not self.exact:
            return "approximate"
        return f"exact (held-out part: {counted(self.photographs, 'photograph')}, {counted(self.groups, 'group')})"

    def choose(self, coverage: float) -> tuple[str, float] | None:
        """Return the finest kind of cells that can guarantee a coverage, and its threshold; None where none can."""
        for name, scores in self.scores.items():
            quantile = scores.quantile(coverage)
            if np.isfinite(quantile):
                return name, quantile
        return None

    def choose_set(self, coverage: float) -> tuple[str, float] | None:
        """Return the level whose classes make a conformal set of a coverage, and its threshold; None where it is impossible."""
        for name, scores in self.class_scores.items():
            threshold = scores.quantile(coverage)
            if np.isfinite(threshold):
                return name, threshold
        return None

    def confidence(self, level_name: str, best: NDArray[np.float64], learned: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the (N,) calibrated probabilities that the best cells of a level are right.

        Photographs of places in no known cell count as wrong. NaN for a level whose truth no calibration photograph has.

        Args:
            level_name: of a level.
            best: (N,) posterior probabilities of best cells.
            learned: (N,) how many training photographs these have.
        """
        if level_name not in self.confidence_weights:
            return np.full(len(best), np.nan)
        return expit(confidence_features(best, learned) @ np.array(self.confidence_weights[level_name]))

    def confidence_inside(
        self,
        level_name: str,
        best: NDArray[np.float64],
        learned: NDArray[np.int64],
        inside: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the (N,) probabilities that the best cells of a level are right where the place is known to be in an area.

        By Bayes' rule: the calibrated probability of a cell, from its posterior before the area was known, over the
        probability that the model put inside the area. It is at most the confidence that the narrowed posterior would
        have by itself, and at most the share of calibration photographs in known cells. It is an approximation, since no
        calibration photographs of the area are held out.

        Args:
            level_name: of a level.
            best: (N,) posterior probabilities of best cells, after the area is known.
            learned: (N,) how many training photographs these have.
            inside: (N,) probabilities that the model put inside the area.
        """
        mass = np.maximum(inside, CLIP[0])
        by_bayes = self.confidence(level_name, best * mass, learned) / mass
        known = self.scores.get(level_name, self.class_scores.get(level_name))
        most = 1.0 if known is None else known.in_known_cells
        return np.minimum(np.minimum(by_bayes, self.confidence(level_name, best, learned)), most)


def confidence_features(best: NDArray[np.float64], learned: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the (N, 4) features of beta calibration, see `BETA`.

    Args:
        best: (N,) probabilities p of best cells.
        learned: (N,) numbers n of their training photographs.
    """
    p = np.clip(best, *CLIP)
    return np.stack([np.log(p), -np.log1p(-p), np.ones_like(p), np.log(np.maximum(learned, 1))], axis=-1)


def as_json(conformal: ConformalCalibration) -> dict[str, Any]:
    """Return a calibration as plain values."""
    scores, class_scores = (_scores_as_json(kinds) for kinds in (conformal.scores, conformal.class_scores))
    confidence = {name: dict(zip(BETA, weights, strict=True)) for name, weights in conformal.confidence_weights.items()}
    return {
        "photographs": conformal.photographs,
        "groups": conformal.groups,
        "guarantee": "exact" if conformal.exact else "approximate",
        "density_weights": list(conformal.weights),
        "confidence": confidence,
        "conformity_scores": scores,
        "class_scores": class_scores,
    }


def _scores_as_json(kinds: Mapping[str, ConformalScores]) -> dict[str, Any]:
    return {
        name: {
            "groups": own.groups,
            "scores": [float(f"{score:.7g}") for score in own.scores],
            "group_sizes": own.group_sizes.tolist(),
        }
        for name, own in kinds.items()
    }


def from_json(content: Mapping[str, Any], fusion: str) -> ConformalCalibration:
    """Return the calibration of `as_json`, or that of version 0.1.0, whose guarantee is approximate."""
    own, exact = _renamed(content), content.get("guarantee") == "exact"
    # Files from before conformal sets of classes have none.
    scores, class_scores = (
        {
            name: ConformalScores(np.array(of["scores"], float), np.array(of["group_sizes"], int), of["groups"])
            for name, of in kinds.items()
        }
        for kinds in (own["conformity_scores"], own.get("class_scores", {}))
    )
    confidence = {name: tuple(weights[key] for key in BETA) for name, weights in own["confidence"].items()}
    weights = tuple(own["density_weights"])
    return ConformalCalibration(fusion, own["photographs"], weights, scores, confidence, exact, class_scores)


def _check(found: ConformalCalibration) -> None:
    """Refuse numbers that no calibration has.

    Raises:
        ValueError: a score, size or weight is NaN, infinite or none.
    """
    for scores in [*found.scores.values(), *found.class_scores.values()]:
        if (
            scores.scores.ndim != 1
            or np.isnan(scores.scores).any()
            or (scores.group_sizes < 0).any()
            or scores.groups < 0
        ):
            raise ValueError("conformity scores are numbers, group sizes count")
    weights = [*found.weights, *(weight for own in found.confidence_weights.values() for weight in own)]
    if not np.isfinite(np.array(weights, dtype=np.float64)).all():
        raise ValueError("weights are finite numbers")


def _renamed(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a calibration under today's names, whichever version wrote it."""
    if "needed_mass" not in content:
        return content
    scores = {
        name: {"groups": of["groups"], "scores": of["masses"], "group_sizes": of["related"]}
        for name, of in content["needed_mass"].items()
    }
    return {**content, "density_weights": content["surface_weights"], "conformity_scores": scores}


def read_conformal(
    run: Path, model_hash: str, fusion: str, places: str = IN_DISTRIBUTION
) -> ConformalCalibration | None:
    """Return what `train calibrate` fitted for these weights and this fusion; None, with a warning, where nothing.

    Args:
        run: the run folder.
        model_hash: of its weights.
        fusion: in use.
        places: `in-distribution`, for photographs of the places that the calibration photographs are of, or `unseen`,
            for photographs far from any training photograph.

    Raises:
        ValueError: nothing could be measured for photographs of unseen places, or the file is damaged.
    """
    path = run / CONFORMAL
    if not path.is_file():
        log.warning("%s has no conformal calibration, so no regions: %s", run, to_calibrate(run, model_hash))
        return None
    content = read_json(path)
    places_of = content.get("places", content.get("promises", {})) if isinstance(content, dict) else None
    if not isinstance(places_of, dict):
        raise ValueError(f"{path} is damaged: run `python -m train calibrate` again")
    if content.get("model_hash") != model_hash or content.get("components") != COMPONENTS:
        log.warning("%s is ignored: fitted for different weights; run `python -m train calibrate`", path)
        return None
    fitted_for = RENAMED_FUSIONS.get(str(content.get("fusion")), content.get("fusion"))
    if fitted_for != fusion:
        log.warning(
            "regions and confidence are calibrated for --fusion %s only: answers by %s have none", fitted_for, fusion
        )
        return None
    own = {RENAMED_PLACES.get(name, name): of for name, of in places_of.items()}
    if places not in own and IN_DISTRIBUTION in own:
        raise ValueError(
            f"{run} has no calibration for --places {places}: too few groups of calibration photographs lie "
            f"{UNSEEN_KM:.0f} km from any training photograph; leave the flag out, or calibrate with photographs of other "
            "places, `python -m train calibrate --unseen DATASET`"
        )
    try:
        found = from_json(own[places], fusion)
        _check(found)
        return found
    # What content from elsewhere makes of it is not a closed list.
    except Exception as error:
        raise ValueError(
            f"{path} is from an earlier version, or damaged ({type(error).__name__}): run `python -m train calibrate` again"
        ) from None
