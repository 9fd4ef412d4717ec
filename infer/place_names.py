"""Names of places, from the list of towns inside the `reverse_geocode` package: no network is asked."""

from functools import cache
from typing import Any

import numpy as np
import reverse_geocode
from numpy.typing import NDArray

from geocells.sphere import distance_km


def nearest_places(points_deg: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return `name`, `country_code` and `distance_km` of the town nearest to each of (N, 2) points."""
    # Rounded as the package does, so that equal answers ask once.
    return [_nearest(round(lat, 4), round(lon, 4)) for lat, lon in points_deg.tolist()]


@cache
def _nearest(lat_deg: float, lon_deg: float) -> dict[str, Any]:
    town = reverse_geocode.get((lat_deg, lon_deg))
    away = distance_km((lat_deg, lon_deg), (town["latitude"], town["longitude"]))
    parts = [town["city"], town.get("state")]
    name = ", ".join(dict.fromkeys(part for part in parts if part))
    return {"name": name, "country_code": town["country_code"], "distance_km": round(float(away), 1)}
