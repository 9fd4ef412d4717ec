"""A run folder: everything that a trained model is. Copied to another machine, it predicts there."""

from pathlib import Path
from typing import Any

import pandas as pd

from dataset.manifest import content_hash
from geocells.hierarchy import Hierarchy
from label_maps.files import RECORD, hierarchy_hash
from plumbing.files import atomic_path, read_json, write_json
from plumbing.near_paths import did_you_mean
from plumbing.parquet import read_columns
from plumbing.version import VERSION, git_commit, now_utc

RUN = RECORD
SPLIT = "split.parquet"
NEEDED = frozenset({"name", "created_at_utc", "label_map_hash", "dataset_hash"})
"""What others read of a run's record, all texts."""
OPTIONAL = {"published": dict, "located": int, "synthetic": bool, "photographs": dict, "dataset": dict}
"""What it may have besides."""


def begin_run(
    run: Path,
    hierarchy: Hierarchy,
    photos: pd.DataFrame,
    settings: dict[str, Any],
    dataset: dict[str, Any],
    published: dict[str, Any] | None = None,
) -> None:
    """Write `run.json` and `split.parquet` of a run that has its label maps.

    Args:
        run: the run folder.
        hierarchy: what its label maps hold.
        photos: the manifest of its dataset.
        settings: how the hierarchy was made.
        dataset: the dataset's `dataset.json`; empty where it has none.
        published: licence, citation and source of a model that was imported; None of one that is trained here.
    """
    with atomic_path(run / SPLIT) as partial:
        photos[["id", "split"]].to_parquet(partial, index=False)
    record: dict[str, Any] = {
        "name": run.resolve().name,
        "created_at_utc": now_utc(),
        "version": VERSION,
        "git_commit": git_commit(),
        "label_maps": settings,
        "label_map_hash": hierarchy_hash(hierarchy),
        "dataset": {key: dataset.get(key) for key in ("name", "source")},
        "synthetic": bool(dataset.get("synthetic")),
        "dataset_hash": content_hash(photos),
        "photographs": photos["split"].value_counts().to_dict(),
    }
    learned = photos[photos["split"] == "train"]
    if len(learned):
        # Of imported models the training photographs are not at hand, and nothing is said.
        record["located"] = int(learned["latitude"].notna().sum())
    if published is not None:
        record["published"] = published
    write_json(run / RUN, record)


def read_run(run: Path) -> dict[str, Any]:
    """Read what a run is.

    Raises:
        ValueError: the folder is not a run.
    """
    if not (run / RUN).is_file():
        if near := did_you_mean(run, RUN):
            raise ValueError(f"{run} is not a run folder, it has no {RUN}{near}")
        raise ValueError(
            f"{run} is not a run folder, it has no {RUN}: check the path, or begin a run with "
            f"`python -m label_maps build --run {run}`"
        )
    record = read_json(run / RUN)
    if not isinstance(record, dict) or not all(isinstance(record.get(name), str) for name in NEEDED):
        raise ValueError(
            f"{run / RUN} is not the record of a run: begin one with `python -m label_maps build --run {run}`"
        )
    odd = [name for name, kind in OPTIONAL.items() if not isinstance(record.get(name), kind | None)]
    if odd:
        raise ValueError(f"{run / RUN} is damaged, its {odd[0]} is {record[odd[0]]!r}: take another copy of the run")
    return record


def read_split(run: Path) -> dict[str, str]:
    """Return the split of each photograph by its id, as it was when the run began."""
    if not (run / SPLIT).is_file():
        raise ValueError(f"{run / SPLIT} is missing: make the run again with `python -m label_maps`")
    table = read_columns(run / SPLIT, again="make the run again with `python -m label_maps`").to_pydict()
    if not table.keys() >= {"id", "split"}:
        raise ValueError(f"{run / SPLIT} lacks id or split: make the run again with `python -m label_maps`")
    return dict(zip(table["id"], table["split"], strict=True))
