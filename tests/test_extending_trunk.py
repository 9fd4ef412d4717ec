"""A trunk added as docs/extending.md says: a folder with a hubconf.py; then two steps on it, and answers."""

import json
import shutil

import pytest
import torch

from infer.model import load_model
from tests.tiny import joint_config
from train.tasks import train_joint

HUBCONF = '''
from torch import nn


def little(pretrained=False):
    """Return a classifier; its last linear layer gives way to the heads of a run."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 1000)
    )
'''


def test_a_trunk_that_is_added_is_trained_and_answers(tiny, tiny_run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "hubconf.py").write_text(HUBCONF)
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("checkpoints", "joint*", "metrics*"))
    train_joint(joint_config(tiny, run, arch=f"hub:{tmp_path / 'mine'}:little", epochs=1, batch_size=18))
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 2
    model = load_model(run, torch.device("cpu"))
    output = model.outputs(torch.zeros(3, 3, 32, 32, dtype=torch.uint8))
    assert output.features.shape == (3, 16)
    for level in model.posterior(output.logits):
        assert level.exp().sum(dim=1).tolist() == pytest.approx([1] * 3, abs=1e-5)
