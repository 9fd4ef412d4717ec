"""The default where photographs are many: `python -m bench.large` measures it beside the oracle that reads all clues.

200,000 photographs of the demo planet are drawn, most of them to train on. Data and run are made in `--work`, unless they
lie there: some two hours on two cores. `--arch` and `--image-size` take a larger network for a GPU.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from bench.commands import run_command
from bench.report import OF_GROUPS, write_results


def main() -> None:
    flags = argparse.ArgumentParser(prog="python -m bench.large")
    flags.add_argument("--work", type=Path, default=Path("runs/large"))
    flags.add_argument("--images", type=int, default=200_000)
    flags.add_argument("--epochs", type=int, default=6)
    flags.add_argument("--tau-end", type=float, default=0.25)
    flags.add_argument("--readout-epochs", type=int, default=0, help="see train joint; as long as three of the others")
    flags.add_argument("--arch", default="resnet18")
    flags.add_argument("--image-size", type=int, default=64)
    flags.add_argument("--seed", type=int, default=2, help="of the planet: its world, photographs and splits")
    given = flags.parse_args()
    report = json.loads(make_run(given).read_text(encoding="utf-8"))
    oracle = report["answers"]["clue oracle"]["geoscore"]["value"]
    counts = {"n": report["photographs"], "groups": report["groups"]}
    rows = [row(name, figures, oracle, counts) for name, figures in report["answers"].items()]
    write_results("large", rows, OF_GROUPS)


def make_run(given: argparse.Namespace) -> Path:
    """Draw and train, unless that lies there, calibrate and measure; return the file of the evaluation."""
    data, run = str(given.work / "data"), str(given.work / "run")
    if not Path(run, "run.json").is_file():
        drawn = ("--images", str(given.images), "--size", "128", "--seed", str(given.seed))
        run_command("fetch demo", "--out", data, *drawn, "--test-share", "0.06", "--calibration-share", "0.08")
        run_command("fetch thin", "--data", data)
        run_command("label_maps build", "--data", data, "--run", run, "--partition", "kmeans")
    size = ("--arch", given.arch, "--image-size", str(given.image_size), "--epochs", str(given.epochs))
    ends = ("--tau-end", str(given.tau_end), "--readout-epochs", str(given.readout_epochs))
    recipe = ("train/recipes/demo.yaml", *size, *ends)
    run_command("train joint", *recipe, "--data", data, "--run", run, "--resume")
    run_command("train calibrate", "--data", data, "--run", run)
    run_command("infer evaluate", "--data", data, "--run", run)
    return Path(run, "evaluation_test.json")


def row(name: str, figures: dict[str, Any], oracle: float, counts: dict[str, int]) -> dict[str, Any]:
    score, median = figures["geoscore"], figures["median_km"]
    within = {f"within_{km}_km": round(figures[f"within_{km}km"]["value"], 4) for km in (25, 200, 750, 2500)}
    return {
        "answers": name,
        **counts,
        **{f"geoscore{'' if k == 'value' else f'_{k}'}": round(score[k], 1) for k in ("value", "low", "high")},
        "of_the_oracle": round(score["value"] / oracle, 4),
        "median_km": round(median["value"], 1),
        **within,
    }


if __name__ == "__main__":
    main()
