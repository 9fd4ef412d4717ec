"""Natural Earth files: any format that holds polygons, and the official download, kept in a cache."""

import http.client
import os
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

from geocells.outlines import mend_seam
from plumbing.files import atomic_path, sha256, write_text
from plumbing.progress import progress

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
        meta, _, wkb, fields = pyogrio.raw.read(path, columns=list(columns))
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise ValueError(f"{path}: not a file of polygons that can be read ({error})") from None
    missing = set(columns) - set(meta["fields"])
    if missing:
        raise ValueError(f"{path}: has no column {min(missing)}; is it another file of Natural Earth?")
    polygons = shapely.force_2d(shapely.from_wkb([] if wkb is None else wkb))
    kept = np.isin(shapely.get_type_id(polygons), (3, 6)) & ~shapely.is_empty(polygons)
    if not kept.any():
        raise ValueError(f"{path}: holds no polygons, so it is not a land file")
    west, south, east, north = shapely.total_bounds(polygons[kept])
    # A rounding error beyond the edge of the world is harmless, metres instead of degrees are not.
    if west < -180.001 or east > 180.001 or south < -90.001 or north > 90.001:
        raise ValueError(f"{path}: reaches to {east:g}, {north:g}, so it is not in degrees; save it as EPSG:4326")
    values = dict(zip(meta["fields"], fields, strict=True))
    return mend_seam(polygons[kept]), [values[column][kept] for column in columns]


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
                raise ValueError(f"{url} broke off {answer.length:,} bytes before its end: try again")
    except (OSError, http.client.HTTPException) as error:
        raise ValueError(f"cannot fetch {url} ({error}): try again, or name a file with --natural-earth") from None


def _demand(path: Path, digest: str | None, what: str) -> None:
    if digest is not None and sha256(path) != digest.lower():
        raise ValueError(f"{what} has SHA-256 {sha256(path)}, not {digest}")
