"""What stands around the map of a coverage page: switches, histogram, tables and legend."""

from collections.abc import Sequence
from html import escape

import pandas as pd

from geocells.land import TABLE_LEVEL
from viz.maps.cell_errors import CellErrors, step_words
from viz.maps.coverage_data import ALL
from viz.maps.ramps import themed_swatches
from viz.maps.survey import bare_words, survey_legend
from viz.web.page import BARE_LAND, OCEAN, seen_over, swatches


def controls_html(splits: Sequence[str], level: int, errors: CellErrors | None) -> str:
    """Return the panel beside the map and the tables below it; the script fills them.

    Args:
        splits: their names, one of them alone where there are none.
        level: the one shown first.
        errors: of a run, where there is one.
    """
    levels = switch_html(
        "level", "Level of the cells", [(str(n), f"L{n}") for n in range(1, TABLE_LEVEL + 1)], str(level)
    )
    every = [] if len(splits) == 1 else [(ALL, "all"), *((name, name) for name in splits)]
    shown = [("photographs", "photographs"), ("error", "median error")] if errors else []
    return f"""<aside class="side" aria-label="What the map shows">
<form class="search" role="search"><label for="place">Find a country, city, cell or coordinates</label>
<div><input id="place" type="search" list="places" autocomplete="off" placeholder="Kenya, 0/1/2/3 or 48.9, 2.4">
<button>Find</button></div><datalist id="places"></datalist><p id="found" role="status"></p></form>
{levels}{switch_html("split", "Split", every, ALL)}{switch_html("shown", "Colour by", shown, "photographs")}
<p id="summary" aria-live="polite"></p>
<p class="frames"><button type="button" id="frame-data">Frame the data</button>
<button type="button" id="frame-world">Whole world</button></p>
<section><h2 id="bars-title">Photographs in a cell</h2>
<p class="soft">Choose a bar to see its cells; point at a cell to see its bar.</p>
<ul id="bars" aria-labelledby="bars-title"></ul></section>
<section aria-live="polite" aria-labelledby="cell-title"><h2 id="cell-title">Cell</h2>
<div id="cell"><p class="soft">None is chosen: click on the map, find one above, or move the map with the arrow keys and
press Enter for the cell in its middle.</p></div></section>
</aside>
<div class="lower">
<section class="countries"><h2 id="countries-title">Countries</h2>
<p class="soft">A cell counts for the country that has most land in it.</p>
<div class="scroll" tabindex="0" role="region" aria-labelledby="countries-title"><table id="countries"></table></div></section>
<section class="uneven"><h2>Cells to act on</h2><div id="uneven"></div></section>
</div>"""


def switch_html(name: str, title: str, choices: Sequence[tuple[str, str]], chosen: str) -> str:
    """Return radio buttons that look like one switch; nothing where there is no choice."""
    if not choices:
        return ""
    options = "".join(
        f'<label><input type="radio" name="{name}" value="{escape(value)}"{" checked" if value == chosen else ""}>'
        f"<span>{escape(words)}</span></label>"
        for value, words in choices
    )
    return f'<fieldset class="switch" id="{name}"><legend>{escape(title)}</legend><div>{options}</div></fieldset>'


def legend_html(
    ramp: Sequence[str], ramp_on_dark: Sequence[str], survey: pd.DataFrame | None, errors: CellErrors | None
) -> str:
    """Return what the colours of the map mean, of photographs and of errors."""
    light = ", ".join(seen_over(colour) for colour in ramp)
    dark = ", ".join(seen_over(colour) for colour in ramp_on_dark)
    style = f"--light:linear-gradient(90deg, {light});--dark:linear-gradient(90deg, {dark})"
    photographs = (
        f'<div class="legend" id="legend-photographs"><span>photographs: 1<i class="ramp swatch" style="{style}"></i>'
        f'<b id="most"></b></span>{swatches([(BARE_LAND, bare_words(survey)), (OCEAN, "ocean")])}'
        f"{'' if survey is None else survey_legend(survey)}</div>"
    )
    if errors is None:
        return photographs
    of = escape(f"median error of {errors.run} on the {errors.split} split")
    return f'{photographs}<div class="legend" id="legend-error" hidden><span>{of}:</span>{themed_swatches(step_words())}</div>'
