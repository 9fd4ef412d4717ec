from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geocells.config import OutlinesConfig
from geocells.country_outlines import OUTLINES, STEP_DEG, country_outlines, pack, unpack
from geocells.land import TABLE_LEVEL, cell_boxes, land_table
from geocells.make_outlines import on_grid
from geocells.outlines import area_km2

CODES = sorted(country_outlines())
SHAPES = np.array([country_outlines()[code] for code in CODES], dtype=object)


def km2(code):
    return float(area_km2(np.array([country_outlines()[code]]))[0])


def test_every_country_of_the_land_table_has_an_outline():
    assert set(land_table().country.tolist()) - {""} <= set(CODES)
    assert len(CODES) == 250


def test_outlines_are_valid_multipolygons_on_earth():
    assert shapely.is_valid(SHAPES).all()
    assert set(shapely.get_type_id(SHAPES).tolist()) == {6}
    west, south, east, north = shapely.total_bounds(SHAPES)
    assert (west, east) == (-180, 180)
    assert -90 <= south < -89.9
    assert 83 < north < 84
    assert area_km2(SHAPES).min() > 0.2


def test_no_two_countries_overlap():
    together = area_km2(np.array([shapely.union_all(SHAPES)]))[0]
    assert area_km2(SHAPES).sum() - together == pytest.approx(0, abs=0.5)


def test_the_file_is_small():
    assert OUTLINES.stat().st_size < 250_000


# Square kilometres of land with inland water, The World Factbook.
@pytest.mark.parametrize(
    "code, expected", [("DE", 357_022), ("FR", 551_500), ("NO", 323_802), ("GF", 83_534), ("LU", 2_586), ("SG", 719)]
)
def test_areas_agree_with_the_world_factbook(code, expected):
    assert km2(code) == pytest.approx(expected, rel=0.35 if code == "SG" else 0.02)


@pytest.mark.parametrize(
    "code, lat, lon",
    [
        ("DE", 50.78, 6.09), ("NL", 50.89, 5.85), ("SG", 1.35, 103.82), ("MT", 35.9, 14.44), ("VA", 41.9015, 12.435),
        ("GM", 13.45, -15.55), ("FJ", -18.96, -179.85), ("FJ", -16.85, -179.97), ("FJ", -17.8, 178.0), ("RU", 66.5, -172.0),
        ("US", 52.85, 173.2), ("GI", 36.132, -5.348), ("SJ", 78.2, 15.6), ("GF", 4.9, -52.4), ("RE", -21.1, 55.5),
        ("EH", 24.0, -13.5), ("XK", 42.6, 21.0),
    ],
)  # fmt: skip
def test_a_place_lies_in_its_country_alone(code, lat, lon):
    assert [CODES[k] for k in np.flatnonzero(shapely.contains_xy(SHAPES, lon, lat))] == [code]


def test_cells_of_the_land_table_are_touched_by_an_outline_nearly_all():
    cells = np.flatnonzero(land_table().country != "")
    tree = shapely.STRtree(shapely.get_parts(SHAPES))
    touched = np.unique(tree.query(cell_boxes(cells, TABLE_LEVEL), predicate="intersects")[0])
    assert len(cells) - len(touched) <= 10


squares = st.tuples(st.integers(-170, 160), st.integers(-80, 70), st.integers(1, 9), st.integers(1, 9))


@given(st.lists(squares, min_size=1, max_size=6))
def test_reading_gives_what_was_packed(boxes):
    shapes = {
        f"{chr(65 + k)}A": shapely.multipolygons([shapely.box(x, y, x + w, y + h)])
        for k, (x, y, w, h) in enumerate(boxes)
    }
    back = unpack(pack(shapes))
    assert list(back) == list(shapes)
    assert all(shapely.equals_exact(back[code], shapes[code], 1e-9) for code in shapes)


def test_holes_survive_packing():
    ring = shapely.MultiPolygon([shapely.box(0, 0, 3, 3).difference(shapely.box(1, 1, 2, 2))])
    assert shapely.equals(unpack(pack({"AA": ring}))["AA"], ring)


def test_simplifying_leaves_no_gap_and_no_overlap_at_a_border():
    wave = [(5 + 0.2 * np.sin(k), k / 10) for k in range(101)]
    west = shapely.Polygon([(0, 0), *wave, (0, 10)])
    east = shapely.Polygon([(10, 0), (10, 10), *wave[::-1]])
    simple = on_grid({"AA": west, "BB": east}, 0.5)
    assert shapely.get_num_coordinates(list(simple.values())).sum() < 150
    assert shapely.intersection(simple["AA"], simple["BB"]).area == 0
    assert shapely.union(simple["AA"], simple["BB"]).area == pytest.approx(100, abs=0.3)


def test_an_islet_smaller_than_the_tolerance_stays():
    islet = shapely.box(0, 0, STEP_DEG, STEP_DEG)
    assert on_grid({"AA": shapely.box(5, 5, 9, 9), "BB": islet}, 0.5)["BB"].area > 0


def test_a_tolerance_in_metres_is_refused():
    with pytest.raises(ValueError, match="--tolerance-deg is from 0 to 1, got 2000"):
        OutlinesConfig(Path("a"), Path("b"), tolerance_deg=2000)
