"""From a posterior over leaves to one point: several answers, each best for another question."""

from collections.abc import Callable

import torch
from torch import Tensor

from geocells.hierarchy import Hierarchy
from geocells.sphere import GEOSCORE_SCALE_KM, unit_vectors
from infer.network.sphere import latlon_deg_of, pairwise_km

POINTS = ("top", "mean", "median", "geoscore")
"""What every run can answer."""
REGRESSED = "regressed"
"""The coordinate of a network that answers one, as it is."""
REFINED = "refined"
"""The point of highest expected GeoScore where the likeliest cells stand for refined coordinates, not their centres."""
EXPERT = "expert"
"""The refined coordinate of the most probable cell, as published: the region is taken first, and its expert answers."""

HEAVIEST = 1024
"""Leaves that count where all pairs of leaves would be compared; the others hold next to nothing."""
CANDIDATES = 48
"""Leaves tried as the point of best expectation before it is moved between them."""
STEPS = 12
CELLS_REFINED = 16
"""Likeliest cells of a photograph whose coordinates are refined."""
CLOSEST_KM = 1.0
"""A leaf pulls as from this distance at least, so that no pull is infinite."""


def center_vectors(hierarchy: Hierarchy, device: str | torch.device = "cpu") -> tuple[Tensor, ...]:
    """Return, per level, (classes, 3) unit vectors of the coordinates that stand for its cells."""
    vectors = torch.from_numpy(unit_vectors(hierarchy.center_deg)).float().to(device)
    return tuple(vectors[hierarchy.rows(level)] for level in range(hierarchy.depth))


def answer_points(method: str, log_leaf: Tensor, leaves: Tensor) -> Tensor:
    """Return one point for each photograph.

    Args:
        method: `top` is the most probable leaf; `mean` the spherical mean; `median` the geometric median;
            `geoscore` the point of highest expected GeoScore.
        log_leaf: (B, leaves) log probabilities.
        leaves: (leaves, 3) unit vectors.

    Returns:
        (B, 2) latitude and longitude in degrees, float64.

    Raises:
        ValueError: there is no such method.
    """
    if method not in POINTS:
        raise ValueError(f"--point is one of {', '.join(POINTS)}, got {method!r}")
    if method == "top":
        chosen = leaves[log_leaf.argmax(dim=1)]
    elif method == "mean":
        chosen = log_leaf.exp() @ leaves
    else:
        weight, place = log_leaf.exp().topk(min(HEAVIEST, log_leaf.shape[1]), dim=1)
        chosen = (_median if method == "median" else _geoscore)(weight, leaves[place])
    return latlon_deg_of(chosen.double())


def refined_points(log_cell: Tensor, centers: Tensor, refine: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the point of highest expected GeoScore for each photograph after the likeliest cells are refined.

    Args:
        log_cell: (B, cells) log probabilities of the cells of one level.
        centers: (cells, 3) unit vectors that stand for those that are not refined.
        refine: from (B, K) cells, likeliest first, to (B, K, 3) unit vectors inside them.

    Returns:
        (B, 2) latitude and longitude in degrees, float64.
    """
    weight, cell = log_cell.exp().topk(min(HEAVIEST, log_cell.shape[1]), dim=1)
    places = torch.cat([refine(cell[:, :CELLS_REFINED]), centers[cell[:, CELLS_REFINED:]]], dim=1)
    return latlon_deg_of(_geoscore(weight, places).double())


def _median(weight: Tensor, places: Tensor) -> Tensor:
    """Return (B, 3) points of least expected distance: the best of mean and heaviest leaves, then moved downhill."""
    mean = torch.nn.functional.normalize((weight[..., None] * places).sum(dim=1, keepdim=True), dim=2)
    starts = torch.cat([mean, places[:, :CANDIDATES]], dim=1)
    point = _best(-_expected_km(weight, places, starts), starts)
    for _ in range(4 * STEPS):
        both = torch.stack([point, _pull(weight, places, point)], dim=1)
        point = _best(-_expected_km(weight, places, both), both)
    return point


def _best(worth: Tensor, points: Tensor) -> Tensor:
    """Return the (B, 3) points of highest (B, N) worth among (B, N, 3)."""
    return points[torch.arange(len(points)), worth.argmax(dim=1)]


def _expected_km(weight: Tensor, places: Tensor, points: Tensor) -> Tensor:
    """Return (B, N) expected distances, up to a factor, of (B, N, 3) points."""
    return (pairwise_km(points, places) * weight[:, None]).sum(dim=2)


def _pull(weight: Tensor, places: Tensor, point: Tensor) -> Tensor:
    """Move points (B, 3) towards places, each by its weight over its distance."""
    distance = pairwise_km(point[:, None], places)[:, 0].clamp(min=CLOSEST_KM)
    return torch.nn.functional.normalize(((weight / distance)[..., None] * places).sum(dim=1), dim=1)


def _geoscore(weight: Tensor, places: Tensor) -> Tensor:
    """Return (B, 3) points of highest expected GeoScore: the best of the heaviest leaves, then moved uphill."""
    starts = places[:, :CANDIDATES]
    point = _best(_expected(weight, places, starts), starts)
    for _ in range(STEPS):
        distance = pairwise_km(point[:, None], places)[:, 0]
        # The gradient of w * exp(-d / scale) is that of a Weiszfeld pull with the weight w * exp(-d / scale).
        moved = _pull(weight * torch.exp(-distance / GEOSCORE_SCALE_KM), places, point)
        both = torch.stack([point, moved], dim=1)
        point = _best(_expected(weight, places, both), both)
    return point


def _expected(weight: Tensor, places: Tensor, points: Tensor) -> Tensor:
    """Return (B, N) expected GeoScores, up to a factor, of (B, N, 3) points."""
    return (torch.exp(-pairwise_km(points, places) / GEOSCORE_SCALE_KM) * weight[:, None]).sum(dim=2)
