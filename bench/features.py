"""What features that are computed once are worth: `python -m bench.features`.

Two measurements. An epoch of the same heads on the same trunk, from pixels and from the cache, with `train joint` on photographs
of the demo planet. And the memory of heads that learn from a million rows of 384 numbers, which a process of its own reads.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.commands import run_command
from bench.report import write_results
from dataset.features import FeatureCache, FeatureKind
from train.data import SharedOrder
from train.frozen import FeatureSource

ROWS, WIDTH, CLASSES, BATCH = 1_000_000, 384, 100, 256
KIND = FeatureKind("synthetic", "none", {}, "float32", "own")


def main() -> None:
    flags = argparse.ArgumentParser(prog="python -m bench.features")
    flags.add_argument("--images", type=int, default=1500)
    flags.add_argument("--arch", default="timm:tf_efficientnet_lite0")
    flags.add_argument("--weights", default="none")
    flags.add_argument("--image-size", type=int, default=224)
    flags.add_argument("--memory", type=Path, help="measure the memory alone, of features in this folder")
    given = flags.parse_args()
    if given.memory:
        print(json.dumps(learn_from(given.memory)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_results("features", epochs(Path(folder), given))
        write_results("features_memory", [memory(Path(folder) / "million")])


def epochs(work: Path, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return how many photographs a second an epoch learns from, from pixels and from the cache."""
    data = str(work / "data")
    run_command("fetch demo", "--out", data, "--images", str(given.images), "--size", str(given.image_size))
    trunk = ("--arch", given.arch, "--weights", given.weights, "--image-size", str(given.image_size))
    own = ("--optim.lr", "0.001")
    plain = ("--augment.crop-scale", "1")
    rows = []
    for name, flags in (
        ("pixels, trunk frozen", ("--optim.trunk-lr-factor", "0", "--epochs", "1", "--readout-epochs", "0", *plain)),
        ("cached features", ("--freeze-trunk", "--epochs", "3", "--hidden", "0")),
    ):
        run = work / name.split(",")[0].replace(" ", "_")
        run_command("label_maps build", "--data", data, "--run", str(run), "--partition", "kmeans")
        began = time.monotonic()
        run_command("train joint", "--data", data, "--run", str(run), *trunk, *own, *flags)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        took = {"command_s": round(time.monotonic() - began, 1), "photographs": given.images}
        rows += [
            {"epoch": f"{name}, epoch {line['epoch']}", "photos_per_s": line["photos_per_second"], **took}
            for line in lines
        ]
    first = rows[0]["photos_per_s"]
    return [{**row, "times_as_fast": round(row["photos_per_s"] / first, 1)} for row in rows]


def memory(folder: Path) -> dict[str, Any]:
    """Return the memory and time of an epoch over a million rows, in a process of its own."""
    cache = FeatureCache.create(folder, KIND, WIDTH, "float32")
    rng = np.random.default_rng(0)
    with cache.writer() as writer:
        for start in range(0, ROWS, 50_000):
            writer.add(keys(start, start + 50_000), rng.random((50_000, WIDTH), dtype=np.float32))
    said = subprocess.run(
        [sys.executable, "-m", "bench.features", "--memory", str(folder)], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    return found


def keys(start: int, stop: int) -> np.ndarray[Any, np.dtype[np.bytes_]]:
    return np.array([f"{row:032d}".encode() for row in range(start, stop)], dtype="S32")


def learn_from(folder: Path) -> dict[str, Any]:
    """Learn a linear head for an epoch and say how much memory that took beyond what the libraries take."""
    before = peak_mib()
    cache = FeatureCache.open(folder, KIND)
    assert cache is not None, "the caller has written it"
    there = cache.read()
    source = FeatureSource([(there, there.find(keys(0, ROWS)))])
    indexed = peak_mib()
    head = torch.nn.Linear(WIDTH, CLASSES)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, fused=True)
    began = time.monotonic()
    items = list(SharedOrder(ROWS, 0, 0))
    ordered = peak_mib()
    for start in range(0, ROWS, BATCH):
        index, features = source.__getitems__(items[start : start + BATCH])
        loss = torch.nn.functional.cross_entropy(head(features), index % CLASSES)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return {
        "rows": ROWS,
        "width": WIDTH,
        "features_mib": round(ROWS * WIDTH * 4 / 2**20),
        "libraries_mib": round(before),
        "with_index_mib": round(indexed),
        "with_order_mib": round(ordered),
        "peak_mib": round(peak_mib()),
        "epoch_s": round(time.monotonic() - began, 1),
    }


def peak_mib() -> float:
    """Return the largest resident memory of this process so far."""
    # Not ru_maxrss, which a process takes over from the one that started it.
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
