"""A run and its evaluations as one page that opens from disk."""

import logging
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from geocells.hierarchy import Hierarchy
from infer.config import RENAMED_FUSIONS
from label_maps.labels import COUNTRY
from plumbing.files import write_text
from viz.config import ReportConfig
from viz.report.files import RunFiles, read_files
from viz.report.maps import cell_error_map, density_map, error_map, maps_html, recall_map
from viz.report.parts import BEST_GEOSCORE, area_words, bar, facts, kilometres, missing, note, section, table
from viz.report.quality import quality_sections
from viz.report.training import training_section
from viz.web.page import look

log = logging.getLogger(__name__)

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The browser itself is told to load nothing, and to run nothing: the page has no script."""

SYNTHETIC = "Trained on the synthetic demo planet: its figures say nothing about real photographs."


def write_report(config: ReportConfig) -> None:
    """Write the report of a run.

    Raises:
        ValueError: there is no run, or one of its files is damaged.
    """
    files = read_files(config.run)
    write_text(config.out, report_html(files))
    for text in warnings(files):
        log.warning("%s", text)
    splits = ", ".join(sorted(str(report["split"]) for report in files.evaluations.values())) or "none"
    log.info("%s has the report of %s; evaluated splits: %s", config.out, files.record["name"], splits)


def report_html(files: RunFiles) -> str:
    """Return the report of a run; same input, same bytes."""
    name = escape(str(files.record["name"]))
    body = "".join(
        [
            _header(files),
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


def _header(files: RunFiles) -> str:
    record = files.record
    dataset = (record.get("dataset") or {}).get("name")
    counts = record.get("photographs") or {}
    trained = f"{counts['train']:,} training photographs" if "train" in counts else "photographs"
    said = f"Trained on {trained}{f' of {dataset}' if dataset else ''}; begun {record['created_at_utc']}."
    synthetic = f'<p class="warning">{SYNTHETIC}</p>' if record.get("synthetic") else ""
    outdated = "".join(f'<p class="warning">{escape(text)}</p>' for text in warnings(files))
    return f"<header><h1>{escape(str(record['name']))}</h1>{note(said)}{synthetic}{outdated}{_tiles(files)}</header>"


def warnings(files: RunFiles) -> list[str]:
    """Return what keeps the figures of a report from being those of the run."""
    return [
        f"{name} is of other weights than the run has now: run `python -m train calibrate` and `python -m infer evaluate` again"
        for name in files.outdated
    ]


def _tiles(files: RunFiles) -> str:
    """Return what is asked first, in large letters: the median error and GeoScore on the first split measured."""
    for report in _test_first(files.evaluations)[:1]:
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
        tiles.append(_tile(f"{report['photographs']:,}", f"photographs of the {report['split']} split", None))
        return f'<div class="tiles">{"".join(tiles)}</div>'
    return ""


def _class_tiles(report: Mapping[str, Any]) -> str:
    """Return the tiles of an evaluation of classes alone."""
    figures = report["classes"]
    largest = f"{figures['largest_class']['value']:.1%}"
    tiles = [_tile(f"{figures['top_1']['value']:.1%}", "best class right", largest, "always the largest class")]
    for coverage, own in list(figures["sets"].items())[-1:]:
        size = f"{own['mean_size']['value']:.1f}"
        tiles.append(_tile(size, f"of {figures['classes']:,} classes in a {float(coverage):.0%} set", None))
    tiles.append(_tile(f"{report['photographs']:,}", f"photographs of the {report['split']} split", None))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _test_first(evaluations: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(evaluations.values(), key=lambda report: report["split"] != "test")


def _tile(value: str, words: str, chance: str | None, compared: str = "chance") -> str:
    beside = f"<small>{compared}: {escape(chance)}</small>" if chance else ""
    return f"<div><b>{escape(value)}</b><span>{escape(words)}</span>{beside}</div>"


def _cells_section(files: RunFiles) -> str:
    """Return where the run has learned beside where it errs, and the classes of each level."""
    title, hierarchy = "Where it has learned, and how far it errs there", files.hierarchy
    if hierarchy is None:
        command = "python -m label_maps build --data DATASET --run RUN"
        return section(title, missing("The run has no label maps; make them with", command))
    # A published model names no photographs that it was trained on.
    maps = [density_map(hierarchy)] if hierarchy.placed and hierarchy.train_count.any() else []
    for report in _test_first(files.evaluations)[:1]:
        if cells := report.get("cells"):
            maps.append(cell_error_map(cells["level"], cells["median_km"], str(report["split"])))
        if by_country := (report.get("slices") or {}).get("country"):
            maps.append(error_map(by_country, str(report["split"])))
        if report.get("level") == COUNTRY:
            maps.append(recall_map(report["classes"]["by_class"], str(report["split"])))
    said = note(f"Partition: {hierarchy.partition.name}. No answer can be finer than the cells of the finest level.")
    return section(title, maps_html(maps) if maps else "", _classes(hierarchy), said)


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
        split = f"{content['photographs']:,} photographs of the {content.get('split', '')} split"
        said += f", which {'scored' if scores else 'fitted'} best on {split}"
    return section(title, note(f"{said}."), _ways(scores, fusion, point), _temperatures(content, fusion))


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
    head = ["Fusion", *levels, "NLL before", "after"]
    return table(head, rows, "Temperature of each level, and the negative log likelihood that it improves")


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
