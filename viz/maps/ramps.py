"""Colours of ordered classes, which are data: lightness alone tells them apart, over a light base map and a dark one."""

from collections.abc import Sequence

from viz.web.page import swatch

ON_LIGHT = ("#e6c229", "#f08a4b", "#d1495b", "#8e2a8b", "#3a0ca3")
"""From the least to the most: the more, the darker."""
ON_DARK = ("#6b51c4", "#b04bb4", "#e2607a", "#f79a5e", "#fbe57a")
"""Likewise, the more, the lighter."""


def themed_swatches(words: Sequence[str]) -> str:
    """Return the entries of a legend of five classes as HTML, in the colours of either theme."""
    return "".join(map(swatch, ON_LIGHT, ON_DARK, words))
