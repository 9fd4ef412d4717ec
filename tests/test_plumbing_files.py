"""Files that appear whole or not at all."""

import errno
import hashlib
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbing import files
from plumbing.files import atomic_path, read_json, read_json_lines, sha256, write_json, write_text

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def test_a_file_appears_when_the_block_succeeds(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    with atomic_path(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
        assert partial.parent == path.parent
        assert partial.name.startswith(".")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def write_half(path, failure):
    with atomic_path(path) as partial:
        partial.write_text("half")
        raise failure


def test_a_failing_block_leaves_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError):
        write_half(tmp_path / "a.txt", RuntimeError)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_block_leaves_the_older_file_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path, KeyboardInterrupt)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_fails(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_is_replaced(tmp_path):
    for text in ("one", "two"):
        write_text(tmp_path / "a.txt", text)
    assert (tmp_path / "a.txt").read_text() == "two"


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_path(path) as one, atomic_path(path) as two:
        one.write_text("one")
        two.write_text("two")
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


@given(values)
def test_json_reads_back_as_it_was_written(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "a.json"
    write_json(path, value)
    assert read_json(path) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, [1, {"a": -math.inf}]])
def test_what_json_has_no_word_for_is_not_written(tmp_path, value):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"{'a': 1}"])
def test_broken_json_is_refused_by_name(tmp_path, content):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.json is not valid JSON"):
        read_json(path)


@given(st.binary(max_size=1000))
def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("hash") / "a"
    path.write_bytes(content)
    assert sha256(path) == hashlib.sha256(content).hexdigest()


def test_the_hash_of_nothing_agrees_with_the_standard(tmp_path):
    (tmp_path / "empty").touch()
    assert sha256(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_journal_is_read_without_the_line_that_is_torn(tmp_path):
    assert list(read_json_lines(tmp_path / "none.jsonl")) == []
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": 2}\n{"a": ')
    assert list(read_json_lines(tmp_path / "a.jsonl")) == [{"a": 1}, {"a": 2}]


def left_by(folder, process, name="a.txt"):
    path = folder / f".{name}.{files.HOST}-{process}-0123abcd.partial"
    path.write_text("half")
    return path


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture(autouse=True)
def _nothing_is_clean():
    files._cleaned.clear()


def test_what_a_killed_process_was_writing_is_removed_at_the_next_start(tmp_path):
    killed = left_by(tmp_path, ended_process())
    running = left_by(tmp_path, os.getppid())
    other = tmp_path / ".mine.partial"
    other.write_text("kept")
    write_text(tmp_path / "b.txt", "new")
    assert not killed.exists()
    assert running.exists()
    assert other.exists()


def test_what_an_unknown_machine_was_writing_is_removed_after_a_day(tmp_path):
    old, new = tmp_path / ".a.txt.ffffff-1-0123abcd.partial", tmp_path / ".b.txt.0123abcd.partial"
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (0, 0))
    write_text(tmp_path / "c.txt", "new")
    assert (old.exists(), new.exists()) == (False, True)


def test_a_full_disk_names_the_file(tmp_path):
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_half(tmp_path / "a.txt", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert caught.value.filename == str(tmp_path / "a.txt")


def test_a_read_only_disk_names_the_file_and_not_the_hidden_one(tmp_path, monkeypatch):
    def refuse(path, **_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OSError, match="Read-only file system") as caught, atomic_path(tmp_path / "a.txt") as partial:
        refuse(partial)
    assert caught.value.filename == str(tmp_path / "a.txt")


def test_a_library_that_fails_on_a_full_disk_names_the_file_too(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 0})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_half(tmp_path / "a.txt", RuntimeError("writing failed"))
    assert caught.value.filename == str(tmp_path / "a.txt")


def test_letters_of_old_disks_are_written_as_escapes(tmp_path):
    write_text(tmp_path / "a.txt", os.fsdecode(b"caf\xe9"))
    assert (tmp_path / "a.txt").read_text() == "caf\\udce9"
    write_json(tmp_path / "a.json", {"name": os.fsdecode(b"caf\xe9")})
    assert os.fsencode(read_json(tmp_path / "a.json")["name"]) == b"caf\xe9"


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b"{", b""])
def test_json_that_cannot_be_read_is_one_line(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")


def test_lines_that_are_no_objects_are_passed_by(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n[1]\nnull\n\xff\n' + b"[" * 100_000 + b'\n{"a": 2}\n{"a"')
    assert list(read_json_lines(tmp_path / "a.jsonl")) == [{"a": 1}, {"a": 2}]
