"""What one photograph's record of predictions.json says, for reading."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def point_deg(answer: Mapping[str, Any]) -> tuple[float, float]:
    """Return the answered point."""
    return float(answer["point"]["latitude"]), float(answer["point"]["longitude"])


def true_place(answer: Mapping[str, Any], truth_deg: ArrayLike | None) -> tuple[tuple[float, float] | None, str]:
    """Return where the photograph was taken, if known, and by what."""
    if truth_deg is not None:
        latitude, longitude = np.asarray(truth_deg, dtype=np.float64).tolist()
        return (latitude, longitude), "known"
    if (exif := answer.get("exif")) is not None:
        return (float(exif["latitude"]), float(exif["longitude"])), "from its EXIF"
    return None, ""


def place_words(answer: Mapping[str, Any]) -> str:
    """Return the name of the answered place; its cell or coordinates where none has a name or none is sure."""
    if answer.get("answer_words") and not (answer.get("place") or {}).get("name"):
        return str(answer["answer_words"])
    place = answer.get("place")
    if not place or not place.get("name"):
        return coordinate_words(*point_deg(answer))
    return ", ".join(str(place[key]) for key in ("name", "country_code") if place.get(key))


def coordinate_words(latitude: float, longitude: float) -> str:
    """Return a place as people write it."""
    return f"{abs(latitude):.4f}° {'NS'[latitude < 0]}, {abs(longitude):.4f}° {'EW'[longitude < 0]}"


def percent(probability: float) -> str:
    """Return a probability for reading, never rounded to certainty or to nothing."""
    if 0 < probability < 0.001:
        return "< 0.1%"
    if 0.999 < probability < 1:
        return "> 99.9%"
    return f"{probability:.1%}"
