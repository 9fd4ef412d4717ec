"""Several processes are one training. Each of these tests starts processes."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import safetensors.torch
import torch

from plumbing.world import World
from tests.tiny import joint_config
from train.tasks import train_joint

ROOT = Path(__file__).parent.parent
FLAGS = """
    --arch shufflenet_v2_x0_5 --weights none --image-size 32 --epochs 2 --batch-size 12 --workers 0 --device cpu
    --precision float32 --optim.frozen-norm --optim.name sgd --optim.lr 0.05 --optim.schedule constant
    --readout-epochs 0
""".split()  # noqa: SIM905


def begin(tiny_run: Path, run: Path) -> Path:
    run.mkdir()
    shutil.copytree(tiny_run / "label_maps", run / "label_maps")
    for name in ("run.json", "split.parquet"):
        shutil.copy2(tiny_run / name, run / name)
    return run


def start(
    tiny: Path, run: Path, processes: int, *flags: str, common: Sequence[str] = FLAGS, verb: str = "joint"
) -> subprocess.Popen[str]:
    torchrun = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m", "--"]
    launcher = [sys.executable, "-m", *(torchrun if processes > 1 else [])]
    command = [*launcher, "train", verb, "--data", str(tiny), "--run", str(run), *common, *flags]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def furthest_apart(a: Path, b: Path, name: str = "joint") -> float:
    ours, theirs = (safetensors.torch.load_file(run / f"{name}.safetensors") for run in (a, b))
    assert ours.keys() == theirs.keys()
    return max(float((ours[name].double() - theirs[name].double()).abs().max()) for name in ours)


@pytest.mark.slow
def test_two_processes_end_with_the_weights_of_one_and_write_metrics_once(
    tiny: Path, tiny_run: Path, tmp_path: Path
) -> None:
    one, two = begin(tiny_run, tmp_path / "one"), begin(tiny_run, tmp_path / "two")
    finish(start(tiny, one, 1))
    finish(start(tiny, two, 2))
    assert furthest_apart(one, two) < 1e-6
    untrained = safetensors.torch.load_file(tiny_run / "joint.safetensors")
    trained = safetensors.torch.load_file(one / "joint.safetensors")
    assert any(not torch.equal(untrained[name], trained[name]) for name in trained)
    assert len((two / "metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.slow
def test_the_first_of_two_processes_fits_the_hidden_layer_alone(tiny: Path, tiny_run: Path, tmp_path: Path) -> None:
    one, two = begin(tiny_run, tmp_path / "one"), begin(tiny_run, tmp_path / "two")
    finish(start(tiny, one, 1, "--readout-epochs", "3"))
    finish(start(tiny, two, 2, "--readout-epochs", "3"))
    assert (two / "checkpoints" / "joint.readout.safetensors").is_file()
    # Features that hardly differ are standardised, and with them what rounding made of sums in another order.
    assert furthest_apart(one, two) < 1e-3


@pytest.mark.slow
def test_a_training_killed_in_mid_epoch_and_resumed_ends_with_the_weights_of_an_undisturbed_one(
    tiny: Path, tiny_run: Path, tmp_path: Path
) -> None:
    undisturbed, killed = begin(tiny_run, tmp_path / "undisturbed"), begin(tiny_run, tmp_path / "killed")
    finish(start(tiny, undisturbed, 1, "--checkpoint-minutes", "0"))
    process = start(tiny, killed, 1, "--checkpoint-minutes", "0", "--epochs", "2")
    checkpoint = killed / "checkpoints" / "joint.last.pt"
    while not checkpoint.is_file() and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert not (killed / "joint.safetensors").is_file()
    assert torch.load(checkpoint, weights_only=True)["progress"]["step"] < 6
    finish(start(tiny, killed, 1, "--checkpoint-minutes", "0", "--resume"))
    assert furthest_apart(undisturbed, killed) < 1e-6


def test_a_batch_that_cannot_be_dealt_in_equal_parts_is_one_line(
    tiny: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="--batch-size 9 cannot be dealt to 2 processes in equal parts"):
        train_joint(joint_config(tiny, begin(tiny_run, tmp_path / "run")))


@pytest.mark.slow
def test_two_processes_share_the_features_of_a_frozen_trunk_and_end_with_the_heads_of_one(
    tiny: Path, tiny_run: Path, tmp_path: Path
) -> None:
    # No batch norm learns, and no heads learn once more.
    common = [word for word in FLAGS[: FLAGS.index("--readout-epochs")] if word != "--optim.frozen-norm"]
    runs, datas = [], []
    for processes in (1, 2):
        datas.append(shutil.copytree(tiny, tmp_path / f"data{processes}", ignore=shutil.ignore_patterns("features")))
        runs.append(begin(tiny_run, tmp_path / f"run{processes}"))
        finish(start(datas[-1], runs[-1], processes, "--freeze-trunk", "--hidden", "0", common=common))
    assert furthest_apart(*runs) < 1e-6
    rows = [sorted(path.stat().st_size for path in data.glob("features/*/*.keys")) for data in datas]
    assert rows == [[48 * 36], [24 * 36, 24 * 36]]


@pytest.mark.slow
def test_two_processes_train_one_expert_after_the_other_and_end_with_the_weights_of_one(
    tiny: Path, tiny_run: Path, tmp_path: Path
) -> None:
    left = FLAGS.index("--image-size"), FLAGS.index("--readout-epochs")
    common = [*FLAGS[: left[0]], *FLAGS[left[0] + 2 : left[1]]]
    common[common.index("--batch-size") + 1] = "6"
    runs = []
    for processes in (1, 2):
        runs.append(begin(tiny_run, tmp_path / f"run{processes}"))
        shutil.copy2(tiny_run / "joint.safetensors", runs[-1])
        finish(start(tiny, runs[-1], processes, "--own-trunk", "--kind", "experts", common=common, verb="refine"))
        assert (runs[-1] / "refine" / "refiner.json").is_file()
    assert len(list((runs[1] / "refine").glob("*.safetensors"))) == 6
    assert max(furthest_apart(*runs, f"refine/{cell:04d}") for cell in range(6)) < 1e-6


def test_torchrun_says_which_process_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "5"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert World.from_env() == World(rank=5, size=8, local_rank=1)
    assert not World.from_env().first


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert World.from_env() == World(0, 1, 0)
