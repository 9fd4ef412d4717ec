"""Natural Earth files: any format that holds polygons, and the official download, kept in a cache."""

import http.client
import os
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from geocells.area_files import read_shapes
from geocells.outlines import into_world, mend_seam
from plumbing.files import atomic_path, sha256, write_text
from plumbing.progress import progress
from plumbing.text import counted

TIMEOUT_S = 60
BLOCK_BYTES = 1 << 16


def read_polygons(path: Path, columns: tuple[str, ...] = ()) -> tuple[NDArray[np.object_], list[NDArray]]:
    """Read polygons, (longitude, latitude) in degrees, and some of their attributes.

    Args:
        path: zipped shapefile as Natural Earth gives it out, shapefile, GeoPackage or GeoJSON.
        columns: attributes wanted, by name.

    Returns:
        (N,) polygons and multipolygons in two dimensions, and one (N,) array for each column.

    Raises:
        ValueError: there is no such file, it cannot be read, lacks a column, or holds no polygons in degrees.
    """
    if not path.exists():
        raise ValueError(f"{path}: no such file; name a Natural Earth land file, such as ne_50m_land.zip")
    try:
        shapes = read_shapes(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    lacking = [column for column in columns if any(column not in row for row in shapes.columns)]
    if lacking:
        raise ValueError(f"{path}: has no column {min(lacking)}; is it another file of Natural Earth?")
    if not shapes.polygons:
        others = ", ".join(f"{count:,} {kind}" for kind, count in shapes.others.most_common())
        raise ValueError(f"{path}: holds no polygons{f' but {others}' if others else ''}; land and areas are polygons")
    polygons = np.array(shapes.polygons, dtype=object)
    _check_degrees(path, polygons)
    values = [np.array([row[column] for row in shapes.columns], dtype=object) for column in columns]
    return mend_seam(_within(polygons)), values


def _check_degrees(path: Path, polygons: NDArray[np.object_]) -> None:
    """Refuse polygons that are not in degrees, or of which latitude and longitude are swapped.

    Raises:
        ValueError: they are such; the message says which.
    """
    west, south, east, north = shapely.total_bounds(polygons)
    # A rounding error beyond the edge of the world is harmless, metres instead of degrees are not.
    if max(abs(south), abs(north)) <= 90.001 and max(abs(west), abs(east)) <= 540 and east - west <= 360.002:
        return
    reach = f"{path}: reaches from {west:g}, {south:g} to {east:g}, {north:g} (longitude, latitude)"
    if max(abs(west), abs(east)) <= 90.001 and max(abs(south), abs(north)) <= 360:
        raise ValueError(f"{reach}, so latitude and longitude are swapped: write the longitude first")
    if max(abs(south), abs(north), abs(west), abs(east)) <= 720:
        raise ValueError(f"{reach}, which is more than the Earth: longitudes go once around it, latitudes to 90")
    raise ValueError(f"{reach}, so it is not in degrees; save it as EPSG:4326")


def _within(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return polygons whose longitudes go on beyond 180, as web maps draw them, within ±180."""
    west, _, east, _ = shapely.bounds(polygons).T
    within = polygons.copy()
    for k in np.flatnonzero((west < -180.001) | (east > 180.001)):
        within[k] = into_world(polygons[k])
    return within


def download_land(scale: str, base_url: str, cache: Path | None = None, demanded: str | None = None) -> Path:
    """Return the official land file of a scale, from the cache or, the first time, from the network.

    Natural Earth publishes no hashes, so the first download is taken on trust (and on that of https); its SHA-256 is
    kept beside the file, and from then on the file must have it.

    Args:
        scale: 10m, 50m or 110m.
        base_url: where `SCALE/physical/ne_SCALE_land.zip` lies.
        cache: folder of downloaded files, the user's own cache folder when None.
        demanded: SHA-256 that the file must have, whether downloaded now or before.

    Raises:
        ValueError: it cannot be fetched, is not a zip file, or has another SHA-256 than demanded or recorded.
    """
    path = (user_cache() if cache is None else cache) / f"ne_{scale}_land.zip"
    record = path.with_suffix(".zip.sha256")
    if not (path.is_file() and record.is_file()):
        url = f"{base_url.rstrip('/')}/{scale}/physical/{path.name}"
        with atomic_path(path) as partial:
            _fetch(url, partial)
            if not zipfile.is_zipfile(partial):
                raise ValueError(f"{url} gave something else than a zip file: is it the right --base-url?")
            _demand(partial, demanded, url)
            digest = sha256(partial)
        write_text(record, f"{digest}  {path.name}\n")
    _demand(
        path, record.read_text().split()[0], f"{path}, changed since it was downloaded (delete it to fetch it again),"
    )
    _demand(path, demanded, str(path))
    return path


def user_cache() -> Path:
    """Return the folder for files that can be fetched again (XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "natural_earth"


def _fetch(url: str, path: Path) -> None:
    """Copy what an address gives into a file."""
    request = urllib.request.Request(url, headers={"User-Agent": "geocells (python -m geocells land)"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer, path.open("wb") as file:
            blocks = -(-int(answer.headers.get("Content-Length", 0)) // BLOCK_BYTES) or None
            for block in progress(iter(lambda: answer.read(BLOCK_BYTES), b""), path.name, "block", blocks):
                file.write(block)
            if answer.length:
                raise ValueError(f"{url} broke off {counted(answer.length, 'byte')} before its end: try again")
    except (OSError, http.client.HTTPException) as error:
        raise ValueError(f"cannot fetch {url} ({error}): try again, or name a file with --natural-earth") from None


def _demand(path: Path, digest: str | None, what: str) -> None:
    if digest is not None and sha256(path) != digest.lower():
        raise ValueError(f"{what} has SHA-256 {sha256(path)}, not {digest}")
