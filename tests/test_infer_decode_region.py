from itertools import chain as chain_of

import geopandas
import numpy as np
import pytest
import shapely
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocells import grid
from geocells.hierarchy import UNKNOWN, build_hierarchy
from geocells.partitions import QuadPartition
from geocells.partitions.adaptive import split_by_density
from geocells.partitions.admin import shipped_countries
from geocells.partitions.kmeans import cluster
from geocells.partitions.macro import widened
from geocells.sphere import EARTH_AREA_KM2, box_area_km2
from infer.decode.conformal import ConformalCalibration, ConformalScores
from infer.decode.density import COMPONENTS
from infer.decode.posterior import Tree, chain
from infer.decode.prior import Prior, restrict
from infer.decode.region import box_areas, cell_areas, conformal_quantile, conformity_scores, outline, region_cells
from infer.decode.region_finder import RegionFinder

AREA = np.array([1.0, 2.0, 4.0, 1.0])


def test_cells_are_taken_by_density_not_by_mass():
    mass = np.array([[0.3, 0.4, 0.2, 0.1]])  # densities 0.3, 0.2, 0.05, 0.1
    assert conformity_scores(mass.repeat(4, 0), AREA, np.arange(4)) == pytest.approx([0.3, 0.7, 1.0, 0.8])


def test_a_photograph_in_no_known_cell_is_never_covered():
    assert conformity_scores(np.full((1, 4), 0.25), AREA, np.array([UNKNOWN])) == [np.inf]


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=40), st.floats(0, 1))
def test_a_region_holds_exactly_the_cells_that_need_no_more_than_its_quantile(values, quantile):
    mass = np.array(values) / sum(values)
    area = np.arange(1.0, len(values) + 1)
    scores = conformity_scores(mass[None].repeat(len(mass), 0), area, np.arange(len(mass)))
    expected = set(np.flatnonzero(scores <= max(quantile, scores.min()) + 1e-6))
    assert set(region_cells(mass, area, quantile)) == expected


def test_a_region_is_never_empty():
    assert region_cells(np.array([0.1, 0.9]), np.array([1.0, 1.0]), 0.0).tolist() == [1]


@given(st.floats(1, 8))
def test_the_area_of_a_region_shrinks_as_evidence_grows(sharper):
    mass = np.random.default_rng(0).dirichlet(np.full(200, 0.5))
    sharp = mass**sharper / np.sum(mass**sharper)
    area = np.full(200, 3.0)
    assert len(region_cells(sharp, area, 0.9)) <= len(region_cells(mass, area, 0.9))


def test_the_quantile_is_the_one_of_split_conformal_prediction():
    scores = np.arange(1, 10) / 10
    assert conformal_quantile(scores, 0.5) == 0.5
    assert conformal_quantile(scores, 0.9) == 0.9
    assert conformal_quantile(scores, 0.91) == np.inf


def test_in_a_weighted_quantile_a_photograph_counts_as_often_as_it_is_there():
    scores, times = np.array([0.4, 0.1, 0.9, 0.2]), np.array([2, 3, 1, 4])
    for coverage in (0.1, 0.25, 0.5, 0.7, 0.9, 0.99):
        repeated = conformal_quantile(np.repeat(scores, times), coverage)
        assert conformal_quantile(scores, coverage, times) == repeated


def test_too_many_uncovered_photographs_make_a_coverage_impossible():
    assert conformal_quantile([0.1, 0.2, np.inf], 0.5) == 0.2
    assert conformal_quantile([0.1, 0.2, np.inf], 0.75) == np.inf


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_new_photographs_are_covered_as_often_as_asked_for_though_the_probabilities_are_wrong(coverage):
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(200):
        logits = rng.normal(0, 2, (300, 30))
        truth = np.array([rng.choice(30, p=p / p.sum()) for p in np.exp(logits)])
        claimed = np.exp(3 * logits)  # far too sure
        scores = conformity_scores(claimed / claimed.sum(1, keepdims=True), np.ones(30), truth)
        covered.append(np.mean(scores[150:] <= conformal_quantile(scores[:150], coverage)))
    assert np.mean(covered) == pytest.approx(coverage, abs=0.02)


def area_km2(geometry):
    """Return the area on the sphere, independently of the cells: by an equal-area projection of the outline."""
    equal_area = geopandas.GeoSeries([shapely.geometry.shape(geometry)], crs="EPSG:4326").segmentize(0.5)
    return float(equal_area.to_crs("+proj=cea +R=6371008.8 +units=km").area.iloc[0])


@pytest.mark.parametrize(
    "place", [(0.0, 0.0), (60, 179.9), (-60, -179.9), (89.9, 10), (-89.9, 100)], ids=lambda place: f"{place}"
)
def test_the_outline_has_the_area_of_its_cells_also_at_the_poles_and_the_antimeridian(place):
    center = grid.encode([place], 6)
    cells = np.unique(np.append(grid.neighbours(center, 6), center))
    bounds = grid.bounds_deg(cells, 6)
    assert area_km2(outline(box_areas(bounds))) == pytest.approx(box_area_km2(bounds).sum(), rel=1e-6)


def test_the_outline_of_the_world_is_the_world():
    assert area_km2(outline(box_areas(grid.bounds_deg(np.arange(16), 2)))) == pytest.approx(EARTH_AREA_KM2, rel=1e-6)


