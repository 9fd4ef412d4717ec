"""What version 0.1.0 made is read: a run, a dataset, and answers of 50 demo photographs to compare with."""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

import infer
from dataset.manifest import read_manifest
from fetch.sources.config import ImportConfig
from fetch.sources.imports import run as import_table
from infer.config import EvaluateConfig
from infer.decode.conformal import read_conformal
from infer.evaluate.run import main as evaluate
from infer.images import Images, network_outputs
from infer.model import Model, load_model
from infer.network.output import NetworkOutput
from infer.prepared import Options
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig

DATA = Path(__file__).parent / "data"
CPU = torch.device("cpu")
FUSIONS = {"chain": "chain", "product": "product", "seed": "greedy"}
"""Their names in 0.1.0 and now."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run and a dataset as 0.1.0 made them."""
    folder = tmp_path_factory.mktemp("version_0_1_0")
    for name in ("run", "dataset"):
        with tarfile.open(DATA / f"{name}_0_1_0.tar.xz") as archive:
            archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(DATA / "golden_0_1_0.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def model(made) -> Model:
    return load_model(made / "era_run", CPU)


@pytest.fixture(scope="module")
def photos(made, golden) -> list[Path]:
    by_name = {path.name: path for path in (made / "era_data" / "images").rglob("*.jpg")}
    return [by_name[name] for name in golden["names"]]


def output_of(golden: dict[str, np.ndarray], model: Model) -> NetworkOutput:
    logits = [torch.from_numpy(golden[f"logits_{level}"]) for level in model.hierarchy.level_names]
    return NetworkOutput(logits, None, torch.zeros(len(logits[0]), 1))


def test_the_network_says_of_the_photographs_what_it_said(model, photos, golden):
    found = NetworkOutput.joined([output for _, output in network_outputs(model, Images(photos), 10, 0, refuse=True)])
    for level, logits in zip(model.hierarchy.level_names, found.logits, strict=True):
        # Processors add up in different orders.
        np.testing.assert_allclose(logits.numpy(), golden[f"logits_{level}"], atol=2e-3)


@pytest.mark.parametrize("old", FUSIONS)
def test_posteriors_equal_those_of_before_to_a_millionth(model, golden, old):
    chosen = model.with_choices(FUSIONS[old], None)
    for level, posterior in zip(
        model.hierarchy.level_names, chosen.posterior(output_of(golden, model).logits), strict=True
    ):
        np.testing.assert_allclose(posterior.exp().numpy(), np.exp(golden[f"{old}_{level}"]), atol=1e-6)


@pytest.mark.parametrize("old", FUSIONS)
@pytest.mark.parametrize("point", ["top", "mean", "median", "geoscore"])
def test_points_equal_those_of_before_to_a_millionth_of_a_degree(model, golden, old, point):
    chosen = model.with_choices(FUSIONS[old], point)
    points = chosen.points(chosen.posterior(output_of(golden, model).logits))
    np.testing.assert_allclose(points, golden[f"{old}_{point}"], atol=1e-6)


def test_regions_and_confidence_equal_those_of_before(made, model, golden):
    predictor = infer.Predictor(made / "era_run", model)
    prepared = predictor.prepared(Options(coverage=(0.5, 0.9)))
    answered = prepared.answer(output_of(golden, model))
    areas = [[region["area_km2"] for region in regions] for regions in answered.regions]
    np.testing.assert_allclose(areas, golden["region_area_km2"], rtol=1e-6)
    np.testing.assert_allclose(prepared.confidence(answered.posterior), golden["confidence"], atol=1e-6)


def test_a_guarantee_that_an_older_calibration_gave_is_approximate(made, model):
    conformal = read_conformal(made / "era_run", model.hash, model.fusion)
    assert "approximate" in conformal.guarantee


def test_a_run_of_before_predicts(made, photos):
    prediction = infer.load(made / "era_run", "cpu").predict(photos[0])
    assert infer.Prediction.from_dict(json.loads(json.dumps(prediction.to_dict()))) == prediction
    assert prediction.confidence is not None
    assert any("demo planet" in warning for warning in prediction.warnings)


def test_a_run_of_before_is_evaluated_on_a_dataset_of_before(made, tmp_path, capsys):
    run = shutil.copytree(made / "era_run", tmp_path / "run")
    evaluate(EvaluateConfig(data=made / "era_data", run=run, split="test", workers=0, device="cpu"))
    assert "GeoScore" in capsys.readouterr().out


def test_label_maps_are_built_from_a_dataset_of_before(made, tmp_path):
    make_label_maps(LabelMapsConfig(made / "era_data", tmp_path / "run"))
    assert (tmp_path / "run" / "label_maps" / "label_map_L3.json").is_file()


def test_a_dataset_of_before_is_imported_by_its_manifest(made, tmp_path):
    given = made / "era_data" / "manifest.parquet"
    import_table(ImportConfig(source=given, out=tmp_path / "again"))
    before, after = read_manifest(made / "era_data"), read_manifest(tmp_path / "again")
    assert set(after["id"]) <= set(before["id"])
    assert len(after) >= 0.9 * len(before)
