"""Points and regions lie inside the area, also after rounding; shares of countries are of a cell's land."""

from functools import cache

import numpy as np
import pytest
import reverse_geocode
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells import grid
from geocells.country_outlines import country_outlines
from geocells.hierarchy import build_hierarchy
from geocells.land import TABLE_LEVEL, cell_boxes, land_table
from geocells.outlines import area_km2
from geocells.partitions import QuadPartition
from geocells.sphere import EARTH_RADIUS_KM, distance_km
from infer.decode.area import circle_around, main_country, nearest_inside, read_area, shares_inside, shrunk
from infer.decode.prior import make_prior

AREAS = {
    "DE": (["DE"], []), "RU": (["RU"], []), "FJ": (["FJ"], []), "US": (["US"], []), "SG": (["SG"], []),
    "MT": (["Malta"], []), "VA": (["VA"], []), "NO": (["NO"], []), "box": (["-20,170,-10,-170"], []),
    "box less FR": (["40,-5,50,10"], ["FR"]), "all but DE": ([], ["DE"]), "DE and a box": (["DE", "50,5,52,7"], []),
}  # fmt: skip
"""What is within, and what is excluded."""

NEAR = [
    (52.5, 13.4), (55.7, 37.6), (66.5, -172.0), (-17.8, 178.0), (-16.85, -179.97), (40.7, -74.0), (64.8, -147.7), (1.35, 103.8),
    (35.9, 14.4), (41.9, 12.43), (59.9, 10.7), (70.0, 25.0), (48.9, 2.3), (50.78, 6.08), (-12.0, 177.1), (41.4, 2.2),
]  # fmt: skip
HIERARCHY = build_hierarchy(QuadPartition((1, 3, 8)), NEAR)


@cache
def prior(name):
    made = make_prior(HIERARCHY, *AREAS[name])
    assert made is not None
    return made


names = st.sampled_from(sorted(AREAS))
around = st.one_of(
    st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
    st.builds(lambda p, a, b: (p[0] + a, p[1] + b), st.sampled_from(NEAR), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
)


@settings(max_examples=200)
@given(names, around)
def test_a_held_point_is_inside_rounded_or_not(name, point):
    held = prior(name).hold(np.array([point]))
    for place in (held, held.round(5)):
        assert prior(name).inside(place).all()
        assert prior(name).land.covers(shapely.Point(place[0, ::-1]))


@given(names, around)
def test_holding_again_changes_nothing(name, point):
    once = prior(name).hold(np.array([point]))
    np.testing.assert_allclose(prior(name).hold(once), once, atol=1e-12)


@pytest.mark.parametrize("name", sorted(AREAS))
def test_a_point_well_inside_stays(name):
    rng = np.random.default_rng(1)
    west, south, east, north = prior(name).core.bounds
    points = np.column_stack([rng.uniform(south, north, 20_000), rng.uniform(west, east, 20_000)])
    points = points[shapely.contains_xy(prior(name).core, points[:, ::-1])][:500]
    assert len(points)
    np.testing.assert_allclose(prior(name).hold(points), points, atol=1e-9)


@pytest.mark.parametrize("name", sorted(AREAS))
def test_many_points_are_held_as_each_is_alone(name):
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-85, 85, 40), rng.uniform(-180, 180, 40)])
    together = prior(name).hold(points)
    assert together == pytest.approx(np.concatenate([prior(name).hold(point[None]) for point in points]), abs=1e-9)


def test_spaubeek_is_moved_over_the_border_and_no_further():
    spaubeek = np.array([[50.94, 5.84]])
    held = prior("DE").hold(spaubeek)
    assert distance_km(spaubeek, held)[0] == pytest.approx(8, abs=4)
    assert country_outlines()["DE"].covers(shapely.Point(held[0, ::-1]))


def test_the_nearest_place_may_lie_across_the_antimeridian():
    area = shapely.box(-180, 0, -179, 1)
    assert nearest_inside(np.array([[0.5, 179.5], [0.5, -178.0]]), area) == pytest.approx(
        np.array([[0.5, -180.0], [0.5, -179.0]])
    )


