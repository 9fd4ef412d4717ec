"""A published model as a run: its cells and rows, its weights, its licence and its citation."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocells.hierarchy import UNKNOWN, Hierarchy, build_hierarchy
from geocells.partitions import Partition
from geocells.partitions.points import PointsPartition
from infer.importers.clip_files import ClipFiles
from infer.network.gallery import GallerySpec, Layer
from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.transform import InputTransform
from infer.network.trunks import choose_trunk
from infer.network.weights import load_pretrained, save_network
from infer.run_files import JOINT
from label_maps.files import hierarchy_hash, write_hierarchy
from label_maps.run_folder import begin_run
from plumbing.text import counted

LEAST_KM2 = 0.001


@dataclass(frozen=True)
class Published:
    """Where a model comes from, as `run.json` records it.

    Attributes:
        model: its name.
        licence: of its weights.
        citation: how its authors ask to be cited.
        source: where it was published.
        revision: commit of its source, where it is known.
        sha256: of the files that it was read from, by their names.
    """

    model: str
    licence: str
    citation: str
    source: str
    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Tower:
    """A vision tower that a published model trained further.

    Attributes:
        config: what it takes to build it.
        transform: how pictures reach it.
        state: its tensors, under the names of transformers.
    """

    config: dict[str, Any]
    transform: InputTransform
    state: Mapping[str, Tensor]

    def named(self, own: set[str]) -> dict[str, Tensor]:
        """Return its tensors under the names of a trunk; versions of transformers differ in one prefix.

        Raises:
            ValueError: they are not those of that trunk.
        """
        for before, after in (("", ""), ("vision_model.", ""), ("", "vision_model.")):
            found = {f"tower.{after}{name.removeprefix(before)}": tensor for name, tensor in self.state.items()}
            found = {name: tensor for name, tensor in found.items() if not name.endswith("position_ids")}
            if found.keys() == own:
                return found
        lacking = sorted(own - found.keys())
        raise ValueError(
            f"--weights has another vision tower than --clip: it lacks {len(lacking)} of {counted(len(own), 'tensor')}"
        )


def refuse_taken(run: Path) -> None:
    """Refuse a run folder that holds networks.

    Raises:
        ValueError: it does.
    """
    if any(run.glob("*.safetensors")):
        raise ValueError(f"{run} holds networks already: choose another --run")


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells that rows of a gallery belong to.

    Attributes:
        hierarchy: the cells that hold rows, without training photographs.
        order: (rows,) the rows as a `Gallery` wants them: those of a class side by side.
        class_of_row: (rows,) by level, the classes of the ordered rows.
    """

    hierarchy: Hierarchy
    order: NDArray[np.int64]
    class_of_row: dict[str, Tensor]

    @classmethod
    def of(cls, partition: Partition, places_deg: NDArray[np.float64]) -> "Cells":
        """Return the cells of a partition that hold the (rows, 2) places of a gallery."""
        keys = partition.keys_of_points() if isinstance(partition, PointsPartition) else partition.keys(places_deg)
        hierarchy = without_photographs(build_hierarchy(partition, places_deg, keys=keys))
        return cls.of_classes(hierarchy, hierarchy.classes_of_keys(keys)[:, -1])

    @classmethod
    def of_classes(cls, hierarchy: Hierarchy, finest: NDArray[np.int64]) -> "Cells":
        """Return cells by the (rows,) finest class of each row."""
        assert (finest != UNKNOWN).all(), "every row made its cell a class"
        order = np.argsort(finest, kind="stable")
        classes = [finest[order]]
        for depth in range(hierarchy.depth - 1, 0, -1):
            classes.insert(0, hierarchy.parent_class(depth)[classes[0]])
        named = zip(hierarchy.level_names, classes, strict=True)
        return cls(hierarchy, order, {level: torch.from_numpy(own) for level, own in named})


