"""From network output to one `Prediction`: posterior, point, cells, regions, confidence, and what to warn of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from dataset.country_names import country_name
from geocells.outlines import area_km2
from geocells.sphere import distance_km
from infer.class_answers import label_headline, prediction_sets
from infer.country_parts import parts_of
from infer.decode.multi_image import Agreement
from infer.decode.posterior import KeptCells, adaptive_top_k
from infer.decode.prior import Prior
from infer.decode.region import outline
from infer.drawing import Drawing
from infer.images import Described
from infer.notes import border_note, contradictions, few_photographs, location_notes, point_note
from infer.place_names import nearest_places
from infer.prediction import (
    AreaPrior,
    Cell,
    Country,
    Explanation,
    LevelPrediction,
    MetadataLocation,
    Photograph,
    Place,
    Prediction,
    Provenance,
    Region,
    SimilarPhotograph,
    View,
)
from infer.prepared import Answered, Prepared
from infer.views import views_warnings
from infer.wording import abstention_headline, headline
from plumbing.config import as_plain
from plumbing.version import VERSION, git_commit, now_utc


@dataclass(frozen=True, eq=False)
class Extras:
    """What one prediction shows beside what the networks say.

    Attributes:
        truth_deg: where a dataset says that the photograph was taken.
        agreement: of several photographs of one place.
        explanation: what its heat map compares.
        heat: (H, W) over the whole photograph, in nats.
        similar: training photographs.
        similar_jpeg: their pictures, small.
        views: of a panorama or a video.
    """

    truth_deg: tuple[float, float] | None = None
    agreement: Agreement | None = None
    explanation: Explanation | None = None
    heat: NDArray[np.float64] | None = None
    similar: tuple[SimilarPhotograph, ...] = ()
    similar_jpeg: Sequence[bytes | None] = field(default=())
    views: tuple[View, ...] = ()


def one_prediction(
    prepared: Prepared, photographs: Sequence[Described], answered: Answered, extras: Extras
) -> Prediction:
    """Return the prediction of one row of answers.

    Args:
        prepared: what answered.
        photographs: the photograph, or all of one place.
        answered: one row.
        extras: what is shown beside it.
    """
    model, first = prepared.model, photographs[0]
    posterior = [level[0] for level in answered.posterior]
    kept = adaptive_top_k(model.tree, posterior, prepared.options.mass)
    calibrated = prepared.confidence(answered.posterior, answered.inside)
    confidence: list[float | None] = [None] * len(kept)
    if calibrated is not None:
        confidence = [None if np.isnan(c) else round(float(c), 4) for c in calibrated[0].tolist()]
    levels = [_level(depth, cells, prepared, confidence[depth]) for depth, cells in enumerate(kept)]
    depth = answered_depth(confidence, prepared.options.confidence, prepared.coarsest)
    finest = depth == len(levels) - 1 and model.answers_points
    latitude, longitude = (round(float(value), 5) for value in answered.points_deg[0])
    point = (latitude, longitude)
    shares = [] if prepared.countries is None else prepared.countries.shares(posterior[-1].exp().double().cpu().numpy())
    countries = _countries(shares)
    regions = {region.coverage: region for region in (_region(r, prepared.prior) for r in answered.regions[0])}
    metadata = _metadata(photographs, point if finest else None, regions, extras.truth_deg)
    prior = None
    if prepared.prior is not None and answered.inside is not None:
        inside = float(f"{float(answered.inside[0]):.4g}")
        prior = AreaPrior(prepared.prior.words, inside, prepared.prior.sentence(inside))
    warnings = [*prepared.warnings(bool(extras.views)), *few_photographs(kept[-1], model)]
    warnings += [
        *contradictions(photographs, extras.agreement),
        *views_warnings(extras.views, prepared.options.every_s),
    ]
    warnings += location_notes(metadata)
    place = _place(point, prepared.prior) if finest else None
    likely = regions[min(regions)].countries if regions else countries
    warnings += border_note(likely, place)
    return Prediction(
        input=first.name,
        path=first.path,
        sha256=first.sha256,
        headline=_headline(prepared, depth, levels, likely, countries, regions),
        answer_level=None if depth is None else levels[depth].level,
        confidence=None if depth is None else levels[depth].confidence,
        latitude=latitude if finest else None,
        longitude=longitude if finest else None,
        point_method=model.point if finest else None,
        point_note=point_note(prepared, levels[-1], point) if finest else "",
        place=place,
        countries=countries,
        levels={level.level: level for level in levels},
        regions=regions,
        metadata=metadata,
        prior=prior,
        photographs=_photographs(photographs, extras.agreement),
        explanation=extras.explanation,
        similar=extras.similar,
        warnings=tuple(dict.fromkeys(warnings)),
        provenance=provenance(prepared),
        sets=prediction_sets(prepared, posterior),
        views=extras.views,
        drawing=Drawing(
            first.source,
            model.hierarchy,
            extras.heat,
            extras.similar_jpeg,
            [photo.source for photo in photographs] if len(photographs) > 1 else (),
        ),
    )


def answered_depth(confidence: Sequence[float | None], wanted: float | None, coarsest: int = 0) -> int | None:
    """Return the finest level that is confident enough, as its position; None where none is.

    Args:
        confidence: of each level, coarse to fine; None where the run is not calibrated.
        wanted: least confidence, 0 to 1; None answers at the finest level whatever its confidence.
        coarsest: position of the coarsest level that is worth an answer.
    """
    if wanted is None:
        return len(confidence) - 1
    enough = [k for k in range(coarsest, len(confidence)) if (confidence[k] or 0) >= wanted]
    return enough[-1] if enough else None


def _headline(
    prepared: Prepared,
    depth: int | None,
    levels: Sequence[LevelPrediction],
    likely: Sequence[Country],
    countries: Sequence[Country],
    regions: dict[float, Region],
) -> str:
    if not prepared.model.hierarchy.placed:
        return label_headline(levels[-1].cells, depth is not None)
    if depth == len(levels) - 1:
        shares = [(country.code, country.share) for country in likely]
        return headline(shares, parts_of(shares, regions[min(regions)].geometry) if regions else {})
    widest = regions[max(regions)].countries if regions else countries
    return abstention_headline([(country.code, country.share) for country in widest])


def _level(depth: int, kept: KeptCells, prepared: Prepared, confidence: float | None) -> LevelPrediction:
    """Return a level's most probable cells."""
    hierarchy, top = prepared.model.hierarchy, prepared.options.top
    rows = hierarchy.rows(depth).start + kept.classes[:top]
    cells = tuple(
        Cell(
            id=hierarchy.name[row],
            probability=float(f"{p:.6g}"),
            latitude=round(float(hierarchy.center_deg[row, 0]), 5) if hierarchy.placed else None,
            longitude=round(float(hierarchy.center_deg[row, 1]), 5) if hierarchy.placed else None,
            training_photographs=int(hierarchy.train_count[row]),
            bounds=tuple(round(float(edge), 6) for edge in hierarchy.bounds_deg[row]) if hierarchy.placed else None,  # type: ignore[arg-type]
        )
        for row, p in zip(rows.tolist(), kept.probability[:top].tolist(), strict=True)
    )
    unlisted = kept.cut_mass + float(kept.probability[top:].sum())
    return LevelPrediction(hierarchy.level_names[depth], cells, float(f"{unlisted:.6g}"), confidence)