def test_near_a_pole_degrees_of_longitude_are_short():
    area = shapely.union_all([shapely.box(40, 79, 41, 80.5), shapely.box(10, 70, 11, 77)])
    # Twenty degrees to the east are 390 km, three to the south are 334: at the equator the choice is the same, at 10 they differ.
    assert nearest_inside(np.array([[80.0, 25.0]]), area)[0] == pytest.approx([80, 40], abs=1e-9)


polygons = st.builds(
    lambda p, w, h: shapely.box(max(p[1], -180), max(p[0], -90), min(p[1] + w, 180), min(p[0] + h, 90)),
    st.builds(lambda p, a, b: (p[0] + a, p[1] + b), st.sampled_from(NEAR), st.floats(-3, 1), st.floats(-3, 1)),
    st.floats(0.01, 8),
    st.floats(0.01, 8),
)


@settings(max_examples=100)
@given(names, st.lists(polygons, min_size=1, max_size=4))
def test_a_clipped_region_lies_in_the_area_and_in_itself(name, boxes):
    region = np.array([shapely.union_all(boxes)], dtype=object)
    clipped = prior(name).clip(region)[0]
    assert shapely.is_valid(clipped)
    for outer in (prior(name).geometry, region[0]):
        assert area_km2(np.array([shapely.difference(clipped, outer)]))[0] < 1e-6
        points = shapely.points(shapely.get_coordinates(clipped))
        assert shapely.distance(points, outer).max(initial=0) < 1e-9
    lost = shapely.difference(shapely.intersection(region[0], prior(name).geometry), clipped)
    assert shapely.area(lost) < 1e-9


def test_clipping_keeps_places_of_what_is_empty():
    inside, outside = shapely.box(9, 50, 10, 51), shapely.box(-40, 0, -39, 1)
    clipped = prior("DE").clip(np.array([outside, inside, outside], dtype=object))
    assert shapely.is_empty(clipped).tolist() == [True, False, True]
    assert shapely.equals(clipped[1], inside)


@pytest.mark.parametrize("name", sorted(AREAS))
def test_every_leaf_that_is_left_answers_inside(name):
    left = prior(name).leaf > 0
    assert left.any()
    assert prior(name).inside(prior(name).center_deg[left]).all()
    assert prior(name).inside(prior(name).center_deg[left].round(5)).all()
    own = HIERARCHY.center_deg[HIERARCHY.rows(2)]
    kept = shapely.contains_xy(prior(name).core, own[:, ::-1])
    np.testing.assert_array_equal(prior(name).center_deg[kept], own[kept])


def test_a_border_cell_learned_abroad_answers_within_the_country():
    hierarchy = build_hierarchy(QuadPartition((8,)), [(50.94, 5.84)])
    held = make_prior(hierarchy, ["DE"], [])
    place = held.center_deg[0]
    assert country_outlines()["DE"].contains(shapely.Point(place[::-1]))
    assert hierarchy.classes([place])[0, 0] == 0


@cache
def table_shares():
    boxes = cell_boxes(np.arange(4**TABLE_LEVEL), TABLE_LEVEL)
    return {
        code: shares_inside(boxes, read_area([code]))
        for code in ("DE", "NL", "BE", "FR", "LU", "CH", "AT", "PL", "CZ", "DK")
    }


def test_shares_of_countries_are_shares_and_sum_to_at_most_one():
    total = np.sum(list(table_shares().values()), axis=0)
    assert min(share.min() for share in table_shares().values()) >= 0
    assert total.max() <= 1 + 1e-9
    # Within Luxembourg's neighbours all land is theirs or its own.
    cell = grid.encode((49.7, 6.2), TABLE_LEVEL)
    assert total[cell] == pytest.approx(1)


def test_a_coastal_cell_counts_in_full():
    cell = grid.encode((54.9, 8.3), TABLE_LEVEL)  # Sylt, with a corner of Denmark
    shares = {code: share[cell] for code, share in table_shares().items() if share[cell] > 0}
    assert set(shares) == {"DE", "DK"}
    assert sum(shares.values()) == pytest.approx(1)
    assert land_table().share[cell] < 0.7


