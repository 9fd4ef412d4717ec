"""What it costs to find the most similar training photographs, beside faiss where it is installed (pip install faiss-cpu).

Features are random, of length one. Both ways search the same ones in turn, in one process, with all cores; times are medians.
The index of faiss is IndexFlatIP, which compares with every photograph as ours does, and its features lie in memory.
"""

import argparse
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.report import write_results
from infer.explain.retrieval import COUNT, Neighbours

ASKED = (1, 64)
"""Photographs searched for at once."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=15)
    flags = parser.parse_args()
    features = unit_rows(flags.photographs, flags.width, 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.npy"
        np.save(path, features.astype(np.float16))
        neighbours = Neighbours(Path(), pd.DataFrame(), np.load(path, mmap_mode="r"))
        rows = [row for asked in ASKED for row in searched(neighbours, unit_rows(asked, flags.width, 1), flags.repeats)]
    write_results("neighbours", rows)


def unit_rows(count: int, width: int, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def searched(neighbours: Neighbours, asked: NDArray[np.float32], repeats: int) -> list[dict[str, object]]:
    """Return what a search of each way takes, and how often it finds the same photographs."""
    ways: dict[str, Callable[[], NDArray[np.int64]]] = {"ours": lambda: neighbours.nearest(asked, COUNT)[0]}
    if importlib.util.find_spec("faiss") is not None:
        import faiss

        index = faiss.IndexFlatIP(neighbours.features.shape[1])
        index.add(neighbours.features.astype(np.float32))
        ways["faiss IndexFlatIP"] = lambda: index.search(asked, COUNT)[1]
    started_at = time.perf_counter()
    own = ways["ours"]()
    first_s = time.perf_counter() - started_at
    times: dict[str, list[float]] = {name: [] for name in ways}
    agreed = {name: float((way() == own).mean()) for name, way in ways.items()}
    for _ in range(repeats):
        for name, way in ways.items():
            # Twice, and the second counts: threads of the other way still spin when the first begins.
            way()
            started_at = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - started_at)
    base = statistics.median(times["ours"])
    count, width = neighbours.features.shape
    return [
        {
            "what": f"{COUNT} of {count:,} x {width} for {len(asked)} at once: {name}",
            "ms": 1000 * statistics.median(t),
            "times_ours": statistics.median(t) / base,
            "same_photographs": agreed[name],
            "first_ms": 1000 * first_s if name == "ours" else None,
        }
        for name, t in times.items()
    ]


if __name__ == "__main__":
    main()
