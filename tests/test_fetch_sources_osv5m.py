"""Parts of OpenStreetView-5M become a dataset: only those, whole, and going on where they were left."""

import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataset.manifest import read_manifest
from fetch.rejected import read_rejected
from fetch.sources import hub as hub_module
from fetch.sources.config import Osv5mConfig
from fetch.sources.hub import HubFile
from fetch.sources.osv5m import STORE, part_name, run, side_of
from plumbing.files import read_json
from tests.loopback import loopback
from tests.loopback_hub import COMMIT, REPO, Hub

ROOT = Path(__file__).parent.parent
HEADER = "id,latitude,longitude,country,sequence,captured_at,creator_username\n"


def part(ids, extra: bytes = b"") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for number in ids:
            pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
            encoded = io.BytesIO()
            Image.fromarray(pixels).save(encoded, "JPEG")
            archive.writestr(f"{ids[0] // 100:02d}/{number}.jpg", encoded.getvalue())
        if extra:
            archive.writestr("padding.bin", extra)
    return packed.getvalue()


def table(ids) -> bytes:
    rows = (f"{n},{n % 80}.5,{n % 170}.25,FR,s{n},1588334400000,ann\n" for n in ids)
    return (HEADER + "".join(rows)).encode()


def dataset() -> dict[str, bytes]:
    """Return a dataset of two parts to train with, and one to test with; small files as git keeps them."""
    return {
        "README.md": b"# Streets",
        "train.csv": table(range(200)),
        "test.csv": table(range(200, 220)),
        "images/train/00.zip": part(range(20)),
        "images/train/01.zip": part(range(100, 120)),
        "images/test/00.zip": part(range(200, 212)),
    }


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    with loopback() as server:
        yield Hub(server, dataset())


def config(hub, out, *parts, **settings):
    return Osv5mConfig(out=out, parts=parts, repo=REPO, endpoint=hub.server.url, **settings)


def downloads(hub) -> list[str]:
    return sorted(path for path, _ in hub.ranges)


def test_only_the_chosen_parts_are_downloaded_and_the_official_test_split_stays(hub, tmp_path):
    run(config(hub, tmp_path / "d", "00"))
    photos = read_manifest(tmp_path / "d").set_index("id")
    assert downloads(hub) == ["images/test/00.zip", "images/train/00.zip", "test.csv", "train.csv"]
    assert set(photos.index) == {str(n) for n in [*range(20), *range(200, 212)]}
    assert set(photos.index[photos["split"] == "test"]) == {str(n) for n in range(200, 212)}
    assert set(photos["split"]) == {"train", "calibration", "test"}
    first = photos.loc["7"]
    assert (first["latitude"], first["longitude"], first["sequence_id"], first["creator"]) == (7.5, 7.25, "s7", "ann")
    assert (first["licence"], first["url"]) == ("CC-BY-SA-4.0", "https://www.mapillary.com/app/?pKey=7")
    about = read_json(tmp_path / "d" / "dataset.json")
    assert (about["repo"], about["revision"], len(about["files"])) == (REPO, COMMIT, 4)


def test_another_part_adds_to_the_dataset_and_asks_for_no_more_than_it_lacks(hub, tmp_path):
    run(config(hub, tmp_path / "d", "00"))
    hub.ranges.clear()
    run(config(hub, tmp_path / "d", "00", "01"))
    assert downloads(hub) == ["images/train/01.zip"]
    assert len(read_manifest(tmp_path / "d")) == 52
    hub.ranges.clear()
    run(config(hub, tmp_path / "d", "00", "01"))
    assert downloads(hub) == []


def test_a_number_of_pictures_is_drawn_and_a_larger_number_adds_to_it(hub, tmp_path):
    ids = []
    for number in (6, 9):
        run(config(hub, tmp_path / "d", "00", images=number, test_images=4))
        photos = read_manifest(tmp_path / "d")
        assert (photos["split"] == "test").sum() == 4
        ids.append(set(photos["id"][photos["split"] != "test"]))
    assert [len(found) for found in ids] == [6, 9]
    assert ids[0] < ids[1] < {str(n) for n in range(20)}
    with pytest.raises(ValueError, match="--images must be 1 or more, or 0 for all, got -1"):
        config(hub, tmp_path / "d", "00", images=-1)


