"""Training photographs: pixels by index, the same random changes whichever process makes them, and one shared order."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms import v2

from dataset.images import Pictures
from dataset.manifest import has_coordinates
from dataset.picture_keys import picture_keys
from geocells.hierarchy import UNKNOWN, Hierarchy
from geocells.sphere import unit_vectors
from infer.images import read_pixels
from infer.network.transform import InputTransform
from infer.prepared_pixels import PreparedPixels
from label_maps.labels import truth_of
from plumbing.progress import progress
from train.losses import Targets
from train.parts_config import AugmentConfig

ORDER_BLOCK = 65_536


@dataclass(frozen=True, eq=False)
class LabelledPhotos:
    """Photographs of one split with their truth, as arrays that worker processes share.

    Attributes:
        pictures: where they lie.
        latlon_deg: (N, 2) true coordinates; the centre of the country's class where no more is known.
        classes: (N, levels) true classes.
        placed: (N,) which have coordinates; None where all have.
        keys: (N,) of the pictures, by `dataset.picture_keys`; None where nobody asks for features.
    """

    pictures: Pictures
    latlon_deg: NDArray[np.float64]
    classes: NDArray[np.int64]
    placed: NDArray[np.bool_] | None = None
    keys: NDArray[np.bytes_] | None = None

    @classmethod
    def of(
        cls, data: Path, photos: pd.DataFrame, hierarchy: Hierarchy, levels: Sequence[int] = (), keyed: bool = False
    ) -> "LabelledPhotos":
        """Return the rows of a manifest with their classes, without those that say nothing of some levels.

        Args:
            data: the dataset folder.
            photos: the rows.
            hierarchy: the cells.
            levels: what is to be learned; a photograph without coordinates stays where it has a class at one of them.
            keyed: whether the pictures get keys.
        """
        points, classes = truth_of(hierarchy, photos)
        here = has_coordinates(photos) & hierarchy.placed
        keys = picture_keys(data, photos) if keyed else None
        every = cls(Pictures.of_dataset(data, photos), points, classes, None if here.all() else here, keys)
        return every if here.all() else every.rows(here | (classes[:, list(levels)] != UNKNOWN).any(axis=1))

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "LabelledPhotos":
        """Return some of the photographs."""
        rows = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
        placed = None if self.placed is None else self.placed[rows]
        keys = None if self.keys is None else self.keys[rows]
        return LabelledPhotos(self.pictures.rows(rows), self.latlon_deg[rows], self.classes[rows], placed, keys)

    def counted(self, levels: Sequence[int]) -> NDArray[np.bool_]:
        """Return (N, levels) which photographs are questions at which levels: all that have coordinates, or a class."""
        known = self.classes[:, list(levels)] != UNKNOWN
        return np.ones_like(known) if self.placed is None else known | self.placed[:, None]

    def __len__(self) -> int:
        """Return how many photographs there are."""
        return len(self.pictures)

    def targets(self, index: Tensor, levels: list[int], device: torch.device) -> Targets:
        """Return the truth of some photographs at some levels."""
        rows = index.numpy()
        vectors = torch.from_numpy(unit_vectors(self.latlon_deg[rows])).float()
        classes = torch.from_numpy(self.classes[rows][:, levels])
        placed = None if self.placed is None else torch.from_numpy(self.placed[rows]).to(device)
        return Targets(classes.to(device, non_blocking=True), vectors.to(device, non_blocking=True), placed=placed)

    def told(self, index: Tensor, level: int | None, device: torch.device) -> tuple[Tensor, ...]:
        """Return the true cells of some photographs at a level, for a network that is told them; nothing without a level."""
        return () if level is None else (torch.from_numpy(self.classes[index.numpy(), level]).to(device),)


class PixelSource(Dataset[tuple[int, Tensor]]):
    """Pixels of photographs, from their files or from memory, changed at random where training asks for it."""

    decodes = True
    collate = None

    def __init__(self, photos: LabelledPhotos, transform: InputTransform, seed: int = 0) -> None:
        self.pictures = photos.pictures
        self.transform = transform
        self.seed = seed
        self.augment: v2.Transform | None = None
        self.cache: Tensor | None = None
        self.prepared: PreparedPixels | None = None

    def fill_cache(self, workers: int) -> None:
        """Decode everything once into memory."""
        size = self.transform.size
        cache = torch.empty(len(self), 3, size, size, dtype=torch.uint8)
        loader = DataLoader(self, 64, sampler=InOrder(len(self)), num_workers=workers)
        for index, pixels in progress(readable(loader), "decoding", "batch", len(loader)):
            cache[index] = pixels
        self.cache = cache

    def inputs(self, found: Tensor, device: torch.device) -> Tensor:
        """Return what the network takes of (B, 3, size, size) uint8 pixels."""
        images = self.transform.normalise(found.to(device, non_blocking=True))
        return images.contiguous(memory_format=torch.channels_last)

    def __len__(self) -> int:
        """Return how many photographs there are."""
        return len(self.pictures)

    def __getitem__(self, item: tuple[int, int]) -> tuple[int, Tensor]:
        """Return the index and (3, size, size) uint8 pixels of an (epoch, index)."""
        epoch, index = item
        pixels = self._pixels(index)
        if self.augment is not None:
            # Seeded by photograph and epoch: the same picture whatever worker or machine draws it, and after a resume.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(mixed_seed(self.seed, epoch, index))
                pixels = self.augment(pixels)
        return index, pixels

    def _pixels(self, index: int) -> Tensor:
        if self.cache is not None:
            return self.cache[index]
        return read_pixels(self.pictures, index, self.transform, self.prepared)


def readable(loader: DataLoader) -> Iterator[list[Tensor]]:
    """Pass batches on; a photograph that a worker could not read becomes one line and not the worker's traceback."""
    try:
        yield from loader
    except ValueError as error:
        last = str(error).strip().splitlines()[-1].removeprefix("ValueError: ")
        raise ValueError(f"{last}: mend it, or make the dataset again without it (--exclude)") from None


