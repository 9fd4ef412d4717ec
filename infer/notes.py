"""What is said beside an answer: doubts about it, and why its point lies where it lies."""

from collections.abc import Sequence

import numpy as np

from dataset.country_names import country_name
from infer.decode.multi_image import Agreement
from infer.decode.posterior import KeptCells
from infer.images import Described
from infer.model import Model
from infer.network.refiner import HYBRID
from infer.parts import Country, LevelPrediction, MetadataLocation, Place
from infer.prepared import Prepared
from infer.wording import class_words, names_country, percent
from plumbing.text import counted

FEW = 5
"""A cell with fewer training photographs may have been learned from a single journey, which the answer then says."""


def location_notes(metadata: Sequence[MetadataLocation]) -> list[str]:
    """Return a line for each location in the metadata that the largest region does not hold."""
    return [
        f"{f'{place.input}: ' if place.input else ''}{place.source} says {place.latitude:.4f}, {place.longitude:.4f}; the "
        f"{place.region_coverage:.0%} region does not contain it"
        + (f"; {place.distance_km:,.0f} km from the point" if place.distance_km is not None else "")
        for place in metadata
        if place.in_region is False and place.source != "dataset"
    ]


def few_photographs(finest: KeptCells, model: Model) -> list[str]:
    """Return a line where the most probable finest cell was learned from next to nothing."""
    if "published" in model.record:
        # Nobody here knows what it was trained on.
        return []
    level, best = model.hierarchy.depth - 1, int(finest.classes[0])
    count = int(model.hierarchy.learned(level, best))
    if count >= FEW:
        return []
    kind = model.hierarchy.level_names[-1]
    name = f"{kind} {class_words(model.hierarchy.name[model.hierarchy.rows(level).start + best], kind)}"
    return [f"the most probable cell {name} had {counted(count, 'training photograph')}"]


def point_note(prepared: Prepared, finest: LevelPrediction, point: tuple[float, float]) -> str:
    """Return why the point is not in the best cell; nothing where it is."""
    hierarchy = prepared.model.hierarchy
    level = hierarchy.depth - 1
    names = hierarchy.name[hierarchy.rows(level)]
    own = int(hierarchy.classes(np.array([point]))[0, level])
    if own >= 0 and names[own] == finest.best.id:
        return ""
    whys = {
        "top": "it is the mean of the places of that cell's training photographs",
        "mean": "it is the mean of all cells by their probability",
        "median": "it has the smallest expected distance from all cells by their probability",
        "geoscore": "it weighs all cells by probability and distance (highest expected GeoScore), and so may lie between several "
        "probable ones",
        "regressed": "a part of the network of its own predicts coordinates",
        "refined": "it weighs coordinates inside several cells by probability and distance (highest expected GeoScore)",
        "expert": "what answers for that cell answers in a box around it",
    }
    refiner = prepared.model.refiner
    if prepared.model.point in ("refined", "expert") and refiner and refiner[1].kind == HYBRID:
        why = "the offsets of that cell lead out of it"
    else:
        why = whys[prepared.model.point]
    held = "; it is held inside the area that is known" if prepared.prior is not None else ""
    return f"The point does not lie in the most probable cell {class_words(finest.best.id, finest.level)}: {why}{held}."


def border_note(named_by: Sequence[Country], place: Place | None) -> list[str]:
    """Return a line where the town nearest to the point lies in a country that the headline does not name."""
    if place is None or names_country([(country.code, country.share) for country in named_by], place.country_code):
        return []
    return [
        f"the town nearest to the point lies in {country_name(place.country_code, article=True)}, which the headline does not "
        "name: the point is chosen by distances, so that it may lie across a border"
    ]


def contradictions(photographs: Sequence[Described], agrees: Agreement | None) -> list[str]:
    """Return a line for each photograph of several that speaks of another place than the others."""
    if agrees is None:
        return []
    return [
        f"{photographs[row].name} contradicts the other photographs: of its probability, {percent(float(agrees.shared[row]))} lies "
        "where they are likely to be"
        for row in agrees.contradicting
    ]