def test_the_split_can_be_made_again_and_test_parts_left_out(hub, tmp_path):
    run(config(hub, tmp_path / "a", "00", "01", split_from="groups", split="cell"))
    held_out = read_manifest(tmp_path / "a").set_index("id")["split"] == "test"
    assert 0 < held_out.sum() < 12
    run(config(hub, tmp_path / "b", "01", test_parts=(), store=tmp_path / "a" / STORE))
    photos = read_manifest(tmp_path / "b")
    assert set(photos["id"]) == {str(n) for n in range(100, 120)}
    assert "test" in set(photos["split"])


def test_a_corrupted_part_is_found_and_downloaded_again(hub, tmp_path, caplog):
    run(config(hub, tmp_path / "d", "00"))
    before = read_manifest(tmp_path / "d")
    path = tmp_path / "d" / STORE / "images/train/00.zip"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    hub.ranges.clear()
    run(config(hub, tmp_path / "d", "00"))
    assert downloads(hub) == ["images/train/00.zip"]
    assert "00.zip is damaged: it is downloaded again" in caplog.text
    assert read_manifest(tmp_path / "d").equals(before)


@pytest.mark.parametrize("path", ["images/train/00.zip", "train.csv"])
def test_a_part_that_comes_corrupted_every_time_is_reported(path, hub, tmp_path):
    good = hub.files[path]
    hub.sends[path] = good[:500] + b"?" + good[501:]
    with pytest.raises(ValueError, match=f"{path} came damaged or cut short 3 times"):
        run(config(hub, tmp_path / "d", "00"))
    assert downloads(hub).count(path) == 3
    hub.sends.clear()
    run(config(hub, tmp_path / "d", "00"))
    assert len(read_manifest(tmp_path / "d")) == 32


def test_a_broken_connection_is_taken_up_where_it_broke(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    hub.stops["images/train/00.zip"] = 5500
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    hub.server.closing.set()  # Connections break instead of hanging.
    with pytest.raises(ValueError, match=r"does not answer|came damaged or cut short"):
        run(config(hub, tmp_path / "d", "00"))
    hub.stops.clear()
    hub.ranges.clear()
    run(config(hub, tmp_path / "d", "00"))
    assert ("images/train/00.zip", "bytes=5000-") in hub.ranges
    assert len(read_manifest(tmp_path / "d")) == 32


@pytest.mark.slow
def test_killed_in_the_middle_of_a_part_it_goes_on_there(hub, tmp_path):
    hub.files["images/train/00.zip"] = part(range(20), bytes(40_000_000))
    hub.stops["images/train/00.zip"] = 25_000_000
    flags = ["--parts", "00", "--endpoint", hub.server.url, "--repo", REPO, "--out", str(tmp_path / "d")]
    command = [sys.executable, "-m", "fetch", "osv5m", *flags]
    environment = {**os.environ, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "60"}
    running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, env=environment)
    folder = tmp_path / "d" / STORE / "images/train"
    for _ in range(600):
        if any(path.stat().st_size >= 20_000_000 for path in folder.glob(".*")):
            break
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    (piece,) = folder.glob(".*")
    have = piece.stat().st_size
    hub.stops.clear()
    hub.ranges.clear()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert ("images/train/00.zip", f"bytes={have}-") in hub.ranges
    assert have >= 20_000_000
    assert [path.name for path in folder.iterdir()] == ["00.zip"]
    assert len(read_manifest(tmp_path / "d")) == 32


