"""The page of the game: a person and the network guess where the same photographs were taken."""

from collections.abc import Mapping
from html import escape
from typing import Any

from plumbing.text import counted
from viz.web.page import MERCATOR, Page, map_page

ABOVE = """<main class="game">
<h1>Where was this taken?</h1>
<p class="soft" id="about">{about}</p>
<form id="who">
<label for="player">Your name, as the table is to hold it</label>
<span class="line"><input id="player" required maxlength="60" autocomplete="nickname"> <button type="submit">Play</button></span>
</form>
<div id="round" hidden>
<p id="progress" role="status"></p>
<img id="photo" alt="The photograph to be guessed">
<form id="guess">
<label for="countries">Up to five countries, the likeliest first, with commas between</label>
<input id="countries" autocomplete="off" autocapitalize="words" spellcheck="false">
<p class="soft">And, or instead: click on the map. On the keyboard, arrows move the map and Enter takes its middle.</p>
<p><output id="picked">No place is chosen.</output></p>
<p class="line"><button type="submit">Guess</button> <button type="button" id="pass">No idea</button></p>
</form>
<div id="result" tabindex="-1" hidden>
<h2 id="truth"></h2>
<div id="compared"></div>
<p class="legend"><span><i class="mark person"></i>you</span><span><i class="mark network"></i>the network</span>\
<span><i class="mark truth"></i>where it was taken</span></p>
<p id="taken" class="soft"></p>
<p><button type="button" id="next">Next photograph</button></p>
</div>
</div>
<p id="problem" class="warning" role="alert"></p>
<section id="scores" aria-label="Scores" hidden></section>
<p class="soft">A hypothesis, not proof: do not use such guesses to find a person.</p>
</main>"""


def game_html(about: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        about: `data` and `run` by their names, `photographs` (how many), `side` (pixels that the network sees), `blind`
            (whether photographs are shown at that size), `note` (how cells become countries), `most` (countries of a guess).
    """
    shown = (
        f"Shown at {about['side']} x {about['side']} pixels, as the network sees them."
        if about["blind"]
        else f"Shown in full; the network sees {about['side']} x {about['side']} pixels."
    )
    words = (
        f"{counted(about['photographs'], 'photograph')} of {about['data']} that the network {about['run']} has not learned from. "
        f"{shown} {about['note']}"
    )
    page = Page(
        title="Play against the network",
        data={"game": dict(about)},
        script="game.js",
        start="startGame",
        before=("pick.js",),
        styles=("app.css",),
        above=ABOVE.format(about=escape(words.strip())),
        body_class="playing",
        connects=True,
    )
    return map_page(page, MERCATOR)
