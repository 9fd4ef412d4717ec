import json
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fetch import pack
from fetch.config import PackConfig
from infer.transform import InputTransform
from label_maps.manifest import coordinates, read_manifest
from label_maps.pictures import Pictures
from plumbing.files import write_json


def packed(tiny: Path, out: Path, **flags) -> pd.DataFrame:
    pack.run(PackConfig(data=tiny, out=out, **flags))
    return read_manifest(out)


def test_a_packed_picture_is_what_the_network_saw_before(tiny: Path, tmp_path: Path) -> None:
    photos = packed(tiny, tmp_path / "packed", short_side=64)
    before, after = Pictures.of_dataset(tiny, read_manifest(tiny)), Pictures.of_dataset(tmp_path / "packed", photos)
    transform = InputTransform(16)
    assert len(before) == len(after) == 60
    for index in range(60):
        assert isinstance(after.source(index), bytes)
        assert torch.equal(transform.pixels(before.source(index)), transform.pixels(after.source(index)))


def test_webdataset_finds_pairs_of_picture_and_row_in_each_shard(tiny: Path, tmp_path: Path) -> None:
    photos = packed(tiny, tmp_path / "packed").set_index("id")
    seen = []
    for shard in sorted((tmp_path / "packed" / "shards").glob("*.tar")):
        with tarfile.open(shard) as tar:
            members = tar.getmembers()
            for picture, row in zip(members[::2], members[1::2], strict=True):
                photo_id = picture.name.removesuffix(".jpg")
                assert row.name == f"{photo_id}.json"
                content = json.loads(tar.extractfile(row).read())
                assert content["latitude"] == photos.loc[photo_id, "latitude"]
                assert content["split"] == shard.name.split("-")[0]
                seen.append(photo_id)
    assert sorted(seen) == sorted(photos.index)


def test_the_same_flags_give_the_same_bytes_and_a_second_run_writes_nothing(tiny: Path, tmp_path: Path) -> None:
    packed(tiny, tmp_path / "a"), packed(tiny, tmp_path / "b")
    shards = sorted(path.name for path in (tmp_path / "a" / "shards").glob("*.tar"))
    assert len(shards) == 3
    for name in shards:
        assert (tmp_path / "a/shards" / name).read_bytes() == (tmp_path / "b/shards" / name).read_bytes()
    written = {name: (tmp_path / "a/shards" / name).stat().st_mtime_ns for name in shards}
    packed(tiny, tmp_path / "a")
    assert written == {name: (tmp_path / "a/shards" / name).stat().st_mtime_ns for name in shards}


def test_an_interrupted_packing_goes_on_with_the_shard_it_was_at(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = packed(tiny, tmp_path / "whole")
    real, written = pack._write_shard, []

    def interrupted(config, path, rows):
        if written:
            raise KeyboardInterrupt
        real(config, path, rows)
        written.append(path)

    monkeypatch.setattr(pack, "_write_shard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        packed(tiny, tmp_path / "torn")
    monkeypatch.undo()
    pd.testing.assert_frame_equal(packed(tiny, tmp_path / "torn"), whole)


def test_a_full_shard_is_followed_by_another(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "AHEAD", 4)
    monkeypatch.setattr(PackConfig, "__post_init__", lambda self: None)
    photos = packed(tiny, tmp_path / "packed", shard_mb=0)
    assert photos["shard"].nunique() == 60
    assert pack.check_shards(tmp_path / "packed") == []


def test_large_pictures_are_shrunk_to_the_short_side_and_small_ones_keep_their_bytes(tmp_path: Path) -> None:
    Image.new("RGB", (400, 300), "red").save(tmp_path / "large.jpg")
    Image.new("RGB", (90, 80), "red").save(tmp_path / "small.jpg")
    shrunk = tmp_path / "shrunk.jpg"
    shrunk.write_bytes(pack.pre_sized(tmp_path / "large.jpg", 100, 90))
    with Image.open(shrunk) as picture:
        assert picture.size == (133, 100)
    assert pack.pre_sized(tmp_path / "small.jpg", 100, 90) == (tmp_path / "small.jpg").read_bytes()


def test_a_shard_cut_short_is_named_with_what_to_do(tiny: Path, tmp_path: Path) -> None:
    photos = packed(tiny, tmp_path / "packed")
    shard = tmp_path / "packed" / photos["shard"].iloc[0]
    shard.write_bytes(shard.read_bytes()[: int(photos["offset"].iloc[0]) + 5])
    pictures = Pictures.of_dataset(tmp_path / "packed", photos)
    with pytest.raises(ValueError, match=r"-00000\.tar is cut short: \d+ bytes at \d+ hold 5; fetch or pack it again"):
        pictures.source(0)
    assert "shards" in pack.check_shards(tmp_path / "packed")[0]


def test_a_shard_that_is_gone_is_named(tiny: Path, tmp_path: Path) -> None:
    photos = packed(tiny, tmp_path / "packed")
    (tmp_path / "packed" / photos["shard"].iloc[0]).unlink()
    with pytest.raises(ValueError, match=r"cannot be read .*fetch or pack it again"):
        Pictures.of_dataset(tmp_path / "packed", photos).source(0)
    assert "is missing, with" in pack.check_shards(tmp_path / "packed")[0]


def test_shards_of_other_settings_are_not_mixed(tiny: Path, tmp_path: Path) -> None:
    packed(tiny, tmp_path / "packed")
    with pytest.raises(ValueError, match="other photographs or settings"):
        packed(tiny, tmp_path / "packed", short_side=100)


def test_shards_may_lie_at_any_fsspec_address(tiny: Path, tmp_path: Path) -> None:
    import fsspec

    photos = packed(tiny, tmp_path / "packed")
    store = fsspec.filesystem("memory")
    for shard in (tmp_path / "packed" / "shards").glob("*.tar"):
        store.pipe_file(f"/bucket/world/shards/{shard.name}", shard.read_bytes())
    here = Pictures.of_dataset(tmp_path / "packed", photos)
    expected = [here.source(index) for index in range(3)]
    write_json(tmp_path / "packed" / "dataset.json", {"shards": "memory://bucket/world"})
    there = Pictures.of_dataset(tmp_path / "packed", photos)
    assert [there.source(index) for index in range(3)] == expected


def test_packing_in_place_keeps_the_pictures_and_adds_the_shards(tiny: Path, tmp_path: Path) -> None:
    import shutil

    data = Path(shutil.copytree(tiny, tmp_path / "data"))
    pack.run(PackConfig(data=data))
    photos = read_manifest(data)
    assert photos["shard"].notna().all()
    assert all((data / path).is_file() for path in photos["path"])
    np.testing.assert_array_equal(coordinates(photos), coordinates(read_manifest(tiny)))
