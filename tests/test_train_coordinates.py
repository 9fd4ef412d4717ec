import numpy as np
import pytest
import torch
from haversine import Unit, haversine_vector
from hypothesis import given
from hypothesis import strategies as st

from geocells.sphere import distance_km, unit_vectors
from infer.decode.posterior import Tree
from infer.network.coordinate_head import CoordinateSpec
from train.config import AugmentConfig, RegressConfig
from train.coordinates import BothObjectives, CoordinateObjective, great_circle_rad
from train.losses import CrossEntropy, Objective, Targets
from train.tasks import train_regress


def objective(
    kind: str, loss: str, mean: tuple[float, float] = (0, 0), std: tuple[float, float] = (1, 1)
) -> CoordinateObjective:
    return CoordinateObjective(CoordinateSpec(kind, mean, std), loss)


def targets(places: np.ndarray) -> Targets:
    return Targets(torch.zeros(len(places), 0, dtype=torch.long), torch.from_numpy(unit_vectors(places)).float())


def some_places(seed: int, n: int = 20) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)], axis=1)


@given(st.integers(0, 100))
def test_great_circle_loss_agrees_with_the_haversine_package(seed: int) -> None:
    places, answers = some_places(seed), some_places(seed + 1000)
    loss = objective("vector", "great_circle")([torch.from_numpy(unit_vectors(answers)).float() * 3], targets(places))
    independent = haversine_vector(answers.tolist(), places.tolist(), Unit.RADIANS)
    assert float(loss) == pytest.approx(np.mean(np.square(independent)), rel=1e-4)


@given(st.integers(0, 100), st.sampled_from(["mse", "smooth_l1", "great_circle"]))
def test_the_truth_costs_next_to_nothing_and_anything_else_more(seed: int, loss: str) -> None:
    places = some_places(seed)
    truth = torch.from_numpy(unit_vectors(places)).float()
    right = objective("vector", loss)([truth], targets(places))
    wrong = objective("vector", loss)([truth.flip(0)], targets(places))
    assert float(right) < 1e-6 < float(wrong)


def test_mse_of_vectors_is_a_third_of_the_squared_chord() -> None:
    places = np.array([[0.0, 0.0]])
    answer = torch.tensor([[0.0, 2.0, 0.0]])
    assert float(objective("vector", "mse")([answer], targets(places))) == pytest.approx(2 / 3)


def test_standardised_mse_is_half_latitude_and_half_longitude() -> None:
    places = np.array([[10.0, 20.0]])
    wanted = torch.tensor([[0.0, 0.0]])
    loss = objective("standardised", "mse", (4.0, 0.0), (2.0, 10.0))([wanted], targets(places))
    assert float(loss) == pytest.approx(0.5 * 3.0**2 + 0.5 * 2.0**2, rel=1e-5)


@given(st.integers(0, 100))
def test_standardised_coordinates_are_read_back_as_they_were_written(seed: int) -> None:
    places = some_places(seed)
    mean, std = (20.0, 30.0), (15.0, 60.0)
    output = (torch.from_numpy(places).float() - torch.tensor(mean)) / torch.tensor(std)
    answered = objective("standardised", "mse", mean, std).points_deg([output]).numpy()
    assert distance_km(answered, places).max() < 0.05


def test_the_gradient_is_finite_at_the_truth_and_at_its_antipode() -> None:
    here = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], requires_grad=True)
    there = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    great_circle_rad(here, there).square().sum().backward()
    assert torch.isfinite(here.grad).all()


@pytest.mark.parametrize(
    ("kind", "loss"),
    [("vector", "mse"), ("vector", "great_circle"), ("standardised", "smooth_l1"), ("standardised", "great_circle")],
)
def test_every_kind_of_regression_trains_and_says_how_far_it_is_off(
    kind: str, loss: str, tiny, tiny_run, tmp_path
) -> None:
    import json
    import shutil

    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (run / "metrics.jsonl").unlink()
    train_regress(
        RegressConfig(
            tiny,
            run,
            "shufflenet_v2_x0_5",
            "none",
            image_size=32,
            epochs=1,
            batch_size=9,
            workers=0,
            device="cpu",
            precision="float32",
            kind=kind,
            coordinate_loss=loss,
        )
    )
    assert (run / "regress.safetensors").is_file()
    metrics = json.loads((run / "metrics.jsonl").read_text())
    assert 0 < metrics["val/median_km"] < 20_100


def test_mixing_pictures_is_refused_since_there_is_no_place_between_two(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"--augment\.cutmix"):
        RegressConfig(tmp_path, tmp_path, augment=AugmentConfig(cutmix=1.0))


def test_the_loss_of_a_coordinate_is_added_to_that_of_classes_with_its_weight() -> None:
    places = some_places(1, 4)
    classes = torch.tensor([[0], [1], [2], [1]])
    truth = Targets(classes, torch.from_numpy(unit_vectors(places)).float())
    logits, answer = torch.randn(4, 3), torch.randn(4, 3)
    own = Objective(Tree((), (3,)), (torch.eye(3),), CrossEntropy((torch.eye(3),)), "levels", (1.0,))
    beside = objective("vector", "great_circle")
    both = BothObjectives(own, beside, 0.25)
    expected = torch.nn.functional.cross_entropy(logits, classes[:, 0]) + 0.25 * beside([answer], truth)
    assert float(both([logits, answer], truth)) == pytest.approx(float(expected), rel=1e-5)
    assert torch.equal(both.points_deg([logits, answer]), own.points_deg([logits]))
    assert np.array_equal(both.ranks([logits, answer], classes.numpy()), own.ranks([logits], classes.numpy()))
