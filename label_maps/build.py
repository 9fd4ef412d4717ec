"""`python -m label_maps`: from a dataset's training coordinates to the classes of a run."""

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.manifest import DATASET, content_hash, coordinates, has_coordinates, read_manifest
from geocells.hierarchy import UNKNOWN, Hierarchy, build_hierarchy
from label_maps.config import LabelMapsConfig
from label_maps.files import hierarchy_hash, write_hierarchy
from label_maps.labels import counts_with_country_only, stand_ins, truth_of
from label_maps.partitions import make_partition, remarks, settings_of
from label_maps.run_folder import RUN, begin_run, read_run
from plumbing.files import read_json

log = logging.getLogger(__name__)


def main(config: LabelMapsConfig) -> None:
    """Build the hierarchy, write it into the run folder and print its classes."""
    photos = read_manifest(config.data, ["id", "latitude", "longitude", "country", "split"])
    learned, located = photos[photos["split"] == "train"], photos[has_coordinates(photos)]
    nowhere = photos["id"][~has_coordinates(photos) & photos["country"].isna()]
    if len(nowhere):
        raise ValueError(f"{nowhere.iloc[0]} of {config.data} has neither coordinates nor a country: import it again")
    if not len(learned):
        raise ValueError(f"{config.data} has no photographs in its train split, of {len(photos)}: import it again")
    training = coordinates(located[located["split"] == "train"])
    if not len(training) and config.partition != "admin":
        raise ValueError(
            f"{config.data} has only countries of its training photographs and no coordinates: use --partition admin"
        )
    partition = make_partition(config, training)
    hierarchy = build_hierarchy(partition, np.concatenate([training, stand_ins(partition, learned)]), config.min_images)
    hierarchy = _as_stored(replace(hierarchy, train_count=counts_with_country_only(hierarchy, learned)))
    if (config.run / RUN).is_file() and any(config.run.glob("*.safetensors")):
        _check_same(config, hierarchy, content_hash(photos))
        log.info("%s has these label maps already, and networks trained on them", config.run)
    else:
        write_hierarchy(config.run, hierarchy)
        settings = settings_of(config, partition)
        about = config.data / DATASET
        begin_run(config.run, hierarchy, photos, settings, read_json(about) if about.is_file() else {})
    print(_table(hierarchy, coordinates(located[located["split"] == "test"]), len(training)))
    if len(training) < len(learned):
        print(_country_only_line(hierarchy, learned[~has_coordinates(learned)]))
    for remark in remarks(config, partition, training):
        print(remark)


def _country_only_line(hierarchy: Hierarchy, photos: pd.DataFrame) -> str:
    """Return what becomes of country-only training photographs."""
    known = int((truth_of(hierarchy, photos)[1] != UNKNOWN).any(axis=1).sum())
    how = "train the level of countries alone" if known else "train nothing: --partition admin has countries"
    return f"{len(photos):,} more with no coordinates but a country: {known or len(photos):,} {how}"


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
