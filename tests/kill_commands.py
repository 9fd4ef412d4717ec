"""Long commands that are killed at random moments and started again: `python -m tests.kill_commands --kills 20 --seed 0`.

Each command runs on a small dataset, once undisturbed and then again and again with SIGKILL at a random moment of its work.
What it leaves in the end has to equal what the undisturbed run left, file by file, without anything more. Only recorded times
may differ: `tests.folder_contents` lists them.

All runs are forks of one process that has imported the libraries. The clock of every other kill starts at the first sign of
work, a line that is printed or a file that is made, so that kills fall into it.
"""

import argparse
import contextlib
import faulthandler
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from tests.folder_contents import contents, differences

ROOT = Path(__file__).parents[1]
MOST_S = 120.0
IMAGES = 120


@dataclass(frozen=True)
class Command:
    """A command that is killed.

    Attributes:
        name: in the table.
        words: behind `python -m`, with paths relative to the folder that it works in.
        needs: names of commands whose results it starts from, one after the other.
        again: words that are added when it is started again.
    """

    name: str
    words: str
    needs: tuple[str, ...] = ()
    again: str = ""


NETWORK = "--arch resnet18 --weights none --image-size 32"
TRAIN = f"{NETWORK} --epochs 2 --batch-size 16 --workers 1 --device cpu --checkpoint-minutes 0.005"
LABELLED = ("fetch demo", "label_maps build")
TRAINED = (*LABELLED, "train joint", "train calibrate")
COMMANDS = [
    Command("fetch demo", f"fetch demo --out data --images {IMAGES} --size 96"),
    Command("fetch import", "fetch import table.csv --out mine", LABELLED[:1]),
    Command("fetch thin", "fetch thin --data data", LABELLED[:1]),
    Command("fetch pack", "fetch pack --data data --shard-mb 1", LABELLED[:1]),
    Command("label_maps build", "label_maps build --data data --run run --partition kmeans", LABELLED[:1]),
    Command("train features", f"train features --data data {NETWORK} --workers 1 --batch-size 8", LABELLED[:1]),
    Command("train joint", f"train joint --data data --run run {TRAIN} --readout-epochs 1", LABELLED, "--resume"),
    Command("train level", f"train level --data data --run run --level K1 {TRAIN}", LABELLED, "--resume"),
    Command("train calibrate", "train calibrate --data data --run run", TRAINED[:3]),
    Command("infer evaluate", "infer evaluate --data data --run run --split test", TRAINED),
    Command("infer predict", "infer predict data --split test --limit 12 --run run --out answers --workers 1", TRAINED),
    Command(
        "infer predict --bulk",
        "infer predict data --split all --run run --out bulk --bulk --workers 1 --batch-size 8",
        TRAINED,
    ),
    Command("viz report", "viz report --run run --data data --out report.html", (*TRAINED, "infer evaluate")),
]
PATH_OF_TABLE = "table.csv"


class Took(NamedTuple):
    """Seconds of a command: in all, and from the first sign of work on."""

    whole_s: float
    work_s: float


@dataclass
class Outcome:
    """What came of a command.

    Attributes:
        undisturbed: how long it takes.
        kills: how often it was killed.
        ended: how often it came to its end after kills.
        different: files that an end left different, more or less; nothing when all is well.
    """

    name: str
    undisturbed: Took
    kills: int = 0
    ended: int = 0
    different: list[str] = field(default_factory=list)


