"""Features of pictures by a network's trunk: computed once, kept by `dataset.features`, never computed again."""

import hashlib
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dataset.features import FeatureCache, FeatureKind
from dataset.images import Pictures
from infer.images import photo_batches
from infer.model import Model
from infer.network.devices import activation_dtype, autocast
from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.transform import InputTransform
from plumbing.progress import progress
from plumbing.world import World

log = logging.getLogger(__name__)

UNREAD = ("num_batches_tracked",)
"""Endings of tensors that no answer depends on."""


def feature_kind(model: Model) -> FeatureKind:
    """Return what the features of a model are of: those of its last network, in the precision that it answers in."""
    return _kind(model.networks[-1], model.transform, model.precision)


def _kind(
    network: GeoNetwork, transform: InputTransform, precision: str, changes: dict[str, Any] | None = None
) -> FeatureKind:
    return FeatureKind(
        arch=network.arch,
        trunk_hash=trunk_hash(network),
        transform=asdict(transform),
        precision=precision,
        output="own" if network.stages is None else network.stages.kind,
        changes=changes,
    )


class Views(Protocol):
    """Random changes of pictures, the same for the same picture and view."""

    @property
    def about(self) -> Mapping[str, Any]:
        """Return in plain values what decides the changes."""
        ...

    def changed(self, pixels: Tensor, key: bytes, view: int) -> Tensor:
        """Return a view of (3, size, size) uint8 pixels of the picture of a key."""
        ...


@dataclass(frozen=True)
class _OneView:
    """One view of pictures by their number."""

    views: Views
    keys: NDArray[np.bytes_]
    view: int

    def __call__(self, index: int, pixels: Tensor) -> Tensor:
        """Return the view of a picture."""
        return self.views.changed(pixels, bytes(self.keys[index]), self.view)


@dataclass(frozen=True, eq=False)
class Extractor:
    """A network that computes features.

    Attributes:
        network: the network; its heads are not asked.
        transform: how pictures reach it.
        kind: what its features are of.
        device: where it computes.
    """

    DOING: ClassVar[str] = "computing features"

    network: GeoNetwork
    transform: InputTransform
    kind: FeatureKind
    device: torch.device

    @classmethod
    def of(
        cls, network: GeoNetwork, spec: NetworkSpec, device: torch.device, precision: str, views: Views | None = None
    ) -> "Extractor":
        """Return what computes the features of a network, on its device.

        Args:
            network: the network.
            spec: its spec.
            device: where it is.
            precision: `auto`, `float32` or `bfloat16`.
            views: random changes of the pictures; None for pictures as they are.
        """
        computed_in = str(activation_dtype(precision, device)).removeprefix("torch.")
        kind = _kind(network, spec.transform, computed_in, None if views is None else dict(views.about))
        # Of a network that is about to train: it computes what it answers.
        return cls(network.eval(), spec.transform, kind, device)

    @classmethod
    def of_model(cls, model: Model) -> "Extractor":
        """Return what computes the features that a model answers from."""
        return cls(model.networks[-1], model.transform, feature_kind(model), model.device)

    @torch.inference_mode()
    def features(self, pixels: Tensor) -> Tensor:
        """Return (B, width) features of (B, 3, size, size) uint8 pixels, as the network gives them."""
        images = self.transform.normalise(pixels.to(self.device)).contiguous(memory_format=torch.channels_last)
        with autocast(self.device, self.kind.precision):
            return self.network.features(images)

    def cache(self, place: Path) -> FeatureCache:
        """Return the cache of these features in a folder, begun where there is none.

        Raises:
            ValueError: the folder cannot be written.
        """
        found = FeatureCache.open(place, self.kind)
        if found is not None:
            return found
        size = self.transform.size
        one = self.features(torch.zeros(1, 3, size, size, dtype=torch.uint8))
        try:
            return FeatureCache.create(place, self.kind, one.shape[1], str(one.dtype).removeprefix("torch."))
        except OSError as error:
            raise ValueError(f"features cannot be kept in {place} ({error.strerror}): make it writable") from None


