"""A map on which somebody draws a box around where a photograph was taken; the app shows it in a frame."""

from viz.web.page import PLAIN, Page, map_page

ABOVE = """<header class="drawing">
<p>Click two opposite corners; or move the map with the arrow keys, and Enter sets a corner at its middle.</p>
<p><output id="drawn">No box is drawn.</output> <button type="button" id="clear" hidden>Clear</button></p>
</header>"""


def area_html() -> str:
    """Return the page; what is drawn is posted to the page around it as `{"box": "south,west,north,east"}` in degrees."""
    page = Page(
        title="Map on which a box is drawn",
        data={},
        script="area.js",
        start="startArea",
        before=("pick.js",),
        styles=("app.css",),
        above=ABOVE,
    )
    return map_page(page, PLAIN)
