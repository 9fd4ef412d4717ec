"""What the horizontal flip costs: it mirrors writing and hides which side people drive on, both of which say where one is.

`python -m bench.flip --data data/demo` trains the recipe of the demo with and without the flip, on the same photographs
with the same seeds, and measures both on the test split.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from bench.report import OF_GROUPS, write_results
from infer.config import EvaluateConfig
from infer.evaluate.run import main as evaluate
from label_maps.build import main as make_label_maps
from label_maps.config import LabelMapsConfig
from plumbing.config import parse
from train.calibrate import main as calibrate
from train.config import CalibrateConfig, JointConfig
from train.tasks import train_joint

RECIPE = "train/recipes/demo.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=1)
    flags = parser.parse_args()
    rows = []
    for flip in (0.0, 0.5):
        reports = [measure(flags.data, flip, seed, flags.epochs) for seed in range(flags.seeds)]
        found = [report["answers"]["model"] for report in reports]
        rows.append(
            {
                "flip": flip,
                "seeds": flags.seeds,
                "epochs": flags.epochs,
                "photographs": reports[0]["photographs"],
                "groups": reports[0]["groups"],
                "geoscore": round(float(np.mean([figure["geoscore"]["value"] for figure in found])), 1),
                "low": round(float(np.mean([figure["geoscore"]["low"] for figure in found])), 1),
                "high": round(float(np.mean([figure["geoscore"]["high"] for figure in found])), 1),
                "median_km": round(float(np.mean([figure["median_km"]["value"] for figure in found])), 1),
            }
        )
    write_results("flip", rows, OF_GROUPS)


def measure(data: Path, flip: float, seed: int, epochs: int) -> dict:
    """Train, calibrate and evaluate once."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        make_label_maps(LabelMapsConfig(data, run))
        given = ["--data", str(data), "--run", str(run), "--epochs", str(epochs), "--seed", str(seed)]
        train_joint(parse(JointConfig, "bench.flip", [RECIPE, *given, "--augment.flip", str(flip)]))
        calibrate(CalibrateConfig(data, run))
        evaluate(EvaluateConfig(data=data, run=run))
        report: dict = json.loads((run / "evaluation_test.json").read_text())
        return report


if __name__ == "__main__":
    main()
