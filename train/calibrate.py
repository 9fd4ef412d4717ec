"""`python -m train.calibrate --data data/demo --run runs/demo`: probabilities that mean what they say."""

from plumbing.config import command
from train.config import CalibrateConfig

if __name__ == "__main__":
    command(CalibrateConfig, "python -m train.calibrate", "train.calibration:main")
