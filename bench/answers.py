"""What regions, confidence, priors and several photographs are worth on the demo planet: `python -m bench.answers`.

The planet is drawn with ten times the photographs of `make demo`, so that a figure of 0.03 can be told from chance, and
with another seed, by which nothing was ever chosen; the recipe is the demo's. There are twice as many photographs to
calibrate by as to test, since a promise errs by the chance of both. The second test set is the same world photographed
elsewhere, in the cities of several seeds: those of one are a few hundred, of very unequal size, and a handful of them
would decide what is covered. The binomial interval takes photographs for independent, which those of one journey are not;
so coverage is measured a second time with one photograph of each group of related ones, to calibrate by and to test. Data
and run are made first, in `--work`, unless they lie there: an hour and a half on one of two cores.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.commands import run_command
from bench.report import write_results
from fetch.splits import related_groups
from geocells import grid
from geocells.land import TABLE_LEVEL, land_table
from geocells.sphere import distance_km
from infer.evaluation import split_photos
from infer.metrics import distance_figures
from infer.model import Model, load_model
from infer.posterior import sum_up
from infer.priors import make_prior, restrict
from infer.promises import SMOOTH, Promises, RegionFinder, from_json, read_promises
from infer.regions import conformal_quantile, needed_mass, region_cells
from infer.reliability import COVERAGES, TrustMeter, covered
from infer.same_place import fuse_photographs
from label_maps.manifest import coordinates
from train.calibration import collect
from train.promises import fit_both

PICTURES = 4
ELSEWHERE_SEEDS = tuple(range(101, 109))
Row = dict[str, Any]


def main() -> None:
    flags = argparse.ArgumentParser(prog="python -m bench.answers")
    flags.add_argument("--work", type=Path, default=Path("runs/answers"))
    flags.add_argument("--images", type=int, default=64_000)
    flags.add_argument("--elsewhere-images", type=int, default=8_000)
    flags.add_argument("--epochs", type=int, default=8)
    flags.add_argument("--seed", type=int, default=1, help="of the planet: its world, photographs and splits")
    given = flags.parse_args()
    run = make_run(given)
    model = load_model(run, torch.device("cpu"))
    unrelated = unrelated_promises(model, given.work / "data")
    rows: list[Row] = []
    for name, folders, places in (
        ("test", [given.work / "data"], "usual"),
        ("elsewhere", elsewhere_folders(given), "elsewhere"),
    ):
        logits, photos = collect_all(model, folders)
        for promised in dict.fromkeys(("usual", places)):
            promises = read_promises(run, model.hash, model.fusion, promised)
            if promises is None:
                raise SystemExit(1)
            rows += trust_rows(f"{name}, promise {promised}", model, promises, logits, photos)
            rows += unrelated_rows(f"{name}, promise {promised}", model, unrelated[promised], logits, photos)
            if name == "test":
                rows += within_rows(name, model, promises, logits, photos)
                rows += same_place_rows(name, model, logits, photos)
    write_results("answers", rows)


def make_run(given: argparse.Namespace) -> Path:
    """Draw both sets of photographs, train and calibrate, each unless it is there; return the run."""
    data, run = str(given.work / "data"), str(given.work / "run")
    world = ("--size", "72", "--seed", str(given.seed))
    shares = ("--test-share", "0.19", "--calibration-share", "0.38")
    run_command("fetch demo", "--out", data, "--images", str(given.images), *world, *shares)
    shares = ("--test-share", "0.99", "--calibration-share", "0")
    images = str(given.elsewhere_images // len(ELSEWHERE_SEEDS))
    for seed, folder in zip(ELSEWHERE_SEEDS, elsewhere_folders(given), strict=True):
        places = ("--places-seed", str(seed), "--images", images)
        run_command("fetch demo", "--out", str(folder), *world, *places, *shares)
    for folder in (Path(data), *elsewhere_folders(given)):
        run_command("fetch thin", "--data", str(folder))
    if not Path(run, "run.json").is_file():
        run_command("label_maps", "--data", data, "--run", run)
    recipe = ("train/recipes/demo.yaml", "--epochs", str(given.epochs))
    run_command("train.joint", *recipe, "--data", data, "--run", run, "--resume")
    run_command("train.calibrate", "--data", data, "--run", run)
    return Path(run)


def elsewhere_folders(given: argparse.Namespace) -> list[Path]:
    return [given.work / f"elsewhere-{seed}" for seed in ELSEWHERE_SEEDS]


def collect_all(model: Model, folders: list[Path]) -> tuple[list[Tensor], pd.DataFrame]:
    """Return the logits and the rows of the test photographs of some datasets."""
    photos = [split_photos(folder, "test") for folder in folders]
    parts = [collect(model, folder, own, 64, 0).logits for folder, own in zip(folders, photos, strict=True)]
    return [torch.cat(level) for level in zip(*parts, strict=True)], pd.concat(photos, ignore_index=True)


def row(test_set: str, what: str, unit: str, n: int, value: float, low: float = np.nan, high: float = np.nan) -> Row:
    figures = {key: None if np.isnan(x) else round(float(x), 4) for key, x in (("low", low), ("high", high))}
    return {"test_set": test_set, "what": what, "unit": unit, "n": n, "value": round(float(value), 4), **figures}


def one_of_each(photos: pd.DataFrame, seed: int = 0) -> NDArray[np.int64]:
    """Return the row of one photograph, drawn at random, of each group of related ones."""
    order = np.random.default_rng(seed).permutation(len(photos))
    return np.sort(order[np.unique(related_groups(photos)[order], return_index=True)[1]])


def unrelated_promises(model: Model, data: Path) -> dict[str, Promises]:
    """Return what a calibration split of unrelated photographs promises, by places."""
    photos = split_photos(data, "calibration")
    calibration = collect(model, data, photos.iloc[one_of_each(photos)].reset_index(drop=True), 64, 0)
    promises = fit_both(model, calibration, coordinates(split_photos(data, "train")))["promises"]
    return {places: from_json(content, model.fusion) for places, content in promises.items()}


def unrelated_rows(
    name: str, model: Model, promises: Promises, logits: list[Tensor], photos: pd.DataFrame
) -> list[Row]:
    """Return what regions cover of one photograph of each group, as promised by photographs chosen in the same way."""
    alone = one_of_each(photos)
    meter, away = metered(model, promises, [z[torch.from_numpy(alone)] for z in logits], coordinates(photos)[alone])
    return [
        row(
            name,
            f"covered by {coverage} regions, photographs unrelated",
            "share",
            len(alone),
            *_interval(found["covered"]),
        )
        for coverage, found in meter.regions(away, {}).items()
    ]


def metered(
    model: Model, promises: Promises, logits: list[Tensor], truth_deg: NDArray[np.float64]
) -> tuple[TrustMeter, NDArray[np.float64]]:
    """Return what is measured of (N, 2) places, and how far off the answers are."""
    classes = model.hierarchy.classes(truth_deg)
    meter, away = TrustMeter(model, promises), []
    for start in range(0, len(truth_deg), 128):
        part = slice(start, start + 128)
        own = [z[part] for z in logits]
        posterior = model.posterior(own)
        meter.add(own, posterior, classes[part], truth_deg[part])
        away.append(distance_km(model.points(posterior), truth_deg[part]))
    return meter, np.concatenate(away)


def trust_rows(name: str, model: Model, promises: Promises, logits: list[Tensor], photos: pd.DataFrame) -> list[Row]:
    truth, n = coordinates(photos), len(photos)
    meter, away = metered(model, promises, logits, truth)
    classes, rows = model.hierarchy.classes(truth), []
    for level, found in meter.levels().items():
        perfect = found["ece_if_perfect"]
        rows += [
            row(name, f"ECE {level} before", "share", n, found["ece_before"]),
            row(name, f"ECE {level} after", "share", n, found["ece_after"]),
            row(name, f"ECE {level} were it perfect", "share", n, perfect["mean"], high=perfect["p95"]),
        ]
    for coverage, found in meter.regions(away, {}, related_groups(photos)).items():
        hits, plain, circle = found["covered"], found["uncalibrated"], found["circle_of_equal_coverage"]
        interval, together = (hits["low"], hits["high"]), found["covered_by_sequence"]
        rows += [
            row(name, f"covered by {coverage} regions", "share", n, hits["value"], *interval),
            row(
                name,
                f"the same, interval over {together['groups']} groups of related photographs",
                "share",
                n,
                hits["value"],
                together["low"],
                together["high"],
            ),
            row(name, f"area of {coverage} regions", "median km2", n, found["median_area_km2"]),
            row(name, f"covered by uncalibrated {coverage}", "share", n, plain["covered"]["value"]),
            row(name, f"area of uncalibrated {coverage}", "median km2", n, plain["median_area_km2"]),
            row(name, f"area of a circle covering as many as {coverage} regions", "km2", n, circle["area_km2"]),
            *known_cell_rows(name, model, promises, logits, classes, float(coverage)),
        ]
    return rows


def known_cell_rows(
    name: str, model: Model, promises: Promises, logits: list[Tensor], classes: NDArray[np.int64], coverage: float
) -> list[Row]:
    """Return what regions of known cells alone, at the finest level that can keep the promise, cover and cost."""
    levels = {level: promises.needed[level] for level in reversed(model.hierarchy.level_names)}
    chosen = Promises("", 0, (), levels, {}).choose(coverage)
    if chosen is None:
        return []
    level, quantile = model.hierarchy.level_index(chosen[0]), chosen[1]
    area = model.hierarchy.area_km2[model.hierarchy.rows(level)]
    mass = model.posterior(logits)[level].exp().double().numpy()
    hits = needed_mass(mass, area, classes[:, level]) <= quantile + 1e-6
    areas = [area[region_cells(own, area, quantile)].sum() for own in mass]
    return [
        row(name, f"covered by {coverage:g} regions of known {chosen[0]} cells", "share", len(hits), hits.mean()),
        row(
            name, f"area of {coverage:g} regions of known {chosen[0]} cells", "median km2", len(hits), np.median(areas)
        ),
    ]


def within_rows(name: str, model: Model, promises: Promises, logits: list[Tensor], photos: pd.DataFrame) -> list[Row]:
    """Return what `--within` the true country is worth, and what regions still cover then, which nothing promises."""
    truth = coordinates(photos)
    country = land_table().country[grid.encode(truth, TABLE_LEVEL)]
    posterior = model.posterior(logits)
    finder = RegionFinder(model.hierarchy, promises, model.device, COVERAGES)
    raster = finder.surface.raster
    before = distance_km(model.points(posterior), truth)
    after, needed = np.full(len(truth), np.nan), np.full(len(truth), np.nan)
    for code in sorted(set(country) - {""}):
        own = np.flatnonzero(country == code)
        try:
            prior = make_prior(model.hierarchy, [str(code)], [])
        except ValueError:  # a country without training photographs
            continue
        assert prior is not None
        restricted, _ = restrict(model.tree, [level[own] for level in posterior], prior)
        after[own] = distance_km(model.points(restricted), truth[own])
        finder.left = prior.table[raster.cell]
        needed[own] = needed_mass(finder.masses(restricted), raster.area_km2, raster.find(truth[own]))
    known = np.isfinite(after)
    hits = {c: covered(needed[known] <= conformal_quantile(promises.needed[SMOOTH], c) + 1e-6) for c in COVERAGES}
    return [
        *(
            row(
                name, f"covered by {c:g} regions with --within the true country", "share", found["n"], *_interval(found)
            )
            for c, found in hits.items()
        ),
        median_row(name, "error of photographs in a country of the run", before[known]),
        median_row(name, "error with --within the true country", after[known]),
    ]


def _interval(found: dict[str, float]) -> tuple[float, float, float]:
    return found["value"], found["low"], found["high"]


def same_place_rows(name: str, model: Model, logits: list[Tensor], photos: pd.DataFrame) -> list[Row]:
    truth, leaf = coordinates(photos), model.posterior(logits)[-1]
    places = [rows[:PICTURES] for rows in photos.groupby("sequence_id").indices.values() if len(rows) >= PICTURES]
    first = np.array([rows[0] for rows in places])
    alone = sum_up(model.tree, leaf[first])
    rows = [median_row(name, "error of one photograph of a place", distance_km(model.points(alone), truth[first]))]
    for temperature in (1.0, 2.0, 4.0):
        fused = torch.stack([fuse_photographs(leaf[own], temperature) for own in places])
        away = distance_km(model.points(sum_up(model.tree, fused)), truth[first])
        words = f"error with --same-place {PICTURES} photographs, temperature {temperature:g}"
        rows.append(median_row(name, words, away))
    return rows


def median_row(name: str, what: str, away_km: NDArray[np.float64]) -> Row:
    figure = distance_figures(away_km)["median_km"]
    return row(name, what, "median km", len(away_km), figure["value"], figure["low"], figure["high"])


if __name__ == "__main__":
    main()
