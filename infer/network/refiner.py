"""From a cell to a coordinate inside it: a small head on the features of a run's own network.

Whatever a head says, a sigmoid keeps its answer inside the cell's box, and a head that has learned nothing answers the
cell's centre.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import safe_open
from torch import Tensor, nn

from geocells.hierarchy import UNKNOWN, Hierarchy
from geocells.outlines import span_deg
from infer.network.cell_heads import Embedding, Experts
from infer.network.offsets import HybridOffsets
from infer.network.sphere import vectors_of
from infer.network.standardise import divisors
from infer.run_files import REFINE
from label_maps.files import hierarchy_hash
from plumbing.files import atomic_path, sha256
from plumbing.text import counted

HYBRID = "hybrid"
"""Kind of a refiner that answers inside the most probable cell alone, as it was published."""
AGAIN = "train it again with `python -m train refine --overwrite`, or delete it"


@dataclass(frozen=True)
class RefinerSpec:
    """All that is needed to build a refiner again; stored beside its weights.

    Attributes:
        kind: `experts` or `embedding`, which are trained here, or `hybrid`, the offsets of a published model.
        level: whose cells are refined.
        cells: how many those are.
        width: number of features that it is given.
        label_map_hash: of the label maps whose class numbers it uses.
        trunk: file of the network whose features it is given.
        trunk_hash: SHA-256 of that file.
    """

    kind: str
    level: str
    cells: int
    width: int
    label_map_hash: str
    trunk: str
    trunk_hash: str


class Refiner(nn.Module):
    """A head and the boxes of its cells.

    Attributes:
        head: from features and cells to logits of shares of boxes.
        origin_deg: (cells, 2) south and west edges.
        size_deg: (cells, 2) degrees of latitude to the north edge, and of longitude to the east edge.
        start: (cells, 2) logits of the cells' centres.
        mean: (width,) of the training photographs' features.
        std: (width,) their standard deviation.
    """

    origin_deg: Tensor
    size_deg: Tensor
    start: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, spec: RefinerSpec) -> None:
        super().__init__()
        self.head = {"experts": Experts, "embedding": Embedding}[spec.kind](spec.width, spec.cells)
        for name in ("origin_deg", "size_deg", "start"):
            self.register_buffer(name, torch.zeros(spec.cells, 2))
        for name in ("mean", "std"):
            self.register_buffer(name, torch.ones(spec.width))

    def place(self, boxes_deg: NDArray[np.float64], center_deg: NDArray[np.float64]) -> None:
        """Give it the (cells, 4) boxes and (cells, 2) centres of its cells."""
        south, west, north, east = boxes_deg.T
        width = np.where(east < west, east - west + 360, east - west)
        self.origin_deg.copy_(torch.from_numpy(np.stack([south, west], axis=1)))
        self.size_deg.copy_(torch.from_numpy(np.stack([north - south, width], axis=1)))
        every = torch.arange(len(boxes_deg), device=self.start.device)
        middle = self.shares(torch.from_numpy(center_deg).float().to(self.start.device), every)
        # A centre on an edge could never be left: the sigmoid is flat there.
        self.start.copy_(middle.clamp(0.02, 0.98).logit())

    def scale(self, features: Tensor) -> None:
        """Give it the (N, width) features of the training photographs, to standardise others by."""
        self.mean.copy_(features.mean(dim=0))
        self.std.copy_(features.std(dim=0))

    def forward(self, features: Tensor, cells: Tensor) -> Tensor:
        """Return (B, K, 2) shares, 0 to 1, of the boxes of (B, K) cells, from their south and west edges."""
        logits = self.head((features.float() - self.mean) / divisors(self.std), cells)
        return (self.start[cells] + logits).sigmoid()

    def shares(self, latlon_deg: Tensor, cells: Tensor) -> Tensor:
        """Return (N, 2) places as shares of the boxes of the (N,) cells that they lie in."""
        lat, lon = (latlon_deg - self.origin_deg[cells]).unbind(dim=1)
        size = self.size_deg[cells].clamp_min(1e-9)
        # Of the turns that a longitude may be off by, the one nearest to the middle of the box.
        lon = lon - 360 * torch.round((lon - size[:, 1] / 2) / 360)
        return torch.stack([lat, lon], dim=1) / size

    def latlon_deg(self, shares: Tensor, cells: Tensor) -> Tensor:
        """Return latitudes and longitudes of shares of the boxes of cells; longitudes may exceed 180."""
        return self.origin_deg[cells] + shares * self.size_deg[cells]

    def vectors(self, features: Tensor, cells: Tensor) -> Tensor:
        """Return (B, K, 3) unit vectors inside (B, K) cells."""
        return vectors_of(self.latlon_deg(self(features, cells), cells))


def widened_boxes(hierarchy: Hierarchy, level: int, latlon_deg: ArrayLike) -> NDArray[np.float64]:
    """Return the (classes, 4) boxes of a level's cells, widened to the (N, 2) photographs inside each.

    Published boxes, such as those of the macro regions, do not hold all that belongs to them.
    """
    points = np.asarray(latlon_deg, dtype=np.float64).reshape(-1, 2)
    bounds = hierarchy.bounds_deg[hierarchy.rows(level)]
    cell = hierarchy.classes(points)[:, level]
    known = cell != UNKNOWN
    lat, lon = points[known].T
    lon = np.where(np.abs(lon) > 180, (lon + 180) % 360 - 180, lon)
    boxes = np.vstack([bounds, np.stack([lat, lon, lat, lon], axis=1)])
    return span_deg(boxes, np.r_[np.arange(len(bounds)), cell[known]], len(bounds))


def save_refiner(path: Path, refiner: Refiner | HybridOffsets, spec: RefinerSpec, trained: Mapping[str, Any]) -> None:
    """Write weights, their spec and a few plain facts on their training into one `.safetensors` file."""
    metadata = {"spec": json.dumps(asdict(spec)), "trained": json.dumps(dict(trained))}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in refiner.state_dict().items()}
    with atomic_path(path) as partial:
        # Bytes, not save_file: a full disk must show as an error while the old file still stands.
        partial.write_bytes(safetensors.torch.save(tensors, metadata))


def load_refiner(
    run: Path, hierarchy: Hierarchy, trunk: Path, device: str | torch.device
) -> tuple[Refiner | HybridOffsets, RefinerSpec] | None:
    """Load a refiner that reads the features of a run's own network, ready to answer; None where the run has none.

    Args:
        run: the run folder.
        hierarchy: its label maps.
        trunk: the file of the network whose features it is to be given.
        device: where it computes.

    Raises:
        ValueError: it is damaged, or of other label maps or another network.
    """
    path = run / REFINE
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            spec = RefinerSpec(**json.loads((file.metadata() or {})["spec"]))
        state = safetensors.torch.load_file(path)
        if not all(type(size) is int and 0 < size <= path.stat().st_size for size in (spec.width, spec.cells)):
            raise ValueError(f"it cannot hold {counted(spec.cells, 'cell')} of {counted(spec.width, 'feature')}")
        if not all(torch.isfinite(tensor).all() for tensor in state.values() if tensor.is_floating_point()):
            raise ValueError("it has NaN or infinite weights")
        refiner = HybridOffsets(spec.width, spec.cells) if spec.kind == HYBRID else Refiner(spec)
        refiner.load_state_dict(state)
    # What a header from elsewhere makes of a spec or a network is not a closed list.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[-1].strip()
        raise ValueError(f"{path} is damaged or not a refiner ({type(error).__name__}: {reason}): {AGAIN}") from None
    if spec.label_map_hash != hierarchy_hash(hierarchy) or spec.level not in hierarchy.level_names:
        raise ValueError(f"{path} refines cells of other label maps than {run} holds: {AGAIN}")
    if spec.trunk != trunk.name or spec.trunk_hash != sha256(trunk):
        raise ValueError(f"{path} was trained on another network than {trunk}: {AGAIN}")
    return refiner.eval().to(device), spec
