"""Buttons that show a place or a cell on the map; `answer_actions.js` listens to them."""

from collections.abc import Sequence
from html import escape

from viz.maps.geodesic import unwrap_boxes


def view_button(text: str, bounds_deg: Sequence[float], lon_deg: float, title: str = "") -> str:
    """Return a button that zooms to a place.

    Args:
        text: what it says.
        bounds_deg: south, west, north, east; east below west spans the antimeridian.
        lon_deg: the meridian around which the map goes on beyond ±180.
        title: what is said of it when pointed at.
    """
    south, west, north, east = unwrap_boxes(bounds_deg, lon_deg)[0].round(3).tolist()
    about = f' title="{escape(title)}"' if title else ""
    return f'<button type="button" data-view="{south},{west},{north},{east}"{about}>{escape(text)}</button>'


def cell_button(text: str, rank: int, title: str = "") -> str:
    """Return a button that shows a cell of the finest level, by its place in the order of probability from 0."""
    return f'<button type="button" data-cell="{rank}" title="{escape(title)}">{escape(text)}</button>'
