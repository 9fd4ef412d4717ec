"""Ten sample answers for the docs: `python -m bench.samples`, after `make demo`.

Answers all photographs of the test split of the demo planet, orders them by error, and takes the one in the middle of each tenth,
so that nobody chose them. Writes one picture for each, the photograph beside its answer, the page that shows them, and the figures.
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from bench.pictures import write_small
from dataset.country_names import country_name
from dataset.manifest import coordinates, read_located
from geocells.sphere import distance_km
from infer.play.countries import true_countries
from infer.prediction import Prediction
from infer.predictor import Predictor, load
from infer.prepared import Options
from plumbing.files import write_json, write_text
from plumbing.progress import progress
from viz.maps.png import prediction_png

SAMPLES = 10
SIDE = 256
"""Pixels a side of a photograph; enlarged by a whole number, as its pixels are few."""
WIDTH = 940
"""Pixels of the map beside it."""
MARGIN = 14
MOST_BYTES = 75_000
"""Of a picture: ten stay below 750 kB."""
RESULTS = Path("bench/results/samples.json")


def main() -> None:
    """Answer, choose, draw and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data/demo"), help="dataset folder")
    parser.add_argument("--run", type=Path, default=Path("runs/demo"), help="calibrated run folder")
    parser.add_argument("--pictures", type=Path, default=Path("docs/pictures"), help="folder of the pictures")
    parser.add_argument("--page", type=Path, default=Path("docs/sample-answers.md"), help="page to write")
    parser.add_argument("--results", type=Path, default=RESULTS, help="figures to write")
    config = parser.parse_args()
    record = sample(config.data, load(config.run, "cpu"), config.pictures)
    write_json(config.results, record)
    write_text(config.page, page(record))
    total = sum((config.pictures / each["picture"]).stat().st_size for each in record["samples"])
    print(
        f"{config.page}: {SAMPLES} of {record['photographs']:,} answers; pictures of {total / 1000:.0f} kB in {config.pictures}"
    )


def sample(data: Path, predictor: Predictor, pictures: Path) -> dict[str, Any]:
    """Answer the test split, write the pictures of the samples, and return the figures."""
    photos = read_located(data)
    photos = photos[photos["split"] == "test"].reset_index(drop=True)
    files = [data / path for path in photos["path"]]
    truths = [(lat, lon) for lat, lon in coordinates(photos).tolist()]
    points = [p.point for p in progress(predictor.predict(files, coverage=()), "answering", "photograph", len(files))]
    away_km = distance_km(np.array(points), coordinates(photos))
    chosen = middles(away_km, SAMPLES)
    stream = predictor.stream(
        [files[k] for k in chosen], predictor.prepared(Options()), truths_deg=[truths[k] for k in chosen]
    )
    samples = []
    for number, prediction in stream:
        name = f"sample-{number + 1:02d}.png"
        # The colours of ranks cover few pixels, which the median cut would merge with those of the photograph.
        write_small(beside(files[chosen[number]], prediction), pictures / name, MOST_BYTES, Image.Quantize.FASTOCTREE)
        samples.append(described(number, name, photos.iloc[[chosen[number]]], prediction))
    return {
        "photographs": len(photos),
        "median_km": round(float(np.median(away_km)), 1),
        "run": predictor.model.name,
        "model_hash": predictor.model.hash,
        "samples": samples,
        "command": "python -m bench.samples",
    }


def middles(errors: NDArray[np.float64], parts: int) -> list[int]:
    """Return which of (N,) errors stands in the middle of each of so many equal parts of them, the smallest first.

    Example:
        >>> middles(np.array([5.0, 1.0, 4.0, 2.0, 3.0, 6.0]), 3)
        [3, 2, 5]
    """
    order = np.argsort(errors, kind="stable")
    return [int(order[int((part + 0.5) * len(errors) / parts)]) for part in range(parts)]


