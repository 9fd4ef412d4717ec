"""`python -m fetch osv5m`: OpenStreetView-5M by parts, through the files of a hub."""

import hashlib
import io
import logging
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from dataset.manifest import DATASET
from dataset.places import check_coordinates
from dataset.tables.fields import ManifestFields
from dataset.tables.headings import is_known
from dataset.tables.photo_table import as_photos
from fetch.candidates import Candidate
from fetch.ingest import ingest
from fetch.rejected import Rejection
from fetch.sources.config import Osv5mConfig
from fetch.sources.hub import Hub, HubFile
from fetch.stored import JOURNAL
from plumbing.files import read_json
from plumbing.text import counted

SOURCE = "OpenStreetView-5M"
LICENCE = "CC-BY-SA-4.0"
PAGE = "https://www.mapillary.com/app/?pKey={}"
"""The pictures are Mapillary's, and so are their ids."""
STORE = ".parts"
SIDES = ("train", "test")

log = logging.getLogger(__name__)


def run(config: Osv5mConfig) -> None:
    """Download the parts that are missing, and make a dataset of all that are chosen.

    Raises:
        ValueError: there is no such part or no table, the hub cannot be reached, a file is damaged there too, the disk
            is too small, or `out` holds something else.
    """
    _check_out(config)
    hub = Hub(config.endpoint, config.repo, config.revision)
    files = hub.files()
    parts = {"train": _chosen(files, "train", config.parts), "test": _chosen(files, "test", config.test_parts)}
    tables = {side: _table(files, side) for side in SIDES if parts[side]}
    store = config.store or config.out / STORE
    wanted = [*tables.values(), *parts["train"], *parts["test"]]
    hub.bring(wanted, store, and_as_much_for=config.out)
    archives = {side: [store / part.path for part in parts[side]] for side in SIDES}
    rejected: list[Rejection] = []
    most = {"train": config.images, "test": config.test_images}
    pictures = {side: _drawn(_names(archives[side]), most[side], config.seed) for side in SIDES}
    total = sum(len(names) for names in pictures.values())
    candidates = (
        candidate
        for side in tables
        for candidate in _candidates(config, side, store / tables[side].path, archives[side], pictures[side], rejected)
    )
    about = {"repo": config.repo, "revision": hub.commit, "files": {file.path: file.digest for file in wanted}}
    ingest(config.out, candidates, config, total, rejected, about)
    log.info(f"{store}: {sum(f.size for f in wanted) / 1e9:,.2f} GB of parts stay, delete them if you need the space")


def _check_out(config: Osv5mConfig) -> None:
    """Refuse to write over what is not this dataset."""
    out = config.out
    if (out / DATASET).is_file():
        before = read_json(out / DATASET).get("repo")
        if before != config.repo:
            raise ValueError(f"{out} is a dataset of another source: name another folder with --out, or delete it")
    elif out.is_dir() and {path.name for path in out.iterdir()} - {STORE, JOURNAL, "images"}:
        raise ValueError(f"{out} holds other files and is not a dataset: name an empty or a new folder with --out")


def side_of(path: str) -> str:
    """Return whether a file of the hub is of `train` or of `test`, by its folder or name; empty where it says neither."""
    words = re.split(r"[^a-z]+", path.lower())
    return next((side for side in SIDES if side in words), "")


def part_name(path: str) -> str:
    """Return by which name a part is chosen: its file's without the ending, and without train or test before it."""
    stem = PurePosixPath(path).stem
    return re.sub(r"^(train|test)[-_.]?(?=.)", "", stem)


def _chosen(files: Iterable[HubFile], side: str, names: tuple[str, ...]) -> list[HubFile]:
    """Return the parts of a side by their names."""
    there = {part_name(f.path): f for f in files if f.path.endswith(".zip") and side_of(f.path) == side}
    missing = [name for name in names if name not in there]
    if missing:
        flag = "--parts" if side == "train" else "--test-parts"
        known = " ".join(sorted(there)) or "none"
        raise ValueError(f"{flag}: there is no {side} part {missing[0]}; the hub has: {known}")
    return [there[name] for name in dict.fromkeys(names)]


