"""What the pages of an answer are drawn from beside the answer itself: the photograph, outlines of cells, a heat map."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image

from geocells.hierarchy import Hierarchy
from infer.decode.region import cell_outline
from plumbing.images import open_rgb
from plumbing.videos import frames_of, is_video

THUMBNAIL_SIDE = 480
SEVERAL_SIDE = 240
"""Of each of several photographs of one place."""
FRAMES_SHOWN = 6
"""Frames of a video on the page of its answer."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """What is drawn of an answer.

    Attributes:
        source: the photograph: a file, its bytes, or an opened picture.
        hierarchy: the cells, for their outlines.
        heat: (H, W) over the whole photograph, in nats; None where no explanation was asked for.
        similar_jpeg: a small picture of each similar photograph; None where it cannot be read.
        sources: all photographs, where several of one place were answered together.
    """

    source: Path | bytes | Image.Image
    hierarchy: Hierarchy
    heat: NDArray[np.float64] | None = field(default=None, repr=False)
    similar_jpeg: Sequence[bytes | None] = field(default=(), repr=False)
    sources: Sequence[Path | bytes | Image.Image] = field(default=(), repr=False)

    def thumbnail_jpeg(self, side: int = THUMBNAIL_SIDE) -> bytes | None:
        """Return the photograph as a small JPEG without metadata; None where it is gone by now."""
        return _jpeg_or_none(self.source, side)

    def thumbnails_jpeg(self, side: int = SEVERAL_SIDE) -> list[bytes | None]:
        """Return each of several photographs of one place, like `thumbnail_jpeg`."""
        return [_jpeg_or_none(source, side) for source in self.sources]

    def frames_jpeg(self, side: int = SEVERAL_SIDE, most: int = FRAMES_SHOWN) -> list[tuple[float, bytes]]:
        """Return frames of a video evenly over it as small JPEGs, with their seconds; none of a picture, or of what is gone."""
        if not is_video(self.source):
            return []
        try:
            # Of its whole length, however long that is.
            return [(frame.at_s, small_jpeg(frame.picture, side)) for frame in frames_of(self.source, 0.5, most)]
        except ValueError:
            return []

    def outlines(self, level_name: str, cells: Sequence[str]) -> list[shapely.Geometry | None]:
        """Return the outline of each cell of a level, (longitude, latitude); None for one that is its box."""
        depth = self.hierarchy.level_index(level_name)
        rows = self.hierarchy.rows(depth)
        known = {name: rows.start + k for k, name in enumerate(self.hierarchy.name[rows])}
        keys = self.hierarchy.key[[known[cell] for cell in cells]].tolist()
        return [cell_outline(self.hierarchy.partition, key, depth) for key in keys]


def _jpeg_or_none(source: Path | bytes | Image.Image, side: int) -> bytes | None:
    try:
        if is_video(source):
            frames = list(frames_of(source, 0.5, 3))
            return small_jpeg(frames[len(frames) // 2].picture, side)
        return small_jpeg(source, side)
    except ValueError:
        return None


def small_jpeg(source: Path | bytes | Image.Image, side: int) -> bytes:
    """Return a small JPEG of a picture, without its metadata.

    Args:
        source: a file, the bytes of one, or an opened picture.
        side: the longer one at most, in pixels.

    Raises:
        ValueError: it cannot be read.
    """
    encoded = io.BytesIO()
    if isinstance(source, Image.Image):
        picture = source.convert("RGB")
        picture.thumbnail((side, side))
    else:
        picture = open_rgb(source, side)
    picture.save(encoded, "JPEG", quality=80)
    return encoded.getvalue()
