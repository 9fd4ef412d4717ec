"""What training minimises: per level, on a level's own softmax, on that over siblings, or on the tree posterior."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from geocells.hierarchy import UNKNOWN
from infer.decode.point import answer_points
from infer.decode.posterior import Tree, chain, class_ranks, family_log_softmax
from infer.network.sphere import pairwise_km
from plumbing.text import counted
from train.config import ClassifyConfig


@dataclass(frozen=True, eq=False)
class Targets:
    """Where the photographs of a batch truly are.

    Attributes:
        classes: (B, levels) class at each trained level; UNKNOWN where the hierarchy does not hold the cell.
        vectors: (B, 3) unit vectors of the true coordinates.
        mixing: (B, B) share of each photograph in each picture that CutMix or MixUp made; None where they are pure.
        placed: (B,) whether a photograph has coordinates; of the others only the class of one level is known, and
            `vectors` are its centre. None where all have.
    """

    classes: Tensor
    vectors: Tensor
    mixing: Tensor | None = None
    placed: Tensor | None = None

    def part(self, rows: slice) -> "Targets":
        """Return the targets of some rows of unmixed photographs."""
        assert self.mixing is None, "mixed pictures hang together"
        placed = None if self.placed is None else self.placed[rows]
        return Targets(self.classes[rows], self.vectors[rows], placed=placed)


class ClassLoss(Protocol):
    """A loss of classes: which distribution over the classes of a level is wanted, and what it costs to miss a class.

    The loss of a photograph at a level is the sum over classes of wanted times cost.
    """

    @classmethod
    def of(cls, config: ClassifyConfig, centers: tuple[Tensor, ...]) -> "ClassLoss":
        """Return the loss that flags ask for, of trained levels with (classes, 3) unit vectors of the class centres."""

    def at(self, share: float) -> "ClassLoss":
        """Return the loss when a share of the training is done, 0 to 1."""

    def wanted(self, level: int, targets: Targets) -> Tensor:
        """Return the (B, classes) target distribution at a level; all zero where it is unknown."""

    def cost(self, log_probability: Tensor) -> Tensor:
        """Return the (B, classes) cost of each class, were it the true one."""


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """Cross-entropy on the true class.

    Attributes:
        centers: (classes, 3) unit vectors of the class centres, per level.
        label_smoothing: share of the target that is spread over all classes.
    """

    centers: tuple[Tensor, ...]
    label_smoothing: float = 0.0

    @classmethod
    def of(cls, config: ClassifyConfig, centers: tuple[Tensor, ...]) -> Self:
        """Return the loss that flags ask for."""
        return cls(centers, config.label_smoothing)

    def at(self, share: float) -> Self:
        """Return the loss itself: it does not change."""
        return self

    def wanted(self, level: int, targets: Targets) -> Tensor:
        """Return (B, classes) smoothed one-hot targets, zero where the class is unknown."""
        classes = targets.classes[:, level]
        smoothed = smooth_one_hot(classes.clamp(min=0), len(self.centers[level]), self.label_smoothing)
        return (classes != UNKNOWN)[:, None].float() * smoothed

    def cost(self, log_probability: Tensor) -> Tensor:
        """Return the surprise at each class."""
        return -log_probability


@dataclass(frozen=True, eq=False)
class Focal(CrossEntropy):
    """Focal loss (Lin et al. 2017): cross-entropy that turns away from what is learned.

    Attributes:
        gamma: how strongly.
    """

    gamma: float = 2.0

    @classmethod
    def of(cls, config: ClassifyConfig, centers: tuple[Tensor, ...]) -> Self:
        """Return the loss that flags ask for."""
        return cls(centers, config.label_smoothing, config.focal_gamma)

    def cost(self, log_probability: Tensor) -> Tensor:
        """Return the surprise at each class, times a power of what is left of its probability."""
        # The floor keeps the gradient of a fractional power finite where a class is certain.
        return (1 - log_probability.exp()).clamp_min(1e-7) ** self.gamma * -log_probability


@dataclass(frozen=True, eq=False)
class Haversine:
    """Cross-entropy on classes by their distance from the true coordinate; see `haversine_targets`.

    Attributes:
        centers: (classes, 3) unit vectors of the class centres, per level.
        tau_km: smoothing length of each level.
        tau_end: share of the smoothing lengths that is left at the end of training.
    """

    centers: tuple[Tensor, ...]
    tau_km: tuple[float, ...]
    tau_end: float = 1.0

    @classmethod
    def of(cls, config: ClassifyConfig, centers: tuple[Tensor, ...]) -> "Haversine":
        """Return the loss that flags ask for.

        Raises:
            ValueError: smoothing lengths are neither one nor one for each level.
        """
        tau_km = config.tau_km or default_tau_km(len(centers))
        tau_km = tau_km * len(centers) if len(tau_km) == 1 else tau_km
        if len(tau_km) != len(centers):
            raise ValueError(
                f"--tau-km needs one number, or one for each of {counted(len(centers), 'level')}, got {len(tau_km)}"
            )
        return cls(centers, tau_km, config.tau_end)

    def at(self, share: float) -> "Haversine":
        """Return the loss when a share of the training is done: smoothing lengths shrink from 0.2 to 0.8 of it.

        Wide smoothing teaches a network that knows nothing yet, narrow smoothing to tell neighbours apart.
        """
        left = self.tau_end ** min(1.0, max(0.0, (share - 0.2) / 0.6))
        return replace(self, tau_km=tuple(tau * left for tau in self.tau_km), tau_end=1.0)

    def wanted(self, level: int, targets: Targets) -> Tensor:
        """Return (B, classes) targets that fall off with distance; a photograph of an unknown cell has one too."""
        wanted = haversine_targets(targets.vectors, self.centers[level], self.tau_km[level])
        if targets.placed is None:
            return wanted
        known = (targets.classes[:, level] != UNKNOWN) | targets.placed
        return wanted * known[:, None].float()

    def cost(self, log_probability: Tensor) -> Tensor:
        """Return the surprise at each class."""
        return -log_probability


@dataclass(frozen=True, eq=False)
class Objective:
    """The loss of a batch: a weighted mean over levels of a mean over photographs.

    Attributes:
        tree: the trained levels; one level alone is a tree without parents.
        centers: (classes, 3) unit vectors of the class centres, per level.
        loss: what is wanted of a level, and what it costs to miss it.
        loss_on: `levels`, `siblings` or `tree`.
        weights: weight of each level.
        class_weights: (classes,) weight of each class, per level; empty for equal ones.
    """

    tree: Tree
    centers: tuple[Tensor, ...]
    loss: ClassLoss
    loss_on: str
    weights: tuple[float, ...]
    class_weights: tuple[Tensor, ...] = ()

    def __call__(self, logits: Sequence[Tensor], targets: Targets) -> Tensor:
        """Return the mean loss of (B, classes) logits per level, a scalar.

        A photograph of an unknown cell adds nothing at that level, but counts in the mean: so the mean over all
        processes is the mean over the whole batch.
        """
        total = logits[0].new_zeros((), dtype=torch.float32)
        for level, log_probability in enumerate(self._log_probabilities([z.float() for z in logits])):
            total = total + self.weights[level] * self._level_loss(level, log_probability, targets)
        return total / sum(self.weights)

    def at(self, share: float) -> "Objective":
        """Return the loss when a share of the training is done, 0 to 1."""
        return replace(self, loss=self.loss.at(share))

    def points_deg(self, logits: Sequence[Tensor]) -> Tensor:
        """Return the (B, 2) points of highest expected GeoScore, as `python -m infer` answers them by default."""
        return answer_points("geoscore", chain(self.tree, logits)[-1], self.centers[-1])

    def ranks(self, logits: Sequence[Tensor], classes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (B, levels) how many classes are ahead of the true one, in the posterior that the loss is meant for."""
        return class_ranks(list(logits) if self.loss_on == "levels" else chain(self.tree, logits), classes)

    def _log_probabilities(self, logits: Sequence[Tensor]) -> list[Tensor]:
        if self.loss_on == "tree":
            return chain(self.tree, logits)
        own = [torch.log_softmax(z, dim=1) for z in logits]
        if self.loss_on == "siblings":
            for level, parents in enumerate(self.tree.parent_class, start=1):
                own[level] = family_log_softmax(logits[level], parents, self.tree.sizes[level - 1])
        return own

    def _level_loss(self, level: int, log_probability: Tensor, targets: Targets) -> Tensor:
        # 0 * -inf would be NaN where a posterior excludes a class that nobody wants.
        cost = self.loss.cost(log_probability.clamp_min(-1e4))
        if self.class_weights:
            cost = cost * self.class_weights[level]
        wanted = self.loss.wanted(level, targets)
        wanted = wanted if targets.mixing is None else targets.mixing @ wanted
        return (wanted * cost).sum(dim=1).mean()