def _table(files: Iterable[HubFile], side: str) -> HubFile:
    """Return the table of a side, wherever it lies."""
    found = [f for f in files if PurePosixPath(f.path).name == f"{side}.csv"]
    if len(found) != 1:
        raise ValueError(
            f"the hub has {counted(len(found), 'file')} named {side}.csv and one was expected: is this the dataset?"
        )
    return found[0]


def _names(archives: Iterable[Path]) -> dict[str, tuple[Path, str]]:
    """Return the archive and the name in it of each picture, by its id."""
    found: dict[str, tuple[Path, str]] = {}
    for path in archives:
        try:
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if name.lower().endswith((".jpg", ".jpeg", ".png")):
                        found[PurePosixPath(name).stem] = (path, name)
        except zipfile.BadZipFile as error:
            raise ValueError(f"{path} is not a zip file ({error}), though its hash is that of the hub's") from None
    return found


def _drawn(pictures: dict[str, tuple[Path, str]], most: int, seed: int) -> dict[str, tuple[Path, str]]:
    """Return at most so many pictures, in the order that they were in; 0 is all.

    Each has its own random number, so that a larger draw holds every smaller one.
    """
    if not most or len(pictures) <= most:
        return pictures
    number = {name: hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest() for name in pictures}
    drawn = set(sorted(pictures, key=number.__getitem__)[:most])
    return {name: where for name, where in pictures.items() if name in drawn}


def _candidates(
    config: Osv5mConfig,
    side: str,
    table: Path,
    archives: Iterable[Path],
    pictures: Mapping[str, tuple[Path, str]],
    rejected: list[Rejection],
) -> Iterator[Candidate]:
    """Yield the photographs of a side in the order of its archives; `rejected` receives what has no place."""
    photos = _rows(table, pictures)
    latlon_deg, reasons = check_coordinates(photos, known_columns=True)
    fields = ManifestFields.of(photos)
    row_of = {photo_id: row for row, photo_id in enumerate(photos["id"])}
    split = {"split": side} if side == "test" and config.split_from == "table" else {}
    for path in archives:
        with zipfile.ZipFile(path) as archive:
            for photo_id, (where, name) in pictures.items():
                if where != path:
                    continue
                row = row_of.get(photo_id)
                if row is None:
                    rejected.append(Rejection(photo_id, f"not in {side}.csv", name, stage="osv5m"))
                elif reasons[row]:
                    value = f"{photos['latitude'].iat[row]}, {photos['longitude'].iat[row]}"
                    rejected.append(Rejection(photo_id, str(reasons[row]), value, stage="osv5m"))
                else:
                    here = (float(latlon_deg[row, 0]), float(latlon_deg[row, 1]))
                    given = {"licence": LICENCE, "url": PAGE.format(photo_id), **_known(fields.row(row)), **split}
                    yield Candidate(photo_id, here, _read(archive, name), {**given, "source": SOURCE})


def _known(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a picture; nothing, which is then listed as unreadable, where the archive is damaged there."""
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, OSError, ValueError):
        return b""


def _rows(table: Path, pictures: Mapping[str, tuple[Path, str]]) -> pd.DataFrame:
    """Return the rows of the pictures alone: the table of all five million would take gigabytes."""
    with table.open("rb") as file:
        header = pd.read_csv(io.BytesIO(file.readline()), dtype=str).columns.tolist()
    wanted = [name for name in header if is_known(name)]
    if "id" not in wanted:
        raise ValueError(f"{table} has no column id; its columns are: {', '.join(header)}")
    convert = pacsv.ConvertOptions(
        include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string()), strings_can_be_null=False
    )
    ids = pa.array(sorted(pictures), pa.string())
    found = []
    try:
        with pacsv.open_csv(table, pacsv.ReadOptions(block_size=1 << 24), None, convert) as reader:
            for block in reader:
                found.append(block.filter(pc.is_in(block["id"], value_set=ids)))
            schema = reader.schema
    except pa.ArrowException as error:
        raise ValueError(f"{table} is not a regular table ({error})") from None
    photos = as_photos(pa.Table.from_batches(found, schema).to_pandas(), table).photos
    return photos.drop_duplicates("id", ignore_index=True)
