"""Rows of a table that name folders of pictures, such as one folder a place with a picture for each heading."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from plumbing.picture_kinds import PICTURE_SUFFIXES
from plumbing.text import counted

log = logging.getLogger(__name__)

HEADINGS = frozenset({"0", "90", "180", "270"})
"""Names of pictures that say in which direction each looks."""


def with_folders(photos: pd.DataFrame, roots: Sequence[Path]) -> pd.DataFrame:
    """Return a table in which each row that names a folder is a row for each picture in it.

    Pictures of a folder are one sequence, so that no split divides them, unless the table has sequences of its own. Names that
    lead out of the roots name no folder.

    Args:
        photos: `picture`, `id` and whatever else, as `PhotoTable` has them.
        roots: folders below which the pictures lie.
    """
    named = photos["picture"].str.rstrip("/\\").str.replace("\\", "/", regex=False)
    direct = {entry.name for root in roots for entry in os.scandir(root) if entry.is_dir()}
    nested = named.str.contains("/", regex=False) & ~named.str.lower().str.endswith(tuple(PICTURE_SUFFIXES))
    found = {name: _pictures(name, roots) for name in dict.fromkeys(named[named.isin(direct) | nested])}
    files = named.map(found).map(lambda listed: listed if isinstance(listed, list) else [])
    several = files.map(len) > 0
    if not several.any():
        return photos
    folders = photos[several].assign(file=files[several]).explode("file")
    stems = folders["file"].map(lambda file: Path(file).stem)
    folders["picture"] = named[folders.index] + "/" + folders["file"]
    if "sequence_id" not in photos:
        folders["sequence_id"] = folders["id"]
    if "compass_angle" not in photos and set(stems) <= HEADINGS:
        folders["compass_angle"] = stems
    folders["id"] = folders["id"] + "/" + stems
    log.info(
        f"{counted(int(several.sum()), 'row', 'name')} a folder; together they hold {counted(len(folders), 'picture')}"
    )
    rest = photos[~several].reindex(columns=folders.columns.drop("file"), fill_value="")
    return pd.concat([rest, folders.drop(columns="file")]).sort_values("row", kind="stable").reset_index(drop=True)


def _pictures(name: str, roots: Sequence[Path]) -> list[str]:
    """Return the pictures directly inside a folder, of the first root that has it."""
    for root in map(os.path.abspath, roots):
        folder = os.path.normpath(os.path.join(root, name))
        if folder != root and Path(folder).is_relative_to(root) and os.path.isdir(folder):
            return sorted(f for f in os.listdir(folder) if Path(f).suffix.lower() in PICTURE_SUFFIXES and f[0] != ".")
    return []
