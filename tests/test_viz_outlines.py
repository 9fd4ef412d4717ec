"""Areas are drawn as they are: holes stay holes, parts beside the antimeridian stay together."""

import io
import json
import re

import numpy as np
import pytest
import shapely
from PIL import Image

from tests.test_viz_prediction import answer_at
from viz.maps.cells import CellLayer, outline_rings
from viz.maps.png import prediction_png
from viz.maps.prediction import prediction_html

# Both rings run the same way around, as in some files.
RING = shapely.Polygon([(0, 0), (30, 0), (30, 30), (0, 30)], [[(10, 10), (20, 10), (20, 20), (10, 20)]])
FIJI = shapely.MultiPolygon([shapely.box(176, -20, 180, -15), shapely.box(-180, -20, -178, -15)])


def layer(outline):
    west, south, east, north = outline.bounds
    return CellLayer("country", ["ZZ"], np.array([0.9]), np.array([[south, west, north, east]]), [outline])


def drawn_polygons(html):
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html)[1])
    return data["layers"][0]["cells"][0]["polygons"]


def test_a_page_has_the_outline_with_latitude_first():
    polygons = drawn_polygons(prediction_html(answer_at((15.0, 15.0)), [layer(RING)]))
    outer, hole = (np.array(ring) for ring in polygons[0])
    assert {tuple(corner) for corner in hole.tolist()} == {(10, 10), (10, 20), (20, 10), (20, 20)}
    assert outer.min() == 0
    assert outer.max() == 30


@pytest.mark.parametrize(("lon", "low", "high"), [(179.0, 176, 182), (-179.0, -184, -178)])
def test_parts_beside_the_antimeridian_are_drawn_side_by_side(lon, low, high):
    rings = np.vstack([ring for rings in outline_rings(FIJI, lon) for ring in rings])
    assert (rings[:, 1].min(), rings[:, 1].max()) == (low, high)


def test_a_hole_of_an_area_is_not_painted_in_the_picture():
    painted = Image.open(io.BytesIO(prediction_png(answer_at((50.0, 50.0)), [layer(RING)]))).convert("RGB")
    solid = Image.open(io.BytesIO(prediction_png(answer_at((50.0, 50.0)), [layer(shapely.box(0, 0, 30, 30))])))
    purple = [
        np.sum(np.abs(np.asarray(p.convert("RGB"), int) - [150, 80, 180]).sum(-1) < 120) for p in (painted, solid)
    ]
    assert 0.6 < purple[0] / purple[1] < 0.97


def test_as_many_outlines_as_cells_or_none_are_needed():
    with pytest.raises(ValueError, match="different numbers"):
        CellLayer("country", ["A", "B"], np.array([0.5, 0.4]), np.zeros((2, 4)), [RING])
