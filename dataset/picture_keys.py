"""By what a picture is known again: its content, so that whoever changes a picture changes its key."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.manifest import MANIFEST
from plumbing.files import sha256

COLUMNS = ["path", "sha256", "shard", "offset", "size"]
"""Columns of a manifest that `picture_keys` reads."""


def picture_keys(data: Path, photos: pd.DataFrame) -> NDArray[np.bytes_]:
    """Return a key of 32 bytes for each picture of rows of a manifest.

    It is made of the SHA-256 in the manifest and the size. A file that was touched after the manifest was written is hashed
    again, and one without a hash is known by its path, its size and when it was changed.

    Args:
        data: the dataset folder.
        photos: rows with `COLUMNS`.
    """
    written_at = (data / MANIFEST).stat().st_mtime_ns
    columns = [photos[name].to_numpy() if name in photos else np.full(len(photos), None) for name in COLUMNS]
    keys = np.empty(len(photos), dtype="S32")
    for row, (path, digest, shard, offset, size) in enumerate(zip(*columns, strict=True)):
        known = digest if isinstance(digest, str) and digest else None
        if isinstance(shard, str):
            said = f"{known or f'{shard}@{int(offset)}'}:{int(size)}"
        else:
            said = _of_file(data, path, known, written_at)
        keys[row] = hashlib.sha256(said.encode()).digest()
    return keys


def _of_file(data: Path, path: str, known: str | None, written_at: int) -> str:
    try:
        about = os.stat(data / path)
    except OSError:
        return f"missing:{path}"
    if known is None:
        return f"{path}:{about.st_size}:{about.st_mtime_ns}"
    # The time of the change of status cannot be set back, as `cp -p` sets back the time of the content.
    if max(about.st_mtime_ns, about.st_ctime_ns) > written_at:
        known = sha256(data / path)
    return f"{known}:{about.st_size}"
