"""From a plan to a training: the network, the photographs and their pixels, the optimiser, and what is left in the run."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from dataset.manifest import content_hash, read_manifest
from dataset.picture_keys import COLUMNS
from geocells.hierarchy import UNKNOWN, Hierarchy
from infer.features import Extractor, Work
from infer.network.coordinate_head import CoordinateSpec
from infer.network.devices import asked_precision
from infer.network.network import GeoNetwork, NetworkSpec, check_image_size
from infer.network.transform import InputTransform
from infer.network.trunks import choose_trunk
from infer.network.weights import load_pretrained
from infer.prepared_pixels import prepare, prepared_pixels
from label_maps.files import hierarchy_hash
from label_maps.run_folder import read_run
from plumbing.config import as_plain
from plumbing.files import atomic_path
from plumbing.text import counted
from plumbing.world import World
from train.config import TrainConfig
from train.coordinates import AnyObjective
from train.data import LabelledPhotos, PixelSource, augmentation, sample_weights
from train.distributed import gathered, process_group, with_shared_norm
from train.frozen import FeatureSource, feature_source
from train.heads import read_out
from train.loop import Training, fit
from train.scarce import warn_of_scarce_cells
from train.state import Trainee
from train.trackers import Tracker, closing_all, keep_training, make_trackers
from train.validate import Validation
from train.views import AugmentedViews

log = logging.getLogger(__name__)

MAY_CHANGE = frozenset(
    {"data", "run", "device", "workers", "resume", "overwrite", "checkpoint_minutes", "cache_pixels", "tracker"}
    | {"cache_on_disk", "readout_epochs"}
)
"""Flags that a resumed training may be given again: they do not change what was learned so far."""


@dataclass(frozen=True)
class Inside:
    """Cells inside which coordinates are learned.

    Attributes:
        level: position of their level.
        cell: the class of the only one; None for all of the level, of which the network is told the true one.
        transform: how the networks of the run see pictures.
    """

    level: int
    cell: int | None
    transform: InputTransform

    def holds(self, classes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of (N, levels) classes lie in them."""
        own: NDArray[np.bool_] = (
            classes[:, self.level] == self.cell if self.cell is not None else (classes[:, self.level] != UNKNOWN)
        )
        return own


@dataclass(frozen=True, eq=False)
class Plan:
    """What is trained.

    Attributes:
        name: stem of the files written.
        levels: positions of the levels of the hierarchy that validation counts hits at.
        classes: number of classes of each level that has a head, by name, in the order that the objective takes them.
        objective: the loss.
        coordinates: how the coordinate head is read, whose output the objective takes last; None for none.
        readout_epochs: how long heads learn from all stages at the end; 0 where they stay as they are.
        hidden: units of the layer between the features of a trunk that stays and the heads; 0 for linear heads.
        embedding: units of the embedding that heads share; 0 for none.
        dropout: share of what heads read that each step leaves out.
        inside: the cells inside which a refiner learns coordinates; None where classes or coordinates of all are learned.
    """

    name: str
    levels: list[int]
    classes: dict[str, int]
    objective: AnyObjective
    coordinates: CoordinateSpec | None = None
    readout_epochs: int = 0
    hidden: int = 0
    embedding: int = 0
    dropout: float = 0.0
    inside: Inside | None = None


def run_plan(
    config: TrainConfig, hierarchy: Hierarchy, plan: Plan, device: torch.device, trackers: tuple[Tracker, ...]
) -> None:
    """Train what a plan says to the end, or continue it, and leave the network in the run folder.

    Raises:
        ValueError: the run has this network already, or flags do not fit the run, the machine or each other.
    """
    finished = config.run / f"{plan.name}.safetensors"
    if finished.is_file() and not config.overwrite:
        if config.resume:
            log.info("%s is finished already; --overwrite trains it again", finished)
            return
        raise ValueError(f"{finished} exists: pass --overwrite to train it again, or another --run")
    unfinished = config.run / "checkpoints" / f"{plan.name}.last.pt"
    if unfinished.is_file() and not config.overwrite and not config.resume:
        raise ValueError(f"{unfinished} is of an interrupted training: --resume continues it, --overwrite starts again")
    world = World.from_env()
    if config.batch_size % (world.size * config.optim.accumulate):
        raise ValueError(
            f"--batch-size {config.batch_size} cannot be dealt to {counted(world.size, 'process')} in equal parts"
        )
    if not world.first:
        logging.getLogger().setLevel(logging.WARNING)
    if plan.inside is None and world.first:
        warn_of_scarce_cells(hierarchy, plan.levels)
    network, spec = _network(config, hierarchy, plan, device)
    network = with_shared_norm(network, world, device, config.optim.frozen_norm or "" in config.frozen_parts)
    with process_group(world, device):
        try:
            training = _training(config, hierarchy, plan, network, spec, device, world, trackers)
            with closing_all(training.trackers):
                fit(training, Trainee.of(config, network, len(training.photos), world, device))
                if world.first:
                    _publish(training, plan)
                    keep_training(training.trackers, config.data, config.run, plan.name)
        except torch.OutOfMemoryError:
            raise ValueError(
                f"{device} ran out of memory: lower --batch-size (now {config.batch_size}) or --image-size, or raise "
                f"--optim.accumulate (now {config.optim.accumulate})"
            ) from None


