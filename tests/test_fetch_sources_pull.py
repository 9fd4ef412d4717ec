"""A list and an address give exactly the photographs that the list names, or nothing that could be taken for them."""

import shutil
import zipfile
from pathlib import Path

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset.manifest import DATASET, MANIFEST, SCHEMA, read_manifest, write_manifest
from fetch.balance import run as balance
from fetch.config import BalanceConfig, VerifyConfig
from fetch.sources.config import PullConfig
from fetch.sources.pull import open_source, run
from fetch.stored import MEASURES
from fetch.subset import Subset, pictures_hash, read_subset, write_subset
from fetch.verify import run as verify
from plumbing.files import read_json, sha256
from tests.loopback import Reply, loopback

NAMES = ("lima-0", "lima-7", "paris-3", "suva-9")


@pytest.fixture
def dataset(tiny, tmp_path):
    """Return a copy of the tiny dataset whose manifest has hashes."""
    data = tmp_path / "there"
    shutil.copytree(tiny, data)
    photos = read_manifest(data)
    photos["sha256"] = [sha256(data / path) for path in photos["path"]]
    write_manifest(data, photos)
    return data


@pytest.fixture
def subset(dataset, tmp_path):
    """Return a list of four photographs, with the hash of their pictures."""
    known = read_manifest(dataset).set_index("id")["sha256"]
    path = tmp_path / "list.txt"
    write_subset(path, Subset(NAMES, pictures_hash({name: known[name] for name in NAMES}), {"seed": "0"}))
    return path


def config(subset, source, out, **settings):
    quick = {"threads": 4}
    if str(source).startswith("http"):
        quick |= {"requests_per_second": 0, "timeout_s": 1, "backoff_s": 0.001}
    return PullConfig(subset=subset, source=str(source), out=out, **{**quick, **settings})


def check_pulled(out: Path, dataset: Path) -> None:
    photos, original = read_manifest(out), read_manifest(dataset)
    original = original[original["id"].isin(NAMES)].sort_values("id", ignore_index=True)
    pd.testing.assert_frame_equal(photos, original)
    for path in photos["path"]:
        assert (out / path).read_bytes() == (dataset / path).read_bytes()
    assert len(list((out / "images").rglob("*.*"))) == len(NAMES)


