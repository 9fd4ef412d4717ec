"""A hierarchy as files: which class is which cell, and which parent has which children.

`label_map_L3.json` lists the classes of a level in their order; `l1_to_l3.json` maps each class of a level to the
classes of its children in the next. Both lie in `label_maps/` of a run folder.
"""

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from geocells.hierarchy import Hierarchy
from geocells.partitions import partition_of
from plumbing.files import read_json, write_json

FOLDER = "label_maps"


def label_map_path(run: Path, level_name: str) -> Path:
    """Return the file that lists the classes of a level."""
    return run / FOLDER / f"label_map_{level_name}.json"


def children_path(run: Path, above: str, below: str) -> Path:
    """Return the file that says which classes of a level are children of which class of the level above."""
    return run / FOLDER / f"{above.lower()}_to_{below.lower()}.json"


def write_hierarchy(run: Path, hierarchy: Hierarchy) -> None:
    """Write a hierarchy into a run folder."""
    for path, content in _contents(run, hierarchy).items():
        write_json(path, content)


def hierarchy_hash(hierarchy: Hierarchy) -> str:
    """Return the SHA-256 by which networks know the label maps they were trained on."""
    contents = {path.name: content for path, content in _contents(Path(), hierarchy).items()}
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()


def _contents(run: Path, hierarchy: Hierarchy) -> dict[Path, Any]:
    """Return what each file of a hierarchy holds."""
    names = hierarchy.level_names
    contents: dict[Path, Any] = {}
    for depth, level_name in enumerate(names):
        contents[label_map_path(run, level_name)] = {
            "partition": hierarchy.partition.name,
            "level": level_name,
            "levels": list(names),
            "classes": [
                _class(hierarchy, row) for row in range(hierarchy.rows(depth).start, hierarchy.rows(depth).stop)
            ],
        }
    for depth, (above, below) in enumerate(pairwise(names), start=1):
        parents = hierarchy.parent_class(depth)
        starts = np.searchsorted(parents, np.arange(hierarchy.sizes()[depth - 1] + 1)).tolist()
        contents[children_path(run, above, below)] = {
            str(k): list(range(*span)) for k, span in enumerate(pairwise(starts))
        }
    return contents


def _class(hierarchy: Hierarchy, row: int) -> dict[str, Any]:
    south, west, north, east = hierarchy.bounds_deg[row].tolist()
    latitude, longitude = hierarchy.center_deg[row].round(6).tolist()
    return {
        "id": hierarchy.name[row],
        "key": int(hierarchy.key[row]),
        "latitude": latitude,
        "longitude": longitude,
        "south": south,
        "west": west,
        "north": north,
        "east": east,
        "area_km2": round(float(hierarchy.area_km2[row]), 3),
        "train_count": int(hierarchy.train_count[row]),
    }


def read_hierarchy(run: Path) -> Hierarchy:
    """Read the hierarchy of a run folder.

    Raises:
        ValueError: a file is missing, or the files disagree; the message names the one.
    """
    folder = run / FOLDER
    found = sorted(folder.glob("label_map_*.json")) if folder.is_dir() else []
    if not found:
        raise ValueError(f"{run} has no label maps: make them with `python -m label_maps --data DATASET --run {run}`")
    names = tuple(_read(found[0])["levels"])
    maps = [_read(label_map_path(run, name)) for name in names]
    for name, content in zip(names, maps, strict=True):
        if content["level"] != name or tuple(content["levels"]) != names or not content["classes"]:
            raise ValueError(f"{label_map_path(run, name)} is not the label map of {name} of this run: make them again")
    parents = [np.full(len(maps[0]["classes"]), -1)]
    for depth, (above, below) in enumerate(pairwise(names), start=1):
        children = _read(children_path(run, above, below))
        parents.append(
            _parents(
                children, children_path(run, above, below), *(len(m["classes"]) for m in maps[depth - 1 : depth + 1])
            )
        )
    return _assemble(names, maps, parents)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise ValueError(f"{path} is missing: make the label maps again with `python -m label_maps`")
    return read_json(path)


def _parents(children: dict[str, list[int]], path: Path, above: int, below: int) -> np.ndarray:
    """Return the parent of each class below, refusing a map that leaves one out or names one that is not there."""
    pairs = [(child, int(parent)) for parent, listed in children.items() for child in listed]
    if sorted(child for child, _ in pairs) != list(range(below)) or set(map(int, children)) != set(range(above)):
        raise ValueError(
            f"{path} does not give each of {below} classes one of {above} parents: make the label maps again"
        )
    return np.array([parent for _, parent in sorted(pairs)])


def _assemble(names: tuple[str, ...], maps: list[dict[str, Any]], parents: list[np.ndarray]) -> Hierarchy:
    classes = [c for content in maps for c in content["classes"]]
    sizes = [len(content["classes"]) for content in maps]
    starts = np.cumsum([0, 0, *sizes])[: len(sizes)]
    return Hierarchy(
        partition=partition_of(maps[0]["partition"], names),
        level=np.repeat(np.arange(len(sizes)), sizes).astype(np.int8),
        parent=np.concatenate([p + start * (p >= 0) for p, start in zip(parents, starts, strict=True)]).astype(
            np.int32
        ),
        key=np.array([c["key"] for c in classes], dtype=np.int64),
        name=tuple(c["id"] for c in classes),
        center_deg=np.array([(c["latitude"], c["longitude"]) for c in classes]),
        bounds_deg=np.array([(c["south"], c["west"], c["north"], c["east"]) for c in classes]),
        area_km2=np.array([c["area_km2"] for c in classes]),
        train_count=np.array([c["train_count"] for c in classes], dtype=np.int64),
    )
