import json

import geopandas
import numpy as np
import pytest
import shapely
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocells.hierarchy import build_hierarchy
from geocells.partitions import QuadPartition
from geocells.sphere import box_area_km2
from infer.posterior import Tree, chain
from infer.priors import area_shares, boxes_inside, corner_boxes, make_prior, restrict

PLACES = [(48.86, 2.35), (52.5, 13.4), (-33.87, 151.21), (40.71, -74.01), (-18.14, 178.44), (-16.5, -179.9)]
WORLD = build_hierarchy(QuadPartition((1, 3, 8)), PLACES)
TREE = Tree.of(WORLD)


def leaf_of(place):
    return int(WORLD.classes([place])[0, -1])


def posterior(seed=0, batch=3):
    generator = torch.Generator().manual_seed(seed)
    return chain(TREE, [3 * torch.randn(batch, size, generator=generator) for size in WORLD.sizes()])


def test_a_country_keeps_its_own_cells_alone():
    prior = make_prior(WORLD, ["de"], [])
    assert np.flatnonzero(prior.leaf).tolist() == [leaf_of((52.5, 13.4))]


def test_within_and_exclude_share_the_world_between_them():
    ours, theirs = make_prior(WORLD, ["FR"], []), make_prior(WORLD, [], ["FR"])
    assert ours.leaf + theirs.leaf == pytest.approx(np.ones(6))
    assert ours.table + theirs.table == pytest.approx(np.ones(65536))


def test_several_areas_are_one_area_together():
    prior = make_prior(WORLD, ["DE", "FR"], [])
    assert set(np.flatnonzero(prior.leaf)) == {leaf_of(PLACES[0]), leaf_of(PLACES[1])}


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
    assert boxes_inside(bounds, below)[0] == pytest.approx(third / box_area_km2(bounds)[0])


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
        ("Germany", "is no area"),
        ("nowhere.geojson", "is no area"),
        ("ZZ", "most of the land in no cell"),
        ("10,0,-10,5", "south below north"),
        ("0,0,10,999", "south below north"),
    ],
)
def test_what_is_no_area_is_refused_in_words(text, words):
    with pytest.raises(ValueError, match=words):
        make_prior(WORLD, [text], [])


def test_the_share_of_a_country_agrees_with_an_equal_area_projection(shared_data):
    countries = geopandas.read_file(shared_data / "naturalearth" / "ne_110m_admin_0_countries.zip")
    germany = countries[countries["ISO_A2"] == "DE"]
    area_km2 = germany.to_crs("+proj=cea +R=6371008.8 +units=km").area.iloc[0]
    share = boxes_inside(np.array([[47.0, 5.0, 56.0, 16.0]]), germany.geometry.iloc[0])[0]
    assert share == pytest.approx(area_km2 / box_area_km2([47.0, 5.0, 56.0, 16.0]), rel=1e-6)
    assert corner_boxes("47,5,56,16")[0].covers(germany.geometry.iloc[0])
