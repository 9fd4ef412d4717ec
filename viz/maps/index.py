"""The index of many answers: one map of all points, if any, and a table that sorts and filters, each row with its page."""

from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infer.overview import Overview
from infer.prediction import NOTICE
from viz.maps.coverage_controls import switch_html
from viz.maps.ramps import ON_DARK, ON_LIGHT, themed_swatches
from viz.maps.sets import set_heading, set_line
from viz.web.page import PLAIN, Page, map_page, plain_page, swatches

UNKNOWN = "#8a8f94"
"""Of points whose confidence is not calibrated."""


def index_html(overview: Overview, tiles: str | None = None) -> str:
    """Return the page that lists many answers; same input, same bytes.

    Args:
        overview: the answers.
        tiles: address of background tiles, for which the page then needs the network.
    """
    levels = [k for k in range(len(overview.levels)) if not np.isnan(overview.confidence[:, k]).all()]
    chosen = _telling(overview.confidence, levels)
    placed = not np.isnan(overview.points_deg).all()
    page = Page(
        title=overview.title,
        data=_data(overview, levels, chosen),
        before=("lists.js", *(["points.js"] if placed else []), "rows.js"),
        script="index.js",
        start="startIndex",
        styles=("lists.css", "index.css"),
        above=f"{_header(overview)}<main>",
        below=f"{_legend(bool(levels)) if placed else ''}{_card(placed)}{_table(overview, levels, chosen)}</main>",
        body_class="lists index" if placed else "lists index no-map",
        pictures_beside=True,
    )
    return map_page(page, PLAIN, tiles, scale=True) if placed else plain_page(page)


def _card(placed: bool) -> str:
    where = "a row or a point of the map" if placed else "a row"
    return (
        f'<section class="card" id="card" aria-label="Chosen answer"><p class="soft">Point at {where} to see the answer here.'
        "</p></section>"
    )


def _telling(confidence: NDArray[np.float64], levels: list[int]) -> int | None:
    """Return the level whose confidences tell answers apart best: of which the median lies nearest one half."""
    return min(levels, key=lambda k: abs(float(np.nanmedian(confidence[:, k])) - 0.5), default=None)


def _data(overview: Overview, levels: list[int], chosen: int | None) -> dict[str, Any]:
    return {
        "name": [_text(name) for name in overview.name],
        "answer": [_text(answer) for answer in overview.answer],
        "country": list(overview.country),
        "page": list(overview.page),
        "thumbnail": list(overview.thumbnail),
        "levels": [overview.levels[k] for k in levels],
        "level": None if chosen is None else levels.index(chosen),
        "confidence": [_numbers(overview.confidence[:, k], 3) for k in levels],
        "point": _places(overview.points_deg),
        "known": _places(overview.known_deg),
        "away": _numbers(overview.away_km, 1),
        "area": _numbers(overview.area_km2, 0),
        "set": [None if found is None else len(found.classes) for found in overview.sets],
        "set_words": [None if found is None else set_line(found) for found in overview.sets],
        "ramps": [ON_LIGHT, ON_DARK],
        "unknown": UNKNOWN,
    }


def _text(text: str) -> str:
    """Return text that UTF-8 can hold: names of files may be other bytes."""
    return text.encode("utf-8", "replace").decode()


def _numbers(values: NDArray[np.float64], digits: int) -> list[float | None]:
    return [None if np.isnan(value) else round(value, digits) for value in values.tolist()]


def _places(points_deg: NDArray[np.float64]) -> list[list[float] | None]:
    return [None if np.isnan(point[0]) else [round(value, 4) for value in point] for point in points_deg.tolist()]


def _header(overview: Overview) -> str:
    some = len(overview.name) < overview.total
    shown = [f"{len(overview.name):,} of them are listed, evenly from all."] if some else []
    words = " ".join([NOTICE, *shown, *overview.notes])
    return f'<header><h1>{escape(_text(overview.title))}</h1><p class="soft">{escape(_text(words))}</p></header>'


def _legend(calibrated: bool) -> str:
    if not calibrated:
        return f'<div class="legend">{swatches([(UNKNOWN, "answer; the run is not calibrated")])}</div>'
    edges = [f"{20 * k}% to {20 * k + 20}%" for k in range(5)]
    return f'<div class="legend"><b id="of-level"></b>{themed_swatches(edges)}</div>'


def _table(overview: Overview, levels: list[int], chosen: int | None) -> str:
    options = [(str(k), overview.levels[level]) for k, level in enumerate(levels)]
    switch = (
        ""
        if chosen is None or len(levels) < 2
        else switch_html("level", "Confidence at level", options, str(levels.index(chosen)))
    )
    least = "".join(f'<option value="{share}">{share:.0%} or more</option>' for share in (0.2, 0.4, 0.6, 0.8))
    confident = (
        f'<label>Confidence <select id="least"><option value="0">any</option>{least}</select></label>' if levels else ""
    )
    area = "" if overview.coverage is None else f"{overview.coverage * 100:g}% region, km²"
    of_sets = next((set_heading(found) for found in overview.sets if found is not None), "")
    return f"""<section class="answers" aria-label="Answers"><form id="filters" role="search">
<label>Filter by name, country or answer <input id="filter" type="search" autocomplete="off"></label>{confident}{switch}</form>
<p id="count" role="status"></p>
<div class="scroll" id="scroll" tabindex="0" role="region" aria-label="Table of answers">
<table id="rows" data-area="{escape(area)}" data-set="{escape(of_sets)}"><thead></thead><tbody></tbody></table></div></section>"""
