"""The answers of a part of `infer predict --bulk`, and the table that is written of them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geocells.sphere import distance_km
from infer.export.bulk_photos import BulkPhotos
from infer.parts import View, views_words
from infer.place_names import nearest_places
from infer.prediction import NOTICE
from infer.prepared import Prepared
from infer.rows import named_country
from label_maps.labels import COUNTRY


@dataclass(frozen=True, eq=False)
class BulkAnswers:
    """Answers of a part, filled batch by batch; NaN and -1 where a photograph could not be read."""

    points_deg: NDArray[np.float64]
    best: NDArray[np.int64]
    confidence: NDArray[np.float64]
    inside: NDArray[np.float64]
    problems: dict[int, str] = field(default_factory=dict)
    views: dict[int, tuple[View, ...]] = field(default_factory=dict)

    @classmethod
    def empty(cls, photographs: int, levels: int) -> "BulkAnswers":
        """Return answers of which none is known yet."""
        shape = (photographs, levels)
        nothing = np.full(photographs, np.nan)
        return cls(np.full((photographs, 2), np.nan), np.full(shape, -1), np.full(shape, np.nan), nothing)


def table_of(prepared: Prepared, bulk: BulkPhotos, part: range, answers: BulkAnswers) -> pa.Table:
    """Return a part's answers as they are written; missing values are null."""
    model = prepared.model
    unread = answers.best[:, 0] < 0
    unplaced = unread | (not model.answers_points)
    columns: dict[str, Any] = {
        "input": bulk.names.slice(part.start, len(part)),
        "id": bulk.ids.slice(part.start, len(part)),
        "latitude": pa.array(answers.points_deg[:, 0], mask=unplaced),
        "longitude": pa.array(answers.points_deg[:, 1], mask=unplaced),
    }
    columns |= _countries(prepared, answers, unread, unplaced)
    for depth, name in enumerate(model.hierarchy.level_names):
        texts = np.array(model.hierarchy.name[model.hierarchy.rows(depth)], dtype=object)
        confidence = answers.confidence[:, depth].astype(np.float32)
        columns[f"{name}_cell"] = pa.array(texts[answers.best[:, depth]], pa.string(), mask=unread)
        columns[f"{name}_confidence"] = pa.array(confidence, mask=np.isnan(confidence))
    columns |= _known(bulk.known_deg[part.start : part.stop], answers.points_deg, unplaced)
    columns["problem"] = pa.array([answers.problems.get(row) for row in range(len(part))], pa.string())
    cut = [answers.views.get(row, ()) for row in range(len(part))]
    columns["read_as"] = pa.array([views_words(views) if views else None for views in cut], pa.string())
    said = {of_views: [NOTICE.rstrip("."), *prepared.warnings(of_views)] for of_views in (False, True)}
    inside = zip(cut, answers.inside, strict=True)
    columns["warnings"] = pa.array(["; ".join([*said[bool(v)], *_inside(prepared, p)]) for v, p in inside], pa.string())
    return pa.table(columns)


def _countries(
    prepared: Prepared, answers: BulkAnswers, unread: NDArray[np.bool_], unplaced: NDArray[np.bool_]
) -> dict[str, pa.Array]:
    """Return the town nearest to each point and its country, or, of a run without points, the best country."""
    count, hierarchy = len(unread), prepared.model.hierarchy
    town = np.full(count, None, dtype=object)
    code, country = town.copy(), town.copy()
    placed = np.flatnonzero(~unplaced)
    for row, place in zip(placed, nearest_places(answers.points_deg[placed], prepared.prior), strict=True):
        if place is not None:
            town[row], code[row], country[row] = place["name"], place["country_code"], place["country"]
    if not prepared.model.answers_points and COUNTRY in hierarchy.level_names:
        depth = hierarchy.level_index(COUNTRY)
        known = [named_country(text) for text in hierarchy.name[hierarchy.rows(depth)]]
        for row in np.flatnonzero(~unread):
            code[row], country[row] = known[answers.best[row, depth]]
    columns = {"place": town, "country_code": code, "country": country}
    return {name: pa.array(texts, pa.string()) for name, texts in columns.items()}


def _known(
    known_deg: NDArray[np.float64], points_deg: NDArray[np.float64], unplaced: NDArray[np.bool_]
) -> dict[str, pa.Array]:
    """Return where a dataset says that photographs were taken, and how far off the answers are; null where it does not say."""
    nowhere = np.isnan(known_deg).any(axis=1)
    apart = ~nowhere & ~unplaced
    away = np.full(len(known_deg), np.nan)
    away[apart] = distance_km(known_deg[apart], points_deg[apart])
    return {
        "known_latitude": pa.array(known_deg[:, 0], mask=nowhere),
        "known_longitude": pa.array(known_deg[:, 1], mask=nowhere),
        "known_distance_km": pa.array(away.round(3), mask=~apart),
    }


def _inside(prepared: Prepared, probability: float) -> list[str]:
    if prepared.prior is None or np.isnan(probability):
        return []
    return [prepared.prior.sentence(probability)]
