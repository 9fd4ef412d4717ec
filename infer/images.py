"""Photographs to batches of pixels and to network outputs; those that cannot be read are named and left out."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dataset.metadata_location import metadata_locations
from infer.model import Model, NetworkOutput
from infer.network.transform import InputTransform
from plumbing.files import sha256

log = logging.getLogger(__name__)

FEW = 64
"""Below so many photographs, starting worker processes costs more than it saves."""


ImageLike: TypeAlias = str | Path | bytes | Image.Image | NDArray[np.uint8]
"""A path, the bytes of a file, a PIL image, or an (H, W, 3) uint8 array."""


IMAGE_KINDS = "an image is a path, the bytes of a file, a PIL image or an (H, W, 3) uint8 array"


def with_article(noun: str) -> str:
    """Return a noun behind its article: `an int`, `a float`."""
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


class Readable(Protocol):
    """Pictures by their number: those of a dataset, of files, or handed in."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def source(self, index: int) -> Path | bytes | Image.Image:
        """Return a file, the bytes of one, or an opened picture."""
        ...

    def name(self, index: int) -> str:
        """Return by what a picture is called."""
        ...


@dataclass(frozen=True, eq=False)
class Described:
    """What is said of a photograph beside its pixels.

    Attributes:
        name: of its file, without folders; `image 3` for the third that came without one.
        sha256: of its file, or of its pixels where it has none.
        locations: latitude and longitude by where the file states them; the network sees none of them.
        source: the photograph itself.
    """

    name: str
    sha256: str
    locations: Mapping[str, tuple[float, float]]
    source: Path | bytes | Image.Image

    @property
    def path(self) -> str | None:
        """Return the path as it was given; None of an image without one."""
        return str(self.source) if isinstance(self.source, Path) else None


