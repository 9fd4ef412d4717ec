"""How fast `train joint` learns, beside a bare loop over synthetic tensors with the same network on the same device.

`python -m bench.train` takes ResNet-50 at 224 pixels on pre-sized shards of the demo planet; `--size 64 --arch resnet18` is
quick. Bare and real trainings take turns, and the median of each is compared.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import torch

from bench.report import write_results
from fetch.config import PackConfig
from fetch.demo.config import DemoConfig
from fetch.demo.dataset import run as make_demo
from fetch.pack import run as pack
from infer.network.devices import activation_dtype, autocast, pick_device
from infer.network.network import GeoNetwork, NetworkSpec
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from label_maps.files import hierarchy_hash, read_hierarchy
from train.config import JointConfig, LevelConfig
from train.optim import build_optimizer
from train.tasks import train_joint, train_level


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", default="resnet50")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_results(f"train_{flags.arch}_{flags.size}", compare(Path(folder), flags))


def compare(folder: Path, flags: argparse.Namespace) -> list[dict[str, object]]:
    data = make_data(folder, flags)
    paces: dict[str, list[float]] = {"bare loop": [], "train joint, 4 levels": [], "train level, L8": []}
    for repeat in range(flags.repeats):
        run = folder / f"run{repeat}"
        make_label_maps(LabelMapsConfig(data, run))
        paces["bare loop"].append(bare(run, flags))
        common = {
            "arch": flags.arch,
            "weights": "none",
            "image_size": flags.size,
            "epochs": 1,
            "batch_size": flags.batch,
            "workers": flags.workers,
            "device": flags.device,
            "compile": flags.compile,
        }
        train_joint(JointConfig(data, run, **common))
        train_level(LevelConfig(data, run, **common, level="L8"))
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        paces["train joint, 4 levels"].append(lines[0]["photos_per_second"])
        paces["train level, L8"].append(lines[1]["photos_per_second"])
        shutil.rmtree(run)
    best = statistics.median(paces["bare loop"])
    precision = str(activation_dtype("auto", pick_device(flags.device))).removeprefix("torch.")
    return [
        {
            "loop": name,
            "network": f"{flags.arch} {flags.size} px {precision}",
            "device": str(pick_device(flags.device)),
            "batch": flags.batch,
            "photos_per_second": round(statistics.median(found), 2),
            "share_of_bare": round(statistics.median(found) / best, 3),
            "all": " ".join(f"{pace:.2f}" for pace in found),
        }
        for name, found in paces.items()
    ]


def make_data(folder: Path, flags: argparse.Namespace) -> Path:
    """Draw pictures a little larger than needed and pack them, pre-sized, into shards."""
    short_side = round(flags.size * 256 / 224)
    wanted = flags.batch * flags.steps
    make_demo(
        DemoConfig(
            out=folder / "drawn",
            images=round(wanted / 0.8),
            size=2 * short_side,
            max_side=2 * short_side,
            test_share=0.05,
            calibration_share=0.1,
        )
    )
    pack(PackConfig(data=folder / "drawn", out=folder / "packed", short_side=short_side))
    return folder / "packed"


def bare(run: Path, flags: argparse.Namespace) -> float:
    """Return photographs a second of forward, cross-entropy, backward and step on one synthetic batch."""
    device = pick_device(flags.device)
    hierarchy = read_hierarchy(run)
    heads = dict(zip(hierarchy.level_names, hierarchy.sizes(), strict=True))
    network = GeoNetwork(NetworkSpec(flags.arch, heads, hierarchy_hash(hierarchy))).to(device)
    network = network.to(memory_format=torch.channels_last).train()
    optimizer = build_optimizer(network, JointConfig(Path(), Path()).optim)
    images = torch.randn(flags.batch, 3, flags.size, flags.size, device=device).contiguous(
        memory_format=torch.channels_last
    )
    true = {level: torch.randint(count, (flags.batch,), device=device) for level, count in heads.items()}
    forward = torch.compile(network) if flags.compile else network
    started_at = 0.0
    for step in range(flags.steps + 1):
        with autocast(device, "auto"):
            outputs = forward(images)
        loss = sum(torch.nn.functional.cross_entropy(outputs[level].float(), true[level]) for level in heads)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss.item()
        if step == 0:
            started_at = time.monotonic()
    return flags.batch * flags.steps / (time.monotonic() - started_at)


if __name__ == "__main__":
    main()
