"""Every published method on one demo planet with one budget: `python -m bench.methods`.

The methods of countries need Natural Earth: `--countries ne_50m_admin_0_countries.zip --regions
ne_10m_admin_1_states_provinces.zip`.

All methods learn from the same photographs, see the same number of them in training (a method of several networks shares
the epochs out among them), and have the same trunk, size of pictures, optimiser and augmentation, those of the demo, so
that what differs is what they were published for: how the world is cut, what is minimised, how an answer is made. `METHODS`
says that of each in flags; the recipes of the same names say it with the trunks and rates that the methods were published
with. Trainings run by the commands of the README, `--jobs` at a time, each on its share of the cores, and are kept in
`--work`, with their answers: interrupted, the same command continues. One seed takes an hour and a half on two cores that
have other work too. `--set ablations` trains the default with one thing changed at a time; `--set refiners` trains
those that answer inside a region, beside the default.
"""

import argparse
import hashlib
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from numpy.typing import NDArray

from bench.commands import run_command
from bench.report import OF_GROUPS, write_results
from dataset.groups import leakage_groups
from dataset.manifest import coordinates
from geocells.sphere import distance_km, geoscore
from infer.evaluate.measure import measure, split_photos
from infer.evaluate.metrics import RADII_KM, mean_interval, median_difference
from infer.evaluate.run import baselines
from infer.model import Model, load_model
from plumbing.files import atomic_path, write_json, write_text

