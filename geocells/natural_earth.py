"""Natural Earth files: any format that holds polygons, and the official download, kept in a cache."""

from pathlib import Path

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray


def read_polygons(path: Path, columns: tuple[str, ...] = ()) -> tuple[NDArray[np.object_], list[NDArray]]:
    """Read polygons, (longitude, latitude) in degrees, and some of their attributes.

    Args:
        path: zipped shapefile as Natural Earth gives it out, shapefile, GeoPackage or GeoJSON.
        columns: attributes wanted, by name.

    Returns:
        (N,) polygons and multipolygons in two dimensions, and one (N,) array for each column.

    Raises:
        ValueError: there is no such file, it cannot be read, lacks a column, or holds anything but polygons in degrees.
    """
    if not path.exists():
        raise ValueError(f"{path}: no such file; name a Natural Earth land file, such as ne_50m_land.zip")
    try:
        meta, _, wkb, fields = pyogrio.raw.read(path, columns=list(columns))
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise ValueError(f"{path}: not a file of polygons that can be read ({error})") from None
    missing = set(columns) - set(meta["fields"])
    if missing:
        raise ValueError(f"{path}: has no column {min(missing)}; is it another file of Natural Earth?")
    polygons = shapely.force_2d(shapely.from_wkb([] if wkb is None else wkb))
    kept = np.isin(shapely.get_type_id(polygons), (3, 6)) & ~shapely.is_empty(polygons)
    if not kept.any():
        raise ValueError(f"{path}: holds no polygons, so it is no land file")
    west, south, east, north = shapely.total_bounds(polygons[kept])
    # A rounding error beyond the edge of the world is harmless, metres instead of degrees are not.
    if west < -180.001 or east > 180.001 or south < -90.001 or north > 90.001:
        raise ValueError(f"{path}: reaches to {east:g}, {north:g}, so it is not in degrees; save it as EPSG:4326")
    values = dict(zip(meta["fields"], fields, strict=True))
    return polygons[kept], [values[column][kept] for column in columns]
