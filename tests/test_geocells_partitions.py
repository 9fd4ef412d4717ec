"""Every way to cut the world: each point has one class per level, parents hold children, read after write is the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells import grid
from geocells.hierarchy import UNKNOWN, build_hierarchy
from geocells.land import land_table
from geocells.partitions import NO_CELL, Partition, QuadPartition, build_partition, partition_of
from geocells.partitions.adaptive import AdaptivePartition, read_cell_table, split_by_density
from geocells.partitions.admin import AdminPartition, read_areas, remarks, shipped_countries
from geocells.partitions.kmeans import _apart, cluster, default_sizes
from geocells.partitions.macro import MACRO_REGIONS, MacroPartition, published_boxes, region_of_cells, widened
from geocells.sphere import EARTH_AREA_KM2, distance_km, latlon_deg, unit_vectors

TRAINING = latlon_deg(np.random.default_rng(3).normal(size=(400, 3)))
SEAMS = np.array([(90, 0), (-90, 0), (0, 180), (0, -180), (-17, 179.999), (-17, -179.999), (0, 0), (89.9, 120)], float)
places = st.lists(
    st.tuples(st.floats(-90, 90), st.floats(-540, 540)) | st.sampled_from([tuple(p) for p in SEAMS.tolist()]),
    min_size=1,
    max_size=30,
)

# An archipelago on the antimeridian, a country around the pole, one of two regions, and one inside another.
AREAS = {
    "ONE": ("ONE", "-99", shapely.box(0, 0, 10, 10)),
    "NAM": ("NAM", "NA", shapely.box(12, -30, 25, -17)),
    "FRA": ("FRA", "-99", shapely.box(-5, 42, 8, 51).difference(shapely.box(1, 45, 3, 46))),
    "AND": ("AND", "AD", shapely.box(1, 45, 3, 46)),
    "FJI": ("FJI", "FJ", shapely.MultiPolygon([shapely.box(177, -19, 180, -16), shapely.box(-180, -19, -178, -16)])),
    "ATA": ("ATA", "AQ", shapely.box(-180, -90, 180, -65)),
    "KOS": ("KOS", "XK", shapely.box(20, 42, 22, 43)),
}
REGIONS = [
    ("FRA", "Nord", shapely.box(-5, 47, 8, 51)),
    ("FRA", "Sud", shapely.box(-5, 42, 8, 47).difference(shapely.box(1, 45, 3, 46))),
    ("FRA", "Guadeloupe", shapely.box(-62, 16, -61, 17)),
    ("NAM", "Khomas", shapely.box(12, -30, 25, -24)),
    ("NAM", None, shapely.box(12, -24, 25, -17)),
    ("FJI", "Northern", AREAS["FJI"][2]),
]


def write(path, shapes, **columns):
    wkb = shapely.to_wkb(np.array(shapes, dtype=object))
    pyogrio.raw.write(
        path, wkb, [np.array(v, dtype=object) for v in columns.values()], list(columns), geometry_type="Unknown",
        crs="EPSG:4326", driver="GPKG",
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("areas")
    a3, a2, shapes = zip(*AREAS.values(), strict=True)
    owner, name, parts = zip(*REGIONS, strict=True)
    return (
        write(folder / "countries.gpkg", shapes, ADM0_A3=a3, ISO_A2=a2),
        write(folder / "regions.gpkg", parts, adm0_a3=owner, name=name),
    )


MAKERS: dict[str, Callable[..., Partition]] = {
    "quad": lambda files: QuadPartition((1, 3, 5, 8)),
    "quad_equal_area": lambda files: QuadPartition((2, 6), equal_area=True),
    "adaptive": lambda files: split_by_density(TRAINING, 20, 8),
    "kmeans": lambda files: cluster(TRAINING, (5, 20, 80)),
    "points": lambda files: build_partition("points", TRAINING, clusters=(5, 20)),
    "macro": lambda files: widened(TRAINING),
    "admin": lambda files: read_areas(*files),
    "admin_by_centroids": lambda files: read_areas(*files, assign="centroids"),
    "countries": lambda files: read_areas(files[0], None),
}


@pytest.fixture(scope="module", params=list(MAKERS))
def partition(request, files) -> Partition:
    return MAKERS[request.param](files)


# What holds of all


@given(points=places)
def test_every_point_has_one_cell_at_each_level_and_the_coarser_is_the_parent(partition, points):
    keys = partition.keys(points)
    assert keys.shape == (len(points), len(partition.level_names))
    assert (keys != NO_CELL).all()
    for depth in range(1, keys.shape[1]):
        np.testing.assert_array_equal(partition.parents(keys[:, depth], depth), keys[:, depth - 1])


@given(points=places)
def test_longitudes_wrap_in_every_partition(partition, points):
    turned = np.add(points, [0, 360])
    apart = partition.keys(points) != partition.keys(turned)
    # A rounding error may carry a point over an edge, so only those that an edge does not touch must agree.
    nudged = [partition.keys(np.clip(np.array(points) + shift, [-90, -1e3], [90, 1e3])) for shift in (1e-6, -1e-6)]
    stable = (nudged[0] == nudged[1]) & (nudged[0] == partition.keys(points))
    assert not (apart & stable).any()


def all_keys(partition, depth):
    return np.unique(partition.keys(np.vstack([SEAMS, TRAINING]))[:, depth])


def test_boxes_of_parents_hold_those_of_their_children(partition):
    for depth in range(1, len(partition.level_names)):
        keys = all_keys(partition, depth)
        inner, outer = (
            partition.bounds_deg(k, d) for k, d in ((keys, depth), (partition.parents(keys, depth), depth - 1))
        )
        assert np.all(outer[:, 0] <= inner[:, 0] + 1e-9)
        assert np.all(inner[:, 2] <= outer[:, 2] + 1e-9)
        for lon in (1, 3):
            assert np.all(east_of(outer[:, 1], inner[:, lon]) <= width(outer) + 1e-9)


def east_of(west, lon):
    """Return how far east of a meridian another is, 360 rather than 0 for the same one once around."""
    return np.mod(lon - west, 360)


def width(boxes):
    return np.where(boxes[:, 3] < boxes[:, 1], boxes[:, 3] - boxes[:, 1] + 360, boxes[:, 3] - boxes[:, 1])


def test_names_tell_the_cells_of_a_level_apart(partition):
    for depth in range(len(partition.level_names)):
        keys = all_keys(partition, depth)
        names = partition.names(keys, depth)
        assert len(set(names)) == len(keys)
        assert all(names)


def test_a_key_that_is_no_cell_has_no_name(partition):
    if not isinstance(partition, QuadPartition):
        for key in (-1, 10**7):
            with pytest.raises(ValueError, match=f"has no cell {key}"):
                partition.names(np.array([key]), 0)


def test_areas_of_a_parent_are_those_of_its_children_together(partition):
    if isinstance(partition, QuadPartition):
        return  # its levels are tested with the grid
    for depth in range(1, len(partition.level_names)):
        finest = len(TRAINING) if partition.name == "points" else 80
        below = np.arange(
            len(partition.texts[depth]) if isinstance(partition, AdminPartition) else [20, finest][depth - 1]
        )
        above = partition.parents(below, depth)
        total = np.bincount(above, partition.area_km2(below, depth))
        np.testing.assert_allclose(partition.area_km2(np.unique(above), depth - 1), total[np.unique(above)])


def test_what_is_stored_makes_the_same_partition(partition, tmp_path):
    np.savez(tmp_path / "p.npz", **partition.arrays())
    with np.load(tmp_path / "p.npz", allow_pickle=False) as stored:
        again = partition_of(partition.name, partition.level_names, dict(stored))
    points = np.vstack([SEAMS, TRAINING])
    np.testing.assert_array_equal(again.keys(points), partition.keys(points))
    for depth in range(len(partition.level_names)):
        keys = all_keys(partition, depth)
        assert again.names(keys, depth) == partition.names(keys, depth)
        np.testing.assert_array_equal(again.bounds_deg(keys, depth), partition.bounds_deg(keys, depth))
        np.testing.assert_array_equal(again.area_km2(keys, depth), partition.area_km2(keys, depth))


def test_every_training_photograph_has_a_class_and_each_parent_a_child(partition):
    hierarchy = build_hierarchy(partition, TRAINING)
    assert np.all(hierarchy.classes(TRAINING) != UNKNOWN)
    for depth in range(1, hierarchy.depth):
        assert set(hierarchy.parent_class(depth)) == set(range(hierarchy.sizes()[depth - 1]))


def test_outlines_are_valid_and_within_the_world(partition):
    for depth in range(len(partition.level_names)):
        for key in all_keys(partition, depth)[:20].tolist():
            outline = partition.outline(key, depth)
            if outline is not None:
                assert outline.is_valid
                west, south, east, north = outline.bounds
                assert -180 <= west < east <= 180
                assert -90 <= south < north <= 90


def test_the_outline_of_a_cluster_or_an_area_holds_its_points(partition):
    if partition.name not in ("kmeans", "points", "admin") or getattr(partition, "assign", "") == "centroids":
        return
    keys = partition.keys(TRAINING)
    for depth in range(keys.shape[1]):
        for key in np.unique(keys[:, depth])[:10].tolist():
            inside = shapely.contains_xy(partition.outline(key, depth).buffer(0.01), TRAINING[:, 1], TRAINING[:, 0])
            if partition.name in ("kmeans", "points"):
                np.testing.assert_array_equal(inside, keys[:, depth] == key)
            else:
                assert np.all(keys[inside, depth] == key)


def test_a_partition_that_does_not_exist_or_lacks_its_arrays_is_refused():
    with pytest.raises(ValueError, match="no partition 'hexagons'"):
        partition_of("hexagons", ("L1",))
    with pytest.raises(ValueError, match="'boxes_deg', which is not stored"):
        partition_of("macro", ("macro",))
    with pytest.raises(ValueError, match="levels of macro are named macro, got L1"):
        partition_of("macro", ("L1",), {"boxes_deg": published_boxes()})


# Density


@settings(max_examples=50)
@given(points=places, most=st.integers(1, 5), finest=st.integers(1, 12))
def test_a_cell_is_split_until_it_holds_few_photographs_or_is_as_fine_as_can_be(points, most, finest):
    points = np.round(
        points, 9
    )  # 1e-226 north of an edge is on it to the arithmetic of the grid, and not to comparison
    cells = split_by_density(points, most, finest)
    count = np.bincount(cells.keys(points)[:, 0], minlength=len(cells.texts))
    levels = np.array([len(text.split("/")) for text in cells.texts])
    assert np.all((count <= most) | (levels == finest))
    assert cells.area_km2(np.arange(len(levels)), 0).sum() == pytest.approx(EARTH_AREA_KM2)


@given(points=places)
def test_cells_of_the_density_tree_own_their_edges_as_those_of_the_grid_do(points):
    on_edges = np.array(points).round(0).clip(-90, 90)
    cells = split_by_density(on_edges, 1, 4)
    own = [grid.format_id(int(cell), 4) for cell in grid.encode(on_edges, 4)]
    for text, name in zip(own, cells.names(cells.keys(on_edges)[:, 0], 0), strict=True):
        assert f"{text}/".startswith(f"{name}/")


ROWS = "cluster_id,min_lat,min_lon,max_lat,max_lon,mean_lat,mean_lon\n"
OSV5M = (
    "0,-54.887208333333,-176.81130912065618,-21.501435738728247,-87.92788457595303,-43.53,-175.17\n"
    "1,-54.887208333333,-87.92788457595303,-46.54076518468182,-65.70702843977725,-52.84,-69.97\n"
)


def test_the_public_cell_table_is_read_and_leaves_points_outside_without_a_cell(tmp_path):
    (tmp_path / "cells.csv").write_text(ROWS + OSV5M)
    cells = read_cell_table(tmp_path / "cells.csv")
    keys = cells.keys([(-43.94, -170.1), (-50, -70), (-54.887208333333, -70), (-50, -87.92788457595303), (45, 4)])
    assert keys[:, 0].tolist() == [0, 1, 1, 1, NO_CELL]
    hierarchy = build_hierarchy(cells, [(-50, -70), (45, 4), (45, 4)])
    assert (hierarchy.name, hierarchy.train_count.tolist()) == (("1",), [1])
    assert hierarchy.classes([(-50, -70), (45, 4)]).tolist() == [[0], [UNKNOWN]]


@pytest.mark.parametrize(
    "content, complaint",
    [
        ("id,lat\n1,2\n", "has no column cluster_id"),
        (ROWS, "lists no cells"),
        (ROWS + "0,a,0,1,1,0,0\n", "a bound that is not a number"),
        (ROWS + "0,2,0,1,1,0,0\n", "cell 0 is not a box"),
        (ROWS + "0,0,0,1,1,0,0\n0,1,0,2,1,0,0\n", "a cluster_id twice"),
        (ROWS + "0,0,0,1,1,0,0\n1,0.5,0,2,1,0,0\n", "cells 0 and 1 overlap"),
    ],
)
def test_a_cell_table_that_is_none_is_refused_in_one_line(tmp_path, content, complaint):
    (tmp_path / "cells.csv").write_text(content)
    with pytest.raises(ValueError, match=complaint):
        read_cell_table(tmp_path / "cells.csv")


# Clusters


def test_a_point_lies_in_the_cluster_with_the_nearest_centroid():
    clusters = cluster(TRAINING, (4, 30))
    far = distance_km(TRAINING[:, None], latlon_deg(clusters.centroids)[None])
    np.testing.assert_array_equal(clusters.keys(TRAINING)[:, 1], far.argmin(axis=1))


def test_cells_of_clusters_cover_the_sphere_and_their_boxes_hold_their_points():
    clusters = cluster(TRAINING, (6, 40))
    for depth, areas in enumerate(clusters.areas_km2):
        assert areas.sum() == pytest.approx(EARTH_AREA_KM2)
        points = latlon_deg(np.random.default_rng(4).normal(size=(5000, 3)))
        box = clusters.bounds_deg(clusters.keys(points)[:, depth], depth)
        assert np.all((points[:, 0] >= box[:, 0] - 0.01) & (points[:, 0] <= box[:, 2] + 0.01))
        assert np.all((east_of(box[:, 1] - 0.01, points[:, 1]) <= width(box) + 0.02) | (width(box) >= 359.9))


@given(st.integers(4, 10**8), st.integers(4, 10**6))
def test_without_numbers_clusters_follow_the_photographs_and_fit_the_places(photographs, places):
    sizes = default_sizes(photographs, places)
    assert sizes[0] <= 50
    assert 4 <= sizes[-1] <= min(places, 10_000)
    assert list(sizes) == sorted(set(sizes))


def test_a_dozen_photographs_share_a_cluster_of_the_finest_level():
    assert default_sizes(12_445, 12_000) == (50, 228, 1037)
    assert default_sizes(5_000_000, 4_000_000) == (50, 707, 10_000)
    assert default_sizes(20, 20) == (1, 2, 4)
    assert tuple(map(len, cluster(TRAINING).areas_km2)) == default_sizes(len(TRAINING), len(TRAINING))


def test_the_same_seed_gives_the_same_clusters():
    np.testing.assert_array_equal(cluster(TRAINING, (30,), 7).centroids, cluster(TRAINING, (30,), 7).centroids)


def test_more_clusters_than_places_are_refused():
    with pytest.raises(ValueError, match="more than the 2 places with training photographs"):
        cluster([(1, 2), (1, 2), (3, 4)], (4,))


@pytest.mark.parametrize("kilometres", [0.3, 1.0, 20.0])
@pytest.mark.parametrize("center_deg", [(48.85, 2.35), (-33.9, 179.999)])
def test_photographs_of_one_city_are_clustered_and_their_cells_hold_them(kilometres, center_deg):
    away = np.random.default_rng(0).uniform(-0.5, 0.5, (300, 2)) * kilometres / 111
    places = np.array(center_deg) + away
    found = cluster(places, (2, 6))
    assert found.areas_km2[0].sum() == pytest.approx(EARTH_AREA_KM2, rel=1e-5)
    lon_deg = (places[:, 1] + 180) % 360 - 180
    outlines = [found.outline(key, 1).buffer(1e-6) for key in range(6)]
    inside = [
        shapely.contains_xy(outlines[key], lon, lat)
        for key, lon, lat in zip(found.keys(places)[:, 1], lon_deg, places[:, 0], strict=True)
    ]
    assert np.mean(inside) > 0.99


def test_clusters_on_a_line_do_not_cut_the_sphere():
    with pytest.raises(ValueError, match="do not cut the sphere"):
        cluster([(0, lon) for lon in range(0, 60, 10)], (4,))


# Countries and regions


def test_minus_99_is_resolved_na_is_namibia_and_kosovo_is_there(files):
    countries = read_areas(files[0], None)
    assert countries.texts[0].tolist() == ["AD", "AQ", "FJ", "FR", "NA", "ONE", "XK"]
    regions = read_areas(*files)
    assert regions.texts[0].tolist() == ["AD", "AQ", "FJ", "FR", "GP", "NA", "ONE", "XK"]
    assert "NA/unnamed" in regions.texts[1]
    assert "GP/Guadeloupe" in regions.texts[1]  # of France, with a code of its own


@pytest.mark.parametrize(
    "place, name",
    [
        ((49, 2), "FR/Nord"),
        ((45.5, 2), "AD/AD"),  # inside another country
        ((-17, 179.5), "FJ/Northern"),
        ((-17, -179.5), "FJ/Northern"),
        ((-17, -177), "FJ/Northern"),  # at sea
        ((-16, 176), "FJ/Northern"),  # at sea, beyond the antimeridian from its other half
        ((-90, 0), "AQ/AQ"),
        ((-60, 150), "AQ/AQ"),
        ((90, 0), "FR/Nord"),  # the nearest on the sphere
        ((43, 19.5), "XK/XK"),
    ],
)
def test_a_place_has_its_region_at_sea_the_nearest(files, place, name):
    areas = read_areas(*files)
    assert areas.names(areas.keys([place])[:, 1], 1) == [name]


def test_nearest_middles_differ_from_polygons_by_a_counted_share(files):
    areas, by_middle = read_areas(*files), read_areas(*files, assign="centroids")
    apart = areas.keys(TRAINING) != by_middle.keys(TRAINING)
    assert areas.differing(TRAINING) == pytest.approx(apart.mean(axis=0).tolist())
    assert 0 < apart[:, 1].mean() < 1
    three = areas.nearest_middles(np.array([(49.0, 2.0)]), 3)[0]
    assert areas.names(three, 1) == ["FR/Nord", "AD/AD", "FR/Sud"]


def test_the_box_of_islands_on_the_antimeridian_is_narrow(files):
    areas = read_areas(files[0], None)
    fiji = areas.texts[0].tolist().index("FJ")
    np.testing.assert_allclose(areas.bounds_deg(np.array([fiji]), 0), [[-19, 177, -16, -178]], atol=0.03)


def test_natural_earth_gives_known_areas(shared_data):
    folder = shared_data / "naturalearth"
    areas = read_areas(folder / "ne_50m_admin_0_countries.zip", folder / "ne_10m_admin_1_states_provinces.zip")
    assert [len(texts) for texts in areas.texts] == [252, 4615]
    size = dict(zip(areas.texts[0].tolist(), areas.area_km2(np.arange(252), 0).tolist(), strict=True))
    # CIA World Factbook, total area less some waters; borders are simplified.
    for code, known in {"RU": 17_098_242, "BR": 8_515_770, "NA": 824_292, "NO": 323_802, "XK": 10_887}.items():
        assert size[code] == pytest.approx(known, rel=0.03)
    known = [(48.85, 2.35, "FR"), (59.9, 10.75, "NO"), (42.66, 21.16, "XK"), (66, -172, "RU"), (67, -64.7, "CA")]
    for lat, lon, code in known:
        assert areas.names(areas.keys([(lat, lon)])[:, 0], 0) == [code]


def test_points_with_a_country_lie_in_it(shared_data):
    table = pd.read_csv(shared_data / "points" / "osv5m_game_50.csv", keep_default_na=False)
    areas = read_areas(shared_data / "naturalearth" / "ne_50m_admin_0_countries.zip", None)
    found = areas.names(areas.keys(table[["latitude", "longitude"]].to_numpy())[:, 0], 0)
    assert np.mean(np.array(found) == table["country"].to_numpy()) >= 0.98


# Macro regions


def test_shipped_countries_say_how_many_they_are_and_how_rough():
    shipped = shipped_countries()
    here = len(np.unique(shipped.keys(land_points())[:, 0]))
    paris = np.array([[48.86, 2.35]])
    rough, differing = remarks(shipped, paris)
    assert rough.startswith(f"{here} countries by the shipped table of L8 cells")
    assert remarks(shipped, paris, countries=Path("countries.zip")) == [differing]


def test_shipped_countries_say_nothing_of_borders_where_no_photograph_has_coordinates():
    assert remarks(shipped_countries(), np.zeros((0, 2))) == []


def land_points():
    return grid.center_deg(np.flatnonzero(land_table().share > 0), grid.TABLE_LEVEL)


def test_there_are_thirteen_macro_regions_and_no_country_is_in_two():
    codes = [code for _, listed, _ in MACRO_REGIONS for code in listed.split()]
    assert len(MACRO_REGIONS) == 13
    assert len(codes) == len(set(codes)) == 134


def test_the_boxes_of_macro_regions_are_the_published_ones():
    south, north, west, east = np.array([box for _, _, box in MACRO_REGIONS]).T
    assert (south.sum(), north.sum(), west.sum(), east.sum()) == (5, 611, -66, 1080)
    assert np.all((south < north) & (west < east))


@pytest.mark.parametrize(
    "place, name",
    [
        ((40.7, -74), "North America"),
        ((19.4, -99.1), "Latin America"),
        ((48.9, 2.3), "Western and Northern Europe"),
        ((38.7, -27.2), "Southern Europe"),  # the Azores, outside the published box
        ((-22.6, 17.1), "Africa"),  # Namibia, NA
        ((30.0, 31.2), "Rare regions"),  # Egypt is in no list
        ((-45.0, 172.0), "Oceania"),
        ((67.0, -64.7), "North America"),  # Baffin Island
        ((66.0, -172.0), "Russia and Cyrillic"),
        ((-90, 0), "Rare regions"),
        ((47.0, -30.0), "Southern Europe"),  # at sea, nearest to the Azores
    ],
)
def test_a_place_has_its_macro_region(place, name):
    macro = MacroPartition(published_boxes())
    assert macro.names(macro.keys([place])[:, 0], 0) == [name]


def test_every_land_cell_has_the_macro_region_of_its_country():
    number = {code: k for k, (_, codes, _) in enumerate(MACRO_REGIONS) for code in codes.split()}
    table = land_table()
    land = table.share > 0
    expected = [number.get(code, 12) for code in table.country[land].tolist()]
    assert region_of_cells()[land].tolist() == expected


def test_boxes_of_experts_are_widened_to_their_photographs_and_no_further():
    azores = (38.7, -27.2)
    boxes = widened([azores, (66.0, -172.0)]).boxes_deg
    np.testing.assert_allclose(boxes[3], [34, -27.2, 47, 28])
    np.testing.assert_allclose(boxes[5], [41, 19, 82, -172])
    others = [k for k in range(13) if k not in (3, 5)]
    np.testing.assert_array_equal(boxes[others], published_boxes()[others])


def test_widening_leaves_the_photographs_as_they_were():
    points = np.array([(10.0, 200.0)])
    widened(points)
    assert points.tolist() == [[10, 200]]


def test_a_partition_of_boxes_has_no_outline():
    assert isinstance(MAKERS["adaptive"](None), AdaptivePartition)
    assert MAKERS["adaptive"](None).outline(0, 0) is None


def test_centroids_on_one_place_give_way_to_the_points_furthest_from_any():
    points = unit_vectors([(0, 0), (0, 90), (0, 180), (80, 0), (-80, 10)])
    apart = _apart(points[[0, 1, 1, 2]], points)
    assert len(np.unique(apart.round(7), axis=0)) == 4
    np.testing.assert_array_equal(apart[[0, 1, 3]], points[[0, 1, 2]])
    assert min(np.linalg.norm(apart[2] - points[k]) for k in (3, 4)) < 1e-12


def test_points_that_lie_on_one_place_are_cells_that_share_it():
    twice = np.vstack([TRAINING[:50], TRAINING[:2], TRAINING[:1] + 1e-5])
    partition = build_partition("points", twice, clusters=(5,))
    own = partition.keys_of_points()
    assert own[:, 1].tolist() == list(range(53))
    # A photograph there is of the first of them, which has a third of the place's area.
    assert partition.keys(twice)[[0, 50, 52], 1].tolist() == [0, 0, 0]
    areas = partition.area_km2(own[:, 1], 1)
    assert areas[0] == areas[50] == areas[52]
    assert areas.sum() == pytest.approx(510_065_881, rel=1e-6)
    assert partition.names(own[50:51, 1], 1) == [f"{own[0, 0]}/50"]


def test_fewer_places_than_four_are_no_partition_of_points():
    with pytest.raises(ValueError, match="takes at least 4 places, got 2"):
        build_partition("points", np.vstack([TRAINING[:2], TRAINING[:2]]))


def test_a_cluster_of_thousands_of_points_is_drawn_as_the_union_of_their_cells():
    dense = np.random.default_rng(4).uniform((40, 0), (52, 16), (3000, 2))
    partition = build_partition("points", np.vstack([dense, TRAINING]), clusters=(4, 12))
    keys = partition.keys(dense)
    for depth in (0, 1):
        for key in np.unique(keys[:, depth]).tolist():
            shape = partition.outline(key, depth)
            assert shape.is_valid
            np.testing.assert_array_equal(shapely.contains_xy(shape, dense[:, 1], dense[:, 0]), keys[:, depth] == key)
    assert partition.outline(3, 0) is partition.outline(3, 0)
