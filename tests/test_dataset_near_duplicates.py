"""Near-duplicates by features: found block by block, kept in one split, and named by the leak audit."""

import shutil

import numpy as np
import pandas as pd
import pytest

from dataset import near_duplicates
from dataset.features import FeatureCache, FeatureKind
from dataset.groups import leakage_groups
from dataset.manifest import read_manifest
from dataset.near_duplicates import alike_by_features, best_cache
from dataset.picture_keys import picture_keys
from fetch.config import SplitConfig
from fetch.split import run as split
from infer.evaluate.leakage import alike_to_training

KIND = FeatureKind("resnet18", "ab", {"size": 32}, "float32", "own")
TWINS = ((0, 17), (5, 40), (17, 59))
"""Photographs of the tiny dataset that show one scene, in different places."""


@pytest.fixture
def data(tiny, tmp_path):
    """A dataset whose features say that some photographs far apart show one scene."""
    data = shutil.copytree(tiny, tmp_path / "data", ignore=shutil.ignore_patterns("features"))
    photos = read_manifest(data)
    features = np.random.default_rng(0).normal(5, 1, (60, 64)).astype(np.float32)
    for one, other in TWINS:
        features[other] = features[one] + np.random.default_rng(other).normal(0, 0.05, 64)
    with FeatureCache.create(data, KIND, 64, "float32").writer() as writer:
        writer.add(picture_keys(data, photos), features)
    return data


@pytest.mark.parametrize("block", [7, 60, 2048])
def test_pairs_are_the_same_whatever_the_blocks(data, monkeypatch, block):
    monkeypatch.setattr(near_duplicates, "BLOCK", block)
    there, rows = best_cache(data, read_manifest(data))
    pairs = np.concatenate(alike_by_features(there, rows))
    assert {tuple(pair) for pair in pairs.tolist()} == {*TWINS, (0, 59)}


def test_they_are_one_leakage_group(data):
    photos = read_manifest(data)
    there, rows = best_cache(data, photos)
    apart, together = leakage_groups(photos), leakage_groups(photos, alike_by_features(there, rows))
    assert len({apart[row] for row in (0, 17, 59)}) == 3
    assert len({together[row] for row in (0, 17, 59)}) == len({together[row] for row in (5, 40)}) == 1
    assert len(set(together)) == len(set(apart)) - 3


def test_a_split_by_features_divides_no_scene(data):
    for seed in range(6):
        split(SplitConfig(data=data, features=True, seed=seed, test_share=0.3, calibration_share=0.2))
        splits = read_manifest(data)["split"]
        assert len({splits[row] for row in (0, 17, 59)}) == len({splits[row] for row in (5, 40)}) == 1
        assert set(splits) == {"train", "calibration", "test"}


def test_without_features_the_split_says_which_command_makes_them(tiny, tmp_path):
    data = shutil.copytree(tiny, tmp_path / "data", ignore=shutil.ignore_patterns("features"))
    with pytest.raises(ValueError, match=f"train features --data {data} --arch NAME"):
        split(SplitConfig(data=data, features=True))


def test_the_leak_audit_marks_what_resembles_a_training_photograph(data):
    photos = read_manifest(data)
    test = photos.iloc[[1, 17, 40, 58]]
    train = photos.drop(index=test.index)
    marks = alike_to_training(data, test, data, train, KIND)
    assert marks.tolist() == [False, True, True, False]
    other = FeatureKind("resnet18", "zz", {"size": 32}, "float32", "own")
    assert alike_to_training(data, test, data, train, other) is None
    assert isinstance(test, pd.DataFrame)
