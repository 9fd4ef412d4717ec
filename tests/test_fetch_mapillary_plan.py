"""The order in which candidates are tried: by the seed alone, spread over squares and sequences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetch.mapillary.config import MapillaryConfig
from fetch.mapillary.plan import order, shuffled
from fetch.mapillary.selection import wanted_cells
from geocells import grid
from geocells.land import land_table

rows = st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 6), st.integers(0, 3)), min_size=1, max_size=60)


def placed(drawn, seed=0, shuffle=None):
    """Return the place of each id."""
    cell, sequence, block = np.array(drawn, dtype=np.int64).T
    image = np.arange(len(drawn), dtype=np.int64) * 7919 + 10**14
    mixed = np.random.default_rng(shuffle).permutation(len(drawn)) if shuffle is not None else np.arange(len(drawn))
    place = order(image[mixed], cell[mixed], sequence[mixed], block[mixed], seed)
    return place[np.argsort(mixed)], cell, sequence, block


@given(rows)
def test_each_cell_has_places_from_0_without_gaps(drawn):
    place, cell, _, _ = placed(drawn)
    for each in np.unique(cell):
        assert sorted(place[cell == each]) == list(range((cell == each).sum()))


@given(rows, st.integers(0, 5))
def test_the_order_of_the_rows_does_not_matter(drawn, seed):
    np.testing.assert_array_equal(placed(drawn, seed)[0], placed(drawn, seed, shuffle=3)[0])


@given(rows)
def test_every_sequence_comes_once_before_any_comes_twice(drawn):
    place, cell, sequence, _ = placed(drawn)
    for each in np.unique(cell):
        here = np.flatnonzero(cell == each)
        names = [sequence[row] if sequence[row] >= 0 else -1 - row for row in here[np.argsort(place[here])]]
        assert len(set(names[: len(set(names))])) == len(set(names))


def test_squares_take_turns():
    block = np.repeat(np.arange(5), 20)
    place = placed([(0, -1, b) for b in block])[0]
    assert sorted(block[np.argsort(place)][:5]) == [0, 1, 2, 3, 4]
    assert sorted(block[np.argsort(place)][5:10]) == [0, 1, 2, 3, 4]


def test_another_seed_makes_another_plan_and_the_same_seed_the_same():
    drawn = [(0, -1, 0)] * 40
    assert placed(drawn, 1)[0].tolist() == placed(drawn, 1)[0].tolist() != placed(drawn, 2)[0].tolist()


def test_chance_is_splitmix64():
    # The first number of the reference generator with seed 0, whose state then is the constant alone.
    assert int(shuffled(np.array([0]), 0)[0]) == 0xE220A8397B1DCDAF


def chosen(tmp_path, **settings):
    return wanted_cells(MapillaryConfig(out=tmp_path, **settings))


def test_cells_boxes_and_countries_narrow_each_other(tmp_path):
    assert len(chosen(tmp_path)) == 4**8
    assert chosen(tmp_path, cells=("0/1/2/3/0/1/1/2",)).tolist() == [grid.parse_id("0/1/2/3/0/1/1/2")[0]]
    assert len(chosen(tmp_path, cells=("0", "1_2"))) == 4**7 + 4**6
    france = chosen(tmp_path, country=("fr",))
    assert set(land_table().country[france]) == {"FR"}
    both = chosen(tmp_path, country=("FR",), bbox=(48, 2, 49, 3))
    assert set(both) < set(france)
    assert grid.encode((48.8566, 2.3522), 8) in both


def test_a_box_may_span_the_antimeridian(tmp_path):
    cells = chosen(tmp_path, bbox=(-18, 178, -16, -179))
    west = grid.bounds_deg(cells, 8)[:, 1]
    assert set(np.round(west)) == {177.0, 179.0, -180.0} or len(np.unique(west)) == 3
    assert grid.encode((-17, 179.9), 8) in cells
    assert grid.encode((-17, -179.9), 8) in cells


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"country": ("XX",)}, "--country XX is not the code"),
        ({"cells": ("0/1/2/3/0/1/2/3/0",)}, "finer than level 8"),
        ({"cells": ("0",), "bbox": (-50, 100, -40, 120)}, "no cell is left"),
    ],
)
def test_what_selects_nothing_is_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        chosen(tmp_path, **settings)
