"""Leakage groups of photographs with and without coordinates."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset.groups import leakage_groups, place_vectors, storage_cells
from dataset.nearby import alike_pairs_between, hamming
from infer.evaluate.leakage import find_leaks


def photographs(*rows):
    columns = ["id", "latitude", "longitude", "country", "label", "creator", "dhash"]
    photos = pd.DataFrame(list(rows), columns=columns)
    return photos.assign(dhash=photos["dhash"].astype("UInt64").astype(object))


def grouped(photos):
    group = leakage_groups(photos)
    return {"".join(sorted(photos["id"][group == g])) for g in np.unique(group)}


NAN = np.nan


def test_photographs_without_coordinates_lie_far_from_the_sphere_and_from_other_countries_and_labels():
    codes, labels = ("AT", "BE", "CH", "DE", "FR", "GB"), ("rural", "urban", "wild")
    photos = photographs(
        ("a", 48.8, 2.3, "FR", None, None, None),
        *((code, NAN, NAN, code, None, None, None) for code in codes),
        *((label, NAN, NAN, None, label, None, None) for label in labels),
        ("z", NAN, NAN, None, None, None, None),
    )
    vectors = place_vectors(photos)
    assert (np.linalg.norm(vectors[1:], axis=1) > 9).all()
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)
    assert apart[~np.eye(len(vectors), dtype=bool)].min() > 8


def test_near_duplicates_without_coordinates_are_one_group_whatever_their_country_or_label():
    photos = photographs(
        ("a", NAN, NAN, "FR", None, None, 7),
        ("b", NAN, NAN, "BE", None, None, 7),
        ("c", NAN, NAN, None, "urban", None, 3),
        ("d", NAN, NAN, "FR", None, None, 255),
        ("e", NAN, NAN, "FR", None, None, None),
    )
    assert grouped(photos) == {"abc", "d", "e"}


def test_a_near_duplicate_of_a_photograph_with_coordinates_is_found_wherever_that_lies():
    photos = photographs(
        ("a", 48.8, 2.3, None, None, None, 1 << 50),
        ("b", -33.9, 151.2, None, None, None, 1 << 50),
        ("c", NAN, NAN, "FR", None, None, 1 << 50 | 1),
        ("d", 10.0, 10.0, None, None, None, 255),
    )
    # The two with coordinates are far apart, and yet of one group: both are like the third.
    assert grouped(photos) == {"abc", "d"}
    assert grouped(photos.drop(index=2)) == {"a", "b", "d"}


def test_a_creator_has_one_group_in_each_country_and_label():
    photos = photographs(
        ("a", NAN, NAN, "FR", None, "me", None),
        ("b", NAN, NAN, "FR", "urban", "me", None),
        ("c", NAN, NAN, "BE", None, "me", None),
        ("d", NAN, NAN, None, "urban", "me", None),
        ("e", NAN, NAN, None, "urban", "me", None),
        ("f", NAN, NAN, None, "rural", "me", None),
    )
    assert grouped(photos) == {"ab", "c", "de", "f"}
    assert len(np.unique(storage_cells(photos))) == 4


@given(st.integers(0, 10_000), st.integers(0, 6))
def test_pairs_between_two_sets_are_those_of_trying_all(seed, bits):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 1 << 63, 5).astype(np.uint64)
    flips = np.uint64(1) << rng.integers(0, 64, (2, 30, 4)).astype(np.uint64)
    a, b = (base[rng.integers(0, 5, 30)] ^ np.bitwise_xor.reduce(flip, axis=1) for flip in flips)
    found = {tuple(pair) for pairs in alike_pairs_between(a, b, bits) for pair in pairs.tolist()}
    assert found == {(i, j) for i in range(30) for j in range(30) if hamming(a[i], b[j]) <= bits}


def test_no_hashes_have_no_pairs():
    assert list(alike_pairs_between(np.zeros(0, np.uint64), np.zeros(3, np.uint64), 4)) == []


@pytest.mark.parametrize("there", [True, False])
def test_the_leak_audit_finds_near_duplicates_and_creators_without_coordinates(there):
    test = photographs(
        ("a", NAN, NAN, "FR", None, "me", 7),
        ("b", NAN, NAN, "FR", None, "you", 255),
        ("c", 1.0, 1.0, None, None, None, 7),
    )
    place = (5.0, 5.0) if there else (NAN, NAN)
    train = photographs(("x", *place, "BE", None, None, 3), ("y", NAN, NAN, "FR", None, "you", 255 << 40))
    found = find_leaks(test, train)
    assert found["near-duplicate"].tolist() == [True, False, not there]
    assert found["same creator in a cell"].tolist() == [False, True, False]
    assert not found["same place"].any()
