"""Conformal prediction sets of countries or labels, and the most probable ones, as a page shows them."""

from html import escape

from infer.parts import SHOWN_MEMBERS, ClassSet
from infer.prediction import Prediction
from infer.wording import class_words
from label_maps.labels import COUNTRY, STATED
from viz.maps.wording import listed, percent

SHOWN = 10
"""Classes of the table."""
NOUNS, CLASS_NOUNS = {COUNTRY: ("country", "countries")}, ("class", "classes")
"""One and several classes of a level, and of levels that have no word of their own."""


def set_line(found: ClassSet) -> str:
    """Return a set in one line: `90% set, 3 countries: Belgium, France and Luxembourg`."""
    many = len(found.classes)
    noun = NOUNS.get(found.level, CLASS_NOUNS)[many != 1]
    names = [member.name for member in found.classes]
    return f"{found.coverage * 100:.10g}% set, {many:,} {noun}: {listed(names, SHOWN_MEMBERS)}"


def set_heading(found: ClassSet) -> str:
    """Return the heading over the sizes of such sets: `90% set, countries`."""
    return f"{found.coverage * 100:.10g}% set, {NOUNS.get(found.level, CLASS_NOUNS)[1]}"


def sets_say_all(prediction: Prediction) -> bool:
    """Say whether each region is the area of the countries in a set, so that words on the region would repeat it."""
    return all(
        region.coverage in prediction.sets and region.level == prediction.sets[region.coverage].level
        for region in prediction.regions.values()
    )


def stated_alone(prediction: Prediction) -> bool:
    """Say whether the only level is that of countries or labels, which have a table of their own."""
    return list(prediction.levels) == [prediction.finest.level] and prediction.finest.level in STATED


def sets_html(prediction: Prediction) -> str:
    """Return the conformal sets of an answer as HTML, the smallest first, and what their coverage means."""
    sets = sorted(prediction.sets.values(), key=lambda found: found.coverage)
    if not sets:
        return ""
    lines = "".join(f"<li>{escape(set_line(found))}</li>" for found in sets)
    share = f"{sets[-1].coverage * 100:.10g}%"
    what = "country" if sets[-1].level == "country" else "class"
    meaning = f"Of photographs like those that the run was calibrated with, about {share} have their {what} in their {share} set."
    if prediction.prior is not None or prediction.photographs or prediction.views:
        meaning = (
            f"The {share} is approximate here: it was measured for single photographs and without other knowledge."
        )
    return f'<div><ul class="regions">{lines}</ul><p class="soft">{meaning}</p></div>'


def classes_html(prediction: Prediction) -> str:
    """Return a table of the most probable countries or labels; nothing where the finest level is another.

    The classes of the largest set are among them, however little probability they have.
    """
    level = prediction.finest
    if level.level not in STATED or not level.cells:
        return ""
    shares = {cell.id: cell.probability for cell in level.cells}
    sets = [found for found in prediction.sets.values() if found.level == level.level]
    if sets:
        shares |= {member.id: member.probability for member in max(sets, key=lambda found: found.coverage).classes}
    ranked = sorted(shares, key=lambda name: -shares[name])[:SHOWN]
    rows = "".join(_row(class_words(name, level.level), shares[name]) for name in ranked)
    head, said = "Probability", ""
    if level.confidence is not None:
        head = "Raw probability"
        said = (
            '<p class="soft">Raw probabilities are not calibrated. The calibrated confidence above says how likely the first '
            f"{NOUNS.get(level.level, CLASS_NOUNS)[0]} is right.</p>"
        )
    return f"<table><tr><th>{escape(level.level.capitalize())}</th><th>{head}</th></tr>{rows}</table>{said}"


def _row(words: str, probability: float) -> str:
    return f"<tr><td>{escape(words)}</td><td>{escape(percent(probability))}</td></tr>"
