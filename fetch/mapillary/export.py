"""From the state to a dataset folder: manifest, measures, what was left out and why, and who is to be thanked."""

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dataset.manifest import DATASET, EMPTY_CELLS, MANIFEST, SCHEMA, SURVEY, SURVEY_SCHEMA, write_manifest
from fetch.dataset_counts import counts_report
from fetch.ingest import FORMAT_VERSION, UNTHINNED
from fetch.mapillary.config import MapillaryConfig
from fetch.mapillary.facts import Facts
from fetch.mapillary.state import State
from fetch.mapillary.tiles import OVERVIEW_ZOOM, searched_at
from fetch.rejected import Rejection, write_rejected
from fetch.splits import assign_splits
from fetch.stored import MEASURES, MEASURES_SCHEMA
from geocells import grid
from geocells.land import land_table
from plumbing.config import as_plain
from plumbing.files import atomic_path, write_json, write_text
from plumbing.text import counted

SOURCE = "Mapillary"
LICENCE = "CC-BY-SA-4.0"
LICENCE_URL = "https://creativecommons.org/licenses/by-sa/4.0/"
PAGE = "https://www.mapillary.com/app/?pKey={}"
ATTRIBUTION = "ATTRIBUTION.md"
STAGE = "mapillary"
SECRET = ("token_file",)
WHY = {
    "empty": "searched, nothing exists",
    "open": "pictures exist, not fetched yet",
    "short": "pictures exist, none could be used",
    "error": "pictures could not be fetched",
    "ok": "removed since",
}
"""Why a cell has no photograph, by its state."""

log = logging.getLogger(__name__)


def export(config: MapillaryConfig, state: State) -> None:
    """Write the tables of the dataset, the manifest last, as they follow from the state; nothing without pictures.

    All stored pictures are in unthinned.parquet and measures.parquet, so that `python -m fetch thin` can judge them
    again; the manifest has those that stay.
    """
    write_survey(config.out, state)
    rows, measures = _rows(state)
    accepted = {row["id"] for row in rows if row.pop("accepted")}
    if not accepted:
        log.info(f"{config.out}: no picture yet")
        return
    photos = pd.DataFrame(rows).reindex(columns=SCHEMA.names)
    photos["captured_at_utc"] = pd.to_datetime(photos["captured_at_utc"], unit="ms", utc=True)
    shares = {"test": config.test_share, "calibration": config.calibration_share}
    photos["split"] = assign_splits(photos, shares, config.split, config.seed)
    kept = photos[photos["id"].isin(accepted)]
    with atomic_path(config.out / MEASURES) as partial:
        pq.write_table(pa.Table.from_pylist(measures, schema=MEASURES_SCHEMA), partial, compression="zstd")
    with atomic_path(config.out / UNTHINNED) as partial:
        table = pa.Table.from_pandas(photos, schema=SCHEMA, preserve_index=False)
        pq.write_table(table.replace_schema_metadata(None), partial, compression="zstd")
    write_rejected(config.out, _rejections(state))
    write_text(config.out / ATTRIBUTION, attribution(kept))
    write_json(config.out / DATASET, _about(config, state, len(kept)))
    write_manifest(config.out, kept)
    log.info(f"{config.out}: {counted(len(kept), 'photograph')} of {len(photos):,} stored\n{counts_report(kept)}")


def write_survey(out: Path, state: State) -> None:
    """Write what came of every cell that was searched: survey.parquet, and the table of those without a photograph."""
    # A plan is made when all its tiles of the survey have come, so a cell without squares is searched and empty.
    rows = state.rows(
        "select cell, pixels, case when pixels = 0 and state = 'open' and not exists (select 1 from candidate c "
        "where c.cell = cell.cell) then 'empty' else state end, reason, (select count(*) from candidate c where "
        "c.cell = cell.cell and c.state = 'accepted') from cell order by cell"
    )
    cells = np.array([row[0] for row in rows], dtype=np.int64)
    fetched = state.rows("select z, x, y, fetched_at_utc from tile where z = ?", [OVERVIEW_ZOOM])
    times = searched_at(cells, {(z, x, y): time for z, x, y, time in fetched})
    names = grid.format_ids(cells, grid.TABLE_LEVEL)
    columns = [[name, *row[1:], time] for name, row, time in zip(names, rows, times, strict=True)]
    table = pa.Table.from_pylist([dict(zip(SURVEY_SCHEMA.names, row, strict=True)) for row in columns], SURVEY_SCHEMA)
    with atomic_path(out / SURVEY) as partial:
        pq.write_table(table, partial, compression="zstd")
    _write_empty_cells(out, cells, table.to_pandas())


