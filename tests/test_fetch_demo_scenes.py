"""Street scenes: every clue can be seen, nothing else tells the place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetch.demo import scenes
from fetch.demo.planet import CLUES, NAMES, THINGS

MIDDLE = dict.fromkeys(NAMES, 0.45) | {"driving_side": 0.0}
BARE = {clue.name: np.nan if clue.thing else 0.45 for clue in CLUES}

PALETTES = [scenes.SKY, scenes.VEGETATION, scenes.SOIL, scenes.ROAD, scenes.LINE, scenes.PAINT, scenes.WALL]


def pixels(clues, look=0, size=64):
    return np.asarray(scenes.paint(clues, look, size), dtype=np.int16)


def changed_share(a, b):
    return np.mean(np.abs(a - b).max(axis=-1) > 20)


def test_the_same_clues_and_look_make_the_same_picture():
    np.testing.assert_array_equal(pixels(MIDDLE, (3, 4)), pixels(MIDDLE, (3, 4)))
    assert changed_share(pixels(MIDDLE, (3, 4)), pixels(MIDDLE, (3, 5))) > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_a_clue_shows_in_most_pictures_that_it_is_drawn_in(name):
    low, high = MIDDLE | {name: 0.0}, MIDDLE | {name: 1.0}
    shares = [changed_share(pixels(low, look), pixels(high, look)) for look in range(12)]
    assert np.median(shares) > 0.004


@pytest.mark.parametrize("name", [clue.name for clue in CLUES if not clue.thing])
def test_what_is_always_in_view_is_large(name):
    low, high = MIDDLE | {name: 0.0}, MIDDLE | {name: 1.0}
    assert np.mean([changed_share(pixels(low, look), pixels(high, look)) for look in range(8)]) > 0.08


@pytest.mark.parametrize("thing", THINGS)
def test_a_thing_out_of_view_is_not_drawn(thing):
    seen = BARE | {clue.name: MIDDLE[clue.name] for clue in CLUES if clue.thing == thing}
    assert np.median([changed_share(pixels(BARE, look), pixels(seen, look)) for look in range(12)]) > 0.004


@settings(deadline=None)
@given(st.sampled_from(PALETTES), st.floats(0, 1), st.floats(0, 1))
def test_two_values_far_apart_have_two_colours(palette, a, b):
    difference = np.linalg.norm(np.subtract(scenes.along(palette, a), scenes.along(palette, b)))
    assert difference > 24 or abs(a - b) < 0.2


@settings(deadline=None)
@given(st.sampled_from(PALETTES))
def test_a_palette_begins_and_ends_with_its_ends(palette):
    assert scenes.along(palette, 0.0) == palette[0]
    assert scenes.along(palette, 1.0) == palette[-1]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.floats(0, 1), st.just(np.nan)), min_size=len(CLUES), max_size=len(CLUES)),
    st.integers(0, 2**40),
    st.integers(16, 80),
    st.floats(6, 20),
)
def test_any_clues_make_a_picture_of_the_size_asked(values, look, size, sun_hour):
    clues = {c.name: v if c.thing or not np.isnan(v) else 0.5 for c, v in zip(CLUES, values, strict=True)}
    for first, second in (("tree_kind", "tree_density"), ("line_colour", "line_dashes"), ("roof", "wall_colour")):
        clues[second] = clues[first]
    picture = scenes.paint(clues, look, size, sun_hour)
    assert picture.size == (size, size)
    assert picture.mode == "RGB"


def test_flaws_are_what_filters_look_for():
    picture = scenes.paint(MIDDLE, 0, 96)
    level = np.asarray(picture.convert("L"), dtype=float)
    assert np.asarray(scenes.darkened(picture).convert("L")).mean() < 40 < level.mean()
    blurred = np.asarray(scenes.blurred(picture).convert("L"), dtype=float)
    assert np.abs(np.diff(blurred)).mean() < 0.25 * np.abs(np.diff(level)).mean()
    again = np.asarray(scenes.retaken(picture), dtype=float)
    assert 0 < np.abs(again - np.asarray(picture)).mean() < 16
