"""`python -m infer.evaluate --data data/demo --run runs/demo --split test`: how good a run is."""

from infer.config import EvaluateConfig
from plumbing.config import command

if __name__ == "__main__":
    command(EvaluateConfig, "python -m infer.evaluate", "infer.evaluation:main")