SCALED = Path("train/recipes/demo.yaml")
"""Trunk, size of pictures, optimiser and augmentation of all methods."""
DEFAULT = "joint"
"""The method that the others are compared with."""
OF_RUNS = ("image_size", "resize")
"""Settings that a refiner has from its run."""
BATCH = 64
Flags = tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One training of a method.

    Attributes:
        command: the module that is run.
        flags: what tells it from others.
        share: of the method's epochs.
        looks: whether the share is of photographs that a network learns from; else its epochs are those of a small head
            on features that are computed once.
    """

    command: str
    flags: Flags
    share: float = 1.0
    looks: bool = True


@dataclass(frozen=True)
class Method:
    """How the world is cut, what is trained on it, and how it answers.

    Attributes:
        partition: flags of `python -m label_maps`.
        steps: trainings.
        answer: fusion and point; None for what the calibration split prefers.
    """

    partition: Flags
    steps: tuple[Step, ...]
    answer: tuple[str | None, str | None] = (None, None)


def joint(*flags: str) -> Step:
    return Step("train joint", flags)


def level(name: str, share: float, *flags: str) -> Step:
    return Step("train level", ("--level", name, "--loss", "cross_entropy", *flags), share)


def heads(kind: str) -> Step:
    return Step("train refine", ("--kind", kind), looks=False)


def own_trunk(kind: str, share: float) -> Step:
    """Return a training of networks that refine, end to end, by the budget of all."""
    return Step("train refine", ("--kind", kind, "--own-trunk", "--batch-size", "64", "--patience", "0"), share)


QUAD = ("--partition", "quad")
ADMIN = ("--partition", "admin", "--countries", "{countries}", "--regions", "{regions}")
MACRO = ("--partition", "macro")
FLAT = (*QUAD, "--levels", "8")
NESTED = ("--partition", "kmeans", "--clusters", "50", "300", "1000")
LEVELS = ("L1", "L3", "L5", "L8")
REGIONS = ("--partition", "kmeans", "--clusters", "200")
LINEAR = ("--readout-epochs", "0")
DIRECTOR = ("--sampler", "balanced", "--class-weights")

METHODS: dict[str, Method] = {
    "joint": Method(NESTED, (joint(),)),
    "joint, linear heads": Method(NESTED, (joint(*LINEAR),)),
    "joint, linear heads, on quads": Method(QUAD, (joint(*LINEAR),)),
    "flat L8": Method(FLAT, (level("L8", 1.0),)),
    "flat L8, smoothed": Method(FLAT, (level("L8", 1.0, "--loss", "haversine"),)),
    "flat L8, smoothed over 400 km": Method(FLAT, (level("L8", 1.0, "--loss", "haversine", "--tau-km", "400"),)),
    "geoguessr2": Method(QUAD, tuple(level(name, 0.25) for name in LEVELS), ("greedy", None)),
    "country + region_smooth": Method(ADMIN, (level("country", 0.5), level("region", 0.5, "--loss", "haversine"))),
    "director + experts, heads": Method(MACRO, (level("macro", 1.0, *DIRECTOR), heads("experts")), (None, "expert")),
    "director + experts": Method(MACRO, (level("macro", 0.5, *DIRECTOR), own_trunk("experts", 0.5)), (None, "expert")),
    "region_embedding, heads": Method(REGIONS, (level("K200", 1.0), heads("embedding")), (None, "expert")),
    "region_embedding": Method(REGIONS, (level("K200", 0.5), own_trunk("embedding", 0.5)), (None, "expert")),
    "coordinates": Method(QUAD, (Step("train regress", ()),), (None, "regressed")),
    "multiscale": Method(
        NESTED, (joint("--loss", "focal", "--loss-on", "levels", "--coordinate-weight", "1.0", *LINEAR),)
    ),
}
"""The rows, by name; those of `ABLATIONS` say which part of the default does what."""
REFINERS = ("director + experts", "director + experts, heads", "region_embedding", "region_embedding, heads")
"""Those that answer inside the region that they take first: as published, and with heads on the features of one trunk."""

ABLATIONS: dict[str, Method] = {
    "joint, on levels": Method(NESTED, (joint("--loss-on", "levels"),)),
    "joint, on levels, cross-entropy": Method(NESTED, (joint("--loss-on", "levels", "--loss", "cross_entropy"),)),
    "joint, on siblings, cross-entropy": Method(NESTED, (joint("--loss", "cross_entropy", "--loss-on", "siblings"),)),
    "joint, tau halved": Method(NESTED, (joint("--tau-km", "400", "141", "50"),)),
    "joint, tau doubled": Method(NESTED, (joint("--tau-km", "1600", "566", "200"),)),
    "joint, the finest level weighs 3": Method(NESTED, (joint("--level-weights", "1", "1", "3"),)),
    "joint, colours and crops changed": Method(
        NESTED, (joint("--augment.color-jitter", "0.2", "--augment.crop-scale", "0.7"),)
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("runs/methods"))
    parser.add_argument("--countries", type=Path, help="Natural Earth admin-0; the methods of countries need it")
    parser.add_argument("--regions", type=Path, help="Natural Earth admin-1")
    parser.add_argument("--images", type=int, default=24_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--set", choices=("methods", "refiners", "ablations"), default="methods")
    parser.add_argument("--only", nargs="*", help="names of methods; nothing is published then")
    given = parser.parse_args()
    refiners = {name: METHODS[name] for name in (DEFAULT, *REFINERS)}
    ablations = {DEFAULT: METHODS[DEFAULT], **ABLATIONS}
    methods = {"methods": METHODS, "refiners": refiners, "ablations": ablations}[given.set]
    methods = {name: method for name, method in methods.items() if not given.only or name in given.only}
    make_data(given)
    jobs = [(name, seed) for seed in range(given.seeds) for name in methods]
    with ThreadPoolExecutor(given.jobs) as pool:
        list(pool.map(lambda job: train(given, *job, methods[job[0]]), jobs))
    rows = list(table(given, methods))
    name = "methods_refiners" if given.set == "refiners" else given.set
    write_results(name if not given.only else "methods_partial", rows, OF_GROUPS)


def make_data(given: argparse.Namespace) -> None:
    """Draw the planet and thin it, as everybody would."""
    data = given.work / "data"
    shares = ("--test-share", "0.35", "--calibration-share", "0.1")
    run(given, "fetch", "demo", "--out", str(data), "--images", str(given.images), *shares)
    run(given, "fetch", "thin", "--data", str(data))


def folder(given: argparse.Namespace, name: str, seed: int) -> Path:
    """Return the run folder of a method and a seed."""
    plain = "".join(c if c.isalnum() else "_" for c in name)
    found: Path = given.work / f"{plain}_e{given.epochs}_s{seed}"
    return found


def train(given: argparse.Namespace, name: str, seed: int, method: Method) -> None:
    """Run a method's commands unless they were run before; `bench.json` in its run says what they took."""
    target, data = folder(given, name, seed), str(given.work / "data")
    if (target / "bench.json").is_file():
        return
    if not (target / "run.json").is_file():
        flags = [flag.format(countries=given.countries, regions=given.regions) for flag in method.partition]
        run(given, "label_maps build", "--data", data, "--run", str(target), *flags)
    core_s = 0.0
    for step in method.steps:
        core_s += train_step(given, step, seed, data, str(target))
    run(given, "train calibrate", "--data", data, "--run", str(target), "--workers", "0", "--max-photos", "2000")
    write_json(target / "bench.json", {"training_core_s": core_s})


def train_step(given: argparse.Namespace, step: Step, seed: int, data: str, target: str) -> float:
    common = ["--data", data, "--run", target, "--seed", str(seed)]
    if step.looks:
        epochs = str(max(1, round(given.epochs * step.share)))
        recipe = scaled_refiner(given.work) if step.command == "train refine" else SCALED
        return run(given, step.command, str(recipe), *common, "--epochs", epochs, *step.flags, "--resume")
    return run(given, step.command, *common, *step.flags, "--overwrite")


def scaled_refiner(work: Path) -> Path:
    """Return a recipe of the same settings for refiners, which see pictures as the run's network does."""
    recipe = {
        key: value for key, value in yaml.safe_load(SCALED.read_text(encoding="utf-8")).items() if key not in OF_RUNS
    }
    write_text(work / "refiner.yaml", yaml.safe_dump(recipe))
    return work / "refiner.yaml"


