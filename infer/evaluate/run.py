"""`python -m infer evaluate`: accuracy, calibration and coverage of a run, beside baselines and, on the demo planet, an oracle."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dataset.groups import leakage_groups
from dataset.manifest import content_hash, coordinates, read_located
from geocells import grid
from geocells.hierarchy import UNKNOWN
from geocells.land import TABLE_LEVEL, land_table
from geocells.m49 import regions
from geocells.partitions.macro import MACRO_REGIONS, region_of_cells
from geocells.sphere import EARTH_RADIUS_KM, GEOSCORE_SCALE_KM, distance_km, geoscore
from infer.config import EvaluateConfig
from infer.decode.conformal import read_conformal
from infer.decode.point import POINTS
from infer.decode.posterior import sum_up
from infer.evaluate.baselines import best_constant, chance, clue_oracle, read_clues
from infer.evaluate.calibration import CalibrationMeter
from infer.evaluate.class_files import write_class_files
from infer.evaluate.class_report import class_reports
from infer.evaluate.measure import Measured, measure, only_stated, split_photos, trained_ids
from infer.evaluate.metrics import (
    RADII_KM,
    TOP,
    distance_figures,
    macro_average,
    mean_interval,
    mean_intervals,
    paired_differences,
    slices,
)
from infer.evaluate.photographs import answered_places, write_photographs
from infer.evaluate.report import table
from infer.evaluate.stated import country_only_figures, evaluate_classes, files_words, leaks_of, training_photos
from infer.explain.retrieval import Neighbours, open_neighbours
from infer.features import feature_kind
from infer.model import Model, load_model
from infer.network.devices import pick_device
from plumbing.files import write_json, write_text
from plumbing.text import agreeing, counted
from plumbing.version import VERSION, git_commit, now_utc

log = logging.getLogger(__name__)

AT_SEA = "at sea"
"""Where no country is."""
ERROR_LEVEL = 5
"""Level of the cells that errors are told for: 1,024 over the world, as a small map shows them."""


def main(config: EvaluateConfig) -> None:
    """Measure, print and write."""
    model = _loaded(config.run, config).with_choices(config.fusion, config.point, greedy=config.greedy)
    if not model.answers_points or only_stated(config.data, config.split):
        evaluate_classes(model, config)
        return
    photos = split_photos(config.data, config.split)
    learned = trained_ids(config.run)
    contaminated = int(photos["id"].isin(learned).sum())
    if contaminated:
        log.warning(
            f"{contaminated:,} of {counted(len(photos), 'photograph')} {agreeing(contaminated, 'were')} trained on: these figures "
            "say nothing about new ones"
        )
    conformal = read_conformal(config.run, model.hash, model.fusion, config.places)
    meter = CalibrationMeter(model, conformal, config.coverage)
    if config.baselines and not model.hierarchy.train_count.any():
        raise ValueError(
            f"--baselines compares with training photographs and {model.name} records none: leave out --baselines"
        )
    neighbours = _neighbours(model, config) if config.baselines else None
    measured = measure(model, config.data, photos, config.batch_size, config.workers, meter, neighbours)
    photos = photos.iloc[measured.read]
    group = leakage_groups(photos)
    away_km = distance_km(measured.points_deg, coordinates(photos))
    answers = {"model": measured.points_deg, **baselines(config.data, photos, config.seed, config.geoscore_scale_km)}
    if measured.told_deg is not None:
        answers |= {"in the true cell": measured.told_deg}
    if measured.neighbours_deg is not None:
        prior = np.repeat(cell_prior(model)[None], len(photos), axis=0)
        answers |= {"cell prior": prior, "neighbour": measured.neighbours_deg}
    of_classes = _classification(model, measured, group, training_photos(config, learned))
    report = {
        "run": model.name,
        "model_hash": model.hash,
        "fusion": model.fusion,
        "greedy": model.greedy.to_dict() if model.fusion == "greedy" else None,
        "point": model.point,
        "precision": model.precision,
        "split": config.split,
        "split_hash": content_hash(photos),
        "photographs": len(photos),
        "groups": len(np.unique(group)),
        "trained_on": contaminated,
        "leaks": leaks_of(photos, config.trained_on or config.data, learned, (config.data, feature_kind(model))),
        "benchmark": config.benchmark,
        "against": _against(config, photos, away_km, group),
        "earth_radius_km": EARTH_RADIUS_KM,
        "geoscore_scale_km": config.geoscore_scale_km,
        "created_at_utc": now_utc(),
        "version": VERSION,
        "git_commit": git_commit(),
        "answers": _figures(answers, photos, group, config),
        "over_one_place": _over_one_place(answers, coordinates(photos), group, config),
        "levels": _levels(model, measured, group, config.seed),
        "classification": of_classes,
        "country_only": country_only_figures(model, config),
        "calibration": meter.levels(group, config.seed),
        "places": config.places,
        "guarantee": None if conformal is None else conformal.guarantee,
        "regions": meter.regions(away_km, _slices_of(photos), group, config.seed),
        "impossible_coverages": meter.impossible(),
        "recall_by_area_km2": meter.recall_by_area(),
        "slices": _slices(away_km, photos, group, model, config),
        "cells": {"level": ERROR_LEVEL, "median_km": cell_errors(away_km, coordinates(photos))},
    }
    out = config.out or config.run / f"evaluation_{config.split}.json"
    write_json(out, report)
    write_text(out.with_suffix(".txt"), table(report) + "\n")
    files = write_class_files(out, of_classes)
    files.append(write_photographs(out, answered_places(photos, measured.points_deg, away_km, group)))
    print(table(report))
    print(f"all figures: {out}; this table: {out.with_suffix('.txt')}{files_words(files)}")


def _loaded(run: Path, config: EvaluateConfig) -> Model:
    model = load_model(run, pick_device(config.device), precision=config.precision)
    if model.calibrated_in not in (None, model.precision):
        log.warning("%s was calibrated in %s and is measured in %s", run, model.calibrated_in, model.precision)
    return model


def _against(
    config: EvaluateConfig, photos: pd.DataFrame, away_km: NDArray[np.float64], group: NDArray[np.int64]
) -> dict[str, Any] | None:
    """Return by how much the run differs from another on the same photographs."""
    if config.against is None:
        return None
    model = _loaded(config.against, config)
    other = measure(model, config.data, photos, config.batch_size, config.workers)
    theirs = distance_km(other.points_deg, coordinates(photos)[other.read])
    differences = paired_differences(
        away_km[other.read], theirs, group[other.read], config.seed, config.geoscore_scale_km
    )
    return {
        "run": model.name,
        "model_hash": model.hash,
        "photographs": len(theirs),
        "groups": len(np.unique(group[other.read])),
        **differences,
    }


def baselines(
    data: Path, photos: pd.DataFrame, seed: int, scale_km: float = GEOSCORE_SCALE_KM
) -> dict[str, NDArray[np.float64]]:
    """Return the answers of chance, of one place for all, and, where the dataset has clues, of who reads them."""
    everything = read_located(data, ["id", "latitude", "longitude", "split"])
    train, calibration = (everything[everything["split"] == split] for split in ("train", "calibration"))
    if not len(train):
        return {}
    constant = best_constant(coordinates(train), scale_km)
    answers = {
        "chance": chance(coordinates(train), len(photos), seed),
        "one place": np.repeat(constant[None], len(photos), axis=0),
    }
    shown = read_clues(data, photos["id"])
    known, fitted = read_clues(data, train["id"]), read_clues(data, calibration["id"])
    if shown and known and fitted and len(calibration):
        oracle = clue_oracle(
            known.region, coordinates(train), shown.shown, fitted.shown, coordinates(calibration), scale_km
        )
        answers["clue oracle"] = oracle
    return answers


def _neighbours(model: Model, config: EvaluateConfig) -> Neighbours:
    data = config.trained_on or config.data
    return open_neighbours(model, config.run, data, config.batch_size, config.workers)


def cell_prior(model: Model) -> NDArray[np.float64]:
    """Return the (2,) point that a run answers when all it knows is how many training photographs each cell has."""
    rows = model.hierarchy.rows(model.hierarchy.depth - 1)
    count = torch.from_numpy(model.hierarchy.train_count[rows]).to(model.device)
    # A coordinate of a network's own takes a picture.
    decoder = model if model.point in POINTS else model.with_choices(None, "geoscore")
    return decoder.points(sum_up(model.tree, (count / count.sum()).log().float()[None]))[0]


def cell_errors(away_km: NDArray[np.float64], truth_deg: NDArray[np.float64]) -> dict[str, float]:
    """Return the median error of the photographs in each cell of the quad grid at `ERROR_LEVEL`."""
    cells, member = np.unique(grid.encode(truth_deg, ERROR_LEVEL), return_inverse=True)
    names = grid.format_ids(cells, ERROR_LEVEL)
    return {name: round(float(np.median(away_km[member == k])), 3) for k, name in enumerate(names)}


def _figures(
    answers: Mapping[str, NDArray[np.float64]], photos: pd.DataFrame, group: NDArray[np.int64], config: EvaluateConfig
) -> dict[str, Any]:
    truth, radii_km = coordinates(photos), sorted(set(config.radii_km or RADII_KM))
    return {
        name: distance_figures(distance_km(points, truth), group, config.seed, config.geoscore_scale_km, radii_km)
        for name, points in answers.items()
    }


def _over_one_place(
    answers: Mapping[str, NDArray[np.float64]],
    truth: NDArray[np.float64],
    group: NDArray[np.int64],
    config: EvaluateConfig,
) -> dict[str, float] | None:
    """Return by how much the mean GeoScore is higher than that of one place for all photographs, paired."""
    if "one place" not in answers:
        return None
    own, fixed = (
        geoscore(distance_km(answers[name], truth), config.geoscore_scale_km) for name in ("model", "one place")
    )
    return mean_interval(own - fixed, group, config.seed)


def _levels(model: Model, measured: Measured, group: NDArray[np.int64], seed: int) -> dict[str, Any]:
    """Return per level top-1 to top-10 of the posterior, and the share of photographs whose true cell is a class."""
    levels: dict[str, Any] = {}
    for column, (name, size) in enumerate(zip(model.hierarchy.level_names, model.hierarchy.sizes(), strict=True)):
        ranks = measured.ranks[:, column]
        right = {f"top_{k}": ((ranks < k) & (ranks < size)).astype(np.float64) for k in TOP}
        levels[name] = mean_intervals(right, group, seed)
        levels[name] |= {"classes": size, "in_a_known_cell": float((ranks < size).mean())}
    return levels


def _classification(
    model: Model, measured: Measured, group: NDArray[np.int64], training: pd.DataFrame
) -> dict[str, dict[str, Any]]:
    levels = range(model.hierarchy.depth)
    best, true = ({level: of[:, level] for level in levels} for of in (measured.best, measured.classes))
    return class_reports(model.hierarchy, best, true, group, training)


def _slices(
    away_km: NDArray[np.float64],
    photos: pd.DataFrame,
    group: NDArray[np.int64],
    model: Model,
    config: EvaluateConfig,
) -> dict[str, Any]:
    """Return figures by country, continent and band of latitude, and by how many training photographs the region has."""
    of = _slices_of(photos)
    by = {
        "country": of["country"],
        "continent": [regions().get(code, AT_SEA) for code in of["country"]],
        "latitude": of["latitude"],
        "training_photographs_nearby": _coverage_decile(coordinates(photos), model),
    }
    found = {name: slices(away_km, own, group, config.seed, config.geoscore_scale_km) for name, own in by.items()}
    countries = {country: figures for country, figures in found["country"].items() if country != AT_SEA}
    return {**found, "country_macro_average": macro_average(countries)}


def _slices_of(photos: pd.DataFrame) -> dict[str, list[str]]:
    """Return the country, the part of the world and the band of latitude that each photograph lies in."""
    truth = coordinates(photos)
    part = region_of_cells()[grid.encode(truth, TABLE_LEVEL)]
    country = land_table().country[grid.encode(truth, TABLE_LEVEL)]
    south = 30 * np.floor(np.minimum(truth[:, 0], 89.9) / 30).astype(int)
    return {
        "country": np.where(country == "", AT_SEA, country).tolist(),
        "part of the world": [MACRO_REGIONS[p][0] for p in part],
        "latitude": [f"{s} to {s + 30}" for s in south],
    }


def _coverage_decile(truth_deg: NDArray[np.float64], model: Model) -> list[str]:
    """Return, for each photograph, the decile of training photographs in its cell of the second finest level."""
    hierarchy, level = model.hierarchy, max(0, model.hierarchy.depth - 2)
    classes = hierarchy.classes(truth_deg)[:, level]
    count = np.where(classes == UNKNOWN, 0, hierarchy.train_count[hierarchy.rows(level)][classes.clip(0)])
    edges = np.unique(np.quantile(count, np.linspace(0, 1, 11)))
    decile = np.clip(np.searchsorted(edges, count, side="right") - 1, 0, max(0, len(edges) - 2))
    return [f"{edges[d]:.0f} to {edges[min(d + 1, len(edges) - 1)]:.0f}" for d in decile]
