"""`python -m label_maps`: from a dataset's training coordinates to the classes of a run."""

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.manifest import DATASET, content_hash, coordinates, has_coordinates, read_manifest
from geocells.hierarchy import UNKNOWN, Hierarchy, build_hierarchy
from geocells.partitions import Partition
from label_maps.config import LabelMapsConfig
from label_maps.files import hierarchy_hash, write_hierarchy
from label_maps.labels import STATED, class_level, counts_with_country_only, questions, stand_ins, truth_of
from label_maps.partitions import LABELLED, make_partition, remarks, settings_of
from label_maps.run_folder import RUN, begin_run, read_run
from label_maps.spread import QUANTILES, distances_from_centers
from plumbing.files import read_json
from plumbing.near_paths import did_you_mean
from plumbing.text import agreeing, counted

log = logging.getLogger(__name__)


def main(config: LabelMapsConfig) -> None:
    """Build the hierarchy, write it into the run folder and print its classes."""
    photos = read_manifest(config.data, ["id", "latitude", "longitude", "country", "label", "split"])
    learned, located = photos[photos["split"] == "train"], photos[has_coordinates(photos)]
    _check_photos(config, photos)
    training = coordinates(located[located["split"] == "train"])
    partition, hierarchy = _built(config, learned)
    hierarchy = _as_stored(replace(hierarchy, train_count=counts_with_country_only(hierarchy, learned)))
    if (config.run / RUN).is_file() and any(config.run.glob("*.safetensors")):
        _check_same(config, hierarchy, content_hash(photos))
        log.info("%s has these label maps already, and networks trained on them", config.run)
    else:
        if not config.run.exists() and (near := did_you_mean(config.run, RUN)):
            log.warning("%s is a new run%s", config.run, near)
        write_hierarchy(config.run, hierarchy)
        settings = settings_of(config, partition)
        about = config.data / DATASET
        begin_run(config.run, hierarchy, photos, settings, read_json(about) if about.is_file() else {})
    print(_table(hierarchy, photos[photos["split"] == "test"], learned))
    if len(training) < len(learned):
        print(
            _unplaced_line(hierarchy, learned[~has_coordinates(learned)]) + _without_class(config, hierarchy, learned)
        )
    for remark in remarks(config, partition, training):
        print(remark)


def _check_photos(config: LabelMapsConfig, photos: pd.DataFrame) -> None:
    """Refuse a dataset from which the partition that is asked for cannot be built."""
    here, learned = has_coordinates(photos), (photos["split"] == "train").to_numpy()
    nowhere = photos["id"][~here & photos["country"].isna() & photos["label"].isna()]
    if len(nowhere):
        raise ValueError(
            f"{nowhere.iloc[0]} of {config.data} has neither coordinates nor a country nor a label: import it again"
        )
    if not learned.any():
        raise ValueError(f"{config.data} has no photographs in its train split, of {len(photos)}: import it again")
    if (here & learned).any() or config.partition == LABELLED:
        return
    if photos["country"][learned].isna().all():
        raise ValueError(
            f"{config.data} has only labels of its training photographs and no coordinates: use --partition {LABELLED}"
        )
    if config.partition != "admin":
        raise ValueError(
            f"{config.data} has only countries of its training photographs and no coordinates: use --partition admin"
        )
    if config.regions is not None:
        raise ValueError(
            f"{config.data} has no coordinates of its training photographs, which regions take: leave --regions out"
        )


def _built(config: LabelMapsConfig, learned: pd.DataFrame) -> tuple[Partition, Hierarchy]:
    """Return the partition, and the classes of it that training photographs have."""
    if config.partition == LABELLED:
        labelled = learned[learned["label"].notna()]
        labels = labelled["label"].tolist()
        partition = make_partition(config, coordinates(labelled), labels)
        keys = partition.keys_of(labels)  # type: ignore[attr-defined]
        return partition, build_hierarchy(partition, partition.center_deg[keys[:, 0]], config.min_images, keys)  # type: ignore[attr-defined]
    training = coordinates(learned[has_coordinates(learned)])
    partition = make_partition(config, training)
    places = np.concatenate([training, stand_ins(partition, learned)])
    return partition, build_hierarchy(partition, places, config.min_images)


def _unplaced_line(hierarchy: Hierarchy, photos: pd.DataFrame) -> str:
    """Return what becomes of training photographs without coordinates."""
    known = int((truth_of(hierarchy, photos)[1] != UNKNOWN).any(axis=1).sum())
    level, own = class_level(hierarchy), len(photos)
    without = f"{own:,} of them {agreeing(own, 'have')} no coordinates"
    if level is None or not known:
        return f"{without} and {agreeing(own, 'train')} nothing: --partition admin has countries, classes labels"
    what = f"the level {hierarchy.level_names[level]} by their {STATED[hierarchy.level_names[level]]}"
    return f"{without}: {known:,} {agreeing(known, 'train')} {what}"


def _without_class(config: LabelMapsConfig, hierarchy: Hierarchy, learned: pd.DataFrame) -> str:
    """Return which countries of photographs the shipped table lacks, and what has them; empty where it has all."""
    if config.partition != "admin" or config.countries is not None or config.min_images > 1:
        return ""
    lacking = sorted(set(learned["country"][~has_coordinates(learned)].dropna()).difference(hierarchy.name))
    return (
        f"; without a class: {', '.join(lacking)} (--countries ne_50m_admin_0_countries.zip has small ones)"
        if lacking
        else ""
    )


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


def _table(hierarchy: Hierarchy, test: pd.DataFrame, learned: pd.DataFrame) -> str:
    """Return a table of the levels: classes, photographs in them, their dispersion, and test photographs in a known class.

    The dispersion is the median and the 90th percentile of the distances of training photographs from the centre of their class.
    """
    head = f"{'level':>7} {'classes':>8} {'smallest':>9} {'largest':>8} {'test photographs in a known class':>34}"
    lines = [counted(len(learned), "training photograph"), f"{head} {'km from centre (90 %)':>22}"]
    away = distances_from_centers(hierarchy, learned)[1]
    asked = test[questions(hierarchy, test)]
    known = truth_of(hierarchy, asked)[1] != UNKNOWN if len(asked) else None
    for depth, name in enumerate(hierarchy.level_names):
        count = hierarchy.train_count[hierarchy.rows(depth)]
        share = f"{known[:, depth].mean():.1%}" if known is not None else "no test photographs"
        row = f"{name:>7} {len(count):>8,} {count.min():>9,} {count.max():>8,} {share:>34}"
        lines.append(f"{row} {_spread_words(away[:, depth]):>22}")
    return "\n".join(lines)


def _spread_words(away_km: NDArray[np.float64]) -> str:
    known = away_km[~np.isnan(away_km)]
    return "{:,.0f} ({:,.0f})".format(*np.quantile(known, QUANTILES)) if len(known) else "no coordinates"
