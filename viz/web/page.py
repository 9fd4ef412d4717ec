"""One map as one page: Leaflet, styles and data inside it, so that it opens from disk without a network."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import folium
from branca.element import Element, Figure
from folium.template import Template
from xstatic.pkg import leaflet

from plumbing.addresses import check_tiles
from viz.base_map.packing import CREDIT, STEP_DEG, shipped_bytes
from viz.base_map.regions import regions_of
from viz.maps.raster import base64_text

OCEAN, BARE_LAND = "var(--ocean)", "var(--land)"
"""Grounds of the base map, as styles name them."""

CELL_OPACITY = 200
"""Of cells that are painted on a grid, of 255: coast and borders are seen through them."""

PLAIN, MERCATOR = "EPSG4326", "EPSG3857"
"""Projections: plain degrees, which show the poles and all cells alike, and Web Mercator, which tiles need."""

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")

WEB = Path(__file__).parent
BASICS = "basics.js"
SCRIPTS = ("canvas.js", "base_map.js", "cells.js")
"""What the scripts of all pages use, and of those with a map."""


class _Verbatim(Element):
    # An Element takes its text for a template, in which somebody's `{{` would be code.
    _template = Template("{{ this.text }}")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


@dataclass(frozen=True)
class Page:
    """What is on a page beside the map.

    Attributes:
        title: as text.
        data: what the scripts find in `data`; plain values.
        script: file of `viz/web/`, run after `SCRIPTS`.
        start: function of that script that takes the map.
        before: further files of `viz/web/`, run between `SCRIPTS` and `script`.
        styles: files of `viz/web/`, after those of all maps.
        above: HTML before the map, escaped by the caller.
        below: HTML after it, likewise.
        body_class: class of the body.
        area: south, west, north, east in degrees of an area whose first-level regions are shown, too; None shows none.
        connects: whether its script asks the server that it came from; such a page does not work from disk.
        pictures_beside: whether it shows pictures that lie beside it as files.
    """

    title: str
    data: Mapping[str, Any]
    script: str
    start: str
    before: Sequence[str] = ()
    styles: Sequence[str] = ()
    above: str = ""
    below: str = ""
    body_class: str = ""
    area: tuple[float, float, float, float] | None = None
    connects: bool = False
    pictures_beside: bool = False


def map_page(page: Page, crs: str = PLAIN, tiles: str | None = None, scale: bool = False) -> str:
    """Return a page with one map as HTML, over the base map or over tiles; same input, same bytes.

    Args:
        page: what is on it.
        crs: projection; with tiles it is Web Mercator.
        tiles: address of background tiles, for which the page then needs the network.
        scale: show a bar of kilometres.

    Raises:
        ValueError: `tiles` is not an address of tiles.
    """
    world = folium.Map(
        tiles=None,
        crs=MERCATOR if tiles else crs,
        control_scale=scale,
        prefer_canvas=True,
        zoom_snap=0.25,
        max_bounds_viscosity=0.8,
    )
    # What folium would load from other machines.
    world.default_js, world.default_css = [], []
    if tiles:
        check_tiles("--tiles", tiles)
        folium.TileLayer(tiles, attr=escape(f"Tiles: {urlsplit(tiles).hostname}")).add_to(world)
    figure = world.get_root()
    assert isinstance(figure, Figure)
    _number(figure)
    figure.title = escape(page.title)
    figure.header.add_child(_Verbatim(f"{_policy(page, tiles)}{_leaflet_head()}{_styles(page)}"), name="head")
    figure.html.add_child(_Verbatim(page.above), name="above")
    world.render()
    data = {**page.data, "base_map": None if tiles else base_map_data(page.area)}
    figure.html.add_child(_Verbatim(f"{page.below}{_data(data)}"), name="below")
    figure.script.add_child(_Verbatim(_program(page, world.get_name())), name="program")
    html = figure.render().replace("<html>", '<html lang="en">', 1)
    # Folium forbids readers to enlarge a page, which some need.
    html = html.replace("initial-scale=1.0, maximum-scale=1.0, user-scalable=no", "initial-scale=1.0", 1)
    return re.sub(r"[ \t]+$", "", html.replace("<body>", f'<body class="{page.body_class}">', 1), flags=re.MULTILINE)


def plain_page(page: Page) -> str:
    """Return a page without a map as HTML; its script is started with null. Same input, same bytes."""
    scripts = "\n".join(map(_web, (BASICS, *page.before, page.script)))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(page.title)}</title>\n{_policy(page, None)}{_styles(page)}</head>\n"
        f'<body class="{page.body_class}">\n{page.above}{page.below}{_data(page.data)}\n'
        f"<script>\n{scripts}\n{page.start}(null);\n</script>\n</body>\n</html>\n"
    )


def _number(figure: Element) -> None:
    """Number the elements in their order, where folium draws names at random."""
    waiting = [figure]
    for number, element in enumerate(waiting):
        element._id = str(number)
        waiting.extend(element._children.values())


def _policy(page: Page, tiles: str | None) -> str:
    # The browser itself is told to load nothing: what slips into a page one day is refused, not fetched.
    pictures = "data:" + (f" {_origin(tiles)}" if tiles else "")
    pictures += " 'self'" if page.connects or page.pictures_beside else ""
    pictures += " file:" if page.pictures_beside else ""
    policy = f"default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src {pictures}"
    policy += "; connect-src 'self'" if page.connects else ""
    return f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'


def _leaflet_head() -> str:
    script, style = _leaflet()
    return f"<style>\n{style}\n</style>\n<script>\n{script}\n</script>\n"


def _styles(page: Page) -> str:
    return f"<style>\n{look('page.css', *page.styles)}</style>\n"


def _origin(tiles: str) -> str:
    parts = urlsplit(tiles)
    return f"{parts.scheme}://{parts.netloc.replace('{s}', '*')}"


@cache
def _leaflet() -> tuple[str, str]:
    """Return Leaflet's script and style without what a browser would load beside them."""
    folder = Path(leaflet.BASE_DIR)
    script = (folder / "leaflet.js").read_text(encoding="utf-8")
    style = (folder / "leaflet.css").read_text(encoding="utf-8")
    script = re.sub(r"//# sourceMappingURL=\S+", "", script).replace("https://leafletjs.com", "leafletjs.com")
    # The pictures of its layer switch and of its default marker; we use neither.
    style = re.sub(r"/\*.*?\*/", "", re.sub(r"url\([^)]*\)", "none", style), flags=re.DOTALL)
    return script.strip(), re.sub(r"\n\s*\n+", "\n", style).strip()


