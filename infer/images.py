"""Photographs to batches of pixels and to network outputs; those that cannot be read are named and left out."""

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dataset.metadata_location import metadata_locations
from infer.cutter import Cutter
from infer.model import Model
from infer.network.output import NetworkOutput
from infer.network.transform import InputTransform
from infer.parts import View
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
        index: (B,) which of the given paths were read; that of a file that was cut stands once for each view.
        pixels: (B, 3, size, size) uint8.
        unreadable: for each path that was not read, its index and why.
        views: of each file that was cut, by its index.
    """

    index: Tensor
    pixels: Tensor
    unreadable: list[tuple[int, str]]
    views: dict[int, tuple[View, ...]]


class Cut(NamedTuple):
    """(V, 3, size, size) pixels of the V views of a file."""

    pixels: Tensor
    views: tuple[View, ...]


class PhotoFiles(Dataset[tuple[int, Tensor | Cut | str]]):
    """Each photograph's pixels, or the reason why there are none."""

    def __init__(
        self,
        pictures: Readable,
        transform: InputTransform,
        change: Callable[[int, Tensor], Tensor] | None = None,
        prepared: "Prepared | None" = None,
        cutter: Cutter | None = None,
    ) -> None:
        self.pictures = pictures
        self.transform = transform
        self.change = change
        self.prepared = prepared
        self.cutter = cutter

    def __len__(self) -> int:
        """Return how many photographs there are."""
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[int, Tensor | Cut | str]:
        """Return the index with pixels, or with the reason."""
        try:
            if self.cutter is not None and (found := self._cut(self.cutter, index)) is not None:
                return index, found
            pixels = read_pixels(self.pictures, index, self.transform, self.prepared)
            return index, pixels if self.change is None else self.change(index, pixels)
        except ValueError as error:
            return index, str(error)

    def _cut(self, cutter: Cutter, index: int) -> Cut | None:
        """Return the views of a file that is cut; None of an ordinary photograph."""
        source = self.pictures.source(index)
        with _named(source, self.pictures.name(index)):
            found = cutter.pictures(source, self.transform.view_side)
            if found is None:
                return None
            return Cut(
                torch.stack([self.transform.from_picture(picture) for picture, _ in found]), tuple(v for _, v in found)
            )


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
    with _named(source, "" if isinstance(source, Path) else pictures.name(index)):
        return transform.pixels(source)


@contextlib.contextmanager
def _named(source: Path | bytes | Image.Image, name: str) -> Iterator[None]:
    """Let a refusal of a picture that has no path begin with its name."""
    try:
        yield
    except ValueError as error:
        if isinstance(source, Path):
            raise
        raise ValueError(f"{name}{str(error).removeprefix('picture')}") from None


def photo_batches(
    pictures: Readable,
    transform: InputTransform,
    batch_size: int,
    workers: int,
    batches: Sequence[Any] | None = None,
    change: Callable[[int, Tensor], Tensor] | None = None,
    prepared: Prepared | None = None,
    cutter: Cutter | None = None,
) -> Iterator[PhotoBatch]:
    """Yield photographs in order, in batches; or in the `batches` given, each the indices of one.

    `change` is applied to the pixels of each photograph, by its index; `prepared` ones are not decoded again. Of a file that the
    `cutter` cuts, each view is read.
    """
    dataset = PhotoFiles(pictures, transform, change, prepared, cutter)
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
    cutter: Cutter | None = None,
    views: dict[int, tuple[View, ...]] | None = None,
) -> Iterator[tuple[NDArray[np.int64], NetworkOutput]]:
    """Yield the numbers of the photographs of each batch that can be read, with what the networks say of them.

    The number of a file that was cut stands once for each of its views.

    Args:
        model: what answers.
        pictures: any number of them.
        batch_size: photographs in a step.
        workers: processes that decode, where there are many photographs.
        refuse: raise where a photograph cannot be read.
        unreadable: is told the number of each that cannot be read, and why; a log line where None.
        batches: the numbers of the photographs of each batch, where they are not simply in order.
        prepared: pixels that were decoded before.
        cutter: what cuts panoramas and videos; without it each file is one picture.
        views: is given the views of each file that was cut, by its number.

    Raises:
        ValueError: with `refuse`, a photograph cannot be read.
    """
    found = photo_batches(pictures, model.transform, batch_size, workers, batches, prepared=prepared, cutter=cutter)
    for batch in found:
        for index, reason in batch.unreadable:
            if refuse:
                raise ValueError(reason)
            if unreadable is None:
                log.warning("left out: %s", reason)
            else:
                unreadable(index, reason)
        if views is not None:
            views |= batch.views
        if len(batch.index):
            # A batch of videos has many times the pixels of one of photographs.
            parts = [model.outputs(pixels) for pixels in batch.pixels.split(max(1, batch_size))]
            yield batch.index.numpy(), parts[0] if len(parts) == 1 else NetworkOutput.joined(parts)


def _collate(items: list[tuple[int, Tensor | Cut | str]]) -> PhotoBatch:
    cut = {index: content.views for index, content in items if isinstance(content, Cut)}
    # What is cut has one row for each view.
    read = [
        (i, content.pixels if isinstance(content, Cut) else content[None])
        for i, content in items
        if not isinstance(content, str)
    ]
    pixels = torch.cat([content for _, content in read]) if read else torch.empty(0, 3, 1, 1, dtype=torch.uint8)
    rows = [index for index, content in read for _ in range(len(content))]
    unreadable = [(index, content) for index, content in items if isinstance(content, str)]
    return PhotoBatch(torch.tensor(rows, dtype=torch.long), pixels, unreadable, cut)
