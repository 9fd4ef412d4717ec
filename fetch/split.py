"""`python -m fetch split`: share out the photographs of a dataset again, by what has been learned of them since."""

import logging

import numpy as np

from dataset.manifest import read_manifest, write_manifest
from dataset.near_duplicates import alike_by_features, best_cache
from fetch.config import SplitConfig
from fetch.dataset_counts import counts_report
from fetch.splits import assign_splits
from plumbing.text import agreeing, counted

log = logging.getLogger(__name__)


def run(config: SplitConfig) -> None:
    """Write the new splits into the manifest.

    Raises:
        ValueError: there is not a dataset, or --features finds none.
    """
    photos = read_manifest(config.data)
    alike = []
    if config.features:
        there, rows = best_cache(config.data, photos)
        known = np.flatnonzero(rows >= 0)
        alike = [known[pairs] for pairs in alike_by_features(there, rows[known])]
        kind, width = there.cache.kind, there.cache.width
        log.info("near-duplicate pairs by %d features of %s: %d", width, kind.arch, sum(map(len, alike)))
    shares = {"test": config.test_share, "calibration": config.calibration_share}
    before = photos["split"].to_numpy()
    photos["split"] = assign_splits(photos, shares, config.split, config.seed, alike)
    write_manifest(config.data, photos)
    moved = int((photos["split"] != before).sum())
    log.info(f"{moved:,} of {counted(len(photos), 'photograph')} {agreeing(moved, 'are')} in another split than before")
    log.info(counts_report(photos))