def packed(dataset: Path, path: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in dataset.rglob("*.*"):
            archive.write(file, prefix + file.relative_to(dataset).as_posix())
    return path


def test_from_a_folder(dataset, subset, tmp_path):
    run(config(subset, dataset, tmp_path / "d"))
    check_pulled(tmp_path / "d", dataset)
    about = read_json(tmp_path / "d" / DATASET)
    assert (about["photographs"], about["subset"]) == (4, {"seed": "0"})


@pytest.mark.parametrize("prefix", ["", "there/"])
@pytest.mark.parametrize("form", ["{}", "zip://{}", "zip://::{}"])
def test_from_a_zip_file_packed_with_or_without_its_folder(form, prefix, dataset, subset, tmp_path):
    path = packed(dataset, tmp_path / "x.zip", prefix)
    run(config(subset, form.format(path), tmp_path / "d"))
    check_pulled(tmp_path / "d", dataset)


def test_from_memory(dataset, subset, tmp_path):
    store = fsspec.filesystem("memory")
    for file in dataset.rglob("*.*"):
        store.pipe_file(f"/pull/{file.relative_to(dataset).as_posix()}", file.read_bytes())
    run(config(subset, "memory://pull", tmp_path / "d"))
    check_pulled(tmp_path / "d", dataset)
    store.rm("/pull", recursive=True)


def serve(server, dataset):
    for file in dataset.rglob("*.*"):
        server.gives(f"/data/{file.relative_to(dataset).as_posix()}", file.read_bytes())
    return f"{server.url}/data/"


def test_from_a_web_server_that_fails_now_and_then_and_nothing_twice(dataset, subset, tmp_path):
    with loopback() as server:
        address = serve(server, dataset)
        paths = read_manifest(dataset).set_index("id").loc[list(NAMES), "path"]
        server.gives(f"/data/{paths.iloc[0]}", Reply(503), (dataset / paths.iloc[0]).read_bytes())
        run(config(subset, address, tmp_path / "d"))
        check_pulled(tmp_path / "d", dataset)
        asked = {path for path in server.asked if "/images/" in path}
        assert asked == {f"/data/{path}" for path in paths}
        server.asked.clear()
        (tmp_path / "d" / paths.iloc[1]).unlink()
        (tmp_path / "d" / paths.iloc[2]).write_bytes(b"broken")
        run(config(subset, address, tmp_path / "d"))
        check_pulled(tmp_path / "d", dataset)
        assert {path for path in server.asked if "/images/" in path} == {f"/data/{path}" for path in paths.iloc[1:3]}


def test_what_could_not_be_brought_is_said_and_there_is_no_manifest(dataset, subset, tmp_path):
    photos = read_manifest(dataset).set_index("id")
    (dataset / photos.loc["lima-7", "path"]).unlink()
    shutil.copy(dataset / photos.loc["suva-8", "path"], dataset / photos.loc["suva-9", "path"])
    with pytest.raises(ValueError, match=r"2 of 4 pictures could not be copied, the first: lima-7"):
        run(config(subset, dataset, tmp_path / "d"))
    assert not (tmp_path / "d" / MANIFEST).exists()
    assert len(list((tmp_path / "d").rglob("*.jpg"))) == 2


def test_other_pictures_under_the_same_ids_are_refused(dataset, subset, tmp_path):
    photos = read_manifest(dataset)
    photos.loc[photos["id"] == "lima-0", "sha256"] = "0" * 64
    write_manifest(dataset, photos)
    with pytest.raises(ValueError, match="has other pictures under the ids"):
        run(config(subset, dataset, tmp_path / "d"))
    photos["sha256"] = None
    write_manifest(dataset, photos)
    path = dataset / photos.set_index("id").loc["lima-0", "path"]
    shutil.copy(dataset / photos["path"].iloc[-1], path)
    with pytest.raises(ValueError, match="the pictures are not those that"):
        run(config(subset, dataset, tmp_path / "d"))
    assert not (tmp_path / "d" / MANIFEST).exists()


def test_from_shards_by_their_offsets(dataset, subset, tmp_path):
    photos = read_manifest(dataset)
    shard, place = b"", []
    for path in photos["path"]:
        body = (dataset / path).read_bytes()
        place.append((len(shard) + 512, len(body)))
        shard += bytes(512) + body
        (dataset / path).unlink()
    (dataset / "shards").mkdir()
    (dataset / "shards" / "0.tar").write_bytes(shard)
    photos["shard"] = "shards/0.tar"
    photos[["offset", "size"]] = place
    write_manifest(dataset, photos)
    run(config(subset, dataset, tmp_path / "d"))
    pulled = read_manifest(tmp_path / "d")
    assert pulled["shard"].isna().all()
    assert verify(VerifyConfig(data=tmp_path / "d")) == 0


def test_measures_come_along(dataset, subset, tmp_path):
    ids = read_manifest(dataset)["id"]
    pq.write_table(pa.table({"id": ids, "sharpness": [1.0] * len(ids)}), dataset / MEASURES)
    run(config(subset, dataset, tmp_path / "d"))
    assert sorted(pq.read_table(tmp_path / "d" / MEASURES)["id"].to_pylist()) == list(NAMES)


@pytest.mark.parametrize(
    "path", ["../x.jpg", "images/../../x.jpg", "/etc/passwd", "images\\..\\x.jpg", "manifest.parquet"]
)
def test_a_manifest_that_names_files_outside_is_refused(path, dataset, subset, tmp_path):
    photos = read_manifest(dataset)
    photos.loc[photos["id"] == "lima-0", "path"] = path
    write_manifest(dataset, photos)
    with pytest.raises(ValueError, match="names a file outside of images"):
        run(config(subset, dataset, tmp_path / "d"))


def test_photographs_that_the_dataset_lacks_are_said(dataset, tmp_path):
    write_subset(tmp_path / "list.txt", Subset(("lima-0", "rome-1", "rome-2")))
    with pytest.raises(ValueError, match=r"lacks 2 of 3 photographs .*, such as rome-1"):
        run(config(tmp_path / "list.txt", dataset, tmp_path / "d"))


def test_addresses_that_hold_nothing_are_one_clear_line(subset, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.zip").write_bytes(b"no zip")
    for address, words in (
        (tmp_path / "gone", "no such folder"),
        (tmp_path / "empty", "is not a dataset"),
        (tmp_path / "no.zip", "cannot be opened"),
        ("http://example.org/x", "--from must be an https address"),
        ("nonsense://x", "is not opened: name a folder"),
        ("simplecache::memory://x", "is not opened: name a folder"),
        ("reference://x", "is not opened: name a folder"),
    ):
        with pytest.raises(ValueError, match=words) as refusal:
            run(config(subset, address, tmp_path / "d"))
        assert "\n" not in str(refusal.value)
    with loopback() as server, pytest.raises(ValueError, match="is not a dataset"):
        run(config(subset, server.url, tmp_path / "d"))


def test_another_dataset_is_not_written_over(dataset, subset, tmp_path):
    run(config(subset, dataset, tmp_path / "d"))
    write_subset(tmp_path / "other.txt", Subset(("lima-0",)))
    with pytest.raises(ValueError, match="was not made from this list"):
        run(config(tmp_path / "other.txt", dataset, tmp_path / "d"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(ValueError, match="holds other files"):
        run(config(subset, dataset, tmp_path / "full"))


def test_a_balanced_list_is_pulled_whole(dataset, tmp_path):
    balance(BalanceConfig(data=dataset, target="cell", level=3, out=tmp_path / "list"))
    run(config(tmp_path / "list", dataset, tmp_path / "d"))
    assert tuple(read_manifest(tmp_path / "d")["id"]) == read_subset(tmp_path / "list").ids
    assert read_manifest(tmp_path / "d").columns.tolist() == SCHEMA.names


def test_a_web_server_is_not_asked_for_ranges(subset, tmp_path):
    source = open_source(config(subset, "https://example.org/x", tmp_path))
    with pytest.raises(OSError, match="packed datasets"):
        source.read("shards/0.tar", 5, 9)