@dataclass(frozen=True)
class Work:
    """How features are computed.

    Attributes:
        batch_size: pictures in a step.
        workers: processes that decode.
        world: the processes that share the pictures.
    """

    batch_size: int = 64
    workers: int = 2
    world: World = World()  # noqa: RUF009


@dataclass(frozen=True)
class Computed:
    """What one process has done.

    Attributes:
        pictures: how many pictures it computed features of.
        known: how many were there already, of all.
        seconds: how long it took.
        unreadable: names and reasons of those that cannot be read.
    """

    pictures: int
    known: int
    seconds: float
    unreadable: tuple[str, ...]


class Computes(Protocol):
    """What makes a row of numbers of a picture."""

    DOING: ClassVar[str]

    @property
    def transform(self) -> InputTransform:
        """Return how pictures reach it."""
        ...

    def features(self, pixels: Tensor) -> Tensor:
        """Return (B, width) numbers of (B, 3, size, size) uint8 pixels."""
        ...

    def cache(self, place: Path) -> FeatureCache:
        """Return where the numbers are kept in a folder, begun where there is nothing."""
        ...


def compute_features(
    extractor: Computes,
    place: Path,
    keys: NDArray[np.bytes_],
    pictures: Pictures,
    work: Work,
    view: int = 0,
    views: Views | None = None,
) -> Computed:
    """Compute this process's share of the features that a cache lacks; whatever interrupts it, it continues where it was.

    Args:
        extractor: what computes.
        place: the folder that holds caches, that of the dataset.
        keys: (N,) of the pictures, by `dataset.picture_keys`.
        pictures: N pictures.
        work: how it is done.
        view: which view of the pictures.
        views: what changes them, for views other than 0.
    """
    cache = extractor.cache(place)
    known = cache.read().find(keys, view) >= 0
    # Shared out by all pictures, not by those that are missing: a process that begins late finds some there already.
    mine = _each_once(keys)[work.world.rank :: work.world.size]
    mine = mine[~known[mine]]
    change = None if views is None else _OneView(views, keys[mine], view)
    began, done, unreadable = time.monotonic(), 0, []
    batches = photo_batches(pictures.rows(mine), extractor.transform, work.batch_size, work.workers, change=change)
    bar = progress(batches, extractor.DOING, "batch", -(-len(mine) // work.batch_size), not work.world.first)
    # Nothing is opened to write, and no part left behind, where nothing is missing.
    if len(mine):
        with cache.writer() as writer:
            for batch in bar:
                unreadable += [reason for _, reason in batch.unreadable]
                if len(batch.index):
                    found = extractor.features(_filled(batch.pixels, work.batch_size))[: len(batch.index)]
                    writer.add(keys[mine[batch.index.numpy()]], as_stored(found), view)
                    done += len(batch.index)
    for reason in unreadable:
        log.warning("left out: %s", reason)
    return Computed(done, int(known.sum()), time.monotonic() - began, tuple(unreadable))


def _each_once(keys: NDArray[np.bytes_]) -> NDArray[np.int64]:
    """Return the pictures of different content, in their order."""
    _, first = np.unique(keys, return_index=True)
    return np.sort(first)


def _filled(pixels: Tensor, batch_size: int) -> Tensor:
    """Return a batch filled up with black pictures.

    A processor may add up a smaller batch in another order: so features depend on nothing but the picture.
    """
    lacking = batch_size - len(pixels)
    return pixels if lacking <= 0 else torch.cat([pixels, pixels.new_zeros(lacking, *pixels.shape[1:])])


def as_stored(features: Tensor) -> NDArray[Any]:
    """Return features as a cache keeps them, bfloat16 as its bits."""
    plain = features.detach().cpu()
    if plain.dtype == torch.bfloat16:
        return plain.view(torch.int16).numpy().view(np.uint16)
    return plain.numpy()


def trunk_hash(network: GeoNetwork) -> str:
    """Return the SHA-256 of the weights of a trunk, whatever heads are on it and wherever it is."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.trunk.state_dict().items()):
        if name.endswith(UNREAD):
            continue
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def writable(place: Path) -> bool:
    """Return whether features can be kept in a folder."""
    return os.access(place, os.W_OK)
