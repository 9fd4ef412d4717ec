"""`python -m train.level --data data/demo --run runs/demo --level L3`: one network for one level."""

from plumbing.config import command
from train.config import LevelConfig

if __name__ == "__main__":
    command(LevelConfig, "python -m train.level", "train.start:train_level")
