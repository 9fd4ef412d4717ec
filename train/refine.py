"""`python -m train.refine --data data/demo --run runs/demo`: coordinates inside cells."""

from plumbing.config import command
from train.config import RefineConfig

if __name__ == "__main__":
    command(RefineConfig, "python -m train.refine", "train.refining:main")
