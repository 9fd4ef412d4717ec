"""Runs of `python -m fetch mapillary` that are killed at random moments: `python -m tests.mapillary_kills --help`."""

import argparse
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dataset.manifest import coordinates, read_manifest
from geocells import grid
from plumbing.files import sha256
from tests.mapillary_stub import TOKEN, Stub, World

ROOT = Path(__file__).parents[1]


@dataclass
class Killed:
    """What came of a run with kills."""

    ids: set
    kills: int
    seconds: float
    requests: int


def flags(stub, out, per_cell, threads=16, **more):
    """Return the command line of a run against a stub."""
    given = {
        "out": out,
        "per-cell": per_cell,
        "graph-url": stub.url,
        "tiles-url": stub.url,
        "image-hosts": "127.0.0.1",
        "requests-per-second": 0,
        "tiles-per-second": 0,
        "threads": threads,
        "backoff-s": 0.01,
        "timeout-s": 0.5,
        "tiles-per-day": 40000,
        **more,
    }
    words = [word for name, value in given.items() for word in (f"--{name}", *map(str, _many(value)))]
    return [sys.executable, "-m", "fetch", "mapillary", *words]


def _many(value):
    return value if isinstance(value, tuple) else (value,)


def run_with_kills(stub, out, kills, per_cell, seed=0, between_s=(0.8, 4.0), **more):
    """Run until it ends by itself, killing it `kills` times before; return what came of it."""
    started_at, dice, done = time.perf_counter(), random.Random(seed), 0
    before = stub.count()
    environment = {**os.environ, "MAPILLARY_TOKEN": TOKEN}
    while True:
        process = subprocess.Popen(
            flags(stub, out, per_cell, **more),
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            said = process.communicate(timeout=dice.uniform(*between_s) if done < kills else 3000)[1]
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            done += 1
            continue
        assert process.returncode == 0, said.decode()
        ids = set(read_manifest(out)["id"])
        return Killed(ids, done, time.perf_counter() - started_at, stub.count() - before)


def faults_of(stub, out):
    """Return what is wrong with a dataset that a stub served, as words; nothing when all is well."""
    world, photos, wrong = stub.world, read_manifest(out), []
    if photos["id"].duplicated().any():
        wrong.append("an id stands twice")
    if photos["sha256"].duplicated().any():
        wrong.append("a picture stands twice")
    rows = [world.at[int(image)] for image in photos["id"]]
    true = grid.encode(world.latlon[rows], 8)
    if (grid.encode(coordinates(photos), 8) != true).any():
        wrong.append("a picture lies in a wrong cell")
    folders = [f"images/{name}/{image}.jpg" for name, image in zip(grid.format_ids(true, 8), photos["id"], strict=True)]
    if folders != photos["path"].tolist():
        wrong.append("a file lies in the folder of a wrong cell")
    if any(world.gone[rows]):
        wrong.append("a deleted picture is listed")
    if [sha256(out / path) for path in photos["path"]] != photos["sha256"].tolist():
        wrong.append("a file is not the one that was entered")
    files = {p.relative_to(out).as_posix() for p in (out / "images").rglob("*") if p.is_file()}
    measured = set(pd.read_parquet(out / "unthinned.parquet")["path"])
    if files != measured:
        wrong.append(f"{len(files - measured)} files belong to nothing, {len(measured - files)} are missing")
    temporary = [p for p in out.rglob("*") if "partial" in p.name and (p.is_file() or any(p.iterdir()))]
    if temporary:
        wrong.append(f"temporary files are left: {temporary[:3]}")
    return wrong + sorted(set(stub.wrong))


def main():
    """Compare an undisturbed run with a killed one, under faults, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=18_000, help="of the world")
    parser.add_argument("--per-cell", type=int, default=6)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--fault-share", type=float, default=0.05)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--between-s", type=float, nargs=2, default=(2.0, 12.0))
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "drawn"
        kept.mkdir()
        world = World(0, given.images, gone_share=0.03, pictures=kept)
        results = {}
        for name, share, kills in (
            ("calm", 0.0, 0),
            ("faults", given.fault_share, 0),
            ("kills", given.fault_share, given.kills),
        ):
            with Stub(world, fault_share=share) as stub:
                out = Path(folder) / name
                done = run_with_kills(
                    stub, out, kills, given.per_cell, 0, tuple(given.between_s), threads=given.threads
                )
                results[name] = done.ids
                print(
                    f"{name}: {len(done.ids):,} pictures, {done.requests:,} requests in {done.seconds:.0f} s, {done.kills} kills, "
                    f"{stub.max_in_flight} in flight of {given.threads}, {sum(stub.faulted.values()):,} faults "
                    f"{dict(stub.faulted)}, "
                    f"wrong: {faults_of(stub, out) or 'nothing'}",
                    flush=True,
                )
                before = stub.count()
                run_with_kills(stub, out, 0, given.per_cell, threads=given.threads)
                print(f"   once more: {stub.count() - before} requests", flush=True)
                shutil.rmtree(out)
        print(f"same ids: faults {results['faults'] == results['calm']}, kills {results['kills'] == results['calm']}")


if __name__ == "__main__":
    main()