def without_photographs(hierarchy: Hierarchy) -> Hierarchy:
    """Return cells as files hold them, with no training photographs: what made them classes were places."""
    return replace(
        hierarchy,
        center_deg=hierarchy.center_deg.round(6),
        # Densities are divided by areas, so none may be rounded to nothing.
        area_km2=np.maximum(hierarchy.area_km2.round(3), LEAST_KM2),
        train_count=np.zeros_like(hierarchy.train_count),
    )


def gallery_network(
    clip: ClipFiles,
    cells: Cells,
    rows: Tensor,
    log_scale: Tensor,
    *,
    projection: tuple[tuple[Layer, ...], ...] = (),
    normalise: bool = True,
    bias: Tensor | None = None,
    tower: Tower | None = None,
) -> tuple[GeoNetwork, NetworkSpec]:
    """Return a network of a CLIP's vision tower and a gallery; the tower's weights are loaded, the projection's are not.

    Args:
        clip: whose vision tower it is.
        cells: of the rows.
        rows: (rows, width), in their own order.
        log_scale: log of what products are multiplied by.
        projection: layers between the tower's features and the rows.
        normalise: whether features are divided by their length.
        bias: (rows,) or None.
        tower: a vision tower whose weights the published model brings; that of the CLIP when None.
    """
    if tower is None:
        chosen = choose_trunk(f"hf:{clip.folder}", "pretrained")
        config, transform = chosen.config, chosen.transform
    else:
        config, transform = tower.config, tower.transform
    hierarchy = cells.hierarchy
    spec = NetworkSpec(
        arch=clip.arch,
        classes=dict(zip(hierarchy.level_names, hierarchy.sizes(), strict=True)),
        label_map_hash=hierarchy_hash(hierarchy),
        transform=transform,
        precision="float32",
        trunk_config=config,
        projection=projection,
        gallery=GallerySpec(len(rows), rows.shape[1], normalise, bias is not None),
    )
    network = GeoNetwork(spec, blank=True)
    if tower is None:
        load_pretrained(network, f"hf:{clip.folder}", "pretrained")
    else:
        network.trunk.load_state_dict(tower.named(set(network.trunk.state_dict())))
    assert network.gallery is not None, "the spec has one"
    order = torch.from_numpy(cells.order)
    network.gallery.rows.copy_(rows[order])
    network.gallery.log_scale.copy_(log_scale)
    if network.gallery.bias is not None and bias is not None:
        network.gallery.bias.copy_(bias[order])
    network.gallery.place(cells.class_of_row)
    return network.eval(), spec


def write_run(
    run: Path,
    hierarchy: Hierarchy,
    network: GeoNetwork,
    spec: NetworkSpec,
    settings: dict[str, Any],
    published: Published,
) -> None:
    """Write a run folder: label maps, `run.json` with licence and citation, and the network last."""
    nobody = pd.DataFrame({"id": [], "latitude": [], "longitude": [], "split": []}).astype({"id": str, "split": str})
    write_hierarchy(run, hierarchy)
    about = {**asdict(published), "sha256": dict(published.sha256)}
    begin_run(run, hierarchy, nobody, {**settings, "imported": True}, {"source": published.source}, about)
    save_network(run / JOINT, network, spec, {"imported_from": published.model})


def summary(run: Path, hierarchy: Hierarchy, rows: int, what: str, published: Published) -> str:
    """Return what was imported, in lines to print."""
    levels = ", ".join(
        f"{level} {count:,}" for level, count in zip(hierarchy.level_names, hierarchy.sizes(), strict=True)
    )
    return "\n".join(
        (
            f"{published.model}: {rows:,} {what} in classes of {levels}",
            f"licence: {published.licence}",
            f"cite: {published.citation}",
            f"try: python -m infer predict PHOTO --run {run}",
            f"then: python -m train calibrate --data DATA --run {run}   (DATA: photographs of yours with coordinates)",
        )
    )
