"""The last part of a joint training: heads learn once more, on the features of all stages of a trunk that stays as it is.

While the trunk learns, linear heads on its last features teach it fastest; once it stays, its features are computed once,
and a hidden layer reads more from them (bench/LOG.md). It learns as with `--freeze-trunk`. Decoupled training of heads is
due to Kang et al. 2020, features of several stages as one descriptor to Hariharan et al. 2015 (hypercolumns).
"""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import torch

from dataset.features import FOLDER
from infer.features import Extractor, Work
from infer.network.coordinate_head import HEAD
from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.weights import load_network, read_trained, save_network
from plumbing.files import read_json
from plumbing.world import World
from train.data import mixed_seed
from train.frozen import feature_source
from train.loop import Training, fit
from train.parts_config import OptimConfig
from train.state import Trainee

log = logging.getLogger(__name__)

HIDDEN = 1024
BATCH = 256
OPTIM = OptimConfig("adamw", lr=1e-3, trunk_lr_factor=0.0, weight_decay=0.05, schedule="one_cycle")
MOST_BYTES = 3 << 30
"""Features kept on disk until the heads have learned: of 400,000 photographs by a ResNet-18, 100,000 by a ResNet-50."""


def read_out(training: Training, epochs: int) -> Path | None:
    """Give the best network of a training heads that read from all stages.

    Args:
        training: as it was trained.
        epochs: passes over the features of the training photographs.

    Returns:
        The checkpoint of the new network; None where the calibration split is not answered better.
    """
    spec = training.spec.with_hidden(HIDDEN)
    network = _fresh(spec, training)
    on_features = _on_features(training, network, spec, epochs)
    fit(on_features, Trainee.of(on_features.config, network, len(on_features.photos), World(), training.device))
    trained = read_trained(training.best())
    before, after = trained["metrics"], read_trained(on_features.best())["metrics"]
    finest = f"val/{training.validation.level_names[-1]}_top1"
    judged = "val/geoscore" if "val/geoscore" in before else finest
    shown = [
        f"GeoScore {found['val/geoscore']:,.0f}, median {found['val/median_km']:,.0f} km"
        if judged in found and judged != finest
        else f"top-1 {found[finest]:.1%}"
        for found in (before, after)
    ]
    log.info("validation with linear heads: %s; with a hidden layer on all stages: %s", *shown)
    shutil.rmtree(_place(training) / FOLDER, ignore_errors=True)
    if not after[judged] > before[judged]:
        return None
    trained |= {"readout_epochs": epochs, "metrics": after}
    best, _ = load_network(on_features.best())
    save_network(training.checkpoint("readout.safetensors"), best, spec, trained)
    return training.checkpoint("readout.safetensors")


def _place(training: Training) -> Path:
    """Return where the features lie meanwhile: no other training has this trunk, so they are none of the dataset's."""
    return training.config.run / "checkpoints"


def _fresh(spec: NetworkSpec, training: Training) -> GeoNetwork:
    """Return a network with the trunk, and the coordinate head, of the best one with linear heads."""
    linear, _ = load_network(training.best(), training.device)
    torch.manual_seed(mixed_seed(training.config.seed, HIDDEN))
    network = GeoNetwork(spec)
    network.trunk.load_state_dict(linear.trunk.state_dict())
    if HEAD in network.heads:
        network.heads[HEAD].load_state_dict(linear.heads[HEAD].state_dict())
        network.heads[HEAD].requires_grad_(False)
    return network.to(training.device).to(memory_format=torch.channels_last).eval()


def _on_features(training: Training, network: GeoNetwork, spec: NetworkSpec, epochs: int) -> Training:
    """Return the training of heads on the features of a network, of at most `MOST_BYTES` of the photographs."""
    assert network.readout is not None
    extractor = Extractor.of(network, spec, training.device, spec.precision)
    generator = torch.Generator().manual_seed(training.config.seed)
    most = MOST_BYTES // (4 * len(network.readout.mean))
    chosen = torch.randperm(len(training.photos), generator=generator)[:most].sort().values
    photos = training.photos.rows(chosen.numpy())
    work = Work(workers=training.config.workers)
    source = feature_source(_place(training), photos, extractor, work)
    source.standardise(network.readout)
    validation = feature_source(_place(training), training.validation.photos, extractor, work)
    config = replace(training.config, epochs=epochs, batch_size=BATCH, optim=OPTIM, patience=0, compile=False)
    found = replace(
        training,
        config=config,
        settings={**training.settings, "readout_epochs": epochs},
        name=f"{training.name}.readout",
        spec=spec,
        objective=training.objective.at(1.0),
        photos=photos,
        source=source,
        draw=None if training.draw is None else training.draw[chosen],
        validation=replace(training.validation, source=validation),
        world=World(),
        trackers=(),
    )
    _forget_other(found)
    return found


def _forget_other(found: Training) -> None:
    """Leave aside what heads have learned in another number of epochs: it may change when a training is resumed."""
    begun = found.checkpoint("json")
    if begun.is_file() and read_json(begun)["readout_epochs"] != found.settings["readout_epochs"]:
        found.checkpoint("last.pt").unlink(missing_ok=True)