class Kills:
    """Runs commands in folders below one, and kills them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.dice = random.Random(seed)
        self.stages: dict[tuple[str, ...], Path] = {}

    def outcome(self, command: Command, kills: int) -> Outcome:
        """Run a command undisturbed and, until it was killed so many times, disturbed; compare the ends."""
        self._stage(command.needs)
        calm = self._fresh(command)
        undisturbed = self._run(calm, command.words)
        assert undisturbed is not None
        wanted = contents(calm)
        found = Outcome(command.name, undisturbed)
        while found.kills < kills:
            work = self._fresh(command)
            # Up to four kills on the way to one end, fewer when few are left.
            planned = min(self.dice.randint(1, 4), kills - found.kills)
            words = command.words
            took: Took | None = None
            while planned and (took := self._run(work, words, found.undisturbed, found.kills % 2 == 0)) is None:
                found.kills += 1
                planned -= 1
                words = f"{command.words} {command.again}"
            if took is None:
                self._run(work, words)
            elif words == command.words:
                # Other work of the machine made it slow the first time, and a kill would come when all is done.
                found.undisturbed = min(found.undisturbed, took)
            found.ended += 1
            found.different += differences(wanted, contents(work))
            shutil.rmtree(work)
        shutil.rmtree(calm)
        return found

    def _stage(self, needs: tuple[str, ...]) -> Path:
        """Return the folder in which commands came to their ends, one after the other; it is made once."""
        if needs not in self.stages:
            before = self._stage(needs[:-1]) if needs else None
            work = self.folder / f"stage-{len(self.stages)}"
            if before is not None:
                shutil.copytree(before, work)
                self._run(work, next(c for c in COMMANDS if c.name == needs[-1]).words)
                if needs[-1] == "fetch demo":
                    write_table(work)
            else:
                work.mkdir(parents=True)
            self.stages[needs] = work
        return self.stages[needs]

    def _fresh(self, command: Command) -> Path:
        work = self.folder / f"work-{self.dice.getrandbits(40):010x}"
        # Times of files are part of what a command recognises them by.
        shutil.copytree(self._stage(command.needs), work)
        return work

    def _run(self, work: Path, words: str, within: Took | None = None, from_sign: bool = True) -> Took | None:
        """Run a command in a folder; return how long it took, or None when it was killed.

        Args:
            work: the folder.
            words: of the command.
            within: kill it at a moment of so much time.
            from_sign: of the time of its work, or of all its time.

        Raises:
            RuntimeError: it failed; the message holds the end of what it printed.
        """
        kill_after_s = None if within is None else self.dice.uniform(0, within.work_s if from_sign else within.whole_s)
        said = work.with_suffix(".log")
        (work / "tmp").mkdir(exist_ok=True)
        before, began = signs(work), time.monotonic()
        process = os.fork()
        if process == 0:
            _become(work, words, said)
        first: float | None = None
        try:
            while True:
                ended, status = os.waitpid(process, os.WNOHANG)
                now = time.monotonic()
                if ended:
                    break
                if first is None and ((said.is_file() and said.stat().st_size) or signs(work) != before):
                    first = now
                since = first if from_sign else began
                if since is not None and kill_after_s is not None and now - since >= kill_after_s:
                    os.kill(process, signal.SIGKILL)
                    os.waitpid(process, 0)
                    return None
                if now - began > MOST_S:
                    raise RuntimeError(
                        f"{words} takes longer than {MOST_S:g} s:\n{said.read_text(errors='replace')[-3000:]}"
                    )
                time.sleep(0.003)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            raise
        if code := os.waitstatus_to_exitcode(status):
            raise RuntimeError(f"{words} ended with {code}:\n{said.read_text(errors='replace')[-3000:]}")
        said.unlink(missing_ok=True)
        return Took(now - began, now - (first or began))


def _become(work: Path, words: str, said: Path) -> None:
    """Run a command in this process, a fork, and end it."""
    code = 1
    try:
        os.chdir(work)
        os.environ["TMPDIR"] = tempfile.tempdir = str(work / "tmp")
        number = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for stream in (1, 2):
            os.dup2(number, stream)
        sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1) for stream in (1, 2))
        # Says where a command hangs, before it is given up.
        faulthandler.dump_traceback_later(MOST_S - 5, file=number)
        sys.argv = words.split()
        try:
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        sys.stdout.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def signs(work: Path) -> tuple[int, ...]:
    """Return what changes when a command begins to write."""
    return tuple(path.stat().st_mtime_ns for path in sorted(work.rglob("*")) if path.is_dir())


def write_table(work: Path) -> None:
    """Write a table of the demo's photographs, as people bring one."""
    photos = pq.read_table(work / "data" / "manifest.parquet").to_pandas()
    photos = photos.assign(path="data/" + photos["path"])
    photos[["id", "path", "latitude", "longitude", "creator"]].to_csv(work / PATH_OF_TABLE, index=False)


def table_of(outcomes: Iterator[Outcome]) -> bool:
    """Print a line for each command; say whether all is well."""
    well = True
    print(
        f"{'command':<22} {'whole s':>7} {'work s':>7} {'kills':>6} {'ends':>5}  equal and nothing left over",
        flush=True,
    )
    for found in outcomes:
        wrong = sorted(set(found.different))
        said = (
            "yes"
            if not wrong
            else f"NO: {'; '.join(wrong[:6])}{f' and {len(wrong) - 6} more' if len(wrong) > 6 else ''}"
        )
        took = f"{found.undisturbed.whole_s:>7.1f} {found.undisturbed.work_s:>7.1f}"
        print(f"{found.name:<22} {took} {found.kills:>6} {found.ended:>5}  {said}", flush=True)
        well &= not wrong
    return well


def warm_up() -> None:
    """Import what commands import, so that forks begin to work at once."""
    import captum  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import torch
    import torchvision  # noqa: F401

    import viz.report.page  # noqa: F401

    torch.set_num_threads(1)


def main() -> None:
    """Kill commands and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.kill_commands")
    parser.add_argument("--kills", type=int, default=20, help="of each command")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--only", nargs="+", metavar="COMMAND", help="names in the table, such as 'fetch demo'")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    warm_up()
    with tempfile.TemporaryDirectory() as folder:
        kills = Kills(Path(folder), given.seed)
        chosen = [c for c in COMMANDS if not given.only or c.name in given.only]
        if not table_of(kills.outcome(command, given.kills) for command in chosen):
            sys.exit(1)


if __name__ == "__main__":
    main()
