"""`python -m fetch pack`: pictures into tar shards, pre-sized, readable by webdataset and by byte offset.

Each shard holds ID.jpg and ID.json (the manifest's row) of photographs of one split in a shuffled order. The same dataset
and flags give the same bytes. Shards may be moved to any store that fsspec opens: `dataset.json` then names its address
as `shards`.
"""

import hashlib
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
from urllib.parse import quote, unquote

import numpy as np
import pandas as pd
from tqdm import tqdm

from dataset.images import Pictures
from dataset.manifest import CLUES, DATASET, SPLITS, content_hash, read_manifest, write_manifest
from fetch.config import PackConfig
from fetch.sources.pull import ATTRIBUTION
from plumbing.files import atomic_path, read_json, write_json
from plumbing.images import open_rgb
from plumbing.picture_kinds import open_picture
from plumbing.progress import progress
from plumbing.text import counted

log = logging.getLogger(__name__)

FOLDER = "shards"
PACK = "pack.json"
"""What the shards of a folder were packed of and with; others need another folder."""
AHEAD = 64
PLACE = ["shard", "offset", "size"]
CHANGED = ["sha256", "width", "height", "modification"]
"""What packing may change of a row."""


def run(config: PackConfig) -> None:
    """Pack a dataset, or what is left of it, and write its manifest with shards, offsets and sizes."""
    photos = read_manifest(config.data)
    out = config.out or config.data
    about: dict[str, Any] = {"short_side": config.short_side, "quality": config.quality, "shard_mb": config.shard_mb}
    about |= {"dataset_hash": content_hash(photos), "pictures": pictures_hash(photos)}
    if _is_done(out, about):
        log.info("%s is packed already", out)
        return
    if out != config.data:
        _copy_tables(config.data, out)
    if not photos["split"].isin(SPLITS).all():
        raise ValueError(
            f"{config.data} has photographs that are in none of the splits {', '.join(SPLITS)}: import it again"
        )
    pictures = Pictures.of_dataset(config.data, photos)
    parts: list[pd.DataFrame] = []
    bar = progress(range(len(photos)), "packing", "photograph", len(photos))
    for split in SPLITS:
        rows = np.flatnonzero(photos["split"] == split)
        # Shuffled by a hash of the id, so that whoever reads a shard from its beginning sees no order of place.
        order = pd.util.hash_array(photos["id"].iloc[rows].to_numpy(dtype=object)).argsort(kind="stable")
        parts += _pack_split(config, out, split, photos.iloc[rows[order]], pictures.rows(rows[order]), bar)
    bar.close()
    packed = photos.drop(columns=[*PLACE, *CHANGED]).join(pd.concat(parts).set_index("id"), on="id")
    # Said before the manifest is: killed in between, the next run finds what it began with.
    write_json(out / FOLDER / PACK, {**about, "packed": pictures_hash(packed)})
    write_manifest(out, packed)
    total = packed["size"].sum() / 1e6
    log.info(
        f"{out}: {counted(len(photos), 'photograph')}, {total:,.0f} MB in {counted(packed['shard'].nunique(), 'shard')}"
    )


def pictures_hash(photos: pd.DataFrame) -> str:
    """Return one SHA-256 over the pictures' own, in the order of rows."""
    texts = "\n".join(photos["sha256"].fillna(""))
    return hashlib.sha256(texts.encode()).hexdigest()


def _is_done(out: Path, about: dict[str, Any]) -> bool:
    """Say whether a folder is packed already, and note in it what is about to be packed.

    Raises:
        ValueError: it holds shards of other photographs or settings.
    """
    path = out / FOLDER / PACK
    known = read_json(path) if path.is_file() else about
    if {**known, "pictures": "", "packed": ""} != {**about, "pictures": "", "packed": ""} or about["pictures"] not in (
        known["pictures"],
        known.get("packed"),
    ):
        raise ValueError(
            f"{out / FOLDER} holds shards of other photographs or settings: delete it or choose another --out"
        )
    if "packed" in known:
        return pictures_hash(read_manifest(out)) == known["packed"] and not _absent(out)
    write_json(path, about)
    return False


def _absent(data: Path) -> list[str]:
    """Return the shards that a manifest names and that are not there."""
    shards = read_manifest(data, ["shard"])["shard"].unique()
    return [name for name in shards if not (data / str(name)).is_file()]


def _copy_tables(data: Path, out: Path) -> None:
    for name in (CLUES, ATTRIBUTION):
        if (data / name).is_file():
            shutil.copy2(data / name, out / name)
    if (data / DATASET).is_file():
        # Where the shards of another packing lie says nothing of this one's.
        write_json(out / DATASET, {key: value for key, value in read_json(data / DATASET).items() if key != "shards"})


def _pack_split(
    config: PackConfig, out: Path, split: str, rows: pd.DataFrame, pictures: Pictures, bar: "tqdm[Any]"
) -> Iterator[pd.DataFrame]:
    """Yield what the manifest says of each shard of a split; shards that are whole are read, the others written."""
    done, number = 0, 0
    while done < len(rows):
        name = f"{FOLDER}/{split}-{number:05d}.tar"
        if not (out / name).is_file():
            _write_shard(config, out / name, rows.iloc[done:], pictures.rows(np.arange(done, len(rows))), bar)
        part = _read_shard(out / name).assign(shard=name)
        expected = rows["id"].iloc[done : done + len(part)]
        if part["id"].tolist() != expected.tolist():
            raise ValueError(f"{out / name} holds other photographs: delete {out / FOLDER} and pack again")
        yield part
        done, number = done + len(part), number + 1


