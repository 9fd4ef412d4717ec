"""`python -m label_maps`: from a dataset's training coordinates to the classes of a run."""

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geocells.hierarchy import UNKNOWN, Hierarchy, build_hierarchy
from label_maps.config import LabelMapsConfig
from label_maps.files import hierarchy_hash, write_hierarchy
from label_maps.manifest import DATASET, content_hash, coordinates, read_manifest
from label_maps.partitioning import make_partition, remarks, settings_of
from label_maps.run_folder import RUN, begin_run, read_run
from plumbing.files import read_json

log = logging.getLogger(__name__)


def main(config: LabelMapsConfig) -> None:
    """Build the hierarchy, write it into the run folder and print its classes."""
    photos = read_manifest(config.data, ["id", "latitude", "longitude", "split"])
    training = coordinates(photos[photos["split"] == "train"])
    if not len(training):
        raise ValueError(f"{config.data} has no photographs in its train split, of {len(photos)}: import it again")
    partition = make_partition(config, training)
    hierarchy = _as_stored(build_hierarchy(partition, training, config.min_images))
    if (config.run / RUN).is_file() and any(config.run.glob("*.safetensors")):
        _check_same(config, hierarchy, content_hash(photos))
        log.info("%s has these label maps already, and networks trained on them", config.run)
    else:
        write_hierarchy(config.run, hierarchy)
        settings = settings_of(config, partition)
        about = config.data / DATASET
        begin_run(config.run, hierarchy, photos, settings, read_json(about) if about.is_file() else {})
    print(_table(hierarchy, coordinates(photos[photos["split"] == "test"]), len(training)))
    for remark in remarks(config, partition, training):
        print(remark)


def _as_stored(hierarchy: Hierarchy) -> Hierarchy:
    """Round as the files do, so that what is read is what was written."""
    return replace(hierarchy, center_deg=hierarchy.center_deg.round(6), area_km2=hierarchy.area_km2.round(3))


def _check_same(config: LabelMapsConfig, hierarchy: Hierarchy, dataset_hash: str) -> None:
    """Refuse to put other label maps under networks that exist."""
    known = read_run(config.run)
    if known["label_map_hash"] != hierarchy_hash(hierarchy) or known["dataset_hash"] != dataset_hash:
        raise ValueError(
            f"{config.run} holds networks trained on other label maps or photographs: choose another --run or delete it"
        )


def _table(hierarchy: Hierarchy, test_deg: NDArray[np.float64], training: int) -> str:
    """Return a table of the levels: classes, photographs in them, and test photographs in a known class."""
    lines = [
        f"{training:,} training photographs",
        f"{'level':>6} {'classes':>8} {'smallest':>9} {'largest':>8} {'test photographs in a known class':>34}",
    ]
    known = hierarchy.classes(test_deg) != UNKNOWN if len(test_deg) else None
    for depth, name in enumerate(hierarchy.level_names):
        count = hierarchy.train_count[hierarchy.rows(depth)]
        share = f"{known[:, depth].mean():.1%}" if known is not None else "no test photographs"
        lines.append(f"{name:>6} {len(count):>8,} {count.min():>9,} {count.max():>8,} {share:>34}")
    return "\n".join(lines)
