"""The answer for one photograph, or for several of one place: frozen, typed, the same wherever it is shown.

`Predictor.predict` makes a `Prediction` once and nothing edits it. `predictions.json` is `to_dict`, and `from_dict`
reads it back. Latitude comes first, in degrees; GeoJSON alone has longitude first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from infer.parts import (
    AreaPrior,
    Cell,
    ClassSet,
    Country,
    Explanation,
    LevelPrediction,
    MetadataLocation,
    Photograph,
    Place,
    Provenance,
    Region,
    SetMember,
    SimilarPhotograph,
    View,
)

if TYPE_CHECKING:
    from infer.drawing import Drawing

__all__ = [
    "FORMAT",
    "NOTICE",
    "AreaPrior",
    "Cell",
    "ClassSet",
    "Country",
    "Explanation",
    "LevelPrediction",
    "MetadataLocation",
    "Photograph",
    "Place",
    "Prediction",
    "Provenance",
    "Region",
    "SetMember",
    "SimilarPhotograph",
    "View",
]

FORMAT = 2
"""Of predictions.json. Files of version 0.1.0 have no number and are refused with a line."""
NOTICE = "A hypothesis, not proof."
KNOWN_FROM = ("dataset", "EXIF", "XMP", "Mapillary", "side-car", "Takeout", "video", "file name", "comment")
"""Who says where a photograph was taken, the most reliable first. The network sees none of it."""


class Asked(dict[Any, Any]):
    """What an answer has by level or coverage; a key that it lacks is refused with those that it has."""

    def __init__(
        self, known: Mapping[Any, Any] | Iterable[tuple[Any, Any]], what: str = "value", advice: str = ""
    ) -> None:
        """Hold what is known, the word for it and what to do about what is not."""
        super().__init__(known)
        self._what, self._advice = what, advice

    def __missing__(self, key: Any) -> Any:
        """Refuse a key.

        Raises:
            KeyError: always; the message says which there are.
        """
        has = ", ".join(map(repr, self)) or "none"
        raise KeyError(f"this answer has no {self._what} {key!r}: it has {has}{self._advice}")

    def __reduce__(self) -> Any:
        """Return how to make a copy."""
        return Asked, (dict(self), self._what, self._advice)


ASKED_BY_KEY = (
    ("levels", "level", ""),
    ("regions", "region of coverage", "; ask for it by predict(..., coverage=...) on a calibrated run"),
    ("sets", "set of coverage", "; a run with a level of countries or labels has them, by predict(..., coverage=...)"),
)
"""Fields of an answer that are asked by a key, what a value is called, and how others are had."""


@dataclass(frozen=True)
class Prediction:
    """Where a photograph was taken, and how sure that is.

    Rely first on the region and the calibrated confidence, then on the point.

    Attributes:
        input: name of the file, without folders; `image 3` for the third image that came without one.
        path: of the file as it was given; None of an image without one.
        sha256: of the file, or of the pixels of an image without one.
        headline: the answer in one line, no finer than may be relied on.
        answer_level: the finest level that is answered; None where even the coarsest is not confident enough.
        confidence: calibrated probability that the best cell of the answered level is right; None where the run is not
            calibrated.
        latitude: of the point in degrees; None where `confidence` was asked for and the finest level does not reach it, and of a
            run that learned without coordinates.
        longitude: likewise.
        point_method: how the point was chosen; None without a point.
        point_note: why the point lies outside the best cell; empty where it lies inside.
        place: the town nearest to the point; None without a point.
        countries: with their shares of the posterior, the largest first.
        levels: by name, coarse to fine.
        regions: by coverage.
        metadata: where the file and its dataset say that it was taken.
        prior: what was known beside the photograph, if anything.
        photographs: of one place, where several were answered together.
        explanation: what the heat map compares, where it was asked for.
        similar: training photographs, where they were asked for.
        warnings: what to know before relying on the answer.
        provenance: what gave it.
        sets: conformal prediction sets of countries or labels by coverage, where the run has a level of them.
        views: what was cut from a panorama or a video and answered as one place; empty of ordinary photographs.
        drawing: what its pages are drawn from beside all this; not stored and not compared.

    Example:
        >>> p = Prediction.example()
        >>> p.levels["L3"].top(1)[0].id
        '0/1/2'
        >>> Prediction.from_dict(p.to_dict()) == p
        True
    """

    input: str
    path: str | None
    sha256: str
    headline: str
    answer_level: str | None
    confidence: float | None
    latitude: float | None
    longitude: float | None
    point_method: str | None
    point_note: str
    place: Place | None
    countries: tuple[Country, ...]
    levels: Mapping[str, LevelPrediction]
    regions: Mapping[float, Region]
    metadata: tuple[MetadataLocation, ...]
    prior: AreaPrior | None
    photographs: tuple[Photograph, ...]
    explanation: Explanation | None
    similar: tuple[SimilarPhotograph, ...]
    warnings: tuple[str, ...]
    provenance: Provenance
    sets: Mapping[float, ClassSet] = field(default_factory=dict)
    views: tuple[View, ...] = ()
    drawing: Drawing | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Let a level, region or set that is asked for and missing be named."""
        for field_name, what, advice in ASKED_BY_KEY:
            known = Asked(getattr(self, field_name), what, advice)
            object.__setattr__(self, field_name, known)

    def __str__(self) -> str:
        """Return the answer in a few lines."""
        said = ", ".join(
            f"{name} {level.confidence:.0%}" for name, level in self.levels.items() if level.confidence is not None
        )
        lines = [f"{self.input}: {self.headline}", f"confidence by level: {said or 'not calibrated'}"]
        lines += [f"{coverage:.0%} region: {region.area_km2:,.0f} km²" for coverage, region in self.regions.items()]
        lines += [str(found) for found in self.sets.values()]
        lines += [] if self.point is None else [f"point: {self.latitude:.4f}, {self.longitude:.4f}"]
        return "\n".join([*lines, *(f"warning: {caveat}" for caveat in self.caveats), NOTICE])

    @property
    def point(self) -> tuple[float, float] | None:
        """Return latitude and longitude in degrees; None where no point is answered."""
        return None if self.latitude is None or self.longitude is None else (self.latitude, self.longitude)

    @property
    def finest(self) -> LevelPrediction:
        """Return the finest level."""
        return list(self.levels.values())[-1]

    @property
    def answered(self) -> LevelPrediction | None:
        """Return the level that is answered; None where none is confident enough."""
        return None if self.answer_level is None else self.levels[self.answer_level]

    @property
    def caveats(self) -> tuple[str, ...]:
        """Return what stands beside the answer wherever it is shown: how little the model put inside an area, and warnings."""
        return (*([self.prior.sentence] if self.prior else []), *self.warnings)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain values that JSON can hold."""
        plain = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name != "drawing"}
        plain["levels"] = [_plain(level) for level in self.levels.values()]
        plain["regions"] = [_plain(region) for region in self.regions.values()]
        plain["sets"] = [_plain(found) for found in self.sets.values()]
        return {"format": FORMAT, **plain}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Prediction:
        """Return the answer that `to_dict` wrote.

        Raises:
            ValueError: it was written by another version, or is damaged.
        """
        if not isinstance(content, Mapping) or content.get("format") != FORMAT:
            raise ValueError(
                f"this is not an answer of format {FORMAT} (it says {_said_format(content)}): predict again with this version"
            )
        try:
            return cls(**_values(content))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"the answer is damaged ({error!r}): predict again") from None

    @property
    def known(self) -> MetadataLocation | None:
        """Return where the photograph was taken by its dataset, or else its metadata, side-car, name or comment."""
        said = {location.source: location for location in reversed(self.metadata)}
        return next((said[source] for source in KNOWN_FROM if source in said), None)

    def to_row(self) -> dict[str, Any]:
        """Return one row of a table: what predictions.csv says, by column."""
        from infer.rows import row_of

        return row_of(self, NOTICE)

    def to_geojson(self) -> dict[str, Any]:
        """Return a feature collection (RFC 7946): the point, where there is one, and each region."""
        row = {key: value for key, value in self.to_row().items() if key not in ("latitude", "longitude")}
        row["input"] = self.input
        point = None if self.point is None else {"type": "Point", "coordinates": [self.longitude, self.latitude]}
        features = [{"type": "Feature", "geometry": point, "properties": {"kind": "point", **row}}]
        for region in sorted(self.regions.values(), key=lambda region: region.coverage):
            about = {"kind": "region", "input": self.input, "coverage": region.coverage, "area_km2": region.area_km2}
            about |= {"countries": [country.name for country in region.countries], "warnings": row["warnings"]}
            features.append({"type": "Feature", "geometry": dict(region.geometry), "properties": about})
        return {"type": "FeatureCollection", "features": features}

    def to_html(self) -> str:
        """Return the offline page of the answer."""
        from infer import page_of

        return page_of(self)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the page in a frame."""
        from html import escape

        from infer.review import SANDBOX

        return (
            f'<iframe sandbox="{SANDBOX}" title="{escape(self.headline)}" style="width:100%;height:640px;border:0" '
            f'srcdoc="{escape(self.to_html())}"></iframe>'
        )

    @classmethod
    def example(cls) -> Prediction:
        """Return a made-up answer, for trying what reads answers."""
        bounds = (0.0, 45.0, 22.5, 90.0)
        cell = Cell("0/1/2", 0.7, 11.0, 60.0, 12, bounds)
        box = [[45.0, 0.0], [90.0, 0.0], [90.0, 22.5], [45.0, 22.5], [45.0, 0.0]]
        country = Country("IN", "India", 1.0)
        geometry = {"type": "MultiPolygon", "coordinates": [[box]]}
        return cls(
            input="photo.jpg",
            path="photo.jpg",
            sha256="0" * 64,
            headline="Most likely India",
            answer_level="L3",
            confidence=0.6,
            latitude=11.0,
            longitude=60.0,
            point_method="geoscore",
            point_note="",
            place=Place("Mumbai, Maharashtra", "IN", "India", 1600.0),
            countries=(country,),
            levels={"L3": LevelPrediction("L3", (cell,), 0.3, 0.6)},
            regions={0.9: Region(0.9, "L3", 1, 12e6, 0.7, (country,), geometry)},
            metadata=(MetadataLocation("EXIF", 12.0, 61.0, 155.7, 0.9, True),),
            prior=AreaPrior("within IN", 0.2, "the model itself put 20% inside India (within IN)"),
            photographs=(),
            explanation=None,
            similar=(),
            warnings=("an example",),
            provenance=Provenance(
                "example", "0" * 64, "0", "2026-01-01", "2026-01-01", None, "chain", {"L3": 1.0}, {"coverage": [0.9]}
            ),
            sets={
                0.9: ClassSet(0.9, "country", (SetMember("IN", "India", 0.7), SetMember("LK", "Sri Lanka", 0.2)), 0.9)
            },
        )


