"""One photograph's answer as plain values: what predictions.json holds, and what is drawn on its map."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dataset.metadata_location import metadata_locations
from geocells.sphere import distance_km
from infer.decode.posterior import KeptCells, adaptive_top_k
from infer.model import Model
from infer.place_names import nearest_places
from plumbing.files import sha256
from plumbing.version import VERSION

FEW = 5
"""A cell with fewer training photographs may have been learned from a single journey, which the answer then says."""


@dataclass(frozen=True)
class Listing:
    """How much of a posterior is told.

    Attributes:
        mass: share of what is left that the kept cells of a level reach.
        top: at most so many cells a level are listed.
    """

    mass: float
    top: int


def answer_record(
    photo: Path, point_deg: NDArray[np.float64], posterior: Sequence[Tensor], model: Model, listing: Listing
) -> dict[str, Any]:
    """Return the record of one photograph.

    Args:
        photo: its file.
        point_deg: (2,) the answered point.
        posterior: (classes,) log probabilities per level.
        model: what answered.
        listing: how much is listed.
    """
    kept = adaptive_top_k(model.tree, posterior, listing.mass)
    stated = _stated(photo, point_deg)
    return {
        "input": str(photo),
        "sha256": sha256(photo),
        "point": {**_latlon(point_deg), "method": model.point},
        "place": nearest_places(point_deg[None])[0],
        "levels": [_level(depth, cells, model, listing.top) for depth, cells in enumerate(kept)],
        "exif": stated.get("EXIF"),
        "stated": [{"source": source, **place} for source, place in stated.items()],
        "warnings": [*model_warnings(model), *_few_warning(kept[-1], model)],
        "model": model_record(model),
    }


def _latlon(point_deg: NDArray[np.float64]) -> dict[str, float]:
    latitude, longitude = point_deg.tolist()
    return {"latitude": round(latitude, 5), "longitude": round(longitude, 5)}


def _level(depth: int, kept: KeptCells, model: Model, top: int) -> dict[str, Any]:
    """Return a level's likeliest cells; `cut_mass` is the probability of this level that no listed cell holds."""
    rows = model.hierarchy.rows(depth).start + kept.classes[:top]
    cells = [
        {"id": model.hierarchy.name[row], "probability": float(f"{p:.6g}"), **_latlon(model.hierarchy.center_deg[row])}
        for row, p in zip(rows.tolist(), kept.probability[:top].tolist(), strict=True)
    ]
    unlisted = kept.cut_mass + float(kept.probability[top:].sum())
    return {"level": model.hierarchy.level_names[depth], "cells": cells, "cut_mass": float(f"{unlisted:.6g}")}


def _stated(photo: Path, point_deg: NDArray[np.float64]) -> dict[str, dict[str, float]]:
    """Return where the file itself says it was taken, which the network never sees, and how far off the answer is."""
    return {
        source: {
            "latitude": place[0],
            "longitude": place[1],
            "distance_km": round(float(distance_km(place, point_deg)), 3),
        }
        for source, place in metadata_locations(photo).items()
    }


def _few_warning(finest: KeptCells, model: Model) -> list[str]:
    """Return a line where the likeliest finest cell was learned from next to nothing."""
    level, best = model.hierarchy.depth - 1, int(finest.classes[0])
    count = int(model.hierarchy.learned(level, best))
    if count >= FEW:
        return []
    name = f"{model.hierarchy.level_names[-1]} {model.hierarchy.name[model.hierarchy.rows(level).start + best]}"
    return [f"the likeliest cell {name} had {count} training photograph{'' if count == 1 else 's'}"]


def model_warnings(model: Model) -> list[str]:
    """Return what is to be known of every answer of a model."""
    warnings = []
    if model.record.get("synthetic"):
        warnings.append("trained on a made-up planet: what it says of a real photograph means nothing")
    if not model.calibrated:
        warnings.append("not calibrated: the probabilities may be too sure")
    return warnings


def model_record(model: Model) -> dict[str, Any]:
    """Return what names the model that answered, and how it turned its logits into probabilities."""
    temperatures = dict(zip(model.hierarchy.level_names, model.temperatures[model.fusion], strict=True))
    return {
        "run": model.name,
        "hash": model.hash,
        "version": VERSION,
        "created": model.record["created_at_utc"],
        "fusion": model.fusion,
        "temperatures": temperatures,
    }