class InOrder(Sampler[tuple[int, int]]):
    """Every index once, in order, dealt round-robin to `size` processes."""

    def __init__(self, length: int, rank: int = 0, size: int = 1) -> None:
        self.order = range(rank, length, size)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield (epoch, index)."""
        return iter([(0, index) for index in self.order])

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.order)


class SharedOrder(Sampler[tuple[int, int]]):
    """One shuffled order of an epoch, dealt round-robin to `size` processes, resuming after `done` photographs.

    All processes get equally many, or one would wait at its last step for others: fewer than `size` are left over.
    With weights, photographs are drawn with replacement, each in proportion to its weight, and an epoch is as long as
    without.
    """

    def __init__(
        self,
        length: int,
        seed: int,
        epoch: int,
        done: int = 0,
        rank: int = 0,
        size: int = 1,
        weights: Tensor | None = None,
    ) -> None:
        self.length, self.seed, self.epoch, self.done, self.rank, self.size = length, seed, epoch, done, rank, size
        self.weights = weights

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield (epoch, index) for this process's share of what is left."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        if self.weights is None:
            order = torch.randperm(self.length, generator=generator)
        else:
            order = draw_weighted(self.weights, self.length, generator)
        # A block at a time: millions of Python tuples would take more memory than the photographs' table.
        for block in order[self.done + self.rank :: self.size][: len(self)].split(ORDER_BLOCK):
            yield from ((self.epoch, index) for index in block.tolist())

    def __len__(self) -> int:
        """Return how many are this process's share."""
        return max(0, self.length - self.done) // self.size


def draw_weighted(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return (count,) indices drawn with replacement in proportion to (N,) weights; N may exceed 2**24."""
    # torch.multinomial ends at 2**24 categories; inverting the cumulated weights does not.
    edges = weights.double().cumsum(0)
    drawn = torch.rand(count, generator=generator, dtype=torch.float64) * edges[-1]
    return torch.searchsorted(edges, drawn, right=True).clamp(max=len(weights) - 1)


def sample_weights(classes: NDArray[np.int64], sampler: str) -> Tensor | None:
    """Return how often each photograph is drawn, by the number of photographs of its class.

    Args:
        classes: (N,) classes of the finest trained level; photographs of unknown cells count as one class.
        sampler: `plain` draws each once; `balanced` all classes alike; `tempered` by n_c ** -0.5.
    """
    if sampler == "plain":
        return None
    _, member, count = np.unique(classes, return_inverse=True, return_counts=True)
    power = {"balanced": -1.0, "tempered": -0.5}[sampler]
    return torch.from_numpy(count[member].astype(np.float64) ** power)


def augmentation(config: AugmentConfig, size: int) -> v2.Transform | None:
    """Return the random changes of training pictures, from uint8 pixels to uint8 pixels; None where there are none."""
    steps: list[v2.Transform] = []
    if config.crop_scale < 1:
        steps.append(v2.RandomResizedCrop(size, (config.crop_scale, 1.0), config.crop_ratio, antialias=True))
    if config.flip:
        steps.append(v2.RandomHorizontalFlip(config.flip))
    if config.vertical_flip:
        steps.append(v2.RandomVerticalFlip(config.vertical_flip))
    if config.rotation_deg:
        steps.append(v2.RandomRotation([-config.rotation_deg, config.rotation_deg]))
    if config.color_jitter or config.hue:
        steps.append(v2.ColorJitter(config.color_jitter, config.color_jitter, config.color_jitter, config.hue))
    if config.grayscale:
        steps.append(v2.RandomGrayscale(config.grayscale))
    return v2.Compose(steps) if steps else None


def mix_pictures(images: Tensor, config: AugmentConfig) -> tuple[Tensor, Tensor | None]:
    """Return (B, 3, H, W) images mixed by CutMix or MixUp, and the (B, B) share of each in each; None where both are off."""
    kinds = [(v2.CutMix, config.cutmix), (v2.MixUp, config.mixup)]
    on = [kind(alpha=alpha, num_classes=len(images)) for kind, alpha in kinds if alpha]
    if not on or len(images) < 2:
        return images, None
    # With each photograph as a class of its own, the mixed labels are the shares, whatever the targets are.
    mixed, shares = v2.RandomChoice(on)(images, torch.arange(len(images), device=images.device))
    return mixed, shares


def mixed_seed(*numbers: int) -> int:
    """Return one 63-bit seed of several numbers, in which neighbours have nothing in common."""
    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest(), "little") >> 1
