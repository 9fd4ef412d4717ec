import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geocells import grid
from geocells.hierarchy import UNKNOWN
from geocells.sphere import EARTH_AREA_KM2, box_area_km2
from infer.regions import conformal_quantile, needed_mass, outline, region_cells

AREA = np.array([1.0, 2.0, 4.0, 1.0])


def test_cells_are_taken_by_density_not_by_mass():
    mass = np.array([[0.3, 0.4, 0.2, 0.1]])  # densities 0.3, 0.2, 0.05, 0.1
    assert needed_mass(mass.repeat(4, 0), AREA, np.arange(4)) == pytest.approx([0.3, 0.7, 1.0, 0.8])


def test_a_photograph_in_no_known_cell_is_never_covered():
    assert needed_mass(np.full((1, 4), 0.25), AREA, np.array([UNKNOWN])) == [np.inf]


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=40), st.floats(0, 1))
def test_a_region_holds_exactly_the_cells_that_need_no_more_than_its_quantile(values, quantile):
    mass = np.array(values) / sum(values)
    area = np.arange(1.0, len(values) + 1)
    needed = needed_mass(mass[None].repeat(len(mass), 0), area, np.arange(len(mass)))
    expected = set(np.flatnonzero(needed <= max(quantile, needed.min()) + 1e-6))
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
    needed = np.arange(1, 10) / 10
    assert conformal_quantile(needed, 0.5) == 0.5
    assert conformal_quantile(needed, 0.9) == 0.9
    assert conformal_quantile(needed, 0.91) == np.inf


def test_too_many_uncovered_photographs_make_a_promise_impossible():
    assert conformal_quantile([0.1, 0.2, np.inf], 0.5) == 0.2
    assert conformal_quantile([0.1, 0.2, np.inf], 0.75) == np.inf


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_of_new_photographs_the_promised_share_is_covered_though_the_probabilities_are_wrong(coverage):
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(200):
        logits = rng.normal(0, 2, (300, 30))
        truth = np.array([rng.choice(30, p=p / p.sum()) for p in np.exp(logits)])
        claimed = np.exp(3 * logits)  # far too sure
        needed = needed_mass(claimed / claimed.sum(1, keepdims=True), np.ones(30), truth)
        covered.append(np.mean(needed[150:] <= conformal_quantile(needed[:150], coverage)))
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
    assert area_km2(outline(bounds)) == pytest.approx(box_area_km2(bounds).sum(), rel=1e-6)


def test_the_outline_of_the_world_is_the_world():
    assert area_km2(outline(grid.bounds_deg(np.arange(16), 2))) == pytest.approx(EARTH_AREA_KM2, rel=1e-6)


def test_a_box_across_the_antimeridian_is_cut_there():
    geometry = outline(np.array([[10.0, 170.0, 20.0, -170.0]]))
    shape = shapely.geometry.shape(geometry)
    assert len(geometry["coordinates"]) == 2
    assert shape.bounds == (-180, 10, 180, 20)
    assert shape.area == pytest.approx(200)


@given(st.sets(st.integers(0, 255), min_size=1, max_size=60))
def test_outlines_are_valid_geojson_with_outer_rings_counterclockwise(cells):
    bounds = grid.bounds_deg(np.array(sorted(cells)), 4)
    geometry = outline(bounds)
    shape = shapely.geometry.shape(geometry)
    assert shape.is_valid
    assert shape.geom_type == "MultiPolygon"
    for part in shape.geoms:
        assert part.exterior.is_ccw
        assert not any(hole.is_ccw for hole in part.interiors)
    assert shape.area == pytest.approx(np.prod(bounds[:, 2:] - bounds[:, :2], axis=1).sum())
