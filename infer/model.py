"""A run folder as a model: pixels in, one posterior over the tree out."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocells.hierarchy import Hierarchy
from infer.network import GeoNetwork, NetworkSpec, load_network
from infer.points import answer_points, leaf_vectors
from infer.posterior import FUSIONS, Tree, fuse
from infer.transform import InputTransform, normalise
from label_maps.files import hierarchy_hash, read_hierarchy
from label_maps.run_folder import read_run
from plumbing.files import read_json, sha256

log = logging.getLogger(__name__)

JOINT = "joint.safetensors"
TEMPERATURES = "temperatures.json"


@dataclass(frozen=True, eq=False)
class Model:
    """Everything that answers.

    Attributes:
        name: of the run.
        record: its `run.json`.
        hash: SHA-256 over its weights and label maps, by which an answer names what gave it.
        hierarchy: the cells.
        tree: the same as tensors.
        leaves: (leaves, 3) unit vectors of the answered coordinates of the finest level.
        networks: which have between them one head for each level.
        transform: from a picture to their input.
        temperatures: one for each level, by fusion; 1 where none was fitted.
        calibrated: whether temperatures were fitted for these weights.
        fusion: how levels are combined, by default.
        point: how one point is chosen, by default.
        device: where it computes.
    """

    name: str
    record: dict[str, Any]
    hash: str
    hierarchy: Hierarchy
    tree: Tree
    leaves: Tensor
    networks: tuple[GeoNetwork, ...]
    transform: InputTransform
    temperatures: Mapping[str, tuple[float, ...]]
    calibrated: bool
    fusion: str
    point: str
    device: torch.device

    @torch.inference_mode()
    def logits(self, pixels: Tensor) -> list[Tensor]:
        """Return (B, classes) logits per level of (B, 3, size, size) uint8 pixels."""
        images = normalise(pixels.to(self.device))
        with torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            outputs = {level: z for network in self.networks for level, z in network(images).items()}
        if not all(torch.isfinite(z).all() for z in outputs.values()):
            raise ValueError(f"the networks of {self.name} answer with what is no number: train them again")
        return [outputs[level].float() for level in self.hierarchy.level_names]

    @torch.inference_mode()
    def posterior(self, logits: Sequence[Tensor]) -> list[Tensor]:
        """Return the tree posterior, (B, classes) log probabilities per level."""
        return fuse(self.tree, logits, self.temperatures[self.fusion], self.fusion)

    def with_choices(self, fusion: str | None, point: str | None) -> "Model":
        """Return the model with another fusion or point where one is given."""
        return replace(self, fusion=fusion or self.fusion, point=point or self.point)

    @torch.inference_mode()
    def points(self, posterior: Sequence[Tensor]) -> NDArray[np.float64]:
        """Return (B, 2) answered latitudes and longitudes in degrees."""
        return answer_points(self.point, posterior[-1], self.leaves).cpu().numpy()


def load_model(run: Path, device: torch.device) -> Model:
    """Load a run folder; its label maps, weights and temperatures must belong together.

    Raises:
        ValueError: something is missing, damaged or of another run; the message says what and what to do.
    """
    record = read_run(run)
    hierarchy = read_hierarchy(run)
    files = network_files(run, hierarchy)
    loaded = [load_network(path, device) for path in files]
    for path, (_, spec) in zip(files, loaded, strict=True):
        check_fits(path, spec, hierarchy)
    unanswered = set(hierarchy.level_names).difference(*(spec.classes for _, spec in loaded))
    if unanswered:
        raise ValueError(
            f"{', '.join(path.name for path in files)} of {run} have no head for {', '.join(sorted(unanswered))}: "
            "train them with `python -m train.joint` or `python -m train.level`"
        )
    transforms = {spec.transform for _, spec in loaded}
    if len(transforms) > 1:
        raise ValueError(
            f"the networks of {run} want pictures of different sizes: train them with the same --image-size"
        )
    digest = model_hash(record, files)
    calibration = read_temperatures(run, digest)
    return Model(
        name=record["name"],
        record=record,
        hash=digest,
        hierarchy=hierarchy,
        tree=Tree.of(hierarchy, device),
        leaves=leaf_vectors(hierarchy, device),
        networks=tuple(network for network, _ in loaded),
        transform=transforms.pop(),
        temperatures={fusion: _temperatures(calibration, fusion, hierarchy) for fusion in FUSIONS},
        calibrated=bool(calibration),
        fusion=calibration.get("fusion", "chain"),
        point=calibration.get("point", "geoscore"),
        device=device,
    )


def model_hash(record: Mapping[str, Any], files: Sequence[Path]) -> str:
    """Return the SHA-256 over the label maps and weights of a run."""
    return hashlib.sha256("".join([record["label_map_hash"], *map(sha256, files)]).encode()).hexdigest()


def _temperatures(calibration: Mapping[str, Any], fusion: str, hierarchy: Hierarchy) -> tuple[float, ...]:
    fitted = calibration.get("temperatures", {}).get(fusion, {})
    return tuple(float(fitted.get(level, 1.0)) for level in hierarchy.level_names)


def network_files(run: Path, hierarchy: Hierarchy) -> list[Path]:
    """Return the weights that answer: the joint network where there is one, else one of each level.

    Raises:
        ValueError: a level has none.
    """
    if (run / JOINT).is_file():
        return [run / JOINT]
    files = [run / f"{level}.safetensors" for level in hierarchy.level_names]
    missing = [path.stem for path in files if not path.is_file()]
    if missing:
        raise ValueError(
            f"{run} has no network for {', '.join(missing)}: train with `python -m train.joint`, or each level with "
            f"`python -m train.level --level {missing[0]}`"
        )
    return files


def check_fits(path: Path, spec: NetworkSpec, hierarchy: Hierarchy) -> None:
    """Refuse a network whose classes are not those of the label maps.

    Raises:
        ValueError: numbers or hashes of classes differ.
    """
    again = "pass the run it was trained on (--run), or train again with `python -m train.joint` or `train.level`"
    sizes = dict(zip(hierarchy.level_names, hierarchy.sizes(), strict=True))
    for level, count in spec.classes.items():
        if sizes.get(level) != count:
            known = f"{sizes[level]}" if level in sizes else "no such level"
            raise ValueError(f"{path} knows {count} classes of {level} but label_map_{level}.json has {known}: {again}")
    if spec.label_map_hash != hierarchy_hash(hierarchy):
        raise ValueError(f"{path} was trained on label maps with other classes than {path.parent} holds: {again}")


def read_temperatures(run: Path, model_hash: str) -> dict[str, Any]:
    """Return what `train.calibrate` fitted for these very weights, or nothing, with a warning."""
    if not (run / TEMPERATURES).is_file():
        log.warning("%s is not calibrated, its probabilities may be too sure: run `python -m train.calibrate`", run)
        return {}
    content: dict[str, Any] = read_json(run / TEMPERATURES)
    if not isinstance(content, dict) or content.get("model_hash") != model_hash:
        log.warning(
            "%s was fitted for other weights and is left aside: run `python -m train.calibrate`", run / TEMPERATURES
        )
        return {}
    return content
