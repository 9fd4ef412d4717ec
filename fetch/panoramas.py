"""Panoramas among the photographs of an import: each is cut into views, which are photographs of their own in one sequence."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from dataset.exif import read_metadata
from dataset.panoramas import cut_views, find_sphere, view_yaws
from dataset.perspective import VIEW_DEG
from dataset.spheres import Sphere
from fetch.candidates import Candidate

KNOWN_BY = ["source", "source_id", "sequence_id", "latitude", "longitude"]
"""Columns in which the views of one panorama are equal."""
MODIFICATION = f"view of {VIEW_DEG:g} degrees cut from a panorama"
"""What the manifest says was changed of a picture that is such a view."""


class Panoramas:
    """What cuts panoramas, and how many there were.

    Attributes:
        count: panoramas that were cut so far.
        views: what they were cut into.
    """

    def __init__(self, panorama: str, stated_first: bool) -> None:
        """Hold the flag, and whether the direction that comes with a photograph, by a table, goes before that of its GPano."""
        self._panorama, self._stated_first = panorama, stated_first
        self.count = self.views = 0

    def cut(self, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        """Yield photographs as they are, and the views of each panorama in its place."""
        for candidate in candidates:
            source = candidate.picture
            sphere = None
            if isinstance(source, Path | bytes):
                stated = candidate.fields.get("is_pano") is True
                sphere = find_sphere(source, self._panorama, stated)
            if sphere is None or not isinstance(source, Path | bytes):
                yield candidate
                continue
            yaws = view_yaws(sphere, self._panorama)
            self.count, self.views = self.count + 1, self.views + len(yaws)
            yield from self._views(candidate, source, sphere, yaws)

    def _views(
        self, candidate: Candidate, source: Path | bytes, sphere: Sphere, yaws: list[float]
    ) -> Iterator[Candidate]:
        heading = self._heading_deg(candidate, source, sphere)
        known_by = candidate.known_by or _known_by(source)
        for number, yaw in enumerate(yaws, 1):
            fields = {
                "source_id": candidate.id,
                **candidate.fields,
                # By it no split divides them, whatever is known of the place.
                "sequence_id": candidate.fields.get("sequence_id") or f"panorama {candidate.id}",
                "compass_angle": None if heading is None else round((heading + yaw) % 360, 2),
                "is_pano": False,
                "modification": MODIFICATION,
            }
            yield replace(
                candidate,
                id=f"{candidate.id}-view-{number}",
                picture=partial(_view, source, sphere, yaw),
                fields=fields,
                known_by=f"{known_by} panorama {sphere} {yaw:g}",
            )

    def _heading_deg(self, candidate: Candidate, source: Path | bytes, sphere: Sphere) -> float | None:
        """Return the compass direction of the middle of a panorama; None where nothing says it."""
        stated = candidate.fields.get("compass_angle")
        found = (stated, sphere.heading_deg) if self._stated_first else (sphere.heading_deg, stated)
        known = next((float(angle) for angle in found if angle is not None), None)
        return read_metadata(source).compass_angle if known is None else known


def _known_by(source: Path | bytes) -> str:
    """Return by what a panorama is known again, as `fetch.ingest` knows a photograph."""
    if isinstance(source, bytes):
        return hashlib.blake2b(source, digest_size=16).hexdigest()
    about = source.stat()
    return f"{source.resolve()} {about.st_size} {about.st_mtime_ns}"


def _view(source: Path | bytes, sphere: Sphere, yaw_deg: float, max_side: int) -> Image.Image:
    return cut_views(source, sphere, [yaw_deg], max_side)[0]


def shots(photos: pd.DataFrame) -> NDArray[np.int64]:
    """Return the number of the shot that each photograph of a manifest is of: the views of one panorama are of one shot.

    Args:
        photos: rows of a manifest; without a column `modification` each is a shot of its own.
    """
    found = np.arange(len(photos))
    if "modification" not in photos:
        return found
    rows = np.flatnonzero(photos["modification"].fillna("").astype(str).str.startswith(MODIFICATION).to_numpy())
    if len(rows):
        of_views = photos.iloc[rows].groupby(KNOWN_BY, dropna=False, sort=False).ngroup().to_numpy()
        found[rows] = rows[np.unique(of_views, return_index=True)[1]][of_views]
    return found
