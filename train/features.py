"""`python -m train features`: the features of a dataset's pictures, by any number of processes, ready for whatever reads them."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dataset.features import FOLDER
from dataset.images import Pictures
from dataset.manifest import read_manifest
from dataset.picture_keys import COLUMNS, picture_keys
from infer.features import Computed, Extractor, Work, compute_features
from infer.network.devices import answering_precision, asked_precision
from infer.network.network import GeoNetwork, NetworkSpec, check_image_size
from infer.network.trunks import choose_trunk
from infer.network.weights import load_network, load_pretrained
from infer.run_files import network_files
from label_maps.files import read_hierarchy
from plumbing.interrupt import Interrupted
from plumbing.text import agreeing, counted
from plumbing.world import World
from train.distributed import own_device
from train.features_config import FeaturesConfig
from train.views import AugmentedViews

log = logging.getLogger(__name__)


def main(config: FeaturesConfig) -> None:
    """Compute what is missing, and say how fast."""
    world = World.from_env()
    if not world.first:
        logging.getLogger().setLevel(logging.WARNING)
    network, spec, precision = _network(config, own_device(config.device, world))
    photos = read_manifest(config.data, ["id", "split", *COLUMNS])
    photos = photos[photos["split"].isin(config.split)] if config.split else photos
    if not len(photos):
        raise ValueError(f"{config.data} holds no photographs of --split {' '.join(config.split)}")
    keys, pictures = picture_keys(config.data, photos), Pictures.of_dataset(config.data, photos)
    work = Work(config.batch_size, config.workers, world)
    device = next(network.parameters()).device
    extractors, views = [Extractor.of(network, spec, device, precision)], None
    if config.views:
        views = AugmentedViews(config.augment, spec.transform.size, config.seed)
        extractors += [Extractor.of(network, spec, device, precision, views)] * config.views
    try:
        done = [
            compute_features(extractor, config.data, keys, pictures, work, view, views if view else None)
            for view, extractor in enumerate(extractors)
        ]
    except KeyboardInterrupt:
        raise Interrupted(_kept(config.data, extractors, keys)) from None
    folders = dict.fromkeys(config.data / FOLDER / extractor.kind.fingerprint for extractor in extractors)
    if world.first:
        print(_summary(done, list(folders), world))


def _network(config: FeaturesConfig, device: torch.device) -> tuple[GeoNetwork, NetworkSpec, str]:
    """Return a network, its spec and the precision that it computes in."""
    if config.run is not None:
        network, spec = load_network(network_files(config.run, read_hierarchy(config.run))[-1], device)
        network = network.to(memory_format=torch.channels_last)
        own = answering_precision(network.precision, device)
        return network, spec, own if config.precision == "auto" else config.precision
    assert config.arch is not None, "the config refuses to name neither"
    trunk = choose_trunk(config.arch, config.weights, config.image_size, config.resize)
    precision = asked_precision(config.precision, device)
    spec = NetworkSpec(trunk.arch, {}, "", trunk.transform, precision=precision, trunk_config=trunk.config)
    # A hidden layer of one unit: it is never asked, and has the network compute what a hidden layer would read.
    spec = spec.with_hidden(1) if config.stages else spec
    # As trainings begin, so that random weights are those of a training with the same seed.
    torch.manual_seed(config.seed)
    network = GeoNetwork(spec)
    check_image_size(network, spec)
    log.info("%s: %s", config.arch, load_pretrained(network, trunk.arch, config.weights))
    return network.to(device).to(memory_format=torch.channels_last), spec, precision


def _kept(data: Path, extractors: Sequence[Extractor], keys: NDArray[np.bytes_]) -> str:
    """Return of how many photographs features lie on disk, and of how many views, as a part of a sentence."""
    there = [int((own.cache(data).read().find(keys, view) >= 0).sum()) for view, own in enumerate(extractors)]
    kept = f"features of {there[0]:,} of {counted(len(keys), 'photograph')}"
    kept += f" and of {sum(there[1:]):,} of {counted(len(keys) * len(there[1:]), 'changed view')}" if there[1:] else ""
    return f"{kept} are kept in {data / FOLDER}"


def _summary(done: list[Computed], folders: list[Path], world: World) -> str:
    pictures, seconds = sum(part.pictures for part in done), sum(part.seconds for part in done)
    known, unreadable = sum(part.known for part in done), len(done[0].unreadable)
    share = f", the share of one of {world.size} processes" if world.size > 1 else ""
    pace = f" at {pictures / seconds:,.1f} pictures per second" if pictures else ""
    said = [
        f"computed features of {counted(pictures, 'picture')} (views included){pace}{share}; "
        f"{known:,} {agreeing(known, 'were')} there already"
    ]
    said += (
        [f"{counted(unreadable, 'picture')} cannot be read and {agreeing(unreadable, 'have')} none"]
        if unreadable
        else []
    )
    return "\n".join([*said, *(f"wrote {folder}" for folder in folders)])
