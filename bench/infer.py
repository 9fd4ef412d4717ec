"""What an answer costs: one pass of a trunk for all levels, beside a bare trunk, four networks, and a CLIP-sized tower.

All networks have random weights, run on the same device and take turns; times are medians. The hierarchy is built from
coordinates drawn over land, so that its finest level has about 25,000 classes.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torchvision

from bench.report import write_results
from dataset.manifest import write_manifest
from fetch.demo.config import DemoConfig
from fetch.demo.dataset import make_planet, photograph
from geocells import grid
from geocells.hierarchy import Hierarchy
from geocells.land import land_table
from infer.decode.kernels import WIDTHS_KM, Convolution, pair_kernels
from infer.decode.posterior import Tree, chain
from infer.decode.raster import Raster
from infer.network.devices import pick_device
from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.weights import save_network
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from label_maps.files import hierarchy_hash, read_hierarchy
from train.heads import HIDDEN

BATCH = 16
GALLERY = 100_000
"""Places that GeoCLIP compares a photograph with."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=5)
    flags = parser.parse_args()
    device = pick_device(flags.device)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        run = make_run(Path(folder))
        hierarchy = read_hierarchy(run)
        rows = network_rows(hierarchy, device, flags.repeats)
        rows.append(chain_row(hierarchy, flags.repeats))
        rows += region_rows(hierarchy, flags.repeats)
        rows.append(start_row(Path(folder), run))
    write_results("infer", rows)


def make_run(folder: Path) -> Path:
    """Write a run with a randomly initialised joint ResNet-50 over all land cells of L8."""
    cells = np.flatnonzero(land_table().share > 0)
    center = grid.center_deg(cells, 8)
    columns = {
        "id": cells.astype(str),
        "path": "none",
        "latitude": center[:, 0],
        "longitude": center[:, 1],
        "split": "train",
    }
    write_manifest(folder / "data", pd.DataFrame(columns))
    run = folder / "run"
    make_label_maps(LabelMapsConfig(folder / "data", run))
    hierarchy = read_hierarchy(run)
    heads = dict(zip(hierarchy.level_names, hierarchy.sizes(), strict=True))
    spec = NetworkSpec("resnet50", heads, hierarchy_hash(hierarchy), hidden=HIDDEN)
    save_network(run / "joint.safetensors", GeoNetwork(spec), spec, {})
    return run


def network_rows(hierarchy: Hierarchy, device: torch.device, repeats: int) -> list[dict[str, object]]:
    heads = dict(zip(hierarchy.level_names, hierarchy.sizes(), strict=True))
    tree = Tree.of(hierarchy, device)
    images = torch.randn(BATCH, 3, 224, 224, device=device)
    bare = torchvision.models.resnet50(weights=None).eval().to(device)
    joint = GeoNetwork(NetworkSpec("resnet50", heads, "", hidden=HIDDEN)).eval().to(device)
    four = [GeoNetwork(NetworkSpec("resnet50", {level: n}, "")).eval().to(device) for level, n in heads.items()]
    # The tower of CLIP ViT-L/14 (Radford et al. 2021): patches of 14, 24 layers, 16 heads, 1,024 wide.
    tower = torchvision.models.VisionTransformer(224, 14, 24, 16, 1024, 4096, num_classes=512).eval().to(device)
    gallery = torch.randn(512, GALLERY, device=device)
    ways: dict[str, Callable[[], object]] = {
        "bare ResNet-50": lambda: bare(images),
        "joint, 4 levels and chain rule": lambda: chain(tree, list(joint(images).values())),
        "4 networks and chain rule": lambda: chain(tree, [next(iter(network(images).values())) for network in four]),
        "ViT-L/14 tower and gallery of 100,000": lambda: (tower(images) @ gallery).softmax(dim=1),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            seconds = timed(way, device)
            if repeat:
                times[name].append(seconds)
    base = statistics.median(times["bare ResNet-50"])
    return [
        {
            "what": name,
            "ms_a_photograph": 1000 * statistics.median(t) / BATCH,
            "times_bare": statistics.median(t) / base,
        }
        for name, t in times.items()
    ]


def timed(way: Callable[[], object], device: torch.device) -> float:
    started_at = time.perf_counter()
    way()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started_at


def chain_row(hierarchy: Hierarchy, repeats: int) -> dict[str, object]:
    tree = Tree.of(hierarchy)
    logits = [torch.randn(1, size) for size in hierarchy.sizes()]
    times = [timed(lambda: chain(tree, logits), torch.device("cpu")) for _ in range(20 * repeats)]
    what = f"exact chain rule, one photograph, {hierarchy.sizes()[-1]:,} leaves"
    return {"what": what, "ms_a_photograph": 1000 * statistics.median(times), "times_bare": None}


def region_rows(hierarchy: Hierarchy, repeats: int) -> list[dict[str, object]]:
    """Measure what spreads one photograph's leaves over the land, once prepared, beside each leaf's own kernels."""
    raster = Raster.of(hierarchy)
    leaf = torch.softmax(3 * torch.randn(1, len(raster.leaves)), dim=1)
    started_at = time.perf_counter()
    together = Convolution(raster, [1 / len(WIDTHS_KM)] * len(WIDTHS_KM))
    prepared_s = time.perf_counter() - started_at

    def each() -> None:
        for rows, kernels in pair_kernels(raster):
            for kernel in kernels:
                leaf[:, rows] @ kernel

    ways: dict[str, Callable[[], object]] = {
        "all leaves at once": lambda: together.spread(leaf),
        "each leaf by its own kernels": each,
    }
    times = {name: [timed(way, torch.device("cpu")) for _ in range(repeats)] for name, way in ways.items()}
    times["all leaves at once, preparation of a process"] = [prepared_s]
    what = f"what a region is drawn from, {len(raster.leaves):,} leaves, CPU"
    return [
        {"what": f"{what}: {name}", "ms_a_photograph": 1000 * statistics.median(t), "times_bare": None}
        for name, t in times.items()
    ]


def start_row(folder: Path, run: Path) -> dict[str, object]:
    """Measure `python -m infer predict` on one photograph, from the start of the process to the answer in the terminal."""
    photo = folder / "photo.jpg"
    photograph(make_planet(0, 3), DemoConfig(out=folder), 0).save(photo)
    command = [
        sys.executable,
        "-m",
        "infer",
        "predict",
        str(photo),
        "--run",
        str(run),
        "--out",
        str(folder / "out"),
        "--no-maps",
    ]
    times = []
    for _ in range(3):
        started_at = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            answer = process.stdout.readline()
            times.append(time.perf_counter() - started_at)
            process.stdout.read()
        if process.returncode or not answer:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    what = "python -m infer predict, from its start to its first answer"
    return {"what": what, "ms_a_photograph": 1000 * statistics.median(times), "times_bare": None}


if __name__ == "__main__":
    main()
