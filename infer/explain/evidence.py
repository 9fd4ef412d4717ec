"""What an answer rests on: what in the photograph speaks for it, and the training photographs most like it."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dataset.images import Pictures
from infer.explain.occlusion import explain
from infer.explain.retrieval import Neighbours, unit_features
from infer.images import Photo
from infer.model import Model, NetworkOutput
from plumbing.images import open_rgb

NEIGHBOUR_SIDE = 200


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is drawn of it, beside what the record says.

    Attributes:
        heat: (H, W) over the whole photograph, in nats; None where it was not asked for.
        neighbours_jpeg: a small picture of each neighbour of the record; None where it cannot be read.
    """

    heat: NDArray[np.float64] | None = None
    neighbours_jpeg: Sequence[bytes | None] = ()


def add_evidence(
    record: dict[str, Any],
    photo: Photo,
    log_leaf: Tensor,
    seen: NetworkOutput,
    model: Model,
    neighbours: Neighbours | None,
) -> Evidence:
    """Add `explanation` and `neighbours` to a photograph's record and return what is drawn of them.

    Args:
        record: of `answer_record`.
        photo: the photograph.
        log_leaf: (leaves,) log probabilities of the finest cells, as answered.
        seen: what the networks saw on this photograph.
        model: what answered.
        neighbours: training photographs to compare with, if any.
    """
    found = explain(model, model.transform.pixels(photo.path), log_leaf, record["levels"][-1]["cells"][0]["id"])
    record["explanation"] = found.record()
    heat = found.heat
    if model.transform.resize == "crop":
        heat = uncropped(heat, *open_rgb(photo.path, NEIGHBOUR_SIDE).size)
    if neighbours is None:
        return Evidence(heat)
    point_deg = record["point"]["latitude"], record["point"]["longitude"]
    record["neighbours"] = neighbours.records(unit_features(seen)[0], point_deg)
    pictures = neighbours.pictures([one["id"] for one in record["neighbours"]])
    return Evidence(heat, [_readable_jpeg(pictures, k) for k in range(len(pictures))])


def uncropped(heat: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    """Return the heat of a middle square as that of a whole picture of some shape: nothing was seen beside it."""
    side = len(heat)
    longer = max(side, round(side * max(width, height) / min(width, height)))
    before = (longer - side) // 2
    beside = (before, longer - side - before)
    return np.pad(heat, ((0, 0), beside) if width > height else (beside, (0, 0)))


def _readable_jpeg(pictures: Pictures, index: int) -> bytes | None:
    try:
        return small_jpeg(pictures.source(index), NEIGHBOUR_SIDE)
    except ValueError:
        return None


def small_jpeg(source: Path | bytes, side: int) -> bytes:
    """Return a small JPEG of a picture, without its metadata.

    Args:
        source: a file, or the bytes of one.
        side: the longer one at most, in pixels.
    """
    encoded = io.BytesIO()
    open_rgb(source, side).save(encoded, "JPEG", quality=80)
    return encoded.getvalue()
