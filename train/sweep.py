"""`python -m train.sweep RECIPE.yaml --data data/demo --run runs/demo`: which learning rate and weight decay?"""

from plumbing.config import command
from train.config import SweepConfig

if __name__ == "__main__":
    command(SweepConfig, "python -m train.sweep", "train.sweeping:main")
