"""A loss added as docs/extending.md says: a class and a row; then two steps with it."""

import json
import shutil
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from plumbing.config import parse
from plumbing.registry import Entry
from tests.tiny import joint_config
from train.config import LevelConfig
from train.losses import CrossEntropy
from train.registry import LOSSES
from train.tasks import train_joint


class Poly1(CrossEntropy):
    """Poly-1 (Leng et al. 2022): cross-entropy plus 1 - p."""

    def cost(self, log_probability: Tensor) -> Tensor:
        return 1 - log_probability.exp() - log_probability


POLY1 = Entry("tests.test_extending_loss:Poly1", "cross-entropy plus 1 - p", flags=("label_smoothing",))


@pytest.fixture
def poly1() -> Iterator[str]:
    LOSSES.register("poly1", POLY1)
    yield "poly1"
    LOSSES.forget("poly1")


def losses(run) -> list[float]:
    return [json.loads(line)["val/loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_loss_that_is_added_trains_and_costs_what_it_says(poly1, tiny, tiny_run, tmp_path):
    for loss in ("cross_entropy", poly1):
        run = tmp_path / loss
        shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("checkpoints", "joint*", "metrics*"))
        train_joint(joint_config(tiny, run, loss=loss, epochs=1, batch_size=18))
        assert (run / "joint.safetensors").is_file()
    # Its targets are those of cross-entropy, and what it adds lies between 0 and 1.
    assert 0 < losses(tmp_path / poly1)[0] - losses(tmp_path / "cross_entropy")[0] + 0.5 < 2
    assert Poly1(()).cost(torch.tensor([[0.25]]).log()).item() == pytest.approx(0.75 + 1.3862944)


def test_a_loss_that_is_added_is_a_value_of_loss_and_takes_its_own_flags_alone(poly1):
    argv = ["--data", "d", "--run", "r", "--level", "L3", "--loss", poly1]
    assert parse(LevelConfig, "x", [*argv, "--label-smoothing", "0.1"]).label_smoothing == 0.1
    with pytest.raises(ValueError, match="--tau-km 75 has no effect without --loss haversine"):
        parse(LevelConfig, "x", [*argv, "--tau-km", "75"])
    LOSSES.forget(poly1)
    with pytest.raises(ValueError, match="there is no loss 'poly1'; there are: cross_entropy, focal, haversine"):
        parse(LevelConfig, "x", argv)
    LOSSES.register(poly1, POLY1)
