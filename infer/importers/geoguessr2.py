"""`python -m infer import geoguessr2`: files of the older "Hierarchical Geolocation Classifier" as a run that predicts.

Its quirks are known and handled: either path separator, state dicts bare or wrapped, classes not ordered by parent,
parents without children, children without parents, stale ids. What contradicts itself is refused by name.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocells import grid
from geocells.hierarchy import Hierarchy
from geocells.partitions import QuadPartition
from geocells.sphere import group_means
from infer.config import ImportConfig
from infer.decode.posterior import FUSIONS
from infer.importers.geoguessr2_files import (
    OldLevel,
    check_children,
    find,
    read_empty_cells,
    read_levels,
    read_photos,
    read_temperature,
)
from infer.model import TEMPERATURES
from infer.network.network import GeoNetwork, NetworkSpec
from infer.network.weight_files import read_state
from infer.network.weights import save_network
from infer.run_files import model_hash, network_files
from label_maps.files import hierarchy_hash, write_hierarchy
from label_maps.run_folder import begin_run, read_run
from plumbing.files import write_json, write_text
from plumbing.progress import progress
from plumbing.text import counted
from plumbing.version import now_utc

NEVER = -1e30
"""Logit of a class that the older networks do not have: no softmax gives it anything beside another class."""

EMPTY_CELLS = "empty_cells.txt"


@dataclass(frozen=True, eq=False)
class NewLevel:
    """The classes of one level in our order.

    Attributes:
        cells: (classes,) numbers in the grid.
        above: (classes,) class of the parent; -1 at the coarsest level.
        old: (classes,) old class of each, -1 for one added below a parent that had no child.
        dropped: how many old classes had no parent that is a class, so that no rule could reach them.
    """

    cells: NDArray[np.int64]
    above: NDArray[np.int64]
    old: NDArray[np.int64]
    dropped: int


def main(config: ImportConfig) -> None:
    """Check that the older files agree, write a run folder of them and say what was done."""
    if any(config.run.glob("*.safetensors")):
        raise ValueError(f"{config.run} holds networks already: choose another --run")
    old = read_levels(config.old)
    check_children(config.old, old)
    photos = read_photos(config.old, old[-1].number)
    new = in_our_order(old, photos)
    hierarchy = _hierarchy(old, new, photos)
    states = [read_state(find(config.old, f"hierarchy_L{level.number}.pth")) for level in old]
    networks = [
        convert(state, config.arch, level, ours, hierarchy_hash(hierarchy))
        for state, level, ours in zip(states, old, new, strict=True)
    ]
    temperatures = {f"L{level.number}": read_temperature(config.old, level.number) for level in old}
    empty = read_empty_cells(config.old, old[-1].number)
    write_hierarchy(config.run, hierarchy)
    begin_run(config.run, hierarchy, photos, {"partition": "quad", "imported": True}, {"source": "older project"})
    pairs = list(zip(old, networks, strict=True))
    for level, (network, spec) in progress(pairs, "converting", "network", len(pairs)):
        save_network(config.run / f"L{level.number}.safetensors", network, spec, {"imported_from": "older project"})
    _write_temperatures(config.run, hierarchy, temperatures)
    if empty:
        write_text(config.run / EMPTY_CELLS, "".join(f"{cell}\n" for cell in empty))
    print(_table(old, new, hierarchy, temperatures))
    print(f"{counted(len(photos), 'photograph')} in metadata.csv, {counted(len(empty), 'cell')} known to be empty")
    print(f"try: python -m infer predict PHOTO --run {config.run} --fusion greedy   (the published rule)")


def in_our_order(old: list[OldLevel], photos: pd.DataFrame) -> list[NewLevel]:
    """Return the classes ordered by parent, then by cell.

    A class whose parent is not a class is dropped: no rule could reach it. A parent without children gets one, the cell
    in which its photographs lie, so that every level has all of the probability; it never wins against a real class.
    """
    levels: list[NewLevel] = []
    for depth, level in enumerate(old):
        cells, known = level.cells, np.arange(len(level.cells))
        if not depth:
            order = np.argsort(cells)
            levels.append(NewLevel(cells[order], np.full(len(cells), -1), order, 0))
            continue
        upper = levels[-1].cells
        inside = grid.parent(cells, level.number, old[depth - 1].number)
        kept = np.isin(inside, upper)
        bare = upper[~np.isin(upper, inside)]
        cells = np.r_[cells[kept], _stand_ins(bare, old[depth - 1].number, level.number, photos)]
        known = np.r_[known[kept], np.full(len(bare), -1)]
        place = {cell: k for k, cell in enumerate(upper.tolist())}
        above = np.array([place[cell] for cell in grid.parent(cells, level.number, old[depth - 1].number).tolist()])
        order = np.lexsort((cells, above))
        levels.append(NewLevel(cells[order], above[order], known[order], int((~kept).sum())))
    return levels


def _stand_ins(parents: NDArray[np.int64], level: int, below: int, photos: pd.DataFrame) -> NDArray[np.int64]:
    """Return a cell inside each parent: that of the middle of its photographs, or of itself."""
    middles = _middles(parents, level, photos)
    inside = grid.encode(middles, below)
    # The spherical mean may lie beyond the edge of a cell beside a pole.
    strayed = grid.parent(inside, below, level) != parents
    return np.where(strayed, grid.children(parents, level, below)[..., 0], inside)


def _middles(cells: NDArray[np.int64], level: int, photos: pd.DataFrame) -> NDArray[np.float64]:
    """Return the mean of the photographs of each cell, the middle of a cell without any."""
    points = photos[["latitude", "longitude"]].to_numpy(dtype=np.float64)
    own = grid.encode(points, level)
    order = np.argsort(cells)
    place = np.minimum(np.searchsorted(cells, own, sorter=order), max(len(cells) - 1, 0))
    known = cells[order[place]] == own if len(cells) else np.zeros(len(own), dtype=bool)
    means = group_means(points[known], order[place[known]] if len(cells) else place[known], len(cells))
    return np.where(np.isnan(means), grid.center_deg(cells, level), means)


def _hierarchy(old: list[OldLevel], new: list[NewLevel], photos: pd.DataFrame) -> Hierarchy:
    partition = QuadPartition(tuple(level.number for level in old))
    starts = np.cumsum([0, 0, *(len(level.cells) for level in new)])
    points = photos[["latitude", "longitude"]].to_numpy(dtype=np.float64)
    depths = range(len(new))
    counts = []
    for level, ours in zip(old, new, strict=True):
        own, count = np.unique(grid.encode(points, level.number), return_counts=True)
        found = dict(zip(own.tolist(), count.tolist(), strict=True))
        counts.append(np.array([found.get(cell, 0) for cell in ours.cells.tolist()], dtype=np.int64))
    return Hierarchy(
        partition=partition,
        level=np.repeat(np.arange(len(new)), [len(level.cells) for level in new]).astype(np.int8),
        parent=np.concatenate([np.where(n.above < 0, -1, n.above + starts[d]) for d, n in enumerate(new)]).astype(
            np.int32
        ),
        key=np.concatenate([level.cells for level in new]),
        name=tuple(name for d in depths for name in partition.names(new[d].cells, d)),
        center_deg=np.concatenate([_middles(new[d].cells, old[d].number, photos) for d in depths]).round(6),
        bounds_deg=np.concatenate([partition.bounds_deg(new[d].cells, d) for d in depths]),
        area_km2=np.concatenate([partition.area_km2(new[d].cells, d) for d in depths]).round(3),
        train_count=np.concatenate(counts),
    )


def convert(
    state: dict[str, Tensor], arch: str, level: OldLevel, ours: NewLevel, label_map_hash: str
) -> tuple[GeoNetwork, NetworkSpec]:
    """Return an older network with its outputs in our order.

    Raises:
        ValueError: it is not a network of that architecture, or has another number of outputs than there are classes.
    """
    file = f"hierarchy_L{level.number}.pth"
    spec = NetworkSpec(arch, {f"L{level.number}": len(ours.cells)}, label_map_hash)
    network = GeoNetwork(spec)
    state = {_bare(name): tensor for name, tensor in state.items()}
    trunk = network.trunk.state_dict()
    head = {name: tensor for name, tensor in state.items() if name not in trunk}
    weight = next((tensor for name, tensor in head.items() if name.endswith("weight") and tensor.ndim == 2), None)
    bias = next((tensor for name, tensor in head.items() if name.endswith("bias") and tensor.ndim == 1), None)
    unlike = [name for name, own in trunk.items() if name not in state or state[name].shape != own.shape]
    width = network.heads[f"L{level.number}"].state_dict()["weight"].shape[1]
    if unlike or weight is None or bias is None or len(head) != 2 or weight.shape[1] != width:
        missing = f"it lacks {counted(len(unlike), 'tensor')}, such as {next(iter(unlike), None)}"
        why = missing if unlike else "its last layer is another"
        raise ValueError(f"{file} is no {arch} with one linear layer at its end ({why}): name another --arch")
    if len(weight) != len(level.cells) or len(bias) != len(level.cells):
        raise ValueError(
            f"{file} has {counted(len(weight), 'output')} but {level.source.name} has {counted(len(level.cells), 'class')}"
        )
    old = torch.from_numpy(ours.old)
    network.trunk.load_state_dict({name: state[name] for name in trunk})
    network.heads[f"L{level.number}"].load_state_dict(
        {"weight": weight[old] * (old >= 0)[:, None], "bias": torch.where(old >= 0, bias[old], NEVER)}
    )
    return network.eval(), spec


def _bare(name: str) -> str:
    """Return the name of a tensor without what compiled and parallel networks put before it, in either order."""
    while name.startswith(("_orig_mod.", "module.")):
        name = name.partition(".")[2]
    return name


def _write_temperatures(run: Path, hierarchy: Hierarchy, temperatures: dict[str, float]) -> None:
    """Write the older temperatures, each fitted to its level alone, for every way of combining levels."""
    record = {
        "model_hash": model_hash(read_run(run), network_files(run, hierarchy)),
        "split": None,
        "photographs": None,
        "created_at_utc": now_utc(),
        "fusion": "chain",
        "point": "geoscore",
        "temperatures": dict.fromkeys((*FUSIONS, "own"), temperatures),
    }
    write_json(run / TEMPERATURES, record)


def _table(old: list[OldLevel], new: list[NewLevel], hierarchy: Hierarchy, temperatures: dict[str, float]) -> str:
    lines = [
        f"{'level':>6} {'classes':>8} {'photographs':>12} {'T':>7}  dropped: no parent   added: parent had no child"
    ]
    for depth, (level, ours) in enumerate(zip(old, new, strict=True)):
        count = int(hierarchy.train_count[hierarchy.rows(depth)].sum())
        name, added = f"L{level.number}", int((ours.old < 0).sum())
        lines.append(
            f"{name:>6} {len(ours.cells):>8,} {count:>12,} {temperatures[name]:>7.3f}  {ours.dropped:>18,}   {added:>26,}"
        )
    return "\n".join(lines)
