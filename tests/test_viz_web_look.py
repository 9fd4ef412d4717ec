"""The style sheet of all pages: texts can be read and lines told apart, in both themes and by colour-blind readers."""

import re
from itertools import combinations

import numpy as np
import pytest

from viz.web.page import THEMES, WEB, colours

SEEN_BY = {
    "all": np.eye(3),
    "protanopes": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopes": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopes": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Linear colours as they are seen: Machado, Oliveira and Fernandes 2009, at full severity."""
TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
"""Björn Ottosson 2020."""


def linear(colour):
    digits = colour[1:7] if len(colour) > 4 else "".join(2 * digit for digit in colour[1:4])
    values = np.array([int(digits[at : at + 2], 16) for at in (0, 2, 4)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """Return the contrast of WCAG 2."""
    dark, bright = sorted(linear(colour) @ (0.2126, 0.7152, 0.0722) for colour in (one, other))
    return (bright + 0.05) / (dark + 0.05)


def oklab(colour, seen):
    return TO_OKLAB @ np.cbrt(TO_LMS @ np.clip(seen @ linear(colour), 0, 1))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("text", ["ink", "soft", "link"])
def test_texts_have_the_contrast_that_wcag_asks_for_on_every_ground(theme, text):
    for ground in ("paper", "ground", "raised"):
        assert contrast(colours(theme)[text], colours(theme)[ground]) >= 4.5, ground
    assert contrast(colours(theme)["ink"], colours(theme)["warning-paper"]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("reader", SEEN_BY)
def test_lines_are_told_apart_by_every_reader(theme, reader):
    series = {name: colour for name, colour in colours(theme).items() if name.startswith("series")}
    assert len(series) == 7
    seen = {name: oklab(colour, np.array(SEEN_BY[reader])) for name, colour in series.items()}
    for one, other in combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 0.075, (one, other)
    assert min(contrast(colour, colours(theme)["paper"]) for colour in series.values()) >= 3


@pytest.mark.parametrize("theme", THEMES)
def test_land_sea_borders_and_names_of_the_base_map_stand_apart(theme):
    own = colours(theme)
    assert contrast(own["land"], own["ocean"]) >= 1.1
    for ground in ("land", "ocean"):
        assert contrast(own["coast"], own[ground]) >= 1.8, ground
        assert contrast(own["country-name"], own[ground]) >= 4.5, ground
        assert contrast(own["city-name"], own[ground]) >= 4.5, ground
    assert contrast(own["border"], own["land"]) >= 1.8


def test_both_themes_have_the_same_names():
    assert colours("light").keys() == colours("dark").keys()
    light, dark, _ = (WEB / "look.css").read_text(encoding="utf-8").split("@media", 2)
    assert set(re.findall(r"--[a-z0-9-]+(?=:)", light)) == set(re.findall(r"--[a-z0-9-]+(?=:)", dark))
