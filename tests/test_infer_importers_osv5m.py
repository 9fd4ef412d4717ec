"""The baseline of OpenStreetView-5M as a run answers the coordinates that the published code answers."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from infer.importers.config import Osv5mConfig
from infer.importers.osv5m import TRANSFORM, main
from infer.model import load_model
from label_maps.run_folder import read_run
from plumbing.config import dispatch
from tests.published import noisy_pixels, osv5m_files

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="the package transformers is not installed"
)
CPU = torch.device("cpu")
MEAN_CELLS = [18] * 6
MEAN_DEG = [
    (53.9635, -4.88754),
    (54.15417, -3.95538),
    (53.77257, -4.51026),
    (53.14835, -5.28063),
    (57.63768, -1.23013),
    (55.54041, -5.08611),
]
"""What the published modules MLPCentroid and HybridHeadCentroid answer for these tensors and pixels."""
MIDDLE_CELLS = [2, 2, 2, 5, 2, 5]
MIDDLE_DEG = [
    (-80.99017, 4.35722),
    (-85.75903, 1.20843),
    (-82.7305, 1.1325),
    (-44.51886, -34.37333),
    (-87.11942, 15.07234),
    (-44.87295, -27.95597),
]
"""Likewise MLP and HybridHead."""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    return osv5m_files(tmp_path_factory.mktemp("osv5m"))


@pytest.fixture(scope="module")
def run(files, tmp_path_factory) -> Path:
    return imported(files, tmp_path_factory.mktemp("run") / "run")


def imported(files, run, **flags):
    weights = flags.pop("weights", files / "model.safetensors")
    main(Osv5mConfig(run=run, weights=weights, quadtree=files / "quadtree.csv", clip=files, **flags))
    return run


def answers(run):
    model = load_model(run, CPU).with_choices(None, "refined")
    output = model.outputs(noisy_pixels())
    posterior = model.posterior(output.logits)
    return model, posterior, model.points(posterior, output)


def test_the_refined_point_is_that_of_the_published_code(run):
    model, posterior, points = answers(run)
    assert [model.hierarchy.name[k] for k in posterior[-1].argmax(dim=1)] == [str(k) for k in MEAN_CELLS]
    np.testing.assert_allclose(points, MEAN_DEG, atol=1e-4)


def test_older_checkpoints_of_one_sequence_of_layers_start_at_the_middle_of_a_box(tmp_path):
    files = osv5m_files(tmp_path / "files", shared=True)
    model, posterior, points = answers(imported(files, tmp_path / "run", start="middle"))
    assert [model.hierarchy.name[k] for k in posterior[-1].argmax(dim=1)] == [str(k) for k in MIDDLE_CELLS]
    np.testing.assert_allclose(points, MIDDLE_DEG, atol=1e-4)


def test_a_training_checkpoint_under_a_prefix_is_the_same_model(files, run, tmp_path):
    state = safetensors.torch.load_file(files / "model.safetensors")
    torch.save({"state_dict": {f"model.{name}": tensor for name, tensor in state.items()}}, tmp_path / "last.ckpt")
    again = imported(files, tmp_path / "run", weights=tmp_path / "last.ckpt")
    np.testing.assert_array_equal(answers(again)[2], answers(run)[2])


def test_the_centre_of_a_cell_is_the_mean_of_its_training_photographs(files, run):
    table = np.loadtxt(files / "quadtree.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(load_model(run, CPU).hierarchy.center_deg, table[:, 5:], atol=1e-6)


def test_pictures_are_fed_as_in_the_published_evaluation(run):
    assert load_model(run, CPU).transform == TRANSFORM
    assert read_run(run)["published"]["licence"].startswith("MIT")


def test_it_predicts_with_its_licence_and_says_why_a_point_lies_outside_its_cell(run, shared_data, tmp_path, capsys):
    from infer.config import InferConfig
    from infer.predict import main as predict

    photographs = tuple(sorted((shared_data / "photos").glob("*/*.jpg"))[:3])
    flags = {"photos": photographs, "run": run, "out": tmp_path, "workers": 0, "device": "cpu", "point": "refined"}
    predict(InferConfig(**flags))
    assert "Licence of the model: MIT (OSV-5M and CLIP)" in capsys.readouterr().out
    for answer in json.loads((tmp_path / "predictions.json").read_text()):
        assert "CVPR 2024" in answer["provenance"]["citation"]
        assert not answer["point_note"] or "the offsets of that cell lead out of it" in answer["point_note"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"weights": None}, "give --weights FILE"),
        ({"weights": Path("nowhere.safetensors")}, "nowhere.safetensors: no such file"),
        ({"clip": None}, "give --clip FOLDER with its config.json"),
    ],
)
def test_what_is_not_here_is_named(files, tmp_path, flags, said):
    given = {"weights": files / "model.safetensors", "quadtree": files / "quadtree.csv", "clip": files}
    with pytest.raises(ValueError, match=said):
        main(Osv5mConfig(run=tmp_path / "run", **{**given, **flags}))


def test_before_calibration_the_run_answers_the_published_point(run):
    model = load_model(run, CPU)
    assert model.point == "refined"
    output = model.outputs(noisy_pixels())
    np.testing.assert_allclose(model.points(model.posterior(output.logits), output), MEAN_DEG, atol=1e-4)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda table: table.drop(columns="mean_lat"), "has no columns mean_lat,mean_lon"),
        (lambda table: table.drop(columns="min_lon"), "has no column min_lon"),
        (lambda table: table.assign(mean_lon="east"), "mean_lat,mean_lon of cell 0 are .*,nan, not inside it"),
        (lambda table: table.assign(mean_lat=90.0), "mean_lat,mean_lon of cell 0 are 90,.*, not inside it"),
        (lambda table: table.iloc[::-1], "has other cluster_id than 0, 1, 2"),
        (lambda table: table.iloc[:-1], "has 60 outputs and --quadtree 19 cells"),
    ],
)
def test_a_damaged_quadtree_takes_one_line_and_exit_code_2(files, tmp_path, capsys, changed, said):
    from infer.__main__ import COMMANDS

    changed(pd.read_csv(files / "quadtree.csv")).to_csv(tmp_path / "quadtree.csv", index=False)
    given = {"run": tmp_path / "run", "weights": files / "model.safetensors", "clip": files}
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    with pytest.raises(SystemExit) as left:
        dispatch("infer", COMMANDS, ["import", "osv5m", *words, "--quadtree", str(tmp_path / "quadtree.csv")])
    assert left.value.code == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert re.search(said, errors[0])
    assert not (tmp_path / "run").exists()


def test_the_clip_of_another_activation_is_named(files, tmp_path, caplog):
    config = json.loads((files / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_act": "quick_gelu"}))
    weights, quadtree = files / "model.safetensors", files / "quadtree.csv"
    main(Osv5mConfig(run=tmp_path / "run", weights=weights, quadtree=quadtree, clip=tmp_path))
    assert "has the activation quick_gelu" in caplog.text


def test_a_quadtree_of_other_cells_is_refused(files, tmp_path):
    lines = (files / "quadtree.csv").read_text().splitlines()
    (tmp_path / "quadtree.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(ValueError, match="has 60 outputs and --quadtree 19 cells"):
        main(
            Osv5mConfig(
                run=tmp_path / "run",
                weights=files / "model.safetensors",
                quadtree=tmp_path / "quadtree.csv",
                clip=files,
            )
        )


def test_weights_of_another_model_are_refused(files, tmp_path):
    safetensors.torch.save_file({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="is not a checkpoint of the hybrid model of OSV-5M"):
        imported(files, tmp_path / "run", weights=tmp_path / "other.safetensors")
