"""The way down to the answer in names of places: Asia, Southeast Asia, Thailand, and a cell in it."""

from geocells.m49 import regions, subregions
from infer.prediction import Prediction
from infer.wording import CONTINENTS, COUNTRIES, COVER, LIKELY, SUBREGIONS, class_words, named_places, trail
from viz.maps.places import cell_country, place_box
from viz.maps.scene import Scene
from viz.maps.targets import cell_button, view_button
from viz.maps.wording import percent

DEPTH = {CONTINENTS: 1, SUBREGIONS: 2, COUNTRIES: 3}
"""How far down the way goes to what a headline names."""


def trail_html(scene: Scene) -> str:
    """Return the way down to the answer as buttons that zoom; empty where no country is known."""
    names = way(scene.prediction)
    words = [class_words(name, "country").removeprefix("the ") for name in names]
    buttons = [
        view_button(said, place_box(name), scene.lon_deg, f"probability {percent(_held(name, scene.prediction))}")
        for k, (name, said) in enumerate(zip(names, words, strict=True))
        # Antarctica is continent, subregion and country.
        if said not in words[:k]
    ]
    if len(names) == DEPTH[COUNTRIES]:
        buttons += _cell(scene, names[-1], words[-1])
    items = "".join(f"<li>{button}</li>" for button in buttons)
    return f'<nav class="trail" aria-label="zoom to"><ol>{items}</ol></nav>' if items else ""


def way(prediction: Prediction) -> list[str]:
    """Return continent, subregion and code of the country that the headline begins with; no finer than what it names."""
    confident = prediction.answer_level == prediction.finest.level
    regions = [prediction.regions[coverage] for coverage in sorted(prediction.regions)]
    countries = ((regions[0] if confident else regions[-1]).countries if regions else ()) or prediction.countries
    known = [(country.code, country.share) for country in countries if country.code in subregions()]
    if confident:
        return trail(known, LIKELY)
    return trail(known, COVER)[: DEPTH[named_places(known, COVER)[0]]]


def _held(name: str, prediction: Prediction) -> float:
    """Return the probability of a country, subregion or continent."""
    known = [country for country in prediction.countries if country.code in subregions()]
    return sum(c.share for c in known if name in (c.code, subregions()[c.code], regions()[c.code]))


def _cell(scene: Scene, code: str, country: str) -> list[str]:
    """Return the button of the most probable finest cell in a country, where there is one beside the country itself."""
    if not scene.layers or scene.layers[-1].level_name != scene.prediction.finest.level:
        return []
    layer = scene.layers[-1]
    for rank, (cell, place) in enumerate(zip(layer.cells, layer.place, strict=True)):
        if cell_country(cell) == code:
            said = place.removesuffix(f", {country}")
            about = f"cell {cell.id}, probability {percent(cell.probability)}"
            return [] if said == country else [cell_button(said, rank, about)]
    return []
