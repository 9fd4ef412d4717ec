"""How `bench.real` answers: features of trunks, heads on them, last stages that learn, and probabilities that are calibrated."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from bench.real_photographs import Photographs
from dataset.groups import group_weights
from infer.features import Extractor, Work, compute_features
from infer.network.network import GeoNetwork, NetworkSpec, Readout
from infer.network.trunks import choose_trunk
from infer.network.weights import load_pretrained
from plumbing.images import open_rgb
from plumbing.progress import progress
from train.heads import BATCH, HIDDEN, OPTIM
from train.optim import after_step, build_schedule, optimizer_of

WORK = Work(batch_size=16, workers=0)
EPOCHS = 20
"""Of heads on features."""
SMOOTHING = 0.1
TUNED_LR, TUNED_BATCH = 3e-4, 64
Folds = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
Fit = Callable[[NDArray[np.int64], NDArray[np.int64], int], NDArray[np.float32]]
"""From rows to train on, rows to test and a seed to (test rows, K) logits."""


def trunk_of(arch: str, weights: str, size: int | None = None) -> tuple[GeoNetwork, NetworkSpec]:
    """Return a trunk with its weights, which sees the whole picture, squashed, and gives the features of all its stages.

    Random weights are always the same.
    """
    choice = choose_trunk(arch, weights, size, "squash")
    # A hidden layer of one unit is never asked, and has the network compute what a hidden layer would read.
    spec = NetworkSpec(choice.arch, {}, "", choice.transform, trunk_config=choice.config).with_hidden(1)
    torch.manual_seed(0)
    network = GeoNetwork(spec)
    load_pretrained(network, choice.arch, weights)
    return network.eval().to(memory_format=torch.channels_last), spec


def trunk_features(photographs: Photographs, trunk: tuple[str, str], size: int | None) -> NDArray[np.float32]:
    """Return (N, width) features of all stages of a trunk, its own last, from the cache of the dataset where they lie there."""
    network, spec = trunk_of(*trunk, size)
    return computed(Extractor.of(network, spec, torch.device("cpu"), "float32"), photographs)


def computed(extractor: Extractor, photographs: Photographs) -> NDArray[np.float32]:
    """Return (N, width) numbers of an extractor, those that are missing computed first."""
    found = compute_features(extractor, photographs.folder, photographs.keys, photographs.pictures, WORK)
    if found.unreadable:
        raise ValueError(
            f"{len(found.unreadable)} pictures cannot be read, such as {found.unreadable[0]}: leave them out"
        )
    features = extractor.cache(photographs.folder).read()
    return features.take(features.find(photographs.keys))


def thumbnails(photographs: Photographs, side: int = 8) -> NDArray[np.float32]:
    """Return (N, 3 side²) colours of pictures shrunk to a few pixels."""
    sources = [photographs.pictures.source(row) for row in range(len(photographs.true))]
    small = [open_rgb(source, draft_side=4 * side).resize((side, side), Image.Resampling.BOX) for source in sources]
    return np.stack([np.asarray(picture, dtype=np.float32).ravel() / 255 for picture in small])


def readout(features: NDArray[np.float32], true: NDArray[np.int64], classes: int) -> Fit:
    """Return how a hidden layer and a linear head learn from features, as at the end of a joint training."""
    table, target = torch.from_numpy(features), torch.from_numpy(true)

    def fit(train: NDArray[np.int64], test: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
        torch.manual_seed(seed)
        hidden = Readout(table.shape[1], HIDDEN)
        net = nn.Sequential(hidden, nn.Linear(HIDDEN, classes))
        hidden.mean.copy_(table[train].mean(dim=0))
        hidden.std.copy_(table[train].std(dim=0))
        learn(
            net,
            [{"params": list(net.parameters()), "lr": OPTIM.lr}],
            lambda rows: table[rows],
            target,
            train,
            EPOCHS,
            BATCH,
        )
        with torch.inference_mode():
            answered: NDArray[np.float32] = net.eval()(table[test]).numpy()
        return answered

    return fit


def learn(
    net: nn.Module,
    groups: list[dict[str, Any]],
    inputs: Callable[[NDArray[np.int64]], Tensor],
    target: Tensor,
    train: NDArray[np.int64],
    epochs: int,
    batch: int,
    still: nn.Module | None = None,
) -> None:
    """Fit a network to smoothed classes with the optimiser and the schedule of the readout; `still` keeps its statistics."""
    net.train()
    if still is not None:
        still.eval()
    optimizer = optimizer_of(groups, OPTIM)
    steps = -(-len(train) // batch)
    schedule = build_schedule(optimizer, OPTIM, epochs * steps, steps)
    for _ in progress(range(epochs), "learning", "epoch"):
        order = train[torch.randperm(len(train)).numpy()]
        for rows in np.array_split(order, steps):
            loss = nn.functional.cross_entropy(net(inputs(rows)), target[rows], label_smoothing=SMOOTHING)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            after_step(schedule)


def divided(trunk: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Return the stages of a trunk that stay as they are, and the last ones, which learn.

    Raises:
        ValueError: the trunk is neither an EfficientNet of timm nor a ResNet of torchvision.
    """
    parts = dict(trunk.named_children())
    if "conv_stem" in parts and "conv_head" in parts:
        blocks = list(parts["blocks"].children())
        front = [parts["conv_stem"], parts["bn1"], *blocks[:-2]]
        return nn.Sequential(*front), nn.Sequential(
            *blocks[-2:], parts["conv_head"], parts["bn2"], parts["global_pool"]
        )
    if "layer4" in parts:
        names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3")
        return nn.Sequential(*(parts[name] for name in names)), nn.Sequential(
            parts["layer4"], parts["avgpool"], nn.Flatten()
        )
    raise ValueError(
        "last stages are known of EfficientNets of timm and ResNets of torchvision: leave --tune-epochs out"
    )


