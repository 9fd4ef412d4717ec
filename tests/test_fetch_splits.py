"""Related photographs never stand on both sides of a split."""

import hashlib
import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset.groups import has_detail, leakage_groups, storage_cells
from fetch.splits import assign_splits, join_splits
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


@pytest.mark.parametrize(
    ("hold_out", "count", "seed", "digest"),
    [
        ("groups", 30, 0, "1d37a9e21ee32d8f"),
        ("groups", 300, 0, "df707699d35e5cff"),
        ("groups", 300, 1, "71350a1ff3272451"),
        ("groups", 4000, 3, "9c5e753484ae09b3"),
        ("cell", 300, 0, "b884cec56e7666c6"),
    ],
)
def test_datasets_whose_splits_were_all_filled_keep_them(hold_out, count, seed, digest):
    split = assign_splits(world(count), SHARES, hold_out, seed)
    assert hashlib.sha256(" ".join(split).encode()).hexdigest()[:16] == digest


def sequences(*sizes: int) -> pd.DataFrame:
    """Return sequences of so many photographs, 100 km apart."""
    places = [(0.01 * n, float(number)) for number, size in enumerate(sizes) for n in range(size)]
    return at(*places, sequence_id=[f"s{number}" for number, size in enumerate(sizes) for _ in range(size)])


@pytest.mark.parametrize(
    ("sizes", "test", "calibration"),
    [
        ([100] * 10, 200, 100),
        ([100] * 3, 100, 100),
        ([800, 100, 100], 100, 100),
        ([500, 300, 200, 150], 200, 150),
        ([40] * 25, 160, 120),
        ([500, 250, 250], 250, 250),
        ([100] * 2, 100, 0),
    ],
)
def test_few_large_groups_still_fill_the_splits_and_stay_whole(sizes, test, calibration, caplog):
    photos = sequences(*sizes)
    split = pd.Series(assign_splits(photos, SHARES, "groups", 0))
    assert split.groupby(photos["sequence_id"]).nunique().max() == 1
    count = split.value_counts()
    assert {count["test"], count.get("calibration", 0)} == {test, calibration}
    assert count["train"] == max(count)
    more_than_half = max(sizes) > sum(sizes) / 2
    assert (f"holds {max(sizes)} of {sum(sizes):,} photographs and is trained on" in caplog.text) == more_than_half
    if calibration < 0.5 * 0.15 * sum(sizes) or test > 1.5 * 0.15 * sum(sizes):
        assert f"test {count['test'] / sum(sizes):.1%} (15% asked for)" in caplog.text


@given(
    st.lists(st.integers(1, 60), min_size=3, max_size=12),
    st.sampled_from([SHARES, {"test": 0.02, "calibration": 0.3}, {"test": 0.4, "calibration": 0.4}]),
    st.integers(0, 3),
)
def test_three_groups_or_more_fill_every_split_whatever_their_sizes(sizes, shares, seed):
    photos = sequences(*sizes)
    split = pd.Series(assign_splits(photos, shares, "groups", seed))
    assert set(split) == {"train", "calibration", "test"}
    assert split.groupby(photos["sequence_id"]).nunique().max() == 1


def test_one_group_of_many_places_is_said_to_be_divided_by_cells(caplog):
    photos = at(*[(float(i), 0.0) for i in range(20)], sequence_id=["s"] * 20)
    assert set(assign_splits(photos, SHARES, "groups", 0)) == {"train"}
    assert "calibration and test are empty, for 1 connected group cannot fill 3 splits: add" in caplog.text
    assert "try --split cell, which has 20 L8 cells" in caplog.text
    assert set(assign_splits(photos, SHARES, "cell", 0)) == {"train", "calibration", "test"}


detailed = st.integers(0, 2**64 - 1).filter(lambda value: bool(has_detail(np.array([value], dtype=np.uint64))[0]))


@pytest.mark.parametrize("hold_out", ["groups", "cell"])
@given(
    photographs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40),
    hashes=st.lists(detailed, min_size=4, max_size=4),
    flips=st.lists(st.integers(0, 63), max_size=4),
    seed=st.integers(0, 5),
)
def test_no_picture_is_in_two_splits_however_far_apart_its_copies_are(hold_out, photographs, hashes, flips, seed):
    changed = sum(1 << bit for bit in set(flips))
    photos = at(
        *[(-60.0 + 3 * n, 9.0 * n - 170) for n in range(len(photographs))],
        sha256=[f"file {file}" if file else f"file of {n}" for n, (file, _) in enumerate(photographs)],
        dhash=np.array([hashes[look] ^ (changed * (n % 2)) for n, (_, look) in enumerate(photographs)], np.uint64),
    )
    photos["split"] = assign_splits(photos, SHARES, hold_out, seed)
    assert photos.groupby("sha256")["split"].nunique().max() == 1
    assert photos.groupby([look for _, look in photographs])["split"].nunique().max() == 1


def test_skies_that_only_look_alike_are_not_one_picture():
    sunset = int.from_bytes(bytes([0b11110000] * 8), "little")
    photos = at(HERE, (-30.0, 150.0), sha256=["a", "b"], dhash=np.array([sunset] * 2, dtype=np.uint64))
    assert not together(photos)
    assert together(photos.assign(sha256="a"))


def test_what_a_source_leaves_free_follows_its_group_into_the_split_that_the_source_gave(caplog):
    photos = sequences(*[10] * 12)
    given_splits = np.full(len(photos), None, dtype=object)
    given_splits[[0, 10]] = ["test", "train"]
    split = join_splits(photos, given_splits, SHARES, "groups", 0)
    assert set(split[:10]) == {"test"}
    assert set(split[10:20]) == {"train"}
    assert set(split[20:]) == {"train", "calibration"}
    assert "as the source gives them" not in caplog.text
    given_splits[1] = "train"
    assert set(join_splits(photos, given_splits, SHARES, "groups", 0)[2:10]) == {"test"}
    assert "the source puts photographs of 1 group into more than one split" in caplog.text


def test_one_photograph_is_trained_on_and_none_is_no_error(caplog):
    assert assign_splits(at(HERE), SHARES, "groups", 0).tolist() == ["train"]
    assert "calibration and test are empty" in caplog.text
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
