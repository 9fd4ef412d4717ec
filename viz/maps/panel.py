"""What stands beside the map of an answer."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocells.sphere import distance_km
from viz.maps.answer import coordinate_words, percent, place_words, point_deg
from viz.maps.cells import RANKS, CellLayer
from viz.maps.evidence import neighbours_html, picture_html
from viz.maps.regions import regions_html
from viz.web.page import swatches

VOW = "A hypothesis, not proof."


def panel_html(
    answer: Mapping[str, Any],
    layers: Sequence[CellLayer],
    thumbnail_jpeg: bytes | None,
    truth: tuple[float, float] | None,
    known_by: str,
    model: Mapping[str, Any] | None,
    heat: NDArray[np.float64] | None = None,
    neighbours_jpeg: Sequence[bytes | None] = (),
) -> str:
    """Return what stands beside the map, as HTML: the photograph, the answer, and what speaks for and against it."""
    parts = [
        picture_html(answer, thumbnail_jpeg, heat),
        f'<div><h1>{escape(place_words(answer))}</h1><p class="soft">{escape(_point_words(answer))}</p></div>',
        f'<p class="vow">{VOW}</p>',
        *(f'<p class="warning">{escape(str(warning))}</p>' for warning in answer.get("warnings") or ()),
        _truth_words(point_deg(answer), truth, known_by),
        _levels_table(answer),
        regions_html(answer.get("regions") or ()),
        _switch(layers),
        _legend(truth is not None, bool(answer.get("neighbours"))),
        neighbours_html(answer, neighbours_jpeg),
        _provenance(answer, model),
    ]
    return f'<aside class="panel">{"".join(parts)}</aside>'


def _point_words(answer: Mapping[str, Any]) -> str:
    words = coordinate_words(*point_deg(answer))
    place = answer.get("place") or {}
    if place.get("distance_km") is not None:
        words += f"; the place named is {float(place['distance_km']):,.0f} km from there"
    return words


def _truth_words(point: tuple[float, float], truth: tuple[float, float] | None, known_by: str) -> str:
    if truth is None:
        return ""
    far = float(distance_km(point, truth))
    return f"<p>True place ({known_by}): {coordinate_words(*truth)}, <b>{far:,.1f} km</b> from the answer.</p>"


def _levels_table(answer: Mapping[str, Any]) -> str:
    rows = [
        f"<tr><td>{escape(str(level['level']))}</td><td>{escape(str(level['cells'][0]['id']))}</td>"
        f"<td>{escape(percent(float(level['cells'][0]['probability'])))}</td>{_sure(level)}</tr>"
        for level in answer.get("levels") or ()
        if level["cells"]
    ]
    sure = "<th>Sure</th>" if any("confidence" in level for level in answer.get("levels") or ()) else ""
    head = f"<tr><th>Level</th><th>Best cell</th><th>Probability</th>{sure}</tr>"
    return f"<table>{head}{''.join(rows)}</table>" if rows else ""


def _sure(level: Mapping[str, Any]) -> str:
    """Return how often such a best cell is right, places in cells that the run does not know counted in."""
    return f"<td>{escape(percent(float(level['confidence'])))}</td>" if "confidence" in level else ""


def _switch(layers: Sequence[CellLayer]) -> str:
    buttons = "".join(f'<button type="button">{escape(layer.level_name)}</button>' for layer in layers)
    return f'<div class="levels" role="group" aria-label="level of the cells shown">{buttons}</div>' if layers else ""


def _legend(with_truth: bool, with_neighbours: bool) -> str:
    truth = '<span><b class="true-place"></b>true place</span>' if with_truth else ""
    ranks = swatches([(colour, words) for _, colour, words in RANKS])
    similar = '<span><b class="neighbour"></b>similar training photograph</span>' if with_neighbours else ""
    return f'<div class="legend"><span><b class="pin"></b>answer</span>{truth}{similar}{ranks}</div>'


def _provenance(answer: Mapping[str, Any], model: Mapping[str, Any] | None) -> str:
    facts = [("photograph", str(answer["input"])), ("SHA-256", str(answer.get("sha256") or "")[:16])]
    facts += [("point by", str(answer["point"].get("method") or ""))]
    facts += [(key, str((model or {}).get(key) or "")) for key in ("run", "version", "created")]
    facts += [("model hash", str((model or {}).get("hash") or "")[:16])]
    return f"<dl>{''.join(f'<dt>{key}</dt><dd>{escape(value)}</dd>' for key, value in facts if value)}</dl>"
