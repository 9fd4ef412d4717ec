"""A run folder as a model: pixels in, one posterior over the tree out."""

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
from infer.config import RENAMED_FUSIONS
from infer.decode.greedy_rule import PUBLISHED_RULE, GreedyRule
from infer.decode.point import EXPERT, POINTS, REFINED, REGRESSED, answer_points, center_vectors, refined_points
from infer.decode.posterior import FUSIONS, Tree, fuse
from infer.network.coordinate_head import HEAD, CoordinateSpec, point_logits
from infer.network.devices import autocast, choose_precision
from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.offsets import HybridOffsets
from infer.network.output import NetworkOutput
from infer.network.own_trunks import OwnTrunks, OwnTrunksSpec, load_own_trunks
from infer.network.refiner import HYBRID, Refiner, RefinerSpec, load_refiner
from infer.network.sphere import latlon_deg_of
from infer.network.transform import InputTransform
from infer.network.weights import load_network
from infer.run_files import CALIBRATE, OWN_REFINER, REGRESS, model_hash, network_files, refiner_files, to_calibrate
from label_maps.files import hierarchy_hash, read_hierarchy
from label_maps.run_folder import read_run
from plumbing.damage import is_number, one_line
from plumbing.files import read_json
from plumbing.text import counted

log = logging.getLogger(__name__)

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
        centers: per level, (classes, 3) unit vectors of the coordinates that stand for its cells.
        networks: which have between them one head for each level, or a coordinate head alone.
        coordinates: how the coordinate head of the last network is read; None where it has none.
        refiner: what turns cells into coordinates inside them, and its spec, where the run has one.
        transform: from a picture to their input.
        temperatures: one for each level, by fusion; 1 where none was fitted.
        calibrated: whether temperatures were fitted for these weights.
        fusion: how levels are combined, by default.
        point: how one point is chosen, by default.
        device: where it computes.
        precision: what its networks compute in, `float32` or `bfloat16`.
        calibrated_in: likewise when it was calibrated; None where that was not recorded.
        greedy: numbers of the fusion `greedy`.
        to_calibrate: what to do where it is not calibrated.
    """

    name: str
    record: dict[str, Any]
    hash: str
    hierarchy: Hierarchy
    tree: Tree
    centers: tuple[Tensor, ...]
    networks: tuple[GeoNetwork, ...]
    coordinates: CoordinateSpec | None
    refiner: tuple[Refiner | HybridOffsets, RefinerSpec] | tuple[OwnTrunks, OwnTrunksSpec] | None
    transform: InputTransform
    temperatures: Mapping[str, tuple[float, ...]]
    calibrated: bool
    fusion: str
    point: str
    device: torch.device
    precision: str
    calibrated_in: str | None
    greedy: GreedyRule = PUBLISHED_RULE
    to_calibrate: str = CALIBRATE

    @property
    def point_methods(self) -> tuple[str, ...]:
        """Return the ways to choose a point that this run has."""
        refines = self.refiner is not None
        # Each further cell of own trunks would cost another pass of one.
        weighs = refines and self._own_trunks is None
        own = {REGRESSED: self.coordinates is not None, REFINED: weighs, EXPERT: refines}
        return POINTS + tuple(name for name, there in own.items() if there)

    @property
    def _own_trunks(self) -> OwnTrunks | None:
        """Return the refiner where it has trunks of its own."""
        refiner = None if self.refiner is None else self.refiner[0]
        return refiner if isinstance(refiner, OwnTrunks) else None

    @property
    def kept_bytes(self) -> int:
        """Return how much memory the network output of a photograph takes, about."""
        pictures = self._own_trunks is not None and self._own_trunks.kind == "experts"
        return 4 * sum(self.hierarchy.sizes()) + (3 * self.transform.size**2 if pictures else 0)

    @property
    def answers_points(self) -> bool:
        """Say whether points mean something: cells have places, and training photographs had coordinates as far as is known."""
        return self.hierarchy.placed and self.record.get("located", 1) > 0

    @property
    def without_points(self) -> str:
        """Return why a run answers no point, as the end of a sentence about it."""
        what = "countries" if self.hierarchy.placed else "labels"
        return f"trained on {what} without coordinates: it answers no point"

    @property
    def way_to_points(self) -> str:
        """Return what to do for a run that answers points."""
        flag = "country" if self.hierarchy.placed else "class"
        return f"for points train on some photographs with coordinates too, from a table with --{flag}-column (docs/methods.md)"

    @torch.inference_mode()
    def outputs(self, pixels: Tensor) -> NetworkOutput:
        """Return what the networks say of (B, 3, size, size) uint8 pixels; each trunk is passed once."""
        pixels = pixels.to(self.device)
        images = self.transform.normalise(pixels)
        outputs: dict[str, Tensor] = {}
        for network in self.networks:
            with autocast(self.device, self.precision):
                features = network.features(images)
                outputs |= network.answers(features)
        if not all(torch.isfinite(z).all() for z in outputs.values()):
            raise ValueError(f"the networks of {self.name} answer with NaN or infinite values: train them again")
        regressed = self.coordinates.vectors(outputs[HEAD].float()) if self.coordinates else None
        if regressed is not None and len(outputs) == 1:
            logits = point_logits(regressed, self.centers)
        else:
            logits = [outputs[level].float() for level in self.hierarchy.level_names]
        refining = None if self._own_trunks is None else self._own_trunks.given(pixels, self.precision)
        return NetworkOutput(logits, regressed, features.float(), refining)

    def logits(self, pixels: Tensor) -> list[Tensor]:
        """Return (B, classes) logits per level of (B, 3, size, size) uint8 pixels."""
        return self.outputs(pixels).logits

    @torch.inference_mode()
    def posterior(self, logits: Sequence[Tensor]) -> list[Tensor]:
        """Return the tree posterior, (B, classes) log probabilities per level."""
        return fuse(self.tree, logits, self.temperatures[self.fusion], self.fusion, self.greedy)

    def with_choices(
        self, fusion: str | None, point: str | None, bounded: bool = False, greedy: GreedyRule | None = None
    ) -> "Model":
        """Return the model with another fusion or point where one is given.

        Args:
            fusion: how levels are combined.
            point: how one point is chosen.
            bounded: whether the place is known to lie in some area, which a regressed coordinate knows nothing of.
            greedy: numbers of the fusion `greedy`; those it has when None.

        Raises:
            ValueError: the run has no such point, or none at all, or it cannot be bounded.
        """
        if fusion is not None and fusion not in FUSIONS:
            raise ValueError(f"--fusion is one of {', '.join(FUSIONS)}, got {fusion!r}")
        if bounded and point == REGRESSED:
            raise ValueError("--point regressed cannot be held to --within and --exclude: choose another --point")
        if bounded and point is None and self.point == REGRESSED:
            point = "geoscore"
        if point is not None and not self.answers_points:
            raise ValueError(
                f"--point {point}: {self.name} was {self.without_points}; leave --point out, or {self.way_to_points}"
            )
        if point is not None and point not in self.point_methods:
            lacks = {
                REGRESSED: "no network that answers a coordinate: train `train joint --coordinate-weight 1`",
                REFINED: "no refiner: train one with `python -m train refine`",
                EXPERT: "no refiner: train one with `python -m train refine`",
            }
            raise ValueError(
                f"--point {point}: {self.name} has {lacks.get(point, 'no such point')}; its points are "
                f"{', '.join(self.point_methods)}"
            )
        return replace(self, fusion=fusion or self.fusion, point=point or self.point, greedy=greedy or self.greedy)

    @torch.inference_mode()
    def points(self, posterior: Sequence[Tensor], seen: NetworkOutput | None = None) -> NDArray[np.float64]:
        """Return (B, 2) answered latitudes and longitudes in degrees.

        Args:
            posterior: (B, classes) log probabilities per level.
            seen: what the networks said of the same photographs, for the points `regressed`, `refined` and `expert`.
        """
        if self.point in POINTS:
            return answer_points(self.point, posterior[-1], self.centers[-1]).cpu().numpy()
        assert seen is not None, f"the point {self.point} takes more than a posterior"
        if self.point == REGRESSED:
            assert seen.regressed is not None, "with_choices and load_model refuse what a run lacks"
            return latlon_deg_of(seen.regressed.double()).cpu().numpy()
        assert self.refiner is not None, "with_choices and load_model refuse what a run lacks"
        level = self.hierarchy.level_index(self.refiner[1].level)
        if self.point == EXPERT or self.refiner[1].kind == HYBRID:
            return self.points_inside(posterior[level].argmax(dim=1), seen)
        points = refined_points(posterior[level], self.centers[level], lambda cells: self._inside(seen, cells))
        return points.cpu().numpy()

    @torch.inference_mode()
    def points_inside(self, cells: Tensor, seen: NetworkOutput) -> NDArray[np.float64]:
        """Return (B, 2) coordinates that the refiner answers inside (B,) cells of its level, as where regions are given."""
        return latlon_deg_of(self._inside(seen, cells[:, None])[:, 0].double()).cpu().numpy()

    def _inside(self, seen: NetworkOutput, cells: Tensor) -> Tensor:
        """Return (B, K, 3) unit vectors that the refiner answers inside (B, K) cells."""
        assert self.refiner is not None, "only points of a refiner ask"
        refiner = self.refiner[0]
        if isinstance(refiner, OwnTrunks):
            assert seen.refining is not None, "outputs says what a refiner is given"
            return refiner.vectors(seen.refining, cells, self.precision)
        return refiner.vectors(seen.features, cells)


def load_model(run: Path, device: torch.device, read_calibration: bool = True, precision: str | None = None) -> Model:
    """Load a run folder; its label maps, weights and temperatures must belong together.

    Args:
        run: the folder.
        device: where it computes.
        read_calibration: whether its temperatures are read.
        precision: `auto`, `float32` or `bfloat16`; None is the one of its calibration.

    Raises:
        ValueError: something is missing, damaged or of another run; the message says what and what to do.
    """
    with one_line(run, "train it again, or take another copy"):
        return _load_model(run, device, read_calibration, precision)


def _load_model(run: Path, device: torch.device, read_calibration: bool, precision: str | None) -> Model:
    record = read_run(run)
    hierarchy = read_hierarchy(run)
    files = network_files(run, hierarchy)
    loaded = [load_network(path, device) for path in files]
    for path, (_, spec) in zip(files, loaded, strict=True):
        check_fits(path, spec, hierarchy)
    coordinates = loaded[-1][1].coordinates
    unanswered = set(hierarchy.level_names).difference(*(spec.classes for _, spec in loaded))
    if unanswered and not (coordinates and files == [run / REGRESS]):
        raise ValueError(
            f"{', '.join(path.name for path in files)} of {run} have no head for {', '.join(sorted(unanswered))}: "
            "train them with `python -m train joint` or `python -m train level`"
        )
    transforms = {spec.transform for _, spec in loaded}
    if len(transforms) > 1:
        raise ValueError(
            f"the networks of {run} want pictures of different sizes: train them with the same --image-size"
        )
    transform = transforms.pop()
    refiner = (
        load_own_trunks(run, hierarchy, transform, device)
        if (run / OWN_REFINER).is_file()
        else load_refiner(run, hierarchy, files[-1], device)
    )
    digest = model_hash(record, [*files, *refiner_files(run)])
    calibration = read_temperatures(run, digest) if read_calibration else {}
    networks = tuple(network for network, _ in loaded)
    calibrated_in = calibration.get("precision")
    if calibrated_in not in (None, "float32", "bfloat16"):
        raise ValueError(f"{run / TEMPERATURES} is damaged: run `python -m train calibrate` again")
    return Model(
        name=record["name"],
        record=record,
        hash=digest,
        hierarchy=hierarchy,
        tree=Tree.of(hierarchy, device),
        centers=center_vectors(hierarchy, device),
        networks=networks,
        coordinates=coordinates,
        refiner=refiner,
        transform=transform,
        temperatures={fusion: _temperatures(calibration, fusion, hierarchy) for fusion in FUSIONS},
        calibrated=bool(calibration),
        fusion=calibration.get("fusion", "chain"),
        point=calibration.get("point", REFINED if refiner and refiner[1].kind == HYBRID else "geoscore"),
        device=device,
        precision=choose_precision(precision, calibrated_in, [own.precision for own in networks], device),
        calibrated_in=calibrated_in,
        to_calibrate=to_calibrate(run, digest),
    )


def _temperatures(calibration: Mapping[str, Any], fusion: str, hierarchy: Hierarchy) -> tuple[float, ...]:
    try:
        fitted = calibration.get("temperatures", {}).get(fusion, {})
        found = tuple(fitted.get(level, 1.0) for level in hierarchy.level_names)
        if not all(is_number(value, 1e-6, 1e6) for value in found):
            raise ValueError(f"temperatures are positive numbers, got {found}")
        return tuple(map(float, found))
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"{TEMPERATURES} of the run is damaged: run `python -m train calibrate` again") from None


def check_fits(path: Path, spec: NetworkSpec, hierarchy: Hierarchy) -> None:
    """Refuse a network whose classes are not those of the label maps.

    Raises:
        ValueError: numbers or hashes of classes differ.
    """
    again = "pass the run it was trained on (--run), or train again with `python -m train joint` or `train level`"
    sizes = dict(zip(hierarchy.level_names, hierarchy.sizes(), strict=True))
    for level, count in spec.classes.items():
        if sizes.get(level) != count:
            known = f"{sizes[level]}" if level in sizes else "no such level"
            raise ValueError(
                f"{path} knows {counted(count, 'class')} of {level} but label_map_{level}.json has {known}: {again}"
            )
    if spec.label_map_hash != hierarchy_hash(hierarchy):
        raise ValueError(f"{path} was trained on label maps with other classes than {path.parent} holds: {again}")


def read_temperatures(run: Path, model_hash: str) -> dict[str, Any]:
    """Return what `train calibrate` fitted for these very weights, or nothing, with a warning."""
    if not (run / TEMPERATURES).is_file():
        log.warning(
            "%s is not calibrated, its probabilities may be overconfident: %s", run, to_calibrate(run, model_hash)
        )
        return {}
    content: dict[str, Any] = read_json(run / TEMPERATURES)
    if not isinstance(content, dict) or content.get("model_hash") != model_hash:
        log.warning("%s is ignored: fitted for different weights; run `python -m train calibrate`", run / TEMPERATURES)
        return {}
    return _with_present_names(content)


def _with_present_names(content: dict[str, Any]) -> dict[str, Any]:
    """Return temperatures under the names that fusions have now, whichever version wrote them."""
    present = dict(content)
    if present.get("fusion") in RENAMED_FUSIONS:
        present["fusion"] = RENAMED_FUSIONS[present["fusion"]]
    if isinstance(fitted := content.get("temperatures"), dict):
        present["temperatures"] = {RENAMED_FUSIONS.get(name, name): levels for name, levels in fitted.items()}
    return present
