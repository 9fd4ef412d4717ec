"""Areas on the sphere given as polygons of degrees: boxes, sizes, middles, seams."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geocells.outlines import area_km2, boxes_deg, mend_seam, middles_deg, polygonal, span_deg, sphere_polygon
from geocells.sphere import EARTH_AREA_KM2, box_area_km2, distance_km, unit_vectors

lon = st.floats(-180, 180)
arcs = st.lists(st.tuples(lon, lon), min_size=1, max_size=6)


def array(*shapes):
    return np.array(shapes, dtype=object)


def holds(west, east, points):
    return np.mod(points - west, 360) <= np.mod(east - west, 360) + 1e-9 if (west, east) != (-180, 180) else True


@given(arcs)
def test_the_smallest_arc_holds_all_arcs_and_ends_where_one_does(ends):
    west, east = np.array(ends).T
    _, w, _, e = span_deg(np.stack([west * 0, west, west * 0 + 1, east], axis=-1), np.zeros(len(west), int), 1)[0]
    if (w, e) != (-180, 180):
        assert w in [*west.tolist(), -180.0]
        assert e in [*east.tolist(), 180.0]
        for a, b in zip(west.tolist(), east.tolist(), strict=True):
            along = a + np.linspace(0, 1, 7) * np.mod(b - a, 360)
            assert np.all(holds(w, e, along))


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([(0, 170, 1, 180), (0, -180, 1, -170)], (170, -170)),
        ([(0, 170, 1, -175), (0, -178, 1, -170)], (170, -170)),
        ([(0, -10, 1, 10), (0, 20, 1, 30)], (-10, 30)),
        ([(0, -180, 1, 180)], (-180, 180)),
        ([(0, -180, 1, 0), (0, 0, 1, 180)], (-180, 180)),
        ([(0, 19, 1, 180), (0, -180, 1, -169.7), (0, 21, 1, 22)], (19, -169.7)),
    ],
)
def test_boxes_on_the_antimeridian_stay_narrow(boxes, expected):
    assert tuple(span_deg(boxes, np.zeros(len(boxes), int), 1)[0, [1, 3]]) == expected


def test_the_area_of_a_box_is_that_of_the_formula():
    boxes = np.array([(40.0, -10.0, 50.0, 20.0), (-90.0, -180.0, -60.0, 180.0)])
    shapes = shapely.box(boxes[:, 1], boxes[:, 0], boxes[:, 3], boxes[:, 2])
    np.testing.assert_allclose(area_km2(shapes), box_area_km2(boxes))
    assert area_km2(array(shapely.box(-180, -90, 180, 90)))[0] == pytest.approx(EARTH_AREA_KM2)


def test_the_middle_of_an_octant_is_its_centre():
    octant = shapely.segmentize(shapely.Polygon([(0, 0), (90, 0), (90, 90), (0, 90)]), 1)
    lat = np.degrees(np.arctan(1 / np.sqrt(2)))
    np.testing.assert_allclose(middles_deg(array(octant)), [[lat, 45]], atol=1e-3)


def test_the_middle_of_islands_on_the_antimeridian_is_between_them():
    islands = shapely.MultiPolygon([shapely.box(178, -1, 180, 1), shapely.box(-180, -1, -178, 1)])
    assert float(distance_km(middles_deg(array(islands))[0], (0, 180))) < 0.1


def test_a_hole_pulls_the_middle_away():
    whole = shapely.box(0, 0, 10, 10)
    holed = whole.difference(shapely.box(5, 1, 9, 9))
    assert middles_deg(array(holed))[0, 1] < middles_deg(array(whole))[0, 1] - 0.5


def test_a_vertex_on_the_wrong_side_of_the_seam_no_longer_makes_a_band_around_the_world():
    wrong = shapely.Polygon([(175, 60), (179, 61), (-180, 62), (179.9, 64), (-180, 66), (178, 68), (175, 68)])
    mended = mend_seam(array(wrong))[0]
    assert (mended.bounds[0], mended.bounds[2]) == (175, 180)
    assert not shapely.contains_xy(mended, 0, 65)
    assert boxes_deg(array(mended)).tolist() == [[60, 175, 68, 180]]


def test_a_ring_across_the_antimeridian_is_cut_there():
    across = mend_seam(array(shapely.Polygon([(170, 0), (-170, 0), (-170, 10), (170, 10)])))[0]
    assert boxes_deg(array(across)).tolist() == [[0, 170, 10, -170]]
    assert across.area == pytest.approx(200)


@pytest.mark.parametrize(
    "shape",
    [
        shapely.box(-180, -90, 180, -60),  # a cap
        shapely.box(-180, -30, 180, 30),  # a band
        shapely.Polygon([(-180, -90), (180, -90), (180, -70), (60, -65), (-60, -66), (-180, -70)]),  # Antarctica
        shapely.box(0, 0, 10, 10),
        shapely.MultiPolygon([shapely.box(170, 0, 180, 1), shapely.box(-180, 0, -170, 1)]),
    ],
)
def test_what_is_meant_to_run_around_the_world_or_is_sound_stays_the_very_same(shape):
    assert mend_seam(array(shape))[0] is shape


def test_mending_leaves_polygons_only():
    bow = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    lines = shapely.GeometryCollection([shapely.box(0, 0, 1, 1), shapely.LineString([(0, 0), (5, 5)])])
    mended = polygonal(array(bow, lines, shapely.Polygon()))
    assert [shape.geom_type for shape in mended[:2]] == ["MultiPolygon", "MultiPolygon"]
    assert shapely.area(mended).tolist() == pytest.approx([2, 1, 0])


@pytest.mark.parametrize(("pole", "lat"), [(1, 80.0), (-1, -80.0)])
def test_a_cell_around_a_pole_holds_the_pole_and_all_longitudes(pole, lat):
    around = np.arange(0, 360, 60.0)[::pole]
    cell = sphere_polygon(unit_vectors(np.column_stack([np.full(6, lat), around])), pole)
    assert cell.is_valid
    assert boxes_deg(array(cell))[0, [1, 3]].tolist() == [-180, 180]
    assert np.all(shapely.contains_xy(cell, np.arange(-179, 180, 30.0), np.full(12, 89.0 * pole)))
    assert area_km2(array(cell))[0] < box_area_km2((80, -180, 90, 180))


def test_a_cell_across_the_antimeridian_is_cut_there_and_keeps_its_size():
    corners = unit_vectors([(-5, 175), (-5, -175), (5, -175), (5, 175)])
    cell = sphere_polygon(corners)
    _south, west, north, east = boxes_deg(array(cell))[0]
    assert (west, east) == (pytest.approx(175), pytest.approx(-175))
    assert north == pytest.approx(5.0190, abs=1e-3)  # a great circle bulges: atan(tan 5 / cos 5)
    assert (cell.bounds[0], cell.bounds[2]) == (-180, 180)
