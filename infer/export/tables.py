"""Answers as files for people and for other programs: predictions.json, .csv and .geojson."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infer.prediction import Prediction
from plumbing.files import write_json, write_text


def write_answers(out: Path, predictions: Sequence[Prediction]) -> list[Path]:
    """Write predictions.json, .csv and .geojson into a folder and return their paths."""
    paths = [out / f"predictions.{suffix}" for suffix in ("json", "csv", "geojson")]
    write_json(paths[0], [prediction.to_dict() for prediction in predictions])
    write_text(paths[1], as_csv(predictions))
    write_text(paths[2], json.dumps(as_geojson(predictions), ensure_ascii=False) + "\n")
    return paths


def as_csv(predictions: Sequence[Prediction]) -> str:
    """Return a table with one line for each answer."""
    rows = [prediction.to_row() for prediction in predictions]
    text = io.StringIO()
    writer = csv.DictWriter(
        text, list(dict.fromkeys(name for row in rows for name in row)) or ["input"], lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_geojson(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Return a feature collection (RFC 7946) of the points and the regions."""
    features = [feature for prediction in predictions for feature in prediction.to_geojson()["features"]]
    return {"type": "FeatureCollection", "features": features}
