"""Headless Chromium for tests of pages: what a page looks like, and what its scripts answer."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium or Chrome on this machine")

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--virtual-time-budget=2000",
)


def screenshot(html: str, folder: Path, width: int = 1000, height: int = 700) -> NDArray[np.uint8]:
    """Return (height, width, 3) what a page shows two seconds after it was opened from disk."""
    picture = folder / "page.png"
    _run(html, folder, f"--window-size={width},{height}", f"--screenshot={picture}")
    with Image.open(picture) as shot:
        return np.asarray(shot.convert("RGB"))


def evaluate(html: str, folder: Path, expression: str) -> Any:
    """Return the value of a JavaScript expression at the end of a page's script."""
    head, tail = html.rsplit("</script>", 1)
    asked = f"{head}\ndocument.title = JSON.stringify({expression});\n</script>{tail}"
    page = _run(asked, folder, "--window-size=1000,700", "--dump-dom")
    title = re.search(r"<title>(.*?)</title>", page, re.DOTALL)
    assert title, "the page has no title"
    return json.loads(unescape(title[1]))


def evaluate_on_base_map(html: str, folder: Path, expression: str) -> Any:
    """Return the value of a JavaScript expression of `world` once a page has drawn its base map."""
    then = f"map_1.baseMap.then((world) => (document.title = JSON.stringify({expression})))"
    return evaluate(html, folder, f"({then}, null)")


def share_near(picture: NDArray[np.uint8], colour: str, most: int = 3) -> float:
    """Return the share of pixels that differ from a colour by at most so much, as mixed colours do by rounding."""
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
    return float((np.abs(picture.astype(int) - wanted).max(axis=-1) <= most).mean())


def _run(html: str, folder: Path, *flags: str) -> str:
    page = folder / "page.html"
    page.write_text(html, encoding="utf-8")
    command = [CHROMIUM, *QUIET, f"--user-data-dir={folder / 'profile'}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def share_of(picture: NDArray[np.uint8], colour: str) -> float:
    """Return the share of pixels that have exactly a colour such as `#a9cfe6`."""
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return float((picture == wanted).all(axis=-1).mean())
