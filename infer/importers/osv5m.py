"""`python -m infer import osv5m`: the baseline of OpenStreetView-5M (Astruc et al. 2024) as a run.

A CLIP vision tower, trained further; layers that read its class token; a logit for each cell of a quadtree; and offsets inside
the cells, which `--point refined` answers.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocells.hierarchy import build_hierarchy
from geocells.partitions.adaptive import AdaptivePartition, read_cell_table
from infer.importers.clip_files import WEIGHTS, ClipFiles, download
from infer.importers.config import Osv5mConfig
from infer.importers.published import (
    Cells,
    Published,
    Tower,
    gallery_network,
    refuse_taken,
    summary,
    without_photographs,
    write_run,
)
from infer.network.gallery import Layer
from infer.network.libraries import hugging_face
from infer.network.offsets import HybridOffsets
from infer.network.refiner import HYBRID, RefinerSpec, save_refiner
from infer.network.transform import InputTransform
from infer.network.weight_files import read_state
from infer.run_files import JOINT, REFINE
from label_maps.files import hierarchy_hash
from plumbing.files import sha256

log = logging.getLogger(__name__)

BASELINE, CLIP = "osv5m/baseline", "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K"
CITATION = (
    "Astruc, G., Dufour, N., Siglidis, I., et al.: OpenStreetView-5M: The Many Roads to Global Visual Geolocation. "
    "CVPR 2024."
)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TRANSFORM = InputTransform(224, "shorter", 224, "bicubic", CLIP_MEAN, CLIP_STD, "pillow")
"""Of the published evaluation: Pillow's bicubic to 224 on the shorter side, then the middle."""
ACTIVATION = "gelu"
"""Of that CLIP; OpenAI's, whose tensors have the same shapes, has another."""
GROUPS = 4
"""Of each group norm; a checkpoint does not say."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The parts of a checkpoint.

    Attributes:
        tower: tensors of the vision tower.
        branches: of the layers behind it, each as numbered tensors; the last layer is apart.
        last: weight and bias of the last layer of each branch.
    """

    tower: dict[str, Tensor]
    branches: list[dict[str, Tensor]]
    last: list[tuple[Tensor, Tensor]]


def main(config: Osv5mConfig) -> None:
    """Read the checkpoint and the cells, write a run folder and say what was done."""
    refuse_taken(config.run)
    if not config.quadtree.is_file():
        raise ValueError(f"{config.quadtree}: no such file; --quadtree is quadtree_10_1000.csv of OSV-5M")
    partition = read_cell_table(config.quadtree)
    start_deg = read_means(config.quadtree, partition.boxes_deg)
    weights, revision = _weights(config)
    clip = _clip(config, weights, revision)
    checkpoint = parts_of(weights, read_state(weights))
    tower = hugging_face.config(str(clip.folder)) | {"class": "CLIPVisionModel", "output": "class_token"}
    _write(config, clip, partition, start_deg, checkpoint, Tower(tower, TRANSFORM, checkpoint.tower))


def _write(
    config: Osv5mConfig,
    clip: ClipFiles,
    partition: AdaptivePartition,
    means_deg: NDArray[np.float64],
    checkpoint: Checkpoint,
    tower: Tower,
) -> None:
    keys = np.arange(len(means_deg))[:, None]
    hierarchy = without_photographs(build_hierarchy(partition, means_deg, keys=keys))
    cells = Cells.of_classes(hierarchy, hierarchy.classes_of_keys(keys)[:, -1])
    (rows, bias), (weight, offset) = heads(config.weights or Path(BASELINE), checkpoint, len(means_deg))
    layers = tuple(layers_of(branch) for branch in checkpoint.branches)
    network, spec = gallery_network(
        clip, cells, rows, torch.zeros(()), projection=layers, normalise=False, bias=bias, tower=tower
    )
    assert network.projection is not None, "the spec has one"
    for module, branch in zip(network.projection.branches, checkpoint.branches, strict=True):
        module.load_state_dict(branch)
    published = Published(
        model="OpenStreetView-5M baseline",
        licence="MIT (OSV-5M and CLIP)",
        citation=CITATION,
        source=f"{BASELINE}; {CLIP}",
        revision=clip.revision,
        sha256={**clip.sha256, config.quadtree.name: sha256(config.quadtree)},
    )
    write_run(config.run, hierarchy, network, spec, {"partition": partition.name, "start": config.start}, published)
    _write_offsets(config, hierarchy_hash(hierarchy), partition.boxes_deg, means_deg, weight, offset)
    print(summary(config.run, hierarchy, len(means_deg), "cells of the quadtree", published))


