import re
from html import escape
from html.parser import HTMLParser

import pytest

from viz.web.page import Page, map_page

REVIEW = ("https://www.google.com/maps/search/?api=1&query=", "https://www.openstreetmap.org/?mlat=")
"""Where links of pages lead to."""
HOSTILE = "</script><script>alert(1)</script>{{ 7 * 7 }}<!-- \u2028 &amp;"


class Loads(HTMLParser):
    """What the tags of a page name to be loaded or followed."""

    def __init__(self):
        super().__init__()
        self.found, self.tags, self.policy, self.links = [], [], "", []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        if tag == "a":
            # A link is followed by who clicks it, never by itself.
            self.links.append((values.pop("href"), values.get("rel")))
            attrs = list(values.items())
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "poster", "action")]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]


def loads(html):
    parser = Loads()
    parser.feed(html)
    return parser


def assert_refers_to_no_network(html):
    assert all(value.startswith("data:") for value in loads(html).found)
    for address, rel in loads(html).links:
        assert address.startswith(REVIEW)
        assert rel == "noopener noreferrer"
        html = html.replace(escape(address), "")
    # The namespace of SVG is a name that looks like an address; nothing loads it.
    assert set(re.findall(r"(?:http|https|ftp|ws|wss)://[^\s\"'`<)]*", html)) <= {"http://www.w3.org/2000/svg"}
    for style in re.findall(r"<style>.*?</style>", html, re.DOTALL):
        assert not re.search(r"url\(|@import|//", style)
    assert not re.search(r"sourceMappingURL|import\(|[\"'(]//\w", html)
    assert "default-src 'none'" in loads(html).policy


def page(**changes):
    return Page(**{"title": "a", "data": {}, "script": "coverage.js", "start": "startCoverage", **changes})


def test_a_page_refers_to_no_network():
    assert_refers_to_no_network(map_page(page()))


def test_the_check_for_a_network_sees_the_page_that_folium_makes_by_itself():
    import folium

    with pytest.raises(AssertionError):
        assert_refers_to_no_network(folium.Map().get_root().render())


def test_the_same_input_gives_the_same_bytes():
    assert map_page(page(), scale=True) == map_page(page(), scale=True)


def test_hostile_text_stays_text_in_title_and_data():
    html = map_page(page(title=HOSTILE, data={"name": HOSTILE}))
    assert "<script>alert" not in html
    assert "{{ 7 * 7 }}" in html
    assert loads(html).tags == loads(map_page(page(data={"name": ""}))).tags


def test_tiles_are_asked_for_only_when_wanted_and_only_where_named():
    html = map_page(page(), tiles="https://{s}.tile.example.org/{z}/{x}/{y}.png")
    assert "https://{s}.tile.example.org/{z}/{x}/{y}.png" in html
    assert "img-src data: https://*.tile.example.org" in loads(html).policy
    assert "EPSG3857" in html


def test_an_address_without_tile_numbers_is_refused():
    with pytest.raises(ValueError, match=r"\{x\}.*got 'https://example.org/tile.png'"):
        map_page(page(), tiles="https://example.org/tile.png")
