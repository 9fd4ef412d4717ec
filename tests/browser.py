"""Headless Chromium for tests of pages, by Playwright: what a page looks like, what its scripts answer, what keys do.

Nothing but the files of the page and servers on loopback can be reached. A console error, an error of a script and a request
that fails or leaves the machine fail the test.
"""

import asyncio
import atexit
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from viz.web.page import CELL_OPACITY, colours

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright, Request, Route

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)

needs_chromium = pytest.mark.skipif(
    not CHROMIUM or not find_spec("playwright"), reason="no Chromium or Chrome on this machine, or no playwright"
)
needs_axe = pytest.mark.skipif(
    not CHROMIUM or not find_spec("axe_playwright_python"), reason="no Chromium, or no axe-playwright-python"
)

DESKTOP, PHONE = (1280, 900), (390, 844)
"""Width and height of windows, in pixels."""
THEMES = ("light", "dark")
SHOWN_MS = 400
"""How long a page is waited for after it is painted, in milliseconds."""
FLAGS = ("--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking")
LAND, OCEAN = colours()["land"], colours()["ocean"]
"""Of the base map in the light theme."""
OF_PAGE, OF_MACHINE = ("file", "data", "blob", "about"), ("127.0.0.1", "localhost", "::1")


@contextmanager
def open_page(
    address: str | Path, size: tuple[int, int] = DESKTOP, theme: str = "light", touch: bool = False
) -> "Iterator[Page]":
    """Open a file or an address on loopback; what went wrong in the meantime fails the test at the end.

    Args:
        address: path of a page, or the address of a server on loopback.
        size: (width, height) of the window in pixels.
        theme: `light` or `dark`, as the page is told that its reader prefers.
        touch: a screen that is touched, without a mouse.
    """
    faults: list[str] = []
    with _chromium() as browser:
        page = browser.new_page(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if theme == "dark" else "light",
            reduced_motion="reduce",
            has_touch=touch,
        )
        page.on("console", lambda said: said.type == "error" and faults.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: faults.append(f"script: {error}"))
        page.on("requestfailed", lambda asked: _failed(asked, faults))
        page.route("**/*", lambda route: _refuse_strangers(route, faults))
        try:
            page.goto(address.absolute().as_uri() if isinstance(address, Path) else address)
            yield page
        finally:
            page.close()
    assert not faults, "; ".join(faults)


_started: "list[tuple[Browser, asyncio.AbstractEventLoop]]" = []


@contextmanager
def _chromium() -> "Iterator[Browser]":
    """Give the one browser of this process, which takes seconds to start.

    Playwright leaves its event loop running in this thread; it is put away in the meantime, so that other tests can run theirs.
    """
    if not _started:
        from playwright.sync_api import sync_playwright

        driver = sync_playwright().start()
        _started.append(
            (driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS)), asyncio.get_running_loop())
        )
        atexit.register(_stop, driver)
    browser, loop = _started[0]
    asyncio._set_running_loop(loop)
    try:
        yield browser
    finally:
        asyncio._set_running_loop(None)


def _stop(driver: "Playwright") -> None:
    browser, loop = _started.pop()
    asyncio._set_running_loop(loop)
    browser.close()
    driver.stop()


def _refuse_strangers(route: "Route", faults: list[str]) -> None:
    parts = urlsplit(route.request.url)
    if parts.scheme in OF_PAGE or parts.hostname in OF_MACHINE:
        return route.continue_()
    faults.append(f"request to another machine: {_words(route.request)}")
    return route.abort()


def _failed(asked: "Request", faults: list[str]) -> None:
    # A stream of events that the page itself ends, as gradio's pages do, has not failed.
    if asked.failure != "net::ERR_ABORTED":
        faults.append(f"failed request: {_words(asked)}")


def _words(asked: "Request") -> str:
    return f"{asked.method} {asked.url[:200]} {asked.failure or ''}"


def written(html: str, folder: Path) -> Path:
    """Return the path of a page that was written to disk."""
    path = folder / "page.html"
    path.write_text(html, encoding="utf-8")
    return path


@contextmanager
def open_html(
    html: str, folder: Path, size: tuple[int, int] = DESKTOP, theme: str = "light", touch: bool = False
) -> "Iterator[Page]":
    """Open a page from its text, as `open_page` does, once its base map is drawn."""
    with open_page(written(html, folder), size, theme, touch) as page:
        wait_for_base_map(page)
        yield page