def _write_offsets(
    config: Osv5mConfig,
    label_map_hash: str,
    boxes_deg: NDArray[np.float64],
    means_deg: NDArray[np.float64],
    weight: Tensor,
    offset: Tensor,
) -> None:
    south_west, north_east = boxes_deg[:, :2], boxes_deg[:, 2:]
    start = means_deg if config.start == "mean" else (south_west + north_east) / 2
    offsets = HybridOffsets(weight.shape[-1], len(start))
    offsets.weight.copy_(weight)
    offsets.bias.copy_(offset)
    offsets.center_deg.copy_(torch.from_numpy(start))
    offsets.down_deg.copy_(torch.from_numpy(start - south_west))
    offsets.up_deg.copy_(torch.from_numpy(north_east - start))
    offsets.scale.fill_(config.offset_scale)
    trunk = config.run / JOINT
    spec = RefinerSpec(HYBRID, "cells", len(start), weight.shape[-1], label_map_hash, trunk.name, sha256(trunk))
    save_refiner(config.run / REFINE, offsets, spec, {"imported_from": BASELINE})


def _weights(config: Osv5mConfig) -> tuple[Path, str | None]:
    """Return the checkpoint, and its commit where it was downloaded."""
    if config.weights is not None:
        if not config.weights.is_file():
            raise ValueError(f"{config.weights}: no such file; --weights is model.safetensors of {BASELINE}")
        return config.weights, None
    if not config.download:
        raise ValueError(
            f"{BASELINE} is not on this machine: give --weights FILE (its model.safetensors or pytorch_model.bin), or let it "
            "be downloaded with --download"
        )
    folder, commit = download(BASELINE, config.revision, WEIGHTS)
    found = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if found is None:
        raise ValueError(f"{BASELINE} has none of {', '.join(WEIGHTS)}: give --weights FILE")
    return found, commit


def _clip(config: Osv5mConfig, weights: Path, revision: str | None) -> ClipFiles:
    """Return where the configuration of the vision tower lies; its weights are those of the checkpoint."""
    if config.clip is None and not config.download:
        raise ValueError(f"the configuration of {CLIP} is not on this machine: give --clip FOLDER with its config.json")
    folder = config.clip or download(CLIP, None, ("config.json",))[0]
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} has no config.json: --clip is a folder with that of {CLIP}")
    _warn_of_activation(folder / "config.json")
    return ClipFiles(folder, CLIP, revision, {weights.name: sha256(weights)})


def _warn_of_activation(path: Path) -> None:
    """Say so where a configuration is of a CLIP of the same shapes that computes something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        own = found.get("vision_config", found).get("hidden_act", "quick_gelu")
    except (ValueError, AttributeError):
        raise ValueError(f"{path} is not a configuration: --clip is a folder with config.json of {CLIP}") from None
    if own != ACTIVATION:
        log.warning("%s has the activation %s, that of %s is %s: answers will differ", path, own, CLIP, ACTIVATION)


def read_means(path: Path, boxes_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (N, 2) means of the training photographs of cells.

    Args:
        path: of the table.
        boxes_deg: (N, 4) of its cells.

    Raises:
        ValueError: the table has none, one lies outside its cell, or rows are not in the order of the model's outputs.
    """
    table = pd.read_csv(path)
    if not {"mean_lat", "mean_lon"} <= set(table):
        raise ValueError(f"{path} has no columns mean_lat,mean_lon: --quadtree is quadtree_10_1000.csv of OSV-5M")
    if table["cluster_id"].tolist() != list(range(len(table))):
        raise ValueError(
            f"{path} has other cluster_id than 0, 1, 2 and so on: rows are in the order of the model's outputs"
        )
    means = table[["mean_lat", "mean_lon"]].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64, copy=True)
    inside = ((means >= boxes_deg[:, :2]) & (means <= boxes_deg[:, 2:])).all(axis=1)
    if not inside.all():
        row = int(np.argmin(inside))
        raise ValueError(
            f"{path}: mean_lat,mean_lon of cell {row} are {means[row, 0]:g},{means[row, 1]:g}, not inside it: take the "
            "table as it was published"
        )
    return means


