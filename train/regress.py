"""`python -m train.regress --data data/demo --run runs/demo`: coordinates without cells, the baseline."""

from plumbing.config import command
from train.config import RegressConfig

if __name__ == "__main__":
    command(RegressConfig, "python -m train.regress", "train.start:train_regress")
