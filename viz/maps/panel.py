"""What stands beside the map of an answer."""

from collections.abc import Mapping
from html import escape
from typing import Any

from infer.prediction import NOTICE, MetadataLocation, Prediction
from infer.review import review_urls
from viz.maps.alternatives import alternatives_html
from viz.maps.doubts import doubts_html
from viz.maps.downloads import downloads_html
from viz.maps.explanation import picture_html, similar_html
from viz.maps.geodesic import great_circle_deg
from viz.maps.photographs import photographs_html, views_html
from viz.maps.regions import regions_html
from viz.maps.scene import Scene
from viz.maps.sets import sets_html, sets_say_all
from viz.maps.targets import view_button
from viz.maps.trail import trail_html
from viz.maps.wording import (
    confidence_words,
    coordinate_words,
    file_name,
    metadata_words,
    place_words,
    prior_words,
)


def panel_html(scene: Scene) -> str:
    """Return what stands beside the map, as HTML: first what may be relied on, last where the answer comes from."""
    prediction = scene.prediction
    parts = [
        _head(scene),
        photographs_html(prediction) or views_html(prediction) or picture_html(prediction),
        doubts_html(prediction),
        _places(scene),
        alternatives_html(scene),
        similar_html(prediction),
        downloads_html(prediction),
        _provenance(prediction),
    ]
    return f'<main class="panel">{"".join(parts)}</main>'


def _head(scene: Scene) -> str:
    prediction = scene.prediction
    prior = "" if prediction.prior is None else f"<p>{escape(prior_words(prediction.prior))}</p>"
    sizes = "" if sets_say_all(prediction) and prediction.sets else regions_html(prediction)
    confidence = f'<p class="confidence">{escape(confidence_words(prediction))}</p>'
    return (
        f'<div class="head">{prior}<h1>{escape(prediction.headline)}</h1>{sizes}{sets_html(prediction)}{confidence}'
        f'<p class="notice">{NOTICE}</p>{trail_html(scene)}</div>'
    )


def _places(scene: Scene) -> str:
    """Return the point and what the metadata says, each with links to maps of others."""
    lines = [_point(scene.prediction), *(_location(location, scene) for location in scene.prediction.metadata)]
    return f'<div class="places">{"".join(lines)}</div>' if any(lines) else ""


def _point(prediction: Prediction) -> str:
    if prediction.point is None:
        return ""
    words = [f"Point {coordinate_words(*prediction.point)}"]
    words += [] if prediction.place is None else [place_words(prediction.place)]
    latitude, longitude = prediction.point
    copy = f'<button type="button" class="copy" data-copy="{latitude:.5f}, {longitude:.5f}">Copy coordinates</button>'
    return f"<p>{escape('; '.join(words))}.</p>{_links(latitude, longitude, copy)}"


def _location(location: MetadataLocation, scene: Scene) -> str:
    way = [(location.latitude, location.longitude)]
    if scene.prediction.point is not None:
        way = great_circle_deg(scene.prediction.point, way[0]).tolist()
    lats, lons = [lat for lat, _ in way], [lon for _, lon in way]
    margin = 0.1 * max(max(lats) - min(lats), max(lons) - min(lons), 1.0)
    box = (max(min(lats) - margin, -90), min(lons) - margin, min(max(lats) + margin, 90), max(lons) + margin)
    show = view_button("Show", box, scene.lon_deg, "show it on the map")
    return f"<p>{escape(metadata_words(location))}.</p>{_links(location.latitude, location.longitude, show)}"


def _links(latitude: float, longitude: float, button: str) -> str:
    """Return links to a place on maps of others; nothing is asked until somebody follows one."""
    links = " ".join(
        f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{escape(name)}</a>'
        for name, url in review_urls(latitude, longitude).items()
    )
    return f'<p class="links">{links} {button}</p>'


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
