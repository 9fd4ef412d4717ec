"""What stands beside the map of an answer."""

from collections.abc import Mapping
from html import escape
from typing import Any

from infer.prediction import NOTICE, LevelPrediction, MetadataLocation, Photograph, Prediction
from infer.review import review_urls
from infer.wording import class_words
from viz.maps.cells import RANKS
from viz.maps.explanation import picture_html, similar_html
from viz.maps.regions import outlines, regions_html
from viz.maps.scene import Scene
from viz.maps.sets import classes_html, sets_html, sets_say_all, stated_alone
from viz.maps.wording import (
    NOT_CALIBRATED,
    confidence_words,
    coordinate_words,
    file_name,
    metadata_words,
    percent,
    place_words,
    prior_words,
)
from viz.web.page import swatches


def panel_html(scene: Scene) -> str:
    """Return what stands beside the map, as HTML: first what may be relied on, last where the answer comes from."""
    prediction = scene.prediction
    parts = [
        _headline(prediction),
        *(f'<p class="warning">{escape(warning)}</p>' for warning in prediction.warnings),
        f'<p class="notice">{NOTICE}</p>',
        "" if sets_say_all(prediction) else regions_html(prediction),
        sets_html(prediction),
        picture_html(prediction),
        _point(prediction),
        *(_location(location) for location in prediction.metadata),
        _photographs(prediction),
        classes_html(prediction),
        "" if stated_alone(prediction) else _levels_table(prediction),
        _switch(scene),
        _legend(scene),
        similar_html(prediction),
        _provenance(prediction),
    ]
    return f'<aside class="panel">{"".join(parts)}</aside>'


def _headline(prediction: Prediction) -> str:
    prior = "" if prediction.prior is None else f"<p>{escape(prior_words(prediction.prior))}</p>"
    confidence = f'<p class="confidence">{escape(confidence_words(prediction))}</p>'
    return f"<div>{prior}<h1>{escape(prediction.headline)}</h1>{confidence}</div>"


def _point(prediction: Prediction) -> str:
    if prediction.point is None:
        return ""
    words = [f"Point {coordinate_words(*prediction.point)}"]
    words += [] if prediction.place is None else [place_words(prediction.place)]
    note = f"<p>{escape(prediction.point_note)}</p>" if prediction.point_note else ""
    return f'<div class="point"><p class="soft">{escape("; ".join(words))}.</p>{_links(*prediction.point)}{note}</div>'


def _location(location: MetadataLocation) -> str:
    return f"<p>{escape(metadata_words(location))}.</p>{_links(location.latitude, location.longitude)}"


def _links(latitude: float, longitude: float) -> str:
    """Return links to a place on maps of others; nothing is asked until somebody follows one."""
    links = " · ".join(
        f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{escape(name)}</a>'
        for name, url in review_urls(latitude, longitude).items()
    )
    return f'<p class="links">{links}</p>'


def _photographs(prediction: Prediction) -> str:
    if not prediction.photographs:
        return ""
    rows = "".join(_photograph(photograph) for photograph in prediction.photographs)
    return f"<table><tr><th>Photograph</th><th>Agreement</th><th>Verdict</th></tr>{rows}</table>"


def _photograph(photograph: Photograph) -> str:
    agreement = "" if photograph.agreement is None else percent(photograph.agreement)
    verdict = "contradicts" if photograph.contradicts else "agrees" if agreement else ""
    return f"<tr><td>{escape(photograph.input)}</td><td>{escape(agreement)}</td><td>{verdict}</td></tr>"


def _levels_table(prediction: Prediction) -> str:
    rows = "".join(_level(level) for level in prediction.levels.values() if level.cells)
    return (
        f"<table><tr><th>Level</th><th>Cell size</th><th>Best cell</th><th>Confidence</th></tr>{rows}</table>"
        if rows
        else ""
    )


def _level(level: LevelPrediction) -> str:
    confidence = NOT_CALIBRATED if level.confidence is None else percent(level.confidence)
    size = "" if level.best.size_km is None else f"{float(f'{level.best.size_km:.1g}'):,.0f} km"
    cells = (level.level, size, class_words(level.best.id, level.level), confidence)
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _switch(scene: Scene) -> str:
    if not scene.layers:
        return ""
    buttons = "".join(f'<button type="button">{escape(layer.level_name)}</button>' for layer in scene.layers)
    return f'<div class="levels" role="group" aria-label="level of the cells shown">{buttons}</div>'


def _legend(scene: Scene) -> str:
    prediction = scene.prediction
    marks = [
        ("pin", "point", prediction.point is not None),
        ("metadata-location", "metadata location", bool(prediction.metadata)),
        ("similar-place", "similar training photograph", bool(prediction.similar)),
    ]
    shown = "".join(f'<span><b class="{mark}"></b>{words}</span>' for mark, words, present in marks if present)
    shown += "".join(
        f'<span><i class="outline{" dashed" if dashed else ""}"></i>{escape(words)}</span>'
        for words, dashed in outlines(prediction)
    )
    ranks = swatches([(colour, words) for _, colour, words in RANKS]) if scene.layers else ""
    return f'<div class="legend">{shown}{ranks}</div>'


def _provenance(prediction: Prediction) -> str:
    made = prediction.provenance
    facts = {
        "photograph": prediction.input,
        "SHA-256": prediction.sha256,
        "point by": prediction.point_method,
        "run": made.run,
        "model hash": made.model_hash,
        "version": made.version,
        "git commit": made.git_commit,
        "run created": made.created_at_utc,
        "answered": made.answered_at_utc,
        "fusion": made.fusion,
        "temperatures": _pairs(made.temperatures),
        "options": _pairs(made.options),
        "source": made.source,
        "cite": made.citation,
    }
    rows = "".join(f"<dt>{key}</dt><dd>{escape(str(value))}</dd>" for key, value in facts.items() if value)
    terms = f'<p class="terms">Model licence: {escape(made.licence)}</p>' if made.licence else ""
    return f"{terms}<details><summary>Provenance</summary><dl>{rows}</dl></details>"


def _pairs(values: Mapping[str, Any]) -> str:
    """Return the values that are set as text; of a file its name alone."""
    return ", ".join(
        f"{key} {_plain(value)}" for key, value in values.items() if value not in (None, [], (), False, "")
    )


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else file_name(str(value))
