"""What explains an answer: a heat map over the photograph, and similar training photographs."""

import io
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from numpy.typing import NDArray
from PIL import Image

from infer.prediction import Explanation, LevelPrediction, Prediction, SimilarPhotograph
from viz.maps.places import cell_places
from viz.maps.raster import base64_text
from viz.maps.wording import coordinate_words, distance_words, file_name

COLOURS = colormaps["coolwarm"]
"""Perceptually even on both sides of the middle (Moreland 2009): blue contradicts the answer, red supports it."""
STRONGEST = 0.75
"""Opacity of the hottest place, through which the photograph still shows."""


def heat_png(heat: NDArray[np.float64], width: int, height: int) -> bytes:
    """Return a heat map as a transparent PNG to lie over a picture; zero is clear, the strongest value the most opaque.

    Args:
        heat: (H, W), positive where the picture supports the answer.
        width: of the picture, in pixels.
        height: of the picture.
    """
    share = heat / max(float(np.abs(heat).max()), 1e-12)
    smooth = np.asarray(Image.fromarray(share.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))
    colour = COLOURS((smooth + 1) / 2, bytes=True)[..., :3]
    opacity = 255 * STRONGEST * np.sqrt(np.abs(smooth))
    content = io.BytesIO()
    Image.fromarray(np.dstack([colour, opacity]).round().astype(np.uint8)).save(content, "PNG", optimize=True)
    return content.getvalue()


def picture_html(prediction: Prediction) -> str:
    """Return the photograph as HTML, with its heat map where there is one, which a box switches on."""
    drawing = prediction.drawing
    thumbnail = None if drawing is None else drawing.thumbnail_jpeg()
    if drawing is None or thumbnail is None:
        return ""
    photo = f'<img alt="{escape(prediction.input)}" src="data:image/jpeg;base64,{base64_text(thumbnail)}">'
    if drawing.heat is None or prediction.explanation is None:
        return photo
    with Image.open(io.BytesIO(thumbnail)) as picture:
        over = base64_text(heat_png(drawing.heat, *picture.size))
    stops = ", ".join(to_hex(COLOURS(value)) for value in np.linspace(0, 1, 9))
    ramp = f'<i style="background:linear-gradient(to right, {stops})"></i>'
    legend = f'<div class="scale"><span>speaks against</span>{ramp}<span>speaks for it</span></div>'
    why = escape(explanation_words(prediction.explanation, prediction.finest))
    return (
        '<div class="explanation"><input type="checkbox" id="heat"><label for="heat">Show what the answer rests on</label>'
        f'<div class="stack">{photo}<img class="heat" alt="heat map" src="data:image/png;base64,{over}"></div>'
        f'<div class="why">{legend}<p class="soft">{why}</p></div></div>'
    )


def explanation_words(explanation: Explanation, finest: LevelPrediction) -> str:
    """Return what a heat map shows, in words.

    Args:
        explanation: which cells it compares.
        finest: the level of these cells, by which they are named.
    """
    against = explanation.against
    elsewhere = f" and against {_place(against, finest)}, the most probable cell elsewhere" if against else ""
    return f"What speaks for the best cell, {_place(explanation.cell, finest)}{elsewhere}: {explanation.method}."


def _place(name: str, level: LevelPrediction) -> str:
    cells = [cell for cell in level.cells if cell.id == name and cell.bounds]
    return cell_places(cells, level.level)[0] if cells else name


def similar_html(prediction: Prediction) -> str:
    """Return the most similar training photographs as HTML; one whose picture is gone has its words alone."""
    if not prediction.similar:
        return ""
    found = [] if prediction.drawing is None else prediction.drawing.similar_jpeg
    pictures: Sequence[bytes | None] = found or [None] * len(prediction.similar)
    shown = "".join(
        _figure(one, similar_lines(one, prediction), picture)
        for one, picture in zip(prediction.similar, pictures, strict=True)
    )
    return f'<section><h2>Most similar training photographs</h2><div class="similar">{shown}</div></section>'


def _figure(similar: SimilarPhotograph, lines: Sequence[str], jpeg: bytes | None) -> str:
    name, picture = escape(file_name(similar.path)), ""
    if jpeg is not None:
        picture = f'<img alt="{name}" src="data:image/jpeg;base64,{base64_text(jpeg)}">'
    return f'<figure title="{name}">{picture}<figcaption>{"<br>".join(map(escape, lines[1:]))}</figcaption></figure>'


def similar_lines(similar: SimilarPhotograph, prediction: Prediction) -> list[str]:
    """Return what is said of a similar photograph: its id, distance, similarity, creator and licence."""
    return [
        similar.id,
        *([] if prediction.point is None else [distance_words(similar.distance_km)]),
        f"similarity {similar.similarity:.2f}",
        similar.creator or "creator not known",
        similar.licence or "licence not known",
    ]


def drawn_similar(prediction: Prediction, lon_deg: float) -> list[dict[str, Any]]:
    """Return `at` and `lines` of the similar photographs, each by the turn nearest to a meridian."""
    return [
        {
            "at": [one.latitude, one.longitude - 360 * round((one.longitude - lon_deg) / 360)],
            "lines": [*similar_lines(one, prediction), coordinate_words(one.latitude, one.longitude)],
        }
        for one in prediction.similar
    ]
