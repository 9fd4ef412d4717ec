"""The most similar training photographs: by the features of the network that knows the finest cells.

Their features are computed once for each run and dataset, and kept in the run folder.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import ArrayLike, NDArray

from dataset.images import Pictures
from dataset.manifest import content_hash, coordinates, read_located
from dataset.picture_keys import picture_keys
from geocells.sphere import distance_km
from infer.features import Extractor, Work, compute_features, writable
from infer.model import Model
from infer.network.output import NetworkOutput
from infer.prediction import SimilarPhotograph
from label_maps.run_folder import read_split
from plumbing.files import atomic_path
from plumbing.text import counted

log = logging.getLogger(__name__)

FEATURES, PHOTOGRAPHS = "neighbours.npy", "neighbours.parquet"
COUNT = 6
"""Similar photographs beside an answer."""
BLOCK = 65_536
"""Photographs compared at a time, which bounds memory."""
KEPT_BYTES = 2**30
"""Features that take no more than this in float32 are converted once; of more, each search converts a block at a time."""
COLUMNS = ["id", "path", "latitude", "longitude", "split", "creator", "licence", "sha256", "shard", "offset", "size"]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Training photographs and what the network makes of them.

    Attributes:
        data: the dataset folder.
        photos: (N,) rows of its manifest.
        features: (N, width) float16 of length one, mapped from their file.
    """

    data: Path
    photos: pd.DataFrame
    features: NDArray[np.float16]

    def nearest(self, features: ArrayLike, count: int = COUNT) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return, for (M, width) features, the (M, count) rows most similar and their cosines, the highest first."""
        wanted = np.asarray(features, dtype=np.float32)
        rows = np.zeros((len(wanted), 0), dtype=np.int64)
        cosines = np.zeros((len(wanted), 0), dtype=np.float32)
        for start, block in self._blocks():
            compared = wanted @ block.T
            best = highest(compared, count)
            rows = np.hstack([rows, best + start])
            cosines = np.hstack([cosines, np.take_along_axis(compared, best, 1)])
            order = highest(cosines, count)
            rows, cosines = np.take_along_axis(rows, order, 1), np.take_along_axis(cosines, order, 1)
        return rows, cosines

    def _blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the features in blocks in float32, with the row of the first of each."""
        small = 4 * self.features.size <= KEPT_BYTES
        for start in range(0, len(self.features), BLOCK):
            rows = slice(start, start + BLOCK)
            yield start, self._float32[rows] if small else self.features[rows].astype(np.float32)

    @cached_property
    def _float32(self) -> NDArray[np.float32]:
        # The conversion takes ten times as long as the comparison.
        return self.features.astype(np.float32)

    def places(self, features: ArrayLike) -> NDArray[np.float64]:
        """Return (M, 2) where the photographs most similar to (M, width) features were taken."""
        rows, _ = self.nearest(features, count=1)
        return coordinates(self.photos)[rows[:, 0]]

    def similar(self, features: ArrayLike, point_deg: ArrayLike) -> tuple[SimilarPhotograph, ...]:
        """Return the photographs most similar to one of (width,) features.

        Args:
            features: of the photograph.
            point_deg: (2,) the answered point, from which their distances are.
        """
        rows, cosines = self.nearest(np.asarray(features)[None])
        found = self.photos.iloc[rows[0]]
        away_km = distance_km(coordinates(found), point_deg)
        return tuple(
            SimilarPhotograph(
                id=str(photo.id),
                latitude=round(photo.latitude, 6),
                longitude=round(photo.longitude, 6),
                similarity=round(float(cosine), 4),
                distance_km=round(float(away), 3),
                licence=_text(photo.licence),
                creator=_text(photo.creator),
                path=str(self.data / str(photo.path)),
            )
            for photo, cosine, away in zip(found.itertuples(), cosines[0], away_km, strict=True)
        )

    def pictures(self, ids: list[str]) -> Pictures:
        """Return where the pictures of photographs lie, in the order of their ids."""
        return Pictures.of_dataset(self.data, self.photos.set_index("id", drop=False).loc[ids])