def parts_of(path: Path, state: Mapping[str, Tensor]) -> Checkpoint:
    """Return the parts of a checkpoint, under whichever prefix they lie.

    Raises:
        ValueError: it is not one of a hybrid model.
    """
    for prefix in ("", "model.", "module.", "module.model."):
        mid: dict[str, dict[str, Tensor]] = {}
        for name, tensor in state.items():
            if found := re.fullmatch(rf"{re.escape(prefix)}mid\.(classif|reg|mlp)\.(\d+\.\w+)", name):
                mid.setdefault(found[1], {})[found[2]] = tensor
        start = f"{prefix}backbone.clip."
        tower = {name.removeprefix(start): tensor for name, tensor in state.items() if name.startswith(start)}
        if tower and set(mid) in ({"classif", "reg"}, {"mlp"}):
            branches = [dict(mid[name]) for name in ("classif", "reg", "mlp") if name in mid]
            last = [max(int(name.split(".")[0]) for name in branch) for branch in branches]
            ends = [
                (branch.pop(f"{number}.weight"), branch.pop(f"{number}.bias"))
                for branch, number in zip(branches, last, strict=True)
            ]
            return Checkpoint(tower, branches, ends)
    raise ValueError(
        f"{path} is not a checkpoint of the hybrid model of OSV-5M: it has no tensors backbone.clip and mid.classif, mid.reg"
    )


def layers_of(branch: Mapping[str, Tensor]) -> tuple[Layer, ...]:
    """Return the layers of a branch by its tensors: a layer norm, then linear, group norm and GELU again and again.

    Raises:
        ValueError: they are others.
    """
    shapes = {int(name.split(".")[0]): tensor.shape for name, tensor in branch.items() if name.endswith("weight")}
    layers: list[Layer] = []
    for number in range(max(shapes) + 2):
        shape = shapes.get(number)
        kind = ("layer_norm",) if number == 0 else (("gelu",), ("linear",), ("group_norm", GROUPS))[number % 3]
        if (shape is None) != (kind == ("gelu",)) or (shape is not None and (len(shape) == 2) != (kind == ("linear",))):
            raise ValueError("the layers of --weights are not layer norm, linear, group norm and GELU, as published")
        layers.append((*kind, *(() if shape is None else reversed(shape))))
    return tuple(layers)


def heads(path: Path, checkpoint: Checkpoint, cells: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return weight and bias of the (cells,) logits, and those of the (cells, 2) offsets, on all branches side by side.

    Raises:
        ValueError: there are others than one logit and two offsets for each cell.
    """
    found = sum(len(bias) for _, bias in checkpoint.last)
    if found != 3 * cells:
        raise ValueError(f"{path} has {found} outputs and --quadtree {cells} cells: three for each cell are needed")
    if len(checkpoint.last) == 1:
        weight, bias = checkpoint.last[0]
        logits, offsets = weight[:cells], weight[cells:]
        return (logits, bias[:cells]), (offsets.reshape(cells, 2, -1), bias[cells:].reshape(cells, 2))
    (logits, own), (offsets, other) = checkpoint.last
    before, behind = logits.new_zeros(2 * cells, logits.shape[1]), logits.new_zeros(cells, offsets.shape[1])
    both = torch.cat([before, offsets], dim=1).reshape(cells, 2, -1)
    return (torch.cat([logits, behind], dim=1), own), (both, other.reshape(cells, 2))
