"""The head of a report: what the run is, the verdict on it, and the figures that are asked for first."""

from collections.abc import Mapping
from html import escape
from typing import Any

from infer.evaluate.verdict import Verdict, verdict
from plumbing.text import counted
from viz.report.comparison import Comparison
from viz.report.files import RunFiles
from viz.report.parts import kilometres, note, warned

SYNTHETIC = "Trained on the synthetic demo planet: its figures say nothing about real photographs."


def header_html(files: RunFiles, comparison: Comparison | None) -> str:
    """Return the head of a report as HTML."""
    record = files.record
    dataset = (record.get("dataset") or {}).get("name")
    counts = record.get("photographs") or {}
    trained = counted(counts["train"], "training photograph") if "train" in counts else "photographs"
    said = f"Trained on {trained}{f' of {dataset}' if dataset else ''}; begun {record['created_at_utc']}."
    synthetic = warned(SYNTHETIC) if record.get("synthetic") else ""
    outdated = "".join(map(warned, warnings(files)))
    judged = _verdict(files) + _compared(comparison)
    return f"<header><h1>{escape(str(record['name']))}</h1>{judged}{_tiles(files)}{synthetic}{outdated}{note(said)}</header>"


def _verdict(files: RunFiles) -> str:
    """Return the verdict on the first split measured; nothing where there is no baseline."""
    for report in files.test_first[:1]:
        if found := verdict(report):
            return _judged(found)
    return ""


def _judged(found: Verdict) -> str:
    kind = {True: "good", False: "bad", None: "open"}[found.better]
    return f'<p class="verdict {kind}">{escape(found.headline)}</p>{note(found.basis)}'


def _compared(comparison: Comparison | None) -> str:
    if comparison is None:
        return ""
    first = comparison.rows[0]
    kind = {True: "good", False: "bad", None: "open"}[first.better]
    said = f"{comparison.headline}: {comparison.headline_figure}."
    return f'<p class="verdict second {kind}">{escape(said)}</p>'


def warnings(files: RunFiles) -> list[str]:
    """Return what keeps the figures of a report from being those of the run."""
    return [
        f"{name} is of other weights than the run has now: run `python -m train calibrate` and `python -m infer evaluate` again"
        for name in files.outdated
    ]


def _tiles(files: RunFiles) -> str:
    """Return what is asked first, in large letters: the median error and GeoScore on the first split measured."""
    for report in files.test_first[:1]:
        if "classes" in report:
            return _class_tiles(report)
        model, chance = report["answers"]["model"], report["answers"].get("chance")
        tiles = [
            _tile(
                kilometres(model["median_km"]["value"]),
                "median error",
                chance and kilometres(chance["median_km"]["value"]),
            )
        ]
        tiles.append(
            _tile(
                f"{model['geoscore']['value']:,.0f}",
                "GeoScore, of 5,000",
                chance and f"{chance['geoscore']['value']:,.0f}",
            )
        )
        tiles.append(_photographs_tile(report))
        return f'<div class="tiles">{"".join(tiles)}</div>'
    return ""


def _class_tiles(report: Mapping[str, Any]) -> str:
    """Return the tiles of an evaluation of classes alone."""
    figures = report["classes"]
    largest = f"{figures['largest_class']['value']:.1%}"
    tiles = [_tile(f"{figures['top_1']['value']:.1%}", "best class right", largest, "always the largest class")]
    for coverage, own in list(figures["sets"].items())[-1:]:
        size = f"{own['mean_size']['value']:.1f}"
        tiles.append(_tile(size, f"of {counted(figures['classes'], 'class')} in a {float(coverage):.0%} set", None))
    tiles.append(_photographs_tile(report))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _photographs_tile(report: Mapping[str, Any]) -> str:
    number, noun = counted(report["photographs"], "photograph").split()
    return _tile(number, f"{noun} of the {report['split']} split", None)


def _tile(value: str, words: str, chance: str | None, compared: str = "chance") -> str:
    beside = f"<small>{compared}: {escape(chance)}</small>" if chance else ""
    return f"<div><b>{escape(value)}</b><span>{escape(words)}</span>{beside}</div>"
