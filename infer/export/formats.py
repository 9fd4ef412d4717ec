"""Answers for geographic information systems, tables, and photo libraries."""

import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import geopandas
import pandas as pd
import shapely

from infer.export.tables import as_flat, photographs_of
from plumbing.files import atomic_path, write_text

Record = dict[str, Any]

# It counts, at the level of news, what it writes.
logging.getLogger("pyogrio").setLevel(logging.WARNING)

XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
    exif:GPSLatitude="{latitude}" exif:GPSLongitude="{longitude}" exif:GPSProcessingMethod="ESTIMATED FROM PICTURE">
   <dc:description><rdf:Alt><rdf:li xml:lang="x-default">{words}</rdf:li></rdf:Alt></dc:description>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


def write_format(out: Path, records: Sequence[Record], name: str) -> Path:
    """Write answers as predictions.NAME: parquet, gpkg or kml; points, and regions where there are any."""
    path = out / f"predictions.{name}"
    if name == "parquet":
        with atomic_path(path) as partial:
            pd.DataFrame([as_flat(record) for record in records]).to_parquet(partial, index=False)
    elif name == "gpkg":
        _write_gpkg(path, records)
    else:
        write_text(path, as_kml(records))
    return path


def points(records: Sequence[Record]) -> geopandas.GeoDataFrame:
    """Return one point for each photograph, with all columns of predictions.csv."""
    table = pd.DataFrame([as_flat(record) for record in records])
    places = geopandas.points_from_xy(table["longitude"], table["latitude"])
    return geopandas.GeoDataFrame(table, geometry=places, crs="EPSG:4326")


def regions(records: Sequence[Record]) -> geopandas.GeoDataFrame:
    """Return one row for each region of each photograph."""
    rows = [
        {
            "input": record["input"],
            "coverage": region["coverage"],
            "level": region["level"],
            "area_km2": region["area_km2"],
            "countries": " ".join(country["code"] for country in region["countries"]),
            "geometry": shapely.geometry.shape(region["geometry"]),
        }
        for record in records
        for region in record.get("regions") or ()
    ]
    columns = ["input", "coverage", "level", "area_km2", "countries", "geometry"]
    return geopandas.GeoDataFrame(rows, columns=columns, geometry="geometry", crs="EPSG:4326")


def _write_gpkg(path: Path, records: Sequence[Record]) -> None:
    with atomic_path(path) as partial:
        # GDAL takes the kind of file from its ending, and keeps a journal beside it while writing.
        whole = partial.with_suffix(".gpkg")
        try:
            points(records).to_file(whole, layer="points", driver="GPKG")
            if len(found := regions(records)):
                found.to_file(whole, layer="regions", driver="GPKG")
            whole.replace(partial)
        finally:
            whole.unlink(missing_ok=True)


def as_kml(records: Sequence[Record]) -> str:
    """Return KML 2.2: a folder of points and one of regions."""
    text = io.StringIO()
    text.write('<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2"><Document>\n')
    text.write("<name>Answers: hypotheses, not proof</name>\n")
    text.write('<Style id="region"><PolyStyle><fill>0</fill></PolyStyle></Style>\n')
    text.write("<Folder><name>points</name>\n")
    for record in records:
        name, point = escape(record["input"]), record["point"]
        place = f"<Point><coordinates>{point['longitude']},{point['latitude']}</coordinates></Point>"
        text.write(f"<Placemark><name>{name}</name>{place}</Placemark>\n")
    text.write("</Folder>\n<Folder><name>regions</name>\n")
    for record in records:
        for region in record.get("regions") or ():
            parts = "".join(_kml_polygon(rings) for rings in region["geometry"]["coordinates"])
            title = f"{escape(record['input'])}: {region['coverage']:.0%} region, {region['area_km2']:,.0f} km²"
            text.write(
                f"<Placemark><name>{title}</name><styleUrl>#region</styleUrl>"
                f"<MultiGeometry>{parts}</MultiGeometry></Placemark>\n"
            )
    text.write("</Folder>\n")
    text.write("</Document></kml>\n")
    return text.getvalue()


def _kml_polygon(rings: Sequence[Sequence[Sequence[float]]]) -> str:
    kinds = ["outerBoundaryIs", *["innerBoundaryIs"] * (len(rings) - 1)]
    return f"<Polygon>{''.join(map(_kml_ring, kinds, rings))}</Polygon>"


def _kml_ring(kind: str, ring: Sequence[Sequence[float]]) -> str:
    places = " ".join(f"{lon},{lat}" for lon, lat in ring)
    return f"<{kind}><LinearRing><coordinates>{places}</coordinates></LinearRing></{kind}>"


def write_sidecars(out: Path, records: Sequence[Record], confidence: float) -> list[Path]:
    """Write an XMP side-car for each photograph whose finest level has at least this confidence, into a folder.

    Photo libraries read `NAME.jpg.xmp` beside `NAME.jpg`. Nothing is written beside originals, and none is written for a
    photograph that has coordinates already; others of the same place have theirs.
    """
    written: list[Path] = []
    for record in records:
        sure = record["levels"][-1]["confidence"]
        if sure < confidence:
            continue
        for photograph in photographs_of(record):
            if photograph["stated"]:
                continue
            path = out / "sidecars" / f"{Path(photograph['input']).name}.xmp"
            if path in written:
                path = path.with_name(f"{photograph['sha256'][:8]}-{path.name}")
            write_text(path, sidecar(record, sure))
            written.append(path)
    return written


def sidecar(record: Record, sure: float) -> str:
    """Return an XMP packet with the answered point, said to be an estimate."""
    point, model = record["point"], record["model"]
    words = (
        f"Estimated from the picture alone, {sure:.0%} sure of its cell; a hypothesis, not proof. "
        f"Model {model['run']} {model['hash'][:12]}, version {model['version']}."
    )
    return XMP.format(
        latitude=_xmp_degrees(point["latitude"], "NS"),
        longitude=_xmp_degrees(point["longitude"], "EW"),
        words=escape(words),
    )


def _xmp_degrees(value: float, sides: str) -> str:
    """Return `48,51.50000N`, as the XMP specification (part 2, GPSCoordinate) wants it."""
    minutes = round(abs(value) * 60, 5)
    return f"{int(minutes // 60)},{minutes % 60:.5f}{sides[value < 0]}"
