"""Answers as files for people and for other programs."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plumbing.files import write_json, write_text

Record = dict[str, Any]


def write_answers(out: Path, records: Sequence[Record]) -> list[Path]:
    """Write predictions.json, .csv and .geojson into a folder and return their paths."""
    paths = [out / f"predictions.{suffix}" for suffix in ("json", "csv", "geojson")]
    write_json(paths[0], list(records))
    write_text(paths[1], as_csv(records))
    write_text(paths[2], json.dumps(as_geojson(records), ensure_ascii=False) + "\n")
    return paths


def photographs_of(record: Record) -> list[Record]:
    """Return input, sha256 and stated places of each photograph that a record answers for."""
    photographs: list[Record] = record.get("photographs") or [record]
    return photographs


def as_csv(records: Sequence[Record]) -> str:
    """Return a table with one line for each photograph."""
    rows = [as_flat(record) for record in records]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["input"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_flat(record: Record) -> dict[str, Any]:
    """Return what a table says of one photograph, by column."""
    exif = record["exif"] or {}
    levels = {
        key: value
        for level in record["levels"]
        for key, value in (
            (f"{level['level']}_cell", level["cells"][0]["id"]),
            (f"{level['level']}_probability", level["cells"][0]["probability"]),
        )
    }
    return {
        "input": record["input"],
        "latitude": record["point"]["latitude"],
        "longitude": record["point"]["longitude"],
        "method": record["point"]["method"],
        "place": record["place"]["name"],
        "country_code": record["place"]["country_code"],
        "answer_level": record.get("answer_level"),
        "answer_words": record.get("answer_words"),
        **levels,
        **{f"exif_{key}": exif.get(key) for key in ("latitude", "longitude", "distance_km")},
        "warnings": "; ".join(record["warnings"]),
        "sha256": record["sha256"],
        "model_hash": record["model"]["hash"],
    }


def as_geojson(records: Sequence[Record]) -> dict[str, Any]:
    """Return a feature collection (RFC 7946) with a point for each photograph."""
    return {"type": "FeatureCollection", "features": [_feature(record) for record in records]}


def _feature(record: Record) -> dict[str, Any]:
    point = record["point"]
    properties = {key: value for key, value in as_flat(record).items() if key not in ("latitude", "longitude")}
    # GeoJSON alone has longitude first.
    geometry = {"type": "Point", "coordinates": [point["longitude"], point["latitude"]]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}
