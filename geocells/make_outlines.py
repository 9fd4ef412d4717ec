"""Computing the shipped outlines of countries."""

import io
import logging
import lzma
from collections.abc import Iterable

import numpy as np
import shapely
from numpy.typing import NDArray

from geocells.config import OutlinesConfig
from geocells.country_codes import ALPHA2_OF_NAME, alpha2_of_adm0_a3
from geocells.country_outlines import STEP_DEG, pack
from geocells.land import TABLE_LEVEL, cell_boxes, land_table
from geocells.natural_earth import read_polygons
from geocells.outlines import polygonal
from plumbing.files import atomic_path

log = logging.getLogger(__name__)


def make_outlines(config: OutlinesConfig) -> int:
    """Compute the outlines and write them, whole or not at all."""
    countries, (adm0_a3, alpha2) = read_polygons(config.countries, ("ADM0_A3", "ISO_A2"))
    known = alpha2_of_adm0_a3(adm0_a3, alpha2)
    regions, (iso_a3, name) = read_polygons(config.regions, ("iso_a3", "name"))
    region_code = np.array([ALPHA2_OF_NAME.get(n, known.get(a3, "")) for a3, n in zip(iso_a3, name, strict=True)])
    found = _by_code(countries, np.array([known.get(a3, "") for a3 in adm0_a3]))
    own = np.array([n in ALPHA2_OF_NAME for n in name])
    for code in sorted((set(region_code.tolist()) - set(found) - {""}) | set(region_code[own].tolist())):
        rows = region_code == code
        sovereigns = {known.get(a3, "") for a3 in iso_a3[rows]} - {code, ""}
        _own_code(found, code, shapely.union_all(polygonal(regions[rows])), sovereigns or set(found))
    islets = [read_polygons(path)[0] for path in config.land]
    _add_islets(found, np.concatenate([polygonal(regions), *map(polygonal, islets)]))
    outlines = on_grid({code: found[code] for code in sorted(found)}, config.tolerance_deg)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **pack(outlines))
    with atomic_path(config.out) as partial:
        partial.write_bytes(lzma.compress(buffer.getvalue(), preset=9))
    log.info("%s: %d countries, %d bytes", config.out, len(outlines), config.out.stat().st_size)
    return 0


def _by_code(areas: NDArray[np.object_], codes: NDArray[np.str_]) -> dict[str, shapely.Geometry]:
    return {code: shapely.union_all(polygonal(areas[codes == code])) for code in sorted(set(codes.tolist()) - {""})}


def _own_code(found: dict[str, shapely.Geometry], code: str, area: shapely.Geometry, sovereigns: Iterable[str]) -> None:
    """Give a region with a code of its own what of its sovereigns' outlines is it, or its own outline where nothing is."""
    own = [found.get(code, shapely.MultiPolygon())]
    for other in sovereigns:
        parts = shapely.get_parts(found[other])
        common = shapely.intersection(parts, area)
        # An island is of one country, though drawn with another pencil at another scale; a part of the mainland is cut out.
        whole = shapely.area(common) > shapely.area(parts) / 2
        own += [*parts[whole], *common[~whole]]
        left = shapely.difference(parts[~whole], area)
        found[other] = shapely.union_all(polygonal(left))
    merged = shapely.union_all(own)
    if merged.area < area.area / 2:
        merged = shapely.difference(area, shapely.union_all(list(found.values())))
    found[code] = polygonal(np.array([merged], dtype=object))[0]


def _add_islets(found: dict[str, shapely.Geometry], fine: NDArray[np.object_]) -> None:
    """Add land in those cells of the land table whose country's outline does not touch them and nobody's does.

    Args:
        found: outlines, added to.
        fine: valid polygons of a finer scale.
    """
    table = land_table().country
    cells = np.flatnonzero(table != "")
    boxes = cell_boxes(cells, TABLE_LEVEL)
    touched = np.zeros(len(cells), dtype=bool)
    touched[shapely.STRtree(boxes).query(_parts(list(found.values())), predicate="intersects")[1]] = True
    cells, boxes = cells[~touched], boxes[~touched]
    box, piece = shapely.STRtree(_parts(list(fine))).query(boxes, predicate="intersects")
    land = shapely.intersection(boxes[box], _parts(list(fine))[piece])
    for k in np.unique(box).tolist():
        merged = polygonal(np.array([shapely.union_all(land[box == k])], dtype=object))[0]
        code = str(table[cells[k]])
        found[code] = shapely.union(found.get(code, shapely.MultiPolygon()), merged)


def _parts(areas: list[shapely.Geometry]) -> NDArray[np.object_]:
    return shapely.get_parts(np.array(areas, dtype=object))


def on_grid(outlines: dict[str, shapely.Geometry], tolerance_deg: float) -> dict[str, shapely.Geometry]:
    """Return outlines simplified, borders alike for both neighbours, with vertices on the grid of the shipped file."""
    simple = shapely.coverage_simplify(np.array(list(outlines.values()), dtype=object), tolerance_deg)
    rounded = shapely.transform(simple, lambda points: np.round(points / STEP_DEG) * STEP_DEG)
    # What is smaller than a step of the grid keeps its own outline, on the grid as well as that goes.
    kept = [
        area if shapely.area(area) else polygonal(np.array([shapely.set_precision(whole, STEP_DEG)], dtype=object))[0]
        for area, whole in zip(polygonal(rounded), outlines.values(), strict=True)
    ]
    return dict(zip(outlines, kept, strict=True))
