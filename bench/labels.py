"""Label maps for millions of photographs, and how workers start on them.

`python -m bench.labels` draws 5 million clustered coordinates, runs `python -m label_maps` on them in a process of its own,
and starts eight workers over the photographs, whose pictures all lie in one small shard. What a worker has copied is its
private memory (Linux) beyond that of one with a hundred photographs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from bench.report import write_results
from dataset.manifest import read_manifest, write_manifest
from fetch.config import PackConfig
from fetch.pack import run as pack
from infer.network.transform import InputTransform
from label_maps.files import read_hierarchy
from tests.tiny import write_tiny
from train.data import LabelledPhotos, PixelSource, SharedOrder, augmentation
from train.parts_config import AugmentConfig

COLUMNS = ["id", "path", "latitude", "longitude", "split", "shard", "offset", "size"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--workers", type=int, default=8)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, run = Path(folder) / "data", Path(folder) / "run"
        # In a process of its own: what a parent holds counts as the memory of the processes that it starts.
        with get_context("spawn").Pool(1) as pool:
            pool.apply(draw, (data, flags.rows))
        seconds, peak = label_maps(data, run)
        classes = " ".join(f"{size:,}" for size in read_hierarchy(run).sizes())
        rows = [
            {
                "what": "python -m label_maps, 4 levels",
                "rows": flags.rows,
                "seconds": seconds,
                "peak_mb": peak,
                "note": classes,
            }
        ]
        rows += workers(data, run, flags.workers)
        write_results("labels", rows)


def draw(data: Path, count: int) -> None:
    """Write a manifest of clustered coordinates whose pictures are those of the tiny planet, in one shard."""
    write_tiny(data)
    pack(PackConfig(data=data))
    real = read_manifest(data)
    rng = np.random.default_rng(0)
    places = 20_000
    middle = np.stack([np.degrees(np.arcsin(rng.uniform(-0.9, 0.95, places))), rng.uniform(-180, 180, places)], axis=1)
    weight = rng.pareto(1.1, places) + 0.1
    at = middle[rng.choice(places, count, p=weight / weight.sum())] + rng.normal(0, 0.5, (count, 2))
    picture = real.iloc[rng.integers(0, len(real), count)]
    photos = pd.DataFrame(
        {
            "id": [f"{i:016d}" for i in rng.permutation(count)],
            "path": picture["path"].to_numpy(),
            "latitude": np.clip(at[:, 0], -89, 89),
            "longitude": (at[:, 1] + 180) % 360 - 180,
            "split": np.array(["train", "calibration", "test"])[rng.choice(3, count, p=[0.8, 0.1, 0.1])],
            **{name: picture[name].to_numpy() for name in ("shard", "offset", "size")},
        }
    )
    write_manifest(data, photos)


def label_maps(data: Path, run: Path) -> tuple[float, float]:
    """Return seconds and peak megabytes of `python -m label_maps`, its start included."""
    started_at = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "label_maps", "build", "--data", str(data), "--run", str(run)])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, "label_maps failed"
    return time.perf_counter() - started_at, used.ru_maxrss / 1024


def workers(data: Path, run: Path, count: int) -> list[dict[str, object]]:
    started_at = time.perf_counter()
    manifest = read_manifest(data, COLUMNS)
    photos = LabelledPhotos.of(data, manifest[manifest["split"] == "train"].reset_index(drop=True), read_hierarchy(run))
    table_mb = sum(a.nbytes for a in (photos.latlon_deg, photos.classes, *_columns(photos))) / 1e6
    opened = time.perf_counter() - started_at
    del manifest
    few = LabelledPhotos(photos.pictures.rows(range(100)), photos.latlon_deg[:100], photos.classes[:100])
    (_, own_few), (first, own) = (start(kept, count) for kept in (few, photos))
    note = f"arrays of {table_mb:,.0f} MB, shared"
    return [
        {"what": "Dataset opened", "rows": len(photos), "seconds": opened, "peak_mb": None, "note": note},
        {
            "what": f"first batch of each of {count} workers",
            "rows": len(photos),
            "seconds": first,
            "peak_mb": own,
            "note": f"private memory of a worker; with 100 photographs {own_few:,.0f} MB",
        },
    ]


def _columns(photos: LabelledPhotos) -> list[np.ndarray]:
    pictures = photos.pictures
    return [pictures.path, pictures.shard, pictures.offset, pictures.size]


def start(photos: LabelledPhotos, count: int) -> tuple[float, float]:
    """Return seconds until every worker has given a batch, and the most private megabytes of a worker then."""
    source = PixelSource(photos, InputTransform(32))
    source.augment = augmentation(AugmentConfig(), 32)
    started_at = time.perf_counter()
    batches = iter(DataLoader(source, 8, sampler=SharedOrder(len(photos), 0, 0), num_workers=count))
    for _ in range(min(count, len(photos) // 8)):
        next(batches)
    seconds = time.perf_counter() - started_at
    private = [_private_mb(worker.pid) for worker in batches._workers]
    del batches
    return seconds, max(private)


def _private_mb(pid: int) -> float:
    path = Path(f"/proc/{pid}/smaps_rollup")
    if not path.is_file():
        return float("nan")
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return sum(int(line[1]) for line in lines if line[0] in ("Private_Dirty:", "Private_Clean:")) / 1024


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "This DataLoader will create")
    main()
