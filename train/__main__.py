"""`python -m train VERB`: networks, features, heads, refiners, calibration and sweeps."""

from plumbing.config import Commands, dispatch
from train.config import CalibrateConfig, JointConfig, LevelConfig, RegressConfig
from train.features_config import FeaturesConfig
from train.refine_config import RefineConfig
from train.sweep_config import SweepConfig

COMMANDS: Commands = {
    "joint": (JointConfig, "train.tasks:train_joint"),
    "level": (LevelConfig, "train.tasks:train_level"),
    "regress": (RegressConfig, "train.tasks:train_regress"),
    "features": (FeaturesConfig, "train.features:main"),
    "refine": (RefineConfig, "train.refine:main"),
    "calibrate": (CalibrateConfig, "train.calibrate:main"),
    "sweep": (SweepConfig, "train.sweep:main"),
}

if __name__ == "__main__":
    dispatch("python -m train", COMMANDS)
