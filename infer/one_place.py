"""One prediction for several photographs of one place."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from infer.answer import Extras, one_prediction
from infer.images import Images
from infer.network.output import NetworkOutput
from infer.parts import View
from infer.prediction import Prediction
from infer.prepared import Prepared
from infer.views import file_posterior, judged, together_as_one
from plumbing.text import agreeing

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Seen:
    """One photograph of several of one place.

    Attributes:
        images: among which it lies.
        index: which of them it is.
        number: which of all.
        output: what the networks say of it, a row for each of its views.
        views: of a panorama or a video.
    """

    images: Images
    index: int
    number: int
    output: NetworkOutput
    views: tuple[View, ...]


def one_place(prepared: Prepared, seen: Sequence[Seen]) -> Prediction:
    """Return the one prediction of several photographs of one place."""
    described = [photo.images.described(photo.index, photo.number) for photo in seen]
    # A photograph that is given twice says no more than once.
    _, kept, of = np.unique([photo.sha256 for photo in described], return_index=True, return_inverse=True)
    if len(kept) < len(seen):
        again = len(seen) - len(kept)
        log.warning(
            f"{again} of {len(seen)} photographs {agreeing(again, 'repeat')} others exactly, and each counts once"
        )
    # At their number photographs count as one, which is the most that they can repeat each other.
    model, temperature = prepared.model, min(prepared.options.same_place_temperature, len(kept))
    outputs = [seen[k].output for k in kept]
    output = NetworkOutput.joined(outputs)
    if len(output.features) == len(kept):
        posterior = model.posterior(output.logits)
    else:
        # A panorama or a video among them is one photograph.
        each = [file_posterior(prepared, own)[0] for own in outputs]
        posterior = [torch.cat(level) for level in zip(*each, strict=True)]
    fused, agrees = together_as_one(prepared, posterior, temperature)
    answered = prepared.answer(output.one_place(), fused)
    views = tuple(
        view for photo, about in zip(seen, described, strict=True) for view in judged(photo.views, None, about.name)
    )
    return one_prediction(prepared, described, answered.row(0), Extras(agreement=agrees.of_each(of), views=views))
