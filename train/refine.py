"""A head that turns cells into coordinates learns on features that are computed once; the trunk stays as it is."""

import copy
import json
import logging
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocells.hierarchy import UNKNOWN, Hierarchy
from geocells.sphere import EARTH_RADIUS_KM, distance_km, latlon_deg
from infer.features import Extractor, Work, compute_features, writable
from infer.model import check_fits
from infer.network.devices import answering_precision, pick_device
from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.refiner import Refiner, RefinerSpec, save_refiner, widened_boxes
from infer.network.sphere import vectors_of
from infer.network.weights import load_network
from infer.run_files import OWN_REFINER, OWN_TRUNKS, REFINE, network_files
from label_maps.files import hierarchy_hash, read_hierarchy
from plumbing.files import sha256
from plumbing.progress import progress
from plumbing.text import counted
from plumbing.world import World
from train.coordinates import difference, great_circle_rad
from train.data import LabelledPhotos
from train.loop import FEWEST_JUDGES
from train.optim import after_epoch, after_step, build_schedule, optimizer_of
from train.own_trunks import train_own_trunks
from train.refine_config import RefineConfig
from train.scarce import warn_of_scarce_cells
from train.setup import SPLITS_USED, labelled_splits

log = logging.getLogger(__name__)

LENGTH_KM = 100.0
"""Unit of the great-circle loss: in radians its gradients inside a small cell would vanish beside Adam's epsilon."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Photographs whose cell a refiner knows.

    Attributes:
        features: (N, width) of the trunk.
        cells: (N,) their true cells.
        latlon_deg: (N, 2) their true coordinates.
    """

    features: Tensor
    cells: Tensor
    latlon_deg: NDArray[np.float64]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.cells)


def main(config: RefineConfig) -> None:
    """Compute features, train the head, and write it into the run unless it is there already."""
    hierarchy = read_hierarchy(config.run)
    level = hierarchy.level_index(config.experts_at) if config.experts_at else hierarchy.depth - 1
    if config.own_trunk:
        train_own_trunks(config, hierarchy, level)
        return
    path = config.run / REFINE
    if World.from_env().size > 1:
        raise ValueError("train.refine runs in one process, for its head learns in seconds: start it without torchrun")
    for there in (path, config.run / OWN_REFINER):
        if there.is_file() and not config.overwrite:
            raise ValueError(f"{there} exists: pass --overwrite to train it again, or another --run")
    device = pick_device(config.device)
    trunk = network_files(config.run, hierarchy)[-1]
    network, network_spec = load_network(trunk, device)
    check_fits(trunk, network_spec, hierarchy)
    photos = labelled_splits(config.data, config.run, hierarchy, keyed=True)
    training, validation = (
        examples(network, network_spec, photos[split], level, config, device) for split in SPLITS_USED
    )
    if len(validation) < FEWEST_JUDGES:
        raise ValueError(
            f"{counted(len(validation), 'photograph')} of the calibration split in a known cell cannot say whether refining is "
            f"better than centres of cells: at least {FEWEST_JUDGES} are needed; add photographs of other places"
        )
    warn_of_scarce_cells(hierarchy, [level])
    spec = RefinerSpec(
        kind=config.kind,
        level=hierarchy.level_names[level],
        cells=hierarchy.sizes()[level],
        width=training.features.shape[1],
        label_map_hash=hierarchy_hash(hierarchy),
        trunk=trunk.name,
        trunk_hash=sha256(trunk),
    )
    refiner = new_refiner(spec, hierarchy, training, config.seed)
    history = learn(refiner, training, validation, config)
    best = min(history, key=lambda line: line["val/loss"])
    trained = {"epochs": int(best["epoch"]), "photographs": len(training), "metrics": best}
    shutil.rmtree(config.run / OWN_TRUNKS, ignore_errors=True)
    save_refiner(path, refiner, spec, trained)
    _record(config.run, history)
    print(_summary(path, spec, history[0], best, len(validation)))


def new_refiner(spec: RefinerSpec, hierarchy: Hierarchy, training: Examples, seed: int) -> Refiner:
    """Return a refiner that has learned nothing yet, with the boxes of its cells around their training photographs."""
    torch.manual_seed(seed)
    refiner = Refiner(spec).to(training.features.device)
    level = hierarchy.level_index(spec.level)
    boxes_deg = widened_boxes(hierarchy, level, training.latlon_deg)
    refiner.place(boxes_deg, hierarchy.center_deg[hierarchy.rows(level)])
    refiner.scale(training.features)
    return refiner


def examples(
    network: GeoNetwork,
    spec: NetworkSpec,
    photos: LabelledPhotos,
    level: int,
    config: RefineConfig,
    device: torch.device,
) -> Examples:
    """Return the features of the photographs whose cell is known; those that cannot be read are named and left out.

    Raises:
        ValueError: there are none.
    """
    known = np.flatnonzero((photos.classes[:, level] != UNKNOWN) & np.isfinite(photos.latlon_deg).all(axis=1))
    precision = answering_precision(network.precision, device)
    extractor, place = (
        Extractor.of(network, spec, device, precision),
        config.data if writable(config.data) else config.run,
    )
    keyed = photos.rows(known)
    assert keyed.keys is not None, "main asks for keys"
    # Refining in other batches than others compute in would compute other last bits.
    compute_features(extractor, place, keyed.keys, keyed.pictures, Work(workers=config.workers))
    there = extractor.cache(place).read()
    at = there.find(keyed.keys)
    rows = known[at >= 0]
    if not len(rows):
        raise ValueError(f"no photograph of {config.data} can be read and lies in a known cell ({len(photos):,} tried)")
    cells = torch.from_numpy(photos.classes[rows, level]).to(device)
    return Examples(torch.from_numpy(there.take(at[at >= 0])).to(device), cells, photos.latlon_deg[rows])


