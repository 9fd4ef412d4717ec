"""`python -m fetch pack`: pictures into tar shards, pre-sized, readable by webdataset and by byte offset.

Each shard holds ID.jpg and ID.json (the manifest's row) of photographs of one split in a shuffled order. The same dataset
and flags give the same bytes.
"""

import io
import json
import logging
import os
import shutil
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from fetch.config import PackConfig
from label_maps.manifest import CLUES, DATASET, SPLITS, content_hash, read_manifest, write_manifest
from plumbing.files import atomic_path, read_json, write_json
from plumbing.images import open_rgb
from plumbing.progress import progress

log = logging.getLogger(__name__)

FOLDER = "shards"
PACK = "pack.json"
"""What the shards of a folder were packed with; other settings need another folder."""
AHEAD = 64


def run(config: PackConfig) -> None:
    """Pack a dataset, or what is left of it, and write its manifest with shards, offsets and sizes."""
    photos = read_manifest(config.data)
    out = config.out or config.data
    settings: dict[str, Any] = {"short_side": config.short_side, "quality": config.quality, "shard_mb": config.shard_mb}
    settings["dataset_hash"] = content_hash(photos)
    _begin(out, settings)
    if config.out is not None:
        for name in (DATASET, CLUES):
            if (config.data / name).is_file():
                shutil.copy2(config.data / name, out / name)
    places: dict[str, tuple[str, int, int]] = {}
    bar = progress(range(len(photos)), "packing", "photograph", len(photos))
    for split in SPLITS:
        # Shuffled by a hash of the id, so that whoever reads a shard from its beginning sees no order of place.
        rows = photos[photos["split"] == split]
        rows = rows.iloc[pd.util.hash_array(rows["id"].to_numpy(dtype=object)).argsort()]
        for photo_id, place in _pack_split(config, out, split, rows):
            places[photo_id] = place
            bar.update()
    bar.close()
    columns = pd.DataFrame.from_dict(places, orient="index", columns=["shard", "offset", "size"])
    packed = photos.drop(columns=["shard", "offset", "size"]).join(columns, on="id")
    write_manifest(out, packed)
    total = columns["size"].sum() / 1e6
    log.info(f"{out}: {len(photos):,} photographs, {total:,.0f} MB in {columns['shard'].nunique():,} shards")


def _begin(out: Path, settings: dict[str, Any]) -> None:
    """Refuse to mix shards of different settings."""
    path = out / FOLDER / PACK
    if path.is_file() and read_json(path) != settings:
        raise ValueError(
            f"{out / FOLDER} holds shards of other photographs or settings: delete it or choose another --out"
        )
    write_json(path, settings)


def _pack_split(
    config: PackConfig, out: Path, split: str, rows: pd.DataFrame
) -> Iterator[tuple[str, tuple[str, int, int]]]:
    """Yield id and place of every photograph of a split; shards that lie there whole are read, the others written."""
    left, number = rows, 0
    while len(left):
        name = f"{FOLDER}/{split}-{number:05d}.tar"
        if not (out / name).is_file():
            _write_shard(config, out / name, left)
        members = _members(out / name)
        yield from ((photo_id, (name, *place)) for photo_id, place in members.items())
        left, number = left[~left["id"].isin(members)], number + 1


def _members(shard: Path) -> dict[str, tuple[int, int]]:
    """Return offset and size of each picture of a shard by its id.

    Raises:
        ValueError: the shard is damaged.
    """
    try:
        with tarfile.open(shard, "r:") as tar:
            jpegs = [member for member in tar if member.name.endswith(".jpg")]
    except tarfile.TarError as error:
        raise ValueError(f"{shard} is damaged ({error}): delete it and pack again") from None
    if not jpegs:
        raise ValueError(f"{shard} holds no pictures: delete it and pack again")
    return {member.name.removesuffix(".jpg"): (member.offset_data, member.size) for member in jpegs}


def _write_shard(config: PackConfig, path: Path, rows: pd.DataFrame) -> None:
    """Write as many photographs as fit into one shard, at least one."""
    limit = config.shard_mb * 1_000_000
    with (
        atomic_path(path) as partial,
        tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as tar,
        ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool,
    ):
        for few in batched_rows(rows):
            pictures = pool.map(
                lambda row: pre_sized(config.data / row["path"], config.short_side, config.quality), few
            )
            for row, content in zip(few, pictures, strict=True):
                _add(tar, f"{row['id']}.jpg", content)
                _add(tar, f"{row['id']}.json", json.dumps(row, default=str, sort_keys=True).encode())
                if tar.offset >= limit:
                    return


def batched_rows(rows: pd.DataFrame) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a manifest as plain values, a few at a time; missing values are left out."""
    for start in range(0, len(rows), AHEAD):
        part = rows.iloc[start : start + AHEAD].drop(columns=["shard", "offset", "size"])
        yield [{str(k): v for k, v in row.items() if not pd.isna(v)} for row in part.to_dict("records")]


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def pre_sized(path: Path, short_side: int, quality: int) -> bytes:
    """Return a picture as JPEG whose shorter side is at most `short_side`; one that is small enough keeps its bytes."""
    content = path.read_bytes()
    with Image.open(io.BytesIO(content)) as picture:
        small, jpeg = min(picture.size) <= short_side, picture.format == "JPEG"
        size = picture.size
    if small and jpeg:
        return content
    rgb = open_rgb(content, max_side=round(max(size) * min(1.0, short_side / min(size))))
    encoded = io.BytesIO()
    rgb.save(encoded, "JPEG", quality=quality)
    return encoded.getvalue()


def check_shards(data: Path) -> list[str]:
    """Return what is wrong with the shards of a dataset, a line each: missing, cut short, or of another index."""
    photos = read_manifest(data, ["id", "shard", "offset", "size"])
    wrong = []
    for name, rows in photos[photos["shard"].notna()].groupby("shard"):
        path = data / str(name)
        if not path.is_file():
            wrong.append(f"{path} is missing, with {len(rows):,} photographs")
            continue
        try:
            members = _members(path)
        except ValueError as error:
            wrong.append(str(error))
            continue
        places = zip(rows["id"], rows["offset"], rows["size"], strict=True)
        lost = [photo for photo, offset, size in places if members.get(photo) != (offset, size)]
        end = int((rows["offset"] + rows["size"]).max())
        if lost or path.stat().st_size < end:
            wrong.append(f"{path} does not hold {len(lost) or 'all'} of its photographs whole: pack it again")
    return wrong
