"""Which cells a run is about."""

import numpy as np
from numpy.typing import NDArray

from fetch.mapillary.config import MapillaryConfig
from geocells import grid
from geocells.land import land_table


def wanted_cells(config: MapillaryConfig) -> NDArray[np.int64]:
    """Return the storage cells that all of --cells, --bbox and --country name, ascending; all when none is given.

    Raises:
        ValueError: a name is neither a cell nor a country, or nothing is left.
    """
    wanted = np.ones(4**grid.TABLE_LEVEL, dtype=bool)
    if config.cells:
        named = np.zeros_like(wanted)
        for text in config.cells:
            named[_below(text)] = True
        wanted &= named
    if config.bbox is not None:
        wanted &= _touching(config.bbox)
    if config.country:
        country = land_table().country
        unknown = sorted({code.upper() for code in config.country} - set(country[country != ""].tolist()))
        if unknown:
            raise ValueError(
                f"--country {unknown[0]} is not the code of a country with land, such as FR (ISO 3166-1 alpha-2)"
            )
        wanted &= np.isin(country, [code.upper() for code in config.country])
    if not wanted.any():
        raise ValueError("no cell is left by --cells, --bbox and --country together")
    return np.flatnonzero(wanted)


def _below(text: str) -> NDArray[np.int64]:
    """Return the storage cells of a cell of the same or a coarser level."""
    cell, level = grid.parse_id(text)
    if level > grid.TABLE_LEVEL:
        raise ValueError(f"--cells {text} is finer than level {grid.TABLE_LEVEL}")
    return grid.children(cell, level, grid.TABLE_LEVEL)


def _touching(bbox: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    south, west, north, east = bbox
    low_lat, low_lon, high_lat, high_lon = grid.bounds_deg(np.arange(4**grid.TABLE_LEVEL), grid.TABLE_LEVEL).T
    around = (high_lon > west) | (low_lon < east) if west > east else (high_lon > west) & (low_lon < east)
    return around & (high_lat > south) & (low_lat < north)
