"""What stands on the map: which cells are shown, how they are coloured, what each line and mark means."""

from html import escape

from infer.prediction import Prediction
from viz.maps.cells import RANKS
from viz.maps.ramp import MARKS, ramp_share
from viz.maps.regions import has_specks, outlines, widest_first
from viz.maps.scene import Scene
from viz.maps.wording import region_name, size_words
from viz.web.page import swatches

HATCH = (
    '<svg width="0" height="0" aria-hidden="true" class="patterns"><defs><pattern id="specks" width="5" height="5" '
    'patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path d="M1 0V5"/></pattern></defs></svg>'
)
"""The pattern that fills single cells of a region."""


def key_html(scene: Scene) -> str:
    """Return the key of the map as HTML."""
    parts = [_levels(scene), _colours(scene), _stepper(scene), f'<div class="legend">{_marks(scene.prediction)}</div>']
    return f'{HATCH}<section class="key" aria-label="Key of the map">{"".join(parts)}</section>'


def _levels(scene: Scene) -> str:
    if len(scene.layers) < 2:
        return ""
    buttons = "".join(
        f'<button type="button" title="level {escape(layer.level_name)}">'
        f"{escape(size_words(scene.prediction.levels[layer.level_name]))}</button>"
        for layer in scene.layers
    )
    return f'<div class="levels" role="group" aria-label="size of the cells shown"><span>Cells of</span>{buttons}</div>'


def _colours(scene: Scene) -> str:
    if not scene.layers:
        return ""
    marks = "".join(
        f'<span style="left:{100 * float(ramp_share(value)):.1f}%">{words}</span>' for value, words in MARKS
    )
    ramp = f'<div class="ramp-title">Probability of a cell</div><i class="ramp"></i><div class="ticks">{marks}</div>'
    ranks = swatches([(colour, words) for _, colour, words in RANKS])
    return (
        f'<div class="by-probability">{ramp}</div><div class="by-rank legend" hidden>{ranks}</div>'
        '<label class="ranks"><input type="checkbox" id="ranks"> Colour by rank</label>'
    )


def _stepper(scene: Scene) -> str:
    if not scene.layers:
        return ""
    return (
        '<div class="stepper" role="group" aria-label="cells, one after the other">'
        '<button type="button" id="previous" aria-label="previous cell">‹</button>'
        '<output id="cell" aria-live="polite">Cells by probability</output>'
        '<button type="button" id="next" aria-label="next cell">›</button></div>'
    )


def _marks(prediction: Prediction) -> str:
    marks = [
        ("pin", "point", prediction.point is not None),
        ("metadata-location", "metadata location", bool(prediction.metadata)),
        ("similar-place", "similar training photograph", bool(prediction.similar)),
    ]
    shown = "".join(f'<span><b class="{mark}"></b>{words}</span>' for mark, words, present in marks if present)
    shown += "".join(
        f'<span><i class="outline{" dashed" if dashed else ""}"></i>{escape(words)}</span>'
        for words, dashed in reversed(outlines(prediction))
    )
    if has_specks(prediction):
        name = region_name(widest_first(prediction)[0].coverage)
        shown += f'<span><i class="speck"></i>{escape(name)}, single cells</span>'
    return shown
