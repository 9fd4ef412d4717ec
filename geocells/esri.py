"""Esri JSON, as ArcGIS and its services write it: polygons of rings, and in what reference system they are.

Source: https://developers.arcgis.com/rest/services-reference/enterprise/geometry-objects/
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import shapely

from geocells.outlines import ring_of

WGS84 = 4326


def is_esri(content: Any) -> bool:
    """Say whether a document is a feature set or a geometry of Esri."""
    if not isinstance(content, dict) or "type" in content:
        return False
    features = content.get("features")
    has_attributes = isinstance(features, list) and any(isinstance(f, dict) and "attributes" in f for f in features[:1])
    return "rings" in content or "geometryType" in content or has_attributes


def esri_features(content: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield geometry and attributes of each feature, those without a geometry with an empty one.

    Raises:
        ValueError: it is not in WGS 84, or not of features; in words that go on from the name of the file.
    """
    check_degrees(content)
    features = content.get("features", [{"geometry": content}] if "rings" in content else None)
    if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
        raise ValueError("is Esri JSON without a list of features")
    for feature in features:
        geometry, attributes = (feature.get(part) or {} for part in ("geometry", "attributes"))
        if not isinstance(geometry, dict) or not isinstance(attributes, dict):
            raise ValueError("is Esri JSON with a feature whose geometry or attributes are no records")
        check_degrees(geometry)
        yield geometry, attributes


def check_degrees(about: Mapping[str, Any]) -> None:
    """Refuse what states another reference system than WGS 84.

    Raises:
        ValueError: it does; in words that go on from the name of the file.
    """
    stated = about.get("spatialReference")
    if not stated:
        return
    codes = [stated.get(key) for key in ("latestWkid", "wkid")] if isinstance(stated, dict) else [stated]
    if WGS84 in codes:
        return
    name = next((f"EPSG:{code}" for code in codes if isinstance(code, int)), "another reference system")
    raise ValueError(
        f"is Esri JSON in {name}: convert it to WGS 84 (ogr2ogr -t_srs EPSG:4326 wgs84.geojson FILE), or ask the service with "
        "outSR=4326"
    )


def polygon_of_rings(geometry: Mapping[str, Any]) -> shapely.MultiPolygon:
    """Return the polygons of a geometry with `rings`: those that turn clockwise are outlines, the others holes in them.

    Raises:
        ValueError: a ring is none.
    """
    rings = [shapely.LinearRing(ring_of(points)) for points in geometry["rings"]]
    outlines = [shapely.Polygon(ring) for ring in rings if not ring.is_ccw]
    holes = [ring for ring in rings if ring.is_ccw]
    if not outlines:
        # Written the other way round, as programs do that do not know.
        outlines, holes = [shapely.Polygon(ring) for ring in holes], []
    of: list[list[shapely.LinearRing]] = [[] for _ in outlines]
    tree, sizes = shapely.STRtree(outlines), shapely.area(np.array(outlines, dtype=object))
    for hole in holes:
        around = tree.query(shapely.Polygon(hole).representative_point(), predicate="within")
        if len(around):
            of[int(around[np.argmin(sizes[around])])].append(hole)
    return shapely.MultiPolygon(
        [shapely.Polygon(outline.exterior, inner) for outline, inner in zip(outlines, of, strict=True)]
    )
