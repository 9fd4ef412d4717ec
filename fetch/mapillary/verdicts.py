"""What is decided about candidates and cells, entered into the state at once or not at all."""

import json
import logging
from collections.abc import Sequence

from fetch.mapillary.config import MapillaryConfig
from fetch.mapillary.rules import Verdict
from fetch.mapillary.state import State
from plumbing.config import as_plain

TRIES = 3
"""So often a picture may fail, each time after all tries of its requests, before its cell goes on without it."""

DECIDING = ("min_side", "max_per_sequence", "max_creator_share", "max_side")

log = logging.getLogger(__name__)


def commit(state: State, verdicts: Sequence[Verdict], phase: int) -> None:
    """Enter verdicts; a picture that lies in another cell becomes that cell's candidate from the next phase on."""
    if not verdicts:
        return
    with state.transaction() as db:
        for v in verdicts:
            if v.state == "deferred":
                db.execute("update candidate set deferred = 1 where id = ?", [v.image])
            elif v.state == "moved" and db.execute("select 1 from cell where cell = ?", [v.cell]).fetchone():
                db.execute(
                    "update candidate set cell = ?, phase = ?, deferred = 0 where id = ?", [v.cell, phase + 1, v.image]
                )
            else:
                said = ("rejected", "in a cell that was not asked for") if v.state == "moved" else (v.state, v.reason)
                db.execute(
                    "update candidate set state = ?, reason = ?, value = ?, threshold = ? where id = ?",
                    [*said, v.value, v.threshold, v.image],
                )


def count_try(state: State, image: int, said: str) -> None:
    """Note that a picture did not come; after a few times its cell goes on without it."""
    with state.transaction() as db:
        db.execute("update candidate set tries = tries + 1, value = ? where id = ?", [said, image])
        db.execute(
            "update candidate set state = 'failed', reason = 'could not be fetched' "
            "where id = ? and tries >= ? and state = 'new'",
            [image, TRIES],
        )


def decide_again(state: State, config: MapillaryConfig) -> None:
    """Give failed candidates another chance, and all of them where the thresholds are others than last time.

    Pictures stay stored, so other thresholds ask only for what they are the first to need.
    """
    signature = json.dumps(
        {**as_plain(config.thresholds()), "data": "", **{name: getattr(config, name) for name in DECIDING}}
    )
    with state.transaction() as db:
        db.execute("update candidate set state = 'new', tries = 0, reason = '', value = '' where state = 'failed'")
        before = db.execute("select value from meta where key = 'thresholds'").fetchone()
        if before and json.loads(before[0]) != json.loads(signature):
            log.info("the thresholds are others than last time: all is decided again, from the stored pictures")
            db.execute(
                "update candidate set state = 'new', cell = planned, phase = 0, deferred = 0, tries = 0, reason = '', "
                "value = '', threshold = '' where state != 'gone'"
            )
            db.execute("update cell set closed_phase = -1")
            db.execute("insert or replace into meta values('phase', '0')")
        db.execute("insert or replace into meta values('thresholds', ?)", [signature])


def settle(state: State, per_cell: int) -> None:
    """Say of every cell whether it is ok, short (and why), empty, or in error; an error is never an empty."""
    counts: dict[int, dict[str, int]] = {}
    reasons: dict[int, list[str]] = {}
    for cell, what, n in state.rows("select cell, state, count(*) from candidate group by cell, state"):
        counts.setdefault(cell, {})[what] = n
    for cell, reason, n in state.rows(
        "select cell, reason, count(*) from candidate where reason != '' group by cell, reason order by 3 desc, 2"
    ):
        reasons.setdefault(cell, []).append(f"{n} {reason}")
    rows = []
    for cell, pixels in state.rows("select cell, pixels from cell"):
        have = counts.get(cell, {})
        accepted = have.get("accepted", 0)
        if accepted >= per_cell:
            rows.append(("ok", "", cell))
        elif have.get("failed"):
            rows.append(("error", f"{have['failed']} could not be fetched", cell))
        elif not have and not pixels:
            rows.append(("empty", "", cell))
        else:
            why = "; ".join(reasons.get(cell, [])) or (
                "no more pictures" if have else "only at the edge of its squares"
            )
            rows.append(("short", f"{accepted} of {per_cell}: {why}", cell))
    with state.transaction() as db:
        db.executemany("update cell set state = ?, reason = ? where cell = ?", rows)