class Front(nn.Module):
    """Stages that stay as they are, as a network whose features are their activations, in half precision.

    Attributes:
        shape: of the activations of a picture, known once there are some.
    """

    def __init__(self, stages: nn.Module) -> None:
        super().__init__()
        self.stages, self.shape = stages, torch.Size()

    def features(self, images: Tensor) -> Tensor:
        """Return (B, width) activations of (B, 3, H, W) normalised images."""
        found: Tensor = self.stages(images)
        self.shape = found.shape[1:]
        return found.flatten(1).half()


def tuned(photographs: Photographs, trunk: tuple[str, str], size: int | None, epochs: int) -> Fit:
    """Return how the last stages of a trunk learn, from activations before them that are computed once.

    Batch norm keeps the statistics that it came with. Pictures are not changed.
    """
    network, spec = trunk_of(*trunk, size)
    front = Front(divided(network.trunk)[0]).eval()
    whole = Extractor.of(network, spec, torch.device("cpu"), "float32")
    kind = replace(whole.kind, output="before the last stages")
    before = computed(replace(whole, network=cast(GeoNetwork, front), kind=kind), photographs)
    with torch.inference_mode():
        front.features(torch.zeros(1, 3, spec.transform.size, spec.transform.size))
    target = torch.from_numpy(photographs.true)

    def inputs(rows: NDArray[np.int64]) -> Tensor:
        maps = torch.from_numpy(before[rows]).unflatten(1, front.shape)
        return maps.contiguous(memory_format=torch.channels_last)

    def fit(train: NDArray[np.int64], test: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
        network, _ = trunk_of(*trunk, size)
        _, last = divided(network.trunk)
        torch.manual_seed(seed)
        norm = nn.BatchNorm1d(network.width, affine=False)
        net = nn.Sequential(last, norm, nn.Dropout(0.4), nn.Linear(network.width, len(photographs.classes)))
        head = {"params": list(net[-1].parameters()), "lr": OPTIM.lr}
        groups = [head, {"params": list(last.parameters()), "lr": TUNED_LR}]
        learn(net, groups, inputs, target, train, epochs, TUNED_BATCH, still=last)
        with torch.inference_mode():
            found = [net.eval()(inputs(rows)) for rows in np.array_split(test, -(-len(test) // 64))]
        return np.asarray(torch.cat(found).numpy(), dtype=np.float32)

    return fit


def out_of_fold(fit: Fit, folds: Folds, classes: int, seeds: int) -> NDArray[np.float64]:
    """Return (N, K) probabilities of each photograph by a head that did not learn from its group: means over seeds."""
    found = np.zeros((sum(len(test) for _, test in folds), classes))
    for train, test in folds:
        for seed in range(seeds):
            logits = torch.from_numpy(fit(train, test, seed)).double()
            found[test] += logits.softmax(dim=1).numpy() / seeds
    return found


def tempered(
    probability: NDArray[np.float64], true: NDArray[np.int64], group: NDArray[np.int64], folds: Folds
) -> NDArray[np.float64]:
    """Return probabilities with a temperature, fitted for each fold to the answers of the others (Guo et al. 2017)."""
    logits = np.log(np.maximum(probability, 1e-12))
    found = np.empty_like(logits)
    for _, test in folds:
        others = np.setdiff1d(np.arange(len(true)), test)
        counts = group_weights(group[others])

        def loss(
            log_temperature: float, others: NDArray[np.int64] = others, counts: NDArray[np.float64] = counts
        ) -> float:
            p = softmax(logits[others] / np.exp(log_temperature))
            return float(-counts @ np.log(np.maximum(p[np.arange(len(others)), true[others]], 1e-12)))

        best = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x
        found[test] = softmax(logits[test] / np.exp(best))
    return found


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, K) probabilities."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
