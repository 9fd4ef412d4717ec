"""Which files of a run answer, and the hash that stands for them; no torch, so that reports read it quickly."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geocells.hierarchy import Hierarchy
from plumbing.damage import is_number
from plumbing.files import read_json, sha256
from plumbing.text import counted

JOINT = "joint.safetensors"
REGRESS = "regress.safetensors"
REFINE = "refine.safetensors"
OWN_TRUNKS = Path("refine")
"""Folder of a refiner that has trunks of its own."""
OWN_REFINER = OWN_TRUNKS / "refiner.json"
"""What such a refiner is; written last, so that a run has all of its networks or none."""

UNCALIBRATED = "uncalibrated.json"
"""Why `train calibrate` left a run as it was, where the photographs were too few."""
CALIBRATE = "run `python -m train calibrate`"


def to_calibrate(run: Path, digest: str) -> str:
    """Return what calibrates a run of this hash: the command, or first more photographs where these were too few."""
    about = read_json(run / UNCALIBRATED) if (run / UNCALIBRATED).is_file() else None
    if not isinstance(about, Mapping) or about.get("model_hash") != digest:
        return CALIBRATE
    if not all(is_number(about.get(name), 0, 1e9) for name in ("groups", "needed")):
        return CALIBRATE
    groups, needed = int(about["groups"]), int(about["needed"])
    return (
        f"{counted(groups, 'group')} of photographs were too few for `python -m train calibrate`, which needs {needed}: add "
        "photographs of other places, or give calibration more with `python -m fetch split`, and train again"
    )


def model_hash(record: Mapping[str, Any], files: Sequence[Path]) -> str:
    """Return the SHA-256 over the label maps and weights of a run."""
    return hashlib.sha256("".join([record["label_map_hash"], *map(sha256, files)]).encode()).hexdigest()


def refiner_files(run: Path) -> list[Path]:
    """Return the files of a run's refiner: the head on its network's features, or networks of their own; [] without one."""
    if (run / OWN_REFINER).is_file():
        return [run / OWN_REFINER, *sorted((run / OWN_TRUNKS).glob("*.safetensors"))]
    return [run / REFINE] if (run / REFINE).is_file() else []


def network_files(run: Path, hierarchy: Hierarchy) -> list[Path]:
    """Return the weights that answer: the joint network where there is one, else one of each level, else that of a point.

    Raises:
        ValueError: a level has none.
    """
    if (run / JOINT).is_file():
        return [run / JOINT]
    files = [run / f"{level}.safetensors" for level in hierarchy.level_names]
    if (run / REGRESS).is_file() and not any(path.is_file() for path in files):
        return [run / REGRESS]
    missing = [path.stem for path in files if not path.is_file()]
    if missing:
        raise ValueError(
            f"{run} has no network for {', '.join(missing)}: train with `python -m train joint`, or each level with "
            f"`python -m train level --level {missing[0]}`"
        )
    return files
