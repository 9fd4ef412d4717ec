"""From flags to a partition: read or compute what it takes."""

import numpy as np
from numpy.typing import NDArray

from geocells.partitions import DEFAULT_LEVELS, Partition, QuadPartition
from label_maps.config import OWN_FLAGS, LabelMapsConfig
from plumbing.config import as_plain

MAX_IMAGES = 1000
MAX_LEVEL = 10
"""Of adaptive cells, when left out: those of PlaNet and OpenStreetView-5M are of this order."""

ROUGH = (
    "{count} countries by the shipped table of L8 cells, so borders are off by up to 78 km and the smallest countries are "
    "missing; for true borders add --countries ne_50m_admin_0_countries.zip, for regions --regions "
    "ne_10m_admin_1_states_provinces.zip, both from naturalearthdata.com"
)


def make_partition(config: LabelMapsConfig, training_deg: NDArray[np.float64]) -> Partition:
    """Return the partition that the flags ask for.

    Args:
        config: the flags.
        training_deg: (N, 2) coordinates of the training photographs, at least one.

    Raises:
        ValueError: a file is missing or not of its kind, or the photographs are too few.
    """
    # Each module is imported where it is asked for: shapely, SciPy and scikit-learn are slow to load.
    if config.partition == "adaptive":
        from geocells.partitions import adaptive

        if config.cells:
            return adaptive.read_cell_table(config.cells)
        most, finest = config.max_images or MAX_IMAGES, config.max_level or MAX_LEVEL
        return adaptive.split_by_density(training_deg, most, finest)
    if config.partition == "admin":
        from geocells.partitions import admin

        if config.countries is None:
            return admin.shipped_countries(config.assign or "polygons")
        return admin.read_areas(config.countries, config.regions, config.assign or "polygons")
    if config.partition == "kmeans":
        from geocells.partitions import kmeans

        return kmeans.cluster(training_deg, config.clusters, config.seed or 0)
    if config.partition == "macro":
        from geocells.partitions import macro

        return macro.widened(training_deg)
    return QuadPartition(
        DEFAULT_LEVELS if config.levels is None else config.levels, config.partition == "quad_equal_area"
    )


def settings_of(config: LabelMapsConfig, partition: Partition) -> dict[str, object]:
    """Return how label maps were made, as plain values for `run.json`."""
    given = as_plain(config)
    own = {flag: given[flag] for flag in OWN_FLAGS[config.partition] if given[flag] is not None}
    if isinstance(partition, QuadPartition):
        own["levels"] = list(partition.levels)
    if config.partition == "kmeans":
        own["clusters"] = [int(name.removeprefix("K")) for name in partition.level_names]
    return {"partition": config.partition, **own, "min_images": config.min_images}


def remarks(config: LabelMapsConfig, partition: Partition, training_deg: NDArray[np.float64]) -> list[str]:
    """Return what to say of a partition besides its classes."""
    from geocells.partitions.admin import AdminPartition

    if not isinstance(partition, AdminPartition):
        return []
    said = [] if config.countries else [ROUGH.format(count=len(partition.texts[0]))]
    if len(training_deg):
        shares = partition.differing(training_deg)
        parts = " and ".join(f"{s:.1%} another {level}" for level, s in zip(partition.level_names, shares, strict=True))
        said.append(f"the nearest middle gives, compared with the polygons, {parts}; used: {partition.assign}")
    return said
