"""Figures that say how far answers lie from the truth."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

GEOSCORE_SCALE_KM = 1492.7
"""Distance at which a GeoScore has fallen to 1/e, for maps of the world (OSV-5M, Astruc et al. 2024)."""


def geoscore(distance_km: ArrayLike, scale_km: float = GEOSCORE_SCALE_KM) -> NDArray[np.float64]:
    """Return `5000 * exp(-distance / scale)`, unrounded, as OSV-5M does; the scale is smaller for smaller maps."""
    return 5000 * np.exp(-np.asarray(distance_km, dtype=np.float64) / scale_km)
