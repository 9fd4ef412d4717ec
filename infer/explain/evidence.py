"""What an answer rests on: the heat map of its photograph, and the training photographs most like it."""

import numpy as np
from numpy.typing import NDArray

from dataset.images import Pictures
from infer.answer import Extras
from infer.drawing import small_jpeg
from infer.explain.occlusion import METHOD, explain
from infer.explain.retrieval import Neighbours, unit_features
from infer.images import Images
from infer.model import Model
from infer.prediction import Explanation
from infer.prepared import Answered
from plumbing.images import open_rgb

SIMILAR_SIDE = 200


def explained(
    images: Images,
    index: int,
    answered: Answered,
    model: Model,
    neighbours: Neighbours | None,
    truth_deg: tuple[float, float] | None,
) -> Extras:
    """Return the heat map of an image and the training photographs most like it.

    Args:
        images: of which one is explained.
        index: which.
        answered: one row of answers, its own.
        model: what answered.
        neighbours: training photographs to compare with, if any.
        truth_deg: where the photograph was taken, if a dataset knows it.
    """
    source, leaf = images.source(index), answered.posterior[-1][0]
    names = model.hierarchy.name[model.hierarchy.rows(model.hierarchy.depth - 1)]
    found = explain(model, model.transform.pixels(source), leaf, names[int(leaf.argmax())])
    explanation, heat = Explanation(found.cell, found.against, METHOD), found.heat
    if model.transform.resize == "crop":
        width, height = (
            source.size if not isinstance(source, bytes) and hasattr(source, "size") else open_rgb(source).size
        )
        heat = uncropped(heat, width, height)
    if neighbours is None:
        return Extras(truth_deg, explanation=explanation, heat=heat)
    similar = neighbours.similar(unit_features(answered.output)[0], answered.points_deg[0])
    pictures = neighbours.pictures([one.id for one in similar])
    jpegs = [_readable_jpeg(pictures, k) for k in range(len(pictures))]
    return Extras(truth_deg, explanation=explanation, heat=heat, similar=similar, similar_jpeg=jpegs)


def uncropped(heat: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    """Return the heat of a middle square as that of a whole picture of some shape: the network saw nothing beside it."""
    side = len(heat)
    longer = max(side, round(side * max(width, height) / min(width, height)))
    before = (longer - side) // 2
    beside = (before, longer - side - before)
    return np.pad(heat, ((0, 0), beside) if width > height else (beside, (0, 0)))


def _readable_jpeg(pictures: Pictures, index: int) -> bytes | None:
    try:
        return small_jpeg(pictures.source(index), SIMILAR_SIDE)
    except ValueError:
        return None
