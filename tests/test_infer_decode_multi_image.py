import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from infer.decode.multi_image import LIKELY, agreement, fuse_photographs


def logs(*rows):
    return torch.log_softmax(torch.tensor(rows, dtype=torch.float32), dim=1)


@given(st.integers(1, 6), st.integers(0, 100))
def test_one_photograph_often_at_its_own_number_is_itself(copies, seed):
    one = torch.log_softmax(torch.randn(1, 9, generator=torch.Generator().manual_seed(seed)), dim=1)
    assert fuse_photographs(one.repeat(copies, 1), copies).numpy() == pytest.approx(one[0].numpy(), abs=1e-5)


def test_independent_photographs_multiply_their_odds():
    fused = fuse_photographs(torch.tensor([[0.6, 0.4], [0.9, 0.1]]).log(), 1.0).exp()
    assert fused.tolist() == pytest.approx([0.54 / 0.58, 0.04 / 0.58])


def test_a_higher_temperature_is_less_sure():
    rows = logs([2, 0, 0], [1, 0, 0])
    assert fuse_photographs(rows, 2.0).max() < fuse_photographs(rows, 1.0).max()


def test_a_cell_that_one_photograph_rules_out_stays_a_number():
    cut = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]])
    assert torch.isfinite(fuse_photographs(cut, 1.0)).all()


def test_the_order_of_photographs_does_not_matter():
    rows = logs([2, 0, 1], [0, 3, 1], [1, 1, 1])
    assert fuse_photographs(rows, 2.0).tolist() == pytest.approx(fuse_photographs(rows.flip(0), 2.0).tolist())


@pytest.mark.parametrize("odd", range(4))
def test_the_one_photograph_of_elsewhere_is_pointed_out(odd):
    rows = [[9.0, 0.0, 0.0, 0.0]] * 4
    rows[odd] = [0.0, 0.0, 9.0, 0.0]
    found = agreement(logs(*rows), 1.0)
    assert found.contradicting == [odd]
    assert np.argmin(found.shared) == odd


def test_photographs_that_agree_are_not_accused():
    assert agreement(logs([3, 1, 0], [2, 1, 0], [3, 0, 1]), 2.0).contradicting == []


def test_of_two_that_disagree_both_are_named():
    assert sorted(agreement(logs([9, 0], [0, 9]), 1.0).contradicting) == [0, 1]


def test_a_single_photograph_contradicts_nobody():
    assert agreement(logs([9, 0]), 1.0).contradicting == []


@given(st.integers(0, 1000), st.sampled_from([0.5, 1.0, 2.0]))
def test_a_photograph_shares_its_mass_in_the_fewest_cells_that_hold_most_of_what_the_others_say(seed, temperature):
    rows = torch.log_softmax(2 * torch.randn(3, 12, generator=torch.Generator().manual_seed(seed)), dim=1)
    shared = agreement(rows, temperature).shared
    for row in range(3):
        others = fuse_photographs(rows[[k for k in range(3) if k != row]], temperature).exp().tolist()
        likely, held = [], 0.0
        for cell in sorted(range(12), key=lambda cell: -others[cell]):
            likely.append(cell)
            held += others[cell]
            if held >= LIKELY:
                break
        assert shared[row] == pytest.approx(float(rows[row, likely].exp().sum()), abs=1e-5)
