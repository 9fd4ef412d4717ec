"""The page on a real model, command by command, against a hub on this machine."""

import io
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plumbing.files import read_json
from tests.loopback import loopback
from tests.loopback_hub import REPO, Hub
from tests.test_docs import blocks_of, shell_lines
from tests.test_fetch_sources_osv5m import HEADER

ROOT = Path(__file__).parents[1]
CITIES = np.array([[48.85, 2.35], [-33.87, 151.2], [35.68, 139.7], [40.71, -74.0], [-1.29, 36.8], [19.4, -99.1]])
"""Latitude and longitude around which the hub's pictures lie; each city has its own colour."""
SMALL = {
    "osv5m": "--repo {repo} --endpoint {url} --max-side 64",
    "build": "--clusters 3 6",
    "joint": "--arch shufflenet_v2_x0_5 --weights none --image-size 32 --epochs 8 --batch-size 32 --workers 0",
    "calibrate": "--workers 0",
    "evaluate": "--workers 0",
}
"""By verb, what makes its command fit the small hub: later flags win."""


def archive(ids: range) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as file:
        for number in ids:
            rng = np.random.default_rng(number)
            colour = np.random.default_rng(number % len(CITIES)).integers(40, 215, 3)
            pixels = (colour + rng.integers(-40, 40, (48, 64, 3))).astype(np.uint8)
            encoded = io.BytesIO()
            Image.fromarray(pixels).save(encoded, "JPEG")
            file.writestr(f"00/{number}.jpg", encoded.getvalue())
    return packed.getvalue()


def table(ids: range) -> bytes:
    lines = []
    for number in ids:
        lat, lon = CITIES[number % len(CITIES)] + np.random.default_rng(number + 10_000).normal(0, 0.5, 2)
        lines.append(f"{number},{lat:.5f},{lon:.5f},,s{number},1588334400000,u{number}\n")
    return (HEADER + "".join(lines)).encode()


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Yield the commands of the page, fitted to a hub with 420 training and 90 test pictures."""
    train, test = range(420), range(1000, 1090)
    files = {
        "train.csv": table(train),
        "test.csv": table(test),
        "images/train/00.zip": archive(train),
        "images/test/00.zip": archive(test),
    }
    page = next(block for block in blocks_of("docs/real-model.md") if "fetch osv5m" in block.text)
    with loopback() as server:
        Hub(server, files)
        found = []
        for line in shell_lines(page.text):
            words = shlex.split(line)
            verb = next((word for word in words if word in SMALL), "")
            extra = SMALL.get(verb, "").format(repo=REPO, url=server.url)
            line = re.sub(r"--images 50000 --test-images 5000", "--images 400 --test-images 80", line)
            found.append(f"{line} {extra}".strip())
        yield found


@pytest.mark.slow
def test_every_command_of_the_page_does_what_it_says(commands, tmp_path):
    Image.fromarray(np.full((48, 64, 3), 120, np.uint8)).save(tmp_path / "photo.jpg")
    (tmp_path / "train").symlink_to(ROOT / "train")
    assert commands[0] == "pip install transformers"
    for command in commands[1:]:
        done = subprocess.run(
            [sys.executable, *shlex.split(command)[1:]],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    evaluated = read_json(next(tmp_path.glob("runs/real/**/evaluation*.json")))
    assert "geoscore" in str(evaluated)
    answer = read_json(tmp_path / "predictions" / "predictions.json")
    assert isinstance(answer[0]["latitude"], float)
    assert (tmp_path / "coverage.html").is_file()
    assert (tmp_path / "data" / "osv5m" / "features").is_dir()


def test_the_table_of_costs_has_a_row_for_every_trunk_that_was_measured():
    measured = read_json(ROOT / "bench" / "results" / "trunks.json")["rows"]
    page = (ROOT / "docs" / "real-model.md").read_text(encoding="utf-8")
    for row in measured:
        if row.get("width"):
            assert (
                f"| {row['what']}, {row['size']} px, {row['device']} | {row['width']:,} | {row['float32']:.1f} |"
                in page
            )
