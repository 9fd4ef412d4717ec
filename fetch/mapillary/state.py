"""What is known so far, in one SQLite file: tiles, cells, candidates, pictures, requests of the day."""

import contextlib
import json
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from fetch.mapillary.errors import QuotaSpent
from fetch.mapillary.facts import Facts
from plumbing.text import counted

STATE = "mapillary.sqlite"
PARTIAL = ".partial"
"""Folder, beside the state, of pictures that are being written."""
VERSION = "1"
FIRST_DAY = "2026-01-01"
"""Before it this software was not written, so a clock that says so is wrong."""

TABLES = """
create table if not exists meta(key text primary key, value text) without rowid;
create table if not exists tile(
    z integer, x integer, y integer, fetched_at_utc text, body blob, primary key(z, x, y)) without rowid;
create table if not exists cell(
    cell integer primary key, colour integer, pixels integer, state text, reason text default '',
    closed_phase integer default -1);
create table if not exists candidate(
    id integer primary key, cell integer, planned integer, place integer, phase integer, state text default 'new',
    tries integer default 0, deferred integer default 0, reason text default '', value text default '',
    threshold text default '', facts text);
create index if not exists candidate_of_cell on candidate(cell, state, phase, deferred, place);
create table if not exists picture(
    id integer primary key, path text, lat real, lon real, sequence text, creator text, measures text, sha256 text,
    bytes integer, width integer, height integer, fetched_at_utc text, modification text);
create table if not exists quota(day text, surface text, n integer, primary key(day, surface)) without rowid;
create table if not exists filling(
    z integer, x integer, y integer, cell integer, primary key(z, x, y, cell)) without rowid;
"""


