"""What an answer rests on: the parts of the photograph that speak for it, and the training photographs most like it."""

import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from viz.maps.answer import coordinate_words
from viz.maps.raster import base64_text
from viz.web.page import swatches

FOR, AGAINST = (255, 0, 128), (0, 190, 255)
"""Colours of what speaks for the answer and against it, both rare in photographs."""
STRONGEST = 0.75
"""Opacity of the hottest place, through which the photograph still shows."""


def heat_png(heat: NDArray[np.float64], width: int, height: int) -> bytes:
    """Return a heat map as a transparent PNG to lie over a picture; zero is clear, the strongest value the most opaque.

    Args:
        heat: (H, W), positive where the picture speaks for the answer.
        width: of the picture, in pixels.
        height: of the picture.
    """
    share = heat / max(float(np.abs(heat).max()), 1e-12)
    smooth = np.asarray(Image.fromarray(share.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))
    colour = np.where((smooth > 0)[..., None], FOR, AGAINST)
    opacity = 255 * STRONGEST * np.abs(smooth)
    content = io.BytesIO()
    Image.fromarray(np.dstack([colour, opacity]).round().astype(np.uint8)).save(content, "PNG", optimize=True)
    return content.getvalue()


def picture_html(answer: Mapping[str, Any], thumbnail_jpeg: bytes | None, heat: NDArray[np.float64] | None) -> str:
    """Return the photograph as HTML, under its heat map where there is one, which a box switches off."""
    if thumbnail_jpeg is None:
        return ""
    photo = f'<img alt="{escape(str(answer["input"]))}" src="data:image/jpeg;base64,{base64_text(thumbnail_jpeg)}">'
    explanation = answer.get("explanation")
    if heat is None or not explanation:
        return photo
    with Image.open(io.BytesIO(thumbnail_jpeg)) as picture:
        over = base64_text(heat_png(heat, *picture.size))
    legend = swatches([(_hex(FOR), "speaks for the best cell"), (_hex(AGAINST), "against")])
    return (
        f'<div class="evidence"><input type="checkbox" id="heat" checked><label for="heat">What it looks at</label>'
        f'<div class="stack">{photo}<img class="heat" alt="heat map" src="data:image/png;base64,{over}"></div>'
        f'<div class="legend">{legend}</div><p class="soft">{escape(explanation_words(explanation))}</p></div>'
    )


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def explanation_words(explanation: Mapping[str, Any]) -> str:
    """Return what a heat map shows, in words."""
    against = explanation.get("against")
    elsewhere = f", and not in {against}, the likeliest cell elsewhere" if against else ""
    return f"Why in {explanation['cell']}{elsewhere}: by {explanation['method']}."


def neighbours_html(answer: Mapping[str, Any], thumbnails: Sequence[bytes | None]) -> str:
    """Return the most similar training photographs as HTML; one whose picture is gone has its words alone."""
    neighbours = answer.get("neighbours") or ()
    if not neighbours:
        return ""
    shown = "".join(_neighbour(n, t) for n, t in zip(neighbours, thumbnails, strict=True))
    return f'<div><p class="soft">Most similar training photographs</p><div class="neighbours">{shown}</div></div>'


def _neighbour(neighbour: Mapping[str, Any], thumbnail_jpeg: bytes | None) -> str:
    name, words = escape(str(neighbour["id"])), "<br>".join(map(escape, neighbour_lines(neighbour)[1:]))
    source = "" if thumbnail_jpeg is None else f"data:image/jpeg;base64,{base64_text(thumbnail_jpeg)}"
    picture = f'<img alt="{name}" src="{source}">' if source else ""
    return f'<figure title="{name}">{picture}<figcaption>{words}</figcaption></figure>'


def neighbour_lines(neighbour: Mapping[str, Any]) -> list[str]:
    """Return what is said of a similar photograph: its id, distance, likeness, creator and licence."""
    return [
        str(neighbour["id"]),
        f"{float(neighbour['distance_km']):,.0f} km from the answer",
        f"{float(neighbour['similarity']):.0%} alike",
        str(neighbour.get("creator") or "creator not known"),
        str(neighbour.get("licence") or "licence not known"),
    ]


def drawn_neighbours(answer: Mapping[str, Any], lon_deg: float) -> list[dict[str, Any]]:
    """Return `at` and `lines` of the similar photographs, each by the turn nearest to a meridian."""
    return [
        {
            "at": [n["latitude"], n["longitude"] - 360 * round((n["longitude"] - lon_deg) / 360)],
            "lines": [*neighbour_lines(n), coordinate_words(n["latitude"], n["longitude"])],
        }
        for n in answer.get("neighbours") or ()
    ]
