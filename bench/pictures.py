"""Pictures of the pages of a run for README and docs: `python -m bench.pictures`, or `make pictures`.

Takes the pages that `make demo` wrote, opens each in headless Chromium and writes small PNGs of 256 colours.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plumbing.files import atomic_path
from tests.browser import CHROMIUM, screenshot

MOST_BYTES = 150_000
"""A picture of the README loads at once, and a clone of the repository stays small."""
COLOURS = (256, 128, 64, 32)
"""Tried in order until a picture is small enough."""


@dataclass(frozen=True)
class Shot:
    """A page to take a picture of.

    Attributes:
        name: file name of the picture, without its suffix.
        page: the page.
        width: of the window, in pixels.
        height: of the window, in pixels.
    """

    name: str
    page: Path
    width: int
    height: int


def main() -> None:
    """Write a picture of each page, and say how large it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--run", type=Path, default=Path("runs/demo"), help="run folder with coverage.html and report.html"
    )
    parser.add_argument("--predictions", type=Path, default=Path("predictions/demo"), help="folder of answer pages")
    parser.add_argument("--answer", help="which answer page, without .html; the first when left out")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"), help="folder of the pictures")
    config = parser.parse_args()
    if not CHROMIUM:
        parser.error("no chromium, chromium-browser or google-chrome was found: install one of them")
    for shot in shots(config.run, config.predictions, config.answer):
        if not shot.page.is_file():
            parser.error(f"{shot.page} is missing: run `make demo` first")
        path = config.out / f"{shot.name}.png"
        size = write_small(picture(shot), path)
        print(f"{path}  {shot.width} x {shot.height}  {size / 1000:.0f} kB")


def shots(run: Path, predictions: Path, answer: str | None) -> list[Shot]:
    """Return what is pictured: an answer, the coverage of the dataset, and the report of the run."""
    pages = sorted(predictions.glob("*.html"))
    first = pages[0] if pages else predictions / "PHOTO.html"
    return [
        Shot("answer", first if answer is None else predictions / f"{answer}.html", 1200, 760),
        Shot("coverage", run / "coverage.html", 1000, 560),
        Shot("report", run / "report.html", 1000, 760),
    ]


def picture(shot: Shot) -> NDArray[np.uint8]:
    """Return (height, width, 3) pixels of a page two seconds after it was opened."""
    with tempfile.TemporaryDirectory() as folder:
        return screenshot(shot.page.read_text(encoding="utf-8"), Path(folder), shot.width, shot.height)


def write_small(
    pixels: NDArray[np.uint8],
    path: Path,
    most_bytes: int | None = None,
    method: Image.Quantize = Image.Quantize.MEDIANCUT,
) -> int:
    """Write (H, W, 3) pixels as a PNG with a palette of as many colours as fit, and return its size in bytes.

    Raises:
        ValueError: the picture is too large even with the fewest colours.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for colours in COLOURS:
        with atomic_path(path) as partial:
            Image.fromarray(pixels).quantize(colours, method=method, dither=Image.Dither.NONE).save(
                partial, "PNG", optimize=True
            )
        size = path.stat().st_size
        if size < (most_bytes or MOST_BYTES):
            return size
    raise ValueError(f"{path} takes {size:,} bytes with {COLOURS[-1]} colours: make its window smaller")


if __name__ == "__main__":
    main()
