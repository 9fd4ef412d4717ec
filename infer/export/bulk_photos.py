"""The photographs that `infer predict --bulk` answers for, as arrays, for there may be millions."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dataset.images import Pictures
from dataset.manifest import MANIFEST, coordinates
from infer.config import InferConfig
from infer.photo_files import check_every, dataset_rows, find_photos
from plumbing.evenly import evenly
from plumbing.text import utf8


@dataclass(frozen=True, eq=False)
class BulkPhotos:
    """Photographs to answer for, as arrays, for there may be millions.

    Attributes:
        pictures: where they lie.
        names: (N,) their files, also of those that are packed.
        ids: (N,) their ids in a dataset; null of others.
        known_deg: (N, 2) where a dataset or a table says that they were taken; NaN where none does.
    """

    pictures: Pictures
    names: pa.ChunkedArray
    ids: pa.ChunkedArray
    known_deg: NDArray[np.float64]

    @classmethod
    def of(cls, config: InferConfig) -> "BulkPhotos":
        """Return what a config names.

        Raises:
            ValueError: something does not exist or holds no photographs.
        """
        each = [
            _of_dataset(p, config.split) if (p / MANIFEST).is_file() else _of_files(p, config) for p in config.photos
        ]
        found = cls(
            Pictures.joined([one.pictures for one in each]),
            pa.chunked_array([chunk for one in each for chunk in one.names.chunks], pa.large_string()),
            pa.chunked_array([chunk for one in each for chunk in one.ids.chunks], pa.large_string()),
            np.concatenate([one.known_deg for one in each]),
        )
        check_every(config.every, (Path(name) for chunk in found.names.chunks for name in chunk.to_pylist()))
        if config.limit is None or config.limit >= len(found.pictures):
            return found
        kept = evenly(list(range(len(found.pictures))), config.limit)
        return cls(found.pictures.rows(kept), found.names.take(kept), found.ids.take(kept), found.known_deg[kept])

    def hash(self) -> str:
        """Return by what the same photographs are known again."""
        digest = hashlib.sha256()
        for chunk in self.names.chunks:
            digest.update("\n".join(chunk.to_pylist()).encode())
        return digest.hexdigest()


def _of_dataset(data: Path, split: str) -> BulkPhotos:
    rows = dataset_rows(data, split)
    if not len(rows):
        raise ValueError(f"{data} holds no photographs of the {split} split")
    names, ids = (
        pa.array(texts, pa.large_string()) for texts in ([utf8(f"{data}/{p}") for p in rows["path"]], rows["id"])
    )
    return BulkPhotos(
        Pictures.of_dataset(data, rows), pa.chunked_array([names]), pa.chunked_array([ids]), coordinates(rows)
    )


def _of_files(given: Path, config: InferConfig) -> BulkPhotos:
    photos = find_photos([given], out=config.out, columns=config.asked_columns, every=config.every)
    paths = [str(photo.path) for photo in photos]
    known_deg = [photo.truth_deg or (np.nan, np.nan) for photo in photos]
    ids = pa.nulls(len(paths), pa.large_string())
    return BulkPhotos(
        Pictures.of_files(paths),
        pa.chunked_array([pa.array([utf8(path) for path in paths], pa.large_string())]),
        pa.chunked_array([ids]),
        np.array(known_deg, dtype=np.float64).reshape(-1, 2),
    )
