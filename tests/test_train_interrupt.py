"""Ctrl-C during training saves where it is; resumed, it ends as if nothing had happened."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import train.loop as fit
from infer.network.weights import load_network
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from plumbing.config import _interrupted_words
from plumbing.interrupt import Interrupted
from tests.tiny import joint_config
from train.config import JointConfig
from train.tasks import train_joint

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def heard():
    """Have Ctrl-C heard, which shells make jobs in the background ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def run(tiny: Path, tmp_path: Path) -> Path:
    make_label_maps(LabelMapsConfig(tiny, tmp_path / "run"))
    return tmp_path / "run"


@pytest.mark.parametrize(("number", "when"), [(signal.SIGINT, "step"), (signal.SIGTERM, "validation")])
def test_a_training_that_is_interrupted_saves_and_continues_to_the_same_network(tiny, run, monkeypatch, number, when):
    undisturbed = Path(shutil.copytree(run, run.with_name("undisturbed")))
    train_joint(joint_config(tiny, undisturbed, epochs=3))
    name = {"step": "_step", "validation": "validate"}[when]
    real, calls = getattr(fit, name), []

    def interrupted(*given):
        calls.append(1)
        if len(calls) == {"step": 6, "validation": 2}[when]:
            os.kill(os.getpid(), number)
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(fit, name, interrupted)
        with pytest.raises(Interrupted) as stop:
            train_joint(joint_config(tiny, run, epochs=3))
    done = {"step": 18, "validation": 36}[when]
    checkpoint = run / "checkpoints" / "joint.last.pt"
    assert stop.value.kept == f"wrote {checkpoint}, in epoch 2 of 3 after {done} of 36 photographs"
    saved = torch.load(checkpoint, weights_only=True)["progress"]
    assert (saved["epoch"], saved["done"], saved["loss_steps"]) == (1, done, done // 9)
    assert not (run / "joint.safetensors").exists()
    train_joint(joint_config(tiny, run, epochs=3, resume=True))
    other, _ = load_network(undisturbed / "joint.safetensors")
    network, _ = load_network(run / "joint.safetensors")
    for key, tensor in other.state_dict().items():
        torch.testing.assert_close(network.state_dict()[key], tensor, atol=1e-6, rtol=0, msg=key)
    assert (run / "metrics.jsonl").read_text().count("\n") == 3


def test_an_interruption_before_the_first_step_says_that_nothing_was_written(tiny, run, monkeypatch):
    monkeypatch.setattr(fit, "_loader", lambda *given: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Interrupted, match="no step of the training was done, so nothing was written"):
        train_joint(joint_config(tiny, run))
    assert not (run / "checkpoints" / "joint.last.pt").exists()


def test_the_command_that_goes_on_is_said_without_overwrite_and_with_resume():
    words = ["python", "-m", "train", "joint", "--data", "d", "--run", "r", "--overwrite"]
    said = _interrupted_words(Interrupted("wrote c", ("--resume",)), JointConfig, words)
    assert said == "interrupted: wrote c; `python -m train joint --data d --run r --resume` continues"
    assert "--resume added" in _interrupted_words(KeyboardInterrupt(), JointConfig, words)


VERBS = {
    "joint": (["joint"], "joint epoch", "--resume` continues"),
    "level": (["level", "--level", "L3"], "L3 epoch", "--resume` continues"),
    "frozen": (["joint", "--freeze-trunk"], "joint epoch", "--resume` continues"),
    "own trunks": (["refine", "--own-trunk", "--kind", "embedding"], "epoch", "--resume` continues"),
    "sweep": (["sweep"], "joint epoch", "` continues"),
}


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_every_trainer_that_is_stopped_by_a_signal_leaves_a_checkpoint_and_says_how_to_go_on(
    tiny, tiny_run, run, tmp_path, verb, number
):
    words, _, end = VERBS[verb]
    if verb == "own trunks":
        shutil.rmtree(run)
        shutil.copytree(tiny_run, run)
    flags = ["--data", tiny, "--run", run, "--device", "cpu", "--epochs", "4000", "--batch-size", "9", "--workers", "1"]
    flags += ["--arch", "shufflenet_v2_x0_5", "--weights", "none"]
    flags += [] if verb == "own trunks" else ["--image-size", "32"]
    if verb == "sweep":
        flags += ["--lrs", "0.001", "--weight-decays", "0.01"]
    said = tmp_path / "said.txt"
    with said.open("w") as stderr:
        running = subprocess.Popen(
            [sys.executable, "-m", "train", *words, *map(str, flags)], cwd=ROOT, stderr=stderr, stdout=stderr
        )
        deadline = time.monotonic() + 300
        while "epoch 2 of" not in said.read_text() and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(number)
        assert running.wait(120) == 1, said.read_text()
    last = said.read_text().splitlines()[-1]
    assert last.startswith("interrupted: wrote "), said.read_text()
    assert last.endswith(end)
    assert "Traceback" not in said.read_text()
    written = Path(last.removeprefix("interrupted: wrote ").split(", in epoch")[0])
    assert torch.load(written, weights_only=True)["progress"]["step"] > 0
