import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path
from urllib.parse import unquote

import fsspec
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from dataset.images import Pictures
from dataset.manifest import coordinates, read_manifest, write_manifest
from fetch import pack
from fetch.config import PackConfig
from infer.network.transform import InputTransform
from plumbing.files import write_json


def packed(data: Path, out: Path | None, **flags) -> pd.DataFrame:
    pack.run(PackConfig(data=data, out=out, **flags))
    return read_manifest(out or data)


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

    def interrupted(config, path, *rest):
        if written:
            raise KeyboardInterrupt
        real(config, path, *rest)
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


def encoded(side: tuple[int, int], kind: str = "JPEG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", side, "red").save(content, kind)
    return content.getvalue()


@given(st.integers(16, 400), st.integers(16, 400), st.integers(16, 300))
@example(361, 395, 16)
def test_large_pictures_are_shrunk_to_the_short_side_and_small_ones_keep_their_bytes(width, height, short_side):
    content = encoded((width, height))
    jpeg, size, changed = pack.pre_sized(content, short_side, 90)
    assert min(size) == min(short_side, width, height)
    assert abs(max(size) - max(width, height) * min(size) / min(width, height)) <= 0.5
    assert changed == (min(width, height) > short_side)
    assert changed or jpeg == content
    with Image.open(io.BytesIO(jpeg)) as picture:
        assert picture.size == size


def test_a_picture_of_another_kind_becomes_a_jpeg():
    jpeg, size, changed = pack.pre_sized(encoded((90, 80), "PNG"), 100, 90)
    assert (size, changed) == ((90, 80), True)
    with Image.open(io.BytesIO(jpeg)) as picture:
        assert picture.format == "JPEG"


def test_the_manifest_says_what_the_packed_pictures_are(tiny: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(tiny, tmp_path / "data"))
    photos = read_manifest(data)
    (data / photos["path"].iloc[0]).write_bytes(encoded((600, 400)))
    table = packed(data, tmp_path / "packed", short_side=100)
    pictures = Pictures.of_dataset(tmp_path / "packed", table)
    for index, row in enumerate(table.itertuples()):
        content = pictures.source(index)
        assert row.sha256 == hashlib.sha256(content).hexdigest()
        assert Image.open(io.BytesIO(content)).size == (row.width, row.height)
    assert table["modification"].iloc[0] == "150x100 JPEG"
    assert table["modification"].iloc[1:].isna().all()
    assert table["id"].tolist() == photos["id"].tolist()


def test_a_packed_dataset_can_be_packed_again_smaller_without_its_files(tiny: Path, tmp_path: Path) -> None:
    packed(tiny, tmp_path / "first")
    again = packed(tmp_path / "first", tmp_path / "again", short_side=16)
    expected = packed(tiny, tmp_path / "expected", short_side=16)
    pd.testing.assert_frame_equal(again, expected)


def test_packed_in_place_a_second_run_does_nothing_even_without_the_files(tiny: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(tiny, tmp_path / "data"))
    first = packed(data, None)
    shutil.rmtree(data / "images")
    stamp = (data / "manifest.parquet").stat().st_mtime_ns
    pd.testing.assert_frame_equal(read_manifest(data), first)
    pack.run(PackConfig(data=data))
    assert (data / "manifest.parquet").stat().st_mtime_ns == stamp


def test_killed_before_the_manifest_the_next_run_writes_it(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(shutil.copytree(tiny, tmp_path / "data"))

    def killed(folder, photos):
        raise KeyboardInterrupt

    monkeypatch.setattr(pack, "write_manifest", killed)
    with pytest.raises(KeyboardInterrupt):
        pack.run(PackConfig(data=data))
    monkeypatch.undo()
    assert read_manifest(data)["shard"].isna().all()
    assert packed(data, None)["shard"].notna().all()


def test_pictures_that_were_replaced_are_not_taken_for_those_of_the_shards(tiny: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(tiny, tmp_path / "data"))
    packed(data, tmp_path / "packed")
    write_manifest(data, read_manifest(data).assign(sha256="0" * 64))
    with pytest.raises(ValueError, match="other photographs or settings"):
        packed(data, tmp_path / "packed")


@given(st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text and text.isprintable()))
def test_a_name_in_a_shard_is_one_webdataset_key(photo_id):
    name = pack.member_name(photo_id)
    # Its keys end at the first dot of a name, after the last slash.
    assert not {".", "/"} & set(name)
    assert name.isascii()
    assert unquote(name) == photo_id


