"""Views of a panorama look in different directions: thinning keeps or leaves them together, by place and by number."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dataset.manifest import read_manifest
from fetch.candidates import Candidate
from fetch.config import ThinConfig
from fetch.ingest import ingest
from fetch.panoramas import Panoramas, shots
from fetch.rejected import Rejection, read_rejected
from fetch.sources.config import IngestConfig
from fetch.thin import run
from tests.spheres import gpano, panorama
from tests.test_fetch_thin import LOOKS_OFF

NEAR = 0.0003
"""Degrees of latitude, which are 33 metres."""


def street(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8))


def sphere_file(folder, name, seed):
    panorama(512, seed=seed).save(folder / f"{name}.jpg", xmp=gpano(), quality=95)
    return folder / f"{name}.jpg"


@pytest.fixture
def dataset(tmp_path):
    """Return a function that makes a dataset of photographs and panoramas: name, place, picture or seed, fields."""

    def made(*photos):
        candidates = [
            Candidate(name, place, sphere_file(tmp_path, name, what) if isinstance(what, int) else what, fields)
            for name, place, what, fields in photos
        ]
        data = tmp_path / "data"
        ingest(
            data, Panoramas("auto", stated_first=True).cut(candidates), IngestConfig(), rejected=[Rejection("x", "y")]
        )
        return data

    return made


def thinned(data, **settings):
    run(ThinConfig(data=data, **{**LOOKS_OFF, "duplicate_bits": -1, **settings}))
    return sorted(read_manifest(data)["id"]), {r.id: r for r in read_rejected(data) if r.stage == "thin"}


def views(*names):
    return [f"{name}-view-{k}" for name in names for k in (1, 2, 3, 4)]


def test_all_views_of_a_lonely_panorama_stay(dataset):
    assert thinned(dataset(("p", (48.0, 2.0), 1, {})))[0] == views("p")


def test_of_two_panoramas_side_by_side_one_stays_with_all_its_views(dataset):
    kept, left = thinned(dataset(("p", (48.0, 2.0), 1, {}), ("q", (48.0 + NEAR, 2.0), 2, {})))
    assert kept in (views("p"), views("q"))
    assert {r.reason for r in left.values()} == {"too close to a better picture"}
    assert len(left) == 4
    assert [float(r.value) for r in left.values()] == pytest.approx([33.36] * 4, abs=0.1)


def test_of_two_panoramas_at_one_place_one_stays_with_all_its_views(dataset):
    kept, left = thinned(dataset(("p", (48.0, 2.0), 1, {}), ("q", (48.0, 2.0), 2, {})))
    assert kept in (views("p"), views("q"))
    assert {float(r.value) for r in left.values()} == {0.0}


def test_a_panorama_is_as_good_as_its_best_view(dataset):
    # Noise is sharper than any view of waves.
    kept, _ = thinned(dataset(("p", (48.0, 2.0), 1, {}), ("sharp", (48.0 + NEAR, 2.0), street(0), {})))
    assert kept == ["sharp"]
    dull = Image.new("RGB", (64, 48), (90, 90, 90))
    kept, _ = thinned(dataset(("p", (48.0, 2.0), 1, {}), ("dull", (48.0 + NEAR, 2.0), dull, {})))
    assert kept == views("p")


def test_a_panorama_counts_as_one_photograph_of_its_sequence_and_of_its_creator(dataset):
    places = [(48.0 + 0.01 * k, 2.0) for k in range(3)]
    by = {"sequence_id": "s", "creator": "c"}
    data = dataset(*((name, place, k, by) for k, (name, place) in enumerate(zip("pqr", places, strict=True), 1)))
    kept, left = thinned(data, max_per_sequence=2)
    assert len(kept) == 8
    assert len({name.split("-")[0] for name in kept}) == 2
    assert {(r.reason, r.value) for r in left.values()} == {("beyond the best of a sequence", "3")}
    kept, left = thinned(data, max_creator_share=0.4)
    assert len(kept) == 4
    assert {(r.reason, r.value) for r in left.values()} == {("beyond the best of a creator", "1")}


def test_looks_judge_each_view_by_itself(dataset, tmp_path):
    pixels = np.asarray(panorama(512, seed=1)).copy()
    pixels[:, 192:320] = 3
    Image.fromarray(pixels).save(tmp_path / "half.jpg", xmp=gpano(), quality=95)
    data = dataset(("half", (48.0, 2.0), tmp_path / "half.jpg", {}))
    kept, left = thinned(data, min_luma=40.0)
    assert kept == views("half")[1:]
    assert left["half-view-1"].reason == "too dark"


def test_views_are_of_one_shot_and_everything_else_is_a_shot_of_its_own():
    cut = "view of 90 degrees cut from a panorama"
    photos = pd.DataFrame(
        [
            ("import", "a", None, 1.0, 2.0, None),
            ("import", "p", "s", 1.0, 2.0, cut),
            ("import", "q", "s", 1.0, 2.0, f"{cut}; 64x64 JPEG"),
            ("import", "p", "s", 1.0, 2.0, cut),
            ("import", "a", None, 1.0, 2.0, "1024x768 JPEG"),
            ("import", "q", "s", 1.0, 2.0, cut),
            ("import", "n", None, np.nan, np.nan, cut),
            ("import", "n", None, np.nan, np.nan, cut),
        ],
        columns=["source", "source_id", "sequence_id", "latitude", "longitude", "modification"],
    )
    assert shots(photos).tolist() == [0, 1, 2, 1, 4, 2, 6, 6]
    assert shots(photos.drop(columns="modification")).tolist() == list(range(8))
