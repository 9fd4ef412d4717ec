"""What one photograph costs a GeoCLIP that was imported, beside its package with its gallery encoded once (pip install geoclip).

Both have the same CLIP ViT-L/14 with random weights, and read the same files one by one in one process, in turn. The package's
own `predict` encodes its 100,000 places at each call, which is measured once; the ratio is to what is left of it without that.
"""

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.report import write_results
from infer.importers.config import GeoclipConfig
from infer.importers.geoclip import main as import_geoclip
from infer.model import Model, load_model

CPU = torch.device("cpu")
PARTITIONS = ("points", "quad")


class Encoded(nn.Module):
    """A location encoder that has answered before."""

    def __init__(self, rows: torch.Tensor) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, location: torch.Tensor) -> torch.Tensor:
        """Return the rows."""
        return self.rows


def main() -> None:
    """Import, time both and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs, of which four are taken")
    parser.add_argument("--repeats", type=int, default=3)
    flags = parser.parse_args()
    photos = sorted(flags.photos.rglob("*.jpg"))[:4]
    package = random_package()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        package.image_encoder.CLIP.save_pretrained(folder / "clip")
        package.image_encoder.image_processor.save_pretrained(folder / "clip")
        for name in PARTITIONS:
            import_geoclip(GeoclipConfig(run=folder / name, clip=folder / "clip", partition=name))
        models = {name: load_model(folder / name, CPU) for name in PARTITIONS}
        as_it_is = seconds(lambda photo: package.predict(str(photo), 5), photos[0])
        with torch.inference_mode():
            package.location_encoder = Encoded(package.location_encoder(package.gps_gallery))
        ways: dict[str, Callable[[Path], Any]] = {"package, encoded once": lambda photo: package.predict(str(photo), 5)}
        ways |= {f"imported, {name}": answer(model) for name, model in models.items()}
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(flags.repeats):
            for photo in photos:
                for name, way in ways.items():
                    took[name].append(seconds(way, photo))
    rows = [{"what": "package, as it is", "wall_s": as_it_is[0], "core_s": as_it_is[1], "of_the_package": None}]
    base = statistics.median(core for _, core in took["package, encoded once"])
    for name, own in took.items():
        wall, core = (statistics.median(values) for values in zip(*own, strict=True))
        rows.append({"what": name, "wall_s": wall, "core_s": core, "of_the_package": core / base})
    write_results("published", rows)


def random_package() -> Any:
    """Return the package's model around a random CLIP."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if importlib.util.find_spec("geopy") is None:
            # The package's training alone measures distances with it.
            unused = types.ModuleType("geopy.distance")
            vars(unused)["geodesic"] = None
            sys.modules |= {"geopy": types.ModuleType("geopy"), "geopy.distance": unused}
        from geoclip import GeoCLIP

        torch.manual_seed(0)
        return GeoCLIP(clip_pretrained=False).eval()


def answer(model: Model) -> Callable[[Path], Any]:
    """Return what answers a photograph by a run: its point, and the posterior of every level."""
    chosen = model.with_choices(None, "top")

    def answered(photo: Path) -> Any:
        output = chosen.outputs(chosen.transform.pixels(photo)[None])
        posterior = chosen.posterior(output.logits)
        return chosen.points(posterior, output)

    return answered


def seconds(way: Callable[[Path], Any], photo: Path) -> tuple[float, float]:
    """Return the seconds of the clock, and of all cores, that a way takes for a photograph."""
    started_at, used = time.perf_counter(), time.process_time()
    way(photo)
    return time.perf_counter() - started_at, time.process_time() - used


if __name__ == "__main__":
    main()
