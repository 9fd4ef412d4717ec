"""Several photographs of one place, each with its verdict."""

from collections.abc import Sequence
from html import escape

from infer.parts import views_words
from infer.prediction import Photograph, Prediction
from plumbing.text import agreeing, counted
from viz.maps.explanation import picture_html
from viz.maps.raster import base64_text
from viz.maps.wording import percent


def photographs_html(prediction: Prediction) -> str:
    """Return all photographs of one place and whether each agrees with the others, as HTML; empty of a single one."""
    photographs = prediction.photographs
    if not photographs:
        return ""
    jpegs: Sequence[bytes | None] = [] if prediction.drawing is None else prediction.drawing.thumbnails_jpeg()
    shown = jpegs if len(jpegs) == len(photographs) else [None] * len(photographs)
    figures = "".join(_figure(photograph, jpeg) for photograph, jpeg in zip(photographs, shown, strict=True))
    return f'<section class="several"><p>{escape(verdict(photographs))}</p><div>{figures}</div></section>'


def views_html(prediction: Prediction) -> str:
    """Return what a file was read as and its pictures: the whole panorama, or frames of a video; empty of a photograph."""
    if not prediction.views:
        return ""
    said = f"<p>Read as {escape(views_words(prediction.views))}, answered together as one place.</p>"
    drawing = prediction.drawing
    jpegs = [] if drawing is None else drawing.frames_jpeg()
    if not jpegs:
        return f"<section>{said}{picture_html(prediction)}</section>"
    figures = "".join(_frame(prediction.input, at_s, jpeg) for at_s, jpeg in jpegs)
    return f'<section class="several">{said}<div>{figures}</div></section>'


def _frame(name: str, at_s: float, jpeg: bytes) -> str:
    at = f"{at_s:g} s"
    picture = f'<img alt="{escape(name)} at {at}" src="data:image/jpeg;base64,{base64_text(jpeg)}">'
    return f"<figure>{picture}<figcaption>{at}</figcaption></figure>"


def verdict(photographs: Sequence[Photograph]) -> str:
    """Return in one sentence whether photographs of one place agree."""
    odd = sum(photograph.contradicts for photograph in photographs)
    of = f"One answer for {counted(len(photographs), 'photograph')} of one place"
    if not odd:
        return f"{of}, which agree." if len(photographs) > 1 else f"{of}."
    return f"{of}; {odd} {agreeing(odd, 'contradict')} the others."


def _figure(photograph: Photograph, jpeg: bytes | None) -> str:
    name, said = escape(photograph.input), "contradicts the others" if photograph.contradicts else "agrees"
    said = "" if photograph.agreement is None else f"{said}: puts {percent(photograph.agreement)} where the others do"
    picture = "" if jpeg is None else f'<img alt="{name}" src="data:image/jpeg;base64,{base64_text(jpeg)}">'
    odd = ' class="odd"' if photograph.contradicts else ""
    return f"<figure{odd}>{picture}<figcaption><b>{name}</b> {escape(said)}</figcaption></figure>"