def _write_empty_cells(out: Path, cells: NDArray[np.int64], survey: pd.DataFrame) -> None:
    """Write where each cell without a photograph lies, and why it has none."""
    south, west, north, east = grid.bounds_deg(cells, grid.TABLE_LEVEL).T
    table = survey.assign(
        latitude=(south + north) / 2,
        longitude=(west + east) / 2,
        country=land_table().country[cells],
        reason=[
            WHY[state] + (f": {reason}" if reason else "")
            for state, reason in zip(survey["state"], survey["reason"], strict=True)
        ],
    )
    columns = ["cell", "latitude", "longitude", "country", "state", "reason", "squares", "searched_at_utc"]
    write_text(
        out / EMPTY_CELLS, table.loc[survey["photographs"] == 0, columns].to_csv(index=False, lineterminator="\n")
    )


def _rows(state: State) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return rows of the manifest, with whether each stays, and rows of the measures, by id."""
    rows, measures = [], []
    for image, path, measured, sha256, width, height, modification, what, text in state.rows(
        "select p.id, p.path, p.measures, p.sha256, p.width, p.height, p.modification, c.state, c.facts "
        "from picture p join candidate c on c.id = p.id where c.state in ('accepted', 'rejected') "
        "order by cast(p.id as text)"
    ):
        facts, values = Facts.from_json(text), json.loads(measured)
        stored = {"id": str(image), "path": path, "width": width, "height": height, "sha256": sha256}
        rows.append(
            {
                **stored,
                "accepted": what == "accepted",
                "latitude": facts.lat,
                "longitude": facts.lon,
                "source": SOURCE,
                "source_id": str(image),
                "sequence_id": facts.sequence or None,
                "creator": facts.creator or None,
                "captured_at_utc": facts.captured_ms or None,
                "compass_angle": facts.compass_deg,
                "is_pano": facts.is_pano,
                "licence": LICENCE,
                "url": PAGE.format(image),
                "dhash": values["dhash"],
                "modification": modification,
            }
        )
        measures.append({**stored, **values, "fingerprint": f"{sha256[:16]}"})
    return rows, measures


def _rejections(state: State) -> list[Rejection]:
    found = state.rows(
        "select id, reason, value, threshold from candidate where state in ('rejected', 'gone', 'failed') order by id"
    )
    return [Rejection(str(image), reason, value, threshold, STAGE) for image, reason, value, threshold in found]


def _about(config: MapillaryConfig, state: State, photographs: int) -> dict[str, Any]:
    """Return what dataset.json says."""
    settings = {name: value for name, value in as_plain(config).items() if name not in SECRET}
    cells = dict(state.rows("select state, count(*) from cell group by state order by state"))
    return {
        "name": config.out.resolve().name,
        "source": SOURCE,
        "created_at_utc": state.now_utc().isoformat(timespec="seconds"),
        "version": FORMAT_VERSION,
        "photographs": photographs,
        "licence": LICENCE,
        "cells": cells,
        "settings": settings,
    }


def attribution(photos: pd.DataFrame) -> str:
    """Return who took the pictures of a manifest, where each is shown, and on which terms they may be passed on."""
    counts = Counter(photos["creator"].fillna("").tolist())
    named = sorted(((name, n) for name, n in counts.items() if name), key=lambda each: (-each[1], each[0]))
    changed = Counter(photos["modification"].fillna("").tolist())
    changes = "; ".join(f"{what or 'none'} ({n:,})" for what, n in sorted(changed.items()))
    lines = [
        "# Attribution",
        "",
        f"The pictures of this dataset ({len(photos):,}) are from [Mapillary](https://www.mapillary.com) and are licensed "
        f"[CC BY-SA 4.0]({LICENCE_URL}).",
        f"Each one's page at Mapillary, its creator and what was changed are in `{MANIFEST}` (`url`, `creator`, "
        "`modification`). Whoever shows a picture shows a link to its page; whoever passes on changed pictures does so "
        "under the same licence.",
        "",
        f"Changes: {changes}.",
        "",
        "## Creators",
        "",
        *(f"- {_escaped(name)}: {n:,}" for name, n in named),
    ]
    if counts[""]:
        lines.append(f"- without a name: {counts['']:,}, see the page of each picture")
    return "\n".join(lines) + "\n"


def _escaped(name: str) -> str:
    """Return a name that Markdown shows as it is."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]()<>#+-.!|&" else c for c in " ".join(name.split()))
