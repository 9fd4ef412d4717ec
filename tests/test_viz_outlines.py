"""Areas are drawn as they are: holes stay holes, parts beside the antimeridian stay together."""

import dataclasses
import io

import numpy as np
import pytest
import shapely
from PIL import Image

from geocells.hierarchy import build_hierarchy
from geocells.partitions.admin import AdminPartition
from geocells.partitions.kmeans import cluster
from infer.drawing import Drawing
from infer.prediction import Cell, LevelPrediction
from tests.test_viz_maps_prediction import data_of, prediction_at
from viz.maps.cells import outline_rings
from viz.maps.png import prediction_png
from viz.maps.prediction import prediction_html

# Both rings run the same way around, as in some files.
RING = shapely.Polygon([(0, 0), (30, 0), (30, 30), (0, 30)], [[(10, 10), (20, 10), (20, 20), (10, 20)]])
FIJI = shapely.MultiPolygon([shapely.box(176, -20, 180, -15), shapely.box(-180, -20, -178, -15)])


def answer(outline, point):
    """Return an answer whose only cell is an area."""
    west, south, east, north = outline.bounds
    areas, texts = np.array([outline], dtype=object), (np.array(["ZZ"]),)
    hierarchy = build_hierarchy(AdminPartition(areas, np.array([0]), texts), [point])
    cell = Cell("ZZ", 0.9, *point, 1, (south, west, north, east))
    level = LevelPrediction("country", (cell,), 0.1, 0.5)
    return prediction_at(point, level, drawing=Drawing(Image.new("RGB", (8, 8)), hierarchy))


def drawn_polygons(html):
    return data_of(html)["layers"][0]["cells"][0]["polygons"]


def test_a_page_has_the_outline_with_latitude_first():
    polygons = drawn_polygons(prediction_html(answer(RING, (15.0, 15.0))))
    outer, hole = (np.array(ring) for ring in polygons[0])
    assert {tuple(corner) for corner in hole.tolist()} == {(10, 10), (10, 20), (20, 10), (20, 20)}
    assert outer.min() == 0
    assert outer.max() == 30


@pytest.mark.parametrize(("lon", "low", "high"), [(179.0, 176, 182), (-179.0, -184, -178)])
def test_parts_beside_the_antimeridian_are_drawn_side_by_side(lon, low, high):
    rings = np.vstack([ring for rings in outline_rings(FIJI, lon) for ring in rings])
    assert (rings[:, 1].min(), rings[:, 1].max()) == (low, high)


def test_a_hole_of_an_area_is_not_painted_in_the_picture():
    painted, solid = (
        np.asarray(Image.open(io.BytesIO(prediction_png(answer(area, (50.0, 50.0))))).convert("RGB"), int)
        for area in (RING, shapely.box(0, 0, 30, 30))
    )
    purple = [np.sum(np.abs(picture - [150, 80, 180]).sum(-1) < 120) for picture in (painted, solid)]
    assert 0.6 < purple[0] / purple[1] < 0.97


def test_a_union_of_cells_is_drawn_without_the_slivers_between_them():
    rng = np.random.default_rng(3)
    points = np.column_stack([rng.normal(15, 12, 400), rng.normal(102, 10, 400)])
    partition = cluster(points, (4, 60))
    union = partition.outline(0, 0)
    slivers = [ring for part in shapely.get_parts(union) for ring in part.interiors]
    assert len(slivers) > 1
    assert max(shapely.Polygon(ring).area for ring in slivers) < 1e-9
    assert all(len(rings) == 1 for rings in outline_rings(union, 0.0))


def test_cells_of_k_means_are_drawn_by_their_outlines_and_by_their_boxes_without_a_drawing():
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-60, 60, 400), rng.uniform(-180, 180, 400)])
    hierarchy = build_hierarchy(cluster(points, (3, 12)), points)
    rows = hierarchy.rows(1)
    cells = tuple(
        Cell(
            hierarchy.name[row],
            0.5 ** (k + 1),
            *hierarchy.center_deg[row].tolist(),
            9,
            tuple(hierarchy.bounds_deg[row]),
        )
        for k, row in enumerate(range(rows.start, rows.stop))
    )
    level = LevelPrediction(hierarchy.level_names[1], cells, 0.0, 0.5)
    drawn = prediction_at(hierarchy.center_deg[rows][0].tolist(), level, drawing=Drawing(b"", hierarchy))
    assert len(drawn_polygons(prediction_html(drawn))[0][0]) > 4
    assert drawn_polygons(prediction_html(dataclasses.replace(drawn, drawing=None))) is None
