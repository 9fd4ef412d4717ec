"""Pictures that are decoded once and kept beside the dataset: the same pixels, until a picture changes."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from dataset.features import FeatureCache
from dataset.images import Pictures
from dataset.manifest import read_manifest
from dataset.picture_keys import picture_keys
from infer.config import EvaluateConfig
from infer.evaluate.run import main as evaluate
from infer.features import Work
from infer.network.transform import InputTransform
from infer.prepared_pixels import PixelKind, prepare, prepared_photos, prepared_pixels
from label_maps.files import read_hierarchy
from plumbing.world import World
from tests.tiny import joint_config, write_square
from train.calibrate import main as calibrate
from train.config import CalibrateConfig
from train.data import LabelledPhotos, PixelSource, SharedOrder, augmentation
from train.parts_config import AugmentConfig
from train.tasks import train_joint

TRANSFORM = InputTransform(16)
WORK = Work(8, 0)
DECODED = "a picture was decoded"


@pytest.fixture
def data(tiny, tmp_path):
    """A copy of the tiny dataset whose files are older than its manifest, as datasets are made, without what others computed."""
    copy = shutil.copytree(tiny, tmp_path / "data", ignore=shutil.ignore_patterns("features", "prepared"))
    later = (copy / "manifest.parquet").stat().st_mtime + 100
    os.utime(copy / "manifest.parquet", (later, later))
    return copy


@pytest.fixture
def no_decoding(monkeypatch):
    def refuse(self, source):
        raise AssertionError(DECODED)

    monkeypatch.setattr(InputTransform, "pixels", refuse)


def epochs(source):
    """Return the batches of three epochs."""
    found = []
    for epoch in range(3):
        loader = DataLoader(source, 7, sampler=SharedOrder(len(source), 0, epoch))
        found += [(index.tolist(), pixels) for index, pixels in loader]
    return found


def test_batches_with_and_without_the_cache_are_equal(data, tiny_run):
    table = read_manifest(data)
    photos = LabelledPhotos.of(data, table[table["split"] == "train"], read_hierarchy(tiny_run), keyed=True)
    source = PixelSource(photos, TRANSFORM, seed=3)
    source.augment = augmentation(AugmentConfig(crop_scale=0.5, grayscale=0.2), 16)
    from_files = epochs(source)
    prepare(data, table, TRANSFORM, WORK)
    source.prepared = prepared_pixels(data, photos.keys, TRANSFORM)
    source.pictures = Pictures.of_files("gone.jpg" for _ in range(len(source)))  # nothing is left to decode
    for (one, pixels), (other, again) in zip(from_files, epochs(source), strict=True):
        assert one == other
        torch.testing.assert_close(pixels, again, rtol=0, atol=0)


def test_the_folder_is_named_by_the_settings_and_holds_all_pictures(data):
    photos = read_manifest(data)
    prepare(data, photos, InputTransform(16, "crop", interpolation="bicubic"), WORK)
    (folder,) = (data / "prepared").iterdir()
    assert folder.name.startswith("16px-crop-bicubic-")
    assert (folder / "part-000.rows").stat().st_size == len(photos) * 3 * 16 * 16
    assert json.loads((folder / "about.json").read_text())["transform"]["size"] == 16


OTHER = [
    {"size": 32},
    {"resize": "crop"},
    {"interpolation": "bicubic"},
    {"backend": "pillow"},
    {"resize": "shorter", "scaled": 20},
]


@pytest.mark.parametrize("other", OTHER)
def test_other_settings_have_other_pixels_and_mean_and_deviation_do_not_matter(other, data):
    assert PixelKind.of(replace(TRANSFORM, **other)).path != PixelKind.of(TRANSFORM).path
    assert PixelKind.of(replace(TRANSFORM, mean=(0.5, 0.5, 0.5))).path == PixelKind.of(TRANSFORM).path


def test_pixels_are_no_features_that_pictures_are_compared_by(data):
    prepare(data, read_manifest(data), TRANSFORM, WORK)
    assert FeatureCache.all(data) == []


def test_a_picture_that_changes_is_decoded_again_and_no_other(data):
    photos = read_manifest(data)
    assert prepare(data, photos, TRANSFORM, WORK).pictures == len(photos)
    changed = data / photos["path"].iloc[5]
    write_square(changed, (1, 2, 3), np.random.default_rng(9))
    later = (data / "manifest.parquet").stat().st_mtime + 50
    os.utime(changed, (later, later))
    there = prepared_photos(data, photos, TRANSFORM)
    assert [index for index in range(len(photos)) if there.pixels(index) is None] == [5]
    assert prepare(data, photos, TRANSFORM, WORK).pictures == 1
    found = prepared_photos(data, photos, TRANSFORM).pixels(5)
    torch.testing.assert_close(found, TRANSFORM.pixels(changed), rtol=0, atol=0)


def test_processes_share_the_pictures_and_an_interrupted_one_leaves_whole_rows(data):
    photos = read_manifest(data)
    assert prepare(data, photos, TRANSFORM, Work(8, 0, World(0, 2))).pictures == len(photos) / 2
    assert (prepared_photos(data, photos, TRANSFORM).rows >= 0).sum() == len(photos) / 2
    rows = data / PixelKind.of(TRANSFORM).path / "part-000.rows"
    rows.write_bytes(rows.read_bytes()[:-100])
    assert prepare(data, photos, TRANSFORM, WORK).pictures == len(photos) / 2 + 1
    there = prepared_photos(data, photos, TRANSFORM)
    for index, path in enumerate(photos["path"]):
        torch.testing.assert_close(there.pixels(index), TRANSFORM.pixels(data / path), rtol=0, atol=0)


def test_where_nothing_is_prepared_no_key_is_computed(data, monkeypatch):
    monkeypatch.setattr("infer.prepared_pixels.picture_keys", lambda *_: pytest.fail("keys were computed"))
    assert prepared_photos(data, read_manifest(data), TRANSFORM) is None
    assert prepared_pixels(data, picture_keys(data, read_manifest(data)), TRANSFORM) is None


@pytest.mark.slow
def test_a_second_training_and_an_evaluation_of_the_test_split_decode_nothing(data, tiny_run, tmp_path, request):
    plain, first, second = (
        shutil.copytree(tiny_run, tmp_path / name, ignore=shutil.ignore_patterns("joint*", "checkpoints"))
        for name in ("plain", "first", "second")
    )
    train_joint(joint_config(data, plain))
    evaluate(EvaluateConfig(data=data, run=plain, workers=0, device="cpu"))
    train_joint(joint_config(data, first, cache_on_disk=True))
    request.getfixturevalue("no_decoding")
    train_joint(joint_config(data, second, cache_on_disk=True))
    calibrate(CalibrateConfig(data, second, workers=0, device="cpu"))
    (second / "temperatures.json").unlink()
    (second / "conformal.json").unlink(missing_ok=True)
    evaluate(EvaluateConfig(data=data, run=second, workers=0, device="cpu"))
    networks = [load_file(run / "joint.safetensors") for run in (plain, first, second)]
    for name, tensor in networks[0].items():
        for other in networks[1:]:
            torch.testing.assert_close(other[name], tensor, rtol=0, atol=0)
    reports = [json.loads((run / "evaluation_test.json").read_text()) for run in (plain, second)]
    assert reports[0]["answers"] == reports[1]["answers"]
    shutil.rmtree(data / "prepared")
    with pytest.raises(AssertionError, match=DECODED):
        evaluate(EvaluateConfig(data=data, run=second, workers=0, device="cpu"))
