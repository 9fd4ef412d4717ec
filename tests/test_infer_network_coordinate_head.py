"""Networks that answer a coordinate: their point, what it says of cells, and how a run of one alone is asked."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from haversine import haversine_vector
from hypothesis import given
from hypothesis import strategies as st

from geocells.sphere import distance_km, latlon_deg, unit_vectors
from infer.config import EvaluateConfig, InferConfig
from infer.decode.point import REGRESSED
from infer.evaluate.run import main as evaluate
from infer.model import load_model
from infer.network.coordinate_head import CoordinateSpec, point_logits
from infer.network.output import NetworkOutput
from infer.network.sphere import latlon_deg_of, vectors_of
from infer.network.weights import load_network
from infer.predict import main as infer
from label_maps.files import read_hierarchy
from tests.tiny import joint_config
from train.calibrate import main as calibrate
from train.config import AugmentConfig, CalibrateConfig, OptimConfig, RegressConfig
from train.tasks import train_joint, train_regress

CPU = torch.device("cpu")


def some_places(seed, n=20):
    return latlon_deg(np.random.default_rng(seed).standard_normal((n, 3)))


@given(st.integers(0, 100))
def test_vectors_and_degrees_are_those_of_geocells(seed):
    places = some_places(seed)
    vectors = vectors_of(torch.from_numpy(places))
    np.testing.assert_allclose(vectors, unit_vectors(places), atol=1e-12)
    assert distance_km(latlon_deg_of(3 * vectors).numpy(), places).max() < 1e-6


@given(st.integers(0, 100))
def test_a_vector_head_is_read_by_its_direction_and_a_standardised_one_by_mean_and_deviation(seed):
    places = some_places(seed)
    vector = CoordinateSpec("vector").vectors(2.5 * torch.from_numpy(unit_vectors(places)))
    assert distance_km(latlon_deg_of(vector).numpy(), places).max() < 1e-6
    spec = CoordinateSpec("standardised", (20.0, 30.0), (15.0, 60.0))
    numbers = (torch.from_numpy(places) - torch.tensor([20.0, 30.0])) / torch.tensor([15.0, 60.0])
    assert distance_km(latlon_deg_of(spec.vectors(numbers)).numpy(), places).max() < 1e-6
    torch.testing.assert_close(spec.standardised(torch.from_numpy(places)), numbers)


def test_a_standardised_answer_beyond_a_pole_is_the_pole():
    point = CoordinateSpec("standardised", (60.0, 0.0), (20.0, 90.0)).vectors(torch.tensor([[5.0, 1.0]]))
    assert float(latlon_deg_of(point)[0, 0]) == pytest.approx(90, abs=1e-3)


def test_logits_of_a_point_fall_by_one_each_thousand_kilometres():
    places, centers = some_places(1, 5), some_places(2, 7)
    point, cells = (torch.from_numpy(unit_vectors(p)).float() for p in (places, centers))
    (logits,) = point_logits(point, (cells,))
    independent = haversine_vector(places.tolist(), centers.tolist(), comb=True).T
    np.testing.assert_allclose(logits.numpy(), -independent / 1000, rtol=1e-5, atol=1e-4)


def test_photographs_are_seen_alike_together_and_apart():
    seen = NetworkOutput([torch.randn(5, 3), torch.randn(5, 4)], torch.randn(5, 3), torch.randn(5, 2))
    again = NetworkOutput.joined([seen.rows(slice(0, 2)), seen.rows(slice(2, 5))])
    for one, other in zip(
        [*seen.logits, seen.features, seen.regressed], [*again.logits, again.features, again.regressed], strict=True
    ):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(seen.one_place().regressed[0], seen.regressed.mean(dim=0))
    assert NetworkOutput.joined([NetworkOutput(seen.logits, None, seen.features)]).regressed is None


@pytest.fixture(scope="module", params=["vector", "standardised"])
def regress_run(request, tiny, tiny_run, tmp_path_factory):
    """A run whose only network answers a coordinate."""
    run = tmp_path_factory.mktemp("regress") / "run"
    shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("checkpoints", "joint*", "metrics*"))
    still = AugmentConfig(flip=0, color_jitter=0, rotation_deg=0)
    optim = OptimConfig("adamw", lr=0.01, schedule="one_cycle")
    flags = {"arch": "shufflenet_v2_x0_5", "weights": "none", "image_size": 32, "epochs": 15, "batch_size": 9}
    flags |= {"workers": 0, "device": "cpu", "precision": "float32", "cache_pixels": True}
    train_regress(RegressConfig(tiny, run, **flags, optim=optim, augment=still, kind=request.param))
    return run


def test_a_run_of_a_coordinate_alone_answers_the_levels_by_how_far_their_cells_are(regress_run, tiny):
    model = load_model(regress_run, CPU)
    pixels = torch.stack([model.transform.pixels(path) for path in sorted(tiny.glob("images/**/*.jpg"))[:6]])
    seen = model.outputs(pixels)
    points = model.with_choices(None, REGRESSED).points(model.posterior(seen.logits), seen)
    hierarchy = read_hierarchy(regress_run)
    for level, logits in enumerate(seen.logits):
        centers = hierarchy.center_deg[hierarchy.rows(level)]
        np.testing.assert_allclose(logits, -distance_km(points[:, None], centers[None]) / 1000, rtol=1e-3, atol=1e-2)
    posterior = model.posterior(seen.logits)
    assert [float(level.exp().sum()) for level in posterior] == pytest.approx([6.0] * 4, rel=1e-4)


def test_a_run_of_a_coordinate_alone_is_calibrated_measured_and_asked_like_any_other(
    regress_run, tiny, tmp_path, capsys
):
    run = shutil.copytree(regress_run, tmp_path / "run")
    calibrate(CalibrateConfig(tiny, run, workers=0, device="cpu"))
    record = json.loads((run / "temperatures.json").read_text())
    assert set(record["geoscore"]["product"]) == {"top", "mean", "median", "geoscore", "regressed"}
    assert record["nll"]["product"]["after"] < record["nll"]["product"]["before"]
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "regressed"
    common = {"workers": 0, "device": "cpu"}
    evaluate(EvaluateConfig(data=tiny, run=run, point="regressed", out=tmp_path / "e.json", **common))
    report = json.loads((tmp_path / "e.json").read_text())
    # Of twelve photographs chance hits three by luck, which is what a score rewards.
    answers = report["answers"]
    assert answers["model"]["median_km"]["value"] < answers["chance"]["median_km"]["value"]
    asked = {"photos": (tiny,), "run": run, "point": "regressed", **common}
    infer(InferConfig(out=tmp_path / "one", **asked))
    infer(InferConfig(out=tmp_path / "many", bulk=True, **asked))
    records = json.loads((tmp_path / "one" / "predictions.json").read_text())
    assert len(records) == 12
    assert all(len(one["levels"]) == 4 and one["regions"] and (one["point_method"] == "regressed") for one in records)
    table = pd.read_parquet(tmp_path / "many")
    assert [one["longitude"] for one in records] == pytest.approx(list(table["longitude"]), abs=1e-4)


def test_what_is_known_of_the_place_cannot_bind_a_regressed_coordinate(regress_run):
    model = load_model(regress_run, CPU).with_choices(None, "regressed")
    assert model.with_choices(None, None, bounded=True).point == "geoscore"
    with pytest.raises(ValueError, match="--point regressed cannot be held to --within and --exclude"):
        model.with_choices(None, "regressed", bounded=True)


def test_asking_for_regressed_where_no_network_answers_a_coordinate_is_refused(tiny_run):
    with pytest.raises(
        ValueError, match=r"--point regressed: run has no network that answers a coordinate: .* top, mean"
    ):
        load_model(tiny_run, CPU).with_choices(None, "regressed")


def test_networks_of_levels_answer_before_one_of_a_coordinate(regress_run, tiny_run, tmp_path):
    run = shutil.copytree(regress_run, tmp_path / "run")
    shutil.copy(tiny_run / "joint.safetensors", run)
    model = load_model(run, CPU)
    assert model.hash == load_model(tiny_run, CPU).hash
    assert model.point_methods == ("top", "mean", "median", "geoscore")


def test_a_joint_network_may_answer_a_coordinate_beside_the_levels(tiny, tiny_run, tmp_path):
    run = shutil.copytree(
        tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints", "joint*", "metrics*")
    )
    still = AugmentConfig(flip=0, color_jitter=0, rotation_deg=0)
    flags = {"coordinate_weight": 5.0, "loss": "focal", "augment": still, "cache_pixels": True}
    train_joint(joint_config(tiny, run, epochs=20, **flags))
    network, spec = load_network(run / "joint.safetensors")
    assert list(spec.outputs) == ["L1", "L3", "L5", "L8", "coordinates"]
    assert network.heads["coordinates"].out_features == 3
    model = load_model(run, CPU)
    assert model.point_methods[-1] == "regressed"
    evaluate(EvaluateConfig(data=tiny, run=run, point="regressed", workers=0, device="cpu"))
    report = json.loads((run / "evaluation_test.json").read_text())
    assert report["answers"]["model"]["geoscore"]["value"] > report["answers"]["chance"]["geoscore"]["value"]


def test_without_weight_there_is_no_coordinate_head(tiny_run):
    assert "coordinates" not in load_network(tiny_run / "joint.safetensors")[0].heads


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"coordinate_weight": -1.0}, "--coordinate-weight must not be negative, got -1"),
        (
            {"coordinate_weight": 1.0, "augment": AugmentConfig(mixup=0.5)},
            r"--augment\.cutmix and --augment\.mixup mix",
        ),
    ],
)
def test_coordinates_that_cannot_be_learned_are_refused(tmp_path, flags, complaint):
    with pytest.raises(ValueError, match=complaint):
        joint_config(tmp_path, tmp_path, **flags)