def learn(refiner: Refiner, training: Examples, validation: Examples, config: RefineConfig) -> list[dict[str, float]]:
    """Train a refiner, leave it with its best weights, and return what was measured after each epoch.

    Epoch 0 is before any step, when it answers centres: what learning made worse is never kept.
    """
    optimizer = optimizer_of([{"params": list(refiner.head.parameters()), "lr": config.optim.lr}], config.optim)
    steps = -(-len(training) // config.batch_size)
    schedule = build_schedule(optimizer, config.optim, steps * config.epochs, steps)
    history = [{"epoch": 0, **measure(refiner, validation, config)}]
    best = copy.deepcopy(refiner.head.state_dict())
    bar = progress(range(1, config.epochs + 1), "refining", "epoch")
    for epoch in bar:
        losses = []
        for rows in _shuffled(len(training), config, epoch):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(refiner, training, rows, config.coordinate_loss)
            loss.backward()
            if config.optim.clip:
                torch.nn.utils.clip_grad_norm_(refiner.head.parameters(), config.optim.clip)
            optimizer.step()
            after_step(schedule)
            losses.append(loss.detach())
        line = {"epoch": epoch, "train/loss": float(torch.stack(losses).mean())}
        # A network that has diverged predicts no coordinate to measure.
        if _is_finite(refiner.head, line["train/loss"]):
            line |= measure(refiner, validation, config)
        if not math.isfinite(line.get("val/loss", math.nan)):
            raise ValueError(f"the loss is NaN or infinite in epoch {epoch}: lower --optim.lr or set --optim.clip 1")
        history.append(line)
        after_epoch(schedule, line["val/loss"])
        bar.set_postfix(loss=f"{line['val/loss']:.4f}")
        first = min(history, key=lambda past: past["val/loss"])["epoch"]
        if first == epoch:
            best = copy.deepcopy(refiner.head.state_dict())
        if config.patience and epoch - first >= config.patience:
            break
    bar.close()
    refiner.head.load_state_dict(best)
    return history


def _shuffled(count: int, config: RefineConfig, epoch: int) -> Iterator[Tensor]:
    """Yield the rows of each step of an epoch; the same for the same seed."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + epoch)
    yield from torch.randperm(count, generator=generator).split(config.batch_size)


def loss_of(refiner: Refiner, photos: Examples, rows: Tensor, loss: str) -> Tensor:
    """Return the mean loss of some photographs in their true cells, a scalar."""
    cells, features = photos.cells[rows.to(photos.cells.device)], photos.features[rows.to(photos.features.device)]
    answered = refiner(features, cells[:, None])[:, 0]
    truth_deg = torch.from_numpy(photos.latlon_deg[rows.numpy()]).float().to(cells.device)
    if loss == "great_circle":
        away_rad = great_circle_rad(vectors_of(refiner.latlon_deg(answered, cells)), vectors_of(truth_deg))
        return (away_rad * (EARTH_RADIUS_KM / LENGTH_KM)).square().mean()
    # Latitude and longitude count half each, as published.
    return difference(answered, refiner.shares(truth_deg, cells), loss)


def _is_finite(head: torch.nn.Module, loss: float) -> bool:
    return math.isfinite(loss) and all(bool(torch.isfinite(weights).all()) for weights in head.parameters())


@torch.inference_mode()
def measure(refiner: Refiner, photos: Examples, config: RefineConfig) -> dict[str, float]:
    """Return the loss, and the kilometres of coordinates in the true cells, by name."""
    losses, points = [], []
    for rows in torch.arange(len(photos)).split(config.batch_size):
        losses.append(float(loss_of(refiner, photos, rows, config.coordinate_loss)) * len(rows))
        index = rows.to(photos.cells.device)
        vectors = refiner.vectors(photos.features[index], photos.cells[index, None])[:, 0]
        points.append(vectors.cpu().numpy())
    away = distance_km(latlon_deg(np.concatenate(points)), photos.latlon_deg)
    return {
        "val/loss": sum(losses) / len(photos),
        "val/median_km_in_cell": float(np.median(away)),
        "val/mean_km_in_cell": float(away.mean()),
    }


def _record(run: Path, history: list[dict[str, float]]) -> None:
    """Write how it went into metrics.jsonl, a line an epoch."""
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({"name": Path(REFINE).stem, **line}) + "\n" for line in history)


def _summary(path: Path, spec: RefinerSpec, before: dict[str, float], after: dict[str, float], photographs: int) -> str:
    return "\n".join(
        [
            f"{counted(photographs, 'photograph')} of the calibration split, {spec.level} cell taken as known:",
            *(
                f"{name:<22} median {line['val/median_km_in_cell']:>8,.1f} km   mean {line['val/mean_km_in_cell']:>8,.1f} km"
                for name, line in (("centre of the cell", before), (f"refined, epoch {after['epoch']:.0f}", after))
            ),
            f"wrote {path}; run `python -m train calibrate`, which scores --point refined and --point expert beside the others",
        ]
    )
