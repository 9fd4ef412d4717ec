import csv
import shutil
from dataclasses import fields
from pathlib import Path

import pytest

from tests.tiny import joint_config
from train import sweeping
from train.config import JointConfig, SweepConfig


def sweep_config(tiny: Path, run: Path, **changes) -> SweepConfig:
    plain = joint_config(tiny, run, epochs=1)
    kept = {field.name: getattr(plain, field.name) for field in fields(JointConfig)}
    return SweepConfig(**{**kept, "lrs": (1e-3, 1e-2), "weight_decays": (0.01,), **changes})


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "sweep" / "sweep.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_grid_tries_every_pair_once_and_is_not_tried_again(tiny: Path, run: Path, capsys) -> None:
    sweeping.main(sweep_config(tiny, run))
    assert sorted(float(row["lr"]) for row in rows(run)) == [1e-3, 1e-2]
    best_first = [float(row["geoscore"]) for row in rows(run)]
    assert best_first == sorted(best_first, reverse=True)
    assert (run / "sweep" / "sweep.png").read_bytes().startswith(b"\x89PNG")
    written = {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors")}
    sweeping.main(sweep_config(tiny, run))
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors")} == written


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on_where_it_was(tiny: Path, run: Path, monkeypatch) -> None:
    real, calls = sweeping.train_joint, []

    def interrupted_at_the_second(config, trackers):
        calls.append(config.optim.lr)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(config, trackers)

    monkeypatch.setattr(sweeping, "train_joint", interrupted_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        sweeping.main(sweep_config(tiny, run))
    sweeping.main(sweep_config(tiny, run))
    assert len(calls) == 3
    assert calls[2] == calls[1] != calls[0]
    assert len(rows(run)) == 2


@pytest.mark.slow
def test_halving_ends_worse_trials_early_or_at_their_end(tiny: Path, run: Path) -> None:
    sweeping.main(sweep_config(tiny, run, method="halving", trials=3, epochs=2))
    assert len(rows(run)) == 3
    assert {row["state"] for row in rows(run)} <= {"complete", "pruned"}
    assert all(1e-3 <= float(row["lr"]) <= 1e-2 for row in rows(run))


@pytest.mark.slow
def test_the_network_of_one_level_can_be_swept(tiny: Path, run: Path) -> None:
    sweeping.main(sweep_config(tiny, run, level="L3", lrs=(1e-2,)))
    assert list((run / "sweep").glob("*/L3.safetensors"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lrs": (0.0,)}, "--lrs"),
        ({"weight_decays": (-1.0,)}, "--weight-decays"),
        ({"trials": 0}, "--trials"),
        ({"method": "halving", "weight_decays": (0.0, 0.1)}, "logarithmic"),
    ],
)
def test_what_cannot_be_swept_is_refused(changes, words: str, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        sweep_config(tiny, tmp_path, **changes)
