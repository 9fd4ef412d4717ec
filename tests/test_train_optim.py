"""Optimisers and schedules: what their flags say they do."""

import pytest
import torch

from plumbing.config import parse
from train.config import LevelConfig
from train.optim import after_epoch, after_step, build_schedule
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


def rates_of(config, epochs, epoch_steps):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=config.lr)
    schedule = build_schedule(optimizer, config, epochs * epoch_steps, epoch_steps)
    rates = []
    for _ in range(epochs * epoch_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        after_step(schedule)
    return rates


@pytest.mark.parametrize(("first", "factor", "begins"), [(1, 2, [0, 1, 3, 7]), (2, 1, [0, 2, 4, 6]), (2, 3, [0, 2])])
def test_warm_restarts_fall_as_a_cosine_and_begin_again_where_they_are_told(first, factor, begins):
    config = OptimConfig("sgd", lr=1.0, schedule="cosine_restarts", restart_epochs=first, restart_factor=factor)
    rates = rates_of(config, epochs=8, epoch_steps=10)
    assert [step // 10 for step, rate in enumerate(rates) if rate == 1.0] == begins
    assert rates[5 * first] == pytest.approx(0.5)
    assert rates[10 * first - 1] < 0.03


def test_cosine_is_what_0_1_0_called_warm_restarts_after_1_3_and_7_epochs():
    config = OptimConfig("sgd", lr=1.0, schedule="cosine")
    assert config == OptimConfig("sgd", lr=1.0, schedule="cosine_restarts")
    assert [step // 10 for step, rate in enumerate(rates_of(config, 8, 10)) if rate == 1.0] == [0, 1, 3, 7]


def test_restarts_have_no_effect_with_another_schedule():
    words = ["--data", "d", "--run", "r", "--level", "L3", "--optim.restart-epochs", "5"]
    with pytest.raises(
        ValueError, match=r"--optim\.restart-epochs 5 has no effect without --optim\.schedule cosine_restarts"
    ):
        parse(LevelConfig, "x", words)


def test_a_patience_below_nothing_is_refused_by_its_flag():
    with pytest.raises(ValueError, match=r"--optim\.plateau-patience must not be negative, got -1"):
        OptimConfig(plateau_patience=-1)
