"""Thirteen macro regions of countries, as a published director of regional experts has them."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from geocells import grid
from geocells.land import cell_boxes, land_table
from geocells.outlines import span_deg
from geocells.partitions.base import check_keys
from geocells.sphere import box_area_km2, unit_vectors

LEVEL_NAME = "macro"

MACRO_REGIONS: tuple[tuple[str, str, tuple[float, float, float, float]], ...] = (
    ("North America", "US CA", (15, 70, -168, -52)),
    (
        "Latin America",
        "MX GT SV HN NI CR PA CO VE EC PE BO PY AR CL UY BR GY SR GF CU HT DO PR VI BZ",
        (-56, 33, -118, -34),
    ),
    ("Western and Northern Europe", "FR DE NL BE LU AT CH LI GB IE DK SE NO FI IS AX FO", (36, 71, -25, 40)),
    ("Southern Europe", "ES PT IT GR MT AD SM VA CY", (34, 47, -10, 28)),
    ("Eastern Europe and Balkans", "TR PL CZ SK HU EE LV LT SI HR BA RS ME MK AL RO BG MD", (41, 60, 12, 41)),
    ("Russia and Cyrillic", "RU UA BY MN KZ KG UZ", (41, 82, 19, 180)),
    ("East Asia", "JP KR TW HK CN", (20, 46, 122, 153)),
    ("Southeast Asia", "TH MY SG ID PH VN KH LA BN TL", (-11, 23, 95, 155)),
    ("South Asia", "IN BD LK BT NP", (5, 37, 60, 97)),
    (
        "Africa",
        "NA ZA NG KE SZ LS SN BW GH RW UG GM CI BF TG GN TZ ET ML ZW CD GW",
        (-35, 37, -18, 52),
    ),
    ("Arabia", "PS LB QA IL AE OM TN JO SY YE MR", (12, 34, 33, 60)),
    ("Oceania", "AU NZ", (-47, -9, 112, 180)),
    ("Rare regions", "", (-50, 80, -180, 180)),
)
"""Name, ISO 3166-1 alpha-2 codes, and published box (lat_min, lat_max, lon_min, lon_max); the last takes all others."""

RARE = len(MACRO_REGIONS) - 1


@dataclass(frozen=True, eq=False)
class MacroPartition:
    """One level of thirteen regions; the key of a region is its published number.

    A point has the country with most land in its L8 cell, at sea that of the nearest land cell.

    Attributes:
        boxes_deg: (13, 4) south, west, north, east: the box of a regional expert.
    """

    boxes_deg: NDArray[np.float64]

    def arrays(self) -> dict[str, NDArray]:
        """Return the boxes."""
        return {"boxes_deg": self.boxes_deg}

    @property
    def name(self) -> str:
        """Return the name by which `--partition` knows it."""
        return "macro"

    @property
    def level_names(self) -> tuple[str, ...]:
        """Return the name of the only level."""
        return (LEVEL_NAME,)

    def keys(self, latlon_deg: ArrayLike) -> NDArray[np.int64]:
        """Return (N, 1) keys of (N, 2) points."""
        points = np.asarray(latlon_deg, dtype=np.float64).reshape(-1, 2)
        return region_of_cells()[grid.encode(points, grid.TABLE_LEVEL)][:, None]

    def parents(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.int64]:
        """Refuse: there is no level above."""
        raise AssertionError("a partition of one level has no parents")

    def names(self, keys: NDArray[np.int64], depth: int) -> list[str]:
        """Return the names of regions."""
        check_keys(keys, len(MACRO_REGIONS), self.name)
        return [MACRO_REGIONS[key][0] for key in keys.tolist()]

    def bounds_deg(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return (N, 4) south, west, north, east of the experts' boxes; lands without photographs may lie outside."""
        return self.boxes_deg[keys]

    def area_km2(self, keys: NDArray[np.int64], depth: int) -> NDArray[np.float64]:
        """Return the areas of regions, land only."""
        cells = np.arange(4**grid.TABLE_LEVEL)
        land = land_table().share * box_area_km2(grid.bounds_deg(cells, grid.TABLE_LEVEL))
        return np.bincount(region_of_cells(), land, len(MACRO_REGIONS)).astype(np.float64)[keys]

    def outline(self, key: int, depth: int) -> shapely.Geometry | None:
        """Return a region as the L8 cells of its countries that touch land."""
        cells = np.flatnonzero((land_table().share > 0) & (region_of_cells() == key))
        return shapely.union_all(cell_boxes(cells, grid.TABLE_LEVEL))


def build(name: str, training_deg: NDArray[np.float64]) -> MacroPartition:
    """Return the regions, their boxes widened to hold the (N, 2) training photographs of each."""
    return widened(training_deg)


def restore(name: str, level_names: tuple[str, ...], arrays: dict[str, NDArray]) -> MacroPartition:
    """Return the partition of stored arrays."""
    return MacroPartition(arrays["boxes_deg"])


def published_boxes() -> NDArray[np.float64]:
    """Return the (13, 4) boxes as published: south, west, north, east. They do not hold all of their countries."""
    south, north, west, east = np.array([box for _, _, box in MACRO_REGIONS], dtype=np.float64).T
    return np.stack([south, west, north, east], axis=-1)


def widened(latlon_deg: ArrayLike) -> MacroPartition:
    """Return the regions, with the published boxes widened to hold the (N, 2) photographs of each."""
    points = np.array(latlon_deg, dtype=np.float64).reshape(-1, 2)
    points[:, 1] = np.where(np.abs(points[:, 1]) > 180, (points[:, 1] + 180) % 360 - 180, points[:, 1])
    published = MacroPartition(published_boxes())
    boxes = np.vstack([published.boxes_deg, points[:, [0, 1, 0, 1]]])
    owner = np.r_[np.arange(len(MACRO_REGIONS)), published.keys(points)[:, 0]]
    return MacroPartition(span_deg(boxes, owner, len(MACRO_REGIONS)))


@cache
def region_of_cells() -> NDArray[np.int64]:
    """Return the macro region of each of the 65,536 L8 cells, land or sea."""
    table = land_table()
    number = {code: k for k, (_, codes, _) in enumerate(MACRO_REGIONS) for code in codes.split()}
    codes, which = np.unique(table.country, return_inverse=True)
    region = np.array([number.get(str(code), RARE) for code in codes])[which]
    middles = unit_vectors(grid.center_deg(np.arange(4**grid.TABLE_LEVEL), grid.TABLE_LEVEL))
    land = np.flatnonzero(table.share > 0)
    sea = np.flatnonzero(table.share == 0)
    region[sea] = region[land[KDTree(middles[land]).query(middles[sea])[1]]]
    region.flags.writeable = False
    return region
