"""Answers for geographic information systems and tables: Parquet, GeoPackage, KML."""

import logging
from collections.abc import Sequence
from pathlib import Path

import geopandas
import pandas as pd
import shapely

from infer.prediction import NOTICE, Prediction
from plumbing.files import atomic_path

# It reports, at the level of news, each file that it writes.
logging.getLogger("pyogrio").setLevel(logging.WARNING)

DRIVERS = {"gpkg": "GPKG", "kml": "LIBKML"}
"""GDAL's names of the formats."""


def write_format(out: Path, predictions: Sequence[Prediction], name: str) -> Path:
    """Write answers as predictions.NAME: parquet, gpkg or kml; points, and regions where there are any."""
    path = out / f"predictions.{name}"
    with atomic_path(path) as partial:
        if name == "parquet":
            pd.DataFrame([prediction.to_row() for prediction in predictions]).to_parquet(partial, index=False)
        else:
            _write_layers(partial, predictions, name)
    return path


def points(predictions: Sequence[Prediction]) -> geopandas.GeoDataFrame:
    """Return one point for each answer that has one, with all columns of predictions.csv."""
    pinned = [prediction for prediction in predictions if prediction.point is not None]
    table = pd.DataFrame([{**prediction.to_row(), "input": prediction.input} for prediction in pinned])
    places = geopandas.points_from_xy([p.longitude for p in pinned], [p.latitude for p in pinned])
    return geopandas.GeoDataFrame(table, geometry=places, crs="EPSG:4326")


def regions(predictions: Sequence[Prediction]) -> geopandas.GeoDataFrame:
    """Return one row for each region of each answer."""
    rows = [
        {
            "input": prediction.input,
            "coverage": region.coverage,
            "level": region.level,
            "area_km2": region.area_km2,
            "countries": ", ".join(country.name for country in region.countries),
            "warnings": "; ".join((NOTICE.rstrip("."), *prediction.caveats)),
            "geometry": shapely.geometry.shape(region.geometry),
        }
        for prediction in predictions
        for region in prediction.regions.values()
    ]
    columns = ["input", "coverage", "level", "area_km2", "countries", "warnings", "geometry"]
    return geopandas.GeoDataFrame(rows, columns=columns, geometry="geometry", crs="EPSG:4326")


def _write_layers(partial: Path, predictions: Sequence[Prediction], name: str) -> None:
    pins, areas = points(predictions), regions(predictions)
    if name == "kml":
        # What KML viewers list and show in a balloon.
        pins = pins.assign(Name=pins.get("input"), Description=[_words(p) for p in predictions if p.point is not None])
        words = [f"{row.coverage:.0%} region: {row.area_km2:,.0f} km², {row.countries}" for row in areas.itertuples()]
        areas = areas.assign(Name=areas["input"], Description=words)
    # GDAL takes the kind of file from its ending, and keeps a journal beside it while writing.
    whole = partial.with_suffix(f".{name}")
    try:
        for layer, found in (("points", pins), ("regions", areas)):
            if len(found) or layer == "points":
                found.to_file(whole, layer=layer, driver=DRIVERS[name], mode="a" if whole.exists() else "w")
        whole.replace(partial)
    finally:
        whole.unlink(missing_ok=True)


def _words(prediction: Prediction) -> str:
    confidence = "not calibrated" if prediction.confidence is None else f"confidence {prediction.confidence:.0%}"
    return ". ".join([prediction.headline, confidence, NOTICE.rstrip("."), *prediction.caveats]) + "."
