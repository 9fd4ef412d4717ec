import json

import geopandas
import numpy as np
import pytest
import shapely
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells.hierarchy import build_hierarchy
from geocells.land import land_table
from geocells.outlines import area_km2
from geocells.partitions import QuadPartition
from geocells.partitions.admin import shipped_countries
from geocells.partitions.kmeans import cluster
from geocells.partitions.macro import widened
from geocells.sphere import box_area_km2
from infer.decode.area import cells_inside, corner_boxes
from infer.decode.posterior import Tree, chain
from infer.decode.prior import area_shares, make_prior, restrict
from infer.decode.region import box_areas

PLACES = [(48.86, 2.35), (52.5, 13.4), (-33.87, 151.21), (40.71, -74.01), (-18.14, 178.44), (-16.5, -179.9)]
WORLD = build_hierarchy(QuadPartition((1, 3, 8)), PLACES)
TREE = Tree.of(WORLD)
COARSE = build_hierarchy(QuadPartition((1, 3)), PLACES)
MACRO = build_hierarchy(widened(PLACES), PLACES)


def leaf_of(place):
    return int(WORLD.classes([place])[0, -1])


def posterior(seed=0, batch=3):
    generator = torch.Generator().manual_seed(seed)
    return chain(TREE, [3 * torch.randn(batch, size, generator=generator) for size in WORLD.sizes()])


def test_a_country_keeps_its_own_cells_alone():
    prior = make_prior(WORLD, ["de"], [])
    assert np.flatnonzero(prior.leaf).tolist() == [leaf_of((52.5, 13.4))]


def test_a_country_without_training_photographs_is_refused_where_classes_are_countries_and_one_with_some_is_not():
    countries = build_hierarchy(shipped_countries(), PLACES)
    assert make_prior(countries, ["DE"], []).leaf.max() > 0.9
    assert make_prior(countries, ["DE", "PL"], []).leaf.max() > 0.9
    with pytest.raises(ValueError, match="has no training photographs of Poland and cannot answer there"):
        make_prior(countries, ["PL"], [])


def test_towns_of_an_excluded_country_are_left_out_and_others_stay():
    codes, places_deg = np.array(["FR", "DE"]), np.array(PLACES[:2])
    assert make_prior(WORLD, [], ["FR"]).keeps_towns(codes, places_deg).tolist() == [False, True]
    assert make_prior(WORLD, ["FR"], []).keeps_towns(codes, places_deg).tolist() == [True, False]


def test_within_and_exclude_share_the_world_between_them():
    ours, theirs = make_prior(WORLD, ["FR"], []), make_prior(WORLD, [], ["FR"])
    assert ours.leaf + theirs.leaf == pytest.approx(np.ones(6))
    assert ours.table + theirs.table == pytest.approx(np.ones(65536))


def test_cells_of_a_border_are_of_a_country_that_is_left_and_cells_without_land_that_is_left_keep_theirs():
    own = land_table().country
    kept = make_prior(WORLD, ["FR"], [])
    assert set(kept.country[kept.table > 0]) == {"FR"}
    assert set(own[kept.table > 0]) > {"FR"}, "cells in which a neighbour has more land"
    assert (kept.country[kept.table == 0] == own[kept.table == 0]).all()
    left = make_prior(WORLD, [], ["FR"])
    assert "FR" not in left.country[left.table > 0]
    assert (left.country[left.table == 0] == own[left.table == 0]).all()
    assert "FR" in left.country[left.table == 0]


def test_several_areas_are_one_area_together():
    prior = make_prior(WORLD, ["DE", "FR"], [])
    assert set(np.flatnonzero(prior.leaf)) == {leaf_of(PLACES[0]), leaf_of(PLACES[1])}


def corners(south, west, north, east):
    return f"{south:.9f},{west:.9f},{north:.9f},{east:.9f}"


