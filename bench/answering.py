"""How fast a folder of photographs is answered, beside onnxruntime with the same network (pip install onnx onnxruntime).

A ResNet-50 with random weights and linear heads over all land cells answers photographs of 1,600 x 1,200 pixels. All ways read
the same files, decode them by the same code in as many processes, run in one process in turn with all cores, and start with
the network loaded. onnxruntime stops at the logits; ours goes on to places, cells and tables. Times are medians. Beside the
wall clock stands the time of the processor, all processes together, which other work on the machine changes less.
"""

import argparse
import contextlib
import io
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image

from bench.infer import make_run
from bench.report import write_results
from infer.config import InferConfig
from infer.images import Images, photo_batches
from infer.model import Model
from infer.network.devices import computes_bfloat16
from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.weights import save_network
from infer.predict import main as predict
from infer.predictor import load
from infer.prepared import Options
from label_maps.files import hierarchy_hash, read_hierarchy

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Took:
    """What answering all photographs took.

    Attributes:
        wall_s: seconds.
        core_s: seconds of cores, of this process and those that decoded.
    """

    wall_s: float
    core_s: float

    @classmethod
    def now(cls) -> "Took":
        """Return what was taken since some time before."""
        used = os.times()
        return cls(time.perf_counter(), used.user + used.system + used.children_user + used.children_system)

    def __sub__(self, other: "Took") -> "Took":
        """Return what was taken after another moment, or less what something else took."""
        return Took(self.wall_s - other.wall_s, self.core_s - other.core_s)


class Logits(torch.nn.Module):
    """A network whose logits of all levels are one tensor, as onnxruntime takes it."""

    def __init__(self, network: GeoNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the (B, classes of all levels) logits of (B, 3, H, W) images."""
        network = self.network
        features = network.trunk(images)
        return torch.cat([head(features) for head in network.heads.values()], dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run, photos = linear_run(folder), folder / "photographs"
        write_photographs(photos, flags.photographs)
        config = InferConfig(
            photos=(photos,), run=run, out=folder / "out", maps=False, device="cpu", workers=flags.workers
        )
        model = load(run, "cpu").model
        ways: dict[str, Callable[[], Took]] = {
            "onnxruntime, float32": onnx_way(model, folder, config),
            "network of ours, float32, channels_first": lambda: logits_took(model, config, channels_first),
            "network of ours, float32, channels_last as it answers": lambda: logits_took(model, config, Model.logits),
            "infer predict, float32": lambda: command_took(config, folder),
            "infer predict --bulk, float32": lambda: command_took(replace(config, bulk=True, maps=True), folder),
        }
        if computes_bfloat16(CPU):
            reduced = replace(config, precision="bfloat16")
            ways["infer predict, bfloat16"] = lambda: command_took(reduced, folder)
            ways["infer predict --bulk, bfloat16"] = lambda: command_took(
                replace(reduced, bulk=True, maps=True), folder
            )
        took: dict[str, list[Took]] = {name: [] for name in ways}
        for _ in range(flags.repeats):
            for name, way in ways.items():
                took[name].append(way())
                print(f"{name}: {took[name][-1]}", flush=True)
    rows = [
        {
            "what": name,
            "photographs_a_second": flags.photographs / statistics.median(one.wall_s for one in of),
            "core_ms_a_photograph": 1000 * statistics.median(one.core_s for one in of) / flags.photographs,
        }
        for name, of in took.items()
    ]
    base = rows[0]
    for row in rows:
        row["times_onnxruntime"] = row["photographs_a_second"] / base["photographs_a_second"]
        row["times_onnxruntime_by_core_time"] = base["core_ms_a_photograph"] / row["core_ms_a_photograph"]
    if not computes_bfloat16(CPU):
        print("bfloat16 is left out: this processor does not compute in it")
    write_results("answering", rows)


def linear_run(folder: Path) -> Path:
    """Write a run with a randomly initialised ResNet-50 and linear heads over all land cells of L8."""
    run = make_run(folder)
    hierarchy = read_hierarchy(run)
    heads = dict(zip(hierarchy.level_names, hierarchy.sizes(), strict=True))
    spec = NetworkSpec("resnet50", heads, hierarchy_hash(hierarchy))
    save_network(run / "joint.safetensors", GeoNetwork(spec), spec, {})
    return run


def write_photographs(folder: Path, count: int) -> None:
    """Write JPEGs of 1,600 x 1,200 pixels with detail at several scales."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        layers = [
            Image.fromarray(rng.integers(0, 256, (3 * n, 4 * n, 3), dtype=np.uint8)).resize((1600, 1200))
            for n in (2, 10, 50)
        ]
        Image.blend(Image.blend(layers[0], layers[1], 0.4), layers[2], 0.2).save(folder / f"{number:04d}.jpg")


def onnx_way(model: Model, folder: Path, config: InferConfig) -> Callable[[], Took]:
    """Return what answers all photographs with onnxruntime."""
    path = folder / "network.onnx"
    (network,) = model.networks
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits(network).eval(),
            (torch.zeros(2, 3, 224, 224),),
            path,
            dynamo=False,
            input_names=["images"],
            dynamic_axes={"images": {0: "batch"}},
        )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(model: Model, pixels: torch.Tensor) -> object:
        return session.run(None, {"images": model.transform.normalise(pixels).numpy()})

    return lambda: logits_took(model, config, run)


@torch.inference_mode()
def channels_first(model: Model, pixels: torch.Tensor) -> object:
    """Return the logits of pixels in the layout of the decoder."""
    (network,) = model.networks
    return network.answers(network.trunk(model.transform.normalise(pixels)))


def logits_took(model: Model, config: InferConfig, way: Callable[[Model, torch.Tensor], object]) -> Took:
    """Return what all photographs take from their files to logits."""
    begun = Took.now()
    for batch in photo_batches(_images(config), model.transform, config.batch_size, config.workers):
        way(model, batch.pixels)
    return Took.now() - begun


def command_took(config: InferConfig, folder: Path) -> Took:
    """Return what a command takes for all photographs, less what it takes to load the run."""
    with tempfile.TemporaryDirectory(dir=folder) as out, contextlib.redirect_stdout(io.StringIO()):
        begun = Took.now()
        load(config.run, "cpu", config.precision).prepared(Options.of(config))
        loaded = Took.now()
        predict(replace(config, out=Path(out)))
        return (Took.now() - loaded) - (loaded - begun)


def _images(config: InferConfig) -> Images:
    return Images(sorted(config.photos[0].iterdir()))


if __name__ == "__main__":
    main()
