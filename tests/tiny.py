"""A planet of six cells whose colour tells which it is, for tests that need photographs and a network."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from dataset.manifest import image_path, write_manifest
from geocells import grid
from label_maps.run_folder import RUN, read_run
from plumbing.files import read_json, write_json
from train.config import AugmentConfig, JointConfig, OptimConfig

PLACES = {
    "paris": (48.86, 2.35, (230, 40, 40)),
    "nairobi": (-1.29, 36.82, (40, 200, 40)),
    "sydney": (-33.87, 151.21, (40, 60, 230)),
    "new-york": (40.71, -74.01, (230, 220, 40)),
    "lima": (-12.05, -77.04, (220, 60, 220)),
    "suva": (-18.14, 178.44, (40, 220, 220)),
}
"""Name, latitude, longitude, colour; Suva lies beside the antimeridian."""

SPLITS = ("train",) * 6 + ("calibration",) * 2 + ("test",) * 2
"""Of the ten photographs of each place."""


def update_run(run: Path, **fields: Any) -> None:
    """Set fields of `run.json`."""
    write_json(run / RUN, {**read_run(run), **fields})


def write_tiny(data: Path, seed: int = 0) -> Path:
    """Write a dataset of ten generated squares, 8 to 16 pixels a side, in each of six L8 cells."""
    rng = np.random.default_rng(seed)
    rows = []
    for name, (latitude, longitude, colour) in PLACES.items():
        south, west, north, east = grid.bounds_deg(grid.encode((latitude, longitude), 8), 8)
        for number, split in enumerate(SPLITS):
            where = np.array([rng.uniform(south, north), rng.uniform(west, east)])
            path = image_path(f"{name}-{number}", where)
            write_square(data / path, colour, rng, int(rng.integers(8, 17)))
            row = {"id": f"{name}-{number}", "path": path, "latitude": where[0], "longitude": where[1]}
            rows.append({**row, "split": split, "source": "tiny"})
    write_manifest(data, pd.DataFrame(rows))
    return data


def write_square(path: Path, colour: tuple[int, int, int], rng: np.random.Generator, side: int = 12) -> Path:
    """Write a noisy square of a colour as JPEG."""
    pixels = np.array(colour) + rng.normal(0, 12, (side, side, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, "JPEG", quality=95)
    return path


def assert_answers_alike_alone_and_in_bulk(data: Path, run: Path, out: Path, point: str) -> None:
    """Ask a run for the test photographs of a dataset one by one and in bulk, and compare the latitudes."""
    from infer.config import InferConfig
    from infer.predict import main as infer

    asked: dict[str, Any] = {"run": run, "point": point, "workers": 0, "device": "cpu"}
    infer(InferConfig(photos=(data,), out=out / "one", maps=False, **asked))
    infer(InferConfig(photos=(data,), out=out / "many", bulk=True, **asked))
    records = read_json(out / "one" / "predictions.json")
    assert {record["point_method"] for record in records} == {point}
    alone = [record["latitude"] for record in records]
    np.testing.assert_allclose(alone, pd.read_parquet(out / "many")["latitude"], atol=1e-4)


def joint_config(data: Path, run: Path, **changes: Any) -> JointConfig:
    """Return flags of a training that takes a second."""
    flags: dict[str, Any] = {
        "arch": "shufflenet_v2_x0_5",
        "weights": "none",
        "image_size": 32,
        "epochs": 2,
        "batch_size": 9,
        "workers": 0,
        "device": "cpu",
        "precision": "float32",
        "readout_epochs": 0,
        "optim": OptimConfig("adamw", lr=0.01, schedule="one_cycle"),
        "augment": AugmentConfig(flip=0.5, color_jitter=0.1, rotation_deg=0, crop_scale=0.8),
    }
    return JointConfig(data, run, **{**flags, **changes})
