"""`python -m train.sweep RECIPE.yaml --data data/demo --run runs/demo`: which learning rate and weight decay?"""

import sys
from collections.abc import Sequence

from plumbing.config import command, parse
from train.config import LevelSweepConfig, SweepConfig

PROG = "python -m train.sweep"


def config_of(argv: Sequence[str]) -> type[SweepConfig]:
    """Return the config that holds the defaults of what a command line sweeps: a level's or the joint network's."""
    try:
        return SweepConfig if parse(SweepConfig, PROG, argv).level is None else LevelSweepConfig
    except ValueError:
        return SweepConfig  # It is refused again, in one line, by `command`.


if __name__ == "__main__":
    command(config_of(sys.argv[1:]), PROG, "train.sweeping:main")