def highest(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return, for (M, N) values, the columns of the `count` highest of each row, the highest first, equal ones in order.

    The columns are (M, min(count, N)).
    """
    count = min(count, values.shape[1])
    if not count:
        return np.zeros((len(values), 0), dtype=np.int64)
    found = np.empty((len(values), count), dtype=np.int64)
    for row, negative in enumerate(-values):
        # Only what is no lower than the last of the highest is sorted: of 100,000 a few.
        contenders = np.flatnonzero(~(negative > np.partition(negative, count - 1)[count - 1]))
        found[row] = contenders[np.argsort(negative[contenders], kind="stable")[:count]]
    return found


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def unit_features(output: NetworkOutput) -> NDArray[np.float32]:
    """Return (B, width) features of length one of a network output."""
    return torch.nn.functional.normalize(output.features, dim=1).cpu().numpy()


def unit_rows(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (B, width) features of length one."""
    return torch.nn.functional.normalize(torch.from_numpy(features), dim=1).numpy()


def open_neighbours(model: Model, run: Path, data: Path, batch_size: int, workers: int) -> Neighbours:
    """Return the training photographs of a run, from its folder where they lie there for these very weights.

    Raises:
        ValueError: the dataset holds none of the photographs that the run was trained on.
    """
    photos = _trained(run, data)
    about = {"model_hash": model.hash, "photographs_hash": content_hash(photos)}
    kept = _kept(run, about)
    if kept is None:
        make_index(model, run, data, photos, about, batch_size, workers)
        kept = _kept(run, about)
    assert kept is not None, "it has just been written"
    features = np.load(run / FEATURES, mmap_mode="r")
    return Neighbours(data, photos.set_index("id", drop=False).loc[kept].reset_index(drop=True), features[: len(kept)])


def _trained(run: Path, data: Path) -> pd.DataFrame:
    learned = {photo for photo, split in read_split(run).items() if split == "train"}
    if not learned:
        raise ValueError(f"{run} records no training photographs, so none can be compared with: leave out --data")
    photos = read_located(data, COLUMNS)
    photos = photos[photos["id"].isin(learned)].reset_index(drop=True)
    if not len(photos):
        raise ValueError(
            f"{data} holds none of the {counted(len(learned), 'photograph')} that {run} was trained on: pass its dataset (--data)"
        )
    return photos


def _kept(run: Path, about: dict[str, str]) -> list[str] | None:
    """Return the ids of the features in a run folder; None where there are none of these weights and photographs."""
    if not (run / PHOTOGRAPHS).is_file() or not (run / FEATURES).is_file():
        return None
    try:
        table = pq.read_table(run / PHOTOGRAPHS)
        stored = json.loads((table.schema.metadata or {}).get(b"about", b"{}"))
    except (pa.ArrowException, OSError, ValueError):
        log.warning("%s cannot be read: it is computed again", run / PHOTOGRAPHS)
        return None
    if stored != about:
        log.info("%s was made for different weights or photographs: it is computed again", run / PHOTOGRAPHS)
        return None
    ids: list[str] = table.column("id").to_pylist()
    return ids


def make_index(
    model: Model, run: Path, data: Path, photos: pd.DataFrame, about: dict[str, str], batch_size: int, workers: int
) -> None:
    """Write the features of photographs, then their ids, which say that all is there."""
    (run / PHOTOGRAPHS).unlink(missing_ok=True)
    # Beside the pictures where that can be written, so that others find them there; in the run where not.
    extractor, place = Extractor.of_model(model), data if writable(data) else run
    keys = picture_keys(data, photos)
    compute_features(extractor, place, keys, Pictures.of_dataset(data, photos), Work(batch_size, workers))
    cache = extractor.cache(place)
    there = cache.read()
    at = there.find(keys)
    known = np.flatnonzero(at >= 0)
    read: list[int] = []
    with atomic_path(run / FEATURES) as partial:
        features = None
        for start in range(0, len(known), BLOCK):
            rows = known[start : start + BLOCK]
            found = unit_rows(there.take(at[rows]))
            if features is None:
                shape = (len(photos), found.shape[1])
                features = np.lib.format.open_memmap(partial, "w+", np.float16, shape)
            features[len(read) : len(read) + len(found)] = found
            read += rows.tolist()
        if features is None:
            raise ValueError(f"no training photograph of {data} could be read ({len(photos):,} tried)")
        features.flush()
        # Windows moves no file that is mapped.
        del features
    ids = pa.table({"id": pa.array(photos["id"].iloc[read], pa.string())})
    with atomic_path(run / PHOTOGRAPHS) as partial:
        pq.write_table(ids.replace_schema_metadata({"about": json.dumps(about)}), partial)
