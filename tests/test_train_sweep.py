import csv
import math
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest

from plumbing.config import parse
from plumbing.files import read_json
from tests.tiny import joint_config, update_run
from train import sweep as sweeping
from train.chance import chance_loss
from train.config import JointConfig, LevelConfig
from train.parts_config import AugmentConfig, OptimConfig
from train.sweep_config import GridConfig, SweepConfig
from train.sweep_results import CHANCE, DIVERGED, Judgement, Trial, measured, named, ranked
from train.sweep_results import rows as as_rows

RECIPES = Path(__file__).parent.parent / "train" / "recipes"
FROZEN = {
    "freeze_trunk": True,
    "readout_epochs": 12,
    "augment": AugmentConfig(flip=0.0, rotation_deg=0.0, crop_scale=0.7),
    "optim": OptimConfig("adamw", trunk_lr_factor=0.1),
}
"""A joint training with a frozen trunk, all else as by default."""


def sweep_config(tiny: Path, run: Path, level: str | None = None, **changes) -> SweepConfig:
    of_grid = {field.name for field in fields(GridConfig)}
    grid = {name: changes.pop(name) for name in list(changes) if name in of_grid}
    training: JointConfig | LevelConfig = joint_config(tiny, run, **{"epochs": 1, **changes})
    if level is not None:
        plain = {field.name: getattr(training, field.name) for field in fields(LevelConfig) if field.name != "level"}
        training = LevelConfig(**plain, level=level)
    return SweepConfig(training, GridConfig(**{"lrs": (1e-3, 1e-2), "weight_decays": (0.01,), **grid}))


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture
def begun(tiny: Path, run: Path, monkeypatch) -> Path:
    """A run whose sweep of a grid was interrupted at the end of its first training."""
    real = sweeping.train_joint

    def interrupted_at_the_end(config, trackers):
        real(config, trackers)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sweeping, "train_joint", interrupted_at_the_end)
        with pytest.raises(KeyboardInterrupt):
            sweeping.main(sweep_config(tiny, run))
    return run


def rows(run: Path, sweep: str = "joint/grid") -> list[dict[str, str]]:
    with (run / "sweep" / sweep / "sweep.csv").open() as file:
        return list(csv.DictReader(file))


def pairs(run: Path, sweep: str = "joint/halving") -> list[tuple[str, str]]:
    return sorted((row["lr"], row["weight_decay"]) for row in rows(run, sweep))