class Images:
    """Images as they are handed in from Python."""

    def __init__(self, images: Sequence[ImageLike]) -> None:
        """Hold them as they are."""
        self.images = images

    @staticmethod
    def is_one(images: Any) -> TypeGuard[ImageLike]:
        """Say whether something is one image and not many."""
        return isinstance(images, str | Path | bytes | bytearray | Image.Image) or (
            isinstance(images, np.ndarray) and images.ndim < 4 and images.dtype != object
        )

    @property
    def are_files(self) -> bool:
        """Say whether all of them are paths."""
        return all(isinstance(image, str | Path) for image in self.images)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.images)

    def source(self, index: int) -> Path | bytes | Image.Image:
        """Return an image as what can be decoded.

        Raises:
            ValueError: it is not an image.
        """
        image = self.images[index]
        if isinstance(image, str | Path):
            if Path(image).is_dir():
                raise ValueError(
                    f"{image} is a folder: give its photographs, such as Path({str(image)!r}).glob('*.jpg')"
                )
            return Path(image)
        if isinstance(image, bytes | bytearray):
            return bytes(image)
        if isinstance(image, Image.Image):
            return image
        if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            said = (
                f"{image.dtype} array of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            )
            raise ValueError(f"{IMAGE_KINDS}, got {with_article(said)}")
        return Image.fromarray(image)

    def name(self, index: int) -> str:
        """Return the path of an image that has one."""
        image = self.images[index]
        return str(image) if isinstance(image, str | Path) else f"image {index + 1}"

    def described(self, index: int, number: int) -> Described:
        """Return what is said of an image, the `number`-th of all, counted from 0, beside its pixels."""
        source = self.source(index)
        if isinstance(source, Path):
            return Described(source.name, sha256(source), metadata_locations(source), source)
        name = f"image {number + 1}"
        if isinstance(source, bytes):
            return Described(name, hashlib.sha256(source).hexdigest(), metadata_locations(source), source)
        return Described(name, hashlib.sha256(source.convert("RGB").tobytes()).hexdigest(), {}, source)


@dataclass(frozen=True)
class PhotoBatch:
    """Photographs read together.

    Attributes:
        index: (B,) which of the given paths were read.
        pixels: (B, 3, size, size) uint8.
        unreadable: for each path that was not read, its index and why.
    """

    index: Tensor
    pixels: Tensor
    unreadable: list[tuple[int, str]]


class PhotoFiles(Dataset[tuple[int, Tensor | str]]):
    """Each photograph's pixels, or the reason why there are none."""

    def __init__(
        self,
        pictures: Readable,
        transform: InputTransform,
        change: Callable[[int, Tensor], Tensor] | None = None,
        prepared: "Prepared | None" = None,
    ) -> None:
        self.pictures = pictures
        self.transform = transform
        self.change = change
        self.prepared = prepared

    def __len__(self) -> int:
        """Return how many photographs there are."""
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[int, Tensor | str]:
        """Return the index with pixels, or with the reason."""
        try:
            pixels = read_pixels(self.pictures, index, self.transform, self.prepared)
            return index, pixels if self.change is None else self.change(index, pixels)
        except ValueError as error:
            return index, str(error)


class Prepared(Protocol):
    """Pixels that were decoded before, by the number of the picture."""

    def pixels(self, index: int) -> Tensor | None:
        """Return (3, size, size) uint8 pixels; None of a picture that was not decoded before."""
        ...


def read_pixels(pictures: Readable, index: int, transform: InputTransform, prepared: Prepared | None = None) -> Tensor:
    """Return (3, size, size) uint8 pixels of a picture, those that are `prepared` where they are.

    Raises:
        ValueError: it cannot be read; the message names it.
    """
    if prepared is not None and (found := prepared.pixels(index)) is not None:
        return found
    source = pictures.source(index)
    try:
        return transform.pixels(source)
    except ValueError as error:
        if isinstance(source, Path):
            raise
        raise ValueError(f"{pictures.name(index)}{str(error).removeprefix('picture')}") from None


def photo_batches(
    pictures: Readable,
    transform: InputTransform,
    batch_size: int,
    workers: int,
    batches: Sequence[Any] | None = None,
    change: Callable[[int, Tensor], Tensor] | None = None,
    prepared: Prepared | None = None,
) -> Iterator[PhotoBatch]:
    """Yield photographs in order, in batches; or in the `batches` given, each the indices of one.

    `change` is applied to the pixels of each photograph, by its index; `prepared` ones are not decoded again.
    """
    dataset = PhotoFiles(pictures, transform, change, prepared)
    workers = workers if len(dataset) >= FEW else 0
    if batches is None:
        yield from DataLoader(dataset, batch_size, num_workers=workers, collate_fn=_collate)
    else:
        yield from DataLoader(dataset, batch_sampler=batches, num_workers=workers, collate_fn=_collate)


def network_outputs(
    model: Model,
    pictures: Readable,
    batch_size: int,
    workers: int,
    *,
    refuse: bool = False,
    unreadable: Callable[[int, str], None] | None = None,
    batches: Sequence[Any] | None = None,
    prepared: Prepared | None = None,
) -> Iterator[tuple[NDArray[np.int64], NetworkOutput]]:
    """Yield the numbers of the photographs of each batch that can be read, with what the networks say of them.

    Args:
        model: what answers.
        pictures: any number of them.
        batch_size: photographs in a step.
        workers: processes that decode, where there are many photographs.
        refuse: raise where a photograph cannot be read.
        unreadable: is told the number of each that cannot be read, and why; a log line where None.
        batches: the numbers of the photographs of each batch, where they are not simply in order.
        prepared: pixels that were decoded before.

    Raises:
        ValueError: with `refuse`, a photograph cannot be read.
    """
    for batch in photo_batches(pictures, model.transform, batch_size, workers, batches, prepared=prepared):
        for index, reason in batch.unreadable:
            if refuse:
                raise ValueError(reason)
            if unreadable is None:
                log.warning("left out: %s", reason)
            else:
                unreadable(index, reason)
        if len(batch.index):
            yield batch.index.numpy(), model.outputs(batch.pixels)


def _collate(items: list[tuple[int, Tensor | str]]) -> PhotoBatch:
    read = [(index, content) for index, content in items if isinstance(content, Tensor)]
    pixels = torch.stack([content for _, content in read]) if read else torch.empty(0, 3, 1, 1, dtype=torch.uint8)
    unreadable = [(index, content) for index, content in items if isinstance(content, str)]
    return PhotoBatch(torch.tensor([index for index, _ in read], dtype=torch.long), pixels, unreadable)
