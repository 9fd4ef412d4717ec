"""`python -m label_maps folders`: a dataset as one flat folder of pictures a class, by links."""

import hashlib
import logging
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from dataset.images import Pictures
from dataset.manifest import read_manifest
from geocells.hierarchy import UNKNOWN
from label_maps.config import FoldersConfig
from label_maps.files import read_hierarchy
from label_maps.labels import questions, truth_of
from plumbing.files import atomic_path
from plumbing.inside import unreserved
from plumbing.progress import progress
from plumbing.text import counted

log = logging.getLogger(__name__)

COLUMNS = ["id", "path", "latitude", "longitude", "country", "label", "split", "shard", "offset", "size"]

REFUSED = r'[\x00-\x1f:*?"<>|]'
"""Characters that no name of Windows has; `/` and `\\` part folders."""


def main(config: FoldersConfig) -> None:
    """Make OUT/CLASS/ID.jpg of every photograph whose cell is a class, and say how many were left out."""
    hierarchy = read_hierarchy(config.run)
    depth = hierarchy.level_index(config.level)
    photos = read_manifest(config.data, COLUMNS)
    photos = photos[questions(hierarchy, photos) & ((photos["split"] == config.split) | (config.split == "all"))]
    if not len(photos):
        raise ValueError(f"{config.data} has no photographs in its {config.split} split whose class can be known")
    number = truth_of(hierarchy, photos)[1][:, depth]
    names = [folder_name(name) for name in hierarchy.name[hierarchy.rows(depth)]]
    known, classes = photos[number != UNKNOWN], number[number != UNKNOWN]
    pictures = Pictures.of_dataset(config.data, known)
    files = file_names(known["id"], known["path"])
    for row, k in enumerate(progress(classes.tolist(), "linking", "photograph", len(known))):
        _place(pictures, row, config, config.out / names[k] / files[row])
    print(f"{counted(len(known), 'photograph')} in {counted(len(np.unique(classes)), 'folder')} of {config.out}")
    if len(known) < len(photos):
        print(f"{len(photos) - len(known):,} left out: their cell is not a class of {config.level}")


def folder_name(name: str) -> str:
    """Return the name of a class as that of one folder: `0/1/2` becomes `0_1_2`."""
    parts = re.sub(REFUSED, "_", name.replace("\\", "/")).split("/")
    return unreserved("_".join(part.strip(". ") or "_" for part in parts))


def file_names(ids: Iterable[str], paths: Iterable[str]) -> list[str]:
    """Return the names of photographs' files, safe whatever their ids and unique, also where case does not count.

    Ids that would become one name get a hash of the id behind it, except one that is a safe name as it is.
    """
    plain = [
        (str(photo_id), _safe_name(str(photo_id)), Path(path).suffix or ".jpg")
        for photo_id, path in zip(ids, paths, strict=True)
    ]
    count = Counter(f"{safe}{suffix}".casefold() for _, safe, suffix in plain)
    names, taken = [], set()
    for photo_id, safe, suffix in plain:
        name = f"{safe}{suffix}"
        if count[name.casefold()] > 1 and (safe != photo_id or name.casefold() in taken):
            name = f"{safe}-{hashlib.blake2b(photo_id.encode(), digest_size=6).hexdigest()}{suffix}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _safe_name(photo_id: str) -> str:
    return unreserved("".join(c if c.isalnum() or c in "-_.," else "_" for c in photo_id).strip(".") or "_")


def _place(pictures: Pictures, row: int, config: FoldersConfig, target: Path) -> None:
    if target.is_symlink() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    source = pictures.source(row)
    if isinstance(source, bytes):
        with atomic_path(target) as partial:
            partial.write_bytes(source)
    elif not source.is_file():
        raise ValueError(f"{source} is missing: run `python -m fetch verify --data {config.data}`")
    elif config.copy:
        with atomic_path(target) as partial:
            shutil.copyfile(source, partial)
    else:
        _link(target, source)


def _link(target: Path, source: Path) -> None:
    try:
        target.symlink_to(os.path.relpath(source.resolve(), target.parent.resolve()))
    # Windows asks for a privilege or its developer mode; from one drive to another there is no relative path.
    except (OSError, ValueError) as error:
        raise ValueError(f"{target} cannot be a link to {source} ({error}): pass --copy") from None