def networks(run: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors")}


@pytest.mark.slow
def test_a_grid_tries_every_pair_once_and_is_not_tried_again(tiny: Path, run: Path) -> None:
    sweeping.main(sweep_config(tiny, run, lrs=(1e-3, 1e-2, 1e-2)))
    assert sorted(float(row["lr"]) for row in rows(run)) == [1e-3, 1e-2]
    best_first = [float(row["val/loss"]) for row in rows(run)]
    assert best_first == sorted(best_first)
    assert (run / "sweep" / "joint" / "grid" / "sweep.png").read_bytes().startswith(b"\x89PNG")
    written = networks(run)
    sweeping.main(sweep_config(tiny, run, workers=1))
    assert networks(run) == written


@pytest.mark.slow
def test_each_pair_is_trained_with_and_without_random_changes_where_both_are_asked_for(tiny: Path, run: Path) -> None:
    sweeping.main(sweep_config(tiny, run, lrs=(1e-2,)))
    before = networks(run)
    sweeping.main(sweep_config(tiny, run, lrs=(1e-2,), augmented="both"))
    assert networks(run).items() > before.items()
    assert sorted(row["augmented"] for row in rows(run)) == ["False", "True"]
    begun = [read_json(path) for path in run.glob("sweep/joint/grid/*/checkpoints/joint.json")]
    assert sorted(about["augment"]["crop_scale"] for about in begun) == [0.8, 1.0]
    assert {about["augment"]["flip"] for about in begun} == {0.0, 0.5}


@pytest.mark.slow
def test_the_table_has_every_metric_of_the_epoch_by_which_a_training_is_ranked(tiny: Path, run: Path) -> None:
    sweeping.main(sweep_config(tiny, run, lrs=(1e-2, 1e-3), epochs=3, keep="accuracy", level="L3"))
    found = rows(run, "L3/grid")
    assert [row["rank"] for row in found] == ["1", "2"]
    assert float(found[0]["val/L3_top1"]) >= float(found[1]["val/L3_top1"])
    for row in found:
        epochs = measured(run / "sweep" / "L3" / "grid" / f"lr{float(row['lr'])!r}_wd0.01")
        best = max(line["val/L3_top1"] for line in epochs)
        line = next(line for line in epochs if line["val/L3_top1"] == best)
        assert int(row["best_epoch"]) == line["epoch"]
        figures = {name: value for name, value in line.items() if "/" in name}
        assert {name: float(row[name]) for name in figures} == figures


def trial(lr: float, state: str, *losses: float) -> Trial:
    return Trial(lr, 0.1, True, state, [{"epoch": n, "step": n, "val/loss": loss} for n, loss in enumerate(losses, 1)])


def test_those_that_have_not_learned_rank_last_and_are_named() -> None:
    tried = [
        trial(1.0, DIVERGED, 0.5),
        trial(0.1, "complete", 9.0, 2.5),
        trial(0.01, "complete", 2.0, 1.5, 1.8),
        trial(0.001, "pruned", 1.9),
        trial(0.002, "complete", float("nan"), 1.7),
    ]
    judgement = Judgement.of("loss", "L3")
    found = ranked([named(each, chance=2.3) for each in tried], judgement)
    assert [each.lr for each in found] == [0.01, 0.002, 0.001, 0.1, 1.0]
    assert [each.state for each in found] == ["complete", "complete", "pruned", CHANCE, DIVERGED]
    assert [row["best_epoch"] for row in as_rows(found, judgement)] == [2, 2, 1, 2, ""]


def test_a_network_that_gives_all_classes_alike_loses_what_chance_loses(tiny: Path, tiny_run: Path) -> None:
    assert chance_loss(parse(LevelConfig, "x", ["--data", str(tiny), "--run", str(tiny_run), "--level", "L8"])) == (
        pytest.approx(math.log(6))
    )


@pytest.mark.slow
def test_sweeps_of_the_joint_network_and_of_a_level_lie_apart(tiny: Path, run: Path) -> None:
    sweeping.main(sweep_config(tiny, run, lrs=(1e-2,)))
    sweeping.main(sweep_config(tiny, run, lrs=(1e-2,), level="L3"))
    sweeping.main(sweep_config(tiny, run, lrs=(1e-2,), level="L3", method="halving", trials=1))
    found = {(*path.relative_to(run / "sweep").parts[:2], path.name) for path in run.glob("sweep/*/*/*/*.safetensors")}
    assert found == {
        ("joint", "grid", "joint.safetensors"),
        ("L3", "grid", "L3.safetensors"),
        ("L3", "halving", "L3.safetensors"),
    }


@pytest.mark.slow
def test_rates_that_look_alike_are_trained_each(tiny: Path, run: Path) -> None:
    sweeping.main(sweep_config(tiny, run, lrs=(1e-2, 1.0001e-2)))
    assert len(list(run.glob("sweep/joint/grid/*/joint.safetensors"))) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 2}, "epochs was 1, is 2"),
        ({"optim": OptimConfig("sgd", lr=0.01, schedule="one_cycle")}, "optim.name was adamw, is sgd"),
        ({"lrs": (1e-3, 1e-2, 1e-1)}, r"lrs was \[0.001, 0.01\], is \[0.001, 0.01, 0.1\].*--overwrite"),
        ({"weight_decays": (0.1,)}, r"weight_decays was \[0.01\], is \[0.1\].*--overwrite"),
    ],
)
def test_a_sweep_is_not_continued_with_other_settings(changes, words: str, tiny: Path, begun: Path) -> None:
    with pytest.raises(ValueError, match=words) as refusal:
        sweeping.main(sweep_config(tiny, begun, **changes))
    assert "\n" not in str(refusal.value)


@pytest.mark.slow
def test_a_sweep_is_not_continued_with_other_label_maps(tiny: Path, begun: Path) -> None:
    update_run(begun, label_map_hash="other")
    with pytest.raises(ValueError, match="label_map_hash was"):
        sweeping.main(sweep_config(tiny, begun))


