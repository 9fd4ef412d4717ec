"""How fast Mapillary's pictures are fetched from the loopback stub, and what planning takes: `python -m bench.fetch`."""

import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mapbox_vector_tile
import numpy as np

from bench.report import write_results
from dataset.manifest import read_manifest
from fetch.mapillary.cli import run
from fetch.mapillary.config import MapillaryConfig
from fetch.mapillary.plan import plan
from fetch.mapillary.state import State
from geocells import grid

TOKEN = "MLY|4711|0123456789abcdef0123456789abcdef"
IMAGES, PER_CELL, THREADS = 9000, 20, 16
Z14_PER_CELL = 2784
"""Tiles of zoom 14 in a cell of level 8, on average over the sphere."""

BBOX_PER_CELL = 10_011
"""Boxes of 0.0099 degrees, the largest that both readings of the limit allow, in a cell."""


@contextmanager
def stub(images: int, size: int, drawn: Path) -> Iterator[str]:
    """Serve the demo planet from another process."""
    flags = ["--images", str(images), "--size", str(size), "--pictures", str(drawn)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.mapillary_stub", *flags], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def throughput(size: int, folder: Path) -> dict[str, object]:
    """Fetch a world twice, since pictures are drawn the first time, and time the second."""
    drawn = folder / f"drawn{size}"
    with stub(IMAGES, size, drawn) as url:
        for turn in ("draw", "time"):
            out = folder / f"{turn}{size}"
            service = {"graph_url": url, "tiles_url": url, "image_hosts": ("127.0.0.1",), "threads": THREADS}
            settings = {"out": out, "per_cell": PER_CELL, "requests_per_second": 0, "tiles_per_second": 0, **service}
            for stage in ("survey", "plan"):
                run(MapillaryConfig(stage=stage, **settings))
            started_at, cpu_at = time.perf_counter(), time.process_time()
            run(MapillaryConfig(stage="run", **settings))
            wall_s, cpu_s = time.perf_counter() - started_at, time.process_time() - cpu_at
    state = State(out)
    asked = dict(state.rows("select surface, sum(n) from quota group by surface"))
    stored = state.rows("select count(*), avg(bytes) from picture")[0]
    state.close()
    photos = read_manifest(out)
    cells = len(np.unique(grid.encode(photos[["latitude", "longitude"]].to_numpy(), 8)))
    return {
        "what": f"run, thumbnails of {size} px ({stored[1] / 1000:.1f} kB)",
        "pictures_stored": stored[0],
        "pictures_kept": len(photos),
        "seconds": round(wall_s, 2),
        "pictures_per_s": round(stored[0] / wall_s, 1),
        "cpu_ms_per_picture": round(1000 * cpu_s / stored[0], 2),
        "requests_per_kept": round((asked["graph"] + asked["images"] + asked["tiles"]) / len(photos), 2),
        "without_survey": round((asked["graph"] + asked["images"]) / len(photos), 2),
        "bbox_per_kept": round(BBOX_PER_CELL * cells / len(photos)),
        "z14_per_kept": round(Z14_PER_CELL * cells / len(photos)),
    }


def full_tiles(out: Path, candidates: int) -> None:
    """Write a survey of so many candidates, in tiles as dense as they come."""
    import gzip

    state, rng, per_tile = State(out), np.random.default_rng(0), 16_384
    tiles = [(x, y) for y in range(8, 20) for x in range(32)][: -(-candidates // per_tile)]
    for number, (x, y) in enumerate(tiles):
        pixel = rng.choice(65_536, min(per_tile, candidates - number * per_tile), replace=False)
        features = [
            {
                "geometry": f"POINT({16 * (p % 256) + 7} {16 * (p // 256) + 7})",
                "properties": {
                    "id": 10**14 + number * 10**6 + k,
                    "sequence_id": f"{number:011d}{k // 4:011d}",
                    "captured_at": 1_500_000_000_000,
                    "is_pano": False,
                },
            }
            for k, p in enumerate(pixel.tolist())
        ]
        layer = {"name": "overview", "features": features}
        body = mapbox_vector_tile.encode([layer], default_options={"y_coord_down": True, "extents": 4096})
        with state.transaction() as db:
            db.execute("insert into tile values(5, ?, ?, '', ?)", [x, y, gzip.compress(body)])
    with state.transaction() as db:
        rest = [(x, y, gzip.compress(b"")) for y in range(32) for x in range(32) if (x, y) not in set(tiles)]
        db.executemany("insert into tile values(5, ?, ?, '', ?)", rest)
    state.close()


def planning(out: Path, candidates: int) -> None:
    """Plan, and print seconds, peak memory in MB and how many candidates were planned."""
    state, started_at = State(out), time.perf_counter()
    plan(MapillaryConfig(out=out, per_cell=200), state)
    seconds = time.perf_counter() - started_at
    planned = state.rows("select count(*) from candidate")[0][0]
    state.close()
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, planned)


def measured_plan(folder: Path, candidates: int) -> dict[str, object]:
    """Plan in a process of its own, so that its peak is the plan's."""
    making = multiprocessing.get_context("spawn").Process(target=full_tiles, args=(folder / "million", candidates))
    making.start()
    making.join()
    code = f"from pathlib import Path; from bench.fetch import planning; planning(Path({str(folder / 'million')!r}), {candidates})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, peak_mb, planned = map(float, done.stdout.split())
    return {
        "what": f"plan of {candidates:,} candidates",
        "planned": int(planned),
        "seconds": round(seconds, 2),
        "peak_mb": round(peak_mb),
    }


def main() -> None:
    os.environ["MAPILLARY_TOKEN"] = TOKEN
    with tempfile.TemporaryDirectory() as name:
        rows = [throughput(size, Path(name)) for size in (96, 256)]
        rows.append(measured_plan(Path(name), 1_000_000))
    columns = list(dict.fromkeys(column for row in rows for column in row))
    write_results("fetch", [{column: row.get(column, "") for column in columns} for row in rows])


if __name__ == "__main__":
    main()
