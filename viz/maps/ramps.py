"""Colours of ordered classes, which are data: lightness alone tells them apart, over a light base map and a dark one."""

from collections.abc import Sequence
from html import escape

ON_LIGHT = ("#e6c229", "#f08a4b", "#d1495b", "#8e2a8b", "#3a0ca3")
"""From the least to the most: the more, the darker."""
ON_DARK = ("#6b51c4", "#b04bb4", "#e2607a", "#f79a5e", "#fbe57a")
"""Likewise, the more, the lighter."""


def themed_swatches(words: Sequence[str]) -> str:
    """Return the entries of a legend of five classes as HTML, in the colours of either theme."""
    return "".join(
        f'<span><i class="themed" style="--light:{light};--dark:{dark}"></i>{escape(said)}</span>'
        for light, dark, said in zip(ON_LIGHT, ON_DARK, words, strict=True)
    )