def _said_format(content: Any) -> Any:
    return content.get("format", "nothing, as version 0.1.0 did") if isinstance(content, Mapping) else type(content)


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(content) for name, content in asdict(value).items()}
    if isinstance(value, Mapping):
        return {str(key): _plain(content) for key, content in value.items()}
    return [_plain(content) for content in value] if isinstance(value, list | tuple) else value


def _values(content: Mapping[str, Any]) -> dict[str, Any]:
    values = {f.name: content[f.name] for f in fields(Prediction) if f.name not in ("drawing", "sets", "views")}
    # Answers from before conformal sets of classes have none, nor those from before panoramas were cut.
    sets = [ClassSet(**{**found, "classes": _each(SetMember, found["classes"])}) for found in content.get("sets", ())]
    levels = [_level(level) for level in content["levels"]]
    regions = [_region(region) for region in content["regions"]]
    return {
        **values,
        "place": _optional(Place, content["place"]),
        "countries": _each(Country, content["countries"]),
        "levels": {level.level: level for level in levels},
        "regions": {region.coverage: region for region in regions},
        "sets": {found.coverage: found for found in sets},
        "views": _each(View, content.get("views", ())),
        "metadata": _each(MetadataLocation, content["metadata"]),
        "prior": _optional(AreaPrior, content["prior"]),
        "photographs": _each(Photograph, content["photographs"]),
        "explanation": _optional(Explanation, content["explanation"]),
        "similar": _each(SimilarPhotograph, content["similar"]),
        "warnings": tuple(content["warnings"]),
        "provenance": Provenance(**content["provenance"]),
    }


def _level(content: Mapping[str, Any]) -> LevelPrediction:
    cells = tuple(Cell(**{**cell, "bounds": cell["bounds"] and tuple(cell["bounds"])}) for cell in content["cells"])
    return LevelPrediction(**{**content, "cells": cells})


def _region(content: Mapping[str, Any]) -> Region:
    return Region(**{**content, "countries": _each(Country, content["countries"])})


def _each(kind: Any, contents: Sequence[Mapping[str, Any]]) -> Any:
    return tuple(kind(**content) for content in contents)


def _optional(kind: Any, content: Mapping[str, Any] | None) -> Any:
    return None if content is None else kind(**content)