def run(given: argparse.Namespace, command: str, *flags: str) -> float:
    """Run one of our commands on its share of the cores."""
    return run_command(command, *flags, threads=max(1, (os.cpu_count() or 1) // given.jobs))


@dataclass(frozen=True, eq=False)
class Answers:
    """What a method answered for the test photographs, by seed, and what that took."""

    away_km: NDArray[np.float64]
    top_1: dict[str, float]
    parameters: int
    photos_per_second: float
    training_core_s: float


def answers(given: argparse.Namespace, name: str, method: Method) -> Answers:
    """Return the answers of all seeds of a method."""
    photos = split_photos(given.work / "data", "test")
    away, hits, core_s = [], [], []
    for seed in range(given.seeds):
        target = folder(given, name, seed)
        model = load_model(target, torch.device("cpu")).with_choices(*method.answer)
        own_away, own_hits = answered(model, target, given.work / "data", photos)
        away.append(own_away)
        hits.append(own_hits)
        core_s.append(json.loads((target / "bench.json").read_text())["training_core_s"])
    names = model.hierarchy.level_names
    top_1 = dict(zip(names, np.mean(hits, axis=0).tolist(), strict=True))
    parameters = sum(p.numel() for network in model.networks for p in network.parameters())
    # A training that was interrupted counts only what was left of it; the longest was not.
    return Answers(np.stack(away), top_1, parameters, photos_per_second(model), max(core_s))


def answered(
    model: Model, run: Path, data: Path, photos: pd.DataFrame
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the (N,) errors and, by level, the top-1 of a model, from its run folder where they were measured before."""
    choices = json.dumps([model.hash, model.temperatures, model.fusion, model.point])
    path = run / f"bench_answers_{hashlib.sha256(choices.encode()).hexdigest()[:16]}.npz"
    if not path.is_file():
        measured = measure(model, data, photos, 64, 0)
        away = distance_km(measured.points_deg, coordinates(photos)[measured.read])
        with atomic_path(path) as partial, partial.open("wb") as file:
            np.savez(file, away=away, hits=(measured.ranks < 1).mean(axis=0))
    with np.load(path) as kept:
        return kept["away"], kept["hits"]


def photos_per_second(model: Model) -> float:
    """Return how many photographs a model answers in a second, once they are decoded: the median of five batches."""
    size = model.transform.size
    pixels = torch.randint(0, 256, (BATCH, 3, size, size), dtype=torch.uint8)
    times = []
    for _ in range(6):
        started_at = time.perf_counter()
        outputs = model.outputs(pixels)
        model.points(model.posterior(outputs.logits), outputs)
        times.append(time.perf_counter() - started_at)
    return BATCH / float(np.median(times[1:]))


def table(given: argparse.Namespace, methods: dict[str, Method]) -> Iterator[dict[str, Any]]:
    """Yield a row for each method, then for those who need no training."""
    photos = split_photos(given.work / "data", "test")
    truth, group = coordinates(photos), leakage_groups(photos)
    found = {name: answers(given, name, method) for name, method in methods.items()}
    if DEFAULT in found and given.set != "ablations":
        greedy = Method(METHODS[DEFAULT].partition, (), ("greedy", "top"))
        found["joint, greedy rule"] = answers(given, DEFAULT, greedy)
    ours = found[DEFAULT].away_km if DEFAULT in found else None
    for name, answer in found.items():
        yield row(name, answer.away_km, ours, answer, group)
    fixed = baselines(given.work / "data", photos, 0)
    for name, points in fixed.items():
        yield row(name, distance_km(points, truth)[None], ours, None, group)


def row(
    name: str,
    away_km: NDArray[np.float64],
    default_km: NDArray[np.float64] | None,
    answer: Answers | None,
    group: NDArray[np.int64],
) -> dict[str, Any]:
    """Return the figures of a method over (seeds, N) errors; intervals resample the (N,) groups, seeds averaged."""
    score = mean_interval(geoscore(away_km).mean(axis=0), group)
    figures: dict[str, Any] = {
        "method": name,
        "n": away_km.shape[1],
        "groups": len(np.unique(group)),
        "seeds": len(away_km),
        "geoscore": round(score["value"], 1),
        "low": round(score["low"], 1),
        "high": round(score["high"], 1),
        "seed_sd": round(float(geoscore(away_km).mean(axis=1).std()), 1),
        "median_km": round(float(np.median(away_km)), 1),
    }
    keys = ("default_ahead", "ahead_low", "ahead_high", "median_km_more", "more_low", "more_high")
    behind: list[float | None] = [None] * len(keys)
    if default_km is not None and name != DEFAULT:
        ahead = mean_interval(geoscore(default_km).mean(axis=0) - geoscore(away_km).mean(axis=0), group)
        more = median_difference(away_km, default_km, group)
        behind = [round(found[key], 1) for found in (ahead, more) for key in ("value", "low", "high")]
    figures |= dict(zip(keys, behind, strict=True))
    figures |= {f"within_{r}km": round(float((away_km <= r).mean()), 4) for r in RADII_KM if r > 1}
    top = "" if answer is None else " ".join(f"{level} {share:.3f}" for level, share in answer.top_1.items())
    figures |= {
        "top_1": top,
        "million_parameters": None if answer is None else round(answer.parameters / 1e6, 1),
        "answers_per_s": None if answer is None else round(answer.photos_per_second, 1),
        "training_core_s": None if answer is None else round(answer.training_core_s, 1),
    }
    return figures


if __name__ == "__main__":
    main()
