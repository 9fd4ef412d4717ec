"""Evaluation of countries or labels: of runs that learned without coordinates, and of photographs that have none."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dataset.features import FeatureKind
from dataset.groups import group_weights, leakage_groups
from dataset.images import Pictures
from dataset.manifest import content_hash, has_coordinates, read_manifest
from infer.config import EvaluateConfig
from infer.decode.conformal import ConformalCalibration, read_conformal
from infer.decode.posterior import fuse
from infer.evaluate.calibration import calibration_error_interval, reliability
from infer.evaluate.class_files import write_class_files
from infer.evaluate.class_report import by_class, class_reports
from infer.evaluate.classes import class_figures
from infer.evaluate.leakage import alike_to_training, find_leaks, leak_report
from infer.evaluate.measure import asked_photos, trained_ids
from infer.evaluate.metrics import mean_interval
from infer.evaluate.photographs import answered_classes, write_photographs
from infer.evaluate.report import classes_table
from infer.images import network_outputs
from infer.model import Model
from infer.prepared_pixels import prepared_photos
from label_maps.labels import class_level, stated_classes, truth_of
from plumbing.files import write_json, write_text
from plumbing.progress import progress
from plumbing.text import agreeing, counted
from plumbing.version import VERSION, git_commit, now_utc

log = logging.getLogger(__name__)


def evaluate_classes(model: Model, config: EvaluateConfig) -> None:
    """Measure classes alone, where photographs or the run have no coordinates; write evaluation_SPLIT.json and .txt.

    Raises:
        ValueError: the run has no level of what is known.
    """
    photos = asked_photos(model.hierarchy, config.data, config.split, config.run)
    level = class_level(model.hierarchy)
    assert level is not None, "asked_photos refuses runs without one"
    refuse_kilometres(config)
    learned = trained_ids(config.run)
    figures, photos, best, true = measured_classes(model, config, photos)
    if trained := int(photos["id"].isin(learned).sum()):
        log.warning(
            f"{trained:,} of {counted(len(photos), 'photograph')} {agreeing(trained, 'were')} trained on: these figures "
            "say nothing about new ones"
        )
    conformal = read_conformal(config.run, model.hash, model.fusion, config.places)
    report = {
        "run": model.name,
        "model_hash": model.hash,
        "fusion": model.fusion,
        "greedy": model.greedy.to_dict() if model.fusion == "greedy" else None,
        "split": config.split,
        "split_hash": content_hash(photos),
        "photographs": figures["photographs"],
        "groups": figures["groups"],
        "level": model.hierarchy.level_names[level],
        "trained_on": trained,
        "leaks": leaks_of(photos, config.trained_on or config.data, learned),
        "created_at_utc": now_utc(),
        "version": VERSION,
        "git_commit": git_commit(),
        "classes": figures,
        "over_largest_class": _over_largest_class(model, level, best, true, photos, config.seed),
        "classification": class_reports(
            model.hierarchy, {level: best}, {level: true}, leakage_groups(photos), training_photos(config, learned)
        ),
        "places": config.places,
        "guarantee": None if conformal is None else conformal.guarantee,
        "impossible_sets": _impossible(conformal, config.coverage),
    }
    out = config.out or config.run / f"evaluation_{config.split}.json"
    write_json(out, report)
    text = classes_table(report)
    write_text(out.with_suffix(".txt"), text + "\n")
    files = write_class_files(out, report["classification"])
    files.append(write_photographs(out, answered_classes(photos, true, best, leakage_groups(photos))))
    print(text)
    print(f"all figures: {out}; this table: {out.with_suffix('.txt')}{files_words(files)}")


def _over_largest_class(
    model: Model, level: int, best: NDArray[np.int64], true: NDArray[np.int64], photos: pd.DataFrame, seed: int
) -> dict[str, float]:
    """Return by how much the share of right answers is higher than that of always the largest class, paired."""
    largest = int(model.hierarchy.train_count[model.hierarchy.rows(level)].argmax())
    gain = (best == true).astype(np.float64) - (true == largest)
    return mean_interval(gain, leakage_groups(photos), seed)


def refuse_kilometres(config: EvaluateConfig) -> None:
    """Refuse flags of figures that take coordinates.

    Raises:
        ValueError: one is given.
    """
    for flag, given in (("against", config.against), ("baselines", config.baselines), ("benchmark", config.benchmark)):
        if given:
            raise ValueError(
                f"--{flag} compares kilometres, and of the {config.split} split of {config.data} only classes are compared: "
                "leave it out"
            )


def training_photos(config: EvaluateConfig, learned: set[str]) -> pd.DataFrame:
    """Return the rows of the photographs that a run was trained on, as far as its dataset, or else --data, has them."""
    photos = read_manifest(config.trained_on or config.data)
    return photos[photos["id"].isin(learned)]


def files_words(files: Sequence[Path]) -> str:
    """Return where the figures of each class and of each photograph are."""
    return f"; by class and by photograph: {', '.join(map(str, files))}" if files else ""


def measured_classes(
    model: Model, config: EvaluateConfig, photos: pd.DataFrame
) -> tuple[dict[str, Any], pd.DataFrame, NDArray[np.int64], NDArray[np.int64]]:
    """Return the figures of the level of countries or labels, the photographs that could be read, and what is answered and true."""
    level = class_level(model.hierarchy)
    assert level is not None, "callers have one"
    raw, scaled, read = class_probabilities(model, config.data, photos, level, config.batch_size, config.workers)
    photos = photos.iloc[read]
    true, group = truth_of(model.hierarchy, photos)[1][:, level], leakage_groups(photos)
    conformal = read_conformal(config.run, model.hash, model.fusion, config.places)
    name, best = model.hierarchy.level_names[level], scaled.argmax(axis=1)
    count = model.hierarchy.train_count[model.hierarchy.rows(level)]
    confidence = None
    if conformal is not None and name in conformal.confidence_weights:
        confidence = conformal.confidence(name, scaled.max(axis=1).astype(np.float64), count[best])
    figures = class_figures(
        scaled,
        true,
        group,
        confidence=confidence,
        thresholds=_thresholds(conformal, config.coverage),
        largest=int(count.argmax()),
        seed=config.seed,
    )
    names = model.hierarchy.name[model.hierarchy.rows(level)]
    stages = {"before": raw, "after_temperatures": scaled}
    figures["stages"] = {stage: _stage(p, true, group, config.seed) for stage, p in stages.items()}
    figures["largest_class"]["name"] = names[int(count.argmax())]
    figures["by_class"] = by_class(best, true, group, names)
    return figures, photos, best, true


@torch.inference_mode()
def class_probabilities(
    model: Model, data: Path, photos: pd.DataFrame, level: int, batch_size: int, workers: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Return (N, K) probabilities of a level's classes, raw and with temperatures, and the (N,) rows that could be read."""
    raw, scaled, read = [], [], []
    prepared = prepared_photos(data, photos, model.transform)
    outputs = network_outputs(model, Pictures.of_dataset(data, photos), batch_size, workers, prepared=prepared)
    for rows, output in progress(outputs, "answering", "batch", -(-len(photos) // batch_size)):
        plain = fuse(model.tree, output.logits, (1.0,) * len(output.logits), model.fusion, model.greedy)
        raw.append(plain[level].exp().cpu().numpy())
        scaled.append(model.posterior(output.logits)[level].exp().cpu().numpy())
        read.append(rows)
    if not read:
        raise ValueError(f"no photograph of {data} could be read ({len(photos):,} tried)")
    return np.concatenate(raw), np.concatenate(scaled), np.concatenate(read)


def country_only_figures(model: Model, config: EvaluateConfig) -> dict[str, Any] | None:
    """Return the figures of the photographs of a split that state a class and have no coordinates; None without any."""
    level = class_level(model.hierarchy)
    if level is None:
        return None
    photos = read_manifest(config.data)
    photos = photos[~has_coordinates(photos) & (photos["split"] == config.split)].reset_index(drop=True)
    photos = photos[stated_classes(model.hierarchy, photos)[0]]
    if not len(photos):
        return None
    figures, photos, _, _ = measured_classes(model, config, photos)
    figures["level"] = model.hierarchy.level_names[level]
    return {**figures, "trained_on": int(photos["id"].isin(trained_ids(config.run)).sum())}


def leaks_of(
    photos: pd.DataFrame, data: Path, learned: set[str], features: tuple[Path, FeatureKind] | None = None
) -> dict[str, Any]:
    """Return the audit of photographs against those of a dataset that a run was trained on, with or without coordinates.

    Args:
        photos: rows of the measured dataset.
        data: the dataset that the run was trained on.
        learned: ids of its training photographs.
        features: the measured dataset and the kind of features by which near-duplicates are looked for, where both have some.
    """
    training = read_manifest(data)
    training = training[training["id"].isin(learned)]
    found = find_leaks(photos, training)
    if features is not None:
        own, kind = features
        alike = alike_to_training(own, photos, data, training, kind)
        found |= {} if alike is None else {"near-duplicate by features": alike}
    return {**leak_report(found), "training_photographs": len(learned), "compared_with": len(training)}


def _stage(
    probability: NDArray[np.float32], true: NDArray[np.int64], group: NDArray[np.int64], seed: int
) -> dict[str, Any]:
    stated, right = probability.max(axis=1).astype(np.float64), probability.argmax(axis=1) == true
    return {
        "ece": calibration_error_interval(stated, right, group, seed),
        "reliability": reliability(stated, right, group_weights(group)),
    }


def _thresholds(conformal: ConformalCalibration | None, coverages: Sequence[float]) -> Mapping[float, float]:
    chosen = {coverage: None if conformal is None else conformal.choose_set(coverage) for coverage in coverages}
    return {coverage: found[1] for coverage, found in chosen.items() if found}


def _impossible(conformal: ConformalCalibration | None, coverages: Sequence[float]) -> list[float]:
    if conformal is None or not conformal.class_scores:
        return []
    return [coverage for coverage in coverages if conformal.choose_set(coverage) is None]
