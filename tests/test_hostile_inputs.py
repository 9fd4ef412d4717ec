"""What files from elsewhere did to whole commands: each once ended one, lost its answers, or spoke to the terminal."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataset.manifest import read_manifest
from fetch.sources.config import ImportConfig
from fetch.sources.imports import run as import_pictures
from infer.__main__ import predict
from infer.config import InferConfig
from tests.tiny import write_square

ROOT = Path(__file__).parent.parent
NOT_UTF8 = os.fsdecode(b"caf\xe9.jpg")
ESCAPES = "\x1b]0;owned\x07\x1b[2J.jpg"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return write_square(tmp_path / "in" / "red.jpg", (230, 40, 40), np.random.default_rng(0))


def copied(photo: Path, name: str) -> Path:
    """Copy a photograph under a name that some file systems refuse."""
    path = photo.parent / name
    try:
        path.write_bytes(photo.read_bytes())
    except OSError:
        pytest.skip("this file system takes no such names")
    return path


@pytest.mark.parametrize("maps", [True, False])
def test_a_name_that_is_not_utf8_loses_no_answer(photo, tiny_run, tmp_path, maps):
    other = copied(photo, NOT_UTF8)
    predict(InferConfig(photos=(photo, other), run=tiny_run, out=tmp_path / "out", maps=maps, workers=0, device="cpu"))
    answers = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [os.fsencode(answer["path"]) for answer in answers] == [os.fsencode(photo), os.fsencode(other)]
    assert len(pd.read_csv(tmp_path / "out" / "predictions.csv")) == 2
    assert len(json.loads((tmp_path / "out" / "predictions.geojson").read_text())["features"]) == 2
    assert sum(path.name.startswith("caf") for path in (tmp_path / "out").glob("*.html")) == maps


def test_a_name_that_is_not_utf8_loses_no_answer_of_many(photo, tiny_run, tmp_path):
    copied(photo, NOT_UTF8)
    out = tmp_path / "out"
    predict(InferConfig(photos=(photo.parent,), run=tiny_run, out=out, bulk=True, workers=0, device="cpu"))
    table = pd.read_parquet(out)
    assert sorted(Path(path).name for path in table["input"]) == ["caf\\udce9.jpg", "red.jpg"]
    assert table["latitude"].notna().all()


def test_a_name_that_is_not_utf8_is_imported(photo, tmp_path):
    named = copied(photo, os.fsdecode(b"48.5,2.5_caf\xe9.jpg"))
    copied(photo, "48.6,2.6.jpg")
    photo.unlink()
    import_pictures(ImportConfig(source=named.parent, out=tmp_path / "data"))
    assert sorted(read_manifest(tmp_path / "data")["latitude"]) == [48.5, 48.6]


def dds() -> bytes:
    """Return a picture of DirectX whose compression Pillow does not implement."""
    pixel_format = struct.pack("<II4s5I", 32, 4, b"ABCD", 0, 0, 0, 0, 0)
    return b"DDS " + struct.pack("<7I44x", 124, 0x1007, 8, 8, 0, 0, 0) + pixel_format + bytes(20 + 64)


def shared_hostile() -> list[bytes]:
    """Return the damaged pictures of the shared cases, where they lie beside the checkout."""
    folder = ROOT.parent / "shared" / "cases" / "hostile"
    return [path.read_bytes() for path in sorted(folder.glob("f_*/*.jpg"))]


@pytest.mark.parametrize("content", [dds(), *shared_hostile()])
def test_a_picture_that_its_decoder_fails_on_ends_no_command(photo, tiny_run, tmp_path, content, caplog):
    (photo.parent / "48.6,2.6.jpg").write_bytes(content)
    photo = photo.rename(photo.parent / "48.5,2.5.jpg")
    predict(
        InferConfig(photos=(photo.parent,), run=tiny_run, out=tmp_path / "out", maps=False, workers=0, device="cpu")
    )
    answers = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [Path(answer["path"]).name for answer in answers] == ["48.5,2.5.jpg"]
    import_pictures(ImportConfig(source=photo.parent, out=tmp_path / "data"))
    assert read_manifest(tmp_path / "data")["latitude"].tolist() == [48.5]
    assert "48.6,2.6.jpg" in caplog.text


@pytest.mark.slow
def test_a_command_shows_escapes_in_names_as_text(photo, tiny_run, tmp_path):
    copied(photo, ESCAPES).write_bytes(b"no picture")
    copied(photo, "good" + ESCAPES)
    flags = ["--run", tiny_run, "--out", tmp_path / "out", "--no-maps", "--workers", "0", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-m", "infer", "predict", *map(str, [photo.parent, *flags])],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    said = done.stdout + done.stderr
    assert b"\\x1b]0;owned\\x07\\x1b[2J.jpg" in said
    assert b"\x1b" not in said
    assert b"\x07" not in said
