"""`python -m train.joint --data data/demo --run runs/demo`: one network for all levels."""

from plumbing.config import command
from train.config import JointConfig

if __name__ == "__main__":
    command(JointConfig, "python -m train.joint", "train.start:train_joint")
