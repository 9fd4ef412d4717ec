"""Runs of every partition: made by the command, trained, calibrated, answered and drawn by the same code."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dataset.manifest import coordinates, read_manifest
from geocells.hierarchy import UNKNOWN
from geocells.partitions import PARTITIONS
from infer.__main__ import predict as answer
from infer.config import InferConfig
from infer.model import load_model
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from label_maps.files import hierarchy_hash, read_hierarchy
from tests.test_geocells_partitions import files  # noqa: F401
from tests.test_viz_maps_prediction import data_of
from tests.tiny import joint_config
from train.tasks import train_joint

ROOT = Path(__file__).parent.parent

FLAGS = {
    "quad_equal_area": {"levels": (1, 4)},
    "adaptive": {"max_images": 8, "max_level": 6},
    "kmeans": {"clusters": (2, 5)},
    "points": {"clusters": (3, 6)},
    "macro": {},
    "admin": {},
    "centroids": {"partition": "admin", "assign": "centroids"},
}


@pytest.fixture(params=list(FLAGS))
def run(request, tiny, tmp_path, files):  # noqa: F811
    """A run of each partition, with label maps only."""
    flags = {"partition": request.param, **FLAGS[request.param]}
    if flags["partition"] == "admin":
        flags |= {"countries": files[0], "regions": files[1]}
    make_label_maps(LabelMapsConfig(tiny, tmp_path / "run", **flags))
    return tmp_path / "run"


def test_a_copied_run_gives_the_same_classes_without_any_other_file(run, tiny, tmp_path):
    shutil.copytree(run, tmp_path / "elsewhere")
    photos = read_manifest(tiny)
    here, there = read_hierarchy(run), read_hierarchy(tmp_path / "elsewhere")
    np.testing.assert_array_equal(here.classes(coordinates(photos)), there.classes(coordinates(photos)))
    assert hierarchy_hash(here) == hierarchy_hash(there) == json.loads((run / "run.json").read_text())["label_map_hash"]
    training = coordinates(photos[photos["split"] == "train"])
    assert (here.classes(training) != UNKNOWN).all()


def test_a_run_says_how_many_clusters_it_chose(tiny, tmp_path):
    make_label_maps(LabelMapsConfig(tiny, tmp_path, partition="kmeans"))
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["label_maps"]["clusters"] == list(read_hierarchy(tmp_path).sizes())


def test_the_hash_knows_how_areas_are_assigned(tiny, tmp_path, files):  # noqa: F811
    make_label_maps(LabelMapsConfig(tiny, tmp_path, partition="admin", countries=files[0]))
    hierarchy = read_hierarchy(tmp_path)
    other = replace(hierarchy, partition=replace(hierarchy.partition, assign="centroids"))
    assert hierarchy_hash(other) != hierarchy_hash(hierarchy)


def test_damaged_or_missing_arrays_are_refused_in_one_line(run):
    path = run / "label_maps" / "partition.npz"
    if not path.is_file():
        return  # the quad grid needs none
    whole = path.read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"garbage"):
        path.write_bytes(damage)
        with pytest.raises(ValueError, match=r"partition\.npz") as refusal:
            read_hierarchy(run)
        assert "\n" not in str(refusal.value)
    path.unlink()
    with pytest.raises(ValueError, match="is not stored"):
        read_hierarchy(run)


def test_label_maps_of_another_partition_leave_nothing_behind(run, tiny):
    make_label_maps(LabelMapsConfig(tiny, run, levels=(1, 3)))
    names = {path.name for path in (run / "label_maps").iterdir()}
    assert names == {"label_map_L1.json", "label_map_L3.json", "l1_to_l3.json"}


@pytest.mark.slow
def test_every_partition_is_trained_answered_and_drawn(run, tiny, tmp_path):
    train_joint(joint_config(tiny, run, epochs=1))
    model = load_model(run, torch.device("cpu"))
    posterior = model.posterior(model.logits(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)))
    for level in posterior:
        np.testing.assert_allclose(level.exp().sum(dim=1), 1, atol=1e-5)
    answer(InferConfig(photos=(tiny,), run=run, out=tmp_path / "out", limit=2, workers=0, device="cpu"))
    drawn = [path for path in (tmp_path / "out").glob("*.html") if path.name != "index.html"]
    assert len(drawn) == 2
    has_outlines = model.hierarchy.partition.outline(int(model.hierarchy.key[0]), 0) is not None
    layers = [data_of(page.read_text())["layers"][0] for page in drawn]
    assert [bool(layer["outlines"]) for layer in layers] == [has_outlines] * 2


def test_admin_says_on_how_many_photographs_polygons_and_middles_differ(tiny, tmp_path, files, capsys):  # noqa: F811
    make_label_maps(LabelMapsConfig(tiny, tmp_path, partition="admin", countries=files[0], regions=files[1]))
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith(
        "the area of a photograph is the one that holds it (--assign polygons); if it were the one with "
    )
    assert re.search(r"of 36 with coordinates [\d.]+% another country and [\d.]+% another region$", said)


def test_admin_needs_no_file_for_countries_and_says_how_rough_they_are(tiny, tmp_path, capsys):
    make_label_maps(LabelMapsConfig(tiny, tmp_path, partition="admin"))
    hierarchy = read_hierarchy(tmp_path)
    assert hierarchy.level_names == ("country",)
    assert set(hierarchy.name) == {"FR", "KE", "AU", "US", "PE", "FJ"}
    assert "borders are off by up to 78 km" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"clusters": (4, 8)}, "--clusters 4 8 has no effect without --partition kmeans"),
        (
            {"partition": "kmeans", "clusters": ()},
            "--clusters are numbers, coarse to fine, such as 50 500 5000; got nothing",
        ),
        ({"partition": "kmeans", "clusters": (8, 4)}, "got 8 4"),
        ({"partition": "kmeans", "clusters": (2, 3)}, "the finest level has at least 4"),
        (
            {"partition": "kmeans", "clusters": (4,), "levels": (1,)},
            "--levels 1 has no effect without --partition quad or",
        ),
        ({"partition": "admin", "regions": "x.zip"}, "--regions x.zip has no effect without --countries"),
        ({"partition": "macro", "max_images": 3}, "--max-images 3 has no effect without --partition adaptive"),
        ({"partition": "adaptive", "max_images": 0}, "--max-images must be 1 or more"),
        ({"partition": "adaptive", "max_level": 17}, "--max-level is 1 to 16"),
        ({"partition": "adaptive", "max_level": 4, "cells": "x.csv"}, "--max-level 4 has no effect with --cells x.csv"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(tmp_path, flags, complaint):
    with pytest.raises(ValueError, match=complaint):
        LabelMapsConfig(tmp_path, tmp_path, **flags)


def test_a_partition_that_does_not_exist_is_refused_with_those_that_do(tmp_path):
    known = "quad, quad_equal_area, adaptive, admin, kmeans, points, macro"
    with pytest.raises(ValueError, match=f"there is no partition 'hexagons'; there are: {known}"):
        LabelMapsConfig(tmp_path, tmp_path, partition="hexagons")


@pytest.mark.parametrize(
    ("asked", "meant"), [("countries", "admin"), ("country", "admin"), ("Admin", "admin"), ("kmean", "kmeans")]
)
def test_a_partition_by_another_name_is_asked_about(tmp_path, asked, meant):
    with pytest.raises(ValueError, match=rf"there is no partition '{asked}'; there are: .*; did you mean {meant}\?$"):
        LabelMapsConfig(tmp_path, tmp_path, partition=asked)


def test_every_flag_of_a_partition_is_one_of_the_command():
    names = {field.name for field in fields(LabelMapsConfig)}
    assert {flag for entry in PARTITIONS.values() for flag in entry.flags} <= names


def test_the_registry_is_read_without_numpy():
    code = "import sys, geocells.partitions, label_maps.config; print({'numpy', 'shapely', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
