"""`python -m label_maps folders`: a dataset as one flat folder of pictures a class, by links."""

import logging
import os
import shutil
from pathlib import Path

from dataset.images import Pictures
from dataset.manifest import coordinates, read_manifest
from geocells.hierarchy import UNKNOWN
from label_maps.config import FoldersConfig
from label_maps.files import read_hierarchy
from plumbing.files import atomic_path
from plumbing.progress import progress

log = logging.getLogger(__name__)

COLUMNS = ["id", "path", "latitude", "longitude", "split", "shard", "offset", "size"]


def main(config: FoldersConfig) -> None:
    """Make OUT/CLASS/ID.jpg of every photograph whose cell is a class, and say how many were left out."""
    hierarchy = read_hierarchy(config.run)
    depth = hierarchy.level_index(config.level)
    photos = read_manifest(config.data, COLUMNS)
    photos = photos if config.split == "all" else photos[photos["split"] == config.split]
    if not len(photos):
        raise ValueError(f"{config.data} has no photographs in its {config.split} split")
    number = hierarchy.classes(coordinates(photos))[:, depth]
    names = [folder_name(name) for name in hierarchy.name[hierarchy.rows(depth)]]
    known = photos[number != UNKNOWN]
    rows = zip(known.itertuples(index=False), number[number != UNKNOWN].tolist(), strict=True)
    pictures = Pictures.of_dataset(config.data, known)
    for row, (photo, k) in enumerate(progress(rows, "linking", "photograph", len(known))):
        _place(pictures, row, config, config.out / names[k] / file_name(photo.id, photo.path))
    classes = len(set(number[number != UNKNOWN].tolist()))
    print(f"{len(known):,} photographs in {classes:,} folders of {config.out}")
    if len(known) < len(photos):
        print(f"{len(photos) - len(known):,} left out: their cell is no class of {config.level}")


def folder_name(name: str) -> str:
    """Return the name of a class as that of one folder: `0/1/2` becomes `0_1_2`."""
    return "_".join(part.strip(". ") or "_" for part in name.replace("\\", "/").split("/"))


def file_name(photo_id: str, path: str) -> str:
    """Return the name of a photograph's file, safe whatever its id."""
    safe = "".join(c if c.isalnum() or c in "-_.," else "_" for c in photo_id).strip(".") or "_"
    return f"{safe}{Path(path).suffix or '.jpg'}"


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
        target.symlink_to(os.path.relpath(source.resolve(), target.parent.resolve()))
