"""The gain by a coordinate inside the cell, by how large the cells are: `python -m bench.refine`.

For each level the test photographs are answered with the point of highest expected GeoScore over its cells, which stand for
their centres or for the refined coordinates of the likeliest; or, as `top`, with the likeliest cell's alone. Takes a minute
or two on one core.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.report import OF_GROUPS, write_results
from geocells.sphere import distance_km, geoscore
from infer.decode.point import answer_points, refined_points
from infer.evaluate.measure import split_photos
from infer.evaluate.metrics import mean_interval, median_interval
from infer.model import Model, load_model
from infer.network.refiner import Refiner, RefinerSpec
from infer.network.sphere import latlon_deg_of
from infer.network.weights import load_network
from infer.run_files import REFINE, network_files
from train.calibrate import collect
from train.conformal import Calibration
from train.refine import examples, learn, new_refiner
from train.refine_config import RefineConfig
from train.setup import SPLITS_USED, labelled_splits

CPU = torch.device("cpu")
LOSSES = ("mse", "great_circle")


def main() -> None:
    flags = argparse.ArgumentParser(prog="python -m bench.refine")
    for name in ("data", "run"):
        flags.add_argument(f"--{name}", type=Path, default=Path(f"{'runs' if name == 'run' else name}/demo"))
    given = flags.parse_args()
    if (given.run / REFINE).is_file():
        raise SystemExit(f"{given.run / REFINE} is there: give a run without a refiner, this trains its own")
    model = load_model(given.run, CPU)
    test = collect(model, given.data, split_photos(given.data, "test"), 64, 0)
    posterior = model.posterior(test.logits)
    rows = []
    for level in range(model.hierarchy.depth):
        rows += level_rows(model, given.data, given.run, level, test, posterior[level])
    write_results("refine", rows, OF_GROUPS)


def level_rows(
    model: Model, data: Path, run: Path, level: int, test: Calibration, log_cell: Tensor
) -> list[dict[str, Any]]:
    name, centers = model.hierarchy.level_names[level], model.centers[level]
    network, spec = load_network(network_files(run, model.hierarchy)[-1])
    photos = labelled_splits(data, run, model.hierarchy, keyed=True)
    config = RefineConfig(data, run, workers=0)
    learned = [examples(network, spec, photos[split], level, config, CPU) for split in SPLITS_USED]
    rows = [row(name, "centres", point, answer_points(point, log_cell, centers), test) for point in ("geoscore", "top")]
    for kind in ("experts", "embedding"):
        for loss in LOSSES:
            config = RefineConfig(data, run, kind=kind, coordinate_loss=loss, workers=0)
            width = learned[0].features.shape[1]
            refiner_spec = RefinerSpec(kind, name, model.hierarchy.sizes()[level], width, "", "", "")
            refiner = new_refiner(refiner_spec, model.hierarchy, learned[0], config.seed)
            learn(refiner, learned[0], learned[1], config)
            for point, found in refined(refiner, log_cell, centers, test).items():
                rows.append(row(name, f"{kind}, {loss}", point, found, test))
    return rows


@torch.inference_mode()
def refined(refiner: Refiner, log_cell: Tensor, centers: Tensor, test: Calibration) -> dict[str, Tensor]:
    assert test.outputs is not None
    features = test.outputs.features
    best = refiner.vectors(features, log_cell.argmax(dim=1)[:, None])[:, 0]
    return {
        "geoscore": refined_points(log_cell, centers, lambda cells: refiner.vectors(features, cells)),
        "top": latlon_deg_of(best.double()),
    }


def row(level: str, cells_stand_for: str, point: str, points_deg: Tensor, test: Calibration) -> dict[str, Any]:
    away = distance_km(points_deg.numpy(), test.latlon_deg)
    return {
        "level": level,
        "cells_stand_for": cells_stand_for,
        "point": point,
        "photographs": len(away),
        "groups": len(np.unique(test.group)),
        **rounded("geoscore", mean_interval(geoscore(away), test.group)),
        **rounded("median_km", median_interval(away, test.group)),
    }


def rounded(name: str, figure: dict[str, float]) -> dict[str, float]:
    keys = {name: "value", f"{name}_low": "low", f"{name}_high": "high"}
    return {key: round(figure[own], 1) for key, own in keys.items()}


if __name__ == "__main__":
    main()
