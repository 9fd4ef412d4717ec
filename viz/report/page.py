"""A run and its evaluations as one page that opens from disk."""

import logging
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from geocells.hierarchy import Hierarchy
from infer.config import RENAMED_FUSIONS
from plumbing.files import write_text
from plumbing.text import counted
from viz.config import ReportConfig
from viz.report.answers import Samples, answers_section, samples_of
from viz.report.balance import balance_html
from viz.report.comparison import Comparison, compare
from viz.report.files import RunFiles, read_files
from viz.report.header import header_html, warnings
from viz.report.maps import maps_html, world_maps
from viz.report.parts import BEST_GEOSCORE, area_words, bar, facts, missing, note, section, table, warned
from viz.report.pictures import write_pictures
from viz.report.quality import quality_sections
from viz.report.terms import terms
from viz.report.training import training_section
from viz.web.page import look

OLD_LIMITS = (0.05, 20.0)
"""Of temperatures, before calibration wrote them into its file."""

log = logging.getLogger(__name__)

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The browser itself is told to load nothing, and to run nothing: the page has no script."""


def write_report(config: ReportConfig) -> None:
    """Write the report of a run, and each of its figures as a PNG where a folder is named for them.

    Raises:
        ValueError: there is no run, one of its files is damaged, or what is to be compared or shown is not there.
    """
    files = read_files(config.run)
    comparison = None if config.against is None else compare(files, read_files(config.against))
    samples = None if config.data is None else samples_of(files, config.data)
    write_text(config.out, report_html(files, samples, comparison))
    if config.png is not None:
        written = write_pictures(files, samples, comparison, config.png)
        log.info(f"{config.png} has {counted(len(written), 'figure')} as PNG")
    for text in warnings(files):
        log.warning("%s", text)
    splits = ", ".join(sorted(str(report["split"]) for report in files.evaluations.values())) or "none"
    log.info("%s has the report of %s; evaluated splits: %s", config.out, files.record["name"], splits)


def report_html(files: RunFiles, samples: Samples | None = None, comparison: Comparison | None = None) -> str:
    """Return the report of a run; same input, same bytes.

    Args:
        files: what the run folder holds.
        samples: photographs of each kind of answers; None leaves them out.
        comparison: with another run; None leaves it out.
    """
    name = escape(str(files.record["name"]))
    body = "".join(
        [
            header_html(files, comparison),
            answers_section(files, samples, comparison),
            quality_sections(files.evaluations),
            _cells_section(files),
            training_section(files),
            _answering_section(files.temperatures),
            _provenance_section(files),
        ]
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>Report on {name}</title>\n'
        f"<style>\n{look('report.css')}</style>\n</head>\n<body>\n<main>{body}</main>\n</body>\n</html>\n"
    )


def _cells_section(files: RunFiles) -> str:
    """Return where the run has learned beside where it errs, and the classes of each level."""
    title, hierarchy = "Where it has learned, and how far it errs there", files.hierarchy
    if hierarchy is None:
        command = "python -m label_maps build --data DATASET --run RUN"
        return section(title, missing("The run has no label maps; make them with", command))
    said = note(f"Partition: {hierarchy.partition.name}. No answer can be finer than the cells of the finest level.")
    of_levels = _classes(hierarchy) + said + balance_html(hierarchy)
    maps = world_maps(files)
    used = ["Class", "Class balance", "Level", "Partition"]
    used += ["Median error"] if any(world.caption.startswith("Median error") for world in maps) else []
    return section(title, maps_html(maps), of_levels, terms(*used))


def _classes(hierarchy: Hierarchy) -> str:
    rows = []
    for depth, name in enumerate(hierarchy.level_names):
        of = hierarchy.rows(depth)
        count = hierarchy.train_count[of]
        rows.append(
            [
                escape(name),
                f"{len(count):,}",
                f"{count.sum():,}",
                f"{count.min():,} to {count.max():,}",
                f"{np.median(count):,.0f}",
                area_words(float(np.median(hierarchy.area_km2[of]))) if hierarchy.placed else "",
            ]
        )
    head = ["Level", "Classes", "Photographs", "In a class", "Median", "Median km²"]
    return table(head, rows)


def _answering_section(content: Mapping[str, Any] | None) -> str:
    title = "How it answers"
    if content is None:
        command = "python -m train calibrate --data DATASET --run RUN"
        return section(title, missing("Temperatures were not fitted, and 1 is taken; fit them with", command))
    fusion, point, scores = content["fusion"], content["point"], content.get("geoscore") or {}
    said = f"By --fusion {fusion}" + (f" --point {point}" if scores or not content.get("nll") else "")
    if content.get("photographs"):
        split = f"{counted(content['photographs'], 'photograph')} of the {content.get('split', '')} split"
        said += f", which {'scored' if scores else 'fitted'} best on {split}"
    return section(
        title,
        note(f"{said}."),
        _ways(scores, fusion, point),
        _temperatures(content, fusion),
        terms("Fusion", *(["GeoScore"] if scores else []), "NLL", "Temperature"),
    )


def _ways(scores: Mapping[str, Mapping[str, float]], fusion: str, point: str) -> str:
    """Return the GeoScore of each way of answering as a table, the chosen one marked."""
    if not scores:
        return ""
    points = list(next(iter(scores.values())))
    rows = [
        [escape(RENAMED_FUSIONS.get(way, way)), *(_score(by_point[p], (way, p) == (fusion, point)) for p in points)]
        for way, by_point in scores.items()
    ]
    return table(
        ["Fusion", *(f"point: {p}" for p in points)], rows, "GeoScore by how levels are combined and a point is chosen"
    )


def _score(geoscore: float, chosen: bool) -> str:
    words = f"<mark>{geoscore:,.0f}</mark>" if chosen else f"{geoscore:,.0f}"
    return f"{words}{bar(geoscore / BEST_GEOSCORE)}"


def _temperatures(content: Mapping[str, Any], fusion: str) -> str:
    fitted, nll = content["temperatures"], content.get("nll") or {}
    levels = list(next(iter(fitted.values()), {}))
    rows = []
    for way, by_level in fitted.items():
        loss = nll.get(way) or {}
        cells = [f"{loss[when]:.3f}" if when in loss else "" for when in ("before", "after")]
        shown = escape(RENAMED_FUSIONS.get(way, way))
        name = f"<mark>{shown}</mark>" if way == fusion else shown
        rows.append([name, *(f"{by_level[level]:.3f}" for level in levels), *cells])
    head = ["Fusion", *levels, "NLL before", "NLL after"]
    drawn = table(head, rows, "Temperature of each level, and the negative log likelihood that it improves")
    at_limit = [
        level for level, t in fitted.get(fusion, {}).items() if t in (content.get("temperature_limits") or OLD_LIMITS)
    ]
    if not at_limit:
        return drawn
    return drawn + warned(
        f"The temperature of {', '.join(at_limit)} is at a limit of the fit: the network's probabilities there are hardly of use. "
        "Calibrate on more photographs, or train longer."
    )


def _provenance_section(files: RunFiles) -> str:
    record = files.record
    dataset, maps = record.get("dataset") or {}, record.get("label_maps") or {}
    published = record.get("published") or {}
    counts = ", ".join(f"{n:,} {split}" for split, n in (record.get("photographs") or {}).items())
    pairs = [
        ("name", record["name"]),
        ("model", published.get("model")),
        ("licence", published.get("licence")),
        ("citation", published.get("citation")),
        ("revision", published.get("revision")),
        ("begun", record["created_at_utc"]),
        ("version", record.get("version")),
        ("commit", record.get("git_commit")),
        ("dataset", dataset.get("name")),
        ("source", dataset.get("source")),
        ("photographs", counts),
        ("dataset hash", record["dataset_hash"]),
        ("label map hash", record["label_map_hash"]),
        ("label maps", ", ".join(f"{key} {value}" for key, value in maps.items())),
        ("weights hash", (files.temperatures or {}).get("model_hash")),
    ]
    return section("What it is", facts(pairs), _networks(files))


def _networks(files: RunFiles) -> str:
    if not files.networks:
        return missing("It has no network yet; train one with", "python -m train joint --data DATASET --run RUN")
    rows = [
        [
            escape(files.title(network.name)),
            escape(str(network.spec.get("arch", ""))),
            escape(_size_words(network.spec.get("transform") or {})),
            f"{network.trained['photographs']:,}" if "photographs" in network.trained else "",
            escape(str(network.trained.get("epochs", ""))),
            f"{network.megabytes:,.1f} MB",
        ]
        for network in files.networks
    ]
    return table(["Weights", "Network", "Pixels", "Photographs", "Epoch", "Size"], rows)


def _size_words(transform: Mapping[str, Any]) -> str:
    return f"{transform['size']} by {transform['size']}" if "size" in transform else ""
