"""Why an answer may be wrong, as its page says it."""

from html import escape

from infer.prediction import Prediction
from viz.maps.places import cell_places
from viz.maps.regions import coverage_words
from viz.maps.sets import sets_say_all
from viz.maps.wording import size_words

MOSTLY_WRONG = 0.5
"""Below this confidence the finest answer is more likely wrong than right, which is said in words."""


def doubts_html(prediction: Prediction) -> str:
    """Return why to doubt an answer as HTML: warnings, how often such answers are wrong, and why the point lies apart."""
    warnings = "".join(f'<p class="warning">{escape(warning)}</p>' for warning in prediction.warnings)
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in reasons_of(prediction))
    listed = f'<ul class="reasons">{reasons}</ul>' if reasons else ""
    if not warnings and not listed:
        return ""
    return (
        '<section class="doubts" aria-labelledby="doubts"><h2 id="doubts">Why doubt it?</h2>'
        f"{warnings}{listed}</section>"
    )


def reasons_of(prediction: Prediction) -> list[str]:
    """Return what makes an answer less certain than it looks, apart from its warnings."""
    found = []
    confidence, answered = prediction.confidence, prediction.answered
    if confidence is not None and answered is not None and confidence < MOSTLY_WRONG:
        wrong = f"{100 * (1 - confidence):.0f}"
        # "100 of 100" would be a certainty.
        wrong = "more than 99" if wrong == "100" else wrong
        found.append(
            f"In {wrong} of 100 such answers the most probable area of {size_words(answered)} is the wrong one."
        )
    if confidence is None and prediction.answer_level is not None:
        found.append("The run is not calibrated, so its percentages may be far too high.")
    if not sets_say_all(prediction):
        found += [words] if (words := coverage_words(prediction)) else []
    found += [_point_note(prediction)] if prediction.point_note else []
    return found


def _point_note(prediction: Prediction) -> str:
    """Return why the point lies outside the best cell, which is named by its place."""
    level = prediction.finest
    best = [cell for cell in level.cells[:1] if cell.bounds]
    place = cell_places(best, level.level)[0] if best else ""
    return prediction.point_note.replace(f" {level.best.id}:", f" ({place}):" if place else ":", 1)