@pytest.mark.slow
def test_overwrite_begins_this_sweep_again_and_no_other(tiny: Path, begun: Path) -> None:
    left = begun / "sweep" / "joint" / "grid" / "left"
    beside = begun / "sweep" / "joint" / "halving" / "left"
    for folder in (left, beside):
        folder.mkdir(parents=True)
    sweeping.main(sweep_config(tiny, begun, lrs=(1e-1,), overwrite=True))
    assert [float(row["lr"]) for row in rows(begun)] == [1e-1]
    assert beside.is_dir()
    assert not left.exists()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["grid", "halving"])
def test_an_interrupted_sweep_goes_on_where_it_was(method: str, tiny: Path, run: Path, monkeypatch) -> None:
    trials = {"trials": 2} if method == "halving" else {}
    real, calls = sweeping.train_joint, []

    def interrupted_at_the_second(config, trackers):
        calls.append(config.optim.lr)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(config, trackers)

    monkeypatch.setattr(sweeping, "train_joint", interrupted_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        sweeping.main(sweep_config(tiny, run, method=method, **trials))
    sweeping.main(sweep_config(tiny, run, method=method, **trials))
    assert len(calls) == 3
    assert calls[2] == calls[1] != calls[0]
    assert len(rows(run, f"joint/{method}")) == 2


@pytest.mark.slow
def test_a_training_that_was_interrupted_at_its_end_keeps_its_figure(tiny: Path, begun: Path) -> None:
    written = networks(begun)
    sweeping.main(sweep_config(tiny, begun))
    assert networks(begun).items() > written.items()
    assert {row["state"] for row in rows(begun)} <= {"complete", CHANCE}
    assert all(float(row["val/geoscore"]) > 0 and int(row["steps"]) > 0 for row in rows(begun))


@pytest.mark.slow
def test_halving_ends_worse_trials_early_or_at_their_end(tiny: Path, run: Path) -> None:
    sweeping.main(sweep_config(tiny, run, method="halving", trials=3, epochs=2))
    tried = rows(run, "joint/halving")
    assert len(tried) == 3
    assert {row["state"] for row in tried} <= {"complete", "pruned", CHANCE}
    assert all(1e-3 <= float(row["lr"]) <= 1e-2 for row in tried)


@pytest.mark.slow
def test_more_trials_of_halving_are_new_ones(tiny: Path, run: Path) -> None:
    sweeping.main(sweep_config(tiny, run, method="halving", trials=1))
    first = pairs(run)
    sweeping.main(sweep_config(tiny, run, method="halving", trials=3))
    assert len(set(pairs(run))) == 3
    assert set(first) < set(pairs(run))


def test_draws_of_halving_are_even_on_a_logarithmic_scale_and_more_begin_with_fewer(tiny: Path, tmp_path: Path) -> None:
    def drawn(trials: int) -> list[tuple[float, float]]:
        changes = {"lrs": (1e-1, 1e-5, 1e-2), "weight_decays": (0.01,), "method": "halving", "trials": trials}
        return sweeping._pairs(GridConfig(**changes), seed=0)

    many = drawn(400)
    assert many[:7] == drawn(7)
    assert all(1e-5 <= lr <= 1e-1 and weight_decay == 0.01 for lr, weight_decay in many)
    assert 0.4 < sum(lr < 1e-3 for lr, _ in many) / 400 < 0.6


@pytest.mark.slow
def test_a_training_that_diverges_is_listed_and_ends_no_sweep(tiny: Path, run: Path, capsys) -> None:
    sweeping.main(sweep_config(tiny, run, lrs=(1e30, 1e-2)))
    assert [(float(row["lr"]), row["state"] == DIVERGED) for row in rows(run)] == [(1e-2, False), (1e30, True)]
    assert [row["val/loss"] == "" for row in rows(run)] == [False, True]
    assert "diverged" in capsys.readouterr().out
    written = networks(run)
    sweeping.main(sweep_config(tiny, run, lrs=(1e30, 1e-2)))
    assert networks(run) == written


@pytest.mark.slow
def test_a_sweep_of_which_everything_diverges_still_has_its_table_and_plot(tiny: Path, run: Path) -> None:
    sweeping.main(sweep_config(tiny, run, lrs=(1e30,)))
    assert [row["state"] for row in rows(run)] == ["diverged"]


@pytest.mark.slow
def test_what_a_training_refuses_is_refused_by_the_sweep_and_need_not_be_overwritten(tiny: Path, run: Path) -> None:
    with pytest.raises(ValueError, match="--level-weights needs"):
        sweeping.main(sweep_config(tiny, run, level_weights=(1.0,)))
    sweeping.main(sweep_config(tiny, run))
    assert len(rows(run)) == 2


@pytest.mark.slow
def test_a_level_that_the_run_does_not_have_is_refused(tiny: Path, run: Path) -> None:
    with pytest.raises(ValueError, match="L9"):
        sweeping.main(sweep_config(tiny, run, level="L9"))
    assert not (run / "sweep").exists()


def test_several_processes_are_refused(tiny: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="without torchrun"):
        sweeping.main(sweep_config(tiny, tmp_path))


@pytest.mark.parametrize(
    "argv",
    [
        ["--level", "L3"],
        ["--level", "L3", "--loss", "haversine", "--optim.schedule", "one_cycle"],
        [str(RECIPES / "geoguessr2.yaml"), "--level", "L3"],
        *([str(RECIPES / f"{name}.yaml")] for name in ("director", "country", "region_smooth")),
    ],
)
def test_a_level_is_swept_with_the_settings_that_it_is_trained_with(argv: list[str]) -> None:
    argv = ["--data", "d", "--run", "r", "--resume", *argv]
    alone = parse(LevelConfig, "x", argv)
    swept = parse(SweepConfig, "x", argv)
    assert sweeping._trial(swept.training, alone.run, (alone.optim.lr, alone.optim.weight_decay, True)) == alone


@pytest.mark.parametrize("argv", [[], [str(RECIPES / "joint.yaml")], [str(RECIPES / "multiscale.yaml")]])
def test_the_joint_network_is_swept_with_the_settings_that_it_is_trained_with(argv: list[str]) -> None:
    argv = ["--data", "d", "--run", "r", "--resume", *argv]
    alone = parse(JointConfig, "x", argv)
    swept = parse(SweepConfig, "x", argv)
    tried = sweeping._trial(swept.training, alone.run, (alone.optim.lr, alone.optim.weight_decay, True))
    assert tried == (alone if alone.embedding else replace(alone, readout_epochs=0))


def test_flags_of_the_grid_go_to_the_grid_and_all_others_to_the_training() -> None:
    argv = [
        "--data",
        "d",
        "--lrs",
        "0.1",
        "0.2",
        str(RECIPES / "joint.yaml"),
        "--run",
        "r",
        "--method=halving",
        "--epochs",
        "2",
    ]
    swept = parse(SweepConfig, "x", [*argv, "--trials", "4", "--overwrite"])
    assert swept.grid == GridConfig("halving", lrs=(0.1, 0.2), trials=4, overwrite=True)
    assert swept.training == parse(
        JointConfig, "x", ["--data", "d", str(RECIPES / "joint.yaml"), "--run", "r", "--epochs", "2"]
    )


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--optim.lr", "0.1"], "--optim.lr is what a sweep varies: give the values to try by --lrs"),
        (["--optim.weight-decay=0"], "give the values to try by --weight-decays"),
        (["--trials", "3"], "--trials 3 has no effect without --method halving"),
        (["--level", "L3", "--loss-on", "levels"], "--loss-on is not a flag"),
        (["--level", "L3", "--method", "halving", "--trials", "0"], "--trials must be 1 or more"),
        (["--lrs", "0"], "--lrs needs numbers above 0"),
    ],
)
def test_a_command_line_that_cannot_be_swept_is_refused(argv: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(SweepConfig, "x", ["--data", "d", "--run", "r", *argv])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lrs": (0.0,)}, "--lrs"),
        ({"weight_decays": (-1.0,)}, "--weight-decays"),
        ({"trials": 0, "method": "halving"}, "--trials must be"),
        ({"trials": 3}, "--trials 3 has no effect without --method halving"),
        ({"method": "halving", "weight_decays": (0.0, 0.1)}, "logarithmic"),
        ({"augmented": "both", **FROZEN}, "--augmented both changes pictures, and --freeze-trunk learns from features"),
    ],
)
def test_what_cannot_be_swept_is_refused(changes, words: str, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        sweep_config(tiny, tmp_path, **changes)
