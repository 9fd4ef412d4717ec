"""What else an answer could be: the most probable countries and cells, each a button that shows it on the map."""

from html import escape

from infer.prediction import Cell, Country, Prediction
from viz.maps.cells import CellLayer
from viz.maps.places import place_box
from viz.maps.scene import Scene
from viz.maps.sets import classes_html, stated_alone
from viz.maps.targets import cell_button, view_button
from viz.maps.wording import percent

COUNTRIES, CELLS = 5, 5
"""So many of each are listed."""


def alternatives_html(scene: Scene) -> str:
    """Return what else an answer could be as HTML; empty where nothing is known."""
    prediction = scene.prediction
    # Where classes are countries, or have names, the table of them says it all.
    parts = [classes_html(prediction) or _countries(scene)]
    parts += [] if stated_alone(prediction) or not scene.layers else [_cells(scene.layers[-1], counted(prediction))]
    shown = "".join(parts)
    if not shown:
        return ""
    return f'<section aria-labelledby="else"><h2 id="else">What else could it be?</h2>{shown}</section>'


def counted(prediction: Prediction) -> bool:
    """Say whether it is known what the cells were trained on; of a published model nobody here knows."""
    made = prediction.provenance
    return not (made.licence or made.citation or made.source)


def _countries(scene: Scene) -> str:
    shown = scene.prediction.countries[:COUNTRIES]
    if not shown:
        return ""
    rows = "".join(_country(country, scene.lon_deg) for country in shown)
    left = sum(country.share for country in scene.prediction.countries[COUNTRIES:])
    rest = f'<li class="soft">other countries {escape(percent(left))}</li>' if left >= 0.0005 else ""
    return f'<ul class="bars">{rows}{rest}</ul>'


def _country(country: Country, lon_deg: float) -> str:
    bar = f'<span class="bar"><i style="width:{100 * min(country.share, 1):.1f}%"></i></span>'
    try:
        button = view_button(country.name, place_box(country.code), lon_deg)
    except ValueError:
        # A country that the shipped outlines do not have.
        button = escape(country.name)
    return f"<li>{button}{bar}<span>{escape(percent(country.share))}</span></li>"


def _cells(layer: CellLayer, with_counts: bool) -> str:
    head = "<th>Cell</th><th>Probability</th>" + ("<th>Training photographs</th>" if with_counts else "")
    cells = zip(layer.cells[:CELLS], layer.place[:CELLS], strict=True)
    rows = "".join(_cell(rank, cell, place, with_counts) for rank, (cell, place) in enumerate(cells))
    return f'<table class="cells"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _cell(rank: int, cell: Cell, place: str, with_counts: bool) -> str:
    count = f"<td>{cell.training_photographs:,}</td>" if with_counts else ""
    name = cell_button(place, rank, title=f"cell {cell.id}")
    return f"<tr><td>{name}</td><td>{escape(percent(cell.probability))}</td>{count}</tr>"
