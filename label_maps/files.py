"""A hierarchy as files: which class is which cell, and which parent has which children.

`label_map_L3.json` lists the classes of a level in their order; `l1_to_l3.json` maps each class of a level to the
classes of its children in the next. `partition.npz` holds the outlines, boxes or centroids of a partition that is more
than its name; plain arrays, nothing that runs. All lie in `label_maps/` of a run folder.
"""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely.errors import ShapelyError

from dataset.manifest import has_coordinates, read_manifest
from geocells.hierarchy import Hierarchy
from geocells.partitions import Partition, partition_of
from plumbing.damage import one_line
from plumbing.files import atomic_path, read_json, write_json
from plumbing.inside import is_plain
from plumbing.near_paths import did_you_mean
from plumbing.text import counted

RECORD = "run.json"
"""The file by which a run folder is told."""
FOLDER = "label_maps"
ARRAYS = "partition.npz"
AGAIN = "make the label maps again with `python -m label_maps`"
MOST_BYTES = 500_000_000
"""Arrays of a partition are smaller than this."""
NUMBERS = ("key", "latitude", "longitude", "south", "west", "north", "east", "area_km2", "train_count")
"""What a label map says of each class beside its id."""


def label_map_path(run: Path, level_name: str) -> Path:
    """Return the file that lists the classes of a level."""
    return run / FOLDER / f"label_map_{level_name}.json"


def children_path(run: Path, above: str, below: str) -> Path:
    """Return the file that says which classes of a level are children of which class of the level above."""
    return run / FOLDER / f"{above.lower()}_to_{below.lower()}.json"


def write_hierarchy(run: Path, hierarchy: Hierarchy) -> None:
    """Write a hierarchy into a run folder, in place of any that is there."""
    contents = _contents(run, hierarchy)
    for path, content in contents.items():
        write_json(path, content)
    arrays = hierarchy.partition.arrays()
    if arrays:
        with atomic_path(run / FOLDER / ARRAYS) as partial, partial.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        contents[run / FOLDER / ARRAYS] = None
    for pattern in ("label_map_*.json", "*_to_*.json", ARRAYS):
        for other in set((run / FOLDER).glob(pattern)) - set(contents):
            other.unlink()


def hierarchy_hash(hierarchy: Hierarchy) -> str:
    """Return the SHA-256 by which networks know the label maps they were trained on."""
    contents = {path.name: content for path, content in _contents(Path(), hierarchy).items()}
    if arrays := hierarchy.partition.arrays():
        contents[ARRAYS] = {name: _array_hash(values) for name, values in arrays.items()}
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()


def _array_hash(values: NDArray) -> str:
    kind = values.dtype.newbyteorder("<")
    header = f"{kind.str}{values.shape}".encode()
    return hashlib.sha256(header + np.ascontiguousarray(values, dtype=kind).tobytes()).hexdigest()


def _contents(run: Path, hierarchy: Hierarchy) -> dict[Path, Any]:
    """Return what each file of a hierarchy holds."""
    names = hierarchy.level_names
    contents: dict[Path, Any] = {}
    for depth, level_name in enumerate(names):
        contents[label_map_path(run, level_name)] = {
            "partition": hierarchy.partition.name,
            "level": level_name,
            "levels": list(names),
            "classes": _classes(hierarchy, hierarchy.rows(depth)),
        }
    for depth, (above, below) in enumerate(pairwise(names), start=1):
        parents = hierarchy.parent_class(depth)
        starts = np.searchsorted(parents, np.arange(hierarchy.sizes()[depth - 1] + 1)).tolist()
        contents[children_path(run, above, below)] = {
            str(k): list(range(*span)) for k, span in enumerate(pairwise(starts))
        }
    return contents


