"""Files that appear whole or not at all, and their hashes."""

import errno
import hashlib
import json
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

HOST = hashlib.blake2b(platform.node().encode(), digest_size=3).hexdigest()
PARTIAL = re.compile(r"\..+\.(?:([0-9a-f]{6})-(\d+)-)?[0-9a-f]{8}\.partial")
"""Names of files that are being written: by which machine and process, and a number."""
FORGOTTEN_S = 86_400
"""Such a file of a machine that is not this one is forgotten when it has not changed for a day."""
DISK_BYTES = 1 << 20
"""With less room than this a disk is full, whatever a library says of its failure."""

_cleaned: set[Path] = set()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a hidden sibling to write to; it takes the name `path` when the block succeeds and vanishes when not.

    What a killed process was writing in that folder is removed.

    Raises:
        OSError: it cannot be written; it names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clean(path.parent)
    partial = path.with_name(f".{path.name}.{HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}.partial")
    try:
        yield partial
        # To be written, for Windows brings no other file to the disk.
        with partial.open("r+b") as written:
            os.fsync(written.fileno())
        os.replace(partial, path)
    except OSError as error:
        if error.filename is not None and error.filename != str(partial):
            raise
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from error
    except Exception as error:
        if shutil.disk_usage(path.parent).free > DISK_BYTES:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
    finally:
        # A read-only disk refuses to remove even what is absent, and would speak of the hidden file.
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _clean(folder: Path) -> None:
    """Remove, once in a process, what killed processes were writing in a folder."""
    if folder in _cleaned:
        return
    _cleaned.add(folder)
    with os.scandir(folder) as entries:
        left = [entry.path for entry in entries if entry.name.endswith(".partial") and _is_forgotten(entry)]
    for path in left:
        with suppress(OSError):  # Another process may have been quicker; on Windows an open file stays.
            os.unlink(path)


def _is_forgotten(entry: "os.DirEntry[str]") -> bool:
    match = PARTIAL.fullmatch(entry.name)
    if match is None or not entry.is_file(follow_symlinks=False):
        return False
    host, process = match.groups()
    if host == HOST:
        return not _is_running(int(process))
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > FORGOTTEN_S


def _is_running(process: int) -> bool:
    """Say whether a process of this machine runs; on Windows, where asking would end it, its open file cannot be removed."""
    if os.name == "nt":
        return process == os.getpid()
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all; what is no letter of UTF-8, as in names of old disks, as its escape."""
    with atomic_path(path) as partial:
        # Lines end alike on every system, so that hashes are alike.
        partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a journal that has one on each line; nothing where there is none.

    A line that is torn, as one is that an interrupted run was writing, or that is another thing than an object, is passed by.
    """
    if not path.is_file():
        return
    with path.open("rb") as lines:
        for line in lines:
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                yield row


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON whole or not at all; NaN is refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        ValueError: the file is not JSON; its name is in the message.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}): restore it or make it again") from None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