def smooth_one_hot(classes: Tensor, size: int, smoothing: float) -> Tensor:
    """Return (B, size) distributions that keep 1 - smoothing for the true class and spread the rest over all."""
    return F.one_hot(classes, size).float() * (1 - smoothing) + smoothing / size


def haversine_targets(vectors: Tensor, centers: Tensor, tau_km: float) -> Tensor:
    """Return (B, classes) distributions over classes that fall off with distance: softmax(-distance / tau).

    This is the haversine smoothing of PIGEON (Haas et al. 2024, equation 2): the distance of the true class that is
    subtracted there cancels in the normalisation, so photographs of unknown cells have a target too.

    Args:
        vectors: (B, 3) unit vectors of the true coordinates.
        centers: (classes, 3) unit vectors.
        tau_km: e-folding distance.
    """
    return torch.softmax(-pairwise_km(vectors, centers) / tau_km, dim=1)


def balanced_class_weights(train_count: NDArray[np.int64]) -> Tensor:
    """Return (classes,) weights n / (k * n_c): each class weighs the same in total (King and Zeng 2001)."""
    return torch.from_numpy(train_count.sum() / (len(train_count) * np.maximum(train_count, 1))).float()


def default_tau_km(levels: int) -> tuple[float, ...]:
    """Return the smoothing length of each level: 800 km falling to 100 km, or PIGEON's 75 km for one level alone."""
    if levels == 1:
        return (75.0,)
    return tuple(800.0 * (100 / 800) ** (level / (levels - 1)) for level in range(levels))
