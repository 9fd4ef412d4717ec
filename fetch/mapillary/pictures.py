"""Pixels: fetched, decoded whole, measured, and written whole or not at all."""

import hashlib
import io
import json
import os
import shutil
import threading
from dataclasses import asdict
from typing import Any

import numpy as np
from PIL import Image

from dataset.manifest import image_path
from dataset.perspective import perspective
from dataset.spheres import Sphere
from fetch.client import Answer, Damaged, Exhausted
from fetch.mapillary.api import Graph
from fetch.mapillary.config import MapillaryConfig
from fetch.mapillary.errors import Expired, Gone
from fetch.mapillary.facts import Facts
from fetch.mapillary.state import PARTIAL, State
from fetch.mapillary.transport import Transport
from fetch.panoramas import MODIFICATION
from fetch.quality import measure
from fetch.stored import JPEG_QUALITY
from plumbing.images import open_rgb

NEW_ADDRESSES = 3
"""So often a picture's address may have expired before it counts as a failure."""

CROP_SIZE = (1024, 768)
"""Width and height of what is cut from a panorama."""


class Album:
    """The pictures of a dataset folder."""

    def __init__(self, config: MapillaryConfig, state: State, transport: Transport, graph: Graph) -> None:
        self._config = config
        self._state = state
        self._transport = transport
        self._graph = graph
        self._partial = config.out / PARTIAL

    def clean(self) -> None:
        """Remove what an earlier run was writing when it ended."""
        shutil.rmtree(self._partial, ignore_errors=True)

    def obtain(self, facts: Facts, url: str) -> dict[str, Any]:
        """Store one picture and return its measures; one that is stored already is only measured.

        Raises:
            Exhausted: it did not come.
            Gone: the source deleted it meanwhile.
        """
        path = image_path(str(facts.image), np.array([facts.lat, facts.lon]))
        if (found := self._adopted(facts, path)) is not None:
            return found
        for _ in range(NEW_ADDRESSES):
            try:
                body, picture = self._transport.fetch("images", url, _decoded)
            except Expired as error:
                said = str(error)
                described = self._graph.describe([facts.image])
                if facts.image in described.gone:
                    raise Gone(described.gone[facts.image]) from None
                if facts.image not in described.urls:
                    raise Exhausted(described.failed.get(facts.image, "it has no thumbnail")) from None
                url = described.urls[facts.image]
                continue
            return self._keep(facts, path, body, picture)
        raise Exhausted(said)

    def _adopted(self, facts: Facts, path: str) -> dict[str, Any] | None:
        """Return the measures of a file that an interrupted run wrote but could not enter; None without one."""
        file = self._config.out / path
        if not file.is_file():
            return None
        body = file.read_bytes()
        try:
            return self._enter(facts, path, body, open_rgb(body, self._config.max_side))
        except ValueError:
            file.unlink()
            return None

    def _keep(self, facts: Facts, path: str, body: bytes, picture: Image.Image) -> dict[str, Any]:
        """Write one picture: as it came, unless it is too large or a view has to be cut from it."""
        view = facts.is_pano
        if view:
            picture = forward_view(picture)
        if view or max(picture.size) > self._config.max_side:
            picture.thumbnail((self._config.max_side, self._config.max_side))
            encoded = io.BytesIO()
            picture.save(encoded, "JPEG", quality=JPEG_QUALITY)
            body = encoded.getvalue()
        target = self._config.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self._partial.mkdir(exist_ok=True)
        partial = self._partial / f"{facts.image}.{threading.get_ident()}"
        try:
            with partial.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        return self._enter(facts, path, body, picture)

    def _enter(self, facts: Facts, path: str, body: bytes, picture: Image.Image) -> dict[str, Any]:
        """Measure a stored picture and enter it into the state."""
        measures = asdict(measure(picture))
        crop = MODIFICATION if facts.is_pano else ""
        self._state.store(
            {
                "id": facts.image,
                "path": path,
                "lat": facts.lat,
                "lon": facts.lon,
                "sequence": facts.sequence,
                "creator": facts.creator,
                "measures": json.dumps(measures),
                "sha256": hashlib.sha256(body).hexdigest(),
                "bytes": len(body),
                "width": picture.width,
                "height": picture.height,
                "fetched_at_utc": self._state.now_utc().isoformat(timespec="seconds"),
                "modification": crop or "thumbnail by Mapillary",
            }
        )
        return measures


def _decoded(answer: Answer) -> tuple[bytes, Image.Image]:
    """Return a JPEG with its pixels.

    Raises:
        Damaged: it is something else, or cannot be decoded to the end.
    """
    if not answer.body.startswith(b"\xff\xd8\xff"):
        raise Damaged("what came is not a JPEG")
    try:
        return answer.body, open_rgb(answer.body)
    except ValueError as error:
        raise Damaged(str(error)) from None


def forward_view(panorama: Image.Image) -> Image.Image:
    """Return what a camera in the middle of an equirectangular panorama sees straight ahead (gnomonic)."""
    return perspective(panorama, Sphere(), 0.0, CROP_SIZE)
