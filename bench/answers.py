"""Coverage of regions, calibration of confidence, and the gain by priors and several photographs: `python -m bench.answers`.

The planet is drawn with many times the photographs of `make demo`, so that a figure of 0.03 can be told from chance, and
with another seed, by which nothing was ever chosen; the recipe is the demo's, on clusters. There are more photographs to
calibrate by than to test, since a coverage errs by the chance of both. The second test set is of unseen places: the same
world, in the cities of many seeds: those of one are a few hundred, of very unequal size, and a handful of them
would decide what is covered. Regions there were calibrated in the cities of yet other seeds. Each leakage
group counts as one; beside it stands what counts each photograph. Data and run are made first, in `--work`, unless
they lie there: two and a half hours on two cores that had other work too.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bench.commands import run_command
from bench.report import OF_GROUPS, write_results
from geocells import grid
from geocells.land import TABLE_LEVEL, land_table
from geocells.sphere import distance_km
from infer.config import IN_DISTRIBUTION, UNSEEN
from infer.decode.conformal import SMOOTH, ConformalCalibration, read_conformal
from infer.decode.multi_image import fuse_photographs
from infer.decode.posterior import sum_up
from infer.decode.prior import make_prior, restrict
from infer.decode.region import conformity_scores, region_cells
from infer.decode.region_finder import RegionFinder
from infer.evaluate.calibration import COVERAGES, CalibrationMeter
from infer.evaluate.coverage import covered
from infer.evaluate.measure import split_photos
from infer.evaluate.metrics import median_interval
from infer.model import Model, load_model
from train.calibrate import collect
from train.conformal import Calibration

PICTURES = 4
UNSEEN_SEEDS = {"test": range(101, 133), "calibration": range(201, 265)}
"""Seeds of cities by the split that their photographs are."""
Row = dict[str, Any]


def main() -> None:
    flags = argparse.ArgumentParser(prog="python -m bench.answers")
    flags.add_argument("--work", type=Path, default=Path("runs/answers"))
    flags.add_argument("--images", type=int, default=128_000)
    flags.add_argument("--unseen-images", type=int, default=250, help="of each seed of cities")
    flags.add_argument("--epochs", type=int, default=5)
    flags.add_argument("--seed", type=int, default=2, help="of the planet: its world, photographs and splits")
    given = flags.parse_args()
    run = make_run(given)
    model = load_model(run, torch.device("cpu"))
    rows: list[Row] = []
    for name, folders, places in (
        ("test", [given.work / "data"], IN_DISTRIBUTION),
        ("unseen", unseen_folders(given, "test"), UNSEEN),
    ):
        data, photos = collect_all(model, folders)
        for calibrated in dict.fromkeys((IN_DISTRIBUTION, places)):
            conformal = read_conformal(run, model.hash, model.fusion, calibrated)
            if conformal is None:
                raise SystemExit(1)
            rows += calibration_rows(f"{name}, calibrated {calibrated}", model, conformal, data)
            if name == "test":
                rows += within_rows(name, model, conformal, data)
                rows += same_place_rows(name, model, data, photos)
    write_results("answers", rows, f"{OF_GROUPS}; of coverage by groups, exact binomial of so many groups")


def make_run(given: argparse.Namespace) -> Path:
    """Draw both sets of photographs, train and calibrate, each unless it is there; return the run."""
    data, run = str(given.work / "data"), str(given.work / "run")
    world = ("--size", "72", "--seed", str(given.seed))
    shares = ("--test-share", "0.09", "--calibration-share", "0.27")
    run_command("fetch demo", "--out", data, "--images", str(given.images), *world, *shares)
    for split, seeds in UNSEEN_SEEDS.items():
        shares = tuple(x for name in UNSEEN_SEEDS for x in (f"--{name}-share", "0.99" if name == split else "0"))
        for seed, folder in zip(seeds, unseen_folders(given, split), strict=True):
            places = ("--places-seed", str(seed), "--images", str(given.unseen_images))
            run_command("fetch demo", "--out", str(folder), *world, *places, *shares)
    unseen = unseen_folders(given, "calibration")
    for folder in (Path(data), *unseen_folders(given, "test"), *unseen):
        run_command("fetch thin", "--data", str(folder))
    if not Path(run, "run.json").is_file():
        run_command("label_maps build", "--data", data, "--run", run, "--partition", "kmeans")
    recipe = ("train/recipes/demo.yaml", "--epochs", str(given.epochs))
    run_command("train joint", *recipe, "--data", data, "--run", run, "--resume")
    run_command("train calibrate", "--data", data, "--run", run, "--unseen", *map(str, unseen))
    return Path(run)


def unseen_folders(given: argparse.Namespace, split: str) -> list[Path]:
    return [given.work / f"unseen-{seed}" for seed in UNSEEN_SEEDS[split]]


def collect_all(model: Model, folders: list[Path]) -> tuple[Calibration, pd.DataFrame]:
    """Return the logits and the rows of the test photographs of some datasets."""
    photos = [split_photos(folder, "test") for folder in folders]
    parts = [collect(model, folder, own, 64, 0) for folder, own in zip(folders, photos, strict=True)]
    return Calibration.joined(parts), pd.concat(photos, ignore_index=True)


def row(
    test_set: str,
    what: str,
    unit: str,
    group: NDArray[np.int64],
    value: float,
    low: float = np.nan,
    high: float = np.nan,
) -> Row:
    """Return a figure of (N,) photographs, which are named by their leakage groups."""
    figures = {key: None if np.isnan(x) else round(float(x), 4) for key, x in (("low", low), ("high", high))}
    counts = {"n": len(group), "groups": len(np.unique(group))}
    return {"test_set": test_set, "what": what, "unit": unit, **counts, "value": round(float(value), 4), **figures}


def metered(
    model: Model, conformal: ConformalCalibration, data: Calibration
) -> tuple[CalibrationMeter, NDArray[np.float64]]:
    """Return what is measured of photographs, and how far off the answers are."""
    meter, away = CalibrationMeter(model, conformal), []
    for start in range(0, len(data.group), 128):
        part = data.rows(np.arange(start, min(start + 128, len(data.group))))
        posterior = model.posterior(part.logits)
        meter.add(part.logits, posterior, part.classes.numpy(), part.latlon_deg)
        away.append(distance_km(model.points(posterior), part.latlon_deg))
    return meter, np.concatenate(away)


def calibration_rows(name: str, model: Model, conformal: ConformalCalibration, data: Calibration) -> list[Row]:
    meter, away = metered(model, conformal, data)
    group, rows = data.group, []
    one_by_one = meter.levels(np.arange(len(away)))
    for level, found in meter.levels(group).items():
        perfect = found["ece_if_perfect"]
        rows += [
            row(name, f"ECE {level} before", "share", group, *_interval(found["ece_intervals"]["before"])),
            row(name, f"ECE {level} after", "share", group, *_interval(found["ece_intervals"]["after"])),
            row(name, f"ECE {level} if perfect", "share", group, perfect["mean"], high=perfect["p95"]),
            row(name, f"ECE {level} after, of all photographs", "share", group, one_by_one[level]["ece_after"]),
        ]
    for coverage, found in meter.regions(away, {}, group).items():
        hits, each = found["covered"], found["covered_of_photographs"]
        plain, circle = found["uncalibrated"], found["circle_of_equal_coverage"]
        rows += [
            row(name, f"covered by {coverage} regions", "share", group, *_interval(hits)),
            row(name, f"covered by {coverage} regions, of all photographs", "share", group, *_interval(each)),
            row(name, f"area of {coverage} regions", "median km2", group, found["median_area_km2"]),
            row(name, f"covered by uncalibrated {coverage}", "share", group, plain["covered"]["value"]),
            row(name, f"area of uncalibrated {coverage}", "median km2", group, plain["median_area_km2"]),
            row(name, f"area of a circle covering as many as {coverage} regions", "km2", group, circle["area_km2"]),
            *known_cell_rows(name, model, conformal, data, float(coverage)),
        ]
    return rows


def known_cell_rows(
    name: str, model: Model, conformal: ConformalCalibration, data: Calibration, coverage: float
) -> list[Row]:
    """Return what regions of known cells alone, at the finest level that can guarantee the coverage, cover and cost."""
    levels = {level: conformal.scores[level] for level in reversed(model.hierarchy.level_names)}
    chosen = ConformalCalibration("", 0, (), levels, {}).choose(coverage)
    if chosen is None:
        return []
    level, quantile = model.hierarchy.level_index(chosen[0]), chosen[1]
    area = model.hierarchy.area_km2[model.hierarchy.rows(level)]
    mass = model.posterior(data.logits)[level].exp().double().numpy()
    hits = covered(conformity_scores(mass, area, data.classes[:, level].numpy()) <= quantile + 1e-6, data.group)
    areas = [area[region_cells(own, area, quantile)].sum() for own in mass]
    words = f"{coverage:g} regions of known {chosen[0]} cells"
    return [
        row(name, f"covered by {words}", "share", data.group, *_interval(hits)),
        row(name, f"area of {words}", "median km2", data.group, np.median(areas)),
    ]


def within_rows(name: str, model: Model, conformal: ConformalCalibration, data: Calibration) -> list[Row]:
    """Return the gain by `--within` the true country, and what regions cover then, which nothing guarantees."""
    truth = data.latlon_deg
    country = land_table().country[grid.encode(truth, TABLE_LEVEL)]
    posterior = model.posterior(data.logits)
    finder = RegionFinder(model.hierarchy, conformal, model.device, COVERAGES)
    raster = finder.density.raster
    before = distance_km(model.points(posterior), truth)
    after, scores = np.full(len(truth), np.nan), np.full(len(truth), np.nan)
    for code in sorted(set(country) - {""}):
        own = np.flatnonzero(country == code)
        try:
            prior = make_prior(model.hierarchy, [str(code)], [])
        except ValueError:  # a country without training photographs
            continue
        assert prior is not None
        restricted, _ = restrict(model.tree, [level[own] for level in posterior], prior)
        after[own] = distance_km(model.points(restricted), truth[own])
        inside = finder.asked(COVERAGES, prior.table, prior.country)
        scores[own] = conformity_scores(inside.masses(restricted), raster.area_km2, raster.find(truth[own]))
    known = np.isfinite(after)
    quantiles = {c: conformal.scores[SMOOTH].quantile(c) for c in COVERAGES}
    hits = {c: covered(scores[known] <= quantile + 1e-6, data.group[known]) for c, quantile in quantiles.items()}
    words = "covered by {:g} regions with --within the true country"
    return [
        *(row(name, words.format(c), "share", data.group[known], *_interval(found)) for c, found in hits.items()),
        median_row(name, "error of photographs in a country of the run", before[known], data.group[known]),
        median_row(name, "error with --within the true country", after[known], data.group[known]),
    ]


def _interval(found: dict[str, float]) -> tuple[float, float, float]:
    return found["value"], found["low"], found["high"]


def same_place_rows(name: str, model: Model, data: Calibration, photos: pd.DataFrame) -> list[Row]:
    truth, leaf = data.latlon_deg, model.posterior(data.logits)[-1]
    places = [rows[:PICTURES] for rows in photos.groupby("sequence_id").indices.values() if len(rows) >= PICTURES]
    first = np.array([rows[0] for rows in places])
    alone = sum_up(model.tree, leaf[first])
    group = data.group[first]
    away = distance_km(model.points(alone), truth[first])
    rows = [median_row(name, "error of one photograph of a place", away, group)]
    for temperature in (1.0, 2.0, 4.0):
        fused = torch.stack([fuse_photographs(leaf[own], temperature) for own in places])
        away = distance_km(model.points(sum_up(model.tree, fused)), truth[first])
        words = f"error with --same-place {PICTURES} photographs, temperature {temperature:g}"
        rows.append(median_row(name, words, away, group))
    return rows


def median_row(name: str, what: str, away_km: NDArray[np.float64], group: NDArray[np.int64]) -> Row:
    return row(name, what, "median km", group, *_interval(median_interval(away_km, group)))


if __name__ == "__main__":
    main()
