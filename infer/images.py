"""Photographs to batches of pixels and to network outputs; those that cannot be read are named and left out."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeGuard, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dataset.images import Pictures
from dataset.manifest import MANIFEST, coordinates, has_coordinates, read_manifest
from dataset.metadata_location import metadata_locations
from infer.model import Model, NetworkOutput
from infer.network.transform import InputTransform
from plumbing.files import atomic_path, sha256
from plumbing.images import PICTURE_SUFFIXES

log = logging.getLogger(__name__)

TABLES = frozenset({".csv", ".parquet"})
PATH_COLUMNS = ("path", "image_path", "filename", "file", "input")
"""Names of columns that hold paths, the first that a table has."""
FEW = 64
"""Below so many photographs, starting worker processes costs more than it saves."""


ImageLike: TypeAlias = str | Path | bytes | Image.Image | NDArray[np.uint8]
"""A path, the bytes of a file, a PIL image, or an (H, W, 3) uint8 array."""


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
            raise ValueError(
                f"an image is a path, the bytes of a file, a PIL image or an (H, W, 3) uint8 array, got a {said}"
            )
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

    def __init__(self, pictures: Readable, transform: InputTransform) -> None:
        self.pictures = pictures
        self.transform = transform

    def __len__(self) -> int:
        """Return how many photographs there are."""
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[int, Tensor | str]:
        """Return the index with pixels, or with the reason."""
        try:
            return index, read_pixels(self.pictures, index, self.transform)
        except ValueError as error:
            return index, str(error)


def read_pixels(pictures: Readable, index: int, transform: InputTransform) -> Tensor:
    """Return (3, size, size) uint8 pixels of a picture.

    Raises:
        ValueError: it cannot be read; the message names it.
    """
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
) -> Iterator[PhotoBatch]:
    """Yield photographs in order, in batches; or in the `batches` given, each the indices of one."""
    dataset = PhotoFiles(pictures, transform)
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

    Raises:
        ValueError: with `refuse`, a photograph cannot be read.
    """
    for batch in photo_batches(pictures, model.transform, batch_size, workers, batches):
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


@dataclass(frozen=True)
class Photo:
    """A photograph to answer for.

    Attributes:
        path: its file.
        truth_deg: latitude and longitude where a dataset knows them.
        packed: where it lies in a shard, if it has no file.
    """

    path: Path
    truth_deg: tuple[float, float] | None = None
    packed: tuple[Pictures, int] | None = None


def find_photos(
    given: Sequence[Path], split: str = "all", tables: bool = False, out: Path | None = None
) -> list[Photo]:
    """Return files as given, all pictures below folders in order of their names, and a split of dataset folders.

    Args:
        given: files and folders.
        split: which photographs of a dataset folder, or `all`.
        tables: take a table for the list of photographs that it holds, and not for a file that is no photograph.
        out: a folder of answers, whose maps are no photographs where it lies inside a folder that is searched.

    Raises:
        ValueError: a path does not exist, or a folder holds no pictures.
    """
    found: dict[Path, Photo] = {}
    for path in given:
        if (path / MANIFEST).is_file():
            photos = _of_dataset(path, split)
        elif tables and path.suffix.lower() in TABLES and path.is_file():
            photos = _of_table(path)
        elif path.is_dir():
            photos = [Photo(p) for p in _pictures_below(path, out)]
        elif path.exists():
            photos = [Photo(path)]
        else:
            raise ValueError(f"there is no file or folder {path}")
        if not photos:
            raise ValueError(f"{path} holds no pictures ({', '.join(sorted(PICTURE_SUFFIXES))})")
        found.update({photo.path: photo for photo in photos})
    return list(found.values())


def _pictures_below(folder: Path, out: Path | None) -> list[Path]:
    found = (p for p in sorted(folder.rglob("*")) if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file())
    if out is None or out.resolve() == folder.resolve():
        return list(found)
    return [p for p in found if out.resolve() not in p.resolve().parents]


def dataset_rows(data: Path, split: str) -> pd.DataFrame:
    """Return the rows of a split of a dataset, or of `all`, with what finding their pictures takes."""
    columns = ["id", "path", "latitude", "longitude", "split", "shard", "offset", "size"]
    photos = read_manifest(data, columns)
    return photos if split == "all" else photos[photos["split"] == split]


def _of_dataset(data: Path, split: str) -> list[Photo]:
    photos = dataset_rows(data, split)
    pictures = Pictures.of_dataset(data, photos)
    places = zip(coordinates(photos).tolist(), has_coordinates(photos).tolist(), strict=True)
    truths = [(lat_deg, lon_deg) if known else None for (lat_deg, lon_deg), known in places]
    rows = zip(photos["path"], truths, photos["shard"].notna(), strict=True)
    return [
        Photo(data / path, truth_deg, (pictures, k) if packed and not (data / path).is_file() else None)
        for k, (path, truth_deg, packed) in enumerate(rows)
    ]


def unique_names(photos: Sequence[Path]) -> dict[Path, str]:
    """Return a name for what is written of each photograph: its stem, with a number where two are called the same."""
    taken: set[str] = set()
    names = {}
    for photo in photos:
        numbered = (f"{photo.stem}-{number}" for number in count(2))
        # Some file systems do not tell upper from lower case.
        names[photo] = next(name for name in chain([photo.stem], numbered) if name.lower() not in taken)
        taken.add(names[photo].lower())
    return names


def files_of(photos: Sequence[Photo], out: Path) -> list[Path]:
    """Return each photograph's file; for those in shards, the one that each is to get in a folder."""
    names = unique_names([photo.path for photo in photos if photo.packed])
    return [out / f"{names[photo.path]}{photo.path.suffix}" if photo.packed else photo.path for photo in photos]


def unpacked(photos: Sequence[Photo], files: Sequence[Path]) -> list[Photo]:
    """Return photographs that all have files; those in shards get theirs of `files_of`."""
    found = []
    for photo, path in zip(photos, files, strict=True):
        if photo.packed is None:
            found.append(photo)
            continue
        pictures, index = photo.packed
        try:
            content = pictures.source(index)
        except ValueError as error:
            log.warning("left out: %s", error)
            continue
        assert isinstance(content, bytes), "what is packed lies in a shard"
        with atomic_path(path) as partial:
            partial.write_bytes(content)
        found.append(Photo(path, photo.truth_deg))
    return found


def _of_table(table: Path) -> list[Photo]:
    """Return the photographs that a table names, relative to its folder.

    Raises:
        ValueError: it cannot be read, or has no column of paths.
    """
    try:
        rows = pd.read_parquet(table) if table.suffix.lower() == ".parquet" else pd.read_csv(table, dtype=str)
    except (ValueError, OSError) as error:
        raise ValueError(f"{table} cannot be read as a table ({str(error).splitlines()[0]})") from None
    column = next((name for name in PATH_COLUMNS if name in rows), None)
    if column is None:
        raise ValueError(
            f"{table} has no column of paths ({', '.join(PATH_COLUMNS)}); it has {', '.join(map(str, rows))}"
        )
    return [Photo(table.parent / path) for path in rows[column].dropna().astype(str)]


Item = TypeVar("Item")


def evenly(photos: list[Item], limit: int | None) -> list[Item]:
    """Return at most so many photographs, evenly from all."""
    if limit is None or limit >= len(photos):
        return photos
    return [photos[k * len(photos) // limit] for k in range(limit)]