def test_photographs_that_cannot_be_used_are_named_with_their_reason(hub, tmp_path):
    hub.files["train.csv"] = table(n for n in range(200) if n != 5).replace(b"\n9,9.5,9.25", b"\n9,99.5,9.25")
    run(config(hub, tmp_path / "d", "00"))
    assert {r.id: r.reason for r in read_rejected(tmp_path / "d")} == {
        "5": "not in train.csv",
        "9": "with coordinates out of range",
    }


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"parts": ("07",)}, "--parts: there is no train part 07; the hub has: 00 01"),
        ({"test_parts": ("9",)}, "--test-parts: there is no test part 9; the hub has: 00"),
        ({"repo": "some/thing"}, "--repo: .* has no dataset 'some/thing'"),
        ({"repo": "a/b/c"}, "--repo is the name of a dataset"),
        ({"revision": "v9"}, "--revision: some/streets has no 'v9'"),
    ],
)
def test_what_the_hub_does_not_have_is_one_clear_line(settings, words, hub, tmp_path):
    flags = {"out": tmp_path / "d", "parts": ("00",), "repo": REPO, "endpoint": hub.server.url, **settings}
    with pytest.raises(ValueError, match=words) as refusal:
        run(Osv5mConfig(**flags))
    assert "\n" not in str(refusal.value)
    assert hub.ranges == []
    assert not (tmp_path / "d").exists()


def test_a_hub_that_cannot_be_reached_is_one_clear_line(tmp_path):
    with loopback() as server:
        url = server.url
    with pytest.raises(ValueError, match=r"the hub at http.* does not answer \(ConnectError\)"):
        run(Osv5mConfig(out=tmp_path / "d", parts=("00",), endpoint=url))


def test_a_full_disk_is_said_before_anything_is_downloaded(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(hub_module, "SPARE_BYTES", 10**18)
    with pytest.raises(ValueError, match=r"GB free, 0.00 GB are needed"):
        run(config(hub, tmp_path / "d", "00"))
    assert hub.ranges == []


def test_a_list_that_names_files_outside_is_refused(hub, tmp_path):
    hub.files["../train/05.zip"] = part(range(500, 510))
    with pytest.raises(ValueError, match="outside of its folder"):
        run(config(hub, tmp_path / "d", "05"))
    assert hub.ranges == []


def test_a_dataset_of_another_source_is_not_written_over(hub, tmp_path):
    run(config(hub, tmp_path / "d", "00"))
    with pytest.raises(ValueError, match="dataset of another source"):
        run(Osv5mConfig(out=tmp_path / "d", parts=("00",), endpoint=hub.server.url))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(ValueError, match="holds other files"):
        run(config(hub, tmp_path / "full", "00"))


def test_addresses_without_encryption_and_empty_choices_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--endpoint must be an https address"):
        Osv5mConfig(out=tmp_path, parts=("00",), endpoint="http://example.org")
    with pytest.raises(ValueError, match="--parts and --test-parts name nothing"):
        Osv5mConfig(out=tmp_path, parts=(), test_parts=())


@pytest.mark.parametrize(
    ("path", "side", "name"),
    [
        ("images/train/07.zip", "train", "07"),
        ("images/test/00.zip", "test", "00"),
        ("test_images/03.zip", "test", "03"),
        ("data/train-12.zip", "train", "12"),
        ("train.zip", "train", "train"),
        ("latest/00.zip", "", "00"),
    ],
)
def test_parts_are_known_wherever_they_lie(path, side, name):
    assert (side_of(path), part_name(path)) == (side, name)


def test_small_files_are_checked_by_their_git_hash(tmp_path):
    (tmp_path / "f").write_bytes(b"hello\n")
    # `echo hello | git hash-object --stdin`
    assert HubFile("f", 6, "ce013625030ba8dba906f756967f9e9ca394464a").is_at(tmp_path / "f")
    assert not HubFile("f", 6, "ce013625030ba8dba906f756967f9e9ca394464b").is_at(tmp_path / "f")
    assert not HubFile("f", 7, "ce013625030ba8dba906f756967f9e9ca394464a").is_at(tmp_path / "f")
    assert not HubFile("f", 6, "ce013625030ba8dba906f756967f9e9ca394464a").is_at(tmp_path / "g")