@settings(max_examples=25)
@given(st.sampled_from(PLACES), st.floats(0.01, 0.99), st.booleans())
def test_two_parts_of_a_cell_are_together_the_whole_cell(place, cut, across):
    south, west, north, east = WORLD.bounds_deg[WORLD.rows(2).start + leaf_of(place)].tolist()
    lat, lon = south + cut * (north - south), west + cut * (east - west)
    whole = corners(south, west, north, east)
    parts = [corners(south, west, lat, east), corners(lat, west, north, east)]
    if across:
        parts = [corners(south, west, north, lon), corners(south, lon, north, east)]
    for areas in (parts, [*parts, whole], [whole, parts[0]]):
        joined, one = make_prior(WORLD, [], areas), make_prior(WORLD, [], [whole])
        assert joined.leaf[leaf_of(place)] == one.leaf[leaf_of(place)] == 0
        np.testing.assert_allclose(joined.table, one.table, atol=1e-9)
        assert make_prior(WORLD, areas, []).leaf == pytest.approx(make_prior(WORLD, [whole], []).leaf)


@settings(max_examples=25)
@given(st.floats(-60, 50), st.floats(-170, 120), st.floats(1, 20), st.floats(1, 20), st.floats(1, 20))
def test_adjoining_boxes_equal_their_union_and_overlapping_ones_count_once(south, west, first, second, height):
    middle, east, north = west + first, west + first + second, south + height
    union = area_shares(COARSE, corners(south, west, north, east))
    adjoining = corners(south, west, north, middle), corners(south, middle, north, east)
    overlapping = corners(south, west, north, (middle + east) / 2), corners(south, middle, north, east)
    for areas in (adjoining, overlapping):
        for share, expected in zip(area_shares(COARSE, *areas), union, strict=True):
            np.testing.assert_allclose(share, expected, atol=1e-9)


def test_a_quarter_of_a_cell_is_left_when_three_are_excluded():
    place = leaf_of(PLACES[0])
    south, west, north, east = WORLD.bounds_deg[WORLD.rows(2).start + place].tolist()
    lon = (west + east) / 2
    lat = np.degrees(np.arcsin((np.sin(np.radians(south)) + np.sin(np.radians(north))) / 2))
    lower, western = corners(south, west, lat, east), corners(south, west, north, lon)
    assert make_prior(WORLD, [], [lower, western]).leaf[place] == pytest.approx(0.25)
    assert make_prior(WORLD, [lower], [western]).leaf[place] == pytest.approx(0.25)
    with pytest.raises(ValueError, match="none of the 6 L8 cells"):
        make_prior(WORLD, [western], [lower, western])


def test_a_country_and_a_polygon_away_from_it_add_up():
    far, country = area_shares(COARSE, "0,-60,10,-50")[0], area_shares(COARSE, "FR")[0]
    assert area_shares(COARSE, "0,-60,10,-50", "FR")[0] == pytest.approx(far + country)


def test_a_polygon_within_a_country_adds_nothing_to_its_own_cells():
    leaf, table = area_shares(WORLD, "FR", "48.6,2,48.8,2.2")
    assert leaf == pytest.approx(area_shares(WORLD, "FR")[0])
    np.testing.assert_array_equal(table, area_shares(WORLD, "FR")[1])


@settings(max_examples=25)
@given(st.sampled_from(["FR", "DE", "AU", "US", "FJ"]), st.floats(-60, 50), st.floats(-180, 140), st.floats(1, 39))
def test_a_country_and_a_polygon_have_at_least_the_larger_and_at_most_the_sum(code, south, west, side):
    box = corners(south, west, south + side, west + side)
    for joined, polygon, country in zip(
        *(area_shares(COARSE, *a) for a in ((box, code), (box,), (code,))), strict=True
    ):
        assert np.all(joined >= np.maximum(polygon, country) - 1e-12)
        assert np.all(joined <= np.minimum(polygon + country, 1) + 1e-12)


