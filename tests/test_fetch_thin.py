"""Thinning leaves out what it says, keeps the better picture, and can be undone."""

import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from scipy.spatial import cKDTree

from dataset.manifest import read_manifest
from fetch.candidates import Candidate
from fetch.config import LooksConfig, ThinConfig
from fetch.ingest import ingest
from fetch.rejected import Rejection, read_rejected
from fetch.sources.config import IngestConfig
from fetch.thin import LOOKS_FLAGS, beyond_cap, crowded, greedy, near_duplicates, run
from fetch.thin import looks as bounds_of_looks
from geocells.sphere import EARTH_RADIUS_KM, chord, unit_vectors

LOOKS_OFF = {
    "min_luma": -1.0,
    "max_luma": 256.0,
    "min_luma_std": -1.0,
    "min_colourfulness": 0.0,
    "min_sharpness": -1.0,
    "max_extreme_share": 1.0,
}
OFF = {**LOOKS_OFF, "min_distance_m": 0.0, "duplicate_bits": -1}


def street(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8))


def dataset(folder: Path, *photos: tuple[str, tuple[float, float], Image.Image, dict]) -> Path:
    ingest(folder, [Candidate(*photo) for photo in photos], IngestConfig(), rejected=[Rejection("early", "missing")])
    return folder


