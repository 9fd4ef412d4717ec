"""Computing the shipped table of land and countries."""

import logging

import numpy as np
import shapely
from numpy.typing import NDArray

from geocells import grid
from geocells.config import TableConfig
from geocells.country_codes import ALPHA2_OF_NAME, alpha2_of_adm0_a3
from geocells.land import cell_boxes, shares, touching_land
from geocells.natural_earth import read_polygons
from plumbing.files import atomic_path

log = logging.getLogger(__name__)

ANTARCTIC_NORTH_DEG = -60
"""All land south of it is AQ: so ISO 3166-1 and the Antarctic Treaty (article VI) draw it."""

NEAREST_DEG = 10.0
"""Land that no country covers (islets, coarse coasts) is of the nearest country within this many degrees."""


def make_table(config: TableConfig) -> int:
    """Compute the table and write it, whole or not at all."""
    land = np.concatenate([read_polygons(path)[0] for path in config.natural_earth])
    touched = touching_land(land, grid.TABLE_LEVEL)
    cell, _, part = shares(shapely.make_valid(land), grid.TABLE_LEVEL)
    share = np.minimum(np.bincount(cell, part, 4**grid.TABLE_LEVEL), 1)
    country = np.where(touched, _country(config, touched), "")
    names, index = np.unique(country, return_inverse=True)
    # A cell that touches land keeps at least 1/255, so that the table answers "any touch" exactly.
    steps = np.where(touched, np.maximum(np.round(share * 255), 1), 0).astype(np.uint8)
    with atomic_path(config.out) as partial, partial.open("wb") as file:
        np.savez_compressed(file, share=steps, country=index.astype(np.uint8), countries=names.astype("U2"))
    log.info("%s: %d cells touch land, %d of no country", config.out, touched.sum(), (touched & (country == "")).sum())
    return 0


def _country(config: TableConfig, touched: NDArray[np.bool_]) -> NDArray[np.str_]:
    """Return the country of each touched cell: by region, else by outline of a country, else the nearest."""
    outlines, (adm0_a3, alpha2) = read_polygons(config.countries, ("ADM0_A3", "ISO_A2"))
    known = alpha2_of_adm0_a3(adm0_a3, alpha2)
    regions, (iso_a3, name) = read_polygons(config.regions, ("iso_a3", "name"))
    of_region = [ALPHA2_OF_NAME.get(n, known.get(a3, "")) for a3, n in zip(iso_a3, name, strict=True)]
    of_outline = [known.get(a3, "") for a3 in adm0_a3]
    country = _dominant(regions, of_region)
    country = np.where(country == "", _dominant(outlines, of_outline), country)
    lost = np.flatnonzero(touched & (country == ""))
    found, nearest = shapely.STRtree(np.concatenate([regions, outlines])).query_nearest(
        cell_boxes(lost, grid.TABLE_LEVEL), max_distance=NEAREST_DEG, all_matches=False
    )
    country[lost[found]] = np.array(of_region + of_outline)[nearest]
    country[grid.bounds_deg(np.arange(4**grid.TABLE_LEVEL), grid.TABLE_LEVEL)[:, 2] <= ANTARCTIC_NORTH_DEG] = "AQ"
    return country


def _dominant(areas: NDArray[np.object_], codes: list[str]) -> NDArray[np.str_]:
    """Return the code with most area in each cell, '' where there is none."""
    names, owner = np.unique(codes, return_inverse=True)
    cell, area, part = shares(shapely.make_valid(areas), grid.TABLE_LEVEL)
    pair, where = np.unique(cell * len(names) + owner[area], return_inverse=True)
    # Where the outlines of two countries overlap whole, as one region does in the source, rounding must not decide: of equal
    # parts the last code of the alphabet is taken.
    order = np.argsort(np.bincount(where, part).round(9), kind="stable")
    country = np.zeros(4**grid.TABLE_LEVEL, dtype="U2")
    # Of several values written to one place numpy keeps the last, here the largest.
    country[pair[order] // len(names)] = names[pair[order] % len(names)]
    return country