@pytest.mark.parametrize("area", ["FR", "-40,100,10,160", "40,-80,60,10"])
def test_an_area_that_is_excluded_from_itself_is_empty(area):
    with pytest.raises(ValueError, match="none of the 6 L8 cells"):
        make_prior(WORLD, [area], [area])


def test_nothing_is_left_of_an_area_whose_parts_are_excluded_also_after_rounding():
    parts = [corners(48, west, 50, east) for west, east in ((1, 1.243), (1.243, 1.307), (1.307, 4))]
    left = make_prior(WORLD, [corners(48, 1, 50, 4), "DE"], parts)
    only = make_prior(WORLD, ["DE"], [])
    assert left.table.min() == 0
    assert np.flatnonzero(left.table).tolist() == np.flatnonzero(only.table).tolist()


@pytest.mark.parametrize("box", ["-20,-130,-10,-120", "5,-150,15,-140"], ids=["in the box of Latin America", "in none"])
def test_open_sea_is_no_macro_region(box):
    with pytest.raises(ValueError, match=r"within .*: none of the \d macro cells that this run knows is left"):
        make_prior(MACRO, [box], [])


def test_a_box_in_a_country_is_in_its_macro_region_alone():
    leaf = make_prior(MACRO, ["48,8,50,12"], []).leaf
    assert [MACRO.name[k] for k in np.flatnonzero(leaf)] == ["Western and Northern Europe"]
    outline = MACRO.partition.outline(int(MACRO.key[np.flatnonzero(leaf)[0]]), 0)
    expected = box_area_km2([48, 8, 50, 12]) / area_km2(np.array([outline]))[0]
    assert leaf.max() == pytest.approx(expected)


def test_of_clusters_all_parts_of_the_world_take_what_is_theirs():
    rng = np.random.default_rng(0)
    points = np.column_stack([np.degrees(np.arcsin(rng.uniform(-1, 1, 400))), rng.uniform(-180, 180, 400)])
    clusters = build_hierarchy(cluster(points, (4, 40)), points)
    quarters = ["-90,-180,90,-90", "-90,-90,90,0", "-90,0,90,90", "-90,90,90,180"]
    shares = [area_shares(clusters, quarter)[0] for quarter in quarters]
    assert np.sum(shares, axis=0) == pytest.approx(np.ones(40), abs=1e-6)
    own = clusters.area_km2[clusters.rows(1)]
    assert [float(share @ own) for share in shares] == pytest.approx([own.sum() / 4] * 4, rel=1e-3)
    assert make_prior(clusters, [], quarters[:2]).leaf == pytest.approx(shares[2] + shares[3], abs=1e-6)


def test_a_country_as_a_cell_holds_a_box_inside_it_and_no_box_beside_it():
    countries = build_hierarchy(shipped_countries(), PLACES)
    inside = make_prior(countries, ["47,2,48,3"], []).leaf
    assert [countries.name[k] for k in np.flatnonzero(inside)] == ["FR"]
    with pytest.raises(ValueError, match="none of the 5 country cells"):
        make_prior(countries, ["44,-20,50,-10"], [])


def test_a_box_across_the_antimeridian_holds_both_sides():
    leaf, table = area_shares(WORLD, "-25,170,-10,-170")
    assert set(np.flatnonzero(leaf)) == {leaf_of(PLACES[4]), leaf_of(PLACES[5])}
    assert 0 < table.sum() < 500


def test_a_polygon_takes_its_exact_share_of_a_cell(tmp_path):
    row = WORLD.rows(2).start + leaf_of(PLACES[0])
    south, west, north, east = WORLD.bounds_deg[row]
    half = shapely.box(west, south, (west + east) / 2, north)
    path = tmp_path / "area.geojson"
    feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(half)}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    prior = make_prior(WORLD, [str(path)], [])
    assert prior.leaf[leaf_of(PLACES[0])] == pytest.approx(0.5)
    assert prior.table.sum() == pytest.approx(0.5)


