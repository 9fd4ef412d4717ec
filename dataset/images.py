"""Where the pictures of a dataset lie: each in a file of its own, or many in a tar shard, by byte offset.

Shards lie in the dataset folder, or below the fsspec address that `dataset.json` names as `shards`, such as
`s3://bucket/world`.
"""

import errno
import os
import stat
import tarfile
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dataset.manifest import DATASET
from plumbing.addresses import check_store
from plumbing.files import read_json
from plumbing.text import counted

OWN_FILE = -1
MOST_BYTES = 1 << 30
"""A picture in a shard is smaller than this."""
OPEN_SHARDS = 64
"""A process keeps at most so many shards open."""
HOW = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NONBLOCK", "O_BINARY"))
"""How they are opened, by what the system knows: a pipe is not waited for, and bytes are not taken for lines."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures by index, as arrays, which worker processes share and do not copy.

    Attributes:
        path: (N,) files as UTF-8; empty where all pictures lie in shards.
        shard: (N,) which of `shards` holds the picture, or `OWN_FILE`; empty where none is packed.
        offset: (N,) where its bytes begin in the shard.
        size: (N,) how many they are.
        shards: addresses of the shards.
    """

    path: NDArray[np.bytes_]
    shard: NDArray[np.int32]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    shards: tuple[str, ...] = ()

    @classmethod
    def of_files(cls, paths: Iterable[Path | str]) -> "Pictures":
        """Return pictures that are files."""
        names = np.array([os.fsencode(path) for path in paths], dtype=np.bytes_)
        none = np.zeros(0, dtype=np.int64)
        return cls(names, none.astype(np.int32), none, none)

    @classmethod
    def of_dataset(cls, data: Path, photos: pd.DataFrame) -> "Pictures":
        """Return the pictures of rows of a manifest: from shards where it names them, from files elsewhere."""
        if "shard" not in photos or photos["shard"].isna().all():
            return cls.of_files(f"{data}/{path}" for path in photos["path"])
        shard, names = pd.factorize(photos["shard"])
        files = [] if (shard != OWN_FILE).all() else [os.fsencode(f"{data}/{path}") for path in photos["path"]]
        return cls(
            path=np.array(files, dtype=np.bytes_),
            shard=shard.astype(np.int32),
            offset=photos["offset"].fillna(0).to_numpy(dtype=np.int64),
            size=photos["size"].fillna(0).to_numpy(dtype=np.int64),
            shards=tuple(f"{_base(data)}/{name}" for name in names),
        )

    @classmethod
    def joined(cls, parts: Sequence["Pictures"]) -> "Pictures":
        """Return the pictures of several places as one."""
        if len(parts) == 1:
            return parts[0]
        starts = np.cumsum([0, *(len(part.shards) for part in parts)]).tolist()
        columns = [part._filled() for part in parts]
        shard = [
            np.where(own == OWN_FILE, OWN_FILE, own + at) for (_, own, _, _), at in zip(columns, starts, strict=False)
        ]
        path, _, offset, size = (np.concatenate(column) for column in zip(*columns, strict=True))
        shards = tuple(address for part in parts for address in part.shards)
        return cls(path, np.concatenate(shard).astype(np.int32), offset, size, shards)

    def _filled(self) -> tuple[NDArray[np.bytes_], NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
        """Return path, shard, offset and size, none of them left empty."""
        path = self.path if len(self.path) else np.zeros(len(self), dtype="S1")
        if len(self.shard):
            return path, self.shard, self.offset, self.size
        zero = np.zeros(len(self), dtype=np.int64)
        return path, np.full(len(self), OWN_FILE, dtype=np.int32), zero, zero

    def __len__(self) -> int:
        """Return how many pictures there are."""
        return max(len(self.path), len(self.shard))

    def rows(self, index: ArrayLike) -> "Pictures":
        """Return some of the pictures."""
        chosen = np.asarray(index, dtype=np.int64)
        packed = len(self.shard) > 0
        return Pictures(
            path=self.path[chosen] if len(self.path) else self.path,
            shard=self.shard[chosen] if packed else self.shard,
            offset=self.offset[chosen] if packed else self.offset,
            size=self.size[chosen] if packed else self.size,
            shards=self.shards,
        )

    def source(self, index: int) -> Path | bytes:
        """Return the file of a picture, or its bytes out of a shard.

        Raises:
            ValueError: a shard is missing or cut short; the message names it.
        """
        if not len(self.shard) or self.shard[index] == OWN_FILE:
            return Path(os.fsdecode(self.path[index]))
        address = self.shards[self.shard[index]]
        offset, size = int(self.offset[index]), int(self.size[index])
        try:
            content = _read(address, offset, size)
        # A store whose client is not installed is an ImportError, one that is not known a ValueError.
        except (OSError, ImportError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ValueError(f"the shard {address} cannot be read ({reason}): fetch or pack it again") from None
        if len(content) < size:
            raise ValueError(
                f"the shard {address} is cut short: {self.name(index)} is {counted(size, 'byte')} at {offset}, of which it "
                f"holds {len(content):,}; fetch or pack it again"
            )
        return content

    def name(self, index: int) -> str:
        """Return by what people know a picture: its file, or its name in a shard."""
        if not len(self.shard) or self.shard[index] == OWN_FILE:
            return os.fsdecode(self.path[index])
        try:
            # Its header lies right before it.
            header = _read(
                self.shards[self.shard[index]], int(self.offset[index]) - tarfile.BLOCKSIZE, tarfile.BLOCKSIZE
            )
            return tarfile.TarInfo.frombuf(header, "utf-8", "replace").name
        except (OSError, ImportError, ValueError, tarfile.TarError):
            return "the picture"


def _base(data: Path) -> str:
    """Return where the shards of a dataset lie.

    Raises:
        ValueError: `dataset.json` names an address that is not opened.
    """
    about = read_json(data / DATASET) if (data / DATASET).is_file() else {}
    named = about.get("shards") if isinstance(about, dict) else None
    if not named:
        return str(data).rstrip("/")
    check_store(f"{data / DATASET}: shards", str(named))
    return str(named).rstrip("/")


def _read(address: str, offset: int, size: int) -> bytes:
    if not offset >= 0 or not 0 <= size <= MOST_BYTES:
        raise ValueError(f"no picture has {size:,} bytes at {offset:,}")
    if "://" in address:
        check_store("the shard", address)
        system, path = fsspec.core.url_to_fs(address)
        content: bytes = system.cat_file(path, start=offset, end=offset + size)
        return content
    return _opened(address).read(offset, size)


class _Opened:
    """An open file, closed when nobody uses it any more: another thread may still read what the cache has dropped."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self.number = os.open(path, HOW)
        if not stat.S_ISREG(os.fstat(self.number).st_mode):
            raise OSError(errno.EINVAL, "it is not a file", path)

    def read(self, offset: int, size: int) -> bytes:
        """Return what lies at an offset, to many threads and forked workers."""
        if hasattr(os, "pread"):
            return os.pread(self.number, size, offset)
        # A file has one position on Windows, where threads alone share it.
        with self._lock:
            os.lseek(self.number, offset, os.SEEK_SET)
            return os.read(self.number, size)

    def __del__(self) -> None:
        # An open that failed left no number.
        if hasattr(self, "number"):
            os.close(self.number)


@lru_cache(maxsize=OPEN_SHARDS)
def _opened(path: str) -> _Opened:
    return _Opened(path)
