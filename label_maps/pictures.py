"""Where the pictures of a dataset lie: each in a file of its own, or many in a tar shard, by byte offset.

Shards lie in the dataset folder, or below the fsspec address that `dataset.json` names as `shards`, such as
`s3://bucket/world`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from label_maps.manifest import DATASET
from plumbing.files import read_json

OWN_FILE = -1


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
    def of_files(cls, paths: Sequence[Path]) -> "Pictures":
        """Return pictures that are files."""
        names = np.array([os.fsencode(path) for path in paths], dtype=np.bytes_)
        none = np.zeros(0, dtype=np.int64)
        return cls(names, none.astype(np.int32), none, none)

    @classmethod
    def of_dataset(cls, data: Path, photos: pd.DataFrame) -> "Pictures":
        """Return the pictures of rows of a manifest: from shards where it names them, from files elsewhere."""
        if "shard" not in photos or photos["shard"].isna().all():
            return cls.of_files([data / path for path in photos["path"]])
        shard, names = pd.factorize(photos["shard"])
        files = [] if (shard != OWN_FILE).all() else [os.fsencode(data / path) for path in photos["path"]]
        return cls(
            path=np.array(files, dtype=np.bytes_),
            shard=shard.astype(np.int32),
            offset=photos["offset"].fillna(0).to_numpy(dtype=np.int64),
            size=photos["size"].fillna(0).to_numpy(dtype=np.int64),
            shards=tuple(f"{_base(data)}/{name}" for name in names),
        )

    def __len__(self) -> int:
        """Return how many pictures there are."""
        return max(len(self.path), len(self.shard))

    def rows(self, index: Sequence[int]) -> "Pictures":
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
        except OSError as error:
            raise ValueError(
                f"the shard {address} cannot be read ({error.strerror or error}): fetch or pack it again"
            ) from None
        if len(content) < size:
            raise ValueError(
                f"the shard {address} is cut short: {size} bytes at {offset} hold {len(content)}; fetch or pack it again"
            )
        return content


def _base(data: Path) -> str:
    about = read_json(data / DATASET) if (data / DATASET).is_file() else {}
    return str(about.get("shards") or data).rstrip("/")


def _read(address: str, offset: int, size: int) -> bytes:
    if "://" in address:
        system, path = fsspec.core.url_to_fs(address)
        content: bytes = system.cat_file(path, start=offset, end=offset + size)
        return content
    # pread has no position, so threads and forked workers may share one open file.
    return os.pread(_open(address), size, offset)


@cache
def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