def wait_for_base_map(page: "Page") -> None:
    """Return when the base map of a page is drawn and shown; after two frames where it has none."""
    page.evaluate("typeof map_1 === 'undefined' ? null : Promise.resolve(map_1.baseMap).then(() => null)")
    page.evaluate("new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(() => shown(null))))")
    # Without a graphics card a frame reaches the screenshot somewhat after it was painted.
    page.wait_for_timeout(SHOWN_MS)


def wait_until(page: "Page", expression: str, most_s: float = 30.0) -> None:
    """Return once an expression is true; Playwright's own waiting is refused by pages that forbid `eval`."""
    end = time.monotonic() + most_s
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"never true: {expression}"
        page.wait_for_timeout(20)


def tab_to(page: "Page", selector: str, most: int = 60) -> None:
    """Press Tab until the focus is on an element, as somebody without a mouse does; fail after so many times."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab does not reach {selector}")


def serious_faults(page: "Page") -> list[str]:
    """Return what axe-core finds of serious and critical faults of accessibility, a line each: rule, element, why."""
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(page).response["violations"]
    return [
        f"{found['id']}: {node['html'][:160]}: {node.get('failureSummary', '')}"
        for found in violations
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]


def screenshots(address: str | Path, name: str, folder: Path, whole: bool = False) -> list[Path]:
    """Write what a page looks like at both sizes and in both themes, and return the paths.

    Args:
        address: as `open_page` takes it.
        name: what the files are called, before size and theme.
        folder: where they go; the folder that the environment names as `SCREENSHOTS` comes first.
        whole: the whole page, and not only what the window shows.
    """
    folder = Path(os.environ.get("SCREENSHOTS") or folder)
    folder.mkdir(parents=True, exist_ok=True)
    taken = []
    for size_name, size in (("desktop", DESKTOP), ("phone", PHONE)):
        for theme in THEMES:
            with open_page(address, size, theme) as page:
                wait_for_base_map(page)
                taken.append(folder / f"{name}-{size_name}-{theme}.png")
                taken[-1].write_bytes(_shot(page, whole))
    return taken


def _shot(page: "Page", whole: bool = False) -> bytes:
    # The first may be of a frame before the last painting; it makes the browser show the next one.
    page.screenshot(full_page=whole)
    return page.screenshot(full_page=whole)


def pixels(page: "Page") -> NDArray[np.uint8]:
    """Return (height, width, 3) what the window shows."""
    with Image.open(BytesIO(_shot(page))) as shot:
        return np.asarray(shot.convert("RGB"))


def screenshot(html: str, folder: Path, width: int = 1000, height: int = 700) -> NDArray[np.uint8]:
    """Return (height, width, 3) what a page shows once it is drawn."""
    with open_html(html, folder, (width, height)) as page:
        return pixels(page)


def evaluate(html: str, folder: Path, expression: str) -> Any:
    """Return the value of a JavaScript expression at the end of a page's script."""
    with open_page(written(html, folder), (1000, 700)) as page:
        return page.evaluate(expression)


def evaluate_on_base_map(html: str, folder: Path, expression: str) -> Any:
    """Return the value of a JavaScript expression of `world` once a page has drawn its base map."""
    return evaluate(html, folder, f"map_1.baseMap.then((world) => {expression})")


def painted(colour: str, ground: str = LAND) -> str:
    """Return the colour that a cell painted on a grid has over land or sea in the light theme."""
    over, under = ([int(text[at : at + 2], 16) for at in (1, 3, 5)] for text in (colour, ground))
    share = CELL_OPACITY / 255
    return "#" + "".join(f"{round(share * o + (1 - share) * u):02x}" for o, u in zip(over, under, strict=True))


def share_near(picture: NDArray[np.uint8], colour: str, most: int = 3) -> float:
    """Return the share of pixels that differ from a colour by at most so much, as mixed colours do by rounding."""
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
    return float((np.abs(picture.astype(int) - wanted).max(axis=-1) <= most).mean())


def share_of(picture: NDArray[np.uint8], colour: str) -> float:
    """Return the share of pixels that have exactly a colour such as `#a9cfe6`."""
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return float((picture == wanted).all(axis=-1).mean())