def test_a_region_keeps_towns_off_the_simplified_coast():
    towns = reverse_geocode.GeocodeData()._locations
    points = np.array([(town["latitude"], town["longitude"]) for town in towns if town["country_code"] == "NO"])
    on_land = shapely.contains_xy(country_outlines()["NO"], points[:, ::-1])
    assert on_land.mean() < 0.9
    assert prior("NO").inside(points).mean() > 0.96


def test_coastal_waters_hold_no_other_country():
    waters, others = prior("DE").geometry, ["NL", "DK", "PL", "FR", "CZ", "AT", "CH", "BE", "LU"]
    assert max(shapely.intersection(waters, country_outlines()[code]).area for code in others) < 1e-9
    assert waters.contains(shapely.Point(8.25, 54.9))


def test_a_cell_of_sea_is_in_no_country():
    cell = grid.encode((56.0, 3.0), TABLE_LEVEL)
    assert {share[cell] for share in table_shares().values()} == {0}


@pytest.mark.parametrize("code", ["SG", "MT", "VA", "GM", "LU", "MC", "LI", "TV", "FJ", "BH"])
def test_a_small_country_has_cells(code):
    place = shapely.point_on_surface(country_outlines()[code])
    hierarchy = build_hierarchy(QuadPartition((8,)), [(place.y, place.x), (52.5, 13.4)])
    made = make_prior(hierarchy, [code], [])
    assert (made.leaf > 0).sum() == 1
    assert set(made.country[made.table > 0].tolist()) == {code}


@pytest.mark.parametrize("text", ["Germany", "germany", "DEU", "de", " Deutschland "])
def test_a_country_may_be_named(text):
    area = read_area([text])
    assert (area.codes, area.names) == (("DE",), ("DE",))
    assert make_prior(HIERARCHY, [text], []).words == "within DE"


def test_countries_of_cells_are_those_that_are_left():
    left = prior("DE").table > 0
    assert set(prior("DE").country[left].tolist()) == {"DE"}
    assert set(land_table().country[left].tolist()) > {"DE"}
    without = make_prior(HIERARCHY, ["DE", "NL"], ["NL"])
    assert set(without.country[without.table > 0].tolist()) == {"DE"}
    anywhere = prior("all but DE")
    assert "DE" not in anywhere.country[anywhere.table > 0].tolist()


def test_the_main_country_is_the_one_with_most_land():
    boxes = np.array([shapely.box(5.8, 50.8, 6.1, 50.9), shapely.box(9, 50, 9.1, 50.1), shapely.box(-30, 0, -29, 1)])
    assert main_country(boxes, ["DE", "NL", "BE"]).tolist() == ["NL", "DE", ""]
    assert main_country(boxes, ["DE", "BE"]).tolist() == ["DE", "DE", ""]


def test_what_is_left_of_an_area_less_its_margin_is_inside_by_that_margin():
    core = shrunk(country_outlines()["NL"])
    assert core.distance(country_outlines()["NL"].boundary) == pytest.approx(2e-5, rel=1e-3)


@pytest.mark.parametrize(
    "name, words",
    [
        ("DE", "the model itself put 3.1% inside Germany (within DE)"),
        ("box", "the model itself put 3.1% inside the area (within -20,170,-10,-170)"),
        ("all but DE", "the model itself put 3.1% inside the area (excluding DE)"),
        ("DE and a box", "the model itself put 3.1% inside the area (within DE 50,5,52,7)"),
    ],
)
def test_how_little_the_model_put_inside_is_said(name, words):
    assert prior(name).sentence(0.031) == words


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("UK", ("GB",)), ("Germany", ("DE",)), ("Deutschland", ("DE",)), ("Allemagne", ("DE",)), ("日本", ("JP",)),
        ("España", ("ES",)), ("Россия", ("RU",)), ("usa", ("US",)), ("DE,FR", ("DE", "FR")), ("Germany; France", ("DE", "FR")),
        ("Germany, France and Italy", ("DE", "FR", "IT")), ("Korea, Republic of", ("KR",)), ("Bosnia and Herzegovina", ("BA",)),
    ],
)  # fmt: skip
def test_countries_are_named_as_people_write_them_alone_or_in_lists(text, codes):
    assert read_area([text]).codes == codes


