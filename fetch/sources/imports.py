"""`python -m fetch import`: one's own photographs, from a table or a folder, to a dataset folder."""

import logging
from pathlib import Path

from dataset.manifest import DATASET
from dataset.panorama_flag import views_wanted
from dataset.tables.flags import COLUMN_FLAGS, suffix_of
from fetch.download_config import refuse_idle
from fetch.ingest import ingest
from fetch.panoramas import Panoramas
from fetch.rejected import Rejection
from fetch.sources.config import ImportConfig
from fetch.sources.downloads import DOWNLOADS
from fetch.sources.folder import find_pictures, folder_candidates
from fetch.sources.table import table_candidates
from fetch.stored import JOURNAL
from plumbing.addresses import address_words
from plumbing.evenly import evenly
from plumbing.files import read_json
from plumbing.picture_kinds import PICTURE_SUFFIXES
from plumbing.text import counted

log = logging.getLogger(__name__)

LISTS = frozenset({".csv", ".tsv", ".xlsx", ".parquet", ".jsonl", ".geojson"})
"""Endings of tables that are seldom anything else."""
PENDING = 5
"""Exit code where pictures are pending."""


def run(config: ImportConfig) -> int:
    """Import a table or a folder of photographs; return the exit code.

    Raises:
        ValueError: there is no such source, it cannot be used at all, or `out` holds something else.
    """
    _check_out(config)
    _check_flags(config)
    views_wanted(config.panorama)
    excluded = _excluded(config.exclude)
    rejected: list[Rejection] = []
    remote = None
    if config.source.is_dir():
        files = find_pictures(config.source, config.out, rejected)
        if not files and not rejected:
            raise ValueError(f"{config.source} holds no photographs (endings: {', '.join(sorted(PICTURE_SUFFIXES))})")
        _hint_at_table(config.source)
        files = evenly(files, config.limit)
        candidates, total = folder_candidates(config, files, excluded, rejected), len(files)
    elif config.source.is_file():
        candidates, total, remote = table_candidates(config, excluded, rejected)
    else:
        what = address_words(config.source) or ": name a table or a folder of photographs"
        raise ValueError(f"{config.source} does not exist{what}")
    cut = Panoramas(config.panorama, stated_first=config.source.is_file())
    taken = ingest(config.out, cut.cut(candidates), config, total, rejected)
    if cut.count:
        log.info(
            f"{counted(cut.count, 'panorama', 'were')} cut into {counted(cut.views, 'view')} (--panorama off keeps it whole)"
        )
    if config.exclude:
        left = sum(rejection.reason == "excluded" for rejection in taken.rejected)
        log.info(
            f"--exclude {config.exclude}: {counted(left, 'photograph')} left out; the file names {counted(len(excluded), 'id')}"
        )
    if remote is None:
        return 0
    remote.finish()
    return PENDING if remote.done.pending else 0


def _hint_at_table(folder: Path) -> None:
    """Say that a folder of photographs holds a table, whose places and columns would not be used."""
    found = sorted(path for path in folder.iterdir() if suffix_of(path) in LISTS and path.is_file())
    if found:
        log.info(f"{found[0]} may be the table of these photographs: import it instead, and what it says is used")


def _check_flags(config: ImportConfig) -> None:
    """Refuse flags that have no effect on this source."""
    if config.source.is_dir():
        why = f"on {config.source}, which is a folder and not a table"
        refuse_idle(
            config,
            (*COLUMN_FLAGS, "images", "only", "exclude_rows", "percentiles"),
            why,
        )
        config.refuse_downloads(why)
    else:
        refuse_idle(config, ("folder_names",), f"on {config.source}, which is a table and not a folder")


def _check_out(config: ImportConfig) -> None:
    """Refuse to write over what is not this dataset."""
    out = config.out
    if not out.is_dir() or not any(out.iterdir()):
        return
    if out.resolve() == config.source.resolve():
        raise ValueError(f"--out {out} is the folder of the photographs itself: name a new folder, such as data/mine")
    if (out / DATASET).is_file():
        before = read_json(out / DATASET).get("settings", {}).get("source")
        if before is not None and Path(before).resolve() != config.source.resolve():
            raise ValueError(
                f"{out} is a dataset made from {before}: name another folder with --out, or delete it; for photographs with "
                "coordinates and country-only ones together, import one table of both (docs/methods.md)"
            )
        if before is None:
            raise ValueError(f"{out} is a dataset that was not imported: name another folder with --out, or delete it")
    elif not (out / JOURNAL).is_file() and not (out / DOWNLOADS).is_dir():
        raise ValueError(f"{out} holds other files and is not a dataset: name an empty or a new folder with --out")


def _excluded(path: Path | None) -> set[str]:
    if path is None:
        return set()
    if not path.is_file():
        raise ValueError(f"--exclude {path} does not exist: it is a file of ids, one a line")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"--exclude {path} is not text: it is a file of ids, one a line") from None
    return {line.strip() for line in lines if line.strip()}
