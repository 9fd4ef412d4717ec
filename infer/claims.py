"""What an answer claims beyond the bare posterior: regions, how fine it dares to be, and what was known before."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from torch import Tensor

from infer.config import ClaimConfig
from infer.decode.conformal import ConformalCalibration, RegionFinder, read_conformal
from infer.decode.posterior import likeliest
from infer.decode.prior import Prior, make_prior, restrict
from infer.model import Model

Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Claims:
    """What the flags of a session ask for, ready for any number of photographs.

    Attributes:
        model: what answers.
        prior: what is known beside the photographs, if anything.
        conformal: calibration of the run, where it has one.
        finder: of regions, where they are wanted and can be had.
        confidence: least chance of being right that a level needs to be answered; None answers at the finest.
        coarsest: the coarsest level that is worth an answer, as its position.
    """

    model: Model
    prior: Prior | None
    conformal: ConformalCalibration | None
    finder: RegionFinder | None
    confidence: float | None
    coarsest: int

    @classmethod
    def of(cls, config: ClaimConfig, run: Path, model: Model, sidecars: bool = False) -> "Claims":
        """Return what a config asks of a model; side-cars need to know how sure it is.

        Raises:
            ValueError: an area or a level is not known, or a confidence is asked for that nothing was calibrated for.
        """
        prior = make_prior(model.hierarchy, config.within, config.exclude)
        coarsest = model.hierarchy.level_index(config.coarsest) if config.coarsest else 0
        wanted = bool(config.coverage) or config.confidence is not None or sidecars
        conformal = read_conformal(run, model.hash, model.fusion, config.places) if wanted else None
        if (config.confidence is not None or sidecars) and conformal is None:
            flag = "--sidecars" if config.confidence is None else "--confidence"
            raise ValueError(
                f"{flag} needs to know how often {model.name} is right: run `python -m train calibrate` on it first"
            )
        finder = None
        if conformal is not None and config.coverage:
            inside = None if prior is None else prior.table
            finder = RegionFinder(model.hierarchy, conformal, model.device, config.coverage, inside)
        return cls(model, prior, conformal, finder, config.confidence, coarsest)

    def restrict(self, posterior: list[Tensor]) -> tuple[list[Tensor], NDArray[np.float64] | None]:
        """Return (B, classes) posteriors after prior knowledge, and the mass each had inside, if there is any."""
        if self.prior is None:
            return posterior, None
        return restrict(self.model.tree, posterior, self.prior)

    def regions(self, posterior: list[Tensor]) -> list[list[Record]]:
        """Return the regions of each photograph of (B, classes) log probabilities per level."""
        return self.finder.regions(posterior) if self.finder else [[] for _ in range(len(posterior[0]))]

    def extend(self, record: Record, posterior: Sequence[Tensor], regions: list[Record], inside: float | None) -> None:
        """Add to a photograph's record what is claimed of it.

        Args:
            record: of `answer_record`.
            posterior: (classes,) log probabilities per level.
            regions: of this photograph.
            inside: mass that the model itself put inside the prior's area.
        """
        if self.conformal is not None:
            for number, (level, log_probability) in enumerate(zip(record["levels"], posterior, strict=True)):
                best, cell = likeliest(log_probability[None])
                learned = self.model.hierarchy.learned(number, cell)
                level["confidence"] = round(float(self.conformal.confidence(level["level"], best, learned)[0]), 4)
        if self.finder is not None:
            record["regions"] = regions
            record["warnings"] += [
                f"no region of {coverage:.0%} coverage: {self.finder.conformal.photographs} calibration photographs are too few"
                for coverage in self.finder.impossible()
            ]
        if self.prior is not None and inside is not None:
            record["prior"] = {"area": self.prior.words, "mass_inside": float(f"{inside:.4g}")}
            record["warnings"].append(f"{self.prior.words}: the model put {_percent(inside)} inside")
            if self.conformal is not None:
                record["warnings"].append("confidence and coverage were measured without such knowledge")
        _compare(record, regions)
        if self.confidence is not None:
            abstain(record, self.confidence, self.coarsest)


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "less than 0.1%"


def _compare(record: Record, regions: list[Record]) -> None:
    """Say of each place that the file states whether the largest region contains it."""
    if not regions:
        return
    largest = max(regions, key=lambda region: region["coverage"])
    shape = shapely.geometry.shape(largest["geometry"])
    for stated in record["stated"]:
        held = bool(shape.intersects(shapely.Point(stated["longitude"], stated["latitude"])))
        stated["region_coverage"], stated["in_region"] = largest["coverage"], held
        record["warnings"].append(
            f"{stated.get('input', 'the file')}'s {stated['source']} says {stated['latitude']:.4f}, "
            f"{stated['longitude']:.4f}; the model's {largest['coverage']:.0%} region "
            f"{'contains' if held else 'does not contain'} it; {stated['distance_km']:,.0f} km apart"
        )


def abstain(record: Record, confidence: float, coarsest: int = 0) -> None:
    """Answer a record at the finest level whose best cell is right often enough, and name no town below it.

    Args:
        record: whose levels have their `confidence`.
        confidence: 0 to 1.
        coarsest: position of the coarsest level that is worth an answer.
    """
    names = [level["level"] for level in record["levels"]]
    enough = [k for k in range(coarsest, len(names)) if record["levels"][k]["confidence"] >= confidence]
    if not enough:
        record["answer_level"], record["answer_words"] = None, f"not sure even of {names[coarsest]}"
    else:
        level = record["levels"][enough[-1]]
        record["answer_level"] = level["level"]
        record["answer_words"] = f"cell {level['cells'][0]['id']} ({level['confidence']:.0%} sure)"
        if enough[-1] < len(names) - 1:
            record["answer_words"] = f"not sure below {level['level']}: {record['answer_words']}"
    if record["answer_level"] != names[-1]:
        record["place"] = {"name": "", "country_code": "", "distance_km": None}


def same_place_record(records: Sequence[Record], shared: Sequence[float], odd: Sequence[int]) -> Record:
    """Return the one record of several photographs, with what each states and what it thinks of the others.

    Args:
        records: of `answer_record`, one for each photograph, all with the same answer.
        shared: agreement of each with the others.
        odd: rows of those that contradict the others.
    """
    photographs = [
        {
            "input": one["input"],
            "sha256": one["sha256"],
            "agreement": None if np.isnan(agrees) else round(float(agrees), 4),
            "stated": [{"input": one["input"], **place} for place in one["stated"]],
        }
        for one, agrees in zip(records, shared, strict=True)
    ]
    contradictions = [
        f"{photographs[row]['input']} contradicts the other photographs: it puts {_percent(float(shared[row]))} where they "
        "think likely"
        for row in odd
    ]
    return {
        **records[0],
        "exif": next((one["exif"] for one in records if one["exif"]), None),
        # The very places of each photograph, so that what is found out about one stands in both lists.
        "stated": [place for photograph in photographs for place in photograph["stated"]],
        "photographs": photographs,
        "contradicting": [photographs[row]["input"] for row in odd],
        "warnings": records[0]["warnings"] + contradictions,
    }
