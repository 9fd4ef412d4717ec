import numpy as np
import pytest
import torch

from geocells import grid
from geocells.hierarchy import UNKNOWN, build_hierarchy
from geocells.land import land_table
from geocells.partitions import QuadPartition
from geocells.sphere import distance_km
from infer.decode.density import COMPONENTS, SmoothDensity, _em, fit_weights
from infer.decode.kernels import WIDTHS_KM, Convolution, pair_kernels
from infer.decode.raster import Raster

PLACES = [(48.86, 2.35), (52.5, 13.4), (-18.14, 178.44), (71.0, -179.5), (0.0, -150.0)]  # the last lies at sea
POLES_AND_EDGES = [(-89.9, 10.0), (83.3, -31.0), (66.3, 179.9), (-16.8, -179.9), (-27.1, -109.3)]
RASTER = Raster.of(build_hierarchy(QuadPartition((1, 3, 8)), PLACES))


def only(component):
    weights = [0.0] * COMPONENTS
    weights[component] = 1.0
    return SmoothDensity(RASTER, tuple(weights), torch.device("cpu"))


@pytest.mark.parametrize("component", range(COMPONENTS))
def test_every_component_keeps_all_mass(component):
    leaf = torch.softmax(torch.randn(4, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    assert only(component).spread(leaf).sum(dim=1).numpy() == pytest.approx(np.ones(4), abs=1e-4)


@pytest.mark.parametrize("levels", [(1, 5), (1, 8), (1, 12)], ids=str)
def test_a_leaf_that_keeps_its_mass_keeps_it_where_it_lies_be_it_larger_or_smaller_than_a_cell(levels):
    hierarchy = build_hierarchy(QuadPartition(levels), PLACES[:3])
    raster = Raster.of(hierarchy)
    weights = (1.0, *[0.0] * (COMPONENTS - 1))
    mass = SmoothDensity(raster, weights, torch.device("cpu")).spread(torch.eye(3)).numpy()
    for place in PLACES[:3]:
        leaf = int(hierarchy.classes([place])[0, -1])
        held = np.flatnonzero(mass[leaf])
        assert mass[leaf].sum() == pytest.approx(1)
        _, west, _, east = hierarchy.bounds_deg[hierarchy.rows(1)][leaf]
        middle = (raster.bounds_deg[held][:, :2] + raster.bounds_deg[held][:, 2:]) / 2
        width = max(360 / 256, east - west)
        assert np.all(np.abs(middle[:, 1] - (west + east) / 2) <= width)
        assert raster.find([place])[0] in held


@pytest.fixture(scope="module")
def many():
    """One of each 120 cells of land, polar ones, both sides of the antimeridian, and an island far from others."""
    land = np.flatnonzero(land_table().share > 0)[::120]
    places = np.vstack([grid.center_deg(land, 8), PLACES, POLES_AND_EDGES])
    return Raster.of(build_hierarchy(QuadPartition((1, 3, 8)), places))


@pytest.mark.parametrize(
    ("width", "most"), [(2400, 0.005), (1200, 0.01), (600, 0.02), (300, 0.04), (150, 0.02), (75, 1e-3)]
)
def test_sums_of_many_kernels_at_once_are_those_of_each_leaf(many, width, most):
    of = WIDTHS_KM.index(width)
    leaf = torch.eye(len(many.leaves))
    each = torch.cat([list(kernels)[of] for _, kernels in pair_kernels(many)])
    found = Convolution(many, [float(k == of) for k in range(len(WIDTHS_KM))]).spread(leaf)
    assert found.min() >= 0
    assert found.sum(dim=1).numpy() == pytest.approx(np.ones(len(leaf)), abs=1e-3)
    # Half the sum of differences: how much mass lies in other cells.
    assert float((found - each).abs().sum(dim=1).max() / 2) < most


def test_a_surface_of_many_leaves_is_that_of_few(many, monkeypatch):
    density = SmoothDensity(many, (0.3, 0.1, 0.2, 0.15, 0.1, 0.05, 0.06, 0.04), torch.device("cpu"))
    leaf = torch.softmax(3 * torch.randn(3, len(many.leaves), generator=torch.Generator().manual_seed(0)), dim=1)
    few = density.spread(leaf)
    monkeypatch.setattr("infer.decode.density.CACHED", 0)
    np.testing.assert_allclose(density.spread(leaf).sum(dim=1), 1, atol=1e-4)
    assert float((density.spread(leaf) - few).abs().sum(dim=1).max() / 2) < 0.005


def test_a_kernel_crosses_the_antimeridian():
    mass = only(2 + WIDTHS_KM.index(300.0)).spread(torch.eye(5)).numpy()
    leaf = int(build_hierarchy(QuadPartition((1, 3, 8)), PLACES).classes([PLACES[3]])[0, -1])
    west = mass[leaf][RASTER.bounds_deg[:, 3] > 170].sum()
    assert 0.2 < west < 0.8


def test_wider_kernels_reach_further():
    middle = grid.center_deg(RASTER.cell, 8)
    leaf = int(build_hierarchy(QuadPartition((1, 3, 8)), PLACES).classes([PLACES[0]])[0, -1])
    away = distance_km(middle, PLACES[0])
    reach = [float(only(2 + k).spread(torch.eye(5)).numpy()[leaf] @ away) for k in range(len(WIDTHS_KM))]
    assert np.all(np.diff(reach) < 0)


def test_a_point_at_sea_is_in_no_cell_unless_a_leaf_lies_there():
    found = RASTER.find([(0.0, -150.0), (0.0, -140.0), (48.86, 2.35)])
    assert found[1] == UNKNOWN
    assert np.all(found[[0, 2]] != UNKNOWN)


def test_weights_of_a_known_mixture_are_found_again():
    rng = np.random.default_rng(0)
    member = rng.random(20_000) < 0.3
    x = np.where(member, rng.normal(0, 1, 20_000), rng.normal(4, 1, 20_000))
    likelihood = np.exp(-0.5 * (x[:, None] - np.array([0.0, 4.0])) ** 2)
    assert _em(likelihood, np.ones(20_000)) == pytest.approx((0.3, 0.7), abs=0.01)
    # Where those of the first count four times.
    assert _em(likelihood, np.where(member, 4.0, 1.0)) == pytest.approx((1.2 / 1.9, 0.7 / 1.9), abs=0.01)


def test_photographs_in_their_own_cells_leave_the_mass_there():
    own = build_hierarchy(QuadPartition((1, 3, 8)), PLACES).classes(PLACES)[:, -1]
    leaf, cells, counts = 0.96 * torch.eye(5)[own] + 0.008, RASTER.find(PLACES), np.ones(len(PLACES))
    weights = fit_weights(RASTER, leaf, cells, counts)
    assert sum(weights) == pytest.approx(1)
    assert weights[0] > 0.8
