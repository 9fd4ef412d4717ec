"""`python -m train VERB`: networks, heads, and what the calibration split says of them."""

import sys
from collections.abc import Sequence

from plumbing.config import Commands, dispatch, parse
from train.config import (
    CalibrateConfig,
    JointConfig,
    LevelConfig,
    LevelSweepConfig,
    RefineConfig,
    RegressConfig,
    SweepConfig,
)


def sweep_config(argv: Sequence[str]) -> type[SweepConfig]:
    """Return the config that holds the defaults of what a command line sweeps: a level's or the joint network's."""
    try:
        return SweepConfig if parse(SweepConfig, "python -m train sweep", argv).level is None else LevelSweepConfig
    except ValueError:
        return SweepConfig  # It is refused again, in one line, by `command`.


COMMANDS: Commands = {
    "joint": (JointConfig, "train.tasks:train_joint"),
    "level": (LevelConfig, "train.tasks:train_level"),
    "regress": (RegressConfig, "train.tasks:train_regress"),
    "refine": (RefineConfig, "train.refine:main"),
    "calibrate": (CalibrateConfig, "train.calibrate:main"),
    "sweep": (SweepConfig, "train.sweep:main"),
}

if __name__ == "__main__":
    swept = {"sweep": (sweep_config(sys.argv[2:]), "train.sweep:main")} if sys.argv[1:2] == ["sweep"] else {}
    dispatch("python -m train", {**COMMANDS, **swept})
