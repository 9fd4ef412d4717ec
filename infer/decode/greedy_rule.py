"""The numbers of the published greedy rule, and what is refused of others. Nothing here imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

PUBLISHED_THRESHOLDS = (0.85, 0.65, 0.4)
PUBLISHED_K = (1, 2, 3, 6)
"""Source: the published Hierarchical Geolocation Classifier."""


@dataclass(frozen=True)
class GreedyRule:
    """How many cells of a level keep their children, by the highest probability of the level.

    Attributes:
        thresholds: least probabilities, descending.
        k: cells that are kept where each is reached, and, last, where none is.

    Raises:
        ValueError: there is not one k more than thresholds, or their order does not fit.

    Example:
        >>> GreedyRule((0.5,), (1, 4))
        GreedyRule(thresholds=(0.5,), k=(1, 4))
    """

    thresholds: tuple[float, ...] = PUBLISHED_THRESHOLDS
    k: tuple[int, ...] = PUBLISHED_K

    def __post_init__(self) -> None:
        """Refuse what is not a rule."""
        if len(self.k) != len(self.thresholds) + 1:
            raise ValueError(
                f"--greedy-k takes one number more than --greedy-thresholds, the last for a lower probability: got "
                f"{_numbers(self.k)} for {_numbers(self.thresholds)}"
            )
        if not all(0 < t <= 1 for t in self.thresholds) or any(a <= b for a, b in pairwise(self.thresholds)):
            raise ValueError(
                f"--greedy-thresholds are probabilities in descending order, such as {_numbers(PUBLISHED_THRESHOLDS)}: got "
                f"{_numbers(self.thresholds)}"
            )
        if min(self.k) < 1 or any(a > b for a, b in pairwise(self.k)):
            raise ValueError(
                f"--greedy-k are numbers of cells, 1 or more, that do not fall as the probability does, such as "
                f"{_numbers(PUBLISHED_K)}: got {_numbers(self.k)}"
            )

    @property
    def published(self) -> bool:
        """Say whether the numbers are the published ones."""
        return self == PUBLISHED_RULE

    def to_dict(self) -> dict[str, list[float]]:
        """Return the numbers as a record holds them."""
        return {"thresholds": list(self.thresholds), "k": list(self.k)}


PUBLISHED_RULE = GreedyRule()


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values) or "none"