@pytest.mark.parametrize("text", ["48.85,2.35,50km", "48.85, 2.35, 50", "48.85 2.35 50 km", "48.85,2.35,50000m"])
def test_a_point_and_a_radius_is_a_circle(text):
    area = read_area([text]).land
    edge = shapely.get_coordinates(area)[:, ::-1]
    assert distance_km((48.85, 2.35), edge) == pytest.approx(np.full(len(edge), 50), abs=0.1)


@pytest.mark.parametrize("lat_deg", [-90, -80, -45, 0, 45, 80, 90])
@pytest.mark.parametrize("lon_deg", [-180, -90, 0, 45, 90])
def test_the_edge_of_a_circle_is_as_far_in_every_direction(lat_deg, lon_deg):
    edge = shapely.get_coordinates(circle_around(lat_deg, lon_deg, 700))[:, ::-1]
    on_edge = edge[(np.abs(edge[:, 1]) < 180 - 1e-6) & (np.abs(edge[:, 0]) < 90 - 1e-6)]
    assert distance_km((lat_deg, lon_deg), on_edge) == pytest.approx(np.full(len(on_edge), 700), abs=0.7)
    assert len(on_edge) > 20


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(1, 5000))
def test_a_circle_has_the_area_of_a_cap_wherever_it_lies(lat_deg, lon_deg, radius_km):
    cap = 2 * np.pi * EARTH_RADIUS_KM**2 * (1 - np.cos(radius_km / EARTH_RADIUS_KM))
    assert area_km2(np.array([circle_around(lat_deg, lon_deg, radius_km)]))[0] == pytest.approx(cap, rel=0.01)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nowhere.geojson", "there is no file nowhere.geojson"),
        ("DE, Atlantis", "'Atlantis' is not an area"),
        ("95,0,10km", "the latitude at most 90"),
        ("0,0,90000km", "at most 5,000 km"),
        ("0,0,0km", "radius above 0"),
        ("Kongo", "several countries|is not an area"),
        ("/vsicurl/http://127.0.0.1:1/x.geojson", "there is no file"),
        ("x" * 5000, "is not an area"),
        ("a\0b", "is not an area"),
    ],
)
def test_what_is_no_area_is_refused_with_the_true_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        read_area([text])


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("[47, 5, 55, 16]", (5, 47, 16, 55)),
        ("47 5 55 16", (5, 47, 16, 55)),
        ("47;5;55;16", (5, 47, 16, 55)),
        ("40,350,50,359", (-10, 40, -1, 50)),
        ("-20,170,-10,190", (-180, -20, 180, -10)),
    ],
)
def test_boxes_are_read_as_people_write_them(text, bounds):
    assert shapely.bounds(read_area([text]).land) == pytest.approx(bounds)


def test_a_box_whose_sides_are_exchanged_is_refused():
    with pytest.raises(ValueError, match=r"349 degrees wide: are west and east exchanged"):
        read_area(["47,16,55,5"])
    assert shapely.area(read_area(["-20,170,-10,-170"]).land) == pytest.approx(200)


@pytest.mark.parametrize(
    "text", ["(48.85,2.35),50km", "48.85, 2.35, 50 kilometers", "48.85,2.35,50000m", "48.85 2.35 31.0686 miles"]
)
def test_a_point_and_a_radius_are_read_in_every_unit(text):
    wanted = shapely.bounds(read_area(["48.85,2.35,50km"]).land)
    assert shapely.bounds(read_area([text]).land) == pytest.approx(wanted, abs=1e-5)


def test_names_with_and_are_listed_beside_others():
    assert read_area(["Bosnia and Herzegovina, Serbia"]).codes == ("BA", "RS")
    assert read_area(["U.S., Canada and Mexico"]).codes == ("US", "CA", "MX")


def test_well_known_text_in_another_reference_system_is_refused(tmp_path):
    shape = "POLYGON((5 47,16 47,16 55,5 55,5 47))"
    (tmp_path / "a.wkt").write_text(f"SRID=4326;{shape}")
    assert shapely.bounds(read_area([str(tmp_path / "a.wkt")]).land) == pytest.approx((5, 47, 16, 55))
    (tmp_path / "a.wkt").write_text(f"SRID=3857;{shape}")
    with pytest.raises(ValueError, match="its reference system is SRID=3857, not SRID=4326: save it in degrees"):
        read_area([str(tmp_path / "a.wkt")])
