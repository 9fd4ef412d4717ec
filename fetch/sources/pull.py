"""`python -m fetch pull`: exactly the photographs that a list names, from a dataset at any address."""

import hashlib
import io
import logging
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from urllib.parse import quote

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dataset.manifest import DATASET, MANIFEST, SCHEMA, is_image_path, write_manifest
from fetch.dataset_counts import counts_report
from fetch.ingest import FORMAT_VERSION
from fetch.sources.config import PullConfig
from fetch.sources.downloads import Downloader, GoneError, PendingError
from fetch.stored import MEASURES, MEASURES_SCHEMA
from fetch.subset import Subset, ids_hash, pictures_hash, read_subset
from plumbing.addresses import check_address, check_store
from plumbing.config import as_plain
from plumbing.files import atomic_path, read_json, sha256, write_json
from plumbing.images import open_rgb
from plumbing.inside import is_relative
from plumbing.parquet import read_columns
from plumbing.progress import progress
from plumbing.text import counted

ATTRIBUTION = "ATTRIBUTION.md"
TABLE_BYTES = 4_000_000_000
"""A larger table is not taken from a web server."""
SUBSET = "subset_sha256"
"""Entry of dataset.json: by which list a dataset was brought."""

log = logging.getLogger(__name__)


class Source(Protocol):
    """Where a dataset lies."""

    def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """Return a file of the dataset, or a range of it.

        Raises:
            OSError: it is not there or cannot be read.
        """


class WebSource:
    """A dataset on a web server, asked as politely as any."""

    def __init__(self, address: str, config: PullConfig) -> None:
        check_address("--from", address)
        self._address = address.rstrip("/")
        self._downloader = Downloader(config)

    def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """Return a whole file."""
        if start is not None:
            raise OSError("packed datasets are read from folders and stores, not from web servers")
        try:
            # Tables are larger than pictures.
            limit = TABLE_BYTES if path.endswith(".parquet") else None
            return self._downloader.get(f"{self._address}/{quote(path)}", lambda body: None, limit)
        except (GoneError, PendingError) as error:
            raise OSError(" ".join(map(str, error.args))) from None


class StoreSource:
    """A dataset on anything that fsspec opens."""

    def __init__(self, address: str) -> None:
        plain = address.removeprefix("zip://").removeprefix("::")
        check_store("--from", plain)
        if plain.lower().endswith(".zip") or plain != address:
            address = f"zip://::{plain}"
        try:
            self._files, root = fsspec.core.url_to_fs(address)
            there = self._files.exists(root)
            if there and address.startswith("zip://") and not self._files.exists(f"{root}/{MANIFEST}".lstrip("/")):
                # Whoever packs a folder often packs it with its name.
                found = [path for path in self._files.find(root) if path.endswith(f"/{MANIFEST}")]
                root = found[0].removesuffix(f"/{MANIFEST}") if len(found) == 1 else root
        # An unknown protocol is a ValueError, one whose package is not installed an ImportError.
        except (ImportError, OSError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"--from {address} cannot be opened ({error})") from None
        if not there:
            raise ValueError(f"--from {address}: there is no such folder")
        self._root = root.rstrip("/")

    def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """Return a file, or a range of it."""
        try:
            return bytes(self._files.cat_file(f"{self._root}/{path}" if self._root else path, start=start, end=end))
        except KeyError as error:
            raise FileNotFoundError(str(error)) from None


def open_source(config: PullConfig) -> Source:
    """Return the place that `--from` names."""
    if config.is_web:
        return WebSource(config.source, config)
    return StoreSource(config.source)


def run(config: PullConfig) -> None:
    """Bring the photographs of a list; run again, it brings only what is missing.

    Raises:
        ValueError: the list or the dataset cannot be used, the dataset lacks photographs or has others under their
            ids, or pictures could not be brought; then there is no manifest, and what came stays.
    """
    subset = read_subset(config.subset)
    _check_out(config, subset)
    source = open_source(config)
    photos = _rows(source, subset, config)
    hashes: dict[str, str] = {}
    failures: list[str] = []
    rows = photos.to_dict("records")
    with ThreadPoolExecutor(config.threads) as pool:
        try:
            brought: Iterator[str] = pool.map(lambda row: _bring(source, row, config), rows)
            for row, answer in zip(rows, progress(brought, "pulling", "picture", len(rows)), strict=True):
                if answer.startswith("!"):
                    failures.append(f"{row['id']} {answer[1:]}")
                else:
                    hashes[str(row["id"])] = answer
        finally:
            pool.shutdown(cancel_futures=True)
    if failures:
        raise ValueError(
            f"{len(failures):,} of {counted(len(rows), 'picture')} could not be copied, the first: {failures[0]}; the rest is in "
            f"{config.out}, the same command asks only for what is missing"
        )
    if subset.pictures_sha256 and pictures_hash(hashes) != subset.pictures_sha256:
        raise ValueError(f"{config.out}: the pictures are not those that {config.subset} was made from")
    photos["sha256"] = photos["id"].map(hashes)
    _finish(config, subset, source, photos)