def _classes(hierarchy: Hierarchy, rows: slice) -> list[dict[str, Any]]:
    # Lists of plain values: 25,000 classes are hashed whenever a model is loaded.
    columns = {
        "id": hierarchy.name[rows],
        "key": hierarchy.key[rows].tolist(),
        **dict(zip(("latitude", "longitude"), hierarchy.center_deg[rows].round(6).T.tolist(), strict=True)),
        **dict(zip(("south", "west", "north", "east"), hierarchy.bounds_deg[rows].T.tolist(), strict=True)),
        "area_km2": [round(area, 3) for area in hierarchy.area_km2[rows].tolist()],
        "train_count": hierarchy.train_count[rows].tolist(),
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def read_hierarchy(run: Path, data: Path | None = None) -> Hierarchy:
    """Read the hierarchy of a run folder.

    Args:
        run: the folder.
        data: the dataset that the run is to learn from, where it is known; the advice on a run without label maps then fits it.

    Raises:
        ValueError: a file is missing, or the files disagree; the message names the one.
    """
    folder = run / FOLDER
    found = sorted(folder.glob("label_map_*.json")) if folder.is_dir() else []
    if not found and not run.exists() and (near := did_you_mean(run, RECORD)):
        raise ValueError(f"{run} does not exist{near}")
    if not found:
        partition = "" if data is None else _own_partition(data)
        build = f"python -m label_maps build --data {data or 'DATASET'} --run {run}{partition}"
        raise ValueError(f"{run} has no label maps: make them with `{build}`")
    with one_line(folder, AGAIN):
        return _read_files(run, found)


def _own_partition(data: Path) -> str:
    """Return the flag for photographs that the default partition cannot take, since none for training has coordinates."""
    photos = read_manifest(data, ["latitude", "country", "split"])
    learned = photos[photos["split"] == "train"]
    if has_coordinates(learned).any() or not len(learned):
        return ""
    return f" --partition {'classes' if learned['country'].isna().all() else 'admin'}"


def _read_files(run: Path, found: list[Path]) -> Hierarchy:
    names = _level_names(found[0])
    levels = [_read_level(label_map_path(run, name), name, names) for name in names]
    other = [name for name, level in zip(names, levels, strict=True) if level.partition != levels[0].partition]
    if other:
        raise ValueError(f"{label_map_path(run, other[0])} is of another partition than {found[0].name}: {AGAIN}")
    parents = [np.full(len(levels[0].ids), -1)]
    for (above, below), sizes in zip(pairwise(names), pairwise(len(level.ids) for level in levels), strict=True):
        parents.append(_read_parents(children_path(run, above, below), *sizes))
    partition = _read_partition(run, levels[0].partition, names)
    hierarchy = _assemble(partition, levels, parents)
    _check(run, hierarchy)
    return hierarchy


@dataclass(frozen=True, eq=False)
class _Level:
    """The classes of one file: its partition, their texts, and (classes, NUMBERS) what is known of each."""

    partition: str
    ids: tuple[str, ...]
    numbers: NDArray[np.float64]


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path} is missing: {AGAIN}")
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not a label map: {AGAIN}")
    return content


def _level_names(path: Path) -> tuple[str, ...]:
    names = _read(path).get("levels")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and is_plain(name) for name in names):
        raise ValueError(f"{path} does not name its levels: {AGAIN}")
    return tuple(names)


def _read_level(path: Path, level_name: str, names: tuple[str, ...]) -> _Level:
    content = _read(path)
    if content.get("level") != level_name or content.get("levels") != list(names) or not content.get("classes"):
        raise ValueError(f"{path} is not the label map of {level_name} of this run: {AGAIN}")
    try:
        ids = tuple(str(c["id"]) for c in content["classes"])
        numbers = np.array([[c[name] for name in NUMBERS] for c in content["classes"]], dtype=np.float64)
        if numbers.ndim != 2 or np.isinf(numbers).any() or not isinstance(content["partition"], str):
            raise ValueError("its numbers are not all finite, or its partition has no name")
        return _Level(content["partition"], ids, numbers)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path} lists classes that cannot be read ({reason}): {AGAIN}") from None


