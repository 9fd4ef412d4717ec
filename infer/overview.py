"""What the index of many answers lists of each: its answer, confidence by level, how far off it is, where its page lies."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dataset.country_names import country_name
from geocells import grid
from geocells.land import TABLE_LEVEL, land_table
from infer.parts import ClassSet, MetadataLocation
from infer.prediction import NOTICE, Prediction
from infer.wording import class_words
from label_maps.labels import COUNTRY, STATED
from plumbing.evenly import evenly
from plumbing.files import atomic_path
from plumbing.text import counted

INDEX = "index"
"""Stem of the page, which answers leave free."""
BULK_INDEX = "_index.html"
"""The page beside Parquet parts; readers of Parquet folders pass over names that begin so."""
THUMBNAILS = "thumbnails"
THUMBNAIL_SIDE = 96
"""Of a thumbnail, in pixels: about 3 kB each, as files that a browser loads once they are scrolled to."""
LISTED = 20_000
"""Answers of an index at most, evenly from all."""


@dataclass(frozen=True, eq=False)
class Overview:
    """Answers as columns of N rows; what is not known is None or NaN.

    Attributes:
        title: of the page.
        total: how many answers there are, of which these are some.
        notes: what to know of all of them.
        name: of the photographs.
        answer: in words.
        country: most likely ones, by name.
        page: addresses of the answers' pages, relative to the index.
        thumbnail: likewise of their small pictures.
        levels: names of levels.
        confidence: (N, levels) calibrated.
        points_deg: (N, 2) latitude and longitude.
        known_deg: (N, 2) where the photographs were taken, by their dataset or EXIF.
        away_km: (N,) from there to the point.
        area_km2: (N,) of the region of the largest coverage.
        coverage: that coverage.
        sets: (N,) the largest sets of countries or labels, where the answers are such classes and have no points; else None.
    """

    title: str
    total: int
    notes: Sequence[str]
    name: Sequence[str]
    answer: Sequence[str]
    country: Sequence[str]
    page: Sequence[str | None]
    thumbnail: Sequence[str | None]
    levels: Sequence[str]
    confidence: NDArray[np.float64]
    points_deg: NDArray[np.float64]
    known_deg: NDArray[np.float64]
    away_km: NDArray[np.float64]
    area_km2: NDArray[np.float64]
    coverage: float | None
    sets: Sequence[ClassSet | None]

    @classmethod
    def of(cls, predictions: Sequence[Prediction], names: Mapping[Path, str], out: Path) -> "Overview":
        """Return an overview of answers whose pages and thumbnails lie in a folder.

        Args:
            predictions: one at least.
            names: stems of what is written of each photograph.
            out: the folder.
        """
        shown = evenly(list(predictions), LISTED)
        stems = [names[Path(prediction.path or "")] for prediction in shown]
        levels = list(dict.fromkeys(name for prediction in shown for name in prediction.levels))
        sets = _sets(shown)
        # The region of such answers is the area of the countries in a set.
        coverages = [] if any(sets) else [coverage for prediction in shown for coverage in prediction.regions]
        coverage = max(coverages, default=None)
        regions = [None if coverage is None else prediction.regions.get(coverage) for prediction in shown]
        known = [prediction.known or MetadataLocation("", np.nan, np.nan) for prediction in shown]
        confidence = [
            [_number(p.levels[name].confidence if name in p.levels else None) for name in levels] for p in shown
        ]
        return cls(
            title=f"{counted(len(predictions), 'answer')} of {predictions[0].provenance.run}",
            total=len(predictions),
            notes=_shared(shown),
            name=[prediction.input for prediction in shown],
            answer=[_sentence(prediction.headline.removeprefix("Most likely ")) for prediction in shown],
            country=[prediction.countries[0].name if prediction.countries else "" for prediction in shown],
            page=[_address(f"{stem}.html") for stem in stems],
            thumbnail=[_existing(out, stem) for stem in stems],
            levels=levels,
            confidence=np.array(confidence, dtype=np.float64).reshape(len(shown), len(levels)),
            points_deg=np.array([prediction.point or (np.nan, np.nan) for prediction in shown], dtype=np.float64),
            known_deg=np.array([(place.latitude, place.longitude) for place in known], dtype=np.float64),
            away_km=np.array([_number(place.distance_km) for place in known]),
            area_km2=np.array([_number(None if region is None else region.area_km2) for region in regions]),
            coverage=coverage,
            sets=sets,
        )

    @classmethod
    def of_bulk(cls, parts: Sequence[Path], run: str) -> "Overview":
        """Return an overview of the answers in Parquet parts, which have neither pages nor regions."""
        rows = sum(pq.read_metadata(part).num_rows for part in parts)
        answered, tables = 0, []
        for part in parts:
            found = pq.read_table(part)
            found = found.filter(pc.is_valid(found[_cells(found)[-1]]))
            answered += len(found)
            # Of each part its share, so that parts of millions of answers are never together in memory.
            share = max(1, LISTED * len(found) // rows) if rows > LISTED else len(found)
            tables.append(found.take(evenly(list(range(len(found))), share)))
        table = pa.concat_tables(tables)
        levels = [name.removesuffix("_cell") for name in _cells(table)]
        points = _columns(table, "latitude", "longitude")
        unread = [f"{rows - answered:,} of {counted(rows, 'photograph')} could not be read."] if answered < rows else []
        blank = [None] * len(table)
        countries, answers = _named(levels[-1], table[f"{levels[-1]}_cell"].to_pylist(), points)
        return cls(
            title=f"{counted(answered, 'answer')} of {run}",
            total=answered,
            notes=[*unread, *_notes(table["warnings"])],
            name=[Path(name).name for name in table["input"].to_pylist()],
            answer=answers,
            country=countries,
            page=blank,
            thumbnail=blank,
            levels=levels,
            confidence=_columns(table, *(f"{level}_confidence" for level in levels)),
            points_deg=points,
            known_deg=_columns(table, "known_latitude", "known_longitude"),
            away_km=_columns(table, "known_distance_km")[:, 0],
            area_km2=np.full(len(table), np.nan),
            coverage=None,
            sets=blank,
        )


def write_thumbnail(out: Path, stem: str, prediction: Prediction) -> None:
    """Write the small picture of an answer, where its photograph can still be read."""
    jpeg = None if prediction.drawing is None else prediction.drawing.thumbnail_jpeg(THUMBNAIL_SIDE)
    if jpeg is not None:
        with atomic_path(out / THUMBNAILS / f"{stem}.jpg") as partial:
            partial.write_bytes(jpeg)


def _sets(predictions: Sequence[Prediction]) -> list[ClassSet | None]:
    """Return the set of the largest coverage of each answer, where all are countries or labels without points."""
    if any(p.point is not None or p.finest.level not in STATED for p in predictions):
        return [None] * len(predictions)
    return [p.sets[max(p.sets)] if p.sets else None for p in predictions]


def _named(level: str, cells: Sequence[str], points_deg: NDArray[np.float64]) -> tuple[list[str], list[str]]:
    """Return countries and answers in words of the best finest cells, and of points in them; of labels no country is known."""
    if level in STATED and np.isnan(points_deg).all():
        words = {cell: class_words(cell, level) for cell in set(cells)}
        answers = [words[cell] for cell in cells]
        return (answers if level == COUNTRY else [""] * len(cells)), answers
    countries = _countries_at(points_deg)
    named = zip(countries, cells, strict=True)
    return countries, [f"{country}, cell {cell}" if country else f"Cell {cell}" for country, cell in named]


def _shared(predictions: Sequence[Prediction]) -> list[str]:
    """Return the warnings that all answers have, and the licence of what gave them."""
    notes = [
        f"{_sentence(caveat)}." for caveat in predictions[0].warnings if all(caveat in p.warnings for p in predictions)
    ]
    licence = predictions[0].provenance.licence
    return [*notes, f"Licence of the model: {licence}."] if licence else notes


def _notes(warnings: pa.ChunkedArray) -> list[str]:
    """Return what the rows of parts are warned of alike, as sentences, without the notice that stands on the page anyway."""
    each = [text.split("; ") for text in pc.unique(warnings).to_pylist()]
    alike = [warning for warning in (each or [[]])[0] if all(warning in other for other in each)]
    return [f"{_sentence(warning)}." for warning in alike if warning != NOTICE.rstrip(".")]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _address(name: str) -> str:
    # With ./ a colon in a name does not make what stands before it a protocol.
    return f"./{quote(os.fsencode(name))}"


def _existing(out: Path, stem: str) -> str | None:
    path = out / THUMBNAILS / f"{stem}.jpg"
    return f"./{THUMBNAILS}/{quote(os.fsencode(path.name))}" if path.is_file() else None


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _cells(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name.endswith("_cell")]


def _columns(table: pa.Table, *names: str) -> NDArray[np.float64]:
    return np.column_stack([table[name].to_pandas().to_numpy(dtype=np.float64) for name in names])


def _countries_at(points_deg: NDArray[np.float64]) -> list[str]:
    """Return the country with most land in the cell of each point, by name; nothing at sea and without a point."""
    code = np.full(len(points_deg), "", dtype=land_table().country.dtype)
    here = ~np.isnan(points_deg).any(axis=1)
    code[here] = land_table().country[grid.encode(points_deg[here], TABLE_LEVEL)]
    name = {text: country_name(text) if text else "" for text in set(code.tolist())}
    return [name[text] for text in code.tolist()]