def _publish(training: Training, plan: Plan) -> None:
    """Leave in the run folder what it answers with."""
    best = training.best()
    # Heads that replace others need a calibration split that can say which are better.
    if plan.readout_epochs and training.judged:
        best = read_out(training, plan.readout_epochs) or best
    finished = training.config.run / f"{plan.name}.safetensors"
    with atomic_path(finished) as partial:
        partial.write_bytes(best.read_bytes())
    which = (
        f"best by {training.config.keep} of the calibration split" if training.judged else "network of the last epoch"
    )
    log.info("wrote %s, the %s", finished, which)


def _network(
    config: TrainConfig, hierarchy: Hierarchy, plan: Plan, device: torch.device
) -> tuple[GeoNetwork, NetworkSpec]:
    seen = plan.inside.transform if plan.inside else None
    trunk = choose_trunk(config.arch, config.weights, seen.size if seen else config.image_size, config.resize)
    transform = trunk.transform
    if seen is not None:
        transform = replace(seen, mean=transform.mean, std=transform.std)
    spec = NetworkSpec(
        trunk.arch,
        plan.classes,
        hierarchy_hash(hierarchy),
        transform,
        plan.coordinates,
        precision=asked_precision(config.precision, device),
        trunk_config=trunk.config,
        embedding=plan.embedding,
        dropout=plan.dropout,
        told_cells=hierarchy.sizes()[plan.inside.level] if plan.inside and plan.inside.cell is None else 0,
    )
    spec = spec.with_hidden(plan.hidden) if plan.hidden else spec
    # Here, so that a trunk without pretrained weights is the one of `train features` with the same seed.
    torch.manual_seed(config.seed)
    network = GeoNetwork(spec)
    check_image_size(network, spec)
    log.info(
        "%s for %s: %s", config.arch, ", ".join(spec.outputs), load_pretrained(network, trunk.arch, config.weights)
    )
    return network.to(device).to(memory_format=torch.channels_last), spec


@dataclass(frozen=True, eq=False)
class _Sources:
    """Photographs of training and of validation, and their pixels or features."""

    training: LabelledPhotos
    training_pixels: PixelSource | FeatureSource
    validation: LabelledPhotos
    validation_pixels: PixelSource | FeatureSource


def _training(
    config: TrainConfig,
    hierarchy: Hierarchy,
    plan: Plan,
    network: GeoNetwork,
    spec: NetworkSpec,
    device: torch.device,
    world: World,
    trackers: tuple[Tracker, ...],
) -> Training:
    keyed = config.freeze_trunk or config.cache_on_disk or plan.readout_epochs > 0
    kept = labelled_splits(config.data, config.run, hierarchy, plan.levels, keyed)
    if plan.inside is not None:
        kept = {split: photos.rows(plan.inside.holds(photos.classes)) for split, photos in kept.items()}
    if config.freeze_trunk:
        sources = _feature_sources(config, kept, network, spec, device, world)
    else:
        sources = _pixel_sources(config, kept, spec.transform, world)
    if len(sources.training) < world.size:
        raise ValueError(
            f"{counted(len(sources.training), 'training photograph')} cannot be dealt to {world.size} processes"
        )
    log.info(f"{counted(len(sources.training), 'training photograph')}, {len(sources.validation):,} for validation")
    record = read_run(config.run)
    settings = {key: value for key, value in as_plain(config).items() if key not in MAY_CHANGE}
    settings |= {key: record[key] for key in ("dataset_hash", "label_map_hash")}
    if world.first:
        trackers = trackers + make_trackers(config.tracker, config.run, plan.name, settings)
    return Training(
        config=config,
        settings=settings,
        name=plan.name,
        spec=spec,
        objective=plan.objective,
        photos=sources.training,
        source=sources.training_pixels,
        draw=sample_weights(sources.training.classes[:, plan.levels[-1] if plan.levels else -1], config.sampler),
        validation=Validation(
            photos=sources.validation,
            source=sources.validation_pixels,
            levels=plan.levels,
            level_names=[hierarchy.level_names[level] for level in plan.levels],
            outputs=list(spec.outputs),
            objective=plan.objective.at(1.0),
            batch_size=config.batch_size,
            workers=config.workers,
            has_places=hierarchy.placed,
            told=plan.inside.level if plan.inside and plan.inside.cell is None else None,
        ),
        device=device,
        world=world,
        trackers=trackers,
    )


