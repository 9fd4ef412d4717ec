"""Related photographs never stand on both sides of a split."""

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset.groups import leakage_groups, storage_cells
from fetch.splits import assign_splits
from geocells import grid

SHARES = {"calibration": 0.15, "test": 0.15}


def world(count: int, seed: int = 0) -> pd.DataFrame:
    """Return photographs around 60 towns, in short sequences, by a few creators."""
    rng = np.random.default_rng(seed)
    town = rng.integers(0, 60, count)
    center = rng.uniform([-60, -180], [70, 180], (60, 2))
    latlon_deg = center[town] + rng.normal(0, 0.05, (count, 2))
    return pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(count)],
            "latitude": latlon_deg[:, 0],
            "longitude": latlon_deg[:, 1],
            "sequence_id": [f"s{s}" if s % 3 else None for s in rng.integers(0, count // 3, count)],
            "creator": None,
            "dhash": rng.integers(0, 2**64, count, dtype=np.uint64),
        }
    )


def at(*places: tuple[float, float], **columns: list) -> pd.DataFrame:
    lat, lon = zip(*places, strict=True)
    return pd.DataFrame({"id": [f"p{i}" for i in range(len(places))], "latitude": lat, "longitude": lon, **columns})


def together(photos: pd.DataFrame) -> bool:
    return len(set(leakage_groups(photos).tolist())) == 1


# A thousandth of a degree of latitude is 111 m.
HERE = (48.0, 2.0)


def north(metres: float) -> tuple[float, float]:
    return (48.0 + metres / 111_194.9, 2.0)


def test_one_sequence_is_one_group_wherever_it_goes():
    assert together(at(HERE, (-30.0, 150.0), sequence_id=["s", "s"]))
    assert not together(at(HERE, (-30.0, 150.0), sequence_id=["s", "t"]))


@pytest.mark.parametrize("nothing", [None, "", float("nan")])
def test_no_sequence_and_no_creator_is_no_relation(nothing):
    assert not together(at(HERE, north(5000), sequence_id=[nothing, nothing], creator=[nothing, nothing]))


@pytest.mark.parametrize(("metres", "same"), [(0, True), (99.9, True), (100.1, False)])
def test_a_place_is_100_metres(metres, same):
    assert together(at(HERE, north(metres))) == same


def test_a_place_reaches_over_the_antimeridian_and_the_poles():
    assert together(at((10.0, 180.0), (10.0, -179.9999)))
    assert together(at((90.0, 0.0), (89.9999, 180.0), (89.9999, -45.0)))


def test_places_chain():
    assert together(at(HERE, north(90), north(180), north(270)))


def test_a_creator_relates_photographs_of_one_cell_only():
    far = at(HERE, north(20_000), (-30.0, 150.0), creator=["c", "c", "c"])
    assert storage_cells(far)[0] == storage_cells(far)[1]
    group = leakage_groups(far)
    assert group[0] == group[1] != group[2]


@pytest.mark.parametrize(
    ("metres", "bits", "same"), [(199, 4, True), (199, 5, False), (201, 4, False), (150, 0, True), (50, 30, True)]
)
def test_near_duplicates_are_4_bits_and_200_metres(metres, bits, same):
    dhash = np.array([0, (1 << bits) - 1], dtype=np.uint64) << np.uint64(13)
    assert together(at(HERE, north(metres), dhash=dhash)) == same


@pytest.mark.parametrize("hold_out", ["groups", "cell"])
@given(st.integers(30, 200), st.integers(0, 5))
def test_no_group_is_divided(hold_out, count, seed):
    photos = world(count, seed)
    split = assign_splits(photos, SHARES, hold_out, seed)
    group = leakage_groups(photos) if hold_out == "groups" else grid.encode(photos[["latitude", "longitude"]], 8)
    assert pd.DataFrame({"group": group, "split": split}).groupby("group")["split"].nunique().max() == 1


def test_shares_are_about_what_was_asked_for():
    split = assign_splits(world(4000).drop(columns="sequence_id"), SHARES, "groups", 0)
    share = pd.Series(split).value_counts(normalize=True)
    assert share["test"] == pytest.approx(0.15, abs=0.02)
    assert share["calibration"] == pytest.approx(0.15, abs=0.02)


@given(st.randoms(use_true_random=False), st.integers(0, 3))
def test_the_order_of_rows_does_not_matter(random, seed):
    photos = world(80)
    order = list(range(80))
    random.shuffle(order)
    shuffled = assign_splits(photos.iloc[order], SHARES, "groups", seed)
    assert shuffled.tolist() == assign_splits(photos, SHARES, "groups", seed)[order].tolist()


def test_another_seed_splits_otherwise():
    photos = world(300)
    first, again, other = (assign_splits(photos, SHARES, "groups", seed) for seed in (0, 0, 1))
    assert first.tolist() == again.tolist() != other.tolist()


@pytest.mark.parametrize("count", [3, 4, 7])
def test_a_handful_of_places_fills_every_split(count):
    split = assign_splits(at(*[(float(i), 0.0) for i in range(count)]), SHARES, "groups", 0)
    assert set(split) == {"train", "calibration", "test"}


def test_a_share_of_nothing_stays_empty():
    split = assign_splits(world(300), {"calibration": 0.0, "test": 0.2}, "groups", 0)
    assert set(split) == {"train", "test"}


def test_one_photograph_is_trained_on_and_none_is_no_error(caplog):
    assert assign_splits(at(HERE), SHARES, "groups", 0).tolist() == ["train"]
    assert "test is empty" in caplog.text
    assert assign_splits(at(HERE).iloc[:0], SHARES, "groups", 0).tolist() == []


def test_a_huge_group_is_trained_on_and_said_and_the_rest_is_shared(caplog):
    photos = world(100).drop(columns=["sequence_id", "dhash"])
    photos.loc[:79, ["latitude", "longitude"]] = HERE
    with caplog.at_level(logging.WARNING):
        split = assign_splits(photos, SHARES, "groups", 0)
    assert "80 of 100" in caplog.text
    assert set(split[:80]) == {"train"}
    rest = pd.Series(split[80:]).value_counts()
    assert (rest["test"], rest["calibration"]) == (10, 10)


def test_ten_thousand_photographs_of_one_place_are_grouped_at_once():
    photos = pd.concat([world(100)] * 100, ignore_index=True)
    photos["id"] = [f"q{i}" for i in range(len(photos))]
    photos[["latitude", "longitude", "sequence_id"]] = [48.0, 2.0, None]
    assert together(photos)


def test_real_neighbours_stay_together(shared_data):
    photos = pd.read_csv(shared_data / "points" / "mapillary_kartaview_sequences_2319.csv").rename(
        columns={"uuid": "id", "lat": "latitude", "lon": "longitude"}
    )
    photos["split"] = assign_splits(photos, SHARES, "groups", 0)
    assert photos.groupby("sequence_id")["split"].nunique().max() == 1
