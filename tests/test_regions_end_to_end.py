"""A table with coordinates and a column of its own regions goes the whole way: import, label maps, refiner, kilometres, pages."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
import shapely

import infer
from dataset.manifest import coordinates, read_manifest
from fetch.sources.config import ImportConfig
from fetch.sources.imports import run as do_import
from geocells.hierarchy import UNKNOWN
from geocells.sphere import distance_km, group_means
from infer.__main__ import predict as with_pages
from infer.config import EvaluateConfig, InferConfig
from infer.evaluate.run import main as evaluate
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from label_maps.files import read_hierarchy
from label_maps.labels import truth_of
from tests.test_viz_maps_prediction import data_of
from tests.tiny import joint_config, write_square
from train.calibrate import main as calibrate
from train.config import CalibrateConfig
from train.refine import main as refine
from train.refine_config import RefineConfig
from train.tasks import train_joint
from viz.config import ReportConfig
from viz.report.page import write_report

REGIONS = {
    "17": ((230, 40, 40), (46.0, 3.0), 3.0),
    "fiji/samoa": ((40, 200, 40), (-16.0, 180.0), 6.0),
    "3": ((40, 60, 230), (-1.3, 36.8), 2.0),
    "north, far": ((230, 220, 40), (78.0, 16.0), 3.0),
}
"""Colour, middle and half width in degrees; the second spans the antimeridian."""
EACH = 60


def write_table(source):
    """Write photographs and their table: path, coordinates and region."""
    rng = np.random.default_rng(0)
    rows = []
    for region, (colour, (lat, lon), reach) in REGIONS.items():
        for number in range(EACH):
            name = f"{region.replace('/', '_')}-{number}.jpg"
            write_square(source / name, colour, rng, 64)
            east = (lon + rng.uniform(-reach, reach) + 180) % 360 - 180
            rows.append((name, lat + rng.uniform(-reach, reach), east, region))
    # A region of a single photograph: its area is the margin around it.
    write_square(source / "alone.jpg", (120, 120, 120), rng, 64)
    rows.append(("alone.jpg", -75.0, -0.5, "alone"))
    with (source / "photos.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "lat", "lon", "region_id"), *rows])
    return source / "photos.csv"


@pytest.fixture(scope="module")
def regions(tmp_path_factory):
    """A dataset with regions of its table, and its run: trained, refined, calibrated and evaluated."""
    folder = tmp_path_factory.mktemp("regions")
    data, run = folder / "data", folder / "run"
    (folder / "source").mkdir()
    table = write_table(folder / "source")
    do_import(ImportConfig(source=table, out=data, class_column="region_id", calibration_share=0.3))
    photos = read_manifest(data)
    photos.loc[photos["label"] == "alone", "split"] = "train"
    from dataset.manifest import write_manifest

    write_manifest(data, photos)
    make_label_maps(LabelMapsConfig(data, run, partition="classes"))
    train_joint(joint_config(data, run, batch_size=16, epochs=8))
    refine(RefineConfig(data, run, workers=0, device="cpu", epochs=40))
    calibrate(CalibrateConfig(data, run, workers=0, device="cpu"))
    evaluate(EvaluateConfig(data=data, run=run, workers=0, device="cpu"))
    return data, run


def test_regions_lie_at_the_spherical_mean_of_their_photographs_and_their_hulls_hold_these(regions):
    data, run = regions
    hierarchy, photos = read_hierarchy(run), read_manifest(data)
    learned = photos[photos["split"] == "train"].reset_index(drop=True)
    assert hierarchy.name == ("17", "3", "alone", "fiji/samoa", "north, far")
    points, classes = truth_of(hierarchy, learned)
    assert [hierarchy.name[k] for k in classes[:, 0]] == learned["label"].tolist()
    np.testing.assert_allclose(hierarchy.center_deg, group_means(points, classes[:, 0], 5), atol=1e-5)
    for k, name in enumerate(hierarchy.name):
        outline, own = hierarchy.partition.outline(k, 0), points[classes[:, 0] == k]
        assert shapely.intersects(outline, shapely.points(own[:, ::-1])).all(), name
        assert -180 <= outline.bounds[0] <= outline.bounds[2] <= 180
    south, west, north, east = hierarchy.bounds_deg[3]
    assert (west > 170, east < -170, south < -16 < north) == (True, True, True)
    assert hierarchy.area_km2[3] < 2e6
    assert 0 < hierarchy.area_km2[2] < 200
    # Where a label is missing, the hull around the coordinates tells the region.
    assert hierarchy.name[hierarchy.classes([[-16.0, -179.0]])[0, 0]] == "fiji/samoa"
    assert (hierarchy.classes(coordinates(photos)) != UNKNOWN).all()


def test_evaluation_is_of_kilometres_and_of_regions(regions):
    _, run = regions
    report = json.loads((run / "evaluation_test.json").read_text())
    assert report["levels"]["class"]["top_1"]["value"] > 0.8
    assert report["answers"]["model"]["median_km"]["value"] < 600 < report["answers"]["chance"]["median_km"]["value"]
    table = pd.read_csv(run / "evaluation_test_classification_report_class.csv", dtype={"class": str}).set_index("name")
    assert 0 < table.loc["fiji/samoa", "median_km_from_center"] < table.loc["fiji/samoa", "p90_km_from_center"] < 1200
    assert abs(abs(table.loc["fiji/samoa", "longitude"]) - 180) < 2


@pytest.mark.parametrize("point", ["top", "mean", "median", "geoscore", "refined"])
def test_every_point_lies_in_or_near_the_region_that_is_answered(regions, tmp_path, point):
    data, run = regions
    hierarchy, photos = read_hierarchy(run), read_manifest(data)
    near = photos[photos["label"] == "fiji/samoa"].iloc[:4]
    model = infer.load(run, "cpu")
    for path in near["path"]:
        found = model.predict(str(data / path), point=point)
        assert found.finest.best.id == "fiji/samoa"
        assert distance_km(found.point, hierarchy.center_deg[3]) < 1500


def test_pages_tables_and_the_report_name_the_region_and_draw_it(regions, tmp_path, capsys):
    data, run = regions
    config = InferConfig(photos=(data,), run=run, out=tmp_path / "out", workers=0, device="cpu", point="mean")
    with_pages(config)
    printed = capsys.readouterr().out
    rows = pd.read_csv(tmp_path / "out" / "predictions.csv", dtype={"class_cell": str})
    assert rows["latitude"].notna().all()
    assert (rows["true_distance_km"] > 0).all()
    assert rows["region_50_km2"].gt(0).all()
    answered = rows[rows["class_cell"] == "fiji/samoa"].iloc[0]
    line = next(line for line in printed.splitlines() if line.startswith("fiji_samoa"))
    assert line.split("  ")[-1].endswith("; class fiji/samoa")
    page = next((tmp_path / "out").glob("fiji_samoa-*.html")).read_text()
    assert "<td>fiji/samoa</td>" in page
    cells = data_of(page)["layers"][-1]["cells"]
    assert any(cell["polygons"] for cell in cells), "outlines, not boxes"
    assert answered["class_set_50"].startswith("fiji/samoa")
    write_report(ReportConfig(run=run, out=tmp_path / "report.html"))
    report = (tmp_path / "report.html").read_text()
    assert "fiji/samoa" in report
    assert "Spread, km" in report
    assert "Confusion matrix" in report