def test_ids_with_dots_are_packed_and_found(tiny: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(tiny, tmp_path / "data"))
    photos = read_manifest(data)
    photos["id"] = [f"48.8{k},2.35/" + "x" * k for k in range(60)]
    write_manifest(data, photos)
    table = packed(data, tmp_path / "packed")
    before, after = Pictures.of_dataset(data, photos), Pictures.of_dataset(tmp_path / "packed", table)
    assert [after.source(k) for k in range(60)] == [before.source(k).read_bytes() for k in range(60)]


def test_a_picture_that_cannot_be_read_is_named(tiny: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(tiny, tmp_path / "data"))
    path = data / read_manifest(data)["path"].iloc[0]
    path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"paris-0\.jpg cannot be packed: not a picture.*mend it") as refused:
        packed(data, tmp_path / "packed")
    assert "\n" not in str(refused.value)
    path.unlink()
    with pytest.raises(ValueError, match=r"paris-0\.jpg cannot be packed: No such file"):
        packed(data, tmp_path / "packed")


def test_another_picture_in_a_shard_is_found(tiny: Path, tmp_path: Path) -> None:
    photos = packed(tiny, tmp_path / "packed")
    assert pack.check_shards(tmp_path / "packed") == []
    with (tmp_path / "packed" / photos["shard"].iloc[7]).open("r+b") as shard:
        shard.seek(int(photos["offset"].iloc[7]) + 99)
        shard.write(b"other")
    (line,) = pack.check_shards(tmp_path / "packed")
    assert photos["id"].iloc[7] in line


def test_a_shard_cut_short_is_named_with_what_to_do(tiny: Path, tmp_path: Path) -> None:
    photos = packed(tiny, tmp_path / "packed")
    shard = tmp_path / "packed" / photos["shard"].iloc[0]
    shard.write_bytes(shard.read_bytes()[: int(photos["offset"].iloc[0]) + 5])
    pictures = Pictures.of_dataset(tmp_path / "packed", photos)
    with pytest.raises(
        ValueError, match=r"-00000\.tar is cut short: paris-0\.jpg is [\d,]+ bytes at \d+, of which it holds 5; fetch"
    ):
        pictures.source(0)
    (line,) = pack.check_shards(tmp_path / "packed")
    assert "is cut short" in line


def test_a_shard_that_is_gone_is_named(tiny: Path, tmp_path: Path) -> None:
    photos = packed(tiny, tmp_path / "packed")
    (tmp_path / "packed" / photos["shard"].iloc[0]).unlink()
    with pytest.raises(ValueError, match=r"cannot be read .*fetch or pack it again"):
        Pictures.of_dataset(tmp_path / "packed", photos).source(0)
    (line,) = pack.check_shards(tmp_path / "packed")
    assert line.endswith("(36 of its pictures)")


def test_shards_of_other_settings_are_not_mixed(tiny: Path, tmp_path: Path) -> None:
    packed(tiny, tmp_path / "packed")
    with pytest.raises(ValueError, match="other photographs or settings"):
        packed(tiny, tmp_path / "packed", short_side=100)


def test_shards_may_lie_at_any_fsspec_address(tiny: Path, tmp_path: Path) -> None:
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
    data = Path(shutil.copytree(tiny, tmp_path / "data"))
    pack.run(PackConfig(data=data))
    photos = read_manifest(data)
    assert photos["shard"].notna().all()
    assert all((data / path).is_file() for path in photos["path"])
    np.testing.assert_array_equal(coordinates(photos), coordinates(read_manifest(tiny)))
