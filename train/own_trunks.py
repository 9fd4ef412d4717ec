"""Refiners whose networks learn end to end: an expert for each cell, or one network that is told the cell.

Each is trained by the loop of all trainings, on the photographs of its cells alone, and lies in `refine/` of the run. What the
refiner is as a whole is written last.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geocells.hierarchy import UNKNOWN, Hierarchy
from geocells.sphere import distance_km
from infer.network.coordinate_head import CoordinateSpec
from infer.network.own_trunks import EMBEDDING, expert_name, save_about
from infer.network.refiner import widened_boxes
from infer.network.transform import InputTransform
from infer.network.weights import load_network, read_trained
from infer.run_files import OWN_REFINER, OWN_TRUNKS, REFINE, network_files
from plumbing.world import World
from train.coordinates import CoordinateObjective
from train.data import LabelledPhotos
from train.distributed import own_device, process_group
from train.refine_config import RefineConfig
from train.setup import Inside, Plan, labelled_splits, run_plan

log = logging.getLogger(__name__)

FEWEST = 2
"""Photographs that an expert needs in each split, or it is not trained: batch norm learns nothing from one."""


def train_own_trunks(config: RefineConfig, hierarchy: Hierarchy, level: int) -> None:
    """Train the networks of a refiner, or continue, and print how far from the true place they answer in true cells."""
    folder = config.run / OWN_TRUNKS
    if (config.run / OWN_REFINER).is_file() and config.resume and not config.overwrite:
        log.info("%s is finished already; --overwrite trains it again", folder)
        return
    _refuse_to_replace(config)
    _, spec = load_network(network_files(config.run, hierarchy)[-1])
    photos = labelled_splits(config.data, config.run, hierarchy)
    plans = _plans(config, hierarchy, level, photos, spec.transform)
    device = own_device(config.device, World.from_env())
    world = World.from_env()
    # Joined once for all of them, for the processes of a machine cannot join again under the same address.
    with process_group(world, device):
        for number, plan in enumerate(plans.values()):
            run_plan(config, hierarchy, plan, device, ())
            if config.overwrite and not number and world.first:
                _delete_all_but(config.run, Path(plan.name))
    if not world.first:
        return
    save_about(config.run, config.kind, hierarchy, level, list(plans))
    (config.run / REFINE).unlink(missing_ok=True)
    print(_summary(config.run, hierarchy, level, list(plans), photos["calibration"]))


def _refuse_to_replace(config: RefineConfig) -> None:
    """Refuse to replace a refiner unasked."""
    if config.overwrite:
        return
    for path in (config.run / OWN_REFINER, config.run / REFINE):
        if path.is_file():
            raise ValueError(f"{path} exists: pass --overwrite to train it again, or another --run")
    folder = config.run / OWN_TRUNKS
    if folder.is_dir() and any(folder.glob("*.safetensors")) and not config.resume:
        raise ValueError(f"{folder} is of an interrupted training: --resume continues it, --overwrite starts again")


def _delete_all_but(run: Path, first: Path) -> None:
    """Delete the refiner that is replaced, once the first network of the new one is there.

    A later --resume must not take what is left of the old one for the new.
    """
    (run / OWN_REFINER).unlink(missing_ok=True)
    for folder in (run / OWN_TRUNKS, run / "checkpoints" / OWN_TRUNKS):
        for path in folder.iterdir():
            if not path.name.startswith(f"{first.name}."):
                path.unlink()


def _plans(
    config: RefineConfig,
    hierarchy: Hierarchy,
    level: int,
    photos: Mapping[str, LabelledPhotos],
    transform: InputTransform,
) -> dict[str, Plan]:
    """Return what is trained, by the names of the networks."""
    training = photos["train"]
    if config.kind == EMBEDDING:
        places = training.latlon_deg[training.classes[:, level] != UNKNOWN]
        mean, std = places.mean(axis=0), np.maximum(places.std(axis=0), 1e-3)
        spec = CoordinateSpec("standardised", (mean[0], mean[1]), (std[0], std[1]))
        return {EMBEDDING: _plan(EMBEDDING, spec, config, Inside(level, None, transform))}
    boxes, plans = widened_boxes(hierarchy, level, training.latlon_deg), {}
    for cell, box in enumerate(boxes):
        counts = [int((own.classes[:, level] == cell).sum()) for own in photos.values()]
        if min(counts) < FEWEST:
            log.warning(
                "%s has too few photographs (training %d, validation %d) and gets no expert: its centre answers",
                hierarchy.name[hierarchy.rows(level).start + cell],
                *counts,
            )
            continue
        name = expert_name(cell)
        plans[name] = _plan(name, _box(box), config, Inside(level, cell, transform))
    if not plans:
        raise ValueError(
            f"no cell of {hierarchy.level_names[level]} has {FEWEST} photographs in each split: choose a coarser level with "
            "--experts-at"
        )
    return plans


def _plan(name: str, spec: CoordinateSpec, config: RefineConfig, inside: Inside) -> Plan:
    objective = CoordinateObjective(spec, config.coordinate_loss)
    return Plan(f"{OWN_TRUNKS.name}/{name}", [], {}, objective, spec, inside=inside)


def _box(box_deg: NDArray[np.float64]) -> CoordinateSpec:
    """Return how the numbers of an expert are read: as shares of its cell's box, south, west, north, east."""
    south, west, north, east = box_deg.tolist()
    width = east - west + (360 if east < west else 0)
    # A box without height or width, as around one place, would leave nothing to divide by.
    return CoordinateSpec("box", (south, west), (max(north - south, 1e-3), max(width, 1e-3)))


def _summary(run: Path, hierarchy: Hierarchy, level: int, names: list[str], photos: LabelledPhotos) -> str:
    """Return in words how far, in median kilometres, each network answers in the true cells of the calibration split."""
    rows, classes = hierarchy.rows(level), photos.classes[:, level]
    away_km = distance_km(hierarchy.center_deg[rows][classes.clip(0)], photos.latlon_deg)
    lines = [f"{'in the true cell, median km':<36} {'photographs':>12} {'centre':>9} {'network':>9}"]
    for name in names:
        own = classes != UNKNOWN if name == EMBEDDING else classes == int(name)
        title = (
            f"all of {hierarchy.level_names[level]}" if name == EMBEDDING else hierarchy.name[rows.start + int(name)]
        )
        median = read_trained(run / OWN_TRUNKS / f"{name}.safetensors")["metrics"]["val/median_km"]
        lines.append(f"{title:<36} {int(own.sum()):>12,} {np.median(away_km[own]):>9,.1f} {median:>9,.1f}")
    lines.append(
        f"wrote {run / OWN_TRUNKS}; run `python -m train calibrate`, which scores --point expert beside the others"
    )
    return "\n".join(lines)