def _pixel_sources(
    config: TrainConfig, kept: dict[str, LabelledPhotos], transform: InputTransform, world: World
) -> _Sources:
    training, validation = sources = [PixelSource(kept[split], transform, config.seed) for split in SPLITS_USED]
    if config.cache_on_disk:
        # The test split beside them: an evaluation finds it decoded.
        gathered(
            prepare(config.data, read_manifest(config.data, COLUMNS), transform, Work(64, config.workers, world)), world
        )
        for split, source in zip(SPLITS_USED, sources, strict=True):
            source.prepared = prepared_pixels(config.data, cast("NDArray[np.bytes_]", kept[split].keys), transform)
    if config.cache_pixels:
        training.fill_cache(config.workers)
        validation.fill_cache(config.workers)
    training.augment = augmentation(config.augment, transform.size)
    return _Sources(kept["train"], training, kept["calibration"], validation)


def _feature_sources(
    config: TrainConfig,
    kept: dict[str, LabelledPhotos],
    network: GeoNetwork,
    spec: NetworkSpec,
    device: torch.device,
    world: World,
) -> _Sources:
    plain, changed = Extractor.of(network, spec, device, spec.precision), None
    if config.views:
        views = AugmentedViews(config.augment, spec.transform.size, config.seed)
        changed = Extractor.of(network, spec, device, spec.precision, views), views, config.views
    work = Work(workers=config.workers, world=world)
    training = feature_source(config.data, kept["train"], plain, work, changed)
    validation = feature_source(config.data, kept["calibration"], plain, work)
    if network.readout is not None:
        training.standardise(network.readout)
    return _Sources(kept["train"], training, kept["calibration"], validation)


def labelled_splits(
    data: Path, run: Path, hierarchy: Hierarchy, levels: Sequence[int] = (), keyed: bool = False
) -> dict[str, LabelledPhotos]:
    """Return the photographs of the splits that trainings use, with their classes, as `LabelledPhotos.of` takes them.

    Raises:
        ValueError: they are not those that the run was begun with, or a split holds next to none.
    """
    columns = ["id", "path", "latitude", "longitude", "country", "label", "split", "shard", "offset", "size"]
    columns += ["sha256"] if keyed else []
    photos = read_manifest(data, columns)
    if content_hash(photos) != read_run(run)["dataset_hash"]:
        raise ValueError(
            f"the photographs of {data} are not those that {run} was begun with: begin another run with "
            "`python -m label_maps`"
        )
    given = set(photos["split"])
    rows = {split: photos[photos["split"] == split] for split in SPLITS_USED}
    kept = {split: LabelledPhotos.of(data, found, hierarchy, levels, keyed) for split, found in rows.items()}
    for split, found in kept.items():
        if len(found) < FEWEST[split]:
            fill = TO_FILL + (TO_SPARE.format(data=data) if split == "calibration" and "test" in given else "")
            raise ValueError(
                f"the {split} split of {data} holds {counted(len(found), 'photograph')} that can be used, of {len(photos):,} "
                f"in all: {FEWEST[split]} or more are needed; {fill}"
            )
    return kept


FEWEST = {"train": 2, "calibration": 1}
"""Photographs that a split holds at least: shared normalisation takes two, and validation something to validate."""
TO_FILL = "add photographs of other places or sequences"
"""What fills a split."""
TO_SPARE = ", or leave out the test with `python -m fetch split --data {data} --test-share 0`"
"""What else fills the calibration split, at the cost of the test."""
SPLITS_USED = ("train", "calibration")
"""What is learned from, and what early stopping and the choice of the best checkpoint look at; never the test split."""
