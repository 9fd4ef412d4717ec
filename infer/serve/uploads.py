"""Where photographs lie while the app runs: one folder of its own, cleared by age, and whole when the app ends."""

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)

KEPT_S = 600
"""Photographs that were handed in, and files of their answers, are deleted after so many seconds."""
PREFIX = "infer-serve-"
LOCK = ".lock"


@contextmanager
def own_folder(parent: Path | None = None) -> Iterator[Path]:
    """Give a new folder, and delete it at the end with all that lies in it.

    Folders that an app left behind which was killed are deleted first: no app holds their lock any more.

    Args:
        parent: where it is made; the system's folder for temporary files when None.
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    parent.mkdir(parents=True, exist_ok=True)
    clear_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    lock = FileLock(folder / LOCK)
    lock.acquire()
    try:
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def clear_abandoned(parent: Path) -> None:
    """Delete the folders of apps that do not run any more."""
    for folder in parent.glob(f"{PREFIX}*"):
        if folder.is_symlink() or not (folder / LOCK).is_file():
            continue
        try:
            with FileLock(folder / LOCK, timeout=0):
                pass
        except (Timeout, OSError):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        log.info("deleted %s, which an earlier start left behind", folder)


def clear_old(folder: Path, older_than_s: float = KEPT_S) -> int:
    """Delete the files of a folder that are older than so many seconds, and return how many they were."""
    oldest, deleted = time.time() - older_than_s, 0
    for path in sorted(folder.rglob("*"), reverse=True):
        try:
            if path.is_dir() and not path.is_symlink():
                path.rmdir() if path.stat().st_mtime < oldest and not any(path.iterdir()) else None
            elif path.name != LOCK and path.lstat().st_mtime < oldest:
                path.unlink()
                deleted += 1
        except OSError:
            # Somebody else was quicker, or it is being read on a system that then keeps it.
            continue
    return deleted
