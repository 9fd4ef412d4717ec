"""Near pairs are found, all of them and no others, without trying all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dataset import nearby
from dataset.nearby import alike_pairs, alike_pairs_anywhere, close_pairs, unique_rows

some_points = arrays(np.float64, st.tuples(st.integers(0, 40), st.just(2)), elements=st.integers(0, 6).map(float))


def all_pairs(blocks) -> set[tuple[int, int]]:
    return {(i, j) for block in blocks for i, j in block.tolist()}


def by_trying(count, near) -> set[tuple[int, int]]:
    return {(i, j) for j in range(count) for i in range(j) if near(i, j)}


@given(some_points, st.sampled_from([1.0, 1.5, 3.0]))
def test_close_pairs_are_those_that_trying_all_finds(points, radius):
    expected = by_trying(len(points), lambda i, j: np.linalg.norm(points[i] - points[j]) <= radius)
    assert all_pairs(close_pairs(points, radius)) == expected


def test_small_blocks_find_the_same_pairs(monkeypatch):
    points = np.random.default_rng(0).random((500, 3))
    whole = all_pairs(close_pairs(points, 0.1))
    monkeypatch.setattr(nearby, "PAIRS_AT_ONCE", 100)
    blocks = list(close_pairs(points, 0.1))
    assert len(blocks) > 10
    assert all_pairs(blocks) == whole


@pytest.mark.parametrize("bits", [0, 1, 4, 12])
def test_alike_pairs_are_those_that_trying_all_finds(bits):
    rng = np.random.default_rng(bits)
    base = rng.integers(0, 2**64, 9, dtype=np.uint64)
    flips = [sum(1 << int(b) for b in rng.choice(64, rng.integers(0, 4 + bits), replace=False)) for _ in range(90)]
    dhash = np.repeat(base, 10) ^ np.array(flips, dtype=np.uint64)
    place = rng.random((90, 2))
    expected = by_trying(
        90,
        lambda i, j: (int(dhash[i]) ^ int(dhash[j])).bit_count() <= bits and np.linalg.norm(place[i] - place[j]) <= 0.5,
    )
    assert expected
    assert all_pairs(alike_pairs(dhash, place, 0.5, bits)) == expected


@pytest.mark.parametrize("bits", [0, 1, 4, 12])
def test_alike_pairs_anywhere_are_those_that_trying_all_finds(bits):
    rng = np.random.default_rng(bits)
    base = rng.integers(0, 2**64, 9, dtype=np.uint64)
    flips = [sum(1 << int(b) for b in rng.choice(64, rng.integers(0, 4 + bits), replace=False)) for _ in range(90)]
    dhash = np.unique(np.repeat(base, 10) ^ np.array(flips, dtype=np.uint64))
    expected = by_trying(len(dhash), lambda i, j: (int(dhash[i]) ^ int(dhash[j])).bit_count() <= bits)
    assert bool(expected) == (bits > 0)
    found = [np.sort(block, axis=1) for block in alike_pairs_anywhere(dhash, bits)]
    assert all_pairs(found) == expected


@given(arrays(np.int64, st.integers(0, 30), elements=st.integers(0, 3)), st.data())
def test_unique_rows_number_each_combination_once(a, data):
    b = data.draw(arrays(np.int64, len(a), elements=st.integers(-1, 2)))
    first, member = unique_rows(a, b)
    rows = list(zip(a.tolist(), b.tolist(), strict=True))
    assert len(first) == len(set(rows))
    for row, number in zip(rows, member.tolist(), strict=True):
        assert rows[first[number]] == row
    assert all(rows.index(rows[row]) == row for row in first.tolist())
