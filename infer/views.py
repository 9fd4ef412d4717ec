"""What networks say of the views of one file, as the answer of one file."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from infer.decode.multi_image import Agreement, agreement, fuse_photographs
from infer.decode.posterior import sum_up
from infer.network.output import NetworkOutput
from infer.parts import VIDEO, View
from infer.prepared import Answered, Prepared
from plumbing.text import agreeing, counted
from plumbing.videos import MOST_FRAMES

COUNTED = 4
"""However many views a file has, together they count as much as so many photographs: frames of a clip repeat each other."""


def together_as_one(
    prepared: Prepared, posterior: Sequence[Tensor], temperature: float
) -> tuple[list[Tensor], Agreement]:
    """Return the posterior of the one place that (N, classes) log probabilities per level speak of, and how they agree."""
    agrees = agreement(posterior[max(0, len(posterior) - 2)], temperature)
    return sum_up(prepared.model.tree, fuse_photographs(posterior[-1], temperature)[None]), agrees


def view_temperature(prepared: Prepared, count: int) -> float:
    """Return the temperature at which the views of a file are fused."""
    return min(prepared.options.same_place_temperature * max(1.0, count / COUNTED), count)


def file_posterior(prepared: Prepared, output: NetworkOutput) -> tuple[list[Tensor], Agreement]:
    """Return the posterior of a file, of whose views these are the outputs, and how the views agree."""
    posterior = prepared.model.posterior(output.logits)
    return together_as_one(prepared, posterior, view_temperature(prepared, len(posterior[-1])))


def by_file(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the positions of each file in (B,) numbers of files, in the order of the files."""
    starts = np.flatnonzero(np.diff(rows, prepend=rows[:1] - 1))
    return np.split(np.arange(len(rows)), starts[1:])


def answers_of_files(
    prepared: Prepared, rows: NDArray[np.int64], output: NetworkOutput, regions: bool = True
) -> Iterator[tuple[NDArray[np.int64], Answered, Agreement | None]]:
    """Yield numbers of files with what is answered for them: first ordinary photographs together, then what was cut, each.

    Args:
        prepared: what answers.
        rows: (B,) the number of the file of each row.
        output: of the networks, (B, ...).
        regions: whether regions are found too.
    """
    files = by_file(rows)
    cut = [at for at in files if len(at) > 1]
    if not cut:
        yield rows, prepared.answer(output, regions=regions), None
        return
    if len(cut) < len(files):
        single = np.concatenate([at for at in files if len(at) == 1])
        yield rows[single], prepared.answer(output.at(single), regions=regions), None
    for at in cut:
        own = output.at(at)
        posterior, agrees = file_posterior(prepared, own)
        yield rows[at[:1]], prepared.answer(own.one_place(), posterior, regions), agrees


def judged(views: Sequence[View], agrees: Agreement | None, name: str) -> tuple[View, ...]:
    """Return views of a file with its name and with how each agrees with the others."""
    if agrees is None:
        return tuple(replace(view, input=name) for view in views)
    return tuple(
        replace(
            view,
            input=name,
            agreement=None if np.isnan(share) else round(float(share), 4),
            contradicts=k in agrees.contradicting,
        )
        for k, (view, share) in enumerate(zip(views, agrees.shared.tolist(), strict=True))
    )


def views_warnings(views: Sequence[View], every_s: float) -> list[str]:
    """Return what to know of frames of a video: that some contradict the others, that there are fewer than were asked for.

    Views of a panorama, or of one frame, look at other things, and need not agree; a frame contradicts with all its views.
    """
    frames: dict[float, bool] = {}
    for view in views:
        if view.kind == VIDEO and view.at_s is not None:
            frames[view.at_s] = frames.get(view.at_s, True) and view.contradicts
    warnings = []
    if odd := [at_s for at_s, contradicts in frames.items() if contradicts]:
        at = ", ".join(f"{at_s:g} s" for at_s in odd)
        warnings.append(
            f"{len(odd)} of {counted(len(frames), 'frame')} {agreeing(len(odd), 'contradict')} the others: at {at}; "
            "does the clip show several places?"
        )
    if len(frames) == MOST_FRAMES and (step_s := list(frames)[1]) > 1.01 * every_s:
        warnings.append(
            f"at most {MOST_FRAMES} frames of a video are taken: one every {step_s:g} s, not every {every_s:g} s"
        )
    return warnings
