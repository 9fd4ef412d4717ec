"""Points on the sphere as tensors: `geocells.sphere` on any device, and differentiable."""

import torch
from torch import Tensor

from geocells.sphere import EARTH_RADIUS_KM


def vectors_of(latlon_deg: Tensor) -> Tensor:
    """Return (..., 3) unit vectors of (..., 2) latitudes and longitudes in degrees, differentiable."""
    lat, lon = latlon_deg.deg2rad().unbind(dim=-1)
    return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], dim=-1)


def latlon_deg_of(vectors: Tensor) -> Tensor:
    """Return (..., 2) latitudes and longitudes in degrees of (..., 3) vectors of any positive length."""
    x, y, z = vectors.unbind(dim=-1)
    return torch.stack([torch.atan2(z, torch.hypot(x, y)), torch.atan2(y, x)], dim=-1).rad2deg()


def pairwise_km(a: Tensor, b: Tensor) -> Tensor:
    """Return great-circle distances between all pairs of unit vectors.

    Args:
        a: (..., N, 3) unit vectors.
        b: (..., M, 3) unit vectors.

    Returns:
        (..., N, M) kilometres.
    """
    return EARTH_RADIUS_KM * arc_rad(torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist"))


def arc_rad(chord: Tensor) -> Tensor:
    """Return the angles, in radians, between unit vectors whose straight distances are given."""
    # Single precision keeps metres nearby, where the arc cosine of a product would lose kilometres.
    return 2 * torch.asin((chord / 2).clamp(max=1))
