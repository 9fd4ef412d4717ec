"""Which files of a run answer, and the hash that stands for them; no torch, so that reports read it quickly."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geocells.hierarchy import Hierarchy
from plumbing.files import sha256

JOINT = "joint.safetensors"
REGRESS = "regress.safetensors"
REFINE = "refine.safetensors"
OWN_TRUNKS = Path("refine")
"""Folder of a refiner that has trunks of its own."""
OWN_REFINER = OWN_TRUNKS / "refiner.json"
"""What such a refiner is; written last, so that a run has all of its networks or none."""


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