def thinned(data: Path, **settings) -> tuple[set[str], dict[str, str]]:
    run(ThinConfig(data=data, **settings))
    return set(read_manifest(data)["id"]), {r.id: r.reason for r in read_rejected(data) if r.stage == "thin"}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def looks(tmp_path) -> Path:
    grey = street(1).convert("L").convert("RGB")
    ramp = np.tile(np.linspace(20, 220, 64), (48, 1))
    blurred = Image.fromarray(np.stack([ramp, ramp, 240 - ramp], axis=-1).astype(np.uint8))
    return dataset(
        tmp_path / "d",
        ("good", (1, 1), street(0), {}),
        ("dark", (2, 2), street(1).point(lambda v: v // 8), {}),
        ("bright", (3, 3), street(2).point(lambda v: 239 + v // 16), {}),
        ("split", (4, 4), Image.fromarray(np.asarray(street(3)) // 128 * 255), {}),
        ("flat", (5, 5), Image.new("RGB", (64, 48), (120, 160, 90)), {}),
        ("grey", (6, 6), grey, {}),
        ("blurred", (7, 7), blurred, {}),
    )


def test_each_look_is_left_out_for_its_own_reason(looks):
    kept, left = thinned(looks, max_extreme_share=0.2)
    assert kept == {"good"}
    assert left == {
        "dark": "too dark",
        "bright": "too bright",
        "split": "black or white in most places",
        "flat": "without contrast",
        "grey": "without colour",
        "blurred": "blurred",
    }


def test_every_rejection_has_the_measured_value_and_the_threshold(looks):
    thinned(looks)
    by_id = {r.id: r for r in read_rejected(looks)}
    assert float(by_id["dark"].value) < float(by_id["dark"].threshold) == 40
    assert float(by_id["bright"].value) > float(by_id["bright"].threshold) == 235
    assert float(by_id["blurred"].value) < float(by_id["blurred"].threshold) == 60


def test_colourfulness_0_keeps_black_and_white(looks):
    assert "grey" in thinned(looks, min_colourfulness=0.0)[0]


def test_the_same_thresholds_again_change_nothing_at_all(looks):
    thinned(looks)
    before = contents(looks)
    thinned(looks)
    assert contents(looks) == before


def test_other_thresholds_start_from_all_photographs_again(looks):
    original = read_manifest(looks)
    pictures = {name for name in contents(looks) if name.endswith(".jpg")}
    thinned(looks)
    assert len(thinned(looks, **OFF)[0]) == 7
    pd.testing.assert_frame_equal(read_manifest(looks), original)
    assert {name for name in contents(looks) if name.endswith(".jpg")} == pictures


def test_what_the_import_left_out_stays_listed(looks):
    thinned(looks)
    assert (read_rejected(looks)[0].id, read_rejected(looks)[0].stage) == ("early", "import")


def test_leaving_nothing_is_refused_and_changes_nothing(looks):
    before = contents(looks)
    with pytest.raises(ValueError, match=r"no photograph would be left; left out 7 of 7: .*: loosen --min-luma$"):
        run(ThinConfig(data=looks, min_luma=255))
    assert contents(looks) == before


def test_each_look_has_the_flag_that_loosens_it():
    flags = {f"--{field.name.replace('_', '-')}" for field in fields(LooksConfig)}
    assert list(LOOKS_FLAGS) == [reason for _, reason, _, _ in bounds_of_looks(ThinConfig(data=Path("d")))]
    assert set(LOOKS_FLAGS.values()) <= flags


def test_importing_again_brings_back_what_was_thinned(tmp_path):
    photos = [("a", (1.0, 1.0), street(0), {}), ("b", (1.0, 1.0), street(1), {})]
    data = dataset(tmp_path / "d", *photos)
    assert len(thinned(data, **LOOKS_OFF)[0]) == 1
    dataset(data, *photos)
    assert len(read_manifest(data)) == 2
    assert not (data / "unthinned.parquet").exists()


def test_a_folder_that_was_never_measured_is_refused(looks, tmp_path):
    with pytest.raises(ValueError, match="not a dataset"):
        run(ThinConfig(data=tmp_path / "none"))
    (looks / "measures.parquet").unlink()
    with pytest.raises(ValueError, match="never measured"):
        run(ThinConfig(data=looks))


def test_of_two_close_pictures_the_better_stays_and_the_distance_is_told(tmp_path):
    soft = street(1).filter(ImageFilter.GaussianBlur(1))
    data = dataset(tmp_path / "d", ("soft", (48.0, 2.0), soft, {}), ("sharp", (48.0005, 2.0), street(0), {}))
    assert thinned(data, **LOOKS_OFF) == ({"sharp"}, {"soft": "too close to a better picture"})
    assert float(read_rejected(data)[-1].value) == pytest.approx(55.6, abs=0.1)


def test_caps_are_off_until_asked_for_and_count_per_cell(tmp_path):
    photos = [(f"p{i}", (48.0 + i / 100, 2.0), street(i), {"sequence_id": "s", "creator": "c"}) for i in range(10)]
    photos += [(f"q{i}", (-30.0, 150.0 + i / 100), street(50 + i), {"sequence_id": "s"}) for i in range(3)]
    data = dataset(tmp_path / "d", *photos)
    assert len(thinned(data, **OFF)[0]) == 13
    kept, left = thinned(data, **OFF, max_per_sequence=2)
    assert sorted(photo[0] for photo in kept) == ["p", "p", "q", "q"]
    assert set(left.values()) == {"beyond the best of a sequence"}
    kept, left = thinned(data, **OFF, max_creator_share=0.3)
    assert sorted(photo[0] for photo in kept) == ["p"] * 3 + ["q"] * 3
    assert set(left.values()) == {"beyond the best of a creator"}
    # One photograph is a larger share of ten than is allowed, and stays.
    kept, _ = thinned(data, **OFF, max_creator_share=0.05)
    assert sorted(photo[0] for photo in kept) == ["p"] + ["q"] * 3


def test_a_creators_share_is_written_beside_the_share_allowed(tmp_path):
    photos = [(f"p{i}", (48.0 + i / 100, 2.0), street(i), {"creator": "c" if i < 6 else f"c{i}"}) for i in range(8)]
    data = dataset(tmp_path / "d", *photos)
    thinned(data, **OFF, max_creator_share=0.5)
    assert [(r.value, r.threshold) for r in read_rejected(data) if r.stage == "thin"] == [("0.75", "0.5")] * 2


def by_trying(rank: np.ndarray, pairs: set[frozenset[int]]) -> list[bool]:
    kept: list[int] = []
    for row in np.argsort(rank):
        if not any(frozenset((row, other)) in pairs for other in kept):
            kept.append(int(row))
    return [row in kept for row in range(len(rank))]


@given(st.integers(0, 25), st.data())
def test_greedy_keeps_what_going_through_one_by_one_keeps(count, data):
    rank = np.array(data.draw(st.permutations(range(count))), dtype=np.int64)
    ends = st.integers(0, max(0, count - 1))
    pairs = data.draw(st.lists(st.tuples(ends, ends).filter(lambda p: p[0] != p[1]), max_size=40 if count > 1 else 0))
    by = greedy(rank, np.array(pairs, dtype=np.int64).reshape(-1, 2))
    assert (by < 0).tolist() == by_trying(rank, {frozenset(pair) for pair in pairs})
    for row in np.flatnonzero(by >= 0):
        partners = {a + b - row for a, b in pairs if row in (a, b)}
        assert by[row] == min((other for other in partners if by[other] < 0), key=lambda other: rank[other])


def metres_apart(latlon_deg: np.ndarray) -> float:
    nearest = cKDTree(unit_vectors(latlon_deg)).query(unit_vectors(latlon_deg), k=2)[0][:, 1].min()
    return float(2000 * EARTH_RADIUS_KM * np.arcsin(nearest / 2))


@pytest.mark.parametrize("center", [(48.0, 2.0), (0.0, 180.0), (89.999, 0.0), (-90.0, 0.0)])
def test_what_stays_lies_apart_and_what_goes_lay_close_everywhere(center):
    rng = np.random.default_rng(0)
    latlon_deg = np.clip(np.array(center) + rng.normal(0, 0.004, (600, 2)), [-90, -400], [90, 400])
    rank = rng.permutation(600)
    by = crowded(latlon_deg, rank, 78)
    stay = latlon_deg[by < 0]
    assert metres_apart(stay) >= 78
    gone = unit_vectors(latlon_deg[by >= 0])
    assert cKDTree(unit_vectors(stay)).query(gone)[0].max() < chord(0.078)
    assert np.all(rank[by[by >= 0]] < rank[by >= 0])


def test_of_photographs_at_the_very_same_place_the_best_stays():
    by = crowded(np.zeros((4, 2)) + 5.0, np.array([2, 1, 0, 3]), 10)
    assert by.tolist() == [2, 2, -1, 2]


def test_the_same_picture_twice_in_a_sequence_is_left_out_unless_duplicates_are_kept(tmp_path):
    twice = [(name, (lat_deg, 2.0), street(0), {"sequence_id": "s"}) for name, lat_deg in (("a", 48.0), ("b", 49.0))]
    data = dataset(tmp_path / "d", *twice, ("c", (50.0, 2.0), street(1), {"sequence_id": "s"}))
    assert thinned(data, **OFF) == ({"a", "b", "c"}, {})
    kept, left = thinned(data, **{**OFF, "duplicate_bits": 0})
    assert len(kept) == 2
    assert set(left.values()) == {"near-duplicates of a better picture"}


def test_near_duplicates_are_sought_in_a_sequence_and_nearby():
    photos = pd.DataFrame(
        {
            "latitude": [48.0, 48.1, 48.0, 48.2, 48.001, 48.4],
            "longitude": 2.0,
            "sequence_id": ["s", "s", None, None, None, "t"],
            "dhash": np.array([0, 0b1111, 0b111, 0, 0b11111, 0], dtype=np.uint64),
        }
    )
    by = near_duplicates(photos, np.arange(6), 4)
    # The second is of the first's sequence, the third at its place; the fourth is elsewhere, the fifth 5 bits off
    # (and 2 bits off the third, which does not stay), the sixth of another sequence elsewhere.
    assert by.tolist() == [-1, 0, 0, -1, -1, -1]


def test_the_cap_keeps_the_best_of_each_group():
    group, rank = np.array([0, 0, 0, 1, -1, -1]), np.array([2, 0, 1, 5, 4, 3])
    assert beyond_cap(group, rank, np.array([1, 1, 1, 1, 0, 0])).tolist() == [True, False, True, False, False, False]


def test_two_hundred_thousand_points_are_thinned_in_seconds():
    rng = np.random.default_rng(0)
    towns = rng.uniform([-60, -180], [70, 180], (2000, 2))
    latlon_deg = towns[rng.integers(0, 2000, 200_000)] + rng.normal(0, 0.01, (200_000, 2))
    started_at = time.perf_counter()
    by = crowded(latlon_deg, rng.permutation(200_000), 100)
    assert time.perf_counter() - started_at < 20
    assert metres_apart(latlon_deg[by < 0]) >= 100


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"min_distance_m": -1.0}, "min-distance-m"),
        ({"duplicate_bits": 13}, "duplicate-bits"),
        ({"max_per_sequence": 0}, "max-per-sequence"),
        ({"max_creator_share": 1.5}, "max-creator-share"),
    ],
)
def test_flags_that_cannot_work_are_named(settings, flag, tmp_path):
    with pytest.raises(ValueError, match=f"--{flag}"):
        ThinConfig(data=tmp_path, **settings)
