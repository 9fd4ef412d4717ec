"""Optimisers and schedules: what their flags say they do."""

import pytest
import torch

from train.optim import after_epoch, build_schedule
from train.parts_config import OptimConfig


@pytest.mark.parametrize("patience", [0, 2, 5])
def test_a_plateau_halves_the_rate_after_as_many_epochs_without_a_better_loss_as_it_is_told(patience):
    config = OptimConfig("sgd", lr=1.0, schedule="plateau", plateau_patience=patience)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=config.lr)
    schedule = build_schedule(optimizer, config, 100, 1)
    rates = []
    for _ in range(patience + 2):
        after_epoch(schedule, 1.0)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1.0] * (patience + 1) + [0.5]


def test_a_patience_below_nothing_is_refused_by_its_flag():
    with pytest.raises(ValueError, match=r"--optim\.plateau-patience must not be negative, got -1"):
        OptimConfig(plateau_patience=-1)
