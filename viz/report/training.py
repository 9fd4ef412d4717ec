"""How a run was trained: curves by epoch, for each network that wrote into metrics.jsonl."""

import base64
import re
from collections.abc import Sequence
from dataclasses import replace
from html import escape

from plumbing.text import counted
from viz.report.files import NetworkFile, RunFiles, Trained, number
from viz.report.line_chart import Line, Panel, panel_html
from viz.report.parts import missing, note, section

TRAIN_COLOUR, CHECK_COLOUR = "series-soft", "series-1"
LEVEL_COLOURS = ("series-1", "series-2", "series-3", "series-4", "series-5", "series-6")
"""By level, coarse to fine; further levels begin again."""


def training_section(files: RunFiles) -> str:
    """Return the section on training as HTML."""
    if not files.training:
        return section(
            "Training", missing("No epoch was recorded; train with", "python -m train joint --data DATASET --run RUN")
        )
    parts = [_network_html(trained, files) for trained in files.training]
    if files.damaged_lines:
        parts.append(note(f"{counted(files.damaged_lines, 'line')} of metrics.jsonl cannot be read, left out."))
    placed = any("val/geoscore" in epoch for trained in files.training for epoch in trained.epochs)
    axes = "; the axes of error and GeoScore are the same for all networks" if placed else ""
    return section(
        "Training",
        note(f"Validation (val) is on the calibration split{axes}."),
        *parts,
        _augmentations(files),
    )


def _augmentations(files: RunFiles) -> str:
    """Return the sheet of training pictures that `python -m viz augmentations` drew; nothing where the run has none."""
    if files.augmentations is None:
        return ""
    said = "Training pictures as the network sees them: first as they are validated, then as single epochs learn them."
    picture = base64.b64encode(files.augmentations).decode()
    return (
        f'<h3>Random changes</h3>{note(said)}<img class="sheet" alt="Rows of training pictures, the first unchanged, the others '
        f'changed at random" src="data:image/jpeg;base64,{picture}">'
    )


def _network_html(trained: Trained, files: RunFiles) -> str:
    network = _file(trained, files)
    drawn = "".join(map(panel_html, training_panels(trained, files)))
    said = _summary(trained, _kept_epoch(network)) + _readout_words(network)
    return f'<h3>{escape(files.title(trained.name))}</h3>{note(said)}<div class="panels">{drawn}</div>'


def training_panels(trained: Trained, files: RunFiles) -> list[Panel]:
    """Return the curves of a network, with the epoch whose weights the run has marked."""
    best = _kept_epoch(_file(trained, files))
    mark = None if best is None else (best, f"the weights of the run are of epoch {best}")
    panels = (_loss(trained), _top1(trained), *_distances(trained, files.training))
    return [_marked(panel, mark) for panel in panels if panel is not None]


def _file(trained: Trained, files: RunFiles) -> NetworkFile | None:
    names = {network.name.removesuffix(".safetensors"): network for network in files.networks}
    return names.get(trained.name)


def _kept_epoch(network: NetworkFile | None) -> int | None:
    epoch = network.trained.get("epochs") if network is not None else None
    return epoch if isinstance(epoch, int) else None


def _marked(panel: Panel, mark: tuple[float, str] | None) -> Panel:
    inside = mark is not None and panel.x_range[0] <= mark[0] <= panel.x_range[1]
    return replace(panel, mark=mark if inside else None)


def _summary(trained: Trained, best: int | None) -> str:
    count = len(trained.epochs)
    said = counted(count, "epoch")
    if best is not None:
        said += f"; the run keeps the weights of epoch {best} (thin line)"
    if trained.replaced:
        lines = counted(trained.replaced, "line")
        said += f"; {lines} of earlier or interrupted trainings of this network were replaced and are not drawn"
    return said + "."


def _readout_words(network: NetworkFile | None) -> str:
    """Return what became of the heads after the last epoch."""
    trained = network.trained if network is not None else {}
    if not trained.get("readout_epochs"):
        return ""
    score, median = (number(trained.get("metrics") or {}, f"val/{name}") for name in ("geoscore", "median_km"))
    reached = "" if score is None or median is None else f": GeoScore {score:,.0f}, median {median:,.0f} km (val)"
    return f" Then a hidden layer on the features of the trunk was fitted in the place of linear heads{reached}."


def _points(trained: Trained, key: str) -> list[tuple[float, float]]:
    found = [(float(epoch["epoch"]), number(epoch, key)) for epoch in trained.epochs]
    return [(epoch, value) for epoch, value in found if value is not None]


def _epochs(trained: Trained) -> tuple[float, float]:
    return float(trained.epochs[0]["epoch"]), float(trained.epochs[-1]["epoch"])


def _panel(trained: Trained, title: str, lines: Sequence[Line], y_range: tuple[float, float], y_words: str) -> Panel:
    return Panel(title, "epoch", lines, _epochs(trained), y_range, y_words.format, "{:.0f}".format, whole_x=True)


def _loss(trained: Trained) -> Panel | None:
    lines = [
        Line("train", TRAIN_COLOUR, _points(trained, "train/loss"), dashed=True),
        Line("val", CHECK_COLOUR, _points(trained, "val/loss")),
    ]
    lines = [line for line in lines if line.points]
    values = [value for line in lines for _, value in line.points]
    if not values:
        return None
    margin = 0.05 * (max(values) - min(values)) or 0.05 * abs(values[0]) or 1.0
    return _panel(trained, "Loss", lines, (min(values) - margin, max(values) + margin), "{:.3g}")


def _top1(trained: Trained) -> Panel | None:
    """Return the share of best cells that are right, a line for each level in the order of the file."""
    keys = dict.fromkeys(key for epoch in trained.epochs for key in epoch if re.fullmatch(r"val/.+_top1", key))
    levels = [(key.removeprefix("val/").removesuffix("_top1"), _points(trained, key)) for key in keys]
    lines = [
        Line(name, LEVEL_COLOURS[k % len(LEVEL_COLOURS)], points) for k, (name, points) in enumerate(levels) if points
    ]
    return _panel(trained, "Best cell is right (top-1)", lines, (0, 1), "{:.0%}") if lines else None


def _distances(trained: Trained, everything: Sequence[Trained]) -> list[Panel]:
    """Return median error and GeoScore, on axes that all networks share."""
    panels = []
    for title, key in (("Median error, km", "val/median_km"), ("GeoScore, of 5,000", "val/geoscore")):
        line = Line("", CHECK_COLOUR, _points(trained, key))
        highest = max((value for other in everything for _, value in _points(other, key)), default=0.0)
        if line.points:
            panels.append(_panel(trained, title, [line], (0, 1.05 * highest or 1.0), "{:,.0f}"))
    return panels
