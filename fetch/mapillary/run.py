"""Stage `run`: fetch, measure and thin, so that the result depends on the world and the seed alone.

Cells are coloured like a map, by the parity of row and column, and one colour is worked on at a time, a phase. Cells of
a phase do not touch, so threads may take them in any order, and each sees its neighbours as earlier phases left them.
Within a cell, rounds follow one another: each is chosen from what is decided so far, fetched, judged and committed at
once. A run that is killed in a round chooses the same round again, and finds there what it had stored.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from fetch.client import Exhausted, Stopping
from fetch.mapillary.api import PANORAMA_THUMBNAIL, THUMBNAIL, Graph
from fetch.mapillary.config import MapillaryConfig
from fetch.mapillary.errors import Gone
from fetch.mapillary.facts import Facts
from fetch.mapillary.pictures import Album
from fetch.mapillary.rules import Kept, Verdict, choose, judge
from fetch.mapillary.sdk import FIELDS
from fetch.mapillary.state import State
from fetch.mapillary.transport import Transport
from fetch.mapillary.verdicts import commit, count_try, decide_again, settle
from geocells import grid
from plumbing.progress import progress

COLOURS = 4
GROUP = 50
"""Pictures that one thread takes on at a time: as many as one request for metadata can name."""

GIVE_UP = 10
"""For each picture that a cell is to have, so many candidates may fail."""

log = logging.getLogger(__name__)


@dataclass
class Round:
    """One step of one cell.

    Attributes:
        window: the next candidates: id, what is known, whether it was put off.
        kept: pictures that stay, of the cell and of those around it.
        verdicts: what is decided; kept only where `complete`, so that what fails for a moment changes nothing.
    """

    cell: int
    need: int
    window: list[tuple[int, Facts | None, bool]]
    kept: list[Kept]
    chosen: list[Facts] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    complete: bool = True

    def lose(self, image: int, verdict: Verdict) -> None:
        """Take out a candidate that turns out not to be a picture."""
        if any(each[0] == image for each in self.window):
            self.window = [each for each in self.window if each[0] != image]
            self.chosen = [facts for facts in self.chosen if facts.image != image]
            self.verdicts.append(verdict)


class Run:
    """The work on all cells."""

    def __init__(self, config: MapillaryConfig, state: State, transport: Transport) -> None:
        self.config = config
        self.state = state
        self.transport = transport
        panoramas = [PANORAMA_THUMBNAIL] if config.pano == "crop" else []
        self.graph = Graph(config, transport, (*FIELDS, THUMBNAIL, *panoramas))
        self.album = Album(config, state, transport, self.graph)

    def all_phases(self) -> None:
        """Work until no cell has anything left to try.

        Raises:
            Stop: the run cannot go on; all that is stored is kept.
            ValueError: there is no plan.
        """
        if not self.state.meta("plan"):
            raise ValueError("there is no plan: run `python -m fetch mapillary plan` first")
        self.album.clean()
        decide_again(self.state, self.config)
        phase, idle = self.state.phase, 0
        while idle < COLOURS:
            cells = self.state.open_cells(phase, self.config.per_cell)
            idle = 0 if cells else idle + 1
            if cells:
                self._work_on(cells, phase)
                # Only phases with work count, so that runs that find nothing to do change nothing.
                self.state.set_meta(phase=str(phase + 1))
            phase += 1
        self.state.set_meta(phase=str(-(-self.state.phase // COLOURS) * COLOURS))
        settle(self.state, self.config.per_cell)

    def _work_on(self, cells: list[int], phase: int) -> None:
        """Work on the cells of one phase, on all threads."""
        groups = _groups(cells, [self.config.per_cell - self.state.accepted(c) for c in cells], self.config.threads)
        with ThreadPoolExecutor(self.config.threads) as pool:
            jobs = {pool.submit(self._fill, group, phase): len(group) for group in groups}
            left = set(jobs)
            try:
                title = f"colour {phase % COLOURS + 1} of {COLOURS}"
                with progress(cells, title, "cell") as bar, self.transport.telling(bar.set_postfix_str):
                    while left:
                        done, left = wait(left, return_when=FIRST_COMPLETED)
                        for job in done:
                            job.result()
                            bar.update(jobs[job])
            except BaseException:
                self.transport.stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _fill(self, cells: Sequence[int], phase: int) -> None:
        """Do the rounds of a few cells, until each is full or has nothing left to try."""
        urls: dict[int, str] = {}
        live = list(cells)
        while live:
            if self.transport.stop.is_set():
                raise Stopping
            rounds = [opened for cell in live if (opened := self._open(cell, phase)) is not None]
            live = [opened.cell for opened in rounds]
            self._describe([i for r in rounds for i, facts, _ in r.window if facts is None], rounds, urls)
            self._choose(rounds)
            measures = self._fetch(rounds, urls)
            for r in rounds:
                r.complete &= all(facts.image in measures for facts in r.chosen)
                if r.complete and r.chosen:
                    r.verdicts += judge(self.config, r.chosen, measures, r.kept)
            commit(self.state, [verdict for r in rounds if r.complete for verdict in r.verdicts], phase)

    def _open(self, cell: int, phase: int) -> Round | None:
        """Return the next round of a cell; None when it is full, or has nothing left, or fails too often."""
        need = self.config.per_cell - self.state.accepted(cell)
        if need <= 0:
            return None
        window = self.state.window(cell, phase, need + max(2, need // 4))
        if not window:
            return None
        if sum(self.state.counts_of(cell).values()) >= GIVE_UP * self.config.per_cell:
            with self.state.transaction() as db:
                db.execute("update cell set closed_phase = ? where cell = ?", [phase, cell])
            return None
        around = sorted({cell, *grid.neighbours(cell, grid.TABLE_LEVEL).tolist()})
        return Round(cell, need, window, [Kept.from_row(row) for row in self.state.kept(around)])

    def _describe(self, images: list[int], rounds: Sequence[Round], urls: dict[int, str]) -> None:
        """Learn about pictures, and take those that are gone out of their rounds."""
        if not images:
            return
        described = self.graph.describe(images)
        self.state.learn(described.facts.values())
        urls.update(described.urls)
        for image, said in described.failed.items():
            count_try(self.state, image, said)
        for r in rounds:
            r.window = [(i, facts or described.facts.get(i), put_off) for i, facts, put_off in r.window]
            for image, said in described.gone.items():
                r.lose(image, Verdict(image, "gone", "deleted at the source", said))

    def _choose(self, rounds: Sequence[Round]) -> None:
        """Choose what each round fetches, where all of its candidates are known."""
        now_ms = int(self.state.now_utc().timestamp() * 1000)
        for r in rounds:
            window = [(facts, put_off) for _, facts, put_off in r.window if facts is not None]
            r.complete = len(window) == len(r.window)
            if r.complete:
                choice = choose(self.config, r.cell, window, r.kept, r.need, now_ms)
                r.chosen = choice.chosen
                r.verdicts += choice.verdicts

    def _fetch(self, rounds: Sequence[Round], urls: dict[int, str]) -> dict[int, dict[str, Any]]:
        """Fetch what was chosen and return its measures; without those of pictures that fail for now."""
        chosen = [facts for r in rounds for facts in r.chosen]
        measures = self.state.pictures(facts.image for facts in chosen)
        wanted = [facts for facts in chosen if facts.image not in measures]
        self._describe([facts.image for facts in wanted if facts.image not in urls], rounds, urls)
        for facts in wanted:
            image = facts.image
            if image not in urls:
                continue
            try:
                measures[image] = self.album.obtain(facts, urls[image])
            except Gone as gone:
                self._lose(rounds, Verdict(image, "gone", "deleted at the source", str(gone)))
            except Exhausted as error:
                # Its address may be the reason.
                urls.pop(image)
                if error.damaged:
                    self._lose(rounds, Verdict(image, "rejected", "unreadable", str(error)))
                else:
                    count_try(self.state, image, str(error))
        return measures

    @staticmethod
    def _lose(rounds: Sequence[Round], verdict: Verdict) -> None:
        for r in rounds:
            r.lose(verdict.image, verdict)


def _groups(cells: list[int], need: list[int], threads: int) -> list[list[int]]:
    """Return cells in groups of about as many pictures as one request can name, and fewer where there are few."""
    size = max(1, min(GROUP, sum(need) // (2 * threads)))
    groups: list[list[int]] = []
    filled = size
    for cell, lacks in zip(cells, need, strict=True):
        if filled >= size:
            groups.append([])
            filled = 0
        groups[-1].append(cell)
        filled += lacks
    return groups
