"""A model with options, ready for photographs: from network output to posterior, point, regions and confidence, as arrays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dataset.panorama_flag import PanoramaFlag, views_wanted
from infer.config import EVERY_S, NEEDS_GREEDY, UNSEEN, AnswerConfig, Fusion, GreedyConfig, Point
from infer.cutter import Cutter
from infer.decode.conformal import ConformalCalibration
from infer.decode.countries import LeafCountries
from infer.decode.posterior import likeliest
from infer.decode.prior import Prior, restrict
from infer.decode.region_finder import RegionFinder
from infer.model import Model
from infer.network.output import NetworkOutput
from plumbing.rules import Rule
from plumbing.text import counted

FEW_GROUPS = 30
"""With fewer groups of calibration photographs, an answer says that its confidence is not to be relied on."""
FEW_CELLS = 5
"""In an area with fewer cells, the area decides what is answered and not the photograph, which the answer then says."""


@dataclass(frozen=True, kw_only=True)
class Options(PanoramaFlag, GreedyConfig, AnswerConfig):
    """What is asked of each photograph; the fields are those of the flags of `python -m infer predict`."""

    RULES: ClassVar[tuple[Rule, ...]] = (*AnswerConfig.RULES, NEEDS_GREEDY)

    fusion: Fusion | None = None
    point: Point | None = None
    same_place: bool = False
    same_place_temperature: float = 2.0
    mass: float = 0.9
    top: int = 100
    every_s: float = EVERY_S

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        _ = self.greedy
        views_wanted(self.panorama)
        if not 0 < self.every_s < math.inf:
            raise ValueError(f"--every takes seconds above 0, such as 2s, got {self.every_s:g}")

    @property
    def cutter(self) -> Cutter:
        """Return what makes several pictures of panoramas and videos."""
        return Cutter(self.panorama, self.every_s)

    @classmethod
    def of(cls, config: Any) -> "Options":
        """Return the options among the fields of a command's config; a field that is None keeps its default."""
        given = {f.name: getattr(config, f.name, None) for f in fields(cls)}
        return cls(**{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True, eq=False)
class Answered:
    """What a model answers for B photographs, as arrays.

    Attributes:
        posterior: (B, classes) log probabilities per level, after prior knowledge.
        points_deg: (B, 2) points.
        inside: (B,) probability that the model itself put inside the area; None without one.
        output: of the networks.
        regions: of each photograph; None until they are asked for.
    """

    posterior: list[Tensor]
    points_deg: NDArray[np.float64]
    inside: NDArray[np.float64] | None
    output: NetworkOutput
    regions: list[list[dict[str, Any]]]

    def row(self, k: int) -> "Answered":
        """Return what is answered for one of the photographs."""
        one = slice(k, k + 1)
        return Answered(
            [level[one] for level in self.posterior],
            self.points_deg[one],
            None if self.inside is None else self.inside[one],
            self.output.rows(one),
            self.regions[one],
        )


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model with options, ready for any number of photographs.

    Attributes:
        options: what is asked.
        model: with the chosen fusion and point, and coordinates of cells that lie inside the area.
        prior: what is known beside the photographs, if anything.
        conformal: calibration of the run; None where it is not calibrated.
        finder: of regions, where they are wanted and can be had.
        coarsest: position of the coarsest level that is worth an answer.
        countries: of the leaves; None where classes have no places.
    """

    options: Options
    model: Model
    prior: Prior | None
    conformal: ConformalCalibration | None
    finder: RegionFinder | None
    coarsest: int
    countries: LeafCountries | None

    def answer(self, output: NetworkOutput, posterior: list[Tensor] | None = None, regions: bool = True) -> Answered:
        """Return what is answered for the photographs of a network output.

        Args:
            output: of the networks.
            posterior: (B, classes) log probabilities per level, where they are known better than by the output alone.
            regions: whether regions are found too.
        """
        posterior = self.model.posterior(output.logits) if posterior is None else posterior
        inside = None
        if self.prior is not None:
            posterior, inside = restrict(self.model.tree, posterior, self.prior)
        points = self.model.points(posterior, output)
        if self.prior is not None:
            points = self.prior.hold(points)
        found = self.finder.regions(posterior) if self.finder is not None and regions else [[] for _ in points]
        return Answered(posterior, points, inside, output, found)

    def confidence(
        self, posterior: Sequence[Tensor], inside: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64] | None:
        """Return the (B, levels) calibrated probabilities that the best cells are right; None where not calibrated.

        NaN at a level whose truth no calibration photograph has.

        Args:
            posterior: (B, classes) log probabilities per level, after prior knowledge.
            inside: (B,) probability that the model itself put inside the area; None without one.
        """
        if self.conformal is None:
            return None
        columns = []
        for number, (name, level) in enumerate(zip(self.model.hierarchy.level_names, posterior, strict=True)):
            best, cell = likeliest(level)
            learned = self.model.hierarchy.learned(number, cell)
            if inside is None:
                columns.append(self.conformal.confidence(name, best, learned))
            else:
                columns.append(self.conformal.confidence_inside(name, best, learned, inside))
        return np.stack(columns, axis=1)

    def _and_no_map(self) -> str:
        return "" if self.model.hierarchy.placed else ", no region and no map"

    def _without_region(self) -> list[float]:
        return [] if self.finder is None else self.finder.impossible()

    def _without_set(self) -> list[float]:
        """Return the coverages for which a run that has conformal sets has none; those without a region are said already."""
        if self.conformal is None or not self.conformal.class_scores:
            return []
        said = self._without_region()
        return [c for c in self.options.coverage if c not in said and self.conformal.choose_set(c) is None]

    def warnings(self, cut: bool = False) -> list[str]:
        """Return what is to be known of every answer of this model with these options; `cut` of a panorama or a video."""
        found = []
        if self.model.record.get("synthetic"):
            found.append("trained on the synthetic demo planet: its answers about real photographs mean nothing")
        if not self.model.calibrated:
            found.append(f"not calibrated: the probabilities may be overconfident; {self.model.to_calibrate}")
        if self.model.calibrated_in not in (None, self.model.precision):
            found.append(
                f"calibrated in {self.model.calibrated_in} but answered in {self.model.precision}: confidence and coverage "
                f"are approximate; run `python -m train calibrate --precision {self.model.precision}`"
            )
        if not self.model.answers_points:
            found.append(f"{self.model.without_points}{self._and_no_map()}; {self.model.way_to_points}")
        if self.conformal is not None:
            found += [
                f"no {coverage:.0%} {what}: too few calibration photographs ({self.conformal.photographs:,})"
                for what, coverages in (("region", self._without_region()), ("set", self._without_set()))
                for coverage in coverages
            ]
        if self.prior is not None and (count := int((self.prior.leaf > 0).sum())) < FEW_CELLS:
            cells = counted(count, f"{self.model.hierarchy.level_names[-1]} cell")
            found.append(
                f"the run knows only {cells} {self.prior.words}: the area decides the answer, not the photograph"
            )
        if self.conformal is not None and self.conformal.groups < FEW_GROUPS:
            found.append(
                f"calibrated on {counted(self.conformal.photographs, 'photograph')} in "
                f"{counted(self.conformal.groups, 'group')}: too few for confidence and coverage to be relied on"
            )
        without = ["several photographs of one place"] if self.options.same_place else []
        without += ["several views of one file"] if cut else []
        without += ["knowledge of an area"] if self.prior is not None else []
        without += [] if self.model.greedy.published else ["changed numbers of the greedy rule"]
        if without and self.conformal is not None:
            found.append(
                f"confidence and coverage are approximate here: they were calibrated without {' and '.join(without)}"
            )
        if self.options.places == UNSEEN:
            found.append("confidence and coverage for unseen places are an approximation: see docs/beware.md")
        return found
