"""The answers one by one: how far they are off, the best and the worst as photographs, and how another run did on them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from viz.report.comparison import Comparison, comparison_html
from viz.report.errors import error_panel
from viz.report.files import RunFiles
from viz.report.line_chart import Panel, panel_html
from viz.report.parts import note, section
from viz.report.photographs import Sample, photographs_html
from viz.report.terms import terms

Samples = Mapping[str, list[Sample]]


def placed_answers(files: RunFiles) -> pd.DataFrame:
    """Return the answers of the first evaluation of places, test first.

    Raises:
        ValueError: there is none, or it has no file of its photographs.
    """
    if found := _placed(files):
        return found[1]
    raise ValueError(
        f"{files.record['name']} has no evaluation that says how far each photograph is off, which --data shows: run "
        "`python -m infer evaluate` again, or leave --data out"
    )


def _placed(files: RunFiles) -> tuple[str, pd.DataFrame] | None:
    """Return the split and the answers of the first evaluation of places."""
    names = sorted(files.answered, key=lambda name: (files.evaluations[name]["split"] != "test", name))
    for name in names:
        if "distance_km" in files.answered[name]:
            return str(files.evaluations[name]["split"]), files.answered[name]
    return None


def answers_section(files: RunFiles, samples: Samples | None, comparison: Comparison | None) -> str:
    """Return the section of the answers as HTML; nothing where no place was evaluated and nothing is compared."""
    parts = []
    if comparison is not None:
        parts += [f"<h3>Against another run</h3>{comparison_html(comparison)}"]
    if panel := distance_panel(files, comparison):
        parts += [f'<div class="panels large">{panel_html(panel)}{note(CURVE)}</div>']
    parts.append(_photographs(files, samples))
    if not any(parts):
        return ""
    return section(
        "Answers one by one", *parts, terms("GeoScore", "Median error", "Interval", "Groups (leakage groups)")
    )


CURVE = (
    "The height of the curve at 100 km is the share of photographs that are answered within 100 km. Higher is better."
)


def _photographs(files: RunFiles, samples: Samples | None) -> str:
    placed = _placed(files)
    if placed is None:
        if not any("answers" in report for report in files.evaluations.values()):
            return ""
        again = (
            "The evaluation has no answers one by one; measure again with",
            "python -m infer evaluate --data DATASET --run RUN",
        )
        return photographs_html(None, "", again)
    of_dataset = (
        "They are shown where their dataset is named",
        "python -m viz report --run RUN --data DATASET --out report.html",
    )
    return photographs_html(samples, placed[0], of_dataset)


def distance_panel(files: RunFiles, comparison: Comparison | None) -> Panel | None:
    """Return the curve of errors, that of another run beside it; None where no place was evaluated."""
    if comparison is not None and comparison.errors_km is not None:
        both: dict[str, NDArray[np.float64]] = dict(
            zip(("this run", _short(comparison.other)), comparison.errors_km, strict=True)
        )
        return error_panel(both, comparison.split)
    placed = _placed(files)
    return error_panel({"": placed[1]["distance_km"].to_numpy()}, placed[0]) if placed else None


def _short(name: str, most: int = 15) -> str:
    """Return a name that has room at the end of a line."""
    return name if len(name) <= most else f"{name[: most - 1]}…"