def _check_out(config: PullConfig, subset: Subset) -> None:
    """Refuse to write over what is not this dataset."""
    out = config.out
    if (out / DATASET).is_file() and read_json(out / DATASET).get(SUBSET) != ids_hash(subset.ids):
        raise ValueError(f"{out} is a dataset that was not made from this list: name another folder with --out")
    if out.is_dir() and not (out / DATASET).is_file() and {path.name for path in out.iterdir()} - {"images"}:
        raise ValueError(f"{out} holds other files and is not a dataset: name an empty or a new folder with --out")


def _rows(source: Source, subset: Subset, config: PullConfig) -> pd.DataFrame:
    """Return the rows of the dataset's manifest that the list names."""
    photos = _table(source, MANIFEST)
    if photos is None:
        raise ValueError(f"--from {config.source} is not a dataset: it has no {MANIFEST} that can be read")
    photos = photos.reindex(columns=SCHEMA.names)
    photos = photos[photos["id"].isin(subset.ids)].reset_index(drop=True)
    missing = set(subset.ids) - set(photos["id"])
    if missing:
        raise ValueError(
            f"--from {config.source} lacks {len(missing):,} of {counted(len(subset.ids), 'photograph')} of {config.subset}, "
            f"such as {min(missing)}"
        )
    for path in photos["path"]:
        if not is_image_path(path):
            raise ValueError(f"--from {config.source}: its manifest names a file outside of images: {path!r}")
    for shard in photos["shard"].dropna().unique():
        if not isinstance(shard, str) or not is_relative(shard):
            raise ValueError(f"--from {config.source}: its manifest names a shard outside of it: {shard!r}")
    known = dict(zip(photos["id"], photos["sha256"], strict=True))
    if subset.pictures_sha256 and photos["sha256"].notna().all() and pictures_hash(known) != subset.pictures_sha256:
        raise ValueError(
            f"--from {config.source} has other pictures under the ids of {config.subset} than those it was made from"
        )
    return photos


def _table(source: Source, path: str) -> pd.DataFrame | None:
    try:
        return read_columns(io.BytesIO(source.read(path))).to_pandas()
    except (OSError, ValueError):
        return None


def _bring(source: Source, row: dict[str, Any], config: PullConfig) -> str:
    """Store one picture, unless it is stored; return its SHA-256, or `!` and why not."""
    path = config.out / row["path"]
    expected = row["sha256"] if isinstance(row["sha256"], str) else ""
    if path.is_file() and (found := sha256(path)) and found in (expected, "" if expected else found):
        return found
    try:
        if isinstance(row["shard"], str):
            start = int(row["offset"])
            body = source.read(row["shard"], start, start + int(row["size"]))
        else:
            body = source.read(row["path"])
        found = hashlib.sha256(body).hexdigest()
        if expected and found != expected:
            return "!is another picture there than its manifest says"
        open_rgb(body, 64)
    except OSError as error:
        return f"!cannot be read ({error})"
    except ValueError as error:
        return f"!{error}"
    with atomic_path(path) as partial:
        partial.write_bytes(body)
    return found


def _finish(config: PullConfig, subset: Subset, source: Source, photos: pd.DataFrame) -> None:
    """Write the tables, the manifest last."""
    measures = _table(source, MEASURES)
    if measures is not None and set(photos["id"]) <= set(measures["id"]):
        measures = measures[measures["id"].isin(photos["id"])].reindex(columns=MEASURES_SCHEMA.names)
        with atomic_path(config.out / MEASURES) as partial:
            pq.write_table(pa.Table.from_pandas(measures, MEASURES_SCHEMA, preserve_index=False), partial)
    try:
        attribution = source.read(ATTRIBUTION)
        with atomic_path(config.out / ATTRIBUTION) as partial:
            partial.write_bytes(attribution)
    except OSError:
        log.debug("no attribution")
    photos[["shard", "offset", "size"]] = None
    dataset = {
        "name": config.out.resolve().name,
        "source": ", ".join(sorted({str(name) for name in photos["source"].dropna()})),
        "version": FORMAT_VERSION,
        "photographs": len(photos),
        SUBSET: ids_hash(subset.ids),
        "subset": dict(subset.about),
        "settings": as_plain(config),
    }
    write_json(config.out / DATASET, dataset)
    write_manifest(config.out, photos.sort_values("id", ignore_index=True))
    log.info(
        f"{config.out}: {counted(len(photos), 'photograph')}, exactly those of {config.subset}\n{counts_report(photos)}"
    )
