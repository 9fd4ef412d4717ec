"""An answer as one row of a table: the columns of predictions.csv."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataset.country_names import country_name
from infer.parts import views_words
from infer.review import google_maps_url, openstreetmap_url
from label_maps.labels import COUNTRY

if TYPE_CHECKING:
    from infer.prediction import Prediction


def row_of(prediction: Prediction, notice: str) -> dict[str, Any]:
    """Return what predictions.csv says of an answer, by column; `notice` stands before the warnings."""
    place, made = prediction.place, prediction.provenance
    code, country = _country(prediction)
    row: dict[str, Any] = {
        "input": prediction.path or prediction.input,
        "headline": prediction.headline,
        "answer_level": prediction.answer_level,
        "confidence": prediction.confidence,
        "latitude": prediction.latitude,
        "longitude": prediction.longitude,
        "method": prediction.point_method,
        "place": place.name if place else None,
        "country_code": code,
        "country": country,
    }
    for region in prediction.regions.values():
        row[f"region_{region.coverage * 100:g}_km2"] = region.area_km2
    for found in prediction.sets.values():
        row[f"{found.level}_set_{found.coverage * 100:g}"] = "; ".join(member.id for member in found.classes)
    for name, level in prediction.levels.items():
        row |= {f"{name}_cell": level.best.id, f"{name}_confidence": level.confidence}
    row |= _locations(prediction)
    point = prediction.point
    row["google_maps"] = None if point is None else google_maps_url(*point)
    row["openstreetmap"] = None if point is None else openstreetmap_url(*point)
    row["read_as"] = views_words(prediction.views) if prediction.views else None
    row |= {"warnings": "; ".join((notice.rstrip("."), *prediction.caveats)), "sha256": prediction.sha256}
    row["model_hash"] = made.model_hash
    return {**row, "licence": made.licence} if made.licence else row


def _country(prediction: Prediction) -> tuple[str | None, str | None]:
    """Return code and name of the country of the nearest town, or, without a point, of the best country that is answered."""
    if prediction.place is not None:
        return prediction.place.country_code, prediction.place.country
    names = list(prediction.levels)
    if (
        COUNTRY not in names
        or prediction.point is not None
        or prediction.answer_level not in names[names.index(COUNTRY) :]
    ):
        return None, None
    return named_country(prediction.levels[COUNTRY].best.id)


def named_country(best: str) -> tuple[str | None, str]:
    """Return code and name of a class of countries; polygons of the user's own may have names that are no codes."""
    try:
        return best, country_name(best)
    except ValueError:
        return None, best


def _locations(prediction: Prediction) -> dict[str, Any]:
    """Return where the EXIF and the dataset say that a photograph was taken, and the one of all sources that counts as known."""
    said = {location.source: location for location in reversed(prediction.metadata)}
    columns: dict[str, Any] = {}
    for name, place in (("exif", said.get("EXIF")), ("true", said.get("dataset")), ("known", prediction.known)):
        columns |= {
            f"{name}_latitude": place.latitude if place else None,
            f"{name}_longitude": place.longitude if place else None,
            f"{name}_distance_km": place.distance_km if place else None,
        }
    return {**columns, "known_from": prediction.known.source if prediction.known else None}
