"""From flags to a partition, and what a run records of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocells.partitions import PARTITIONS, Partition, build_partition
from label_maps.config import LabelMapsConfig
from plumbing.config import as_plain


def own_flags(config: LabelMapsConfig) -> dict[str, Any]:
    """Return the flags of the chosen partition, None where one was left out."""
    return {flag: getattr(config, flag) for flag in PARTITIONS[config.partition].flags}


LABELLED = "classes"
"""The partition whose classes are labels."""


def make_partition(
    config: LabelMapsConfig, training_deg: NDArray[np.float64], labels: Sequence[str] | None = None
) -> Partition:
    """Return the partition that the flags ask for.

    Args:
        config: the flags.
        training_deg: (N, 2) coordinates of the training photographs, at least one; with labels, NaN where not known.
        labels: (N,) of the training photographs, for the partition `classes`.

    Raises:
        ValueError: a file is missing or not of its kind, or the photographs are too few.
    """
    own = own_flags(config) if labels is None else {"labels": labels}
    return build_partition(config.partition, training_deg, **own)


def settings_of(config: LabelMapsConfig, partition: Partition) -> dict[str, object]:
    """Return how label maps were made, as plain values for `run.json`."""
    given = {flag: value for flag, value in as_plain(own_flags(config)).items() if value is not None}
    chosen = getattr(PARTITIONS[config.partition].load(), "settings", None)
    own = given | (chosen(partition) if chosen else {})
    return {"partition": config.partition, **own, "min_images": config.min_images}


def remarks(config: LabelMapsConfig, partition: Partition, training_deg: NDArray[np.float64]) -> list[str]:
    """Return what to say of a partition besides its classes."""
    said = getattr(PARTITIONS[config.partition].load(), "remarks", None)
    return said(partition, training_deg, **own_flags(config)) if said else []
