"""Refiners with trunks of their own: an expert for each cell, or one network that is told the cell.

Published systems train such networks end to end, beside the one that classifies. They answer inside one cell of each photograph,
the most probable one, for each further cell of an expert would cost another pass of a trunk.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from geocells.hierarchy import Hierarchy
from infer.network.coordinate_head import HEAD, CoordinateSpec
from infer.network.devices import autocast
from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.sphere import vectors_of
from infer.network.transform import InputTransform
from infer.network.weights import load_network
from infer.run_files import OWN_REFINER, OWN_TRUNKS
from label_maps.files import hierarchy_hash
from plumbing.files import read_json, sha256, write_json
from plumbing.inside import is_plain

EMBEDDING = "embedding"
"""Stem of the network that is told the cell."""
AGAIN = "train it again with `python -m train refine --own-trunk --overwrite`, or delete the folder"


@dataclass(frozen=True)
class OwnTrunksSpec:
    """What a refiner with own trunks is, stored beside its networks.

    Attributes:
        kind: `experts`, a network for each cell, or `embedding`, one that is told the cell.
        level: whose cells are refined.
        cells: how many those are.
        label_map_hash: of the label maps whose class numbers it uses.
        networks: SHA-256 of each network's file, by its name without a suffix. A cell without an expert answers its centre.
    """

    kind: str
    level: str
    cells: int
    label_map_hash: str
    networks: Mapping[str, str]


def expert_name(cell: int) -> str:
    """Return the name, without a suffix, of the network of the expert of a cell, by its class number."""
    return f"{cell:04d}"


class OwnTrunks(nn.Module):
    """The networks of a refiner, ready to answer.

    Attributes:
        kind: `experts` or `embedding`.
        centers: (cells, 3) unit vectors that stand for cells without an expert.
    """

    centers: Tensor

    def __init__(
        self, spec: OwnTrunksSpec, networks: Mapping[str, tuple[GeoNetwork, NetworkSpec]], center_deg: Tensor
    ) -> None:
        super().__init__()
        self.kind = spec.kind
        self.networks = nn.ModuleDict({name: network for name, (network, _) in networks.items()})
        self._transforms: dict[str, InputTransform] = {}
        self._coordinates: dict[str, CoordinateSpec] = {}
        for name, (_, own) in networks.items():
            assert own.coordinates is not None, "load_own_trunks refuses networks without coordinates"
            self._transforms[name], self._coordinates[name] = own.transform, own.coordinates
        self.register_buffer("centers", vectors_of(center_deg.double()).float())

    @torch.inference_mode()
    def given(self, pixels: Tensor, precision: str) -> Tensor:
        """Return what `vectors` takes of (B, 3, size, size) uint8 pixels: features, or the pixels themselves."""
        if self.kind != EMBEDDING:
            return pixels
        with autocast(pixels.device, precision):
            features = self._network(EMBEDDING).features(self._transforms[EMBEDDING].normalise(pixels))
        return features.float()

    @torch.inference_mode()
    def vectors(self, given: Tensor, cells: Tensor, precision: str = "float32") -> Tensor:
        """Return (B, K, 3) unit vectors for (B, K) cells.

        Args:
            given: of `given`; (B, n, ...) are n photographs of each of B places, whose vectors are averaged.
            cells: classes of the refined level.
            precision: what the networks compute in.
        """
        if self.kind == EMBEDDING:
            head = self._network(EMBEDDING).heads[HEAD]
            return self._coordinates[EMBEDDING].vectors(head(given, cells))
        several = given.ndim == 5
        count = given.shape[1] if several else 1
        asked = cells.repeat_interleave(count, dim=0)
        pixels = given.flatten(0, 1) if several else given
        found = self.centers[asked]
        for cell in asked.unique().tolist():
            if expert_name(cell) in self.networks:
                row, column = torch.nonzero(asked == cell, as_tuple=True)
                found[row, column] = self._answers(expert_name(cell), pixels[row], precision)
        mean = found.view(len(cells), count, cells.shape[1], 3).mean(dim=1)
        return nn.functional.normalize(mean, dim=2)

    def _answers(self, name: str, pixels: Tensor, precision: str) -> Tensor:
        with autocast(pixels.device, precision):
            answer = self._network(name)(self._transforms[name].normalise(pixels))[HEAD]
        return self._coordinates[name].vectors(answer.float())

    def _network(self, name: str) -> GeoNetwork:
        network = self.networks[name]
        assert isinstance(network, GeoNetwork)
        return network


def save_about(run: Path, kind: str, hierarchy: Hierarchy, level: int, names: list[str]) -> None:
    """Write what the trained networks of a refiner are, after which the run answers with them."""
    spec = OwnTrunksSpec(
        kind,
        hierarchy.level_names[level],
        hierarchy.sizes()[level],
        hierarchy_hash(hierarchy),
        {name: sha256(run / OWN_TRUNKS / f"{name}.safetensors") for name in names},
    )
    write_json(run / OWN_REFINER, asdict(spec))


def load_own_trunks(
    run: Path, hierarchy: Hierarchy, transform: InputTransform, device: str | torch.device
) -> tuple[OwnTrunks, OwnTrunksSpec]:
    """Load the networks of a run's refiner.

    Args:
        run: the run folder.
        hierarchy: its label maps.
        transform: how its own networks see pictures, which must be how these see them, up to mean and standard deviation.
        device: where it computes.

    Raises:
        ValueError: it is damaged, incomplete, or of other label maps.
    """
    path = run / OWN_REFINER
    try:
        spec = OwnTrunksSpec(**read_json(path))
        wanted = sorted(spec.networks)
        if not all(is_plain(name) for name in wanted):
            raise TypeError("names of networks are names of files")
    except (TypeError, AttributeError):
        raise ValueError(f"{path} is damaged: {AGAIN}") from None
    if spec.label_map_hash != hierarchy_hash(hierarchy) or spec.level not in hierarchy.level_names:
        raise ValueError(f"{path} refines cells of other label maps than {run} holds: {AGAIN}")
    networks = {}
    for name in wanted:
        file = run / OWN_TRUNKS / f"{name}.safetensors"
        if not file.is_file() or sha256(file) != spec.networks[name]:
            raise ValueError(f"{file} is missing or not the one that {path} names: {AGAIN}")
        network, own = load_network(file, device)
        if own.coordinates is None or own.transform.of_pixels() != transform.of_pixels():
            raise ValueError(f"{file} sees other pictures than the networks of {run}: {AGAIN}")
        networks[name] = network, own
    centers = torch.from_numpy(np.array(hierarchy.center_deg[hierarchy.rows(hierarchy.level_index(spec.level))]))
    return OwnTrunks(spec, networks, centers).eval().to(device), spec
