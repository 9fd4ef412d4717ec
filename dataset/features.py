"""Features of a dataset's pictures, computed once and kept beside them: `features/<fingerprint>/` of the dataset folder.

A fingerprint stands for what computed them: the weights of a trunk, the transform, the precision. In its folder `about.json`
says so in words, and each process that computes owns a part: `part-000.rows` holds rows of numbers as the network gave
them, `part-000.keys` says of which pictures. A part only ever grows, rows before keys, so that whatever is interrupted
leaves whole rows; a torn end is cut off by the next process that owns the part.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import ArrayLike, NDArray

from plumbing.files import read_json, write_json
from plumbing.text import counted

FOLDER, ABOUT, VERSION = "features", "about.json", 1
STORED = {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16, "uint8": np.uint8}
"""How numbers lie on disk, by the type that the network gave; bfloat16 as its 16 bits, for which numpy has no type; pixels
(`dataset.prepared`) as bytes."""
KEY = np.dtype([("picture", "S32"), ("view", "<i4")])
"""A row is of a picture, and of one of its views: 0 is the picture as it is."""


@dataclass(frozen=True)
class FeatureKind:
    """What features are of. Two kinds that differ in anything share no row.

    Attributes:
        arch: name of the trunk.
        trunk_hash: SHA-256 of its weights.
        transform: how pictures reach it.
        precision: what its activations are computed in.
        output: `own` for its own features, `stages` for those of all its stages.
        changes: how views were changed at random; None where there are only pictures as they are.
    """

    arch: str
    trunk_hash: str
    transform: Mapping[str, Any]
    precision: str
    output: str
    changes: Mapping[str, Any] | None = None

    @property
    def fingerprint(self) -> str:
        """Return the name of the folder of these features."""
        plain = json.dumps({**asdict(self), "version": VERSION}, sort_keys=True)
        return hashlib.sha256(plain.encode()).hexdigest()[:24]

    @property
    def path(self) -> Path:
        """Return where they lie below the dataset folder."""
        return Path(FOLDER, self.fingerprint)


class FeatureCache:
    """The features of one kind in a folder.

    Attributes:
        folder: where they lie.
        kind: what they are of.
        width: numbers in a row.
        dtype: their type, a key of `STORED`.
    """

    def __init__(self, folder: Path, kind: FeatureKind, width: int, dtype: str) -> None:
        self.folder, self.kind, self.width, self.dtype = folder, kind, width, dtype

    @classmethod
    def create(cls, place: Path, kind: FeatureKind, width: int, dtype: str) -> "FeatureCache":
        """Return the features of a kind in a dataset folder, begun where there are none."""
        found = cls.open(place, kind)
        if found is not None and (found.width, found.dtype) == (width, dtype):
            return found
        if found is not None:
            raise ValueError(
                f"{found.folder} holds {counted(found.width, 'number')} a picture as {found.dtype}, and the network gives "
                f"{width} as {dtype}: delete that folder, and they are computed again"
            )
        about = {"version": VERSION, **asdict(kind), "width": width, "dtype": dtype}
        write_json(place / kind.path / ABOUT, about)
        return cls(place / kind.path, kind, width, dtype)

    @classmethod
    def open(cls, place: Path, kind: FeatureKind) -> "FeatureCache | None":
        """Return the features of a kind in a dataset folder; None where there are none."""
        folder = place / kind.path
        return cls._read(folder) if (folder / ABOUT).is_file() else None

    @classmethod
    def all(cls, place: Path) -> "list[FeatureCache]":
        """Return the features of all kinds in a dataset folder, those of changed views left out."""
        found = [cls._read(path.parent) for path in sorted((place / FOLDER).glob(f"*/{ABOUT}"))]
        return [cache for cache in found if cache.kind.changes is None]

    @classmethod
    def _read(cls, folder: Path) -> "FeatureCache":
        try:
            about = dict(read_json(folder / ABOUT))
            if about.pop("version") != VERSION:
                raise ValueError("it is of another version")
            width, dtype = int(about.pop("width")), about.pop("dtype")
            STORED[dtype]
            return cls(folder, FeatureKind(**about), width, dtype)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{folder / ABOUT} cannot be read ({error}): delete its folder, and the features are computed again"
            ) from None

    def read(self) -> "Features":
        """Return what is there now."""
        return Features(self)

    def writer(self) -> "FeatureWriter":
        """Return what adds rows; it owns a part until it is closed."""
        return FeatureWriter(self)

    @property
    def row_bytes(self) -> int:
        """Return how many bytes a row takes."""
        return self.width * np.dtype(STORED[self.dtype]).itemsize


class FeatureWriter:
    """Adds rows to a part that no other process owns."""

    def __init__(self, cache: FeatureCache) -> None:
        self.cache = cache
        self._lock, path = self._own_part()
        self._keys, self._rows = (path.with_suffix(end).open("a+b", buffering=0) for end in (".keys", ".rows"))
        count = _row_count(self._keys, self._rows, cache.row_bytes)
        for file, each in ((self._keys, KEY.itemsize), (self._rows, cache.row_bytes)):
            # What an interrupted process had begun to write.
            file.truncate(count * each)
            file.seek(0, os.SEEK_END)

    def _own_part(self) -> tuple[FileLock, Path]:
        """Return a part that nobody else owns, and the lock by which it is owned; a killed process owns none."""
        for number in range(100_000):
            path = self.cache.folder / f"part-{number:03d}"
            lock = FileLock(path.with_suffix(".lock"), timeout=0)
            try:
                lock.acquire()
            except Timeout:
                continue
            return lock, path
        raise ValueError(f"{self.cache.folder} has no part left to own")

    def add(self, pictures: NDArray[np.bytes_], values: NDArray[Any], view: int = 0) -> None:
        """Add rows; they are on disk when this returns.

        Args:
            pictures: (n,) keys of `picture_keys`.
            values: (n, width) in the type of the cache, bfloat16 as its bits.
            view: which view of the pictures.
        """
        keys = np.empty(len(pictures), dtype=KEY)
        keys["picture"], keys["view"] = pictures, view
        for file, content in ((self._rows, values.astype(STORED[self.cache.dtype], copy=False)), (self._keys, keys)):
            left = memoryview(np.ascontiguousarray(content).tobytes())
            while len(left):
                left = left[file.write(left) :]
            os.fsync(file.fileno())

    def __enter__(self) -> "FeatureWriter":
        """Own a part."""
        return self

    def __exit__(self, *reason: object) -> None:
        """Give the part back."""
        self._rows.close()
        self._keys.close()
        self._lock.release()


def _row_count(keys: BinaryIO, rows: BinaryIO, row_bytes: int) -> int:
    """Return how many whole rows two files of a part hold."""
    sizes = [os.fstat(file.fileno()).st_size for file in (keys, rows)]
    return min(sizes[0] // KEY.itemsize, sizes[1] // row_bytes)


class _Part:
    """The rows of one part, read from its file when they are asked for.

    Mapping the file would be no simpler: systems map far more around a row than the row, until all of it is in memory.
    """

    def __init__(self, path: Path, cache: FeatureCache) -> None:
        self._dtype, self._width = STORED[cache.dtype], cache.width
        self._path = path.with_suffix(".rows")
        with path.open("rb", buffering=0) as keys, self._path.open("rb") as rows:
            self.count = _row_count(keys, rows, cache.row_bytes)
            self.keys = np.frombuffer(keys.read(self.count * KEY.itemsize), dtype=KEY)

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return (n, width) of (n,) rows, as they are stored; neighbours are read at once."""
        found = np.empty((len(rows), self._width), dtype=self._dtype)
        begins = np.flatnonzero(np.diff(rows, prepend=-2) != 1).tolist()
        # Opened each time: threads and worker processes would move each other's place in one file.
        with self._path.open("rb", buffering=0) as file:
            for begin, end in zip(begins, [*begins[1:], len(rows)], strict=True):
                file.seek(int(rows[begin]) * self._width * found.itemsize)
                left = memoryview(found[begin:end]).cast("B")  # type: ignore[arg-type]
                while len(left):
                    count = file.readinto(left)
                    if not count:
                        raise ValueError(
                            f"{self._path} is cut short: delete its folder, and the features are computed again"
                        )
                    left = left[count:]
        return found


