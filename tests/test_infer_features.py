"""Features of pictures are computed once, by any number of processes, interrupted or not, and are those of the live network."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from dataset.features import FeatureCache, FeatureWriter
from dataset.images import Pictures
from dataset.manifest import read_manifest
from dataset.picture_keys import picture_keys
from infer import features as computing
from infer.features import Extractor, Work, compute_features, trunk_hash
from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.transform import InputTransform
from plumbing.config import dispatch
from plumbing.world import World
from train.__main__ import COMMANDS
from train.parts_config import AugmentConfig
from train.views import AugmentedViews

CPU = torch.device("cpu")


def extractor_of(precision="float32", seed=0, size=32, views=None):
    torch.manual_seed(seed)
    spec = NetworkSpec("shufflenet_v2_x0_5", {"L1": 3}, "", InputTransform(size))
    return Extractor.of(GeoNetwork(spec), spec, CPU, precision, views)


@pytest.fixture
def data(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "data", ignore=shutil.ignore_patterns("features"))


def compute(data, extractor, world=World(), batch_size=8, view=0, views=None):  # noqa: B008
    photos = read_manifest(data)
    keys = picture_keys(data, photos)
    work = Work(batch_size, 0, world)
    return compute_features(extractor, data, keys, Pictures.of_dataset(data, photos), work, view, views)


def read(data, extractor, view=0):
    there = FeatureCache.open(data, extractor.kind).read()
    rows = there.find(picture_keys(data, read_manifest(data)), view)
    assert (rows >= 0).all()
    return there.take(rows)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_kept_features_are_those_of_the_live_network_bit_for_bit(data, precision):
    extractor = extractor_of(precision)
    assert compute(data, extractor, batch_size=20).pictures == 60
    photos = read_manifest(data)
    pixels = torch.stack([extractor.transform.pixels(data / path) for path in photos["path"]])
    live = torch.cat([extractor.features(part) for part in pixels.split(20)])
    assert str(live.dtype) == f"torch.{precision}"
    np.testing.assert_array_equal(read(data, extractor), live.float().numpy())
    with torch.inference_mode():
        kept = extractor.network.answers(torch.from_numpy(read(data, extractor)))["L1"]
        torch.testing.assert_close(kept, extractor.network.answers(live.float())["L1"], atol=0, rtol=0)


def test_what_is_there_is_not_computed_again(data, monkeypatch):
    compute(data, extractor_of())
    monkeypatch.setattr(FeatureWriter, "add", None)
    done = compute(data, extractor_of())
    assert (done.pictures, done.known) == (0, 60)


def interrupt_after(patch, batches):
    """Have Ctrl-C come where the batch after so many is stored."""
    real, calls = computing.as_stored, []

    def stopping(features):
        calls.append(1)
        if len(calls) > batches:
            raise KeyboardInterrupt
        return real(features)

    patch.setattr(computing, "as_stored", stopping)


@pytest.mark.parametrize("stops_after", [0, 1, 5])
def test_an_interrupted_computation_continues_to_the_same_features(data, tmp_path, monkeypatch, stops_after):
    whole = shutil.copytree(data, tmp_path / "whole")
    compute(whole, extractor_of())
    with monkeypatch.context() as patch:
        interrupt_after(patch, stops_after)
        with pytest.raises(KeyboardInterrupt):
            compute(data, extractor_of())
    done = compute(data, extractor_of())
    assert (done.known, done.pictures) == (8 * stops_after, 60 - 8 * stops_after)
    np.testing.assert_array_equal(read(data, extractor_of()), read(whole, extractor_of()))


@pytest.mark.parametrize("at_once", [True, False], ids=["all at once", "each when the one before is done"])
def test_three_processes_compute_what_one_does(data, tmp_path, at_once):
    alone = shutil.copytree(data, tmp_path / "alone")
    compute(alone, extractor_of())
    keys, counts = picture_keys(data, read_manifest(data)), []
    pictures = Pictures.of_dataset(data, read_manifest(data))
    extractor = extractor_of()
    shares = [extractor.cache(data).read() for _ in range(3)] if at_once else None
    for rank in range(3):
        with pytest.MonkeyPatch.context() as patch:
            if shares:
                patch.setattr(FeatureCache, "read", lambda cache, rank=rank: shares[rank])
            counts.append(compute_features(extractor, data, keys, pictures, Work(8, 0, World(rank, 3))).pictures)
    assert counts == [20, 20, 20]
    np.testing.assert_array_equal(read(data, extractor), read(alone, extractor))


def test_a_changed_picture_alone_is_computed_again(data):
    compute(data, extractor_of())
    before = read(data, extractor_of())
    path = data / read_manifest(data)["path"][7]
    Image.new("RGB", (20, 20), (1, 2, 3)).save(path)
    assert compute(data, extractor_of()).pictures == 1
    differs = (read(data, extractor_of()) != before).any(axis=1)
    assert np.flatnonzero(differs).tolist() == [7]


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"size": 48}, {"precision": "bfloat16"}], ids=["weights", "transform", "precision"]
)
def test_another_network_or_transform_shares_nothing(data, other):
    compute(data, extractor_of())
    assert compute(data, extractor_of(**other)).pictures == 60


def test_the_hash_of_a_trunk_is_of_what_answers_depend_on():
    network = extractor_of().network
    before = trunk_hash(network)
    with torch.no_grad():
        network.heads["L1"].weight.add_(1)
        network.trunk.conv1[1].num_batches_tracked.add_(1)
    assert trunk_hash(network) == before
    with torch.no_grad():
        network.trunk.conv1[0].weight[0, 0, 0, 0] += 1
    assert trunk_hash(network) != before


def test_pictures_that_cannot_be_read_are_named_and_left_out(data, caplog):
    path = data / read_manifest(data)["path"][3]
    path.write_bytes(b"nothing")
    done = compute(data, extractor_of())
    assert (done.pictures, len(done.unreadable)) == (59, 1)
    assert str(path) in caplog.text


def test_views_are_the_same_for_the_same_picture_and_differ_from_each_other(data, tmp_path):
    views = AugmentedViews(AugmentConfig(), 32, seed=0)
    other = shutil.copytree(data, tmp_path / "other")
    for folder, batch_size in ((data, 8), (other, 5)):
        for view in (1, 2):
            compute(folder, extractor_of(views=views), batch_size=batch_size, view=view, views=views)
    one, two = (read(data, extractor_of(views=views), view) for view in (1, 2))
    assert (one != two).any(axis=1).all()
    np.testing.assert_array_equal(one, read(other, extractor_of(views=views), 1))


def test_the_command_computes_once_and_says_how_fast(data, capsys, monkeypatch):
    words = f"features --data {data} --arch shufflenet_v2_x0_5 --weights none --image-size 32 --workers 0 --device cpu"
    for known, computed in ((0, 12), (12, 48)):
        monkeypatch.setattr("sys.argv", ["train", *words.split(), *(["--split", "calibration"] if not known else [])])
        with pytest.raises(SystemExit) as ended:
            dispatch("python -m train", COMMANDS)
        assert not ended.value.code
        said = capsys.readouterr().out
        assert f"computed features of {computed} pictures (views included) at " in said
        assert f"{known} were there already" in said
    assert said.splitlines()[-1].startswith(f"wrote {data}/features/")


@pytest.mark.parametrize(
    ("stops_after", "kept"),
    [
        (0, "features of 0 of 60 photographs and of 0 of 120 changed views"),
        (3, "features of 24 of 60 photographs and of 0 of 120 changed views"),
        (10, "features of 60 of 60 photographs and of 16 of 120 changed views"),
    ],
)
def test_an_interrupted_command_says_how_many_photographs_are_kept(data, monkeypatch, stops_after, kept):
    words = f"features --data {data} --arch shufflenet_v2_x0_5 --weights none --image-size 32 --workers 0 --device cpu"
    words += " --views 2 --batch-size 8"
    monkeypatch.setattr("sys.argv", ["train", *words.split()])
    interrupt_after(monkeypatch, stops_after)
    with pytest.raises(SystemExit) as ended:
        dispatch("python -m train", COMMANDS)
    assert (
        ended.value.code == f"interrupted: {kept} are kept in {data / 'features'}; `python -m train {words}` continues"
    )
