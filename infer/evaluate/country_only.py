"""How often the country is right for country-only photographs, which have a country and no coordinates."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.manifest import has_coordinates, read_manifest
from geocells.hierarchy import Hierarchy
from infer.evaluate.metrics import mean_intervals
from label_maps.labels import COUNTRY


def country_only_photos(data: Path, split: str) -> pd.DataFrame:
    """Return the rows of a split that have a country and no coordinates."""
    photos = read_manifest(data)
    return photos[~has_coordinates(photos) & (photos["split"] == split)].reset_index(drop=True)


def only_countries(data: Path, split: str) -> bool:
    """Say whether a split has photographs, and of all of them no more than the country is known."""
    photos = read_manifest(data, ["latitude", "split"])
    photos = photos[photos["split"] == split]
    return len(photos) > 0 and not has_coordinates(photos).any()


def country_figures(
    hierarchy: Hierarchy, ranks: NDArray[np.int64], group: NDArray[np.int64], seed: int
) -> dict[str, Any]:
    """Return top-1 and top-10 of the country with intervals; a country that is not a class is never right.

    Args:
        hierarchy: the cells, with a level of countries.
        ranks: (N, levels) how many other classes are at least as probable, as `infer.evaluate.measure.Measured` has it.
        group: (N,) leakage groups of the photographs.
        seed: of the bootstrap.
    """
    level = hierarchy.level_index(COUNTRY)
    rank, classes = ranks[:, level], hierarchy.sizes()[level]
    known = rank < classes
    right = {f"top_{k}": ((rank < k) & known).astype(np.float64) for k in (1, 10)}
    return {
        **mean_intervals(right, group, seed),
        "photographs": len(rank),
        "groups": len(np.unique(group)),
        "classes": classes,
        "in_a_known_country": float(known.mean()),
    }
