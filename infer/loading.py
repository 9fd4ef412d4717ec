"""Photographs to batches of pixels, whatever becomes of the unreadable ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from infer.transform import InputTransform
from plumbing.images import PICTURE_SUFFIXES

FEW = 64
"""Below so many photographs, starting worker processes costs more than it saves."""


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

    def __init__(self, paths: Sequence[Path], transform: InputTransform) -> None:
        self.paths = [str(path) for path in paths]
        self.transform = transform

    def __len__(self) -> int:
        """Return how many photographs there are."""
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[int, Tensor | str]:
        """Return the index with pixels, or with the reason."""
        try:
            return index, self.transform.pixels(Path(self.paths[index]))
        except ValueError as error:
            return index, str(error)


def photo_batches(
    paths: Sequence[Path], transform: InputTransform, batch_size: int, workers: int
) -> Iterator[PhotoBatch]:
    """Yield photographs in order, in batches."""
    dataset = PhotoFiles(paths, transform)
    yield from DataLoader(
        dataset,
        batch_size,
        num_workers=workers if len(dataset) >= FEW else 0,
        collate_fn=_collate,
    )


def _collate(items: list[tuple[int, Tensor | str]]) -> PhotoBatch:
    read = [(index, content) for index, content in items if isinstance(content, Tensor)]
    pixels = torch.stack([content for _, content in read]) if read else torch.empty(0, 3, 1, 1, dtype=torch.uint8)
    unreadable = [(index, content) for index, content in items if isinstance(content, str)]
    return PhotoBatch(torch.tensor([index for index, _ in read], dtype=torch.long), pixels, unreadable)


def find_photos(given: Sequence[Path]) -> list[Path]:
    """Return files as given, and all pictures below the folders given, in order of their names.

    Raises:
        ValueError: nothing was given, a path does not exist, or a folder holds no pictures.
    """
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file())
            if not inside:
                raise ValueError(f"{path} holds no pictures ({', '.join(sorted(PICTURE_SUFFIXES))})")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise ValueError(f"there is no file or folder {path}")
    return list(dict.fromkeys(found))
