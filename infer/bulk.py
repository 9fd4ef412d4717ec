"""`python -m infer --bulk`: answers for more photographs than anybody opens one by one, as Parquet parts.

Under torchrun each process answers its share and writes its own parts; a part that lies there whole is not done again.
Read together, `pandas.read_parquet(OUT)` gives the table: one row for each photograph, unreadable ones with their reason.
"""

import logging
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from infer.config import InferConfig
from infer.devices import pick_device
from infer.loading import Photo, evenly, find_photos, photo_batches
from infer.model import Model, load_model
from label_maps.manifest import MANIFEST, read_manifest
from label_maps.pictures import Pictures
from plumbing.files import atomic_path, read_json, write_json
from plumbing.progress import progress
from plumbing.world import World

log = logging.getLogger(__name__)

PART = 4096
"""Photographs in a part; so many are at most done again after an interruption."""
RECORD = "_bulk.json"
"""What the parts of a folder were made by and of; readers of Parquet folders pass over names that begin so."""


def run(config: InferConfig) -> None:
    """Answer for this process's share of the photographs.

    Raises:
        ValueError: the folder holds parts of other photographs or another model.
    """
    world = World.from_env()
    if not world.first:
        logging.getLogger().setLevel(logging.WARNING)
    photos, pictures = _sources(config)
    device = f"cuda:{world.local_rank}" if config.device == "auto" and world.size > 1 and _has_cuda() else config.device
    model = load_model(config.run, pick_device(device)).with_choices(config.fusion, config.point)
    _begin(config, model, len(photos), world)
    share = range(world.rank, len(photos), world.size)
    parts = [share[start : start + PART] for start in range(0, len(share), PART)]
    bar = progress(range(len(share)), "answering", "photograph", len(share), quiet=not world.first)
    done = 0
    for number, rows in enumerate(parts):
        path = config.out / f"part-{world.rank:03d}-of-{world.size:03d}-{number:05d}.parquet"
        if path.is_file():
            done += len(rows)
        else:
            table = pa.Table.from_pylist(list(_answers(model, photos, pictures, rows, config)), schema=_schema(model))
            with atomic_path(path) as partial:
                pq.write_table(table, partial, compression="zstd")
        bar.update(len(rows))
    bar.close()
    before = f", {done:,} of them before" if done else ""
    log.info("%s: %s of %s photographs answered%s", config.out, f"{len(share):,}", f"{len(photos):,}", before)


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _sources(config: InferConfig) -> tuple[list[Photo], Pictures]:
    """Return the photographs, and where their pictures lie; those of one dataset may lie in shards."""
    photos = find_photos(config.photos, config.split, tables=True)
    if len(config.photos) == 1 and (config.photos[0] / MANIFEST).is_file():
        rows = read_manifest(config.photos[0])
        rows = rows if config.split == "all" else rows[rows["split"] == config.split]
        pictures = Pictures.of_dataset(config.photos[0], rows)
    else:
        pictures = Pictures.of_files([photo.path for photo in photos])
    if config.limit is None or config.limit >= len(photos):
        return photos, pictures
    kept = evenly(list(range(len(photos))), config.limit)
    return [photos[k] for k in kept], pictures.rows(kept)


def _begin(config: InferConfig, model: Model, photographs: int, world: World) -> None:
    """Refuse to mix answers."""
    about = {
        "run": model.name,
        "model_hash": model.hash,
        "fusion": model.fusion,
        "point": model.point,
        "photographs": photographs,
        "processes": world.size,
    }
    path = config.out / RECORD
    if path.is_file():
        if read_json(path) != about:
            raise ValueError(
                f"{config.out} holds answers of other photographs, flags or processes: choose another --out"
            )
    elif world.first:
        write_json(path, about)


def _answers(
    model: Model, photos: list[Photo], pictures: Pictures, rows: range, config: InferConfig
) -> Iterator[dict[str, Any]]:
    """Yield one row for each photograph of a part."""
    for batch in photo_batches(pictures.rows(list(rows)), model.transform, config.batch_size, config.workers):
        for k, reason in batch.unreadable:
            yield {"input": str(photos[rows[k]].path), "problem": reason}
        if len(batch.index):
            posterior = model.posterior(model.logits(batch.pixels))
            points = model.points(posterior).tolist()
            for row, (k, (latitude, longitude)) in enumerate(zip(batch.index.tolist(), points, strict=True)):
                best = _best(model, [level[row] for level in posterior])
                yield {"input": str(photos[rows[k]].path), "latitude": latitude, "longitude": longitude, **best}


def _best(model: Model, posterior: list[Tensor]) -> dict[str, Any]:
    """Return the most probable cell of each level, and its probability."""
    found: dict[str, Any] = {}
    for depth, (name, level) in enumerate(zip(model.hierarchy.level_names, posterior, strict=True)):
        chosen = int(level.argmax())
        found[f"{name}_cell"] = model.hierarchy.name[model.hierarchy.rows(depth).start + chosen]
        found[f"{name}_probability"] = float(level[chosen].exp())
    return found


def _schema(model: Model) -> pa.Schema:
    fields = [("input", pa.string()), ("latitude", pa.float64()), ("longitude", pa.float64())]
    for name in model.hierarchy.level_names:
        fields += [(f"{name}_cell", pa.string()), (f"{name}_probability", pa.float32())]
    return pa.schema([*fields, ("problem", pa.string())])
