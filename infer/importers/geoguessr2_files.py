"""The files of the older "Hierarchical Geolocation Classifier", read and checked; no code in them is ever run."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from geocells import grid
from infer.network.weight_files import refuse_other_kinds
from plumbing.files import sha256
from plumbing.text import agreeing, counted

log = logging.getLogger(__name__)

CELL_BEHIND_FOLDERS = re.compile("/([0-3](?:_[0-3])*|[0-3](?:/[0-3])*)$")
"""Label maps hold the folders of the photographs, in which a cell is one folder, or one for each digit."""


@dataclass(frozen=True, eq=False)
class OldLevel:
    """The classes of one level, in their old order.

    Attributes:
        number: of the level in the grid.
        source: the file they come from.
        cells: (classes,) numbers in the grid.
    """

    number: int
    source: Path
    cells: NDArray[np.int64]


def find(old: Path, name: str) -> Path:
    """Return the file of a name anywhere below a folder.

    The published repository holds copies of label maps beside its training scripts. Equal copies count as one; of unequal
    ones the file in a folder `label_maps` is taken, from which its predictions read.

    Raises:
        ValueError: there is none, or several of which none is to be preferred.
    """
    found = sorted(old.rglob(name))
    if len({sha256(path) for path in found}) == 1:
        return found[0]
    preferred = [path for path in found if path.parent.name == "label_maps"]
    if len(preferred) == 1:
        others = counted(len(found) - 1, "other file")
        log.warning(
            f"{preferred[0]} is read; {others} of that name {agreeing(len(found) - 1, 'are')} ignored, with other content"
        )
        return preferred[0]
    where = f", which differ: {found[0]} and {found[1]}; leave the right one" if found else ""
    raise ValueError(f"{old} must hold {name} once, it holds {len(found)} of them{where}")


def read_plain(path: Path) -> Any:
    """Read a `.pth` file of plain values; no code in it is ever run.

    Raises:
        ValueError: it is a web page or a pointer of Git LFS, cannot be read, or holds more than plain values.
    """
    refuse_other_kinds(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle's own errors share no base with the others
        raise ValueError(f"{path} cannot be read, or holds more than plain values ({type(error).__name__})") from None


def read_levels(old: Path) -> list[OldLevel]:
    """Return the levels by their label maps, coarse to fine.

    Raises:
        ValueError: there are none, or one is not a map from paths of its level to 0, 1, 2 and so on.
    """
    if not old.is_dir():
        raise ValueError(f"{old} is not a folder: name the folder of the older project")
    names = {path.name for path in old.rglob("label_map_L*.pth")}
    numbers = sorted(int(name[11:-4]) for name in names if name[11:-4].isdecimal())
    if not numbers:
        raise ValueError(f"{old} holds no label_map_L*.pth: name the folder of the older project")
    return [_read_level(find(old, f"label_map_L{number}.pth"), number) for number in numbers]


def _read_level(path: Path, number: int) -> OldLevel:
    content = read_plain(path)
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"{path} is not a map from folders to classes")
    cells = np.full(len(content), -1, dtype=np.int64)
    for text, index in content.items():
        try:
            cell, level = grid.parse_id(cell_text(str(text)))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if level != number:
            raise ValueError(f"{path} has {text!r}, a cell of L{level}, among the classes of L{number}")
        if not isinstance(index, int) or not 0 <= index < len(cells) or cells[index] >= 0:
            raise ValueError(f"{path} numbers {text!r} {index!r}: {len(cells)} classes are 0 to {len(cells) - 1}, once")
        cells[index] = cell
    if len(np.unique(cells)) < len(cells):
        raise ValueError(f"{path} names a cell twice, with different separators")
    return OldLevel(number, path, cells)


def cell_text(text: str) -> str:
    """Return the cell at the end of a path, either separator: `0_1_2` of `data/hierarchy_L3/0_1_2`; else the whole text."""
    path = text.strip().replace("\\", "/").removeprefix("./").strip("/")
    found = CELL_BEHIND_FOLDERS.search(path)
    # What has digits alone is one id, and where it is no cell a damaged one.
    return found[1] if found and re.search("[A-Za-z]", path) else path


def check_children(old: Path, levels: list[OldLevel]) -> None:
    """Refuse maps of children that contradict the cells of the classes.

    Raises:
        ValueError: a child is not inside its parent, is listed twice or left out, or a class does not exist.
    """
    for above, below in pairwise(levels):
        path = find(old, f"l{above.number}_to_l{below.number}.pth")
        listed = read_plain(path)
        try:
            pairs = [(int(p), int(c)) for p, children in listed.items() for c in children]
        except (AttributeError, TypeError, ValueError):
            raise ValueError(f"{path} is not a map from classes to lists of classes") from None
        inside = grid.parent(below.cells, below.number, above.number)
        truth = {(p, c) for p, cell in enumerate(above.cells.tolist()) for c in np.flatnonzero(inside == cell).tolist()}
        wrong, lacking = sorted(set(pairs) - truth), sorted(truth - set(pairs))
        if wrong:
            raise ValueError(
                f"{path} gives class {wrong[0][0]} of L{above.number} the child {wrong[0][1]} of L{below.number}, which "
                f"by {above.source.name} and {below.source.name} is not a cell inside it ({len(wrong)} such)"
            )
        if lacking or len(pairs) > len(truth):
            what = f"leaves out {len(lacking)} children, such as {lacking[0]}" if lacking else "lists a child twice"
            raise ValueError(f"{path} {what}: it is not of {above.source.name} and {below.source.name}")


def read_temperature(old: Path, level: int) -> float:
    """Return the temperature of a level, 1 where it has none.

    Raises:
        ValueError: the file holds no positive number.
    """
    name = f"L{level}_temperature.txt"
    if not list(old.rglob(name)):
        log.warning("%s has no %s: 1 is used", old, name)
        return 1.0
    path = find(old, name)
    try:
        value = float(path.read_text())
    except ValueError:
        value = -1.0
    if not 0 < value < np.inf:
        raise ValueError(f"{path} holds no positive number")
    return value


def read_photos(old: Path, finest: int) -> pd.DataFrame:
    """Return id, latitude, longitude and split of `metadata.csv`; empty where there is none.

    Which photographs were held out was never written down, so all count as seen.

    Raises:
        ValueError: the table lacks a column or a coordinate.
    """
    if not list(old.rglob("metadata.csv")):
        log.warning("%s has no metadata.csv: the middle of a cell is answered instead of that of its photographs", old)
        return pd.DataFrame({"id": [], "latitude": [], "longitude": [], "split": []}).astype({"id": str, "split": str})
    path = find(old, "metadata.csv")
    try:
        table = pd.read_csv(path, dtype={"filename": str, "grid_label": str}, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a CSV file that can be read ({' '.join(str(error).split())})") from None
    missing = [name for name in ("filename", "lat", "lon", "grid_label") if name not in table]
    if missing:
        raise ValueError(f"{path} has no column {missing[0]}: it needs filename,lat,lon,grid_label")
    points = table[["lat", "lon"]].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    good = np.isfinite(points).all(axis=1) & (np.abs(points[:, 0]) <= 90)
    if not good.all():
        raise ValueError(f"{path} has {counted(int((~good).sum()), 'row')} without coordinates")
    own = grid.format_ids(grid.encode(points, finest), finest)
    said = [cell_text(text).replace("_", "/") for text in table["grid_label"]]
    apart = sum(a != b for a, b in zip(own, said, strict=True))
    if apart:
        log.warning(
            f"{path}: {apart:,} of {counted(len(own), 'photograph')} {agreeing(apart, 'lie')} outside of the cell that is named; "
            "coordinates count"
        )
    photos = pd.DataFrame(
        {"id": table["filename"], "latitude": points[:, 0], "longitude": points[:, 1], "split": "train"}
    )
    return photos.drop_duplicates("id", ignore_index=True)


def read_empty_cells(old: Path, finest: int) -> list[str]:
    """Return the cells of `empty_grids.txt`, without the stale ids of other levels."""
    if not list(old.rglob("empty_grids.txt")):
        return []
    path = find(old, "empty_grids.txt")
    lines = [cell_text(line) for line in path.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    kept = []
    for line in lines:
        try:
            cell, level = grid.parse_id(line)
        except ValueError:
            continue
        if level == finest:
            kept.append(grid.format_id(cell, finest))
    if len(kept) < len(lines):
        log.warning(
            f"empty_grids.txt: {len(lines) - len(kept):,} of {counted(len(lines), 'id')} dropped, not of level L{finest}"
        )
    return sorted(set(kept))
