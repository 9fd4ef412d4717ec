"""Files that a page of an answer holds and saves without a network."""

from dataclasses import replace
from html import escape
from typing import Any

from infer.prediction import LevelPrediction, Prediction
from viz.maps.raster import packed_json
from viz.maps.wording import file_name

MOST_CELLS = 200
"""So many cells of each level are in the file; the probability of the others is added up."""

FILES = (("json", "Answer (JSON)"), ("geojson", "Regions and point (GeoJSON)"))
"""What is offered: the ending of the file, and the words of its button."""


def downloads_html(prediction: Prediction) -> str:
    """Return buttons that save the answer as files."""
    stem = file_name(prediction.input).rsplit(".", 1)[0] or "answer"
    buttons = "".join(
        f'<button type="button" data-file="{kind}" data-name="{escape(stem)}.{kind}">{words}</button>'
        for kind, words in FILES
    )
    return f'<div class="downloads" role="group" aria-label="Download"><span>Download</span>{buttons}</div>'


def packed_files(prediction: Prediction) -> dict[str, str]:
    """Return the files as `packed_json`, without the folders in which photographs lie."""
    shared = without_folders(prediction)
    return {"json": packed_json(shared.to_dict()), "geojson": packed_json(shared.to_geojson())}


def without_folders(prediction: Prediction) -> Prediction:
    """Return an answer as it may be given to others: without paths, and with the most probable cells of each level."""
    levels = {name: _shortened(level) for name, level in prediction.levels.items()}
    return replace(
        prediction,
        path=None,
        levels=levels,
        photographs=tuple(replace(photo, path=None) for photo in prediction.photographs),
        similar=tuple(replace(one, path=file_name(one.path)) for one in prediction.similar),
        provenance=replace(prediction.provenance, options=_plain(dict(prediction.provenance.options))),
        drawing=None,
    )


def _shortened(level: LevelPrediction) -> LevelPrediction:
    left = sum(cell.probability for cell in level.cells[MOST_CELLS:])
    if not left:
        return level
    unlisted = float(f"{level.unlisted_probability + left:.6g}")
    return replace(level, cells=level.cells[:MOST_CELLS], unlisted_probability=unlisted)


def _plain(value: Any) -> Any:
    """Return an option with the names of files alone."""
    if isinstance(value, dict):
        return {key: _plain(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(content) for content in value]
    return file_name(value) if isinstance(value, str) and value else value
