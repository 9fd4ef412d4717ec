"""From flags to a training: what `python -m train.level` and `python -m train.joint` do."""

import logging
from dataclasses import dataclass

import torch

from geocells.hierarchy import Hierarchy
from geocells.sphere import unit_vectors
from infer.devices import pick_device
from infer.network import GeoNetwork, NetworkSpec, load_pretrained
from infer.posterior import Tree
from infer.transform import InputTransform
from label_maps.files import hierarchy_hash, read_hierarchy
from label_maps.manifest import content_hash, read_manifest
from label_maps.run_folder import read_run
from plumbing.config import as_plain
from train.checkpoints import Trainee
from train.config import JointConfig, LevelConfig, TrainConfig
from train.fit import Training, fit
from train.losses import Objective, default_tau_km
from train.optim import build_optimizer, build_schedule
from train.photos import LabelledPhotos, PixelSource, augmentation
from train.validate import Validation

log = logging.getLogger(__name__)

MAY_CHANGE = frozenset(
    {"data", "run", "device", "workers", "resume", "overwrite", "checkpoint_minutes", "cache_pixels"}
)
"""Flags that a resumed training may be given anew: they do not change its result."""


def train_level(config: LevelConfig) -> None:
    """Train the network of one level."""
    hierarchy = read_hierarchy(config.run)
    _train(config, hierarchy, [hierarchy.level_index(config.level)], config.level, "levels", (1.0,))


def train_joint(config: JointConfig) -> None:
    """Train one network with a head for each level."""
    hierarchy = read_hierarchy(config.run)
    weights = config.level_weights or (1.0,) * hierarchy.depth
    if len(weights) != hierarchy.depth:
        raise ValueError(f"--level-weights needs {hierarchy.depth} numbers, one for each level, got {len(weights)}")
    _train(config, hierarchy, list(range(hierarchy.depth)), "joint", config.loss_on, weights)


def _train(
    config: TrainConfig, hierarchy: Hierarchy, levels: list[int], name: str, loss_on: str, weights: tuple[float, ...]
) -> None:
    finished = config.run / f"{name}.safetensors"
    if finished.is_file() and not config.overwrite:
        if config.resume:
            log.info("%s is finished already; --overwrite trains it again", finished)
            return
        raise ValueError(f"{finished} exists: pass --overwrite to train it again, or another --run")
    device = pick_device(config.device)
    torch.manual_seed(config.seed)
    objective = _objective(config, hierarchy, levels, loss_on, weights, device)
    training = _training(config, hierarchy, levels, name, objective, device)
    optimizer = build_optimizer(training.network, config.optim)
    epoch_steps = max(1, len(training.photos) // config.batch_size)
    schedule = build_schedule(optimizer, config.optim, epoch_steps * config.epochs, epoch_steps)
    try:
        fit(training, Trainee(training.network, optimizer, schedule))
    except torch.OutOfMemoryError:
        raise ValueError(
            f"{device} ran out of memory: lower --batch-size (now {config.batch_size}) or --image-size, and --resume"
        ) from None


def _objective(
    config: TrainConfig,
    hierarchy: Hierarchy,
    levels: list[int],
    loss_on: str,
    weights: tuple[float, ...],
    device: torch.device,
) -> Objective:
    tau_km = config.tau_km or default_tau_km(len(levels))
    tau_km = tau_km * len(levels) if len(tau_km) == 1 else tau_km
    if len(tau_km) != len(levels):
        raise ValueError(f"--tau-km needs 1 or {len(levels)} numbers, got {len(tau_km)}")
    whole = Tree.of(hierarchy, device)
    tree = whole if len(levels) == hierarchy.depth else Tree((), (whole.sizes[levels[0]],))
    centers = [torch.from_numpy(unit_vectors(hierarchy.center_deg[hierarchy.rows(level)])).float() for level in levels]
    return Objective(
        tree=tree,
        centers=tuple(center.to(device) for center in centers),
        loss=config.loss,
        loss_on=loss_on,
        tau_km=tau_km,
        weights=weights,
        label_smoothing=config.label_smoothing,
    )


@dataclass(frozen=True, eq=False)
class _Sources:
    """Photographs of training and of validation, and their pixels."""

    training: LabelledPhotos
    training_pixels: PixelSource
    validation: LabelledPhotos
    validation_pixels: PixelSource


def _training(
    config: TrainConfig,
    hierarchy: Hierarchy,
    levels: list[int],
    name: str,
    objective: Objective,
    device: torch.device,
) -> Training:
    sources = _sources(config, hierarchy)
    names = [hierarchy.level_names[level] for level in levels]
    classes = dict(zip(names, objective.tree.sizes, strict=True))
    spec = NetworkSpec(config.arch, classes, hierarchy_hash(hierarchy), InputTransform(config.image_size))
    network = GeoNetwork(spec)
    log.info("%s for %s: %s", config.arch, ", ".join(names), load_pretrained(network, config.arch, config.weights))
    network = network.to(device).to(memory_format=torch.channels_last)
    record = read_run(config.run)
    settings = {key: value for key, value in as_plain(config).items() if key not in MAY_CHANGE}
    settings |= {key: record[key] for key in ("dataset_hash", "label_map_hash")}
    log.info("%s training and %s validation photographs", f"{len(sources.training):,}", f"{len(sources.validation):,}")
    return Training(
        config=config,
        settings=settings,
        name=name,
        spec=spec,
        network=network,
        objective=objective,
        photos=sources.training,
        source=sources.training_pixels,
        validation=Validation(
            sources.validation, sources.validation_pixels, levels, names, objective, config.batch_size, config.workers
        ),
        device=device,
        precision=_precision(config.precision, device),
    )


def _sources(config: TrainConfig, hierarchy: Hierarchy) -> _Sources:
    photos = read_manifest(config.data, ["id", "path", "latitude", "longitude", "split"])
    if content_hash(photos) != read_run(config.run)["dataset_hash"]:
        raise ValueError(
            f"the photographs of {config.data} are not those that {config.run} was begun with: begin another run with "
            "`python -m label_maps`"
        )
    kept = {split: LabelledPhotos.of(config.data, photos[photos["split"] == split], hierarchy) for split in SPLITS_USED}
    for split, found in kept.items():
        if len(found) < 2:
            raise ValueError(
                f"the {split} split of {config.data} holds {len(found)} photographs: at least 2 are needed"
            )
    transform = InputTransform(config.image_size)
    training, validation = (PixelSource(kept[split], transform, config.seed) for split in SPLITS_USED)
    if config.cache_pixels:
        training.fill_cache(config.workers)
        validation.fill_cache(config.workers)
    training.augment = augmentation(config.augment, config.image_size)
    return _Sources(kept["train"], training, kept["calibration"], validation)


SPLITS_USED = ("train", "calibration")
"""What is learned from, and what early stopping and the choice of the best checkpoint look at; never the test split."""


def _precision(name: str, device: torch.device) -> torch.dtype:
    """Return what activations are computed in; `auto` is bfloat16 where the hardware has it."""
    if name == "float32" or (name == "auto" and not _computes_bfloat16(device)):
        return torch.float32
    return torch.bfloat16


def _computes_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return False
