"""The answers one by one: how far they are off, the best and the worst as photographs, and how another run did on them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from infer.wording import class_words
from viz.report.comparison import Comparison, comparison_html
from viz.report.errors import error_panel
from viz.report.files import RunFiles
from viz.report.line_chart import Panel, panel_html
from viz.report.parts import note, section
from viz.report.photographs import Sample, photographs_html, read_class_samples, read_samples
from viz.report.terms import terms

Samples = Mapping[str, list[Sample]]


def samples_of(files: RunFiles, data: Path) -> Samples:
    """Return photographs of the first evaluation of places, test first, or else of classes, out of its dataset folder.

    Raises:
        ValueError: there is none, it has no file of its photographs, or the dataset is another.
    """
    if placed := _placed(files):
        return read_samples(placed[1], data)
    if classed := _classed(files):
        name, answered = classed
        return read_class_samples(answered, _class_names(files, str(files.evaluations[name]["level"])), data)
    raise ValueError(
        f"{files.record['name']} has no evaluation that says how each photograph was answered, which --data shows: run "
        "`python -m infer evaluate --data DATASET --run RUN`, or leave --data out"
    )


def _class_names(files: RunFiles, level: str) -> list[str]:
    hierarchy = files.hierarchy
    if hierarchy is None or level not in hierarchy.level_names:
        raise ValueError(
            f"{files.record['name']} has no label map of the level {level} that was evaluated, which names the classes: "
            "copy the whole run folder, or leave --data out"
        )
    return [class_words(name, level) for name in hierarchy.name[hierarchy.rows(hierarchy.level_index(level))]]


def _placed(files: RunFiles) -> tuple[str, pd.DataFrame] | None:
    """Return the split and the answers of the first evaluation of places."""
    found = _with_column(files, "distance_km")
    return (str(files.evaluations[found[0]]["split"]), found[1]) if found else None


def _classed(files: RunFiles) -> tuple[str, pd.DataFrame] | None:
    """Return the name and the answers of the first evaluation of classes."""
    return _with_column(files, "right")


def _with_column(files: RunFiles, column: str) -> tuple[str, pd.DataFrame] | None:
    names = sorted(files.answered, key=lambda name: (files.evaluations[name]["split"] != "test", name))
    return next(((name, files.answered[name]) for name in names if column in files.answered[name]), None)


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
    return section("Answers one by one", *parts, terms(*_words_of(files, comparison)))


def _words_of(files: RunFiles, comparison: Comparison | None) -> list[str]:
    """Return the terms that the section uses."""
    places = _placed(files) is not None or (comparison is not None and comparison.errors_km is not None)
    if not places and not _classed(files):
        return ["Groups (leakage groups)"]
    used = ["GeoScore", "Median error"] if places else ["Class"]
    return [*used, *(["Interval"] if places or comparison is not None else []), "Groups (leakage groups)"]


CURVE = (
    "The height of the curve at 100 km is the share of photographs that are answered within 100 km. Higher is better."
)


def _photographs(files: RunFiles, samples: Samples | None) -> str:
    placed = _placed(files)
    of_dataset = (
        "They are shown where their dataset is named",
        "python -m viz report --run RUN --data DATASET --out report.html",
    )
    if placed is None and (classed := _classed(files)):
        return photographs_html(samples, str(files.evaluations[classed[0]]["split"]), of_dataset, classes=True)
    if placed is None:
        if not any("answers" in report for report in files.evaluations.values()):
            return ""
        again = (
            "The evaluation has no answers one by one; measure again with",
            "python -m infer evaluate --data DATASET --run RUN",
        )
        return photographs_html(None, "", again)
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