def _read_shard(shard: Path) -> pd.DataFrame:
    """Return id, offset, size and what packing changed of each picture of a shard, in its order.

    Raises:
        ValueError: the shard is damaged.
    """
    found = []
    try:
        with tarfile.open(shard, "r:") as tar:
            place: tuple[int, int] | None = None
            for member in tar:
                if member.name.endswith(".jpg"):
                    place = (member.offset_data, member.size)
                elif place is not None and (content := tar.extractfile(member)) is not None:
                    row = json.loads(content.read())
                    found.append(
                        {"id": row["id"], "offset": place[0], "size": place[1]} | {k: row.get(k) for k in CHANGED}
                    )
    except (tarfile.TarError, ValueError, KeyError) as error:
        raise ValueError(f"{shard} is damaged ({error}): delete it and pack again") from None
    if not found:
        raise ValueError(f"{shard} holds no pictures: delete it and pack again")
    return pd.DataFrame(found)


def _write_shard(config: PackConfig, path: Path, rows: pd.DataFrame, pictures: Pictures, bar: "tqdm[Any]") -> None:
    """Write as many photographs as fit into one shard, at least one."""
    limit = config.shard_mb * 1_000_000

    def work(job: tuple[int, dict[str, Any]]) -> tuple[dict[str, Any], bytes]:
        return packed_row(job[1], pictures, job[0], config)

    with (
        atomic_path(path) as partial,
        tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as tar,
        ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool,
    ):
        for start in range(0, len(rows), AHEAD):
            for row, content in pool.map(work, enumerate(plain_rows(rows.iloc[start : start + AHEAD]), start)):
                name = member_name(row["id"])
                _add(tar, f"{name}.jpg", content)
                _add(tar, f"{name}.json", json.dumps(row, default=str, sort_keys=True).encode())
                bar.update()
                if tar.offset >= limit:
                    return


def plain_rows(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows of a manifest as plain values; missing ones are left out."""
    for row in rows.drop(columns=PLACE).to_dict("records"):
        yield {str(key): value for key, value in row.items() if not pd.isna(value)}


def member_name(photo_id: str) -> str:
    """Return the name of a photograph in a shard: its id, without `/`, and without dots, which end a webdataset key."""
    name = quote(photo_id, safe="").replace(".", "%2E")
    assert unquote(name) == photo_id
    return name


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def packed_row(row: dict[str, Any], pictures: Pictures, index: int, config: PackConfig) -> tuple[dict[str, Any], bytes]:
    """Return a row of the manifest as it is once packed, and the picture's bytes.

    Raises:
        ValueError: the picture cannot be read; the message names it.
    """
    source = pictures.source(index)
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
        jpeg, size, changed = pre_sized(content, config.short_side, config.quality)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).removeprefix("picture: ")
        raise ValueError(
            f"{pictures.name(index)} cannot be packed: {reason}: mend it, or make the dataset again without it (--exclude)"
        ) from None
    facts: dict[str, Any] = {"sha256": hashlib.sha256(jpeg).hexdigest(), "width": size[0], "height": size[1]}
    if changed:
        facts["modification"] = "; ".join(filter(None, (row.get("modification"), f"{size[0]}x{size[1]} JPEG")))
    return row | facts, jpeg


def pre_sized(content: bytes, short_side: int, quality: int) -> tuple[bytes, tuple[int, int], bool]:
    """Return a picture as JPEG whose shorter side is at most `short_side`, its size, and whether it was changed.

    One that is small enough keeps its bytes.

    Raises:
        ValueError: it cannot be decoded whole.
    """
    max_side = None
    try:
        with open_picture(io.BytesIO(content), "picture") as picture:
            kept = picture.format == "JPEG" and min(picture.size) <= short_side
            if min(picture.size) > short_side:
                max_side = round(max(picture.size) * short_side / min(picture.size))
    # What a hostile or torn file makes a decoder raise is not a closed list.
    except Exception:
        kept = False  # `open_rgb` says why.
    rgb = open_rgb(content, max_side)
    if kept:
        return content, rgb.size, False
    if max_side is not None and min(rgb.size) > short_side:
        # A JPEG is decoded at a part of its size, whose own rounding can leave one pixel more.
        rgb = rgb.resize((short_side, max_side) if rgb.width < rgb.height else (max_side, short_side))
    encoded = io.BytesIO()
    rgb.save(encoded, "JPEG", quality=quality)
    return encoded.getvalue(), rgb.size, True


def check_shards(data: Path) -> list[str]:
    """Return what is wrong with the shards of a dataset, a line each: missing, cut short, or other pictures in them."""
    photos = read_manifest(data, ["id", "path", "sha256", *PLACE])
    photos = photos[photos["shard"].notna()].sort_values(["shard", "offset"])
    pictures = Pictures.of_dataset(data, photos)
    wrong: dict[str, list[str]] = {}
    rows = zip(photos["shard"], photos["id"], photos["sha256"], strict=True)
    for index, (shard, photo_id, expected) in enumerate(progress(rows, "verifying", "picture", len(photos))):
        try:
            content = pictures.source(index)
        except ValueError as error:
            wrong.setdefault(shard, []).append(str(error))
            continue
        found = hashlib.sha256(content if isinstance(content, bytes) else content.read_bytes()).hexdigest()
        if isinstance(expected, str) and found != expected:
            reason = (
                f"the shard {data / shard} holds another picture than the manifest says under {photo_id}: pack it again"
            )
            wrong.setdefault(shard, []).append(reason)
    return [f"{lines[0]} ({len(lines):,} of its pictures)" for lines in wrong.values()]
