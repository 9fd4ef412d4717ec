"""The command that counts the cells that touch land and writes them."""

import csv

import numpy as np
from numpy.typing import NDArray

from geocells import grid
from geocells.config import LandConfig
from geocells.land import land_mask, touching_land
from geocells.natural_earth import download_land, read_polygons
from plumbing.files import atomic_path, write_text


def main(config: LandConfig) -> int:
    """Print how many cells touch land, and write them where wanted."""
    path = config.natural_earth
    if config.download:
        path = download_land(config.download, config.base_url, config.cache, config.sha256)
    if path is None:
        touched, source = land_mask(config.level), "the shipped table (Natural Earth 10m land and minor islands)"
    else:
        touched, source = touching_land(read_polygons(path)[0], config.level, config.equal_area), str(path)
    cells = np.flatnonzero(touched)
    bounds = grid.bounds_deg(cells, config.level, config.equal_area)
    print(f"{len(cells):,} of {4**config.level:,} L{config.level} cells touch land")
    print(f"{np.sum(bounds[:, 2] <= -60):,} of them lie south of 60 S; by {source}")
    if config.out is not None:
        _write(config, cells, bounds)
        print(f"wrote {config.out}")
    return 0


def _write(config: LandConfig, cells: NDArray[np.int64], bounds: NDArray[np.float64]) -> None:
    ids = grid.format_ids(cells, config.level)
    assert config.out is not None
    if config.out.suffix == ".txt":
        write_text(config.out, "".join(f"{cell}\n" for cell in ids))
        return
    with atomic_path(config.out) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "south", "west", "north", "east"])
        rows.writerows([cell, *box] for cell, box in zip(ids, bounds.tolist(), strict=True))