@cache
def _web(name: str) -> str:
    return (WEB / name).read_text(encoding="utf-8")


def _data(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Inside <script> only `</script` and `<!--` end or change the mode; without any `<` there is neither.
    return f'<script type="application/json" id="data">{text.replace("<", chr(92) + "u003c")}</script>'


def _program(page: Page, map_name: str) -> str:
    scripts = "\n".join(map(_web, (BASICS, *SCRIPTS, *page.before, page.script)))
    return f"{scripts}\naddBaseMap({map_name});\n{page.start}({map_name});"


def base_map_data(area: tuple[float, float, float, float] | None = None) -> dict[str, Any]:
    """Return the base map as `base_map.js` takes it, with the first-level regions of an area that is narrow enough."""
    regions = None if area is None else regions_of(area)
    packed = {"packed": _shipped_text()} | ({} if regions is None else {"regions": base64_text(regions)})
    return {**packed, "step": STEP_DEG, "credit": CREDIT}


@cache
def _shipped_text() -> str:
    return base64_text(shipped_bytes())


def seen_over(colour: str, ground: str = BARE_LAND) -> str:
    """Return the colour that a painted cell has over land or sea, as styles of legends name it."""
    return f"color-mix(in srgb, {colour} {100 * CELL_OPACITY / 255:.1f}%, {ground})"


def look(*names: str) -> str:
    """Return the style sheet of all pages, and of one kind of page behind it."""
    return "".join(map(_web, ("look.css", *names)))


@cache
def colours(theme: Theme = "light") -> dict[str, str]:
    """Return the colours of `look.css` by name, for what is drawn without a browser."""
    light, dark, _ = _web("look.css").split("@media", 2)
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]+);", light if theme == "light" else light + dark))


def swatches(items: Sequence[tuple[str, str]]) -> str:
    """Return entries of a legend as HTML: colours and the words beside them."""
    return "".join(f'<span><i style="background:{colour}"></i>{escape(words)}</span>' for colour, words in items)


def swatch(light: str, dark: str, words: str) -> str:
    """Return an entry of a legend as HTML, with a colour for each theme."""
    return f'<span><i class="swatch" style="--light:{light};--dark:{dark}"></i>{escape(words)}</span>'