def _read_parents(path: Path, above: int, below: int) -> NDArray[np.int64]:
    """Return the parent of each class below, refusing a map that leaves one out or names one that is not there."""
    content = _read(path)
    try:
        pairs = [(int(child), int(parent)) for parent, listed in content.items() for child in listed]
        children, parents = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2).T
    except (TypeError, ValueError, OverflowError):
        children = parents = np.empty(0, dtype=np.int64)
    if not np.array_equal(children, np.arange(below)) or not np.array_equal(np.unique(parents), np.arange(above)):
        raise ValueError(
            f"{path} does not give each of {counted(below, 'class')} one of {counted(above, 'parent')}: {AGAIN}"
        )
    if np.any(np.diff(parents) < 0):
        raise ValueError(f"{path} does not have siblings side by side: {AGAIN}")
    return parents


def _read_partition(run: Path, name: str, level_names: tuple[str, ...]) -> Partition:
    path = run / FOLDER / ARRAYS
    arrays: dict[str, NDArray] = {}
    try:
        if path.is_file():
            # From memory: of a damaged file numpy would leave a handle open.
            content = path.read_bytes()
            with zipfile.ZipFile(io.BytesIO(content)) as members:
                if sum(member.file_size for member in members.infolist()) > MOST_BYTES:
                    raise ValueError(f"over {MOST_BYTES / 1e6:,.0f} MB unpacked")
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                arrays = {key: stored[key] for key in stored.files}
    except Exception as error:
        raise ValueError(f"{path} cannot be read ({type(error).__name__}): {AGAIN}") from None
    try:
        return partition_of(name, level_names, arrays)
    except (ValueError, IndexError, TypeError, ShapelyError) as error:
        raise ValueError(f"{run / FOLDER}: {error}: {AGAIN}") from None


def _assemble(partition: Partition, levels: list[_Level], parents: list[NDArray[np.int64]]) -> Hierarchy:
    sizes = [len(level.ids) for level in levels]
    starts = np.cumsum([0, 0, *sizes])[: len(sizes)]
    column = dict(zip(NUMBERS, np.concatenate([level.numbers for level in levels]).T, strict=True))
    return Hierarchy(
        partition=partition,
        level=np.repeat(np.arange(len(sizes)), sizes).astype(np.int8),
        parent=np.concatenate([p + start * (p >= 0) for p, start in zip(parents, starts, strict=True)]).astype(
            np.int32
        ),
        key=column["key"].astype(np.int64),
        name=tuple(text for level in levels for text in level.ids),
        center_deg=np.stack([column["latitude"], column["longitude"]], axis=-1),
        bounds_deg=np.stack([column[edge] for edge in ("south", "west", "north", "east")], axis=-1),
        area_km2=column["area_km2"],
        train_count=column["train_count"].astype(np.int64),
    )


def _check(run: Path, hierarchy: Hierarchy) -> None:
    """Refuse classes that are not where the partition has their cells, or whose parents do not hold them."""
    partition, key = hierarchy.partition, hierarchy.key
    for depth, level_name in enumerate(hierarchy.level_names):
        rows, path = hierarchy.rows(depth), label_map_path(run, level_name)
        try:
            texts = partition.names(key[rows], depth)
            same = np.allclose(partition.bounds_deg(key[rows], depth), hierarchy.bounds_deg[rows], rtol=0, atol=1e-9)
        except ValueError as error:
            raise ValueError(f"{path} lists cells that do not exist ({error}): {AGAIN}") from None
        if not same or texts != list(hierarchy.name[rows]) or len(np.unique(key[rows])) < len(texts):
            raise ValueError(f"{path} lists cells whose ids, keys and bounds disagree: {AGAIN}")
        if depth and not np.array_equal(partition.parents(key[rows], depth), key[hierarchy.parent[rows]]):
            above = children_path(run, hierarchy.level_names[depth - 1], level_name)
            raise ValueError(f"{path} and {above.name} disagree on the parents of classes: {AGAIN}")
