import io
import json
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dataset.images import OPEN_SHARDS, Pictures, _opened
from dataset.manifest import read_manifest
from fetch import pack
from fetch.config import PackConfig
from infer.images import photo_batches, read_pixels
from infer.network.transform import InputTransform
from plumbing.files import write_json


def in_shards(folder: Path, contents: list[bytes], shards: int) -> Pictures:
    """Return pictures dealt to shards that are nothing but their bytes, one after the other."""
    rows = []
    for k in range(shards):
        at = 0
        for index in range(k, len(contents), shards):
            rows.append((index, f"{k}.tar", at, len(contents[index])))
            at += len(contents[index])
        (folder / f"{k}.tar").write_bytes(b"".join(contents[k::shards]))
    table = pd.DataFrame(sorted(rows), columns=["id", "shard", "offset", "size"])
    return Pictures.of_dataset(folder, table.assign(path="images/none.jpg"))


def test_many_threads_read_one_shard_where_no_read_has_a_position(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "pread")
    contents = [bytes([k]) * (k + 1) for k in range(200)]
    pictures = in_shards(tmp_path, contents, 1)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(pictures.source, range(200))) == contents


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=20), st.integers(1, 4), st.data())
def test_every_picture_is_its_own_bytes_in_whatever_shard_and_order(tmp_path_factory, contents, shards, data):
    pictures = in_shards(tmp_path_factory.mktemp("shards"), contents, min(shards, len(contents)))
    chosen = data.draw(st.lists(st.integers(0, len(contents) - 1)))
    some = pickle.loads(pickle.dumps(pictures.rows(chosen)))
    assert len(some) == len(chosen)
    assert [some.source(k) for k in range(len(chosen))] == [contents[index] for index in chosen]


def test_many_threads_read_many_shards_with_few_files_open(tmp_path):
    contents = [f"picture {k}".encode() for k in range(6 * OPEN_SHARDS)]
    pictures = in_shards(tmp_path, contents, 3 * OPEN_SHARDS)
    order = np.random.default_rng(0).integers(0, len(contents), 5000).tolist()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(pictures.source, order)) == [contents[index] for index in order]
    assert _opened.cache_info().currsize <= OPEN_SHARDS


def test_rows_that_are_not_packed_are_files(tiny, tmp_path):
    pack.run(PackConfig(data=Path(shutil.copytree(tiny, tmp_path / "data"))))
    photos = read_manifest(tmp_path / "data")
    photos.loc[3, ["shard", "offset", "size"]] = None
    pictures = Pictures.of_dataset(tmp_path / "data", photos)
    assert pictures.source(3) == tmp_path / "data" / photos["path"][3]
    assert isinstance(pictures.source(2), bytes)
    assert (pictures.name(2), pictures.name(3)) == ("paris-2.jpg", str(pictures.source(3)))


def test_workers_see_in_shards_what_they_see_in_files(tiny, tmp_path):
    pack.run(PackConfig(data=tiny, out=tmp_path / "packed"))
    seen = []
    for data in (tiny, tmp_path / "packed"):
        pictures = Pictures.of_dataset(data, read_manifest(data)).rows(list(range(60)) * 2)
        seen.append(torch.cat([batch.pixels for batch in photo_batches(pictures, InputTransform(16), 32, 2)]))
    assert torch.equal(*seen)


def test_a_damaged_picture_in_a_shard_is_named(tiny, tmp_path):
    pack.run(PackConfig(data=tiny, out=tmp_path / "packed"))
    photos = read_manifest(tmp_path / "packed")
    row = photos.iloc[7]
    with (tmp_path / "packed" / row["shard"]).open("r+b") as shard:
        shard.seek(int(row["offset"]))
        shard.write(bytes(int(row["size"])))
    pictures = Pictures.of_dataset(tmp_path / "packed", photos)
    with pytest.raises(ValueError, match=f"^{row['id']}.jpg: it begins with nothing but zeros"):
        read_pixels(pictures, 7, InputTransform(16))


@pytest.mark.parametrize("address", ["adl://bucket/world", "memory://gone"])
def test_a_store_that_cannot_be_read_is_one_line(tiny, tmp_path, address):
    pack.run(PackConfig(data=tiny, out=tmp_path / "packed"))
    write_json(tmp_path / "packed" / "dataset.json", {"shards": address})
    pictures = Pictures.of_dataset(tmp_path / "packed", read_manifest(tmp_path / "packed"))
    with pytest.raises(ValueError, match=f"the shard {address}/shards/train-00000.tar cannot be read") as refused:
        pictures.source(0)
    assert "\n" not in str(refused.value)


def test_a_shard_is_read_by_offset_and_never_whole(tmp_path):
    content = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(content, "JPEG")
    with (tmp_path / "0.tar").open("wb") as shard:
        shard.seek(5_000_000_000)
        shard.write(content.getvalue())
    place = {"path": ["a.jpg"], "shard": ["0.tar"], "offset": [5_000_000_000], "size": [len(content.getvalue())]}
    assert Pictures.of_dataset(tmp_path, pd.DataFrame(place)).source(0) == content.getvalue()


def with_shards(tmp_path: Path, address: str) -> Path:
    (tmp_path / "dataset.json").write_text(json.dumps({"shards": address}))
    return tmp_path


@pytest.mark.parametrize(
    "address",
    [
        "reference://", "simplecache::memory://x", "filecache::reference://", "zip://a.zip", "cached://x", "dask://x",
        "github://o:r@/x", "http://example.org/x", "jupyter://x", "blockcache::s3://b", "generic://x", "local::file:///x",
    ],
)  # fmt: skip
def test_only_stores_that_hold_files_are_opened_by_what_a_dataset_names(tmp_path, address, monkeypatch):
    monkeypatch.setattr("fsspec.core.url_to_fs", lambda *_: pytest.fail("it was opened"))
    photos = pd.DataFrame({"path": ["images/a.jpg"], "shard": ["a.tar"], "offset": [0], "size": [9]})
    with pytest.raises(ValueError, match="is not opened: name a folder, or an address without '::'"):
        Pictures.of_dataset(with_shards(tmp_path, address), photos).source(0)


def test_a_shard_that_is_no_file_is_refused(tmp_path):
    (tmp_path / "a.tar").mkdir()
    os.mkfifo(tmp_path / "b.tar")
    for name in ("a.tar", "b.tar"):
        photos = pd.DataFrame({"path": ["images/a.jpg"], "shard": [name], "offset": [0], "size": [9]})
        with pytest.raises(ValueError, match="cannot be read"):
            Pictures.of_dataset(tmp_path, photos).source(0)


@pytest.mark.parametrize(("offset", "size"), [(0, 1 << 60), (-5, 9), (0, -1)])
def test_sizes_that_no_picture_has_are_refused(tmp_path, offset, size):
    (tmp_path / "a.tar").write_bytes(bytes(64))
    photos = pd.DataFrame({"path": ["images/a.jpg"], "shard": ["a.tar"], "offset": [offset], "size": [size]})
    with pytest.raises(ValueError, match="no picture has"):
        Pictures.of_dataset(tmp_path, photos).source(0)