def beside(photo: Path, prediction: Prediction) -> NDArray[np.uint8]:
    """Return (H, W, 3) pixels of a photograph with the picture of its answer on the right."""
    with Image.open(photo) as opened:
        shown = opened.convert("RGB")
    shown = shown.resize((SIDE, SIDE * shown.height // shown.width), Image.Resampling.NEAREST)
    answer = Image.open(io.BytesIO(prediction_png(prediction))).convert("RGB")
    answer = answer.resize((WIDTH, WIDTH * answer.height // answer.width), Image.Resampling.LANCZOS)
    sheet = Image.new("RGB", (MARGIN + SIDE + WIDTH, max(answer.height, shown.height + 2 * MARGIN)), "white")
    sheet.paste(shown, (MARGIN, (sheet.height - shown.height) // 2))
    sheet.paste(answer, (MARGIN + SIDE, 0))
    return np.asarray(sheet)


def described(number: int, picture: str, photo: pd.DataFrame, prediction: Prediction) -> dict[str, Any]:
    """Return the figures of one sample."""
    truth = next(place for place in prediction.metadata if place.source == "dataset")
    code = str(true_countries(photo)[0])
    return {
        "picture": picture,
        "photograph": str(photo["id"].iloc[0]),
        "percentile": round(100 * (number + 0.5) / SAMPLES),
        "true_deg": [round(truth.latitude, 3), round(truth.longitude, 3)],
        "true_country": country_name(code) if code else None,
        "point_deg": [round(value, 3) for value in prediction.point or ()],
        "distance_km": round(truth.distance_km or 0.0, 1),
        "headline": prediction.headline,
        "confidence": {name: level.confidence for name, level in prediction.levels.items()},
        "region_km2": {f"{coverage:g}": region.area_km2 for coverage, region in prediction.regions.items()},
        "in_region": truth.in_region,
    }


def page(record: dict[str, Any]) -> str:
    """Return the page of the samples, as Markdown."""
    levels = list(record["samples"][0]["confidence"])
    widest = max(record["samples"][0]["region_km2"], key=float)
    columns = ["", "percentile of error", "distance", "true place", "answered"]
    columns += [*(f"confidence at {level}" for level in levels), f"{float(widest):.0%} region"]
    head = [
        "# Sample answers",
        "",
        "Ten answers of the demo run about its own test split, each photograph beside its answer. **Nobody chose them**: all "
        f"{record['photographs']:,} answers are ordered by their error, and the middle one of each tenth is shown. The median "
        f"error is {record['median_km']:,.0f} km. The planet is synthetic, so the figures say nothing about real photographs.",
        "",
        "```sh",
        "make demo",
        "python -m bench.samples",
        "```",
        "",
        f"| {' | '.join(columns)} |",
        f"|{'---|' * len(columns)}",
    ]
    rows = [_row(number, each, levels, widest) for number, each in enumerate(record["samples"], start=1)]
    pictures = []
    for number, each in enumerate(record["samples"], start=1):
        where = f"{each['distance_km']:,.0f} km off, percentile {each['percentile']} of the errors"
        pictures += ["", f"## {number}. {where}", "", f"![{each['headline']}](pictures/{each['picture']})"]
    return "\n".join([*head, *rows, *pictures]) + "\n"


def _row(number: int, each: dict[str, Any], levels: Sequence[str], widest: str) -> str:
    true, answered = (f"{lat:.2f}, {lon:.2f}" for lat, lon in (each["true_deg"], each["point_deg"]))
    confidence = " | ".join(
        "" if each["confidence"][level] is None else f"{each['confidence'][level]:.0%}" for level in levels
    )
    holds = "holds the true place" if each["in_region"] else "does not hold it"
    country = f" ({each['true_country']})" if each["true_country"] else ""
    return (
        f"| {number} | {each['percentile']} | {each['distance_km']:,.0f} km | {true}{country} | {answered} | {confidence} | "
        f"{each['region_km2'][widest] / 1e6:.2f} million km², {holds} |"
    )


if __name__ == "__main__":
    main()
