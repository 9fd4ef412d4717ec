"""A source of one's own, as docs/extending.md describes it: an iterator of candidates, handed to `ingest`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from dataset.images import Pictures
from dataset.manifest import read_located, read_manifest
from fetch.candidates import Candidate
from fetch.ingest import ingest
from fetch.rejected import Rejection, read_rejected
from fetch.sources.config import IngestConfig
from plumbing.images import open_rgb

WEBCAMS = {"zermatt": (46.02, 7.75), "ushuaia": (-54.81, -68.31), "apia": (-13.83, -171.76), "nowhere": None}


def webcams(rejected: list[Rejection]) -> Iterator[Candidate]:
    """Yield a photograph of each webcam; `rejected` receives those without a place."""
    for name, latlon_deg in WEBCAMS.items():
        if latlon_deg is None:
            rejected.append(Rejection(name, "without coordinates", stage="webcams"))
            continue
        picture = Image.new("RGB", (64, 48), (len(name) * 20, 120, 90))
        yield Candidate(name, latlon_deg, picture, {"source": "webcams", "licence": "CC0-1.0", "creator": name})


def make(out: Path) -> int:
    rejected: list[Rejection] = []
    return ingest(out, webcams(rejected), IngestConfig(max_side=32), rejected=rejected).reused


@pytest.fixture
def data(tmp_path):
    assert make(tmp_path / "webcams") == 0
    return tmp_path / "webcams"


def test_a_source_of_candidates_becomes_a_dataset(data):
    photos = read_located(data).set_index("id")
    assert {name: tuple(photos.loc[name, ["latitude", "longitude"]]) for name in photos.index} == {
        name: place for name, place in WEBCAMS.items() if place
    }
    assert set(photos["source"]) == {"webcams"}
    assert set(photos["licence"]) == {"CC0-1.0"}
    assert photos["split"].isin(["train", "calibration", "test"]).all()
    pictures = Pictures.of_dataset(data, photos.reset_index())
    assert {open_rgb(pictures.source(row)).size for row in range(len(photos))} == {(32, 24)}


def test_what_a_source_leaves_out_is_listed_with_its_reason(data):
    assert [(r.id, r.reason, r.stage) for r in read_rejected(data)] == [("nowhere", "without coordinates", "webcams")]


def test_run_again_a_source_stores_nothing_twice(data):
    before = read_manifest(data)
    assert make(data) == 3
    assert read_manifest(data).equals(before)