def _countries(shares: Sequence[tuple[str, float]]) -> tuple[Country, ...]:
    return tuple(Country(code, country_name(code), round(share, 4)) for code, share in shares)


def _region(record: dict[str, Any], prior: Prior | None) -> Region:
    """Return a region of the finder, cut to the area that is known."""
    countries = _countries([(str(c["code"]), float(c["share"])) for c in record["countries"]])
    geometry, area = record["geometry"], record["area_km2"]
    if prior is not None:
        whole = prior.clip(np.array([shapely.geometry.shape(geometry)], dtype=object))
        parts = shapely.get_parts(whole)
        geometry, area = outline(parts), round(float(area_km2(parts).sum()), 1)
    return Region(
        record["coverage"], record["level"], record["cells"], area, record["probability"], countries, geometry
    )


def _metadata(
    photographs: Sequence[Described],
    point: tuple[float, float] | None,
    regions: dict[float, Region],
    truth_deg: tuple[float, float] | None,
) -> tuple[MetadataLocation, ...]:
    """Return where the files, and the dataset, say that they were taken, and how far off the answer is."""
    largest = regions[max(regions)] if regions else None
    shape = None if largest is None else shapely.geometry.shape(largest.geometry)
    several = len(photographs) > 1
    said = [(source, place, photo.name) for photo in photographs for source, place in photo.locations.items()]
    if truth_deg is not None:
        said.append(("dataset", truth_deg, photographs[0].name))
    return tuple(
        MetadataLocation(
            source=source,
            latitude=float(place[0]),
            longitude=float(place[1]),
            distance_km=None if point is None else round(float(distance_km(place, point)), 3),
            region_coverage=None if largest is None else largest.coverage,
            in_region=None if shape is None else bool(shape.intersects(shapely.Point(place[1], place[0]))),
            input=name if several else None,
        )
        for source, place, name in said
    )


def _place(point: tuple[float, float], prior: Prior | None) -> Place | None:
    town = nearest_places(np.array([point]), prior)[0]
    return None if town is None else Place(**town)


def _photographs(photographs: Sequence[Described], agrees: Agreement | None) -> tuple[Photograph, ...]:
    if agrees is None:
        return ()
    return tuple(
        Photograph(
            input=photo.name,
            path=photo.path,
            sha256=photo.sha256,
            located=bool(photo.locations),
            agreement=None if np.isnan(share) else round(float(share), 4),
            contradicts=k in agrees.contradicting,
        )
        for k, (photo, share) in enumerate(zip(photographs, agrees.shared.tolist(), strict=True))
    )


def provenance(prepared: Prepared) -> Provenance:
    """Return what names the model that answered, and how it turned its logits into probabilities."""
    model = prepared.model
    published = model.record.get("published") or {}
    return Provenance(
        run=model.name,
        model_hash=model.hash,
        version=VERSION,
        created_at_utc=model.record["created_at_utc"],
        answered_at_utc=now_utc(),
        git_commit=git_commit(),
        fusion=model.fusion,
        temperatures=dict(zip(model.hierarchy.level_names, model.temperatures[model.fusion], strict=True)),
        options=as_plain(prepared.options),
        precision=model.precision,
        licence=published.get("licence"),
        citation=published.get("citation"),
        source=published.get("source"),
    )