@given(st.floats(-80, 70), st.floats(-180, 170), st.floats(0.5, 9), st.floats(0.5, 9))
def test_the_share_of_a_box_is_that_of_true_areas(south, west, height, width):
    bounds = np.array([[south, west, south + height, west + width]])
    below = shapely.box(west, south, west + width, south + height / 3)
    third = box_area_km2([south, west, south + height / 3, west + width])
    assert cells_inside(box_areas(bounds), below)[0] == pytest.approx(third / box_area_km2(bounds)[0])


def test_what_is_left_sums_to_one_and_the_mass_inside_is_told():
    before = posterior()
    prior = make_prior(WORLD, ["DE", "FR"], [])
    after, inside = restrict(TREE, before, prior)
    kept = np.flatnonzero(prior.leaf)
    expected = (before[-1].exp().numpy()[:, kept] * prior.leaf[kept]).sum(axis=1)
    assert inside == pytest.approx(expected, rel=1e-5)
    for level in after:
        assert level.exp().sum(dim=1).numpy() == pytest.approx(np.ones(3), abs=1e-5)


def test_everywhere_changes_nothing():
    before = posterior(1)
    after, inside = restrict(TREE, before, make_prior(WORLD, ["-90,-180,90,180"], []))
    assert inside == pytest.approx(np.ones(3), abs=1e-6)
    assert after[-1].numpy() == pytest.approx(before[-1].numpy(), abs=1e-5)


def test_where_the_model_put_nothing_inside_the_prior_alone_speaks():
    before = posterior()
    before[-1] = torch.full_like(before[-1], -torch.inf)
    before[-1][:, leaf_of(PLACES[3])] = 0
    after, inside = restrict(TREE, before, make_prior(WORLD, ["DE", "FR"], []))
    assert inside.tolist() == [0, 0, 0]
    assert after[-1].exp().sum(dim=1).numpy() == pytest.approx(np.ones(3))


def test_an_area_that_holds_no_class_is_an_error_that_says_so():
    with pytest.raises(ValueError, match=r"within JP: none of the 6 L8 cells"):
        make_prior(WORLD, ["JP"], [])


@pytest.mark.parametrize(
    "text, words",
    [
        ("Atlantis", "'Atlantis' is not an area: give a country's code or name such as DE or Germany"),
        ("nowhere.geojson", "there is no file nowhere.geojson"),
        ("ZZ", "is not an area"),
        ("Congo", r"several countries: give a code, CD \(Democratic Republic of the Congo\) or CG"),
        ("10,0,-10,5", "south below north"),
        ("0,0,10,999", "south below north"),
    ],
)
def test_what_is_not_an_area_is_refused_in_words(text, words):
    with pytest.raises(ValueError, match=words):
        make_prior(WORLD, [text], [])


def test_the_share_of_a_country_agrees_with_an_equal_area_projection(shared_data):
    countries = geopandas.read_file(shared_data / "naturalearth" / "ne_110m_admin_0_countries.zip")
    germany = countries[countries["ISO_A2"] == "DE"]
    area_km2 = germany.to_crs("+proj=cea +R=6371008.8 +units=km").area.iloc[0]
    share = cells_inside(box_areas([47.0, 5.0, 56.0, 16.0]), germany.geometry.iloc[0])[0]
    assert share == pytest.approx(area_km2 / box_area_km2([47.0, 5.0, 56.0, 16.0]), rel=1e-6)
    assert corner_boxes("47,5,56,16")[0].covers(germany.geometry.iloc[0])


def test_what_is_clipped_keeps_all_of_its_area_that_lies_inside_and_nothing_that_only_touches():
    prior = make_prior(WORLD, ["40,0,50,10"], [])
    boxes = np.array(
        [shapely.box(5, 45, 15, 55), shapely.box(10, 40, 20, 50), shapely.box(30, 0, 40, 10)], dtype=object
    )
    clipped = prior.clip(boxes)
    assert shapely.equals(clipped[0], shapely.box(5, 45, 10, 50))
    assert shapely.is_empty(clipped).tolist() == [False, True, True]
