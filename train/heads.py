"""The last part of a joint training: heads learn once more, on the features of all stages of a trunk that stays as it is.

While the trunk learns, linear heads on its last features teach it fastest; once it stays, its features are computed once,
and a hidden layer reads more from them (bench/LOG.md). Decoupled training of heads is due to Kang et al.
2020, features of several stages as one descriptor to Hariharan et al. 2015 (hypercolumns).
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.weights import load_network, read_trained, save_network
from plumbing.progress import progress
from plumbing.world import World
from train.data import SharedOrder, mixed_seed, readable
from train.loop import Training
from train.optim import after_step, build_schedule, optimizer_of
from train.parts_config import OptimConfig
from train.validate import validate

log = logging.getLogger(__name__)

HIDDEN = 1024
BATCH = 256
OPTIM = OptimConfig("adamw", lr=1e-3, weight_decay=0.05, schedule="one_cycle")
MOST_BYTES = 3 << 30
"""Features that fit into the memory of small machines: of 400,000 photographs by a ResNet-18, 100,000 by a ResNet-50."""
LEAST_STD = 1e-6
"""A feature that is the same everywhere is not blown up."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Features of training photographs, from which the heads learn.

    Attributes:
        features: (n, width).
        index: (n,) which photographs.
    """

    features: Tensor
    index: Tensor


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
    _learn(network, _look(network, training), training, epochs)
    trained = read_trained(training.best())
    before = trained["metrics"]
    after = validate(network, training.validation, training.device, training.autocast(), World())
    shown = [
        f"GeoScore {found['val/geoscore']:,.0f}, median {found['val/median_km']:,.0f} km" for found in (before, after)
    ]
    log.info("validation with linear heads: %s; with a hidden layer on all stages: %s", *shown)
    if not after["val/geoscore"] > before["val/geoscore"]:
        return None
    trained |= {"readout_epochs": epochs, "metrics": after}
    save_network(training.checkpoint("readout.safetensors"), network, spec, trained)
    return training.checkpoint("readout.safetensors")


def _fresh(spec: NetworkSpec, training: Training) -> GeoNetwork:
    """Return a network with the trunk, and the coordinate head, of the best one with linear heads."""
    linear, _ = load_network(training.best(), training.device)
    torch.manual_seed(mixed_seed(training.config.seed, HIDDEN))
    network = GeoNetwork(spec)
    network.trunk.load_state_dict(linear.trunk.state_dict())
    for name in set(network.heads).difference(spec.classes):
        network.heads[name].load_state_dict(linear.heads[name].state_dict())
    return network.to(training.device).to(memory_format=torch.channels_last).eval()


@torch.inference_mode()
def _look(network: GeoNetwork, training: Training) -> Examples:
    """Return the features of the training photographs as they are, of at most `MOST_BYTES` of them."""
    assert network.readout is not None
    width = len(network.readout.mean)
    generator = torch.Generator().manual_seed(training.config.seed)
    chosen = torch.randperm(len(training.photos), generator=generator)[: MOST_BYTES // (4 * width)].sort().values
    order = [(0, index) for index in chosen.tolist()]
    loader = DataLoader(
        training.source.unchanged(), training.config.batch_size, sampler=order, num_workers=training.config.workers
    )
    found = torch.empty(len(chosen), width)
    done = 0
    for index, pixels in progress(readable(loader), "computing features", "batch", len(loader)):
        images = training.spec.transform.normalise(pixels.to(training.device)).contiguous(
            memory_format=torch.channels_last
        )
        with training.autocast():
            features = network.features(images)
        found[done : done + len(index)] = features.float().cpu()
        done += len(index)
    network.readout.mean.copy_(found.mean(dim=0))
    network.readout.std.copy_(found.std(dim=0).clamp(min=LEAST_STD))
    return Examples(found, chosen)


def _learn(network: GeoNetwork, examples: Examples, training: Training, epochs: int) -> None:
    """Fit the hidden layer and the heads to the objective of the training."""
    assert network.readout is not None
    objective = training.objective.at(1.0)
    own = [
        *network.readout.parameters(),
        *(p for name in training.spec.classes for p in network.heads[name].parameters()),
    ]
    optimizer = optimizer_of([{"params": own, "lr": OPTIM.lr}], OPTIM)
    batches = -(-len(examples.index) // BATCH)
    schedule = build_schedule(optimizer, OPTIM, epochs * batches, batches)
    draw = None if training.draw is None else training.draw[examples.index]
    network.readout.train()
    for epoch in progress(range(epochs), "reading out", "epoch"):
        torch.manual_seed(mixed_seed(training.config.seed, HIDDEN, epoch))
        order = torch.tensor(
            [row for _, row in SharedOrder(len(examples.index), training.config.seed, epoch, weights=draw)]
        )
        for rows in order.split(BATCH):
            targets = training.photos.targets(examples.index[rows], training.validation.levels, training.device)
            outputs = network.answers(examples.features[rows].to(training.device))
            loss = objective([outputs[name] for name in training.validation.outputs], targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            after_step(schedule)
    network.eval()
