"""Features on disk: whole rows whatever interrupts, found by the content of a picture, exactly as they were given."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dataset.features import FeatureCache, FeatureKind
from dataset.manifest import read_manifest, write_manifest
from dataset.picture_keys import picture_keys
from plumbing.files import sha256
from tests.tiny import write_tiny

KIND = FeatureKind("resnet18", "ab", {"size": 32}, "float32", "own")


def keys_of(numbers):
    return np.array([f"{number:032d}".encode() for number in numbers], dtype="S32")


def values_of(numbers, width=5):
    return (np.asarray(numbers)[:, None] + np.arange(width) / 7).astype(np.float32)


def test_rows_are_found_by_picture_and_view_and_are_what_was_written(tmp_path):
    cache = FeatureCache.create(tmp_path, KIND, 5, "float32")
    with cache.writer() as writer:
        writer.add(keys_of([3, 1, 2]), values_of([3, 1, 2]))
        writer.add(keys_of([1]), values_of([100]), view=2)
    there = FeatureCache.open(tmp_path, KIND).read()
    rows = there.find(keys_of([2, 9, 3]))
    assert rows[1] == -1
    np.testing.assert_array_equal(there.take(rows[[0, 2]]), values_of([2, 3]))
    np.testing.assert_array_equal(there.take(there.find(keys_of([1]), view=2)), values_of([100]))
    assert (there.find(keys_of([1]), view=1) == -1).all()


def test_numbers_of_16_bits_come_back_as_they_were(tmp_path):
    numbers = np.array([[1.0, -2.5, 3.140625, 1e-30, 3e38]], dtype=np.float32)
    bits = (numbers.view(np.uint32) >> 16).astype(np.uint16)
    exact = (bits.astype(np.uint32) << 16).view(np.float32)
    for dtype, stored, wanted in (
        ("bfloat16", bits, exact),
        ("float16", np.float16([[0.1, 2, 3, 4, 5]]), np.float32(np.float16([[0.1, 2, 3, 4, 5]]))),
    ):
        cache = FeatureCache.create(tmp_path / dtype, KIND, 5, dtype)
        with cache.writer() as writer:
            writer.add(keys_of([1]), stored)
        assert (tmp_path / dtype).joinpath("features", KIND.fingerprint, "part-000.rows").stat().st_size == 10
        there = cache.read()
        np.testing.assert_array_equal(there.take(there.find(keys_of([1]))), wanted)


def test_processes_write_parts_of_their_own_and_all_are_read(tmp_path):
    cache = FeatureCache.create(tmp_path, KIND, 5, "float32")
    with cache.writer() as one, cache.writer() as other:
        other.add(keys_of([2]), values_of([2]))
        one.add(keys_of([1]), values_of([1]))
    assert {path.name for path in cache.folder.glob("*.rows")} == {"part-000.rows", "part-001.rows"}
    with cache.writer() as again:
        again.add(keys_of([3]), values_of([3]))
    assert len(list(cache.folder.glob("*.rows"))) == 2
    there = cache.read()
    np.testing.assert_array_equal(there.take(there.find(keys_of([1, 2, 3]))), values_of([1, 2, 3]))


def test_torn_ends_are_cut_off(tmp_path):
    cache = FeatureCache.create(tmp_path, KIND, 5, "float32")
    with cache.writer() as writer:
        writer.add(keys_of([1]), values_of([1]))
    for name, torn in (("part-000.rows", b"x" * 27), ("part-000.keys", b"y" * 11)):
        with (cache.folder / name).open("ab") as file:
            file.write(torn)
    assert len(cache.read()) == 1
    with cache.writer() as writer:
        writer.add(keys_of([2]), values_of([2]))
    there = cache.read()
    assert len(there) == 2
    np.testing.assert_array_equal(there.take(there.find(keys_of([1, 2]))), values_of([1, 2]))


WRITES = """
import numpy as np, sys
from pathlib import Path
from dataset.features import FeatureCache
from tests.test_dataset_features import KIND, keys_of, values_of
with FeatureCache.create(Path(sys.argv[1]), KIND, 5, "float32").writer() as writer:
    for start in range(0, 1_000_000, 3):
        numbers = np.arange(start, start + 3)
        writer.add(keys_of(numbers), values_of(numbers))
"""


def test_a_killed_process_leaves_whole_rows(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", WRITES, str(tmp_path)])
    path = tmp_path / "features" / KIND.fingerprint / "part-000.keys"
    waited = time.monotonic() + 60
    while not (path.is_file() and path.stat().st_size > 36 * 30) and time.monotonic() < waited:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    cache = FeatureCache.open(tmp_path, KIND)
    with cache.writer() as writer:
        writer.add(keys_of([5_000_000]), values_of([5_000_000]))
    there = cache.read()
    numbers = [*range(len(there) - 1), 5_000_000]
    assert len(numbers) > 30
    np.testing.assert_array_equal(there.take(there.find(keys_of(numbers))), values_of(numbers))


def test_whatever_features_are_of_has_a_folder_of_its_own(tmp_path):
    kinds = [
        KIND,
        FeatureKind("resnet34", "ab", {"size": 32}, "float32", "own"),
        FeatureKind("resnet18", "ac", {"size": 32}, "float32", "own"),
        FeatureKind("resnet18", "ab", {"size": 64}, "float32", "own"),
        FeatureKind("resnet18", "ab", {"size": 32}, "bfloat16", "own"),
        FeatureKind("resnet18", "ab", {"size": 32}, "float32", "stages"),
        FeatureKind("resnet18", "ab", {"size": 32}, "float32", "own", {"flip": 0.5}),
    ]
    for kind in kinds:
        FeatureCache.create(tmp_path, kind, 5, "float32")
    assert len({kind.fingerprint for kind in kinds}) == len(kinds)
    assert {cache.kind.fingerprint for cache in FeatureCache.all(tmp_path)} == {k.fingerprint for k in kinds[:-1]}
    assert FeatureCache.open(tmp_path, KIND).kind == KIND


def test_a_damaged_description_is_refused_in_one_line(tmp_path):
    cache = FeatureCache.create(tmp_path, KIND, 5, "float32")
    (cache.folder / "about.json").write_text("{}")
    with pytest.raises(ValueError, match="delete its folder, and the features are computed again"):
        FeatureCache.open(tmp_path, KIND)


@pytest.mark.parametrize("hashed", [True, False], ids=["with hashes", "without hashes"])
def test_a_changed_picture_has_another_key(tmp_path, hashed):
    data = write_tiny(tmp_path / "data")
    photos = read_manifest(data)
    if hashed:
        write_manifest(data, photos.assign(sha256=[sha256(data / path) for path in photos["path"]]))
        photos = read_manifest(data)
    before = picture_keys(data, photos)
    assert len(set(before.tolist())) == len(photos)
    first, second = (data / path for path in photos["path"][:2])
    about = first.stat()
    content = bytearray(first.read_bytes())
    content[-3] ^= 1
    first.write_bytes(content)
    # Of the same size, and with the old time of the content put back.
    os.utime(first, ns=(about.st_atime_ns, about.st_mtime_ns + (0 if hashed else 1)))
    second.write_bytes(second.read_bytes() if hashed else second.read_bytes() + b"x")
    changed = picture_keys(data, photos) != before
    assert changed[0]
    assert changed[1] == (not hashed), "a file that was only copied has the content that it had"
    assert not changed[2:].any()