class Features:
    """Rows of numbers by picture, as they lay in a cache when it was read; never loaded as a whole."""

    def __init__(self, cache: FeatureCache) -> None:
        self.cache = cache
        paths = sorted(cache.folder.glob("part-*.keys"))
        parts = [_Part(path, cache) for path in paths if path.with_suffix(".rows").is_file()]
        self._parts = [part for part in parts if part.count]
        self._starts = np.cumsum([0, *(part.count for part in self._parts)])

    def __len__(self) -> int:
        """Return how many rows there are."""
        return int(self._starts[-1])

    @cached_property
    def _index(self) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
        """Return the keys in order, as bytes, and the row of each."""
        keys = np.concatenate([np.zeros(0, KEY), *(part.keys for part in self._parts)])
        plain = _plain(keys)
        order = np.argsort(plain, kind="stable")
        return plain[order], order

    def find(self, pictures: NDArray[np.bytes_], view: int = 0) -> NDArray[np.int64]:
        """Return the (N,) rows of a view of (N,) pictures, by their keys; -1 where there is none."""
        wanted = np.zeros(len(pictures), dtype=KEY)
        wanted["picture"], wanted["view"] = pictures, view
        known, rows = self._index
        if not len(known):
            return np.full(len(pictures), -1, dtype=np.int64)
        plain = _plain(wanted)
        at = np.searchsorted(known, plain).clip(max=len(known) - 1)
        return np.where(known[at] == plain, rows[at], -1)

    def take(self, rows: ArrayLike) -> NDArray[np.float32]:
        """Return (n, width) of (n,) rows, in float32, which holds what the network gave exactly."""
        return _float32(self.stored(rows), self.cache.dtype)

    def stored(self, rows: ArrayLike) -> NDArray[Any]:
        """Return (n, width) of (n,) rows as they lie on disk, in the type of `STORED`."""
        wanted = np.asarray(rows, dtype=np.int64)
        found = np.empty((len(wanted), self.cache.width), dtype=STORED[self.cache.dtype])
        part_of = np.searchsorted(self._starts, wanted, side="right") - 1
        for number in np.unique(part_of):
            here = np.flatnonzero(part_of == number)
            found[here] = self._parts[number].read(wanted[here] - self._starts[number])
        return found

    def blocks(self, rows: NDArray[np.int64], count: int = 8192) -> Iterator[NDArray[np.float32]]:
        """Yield the numbers of rows, in their order, a block at a time."""
        for start in range(0, len(rows), count):
            yield self.take(rows[start : start + count])


def _plain(keys: NDArray[Any]) -> NDArray[np.bytes_]:
    """Return keys as bytes that sort and compare as one."""
    return np.ascontiguousarray(keys).view(f"S{KEY.itemsize}")


def _float32(values: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    if dtype == "bfloat16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32, copy=False)
