"""How many photographs and cells a dataset has, as lines to read."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dataset.manifest import SPLITS, coordinates, has_coordinates
from geocells import grid
from geocells.land import land_table
from geocells.partitions import DEFAULT_LEVELS
from plumbing.text import counted

LISTED = 30
"""Countries or labels that are listed."""


def counts_report(photos: pd.DataFrame) -> str:
    """Return photographs per split, and for each level the occupied cells and how unequally they are filled."""
    split = photos["split"].value_counts()
    lines = ["photographs " + "   ".join(f"{name} {int(split.get(name, 0)):,}" for name in SPLITS)]
    here = has_coordinates(photos)
    only_country, only_label = (photos[~here & photos[name].notna()] for name in ("country", "label"))
    if len(only_country):
        lines.append(
            f"{len(only_country):,} of them country-only, from "
            f"{counted(only_country['country'].nunique(), 'country')}: {_by_class(only_country['country'])}"
        )
    if photos["label"].notna().any():
        lines.append(
            f"{int(photos['label'].notna().sum()):,} with one of {counted(photos['label'].nunique(), 'label')}, "
            f"{len(only_label):,} of them without coordinates: {_by_class(photos['label'])}"
        )
    photos = photos[here]
    if not len(photos):
        return "\n".join(lines)
    lines.append("level   cells of all  largest  smallest  Gini")
    for level in DEFAULT_LEVELS:
        count = np.unique(grid.encode(coordinates(photos), level), return_counts=True)[1]
        lines.append(f"L{level:<3}{len(count):>9,}{4**level:>7,}{count.max():>9,}{count.min():>10,}{gini(count):>6.2f}")
    country = land_table().country[grid.encode(coordinates(photos), grid.TABLE_LEVEL)]
    countries = counted(len(np.unique(country[country != ""])), "country")
    lines.append(f"about {countries} (each L8 cell counts for one)")
    return "\n".join(lines)


def _by_class(values: pd.Series) -> str:
    """Return how many photographs each country or label has, the largest first, of many those with the fewest left out."""
    counts = values.value_counts()
    shown = ", ".join(f"{name} {count:,}" for name, count in counts.head(LISTED).items())
    left = counts.iloc[LISTED:]
    if not len(left):
        return shown
    return f"{shown}, and {len(left):,} more with {left.iloc[0]:,} to {left.iloc[-1]:,} each"


def gini(counts: NDArray[np.int64]) -> float:
    """Return the Gini coefficient of counts: 0 when all are equal, towards 1 when one has everything."""
    ascending = np.sort(counts)
    rank = np.arange(1, len(counts) + 1)
    return float(((2 * rank - len(counts) - 1) * ascending).sum() / (len(counts) * ascending.sum()))