def test_a_box_across_the_antimeridian_is_cut_there():
    geometry = outline(box_areas([[10.0, 170.0, 20.0, -170.0]]))
    shape = shapely.geometry.shape(geometry)
    assert len(geometry["coordinates"]) == 2
    assert shape.bounds == (-180, 10, 180, 20)
    assert shape.area == pytest.approx(200)


def valid_shape(geometry):
    """Return a GeoJSON MultiPolygon after checking what RFC 7946 asks of it."""
    shape = shapely.geometry.shape(geometry)
    assert shape.is_valid
    assert shape.geom_type == "MultiPolygon"
    west, south, east, north = shape.bounds
    assert -180 <= west <= east <= 180
    assert -90 <= south <= north <= 90
    for part in shape.geoms:
        assert part.exterior.is_ccw
        assert not any(hole.is_ccw for hole in part.interiors)
    return shape


@given(st.sets(st.integers(0, 255), min_size=1, max_size=60))
def test_outlines_are_valid_geojson_with_outer_rings_counterclockwise(cells):
    bounds = grid.bounds_deg(np.array(sorted(cells)), 4)
    shape = valid_shape(outline(box_areas(bounds)))
    assert shape.area == pytest.approx(np.prod(bounds[:, 2:] - bounds[:, :2], axis=1).sum())


RNG = np.random.default_rng(0)
POINTS = np.column_stack([np.degrees(np.arcsin(RNG.uniform(-1, 1, 400))), RNG.uniform(-180, 180, 400)])
MAKERS = {
    "quad": lambda: QuadPartition((2, 4)),
    "adaptive": lambda: split_by_density(POINTS, 20, 6),
    "kmeans": lambda: cluster(POINTS, (6, 40)),
    "macro": lambda: widened(POINTS),
    "admin": shipped_countries,
}


@pytest.fixture(scope="module", params=list(MAKERS))
def hierarchy(request):
    return build_hierarchy(MAKERS[request.param](), POINTS)


def finder_of(hierarchy, coverages=(0.5, 0.9, 0.99), quantile=None):
    """Return a finder whose regions are of cells of the finest level; they hold as much as their coverage, or a quantile."""
    scores = np.linspace(0.005, 1, 200) if quantile is None else np.full(200, quantile)
    name = hierarchy.level_names[-1]
    conformal = ConformalCalibration(
        "chain", 200, (1.0, *[0.0] * (COMPONENTS - 1)), {name: ConformalScores.of(scores, np.arange(200))}, {}
    )
    return RegionFinder(hierarchy, conformal, torch.device("cpu"), coverages)


def posteriors(hierarchy, seed, batch=2):
    generator = torch.Generator().manual_seed(seed)
    return chain(Tree.of(hierarchy), [2 * torch.randn(batch, n, generator=generator) for n in hierarchy.sizes()])


@pytest.mark.parametrize("seed", range(4))
def test_the_geometry_of_a_region_of_any_partition_has_the_area_that_is_told(hierarchy, seed):
    for region in chain_of.from_iterable(finder_of(hierarchy).regions(posteriors(hierarchy, seed))):
        assert valid_shape(region["geometry"]).area > 0
        assert area_km2(region["geometry"]) == pytest.approx(region["area_km2"], rel=0.01)


def test_regions_of_all_clusters_cover_the_world_and_of_one_its_own_area():
    clusters = build_hierarchy(cluster(POINTS, (6, 40)), POINTS)
    whole = outline(cell_areas(clusters, np.arange(6)))
    assert area_km2(whole) == pytest.approx(EARTH_AREA_KM2, rel=1e-3)
    for row in range(46):
        assert area_km2(outline(cell_areas(clusters, [row]))) == pytest.approx(clusters.area_km2[row], rel=0.01)


def test_the_region_of_a_cell_holds_the_points_of_its_cell_and_no_others():
    clusters = build_hierarchy(cluster(POINTS, (6, 40)), POINTS)
    for cell in range(6):
        shape = shapely.geometry.shape(outline(cell_areas(clusters, [cell])))
        held = shapely.contains_xy(shape, POINTS[:, 1], POINTS[:, 0])
        assert np.mean(held == (clusters.classes(POINTS)[:, 0] == cell)) > 0.99


@pytest.mark.parametrize("quantile", [0.5, 1.0])
def test_a_cell_without_mass_is_in_no_region(hierarchy, quantile):
    prior = Prior("", np.ones(hierarchy.sizes()[-1]), np.ones(65536))
    prior.leaf[::2] = 0
    posterior = restrict(Tree.of(hierarchy), posteriors(hierarchy, 0), prior)[0]
    for row, (region,) in enumerate(finder_of(hierarchy, (0.9,), quantile).regions(posterior)):
        mass = posterior[-1][row].exp().double().numpy()
        assert np.all(mass[::2] == 0)
        held = np.flatnonzero(prior.leaf)
        if quantile == 1:
            assert region["cells"] == len(held)
            rows = hierarchy.rows(hierarchy.depth - 1).start + held
            assert region["geometry"] == outline(cell_areas(hierarchy, rows))
        assert region["cells"] <= len(held)
        assert region["probability"] >= min(quantile, 0.999) - mass.max()
