"""A recipe added as docs/extending.md says: a YAML file of flags; then two steps by it."""

import json
import shutil

import pytest

from plumbing.config import dispatch, parse
from train.__main__ import COMMANDS
from train.config import JointConfig

RECIPE = """\
# A small network for a quick look.
#   python -m train joint quick.yaml --data data/mine --run runs/mine
arch: shufflenet_v2_x0_5
weights: none
image_size: 32
epochs: 1
batch_size: 18
loss: focal
focal_gamma: 1.5
readout_epochs: 0
optim:
  name: adamw
  lr: 0.01
"""


def test_a_recipe_that_is_added_stands_for_flags_and_trains(tiny, tiny_run, tmp_path):
    (tmp_path / "quick.yaml").write_text(RECIPE)
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("checkpoints", "joint*", "metrics*"))
    argv = ["joint", str(tmp_path / "quick.yaml"), "--data", str(tiny), "--run", str(run), "--workers", "0"]
    with pytest.raises(SystemExit) as leaving:
        dispatch("python -m train", COMMANDS, [*argv, "--device", "cpu", "--precision", "float32"])
    assert not leaving.value.code
    config = json.loads((run / "checkpoints" / "joint.json").read_text())["config"]
    assert (config["loss"], config["focal_gamma"], config["optim"]["lr"]) == ("focal", 1.5, 0.01)
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 2


def test_a_flag_behind_a_recipe_wins_and_a_misspelt_key_is_refused(tmp_path):
    quick = tmp_path / "quick.yaml"
    quick.write_text(RECIPE)
    argv = [str(quick), "--data", "d", "--run", "r"]
    assert parse(JointConfig, "x", [*argv, "--epochs", "3"]).epochs == 3
    quick.write_text(RECIPE.replace("epochs: 1", "epoch: 1"))
    with pytest.raises(ValueError, match=r"quick\.yaml sets epoch, which is not a flag of this command"):
        parse(JointConfig, "x", argv)
