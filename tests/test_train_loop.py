"""The training loop: same seed, same run, interrupted or not, and nothing lost when it fails."""

import errno
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from dataset.manifest import read_manifest, write_manifest
from infer.network.weights import load_network
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from label_maps.run_folder import read_run
from tests.tiny import joint_config
from train import loop as fit
from train.config import AugmentConfig, LevelConfig, OptimConfig
from train.losses import Objective
from train.tasks import train_joint, train_level

STEPS = 4
"""Steps of an epoch: 36 photographs, 9 a step."""

DROPPING = {"arch": "mobilenet_v3_small", "optim": OptimConfig("adamw", lr=0.01, schedule="one_cycle")}
"""A network with dropout and batch norm, whose randomness and statistics must survive an interruption."""


@pytest.fixture
def run(tiny_run, tmp_path):
    """A run with label maps and no network."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("run.json", "split.parquet"):
        shutil.copy(tiny_run / name, folder / name)
    shutil.copytree(tiny_run / "label_maps", folder / "label_maps")
    return folder


def copy_of(run, name):
    return shutil.copytree(run, run.with_name(name))


def weights(run, name="joint.safetensors"):
    return load_network(run / name)[0].state_dict()


def assert_same(one, other, within=1e-6):
    assert set(one) == set(other)
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=within, rtol=0, msg=name)


def metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def interrupt(config, steps):
    """Train until Ctrl-C comes after so many steps."""
    taken, real = [0], fit._step

    def step(*args):
        taken[0] += 1
        if taken[0] > steps:
            raise KeyboardInterrupt
        return real(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "_step", step)
        with pytest.raises(KeyboardInterrupt):
            train_joint(config)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_training_leaves_a_network_its_checkpoints_and_its_metrics(tiny_run):
    _, spec = load_network(tiny_run / "joint.safetensors")
    assert spec.classes == {"L1": 4, "L3": 6, "L5": 6, "L8": 6}
    assert spec.label_map_hash == read_run(tiny_run)["label_map_hash"]
    assert {path.name for path in (tiny_run / "checkpoints").iterdir()} >= {
        *("joint.last.pt", "joint.best_loss.safetensors", "joint.best_accuracy.safetensors")
    }
    lines = metrics(tiny_run)
    assert [(line["name"], line["epoch"], line["step"]) for line in lines] == [("joint", 1, 4), ("joint", 2, 8)]
    tops = {f"val/L8_top{k}" for k in (1, 3, 5, 10)}
    assert {"train/loss", "val/loss", *tops, "val/median_km", "val/geoscore", "lr"} <= set(lines[0])
    shares = [lines[0][f"val/L8_top{k}"] for k in (1, 3, 5, 10)]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_what_it_learns_is_the_colours(tiny, run):
    still = AugmentConfig(flip=0, color_jitter=0, rotation_deg=0)
    train_joint(joint_config(tiny, run, epochs=12, loss="cross_entropy", augment=still, cache_pixels=True))
    lines = metrics(run)
    assert lines[-1]["val/loss"] < 0.5 * lines[0]["val/loss"]
    assert lines[-1]["val/L8_top1"] > 0.6


def test_the_same_seed_is_the_same_run_and_another_is_not(tiny, run, tiny_run):
    train_joint(joint_config(tiny, run))
    assert_same(weights(run), weights(tiny_run))
    other = copy_of(run, "other")
    train_joint(joint_config(tiny, other, seed=1, overwrite=True))
    assert not torch.equal(weights(run)["heads.L1.weight"], weights(other)["heads.L1.weight"])


@pytest.mark.slow
def test_workers_and_pixels_in_memory_change_nothing(tiny, run, tiny_run):
    train_joint(joint_config(tiny, run, workers=2))
    assert_same(weights(run), weights(tiny_run))
    train_joint(joint_config(tiny, run, cache_pixels=True, overwrite=True))
    assert_same(weights(run), weights(tiny_run))


@pytest.mark.parametrize("steps", [1, STEPS + 2])
def test_interrupted_in_the_middle_of_an_epoch_and_resumed_is_the_same_run(tiny, run, steps):
    undisturbed = copy_of(run, "undisturbed")
    config = joint_config(tiny, run, checkpoint_minutes=0, tau_end=0.1, **DROPPING)
    train_joint(replace(config, run=undisturbed, checkpoint_minutes=15))
    interrupt(config, steps)
    assert not (run / "joint.safetensors").exists()
    train_joint(replace(config, resume=True))
    assert_same(weights(run), weights(undisturbed))
    one, other = metrics(run)[-1], metrics(undisturbed)[-1]
    assert one["step"] == other["step"] == 2 * STEPS
    assert (one["train/loss"], one["val/loss"]) == (other["train/loss"], other["val/loss"])


def test_killed_between_the_line_of_an_epoch_and_its_checkpoint_and_resumed_says_that_epoch_once(
    tiny, run, monkeypatch
):
    config = joint_config(tiny, run, checkpoint_minutes=0)

    def killed(*_):
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(fit, "save_network", killed)
        with pytest.raises(OSError, match="killed"):
            train_joint(config)
    assert [line["epoch"] for line in metrics(run)] == [1]
    train_joint(replace(config, resume=True))
    assert [line["epoch"] for line in metrics(run)] == [1, 2]


@pytest.mark.parametrize("coordinate_weight", [0.0, 0.5])
def test_smoothing_shrinks_from_step_to_step_and_what_is_compared_between_epochs_does_not(
    tiny, run, monkeypatch, coordinate_weight
):
    learned, compared, real = [], [], Objective.__call__

    def watched(own, logits, targets):
        (learned if torch.is_grad_enabled() else compared).append(own.loss.tau_km[-1])
        return real(own, logits, targets)

    monkeypatch.setattr(Objective, "__call__", watched)
    changes = {"tau_end": 0.25, "readout_epochs": 2, "coordinate_weight": coordinate_weight}
    train_joint(joint_config(tiny, run, epochs=5, **changes))
    by_the_trunk, by_the_heads = learned[: 5 * STEPS], learned[5 * STEPS :]
    assert by_the_trunk[:STEPS] == [100.0] * STEPS
    assert by_the_trunk == sorted(by_the_trunk, reverse=True)
    assert len(set(by_the_trunk)) > 2 * STEPS
    assert by_the_trunk[-STEPS:] == [25.0] * STEPS
    assert set(by_the_heads) == set(compared) == {25.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "schedule"),
    [("adam", "constant"), ("sgd", "one_cycle"), ("adamw", "cosine"), ("sgd", "step"), ("adam", "plateau")],
)
def test_every_optimiser_and_schedule_is_resumed_as_it_was(tiny, run, name, schedule):
    optim = OptimConfig(name, lr=0.01, schedule=schedule, clip=1.0, weight_decay=0.01, trunk_lr_factor=0.1, ema=0.5)
    undisturbed = copy_of(run, "undisturbed")
    config = joint_config(tiny, run, checkpoint_minutes=0, optim=optim)
    train_joint(replace(config, run=undisturbed))
    interrupt(config, STEPS + 1)
    train_joint(replace(config, resume=True))
    assert_same(weights(run), weights(undisturbed))


def test_an_unfinished_training_is_neither_lost_nor_mixed_with_a_new_one(tiny, run):
    config = joint_config(tiny, run, checkpoint_minutes=0)
    interrupt(config, 2)
    before = files(run / "checkpoints")
    with pytest.raises(ValueError, match=r"joint\.last\.pt is of an interrupted training: --resume continues it"):
        train_joint(config)
    assert files(run / "checkpoints") == before
    train_joint(replace(config, overwrite=True))
    assert metrics(run)[-1]["step"] == 2 * STEPS


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 9}, "seed was 0, is 9"),
        ({"batch_size": 6}, "batch_size was 9, is 6"),
        ({"optim": OptimConfig("adamw", lr=0.02, schedule="one_cycle")}, "optim was .*0.01.* is .*0.02"),
        ({"arch": "squeezenet1_1"}, "arch was shufflenet_v2_x0_5, is squeezenet1_1"),
    ],
)
def test_resuming_with_other_settings_is_refused_with_the_setting(tiny, tiny_run, tmp_path, changes, named):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "joint.safetensors").unlink()
    with pytest.raises(ValueError, match=rf"cannot resume .*{named}.*--overwrite to start again"):
        train_joint(joint_config(tiny, run, resume=True, **changes))


def test_what_does_not_change_the_result_may_be_given_again(tiny, tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "joint.safetensors").unlink()
    train_joint(joint_config(tiny, run, resume=True, checkpoint_minutes=3, workers=1))
    assert_same(weights(run), weights(tiny_run))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"\x80\x02."])
def test_a_checkpoint_that_is_damaged_is_named(tiny, tiny_run, tmp_path, content):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "joint.safetensors").unlink()
    (run / "checkpoints" / "joint.last.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"joint\.last\.pt is damaged \(.*--overwrite instead of --resume"):
        train_joint(joint_config(tiny, run, resume=True))


def test_a_network_that_is_there_is_not_trained_again_by_accident(tiny, tiny_run, caplog):
    before = files(tiny_run)
    with pytest.raises(ValueError, match=r"joint\.safetensors exists: pass --overwrite"):
        train_joint(joint_config(tiny, tiny_run))
    caplog.set_level(logging.INFO)
    train_joint(joint_config(tiny, tiny_run, resume=True))
    assert "is finished already" in caplog.text
    assert files(tiny_run) == before


def test_photographs_that_changed_since_the_run_began_are_refused(tiny, run, tmp_path):
    data = shutil.copytree(tiny, tmp_path / "data")
    table = read_manifest(data)
    write_manifest(data, table.iloc[1:])
    with pytest.raises(ValueError, match=r"are not those that .* was begun with"):
        train_joint(joint_config(data, run))


def of_few(tiny, folder, split, count):
    """Return a copy of the tiny dataset of which a split has so many photographs, and a run begun with it."""
    table = read_manifest(tiny)
    data, run = shutil.copytree(tiny, folder / "data"), folder / "run"
    write_manifest(data, table[(table["split"] != split) | (table.groupby("split").cumcount() < count)])
    make_label_maps(LabelMapsConfig(data, run))
    return data, run


@pytest.mark.parametrize(
    ("split", "count", "helps"),
    [("train", 1, "add photographs"), ("calibration", 0, "or leave out the test with `python -m fetch split --data ")],
)
def test_a_split_of_too_few_photographs_is_refused_and_told_how_to_fill(tiny, tmp_path, split, count, helps):
    data, run = of_few(tiny, tmp_path, split, count)
    least = {"train": 2, "calibration": 1}[split]
    with pytest.raises(
        ValueError,
        match=f"the {split} split of .* holds {count} photographs? .*: {least} or more are needed; .*{helps}",
    ):
        train_joint(joint_config(data, run))


def test_photographs_of_one_group_are_not_told_to_leave_out_a_test_that_is_empty(tiny, tmp_path):
    data, _ = of_few(tiny, tmp_path, "calibration", 0)
    write_manifest(data, read_manifest(data).assign(split="train"))
    make_label_maps(LabelMapsConfig(data, tmp_path / "whole"))
    with pytest.raises(ValueError, match=r"holds 0 photographs .* add photographs of other places or sequences$"):
        train_joint(joint_config(data, tmp_path / "whole"))


@pytest.mark.parametrize(
    ("fewest", "said"), [(1, ""), (99, "fewer than 99 training photographs in 6 of 6 cells of L8: what")]
)
def test_cells_of_next_to_no_photographs_are_named_before_a_level_is_trained(
    tiny, run, monkeypatch, caplog, fewest, said
):
    monkeypatch.setattr("train.scarce.SCARCE", fewest)
    train_level(level_config(tiny, run, "L8"))
    assert ("build larger cells" in caplog.text) == bool(said)
    assert said in caplog.text


def test_one_photograph_of_the_calibration_split_chooses_no_epoch(tiny, tmp_path, monkeypatch, caplog):
    data, run = of_few(tiny, tmp_path, "calibration", 1)
    # The first epoch looks best by far, and all others stale.
    with_validation_losses(monkeypatch, [1, 2, 3, 4], [0.9, 0.3, 0.2, 0.1])
    train_joint(joint_config(data, run, epochs=4, patience=1, readout_epochs=2))
    with safe_open(run / "joint.safetensors", "pt") as file:
        assert json.loads(file.metadata()["trained"])["epochs"] == 4
    assert "1 photograph of the calibration split decides nothing (10 do): the network of the last epoch" in caplog.text
    assert not list((run / "checkpoints").glob("joint.readout*"))


def test_a_loss_that_is_no_number_stops_in_one_line_and_keeps_the_last_checkpoint(tiny, run, monkeypatch):
    config = joint_config(tiny, run, checkpoint_minutes=0, epochs=3)
    good = {}

    def poison(training, trainee, index, pixels, real=fit._step):
        if trainee.progress.step == STEPS + 1:
            good.update(files(run / "checkpoints"))
            return torch.tensor(float("nan"))
        return real(training, trainee, index, pixels)

    monkeypatch.setattr(fit, "_step", poison)
    with pytest.raises(ValueError, match=r"the loss is NaN or infinite at step 5: .*lower --optim\.lr") as refused:
        train_joint(config)
    assert "\n" not in str(refused.value)
    assert files(run / "checkpoints") == good
    assert not (run / "joint.safetensors").exists()


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_learning_rate_beyond_all_measure_stops_in_one_line(tiny, run, name):
    with pytest.raises(ValueError, match=r"loss is NaN or infinite.*lower --optim\.lr") as refused:
        train_joint(joint_config(tiny, run, epochs=3, optim=OptimConfig(name, lr=1e30, schedule="constant")))
    assert "\n" not in str(refused.value)
    assert not (run / "joint.safetensors").exists()


def test_a_full_disk_leaves_the_last_checkpoint_as_it_was(tiny, run, monkeypatch):
    config = joint_config(tiny, run, checkpoint_minutes=0)
    interrupt(config, 2)
    before = files(run / "checkpoints")

    def full(path, data):
        with path.open("wb") as file:
            file.write(bytes(data)[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left on device") as refused:
            train_joint(replace(config, resume=True))
    assert "\n" not in str(refused.value)
    after = files(run / "checkpoints")
    assert {n: c for n, c in after.items() if n != "joint.json"} == {
        n: c for n, c in before.items() if n != "joint.json"
    }
    train_joint(replace(config, resume=True))
    assert metrics(run)[-1]["step"] == 2 * STEPS


def with_validation_losses(monkeypatch, losses, accuracies):
    """Make validation say what it is told."""
    said = iter(zip(losses, accuracies, strict=True))

    def validate(*args):
        loss, accuracy = next(said)
        return {"val/loss": loss, "val/L8_top1": accuracy, "val/geoscore": 0.0}

    monkeypatch.setattr(fit, "validate", validate)


def test_training_stops_early_after_epochs_without_a_better_loss(tiny, run, monkeypatch):
    with_validation_losses(monkeypatch, [3, 2, 2.5, 2.1, 1], [0] * 5)
    train_joint(joint_config(tiny, run, epochs=5, patience=2))
    assert [line["epoch"] for line in metrics(run)] == [1, 2, 3, 4]


@pytest.mark.parametrize(("keep", "epoch"), [("loss", 2), ("accuracy", 3)])
def test_the_best_network_by_loss_or_by_accuracy_is_kept(tiny, run, monkeypatch, keep, epoch):
    with_validation_losses(monkeypatch, [3, 2, 2.5], [0.1, 0.2, 0.9])
    train_joint(joint_config(tiny, run, epochs=3, keep=keep))
    with safe_open(run / "joint.safetensors", "pt") as file:
        assert json.loads(file.metadata()["trained"])["epochs"] == epoch


def test_the_best_of_an_earlier_training_is_not_taken_for_that_of_a_new_one(tiny, tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    with pytest.raises(ValueError, match="NaN or infinite"):
        train_joint(joint_config(tiny, run, overwrite=True, optim=OptimConfig("sgd", lr=1e30)))
    assert not list((run / "checkpoints").glob("*best*"))
    assert_same(weights(run), weights(tiny_run))


def level_config(data, run, level):
    plain = joint_config(data, run)
    names = ("arch", "weights", "image_size", "batch_size", "workers", "device")
    flags = {name: getattr(plain, name) for name in names}
    return LevelConfig(data, run, level=level, epochs=1, precision="float32", **flags)


def test_one_network_for_one_level(tiny, run):
    train_level(level_config(tiny, run, "L3"))
    _, spec = load_network(run / "L3.safetensors")
    assert spec.classes == {"L3": 6}
    assert metrics(run)[0]["name"] == "L3"
    with pytest.raises(ValueError, match=r"there is no level 'L4'; this hierarchy has L1, L3, L5, L8"):
        train_level(level_config(tiny, run, "L4"))


def test_fewer_photographs_than_a_batch_are_one_step(tiny, run):
    train_joint(joint_config(tiny, run, batch_size=100, epochs=2))
    assert [line["step"] for line in metrics(run)] == [1, 2]


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "haversine"])
@pytest.mark.parametrize("loss_on", ["levels", "siblings", "tree"])
def test_every_loss_trains(tiny, run, loss, loss_on):
    train_joint(joint_config(tiny, run, epochs=1, batch_size=18, loss=loss, loss_on=loss_on))
    assert (run / "joint.safetensors").is_file()


def test_bfloat16_trains_weights_that_are_single_and_is_stored_with_the_network(tiny, run):
    train_joint(joint_config(tiny, run, epochs=1, precision="bfloat16"))
    assert load_network(run / "joint.safetensors")[1].precision == "bfloat16"
    assert {tensor.dtype for tensor in weights(run).values()} == {torch.float32, torch.int64}


def test_a_batch_computed_in_parts_has_the_same_gradient(tiny, run):
    # Without batch norm, whose statistics are of a part.
    flags = {"arch": "squeezenet1_1", "epochs": 1, "batch_size": 18}
    optim = OptimConfig("sgd", lr=0.01)
    parts = copy_of(run, "parts")
    drop = torch.nn.Dropout.forward
    torch.nn.Dropout.forward = lambda self, x: x
    try:
        train_joint(joint_config(tiny, run, optim=optim, **flags))
        train_joint(joint_config(tiny, parts, optim=replace(optim, accumulate=3), **flags))
    finally:
        torch.nn.Dropout.forward = drop
    assert_same(weights(run), weights(parts), within=1e-5)


def test_frozen_parts_do_not_learn(tiny, run):
    optim = OptimConfig("sgd", lr=0.1, frozen=("conv1",))
    train_joint(joint_config(tiny, run, epochs=1, optim=optim))
    before, after = copy_of(run, "other"), weights(run)
    train_joint(
        joint_config(tiny, before, epochs=1, overwrite=True, optim=OptimConfig("sgd", lr=1e-20, frozen_norm=True))
    )
    start = weights(before)
    changed = {name for name in after if not torch.allclose(after[name], start[name], atol=1e-12)}
    assert not {name for name in changed if name.startswith("trunk.conv1")}
    assert any(name.startswith("trunk.conv5") for name in changed)
    with pytest.raises(ValueError, match=r"--optim\.frozen layer9 names no part of the trunk; its parts are conv1"):
        train_joint(joint_config(tiny, run, overwrite=True, optim=OptimConfig(frozen=("layer9",))))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"level_weights": (1.0, 1.0)}, "--level-weights needs 4 numbers, one for each level, got 2"),
        ({"level_weights": (0.0,) * 4}, "--level-weights must not be negative, nor all 0"),
        ({"level_weights": (1.0, 1.0, 1.0, -1.0)}, "--level-weights must not be negative"),
        ({"tau_km": (1.0, 2.0)}, "--tau-km needs one number, or one for each of 4 levels, got 2"),
        ({"arch": "resnet999"}, "torchvision has no classifier 'resnet999'"),
        ({"arch": "vit_b_16"}, "vit_b_16 takes no pictures of --image-size 32"),
        ({"weights": "nowhere.pth"}, "there is no file nowhere.pth"),
        ({"device": "cuda:77"}, "--device cuda:77 cannot be used here"),
    ],
)
def test_flags_that_do_not_fit_the_run_are_refused_and_leave_nothing(tiny, run, changes, complaint):
    before = files(run)
    with pytest.raises(ValueError, match=complaint) as refused:
        train_joint(joint_config(tiny, run, **changes))
    assert "\n" not in str(refused.value)
    assert files(run) == before


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"epochs": 0}, "--epochs must be 1 or more, got 0"),
        ({"batch_size": 1}, "--batch-size must be 2 or more"),
        ({"workers": -1}, "--workers must be 0 or more"),
        ({"image_size": 8}, "--image-size must be 16 or more"),
        ({"tau_km": (0.0,)}, "--tau-km must be above 0"),
        ({"tau_end": 0.0}, "--tau-end is a share above 0, at most 1, got 0"),
        ({"tau_end": 2.0}, "--tau-end is a share above 0, at most 1, got 2"),
        ({"loss": "focal", "label_smoothing": 1.0}, "--label-smoothing is a share"),
        *[
            ({"loss": loss, **flag}, f"--{name} .* has no effect without --loss {users}")
            for loss, flag, name, users in (
                ("cross_entropy", {"tau_km": (75.0,)}, "tau-km", "haversine"),
                ("focal", {"tau_end": 0.5}, "tau-end", "haversine"),
                ("cross_entropy", {"focal_gamma": 1.0}, "focal-gamma", "focal"),
                ("haversine", {"label_smoothing": 0.1}, "label-smoothing", "cross_entropy or --loss focal"),
            )
        ],
        (
            {"coordinate_loss": "great_circle"},
            "--coordinate-loss great_circle has no effect without --coordinate-weight",
        ),
        (
            {"coordinate_kind": "standardised"},
            "--coordinate-kind standardised has no effect without --coordinate-weight",
        ),
        (
            {"optim": OptimConfig(plateau_patience=5)},
            "--optim.plateau-patience 5 has no effect without --optim.schedule plateau",
        ),
    ],
)
def test_flags_that_cannot_work_are_refused_before_anything_is_read(tmp_path, changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        joint_config(tmp_path, tmp_path, **changes)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"lr": 0}, "--optim.lr must be above 0"),
        ({"weight_decay": -1}, "must not be negative"),
        ({"clip": -1}, "must not be negative"),
    ],
)
def test_optimisers_that_cannot_work_are_refused(flags, complaint):
    with pytest.raises(ValueError, match=complaint):
        OptimConfig(**flags)


@pytest.mark.parametrize(
    "flags", [{"flip": 1.1}, {"flip": -0.1}, {"crop_scale": 0}, {"crop_scale": 2}, {"color_jitter": -1}]
)
def test_augmentations_that_cannot_work_are_refused(flags):
    with pytest.raises(ValueError, match=r"--augment\."):
        AugmentConfig(**flags)


def test_validation_is_never_changed_at_random(tiny, run, monkeypatch):
    seen = []
    real = fit.validate

    def validate(network, check, *rest):
        seen.append((check.source.augment, [check.source[(e, 0)][1] for e in range(3)]))
        return real(network, check, *rest)

    monkeypatch.setattr(fit, "validate", validate)
    train_joint(joint_config(tiny, run, epochs=1))
    augment, pixels = seen[0]
    assert augment is None
    assert all(torch.equal(pixels[0], other) for other in pixels)


GREEDY = """
import torch

class Greedy(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(3, 5)

    def forward(self, images):
        if len(images) > 1:
            raise torch.OutOfMemoryError("tried to allocate 80 GiB")
        return self.fc(images.mean((2, 3)))

def greedy(pretrained=False):
    return Greedy()
"""


def test_a_batch_that_memory_does_not_hold_names_the_flags_that_lower_it(tiny, run, tmp_path):
    hub = tmp_path / "hub"
    hub.mkdir()
    (hub / "hubconf.py").write_text(GREEDY)
    config = joint_config(tiny, run, arch=f"hub:{hub}:greedy")
    with pytest.raises(
        ValueError, match=r"ran out of memory: lower --batch-size \(now 9\) or --image-size, or raise --opt"
    ):
        train_joint(config)


def test_a_level_whose_classes_are_all_too_small_is_named_before_anything_is_trained(tiny, tmp_path):
    with pytest.raises(ValueError, match=r"no L1 cell has 1,000 training photographs.*lower --min-images"):
        make_label_maps(LabelMapsConfig(tiny, tmp_path / "run", min_images=1000))
    assert not (tmp_path / "run").exists()