class State:
    """The state file of a dataset; one process at a time writes it, from many threads.

    Raises:
        ValueError: another process works on it, it is of another version, or the clock is wrong.
    """

    def __init__(self, out: Path, clock: Callable[[], float] = time.time) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.path = out / STATE
        self._clock = clock
        self._lock = threading.RLock()
        self._owned = self._only_one(out)
        try:
            self._db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
            self._db.execute("pragma journal_mode=wal")
            self._db.execute("pragma synchronous=normal")
            self._db.executescript(TABLES)
        except sqlite3.Error as error:
            self._owned.release()
            raise ValueError(f"{self.path} cannot be used ({error})") from None
        try:
            if self.meta("version", VERSION) != VERSION:
                raise ValueError(f"{self.path} is of another version of this software: choose another --out")
            self._check_clock()
        except ValueError:
            self.close()
            raise

    def _only_one(self, out: Path) -> BaseFileLock:
        # Threads of one process share it: any of them may close the state.
        lock = FileLock(out / f".{STATE}.lock", timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            raise ValueError(f"another process works on {out}: wait for it, or stop it") from None
        return lock

    def _check_clock(self) -> None:
        today, last = self.today(), self.meta("last_day", FIRST_DAY)
        if today < last:
            raise ValueError(
                f"the clock of this machine says {today}, but it was {last} before: set the clock, "
                "for it decides how many tiles may still be asked for"
            )
        self.set_meta(version=VERSION, last_day=today)

    def close(self) -> None:
        """Close the file; its side files vanish."""
        with self._lock:
            self._db.close()
            self._owned.release()

    def now_utc(self) -> datetime:
        """Return the time."""
        return datetime.fromtimestamp(self._clock(), UTC)

    def today(self) -> str:
        """Return the day, UTC, as the quota counts it."""
        return self.now_utc().date().isoformat()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection; all that the block writes is kept, or nothing."""
        with self._lock:
            self._db.execute("begin immediate")
            try:
                yield self._db
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a query."""
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def meta(self, key: str, default: str = "") -> str:
        """Return a remembered value."""
        found = self.rows("select value from meta where key = ?", [key])
        return str(found[0][0]) if found else default

    def set_meta(self, **values: str) -> None:
        """Remember values."""
        with self.transaction() as db:
            db.executemany("insert or replace into meta values(?, ?)", list(values.items()))

    @property
    def phase(self) -> int:
        """Return the phase of `run` that is under way; phases are counted through all runs."""
        return int(self.meta("phase", "0"))

    def spend_tile(self, per_day: int) -> None:
        """Count one request for a tile.

        Raises:
            QuotaSpent: the day's are used up.
        """
        day = self.today()
        with self.transaction() as db:
            used = db.execute("select n from quota where day = ? and surface = 'tiles'", [day]).fetchone()
            if used and used[0] >= per_day:
                raise QuotaSpent(
                    f"the limit of {counted(per_day, 'tile')} for {day} (UTC) is reached: run the same command tomorrow, or raise "
                    "--tiles-per-day"
                )
            _count(db, day, "tiles", 1)

    def count_requests(self, counts: dict[str, int]) -> None:
        """Add requests other than for tiles to the day's."""
        with self.transaction() as db:
            for surface, n in counts.items():
                _count(db, self.today(), surface, n)

    def tiles_done(self, z: int, since_utc: str = "") -> set[tuple[int, int, int]]:
        """Return which tiles of a zoom are stored, fetched at this time or later."""
        rows = self.rows("select x, y from tile where z = ? and fetched_at_utc >= ?", [z, since_utc])
        return {(z, x, y) for x, y in rows}

    def open_cells(self, phase: int, per_cell: int) -> list[int]:
        """Return cells that take part in a phase: of its colour, not full, with candidates to look at."""
        return [
            row[0]
            for row in self.rows(
                """select cell from cell where colour = ? and
                (select count(*) from candidate where cell = cell.cell and state = 'accepted') < ? and
                exists(select 1 from candidate where cell = cell.cell and state = 'new'
                       and phase <= ? and phase > cell.closed_phase) order by cell""",
                [phase % 4, per_cell, phase],
            )
        ]

    def accepted(self, cell: int) -> int:
        """Return how many pictures of a cell stay."""
        return int(self.rows("select count(*) from candidate where cell = ? and state = 'accepted'", [cell])[0][0])

    def window(self, cell: int, phase: int, size: int) -> list[tuple[int, Facts | None, bool]]:
        """Return the next candidates of a cell: id, what is known, whether it was put off."""
        found = self.rows(
            """select id, facts, deferred from candidate where cell = ? and state = 'new' and phase <= ?
            and phase > (select closed_phase from cell where cell = ?) order by deferred, place, id limit ?""",
            [cell, phase, cell, size],
        )
        return [(row[0], Facts.from_json(row[1]) if row[1] else None, bool(row[2])) for row in found]

    def kept(self, cells: Sequence[int]) -> list[Any]:
        """Return the pictures that stay in cells: id, cell, lat, lon, sequence, creator, measures."""
        marks = ",".join("?" * len(cells))
        return self.rows(
            f"""select p.id, c.cell, p.lat, p.lon, p.sequence, p.creator, p.measures from candidate c
            join picture p on p.id = c.id where c.cell in ({marks}) and c.state = 'accepted' order by p.id""",
            cells,
        )

    def pictures(self, images: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Return the measures of those pictures that are stored."""
        ids = list(images)
        marks = ",".join("?" * len(ids))
        found = self.rows(f"select id, measures from picture where id in ({marks})", ids)
        return {row[0]: json.loads(row[1]) for row in found}

    def learn(self, facts: Iterable[Facts]) -> None:
        """Keep what the graph says of pictures."""
        with self.transaction() as db:
            db.executemany("update candidate set facts = ? where id = ?", [(f.to_json(), f.image) for f in facts])

    def store(self, row: dict[str, Any]) -> None:
        """Keep a picture that lies on disk."""
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        with self.transaction() as db:
            db.execute(f"insert or replace into picture({names}) values({marks})", list(row.values()))

    def counts_of(self, cell: int) -> dict[str, int]:
        """Return for each reason how many candidates of a cell were left out for it."""
        counts: dict[str, int] = defaultdict(int)
        for reason, n in self.rows(
            "select reason, count(*) from candidate where cell = ? and state in ('rejected', 'gone', 'failed') "
            "group by reason order by 2 desc, 1",
            [cell],
        ):
            counts[reason] += n
        return dict(counts)


def _count(db: sqlite3.Connection, day: str, surface: str, n: int) -> None:
    db.execute(
        "insert into quota values(?, ?, ?) on conflict(day, surface) do update set n = n + excluded.n",
        [day, surface, n],
    )
