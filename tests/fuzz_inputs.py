"""A fuzz harness: valid inputs of all kinds, damaged at random, read as the commands read them.

    python -m tests.fuzz_inputs --cases 100000 --seed 0

Each case has a number and is the same again by `--first N --cases 1` with the same `--kinds`. A case passes when it is read, or
refused by the one line that commands turn into exit code 2 (ValueError, OSError). Anything else that is raised, a connection, a
file outside of the case's own folder, more than 5 seconds of the processor or 2 GiB is a fault.
"""

import argparse
import gzip
import io
import json
import logging
import resource
import shutil
import socket
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import torch
from PIL import Image

from dataset.images import Pictures
from dataset.manifest import MANIFEST, read_manifest
from dataset.metadata_location import metadata_locations
from dataset.tables.photo_table import read_table
from fetch.pack import _read_shard
from fetch.sources.config import ImportConfig
from fetch.sources.imports import run as import_photos
from fetch.stored import JOURNAL
from geocells.natural_earth import read_polygons
from infer.decode.conformal import CONFORMAL
from infer.model import TEMPERATURES, load_model
from infer.network.weights import load_network
from label_maps.config import LabelMapsConfig
from label_maps.files import read_hierarchy
from label_maps.run_folder import RUN
from plumbing.config import parse
from plumbing.images import open_rgb
from train.config import JointConfig

MOST_S, MOST_BYTES = 5.0, 2 << 30
PICTURES = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "HEIF")
TOKENS = (
    b"../victim/keep.txt", b"/etc/passwd", b"C:\\x", b"NaN", b"1e999", b"-1", b"null", b"[]", b"{}", b"true", b"9" * 30, b"\0",
    b"\xff\xfe", b"\x1b[2J", b"reference://x", b"a::b", b'"', b",", b"&a", b"*a", b"!!python/object:os.system", b"<!DOCTYPE",
)  # fmt: skip
RING = b"[[[5,45],[15,45],[15,55],[5,45]]]"
GEOJSON = b'{"type":"Feature","properties":{"n":"a"},"geometry":{"type":"Polygon","coordinates":' + RING + b"}}"
KML = (
    b"<kml><Placemark><Polygon><outerBoundaryIs><coordinates>5,45 15,45 15,55</coordinates></outerBoundaryIs>"
    b"</Polygon></Placemark></kml>"
)
TABLE = b"id,filename,latitude,longitude,captured_at\na,a.jpg,48.85,2.35,2020-01-01\nb,b.jpg,-12.5,170.25,2021-05-05\n"
RECIPE = b"epochs: 3\noptim:\n  lr: 0.001\nimage_size: 64\nlevels: [L1, L3]\n"


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Attributes:
        seeds: valid files.
        read: reads a folder in which the damaged file lies under `name`.
        name: of the file.
    """

    seeds: list[bytes]
    read: Callable[[Path], object]
    name: str


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Return content with one to four changes: bytes, cuts, repeats, and tokens that mean something to readers."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        place, length = int(rng.integers(0, len(changed) + 1)), int(rng.geometric(0.1))
        how = int(rng.integers(0, 6))
        if how == 0:
            changed[place : place + length] = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
        elif how == 1:
            del changed[place : place + length]
        elif how == 2:
            changed[place:place] = bytes(changed[place : place + length]) * int(rng.integers(1, 20))
        elif how == 3:
            token = TOKENS[int(rng.integers(0, len(TOKENS)))]
            changed[place : place + int(rng.integers(0, length + 1))] = token
        elif how == 4 and rng.random() < 0.2:
            del changed[place:]
        elif changed:
            changed[place % len(changed)] ^= 1 << int(rng.integers(0, 8))
    return bytes(changed)


def pictures() -> list[bytes]:
    """Return a small picture in each format that can be written here, with EXIF."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x8825] = 6, {1: "N", 2: (48.0, 51.0, 0.0), 3: "E", 4: (2.0, 17.0, 0.0)}
    found = []
    for kind in PICTURES:
        file = io.BytesIO()
        Image.init()
        if kind in Image.SAVE:
            picture.save(file, kind, **({"exif": exif.tobytes()} if kind not in ("GIF", "BMP") else {}))
            found.append(file.getvalue())
    return found


def tables() -> dict[str, Kind]:
    """Return a small table of photographs in each kind of file that is read as one, the kinds of pictures' notes too."""
    rows = pd.read_csv(io.BytesIO(TABLE))
    points = gpd.GeoDataFrame(rows[["id"]], geometry=gpd.points_from_xy(rows["longitude"], rows["latitude"]), crs=4326)
    written: dict[str, bytes] = {
        "t.tsv": TABLE.replace(b",", b"\t").decode().encode("utf-16"),
        "t.jsonl": rows.to_json(orient="records", lines=True).encode(),
        "t.geojson": points.to_json().encode(),
        "t.kml": b"<kml><Placemark><name>a</name><Point><coordinates>2.35,48.85</coordinates></Point></Placemark></kml>",
        "t.csv.gz": gzip.compress(TABLE),
    }
    for name, write in (("t.xlsx", rows.to_excel), ("t.parquet", rows.to_parquet), ("t.geoparquet", points.to_parquet)):
        file = io.BytesIO()
        write(file)
        written[name] = file.getvalue()
    found = {f"table/{name}": Kind([content], _reader(name), name) for name, content in written.items()}
    note = b'{"title": "a.jpg", "geoData": {"latitude": 48.85, "longitude": 2.35}, "photoTakenTime": {"timestamp": "1600000000"}}'
    found["note"] = Kind([note], _beside(pictures()[0]), "a.jpg.supplemental-metadata.json")
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    xmp += b'xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="48,51.0N" exif:GPSLongitude="2,21.0E"/>'
    xmp += b"</rdf:RDF></x:xmpmeta>"
    return {**found, "xmp": Kind([xmp], _beside(pictures()[0]), "a.jpg.xmp")}


def _reader(name: str) -> Callable[[Path], object]:
    return lambda folder: read_table(folder / name)


def _beside(picture: bytes) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        (folder / "a.jpg").write_bytes(picture)
        return metadata_locations(folder / "a.jpg")

    return read


def areas() -> dict[str, Kind]:
    """Return a polygon in each kind of file that is read as an area."""
    square = gpd.GeoDataFrame({"n": ["a"]}, geometry=[shapely.box(5, 45, 15, 55)], crs=4326)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        square.to_file(place / "a.gpkg", driver="GPKG")
        square.to_file(place / "a.shp")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path in sorted(place.glob("a.*")):
                if path.suffix != ".gpkg":
                    archive.write(path, path.name)
        written = {"a.gpkg": (place / "a.gpkg").read_bytes(), "a.zip": packed.getvalue()}
    return {f"area/{name}": Kind([content], _area(name), name) for name, content in written.items()}


def _area(name: str) -> Callable[[Path], object]:
    return lambda folder: read_polygons(folder / name)


def kinds(data: Path, run: Path) -> dict[str, Kind]:
    """Return all kinds of inputs.

    Args:
        data: a dataset folder; copied, never changed.
        run: a run folder of it, likewise.
    """
    small = pictures()[0]
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w") as tar:
        for name, body in (("a.jpg", small), ("a.json", b'{"id": "a"}')):
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    measures = {
        "id": "a",
        "path": "images/a.jpg",
        "width": 8,
        "height": 8,
        "sha256": "0",
        "dhash": 1,
        "fingerprint": "f",
    }
    measures |= dict.fromkeys(("luma_mean", "luma_std", "sharpness", "colourfulness", "extreme_share"), 0.5)
    plan = run / "label_maps"
    maps = sorted(plan.glob("*.json"))
    cpu = torch.device("cpu")

    def with_pictures(folder: Path) -> None:
        for name in ("a.jpg", "b.jpg"):
            (folder / name).write_bytes(small)
        import_photos(ImportConfig(source=folder / "t.csv", out=folder / "out"))

    def of_run(name: str) -> Kind:
        return Kind([(run / name).read_bytes()], lambda folder: load_model(folder, cpu), name)

    def journal(folder: Path) -> None:
        (folder / "in").mkdir()
        (folder / "in" / "48.5,2.5.jpg").write_bytes(small)
        import_photos(ImportConfig(source=folder / "in", out=folder))

    def of_map(path: Path) -> Kind:
        name = f"label_maps/{path.name}"
        return Kind([path.read_bytes()], read_hierarchy, name)

    own = [name for name in (RUN, TEMPERATURES, CONFORMAL) if (run / name).is_file()]
    return {
        "picture": Kind(pictures(), lambda folder: (open_rgb(folder / "p"), metadata_locations(folder / "p")), "p"),
        "prior": Kind(
            [GEOJSON, KML, b"POLYGON((5 45,15 45,15 55,5 45))"], lambda folder: read_polygons(folder / "a"), "a"
        ),
        "manifest": Kind([(data / MANIFEST).read_bytes()], read_manifest, MANIFEST),
        "shard": Kind([shard.getvalue()], _read_tar, "s.tar"),
        "header": Kind([(run / "joint.safetensors").read_bytes()], lambda folder: load_network(folder / "n"), "n"),
        "recipe": Kind([RECIPE], lambda folder: parse(JointConfig, "fuzz", [str(folder / "r.yaml")]), "r.yaml"),
        "table": Kind([TABLE], with_pictures, "t.csv"),
        "journal": Kind([json.dumps(measures).encode() + b"\n"], journal, JOURNAL),
        **tables(),
        **areas(),
        **{f"run/{name}": of_run(name) for name in own},
        **{f"map/{path.name}": of_map(path) for path in maps[:2]},
    }


def _read_tar(folder: Path) -> None:
    rows = _read_shard(folder / "s.tar").assign(path="images/a.jpg", shard="s.tar")
    for index in range(len(rows)):
        Pictures.of_dataset(folder, rows).source(index)


def fault(kind: Kind, number: int, run: Path, world: Path) -> str:
    """Return what is wrong with how a case ends; empty where it is read or refused in one line."""
    rng = np.random.default_rng([number, len(kind.name)])
    folder = world / "case"
    shutil.rmtree(folder, ignore_errors=True)
    if kind.name.startswith("label_maps/") or (run / kind.name).is_file():
        shutil.copytree(run, folder)
    folder.mkdir(exist_ok=True)
    (folder / kind.name).write_bytes(damaged(kind.seeds[int(rng.integers(0, len(kind.seeds)))], rng))
    began = time.process_time()
    try:
        kind.read(folder)
    except (ValueError, OSError):
        pass
    except SystemExit as leaving:
        return f"SystemExit {leaving.code}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:300]
    took = time.process_time() - began
    if took > MOST_S:
        return f"took {took:.1f} s"
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > MOST_BYTES:
        return "took over 2 GiB"
    if (
        sorted(path.name for path in world.iterdir()) != ["case", "victim"]
        or (world / "victim" / "keep.txt").read_text() != "x"
    ):
        return "wrote outside of its folder"
    return ""


def fuzz(data: Path, run: Path, cases: int, first: int = 0, wanted: tuple[str, ...] = ()) -> dict[str, str]:
    """Run cases of all kinds in turn and return the faults, by `kind number`."""

    def refused(*_: object) -> None:
        raise AssertionError("a connection was opened")

    connect, socket.socket.connect = socket.socket.connect, refused  # type: ignore[method-assign,assignment]
    faults = {}
    logging.disable(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory() as folder:
            world = Path(folder)
            (world / "victim").mkdir()
            (world / "victim" / "keep.txt").write_text("x")
            (world / "case").mkdir()
            chosen = {name: kind for name, kind in kinds(data, run).items() if not wanted or name in wanted}
            for number in range(first, first + cases):
                name = list(chosen)[number % len(chosen)]
                if found := fault(chosen[name], number, run, world):
                    faults[f"{name} {number}"] = found
    finally:
        logging.disable(logging.NOTSET)
        socket.socket.connect = connect  # type: ignore[method-assign]
    return faults


def main() -> int:
    """Make a small dataset and run, fuzz, and print the faults."""
    from label_maps.build import main as make_label_maps
    from tests.tiny import joint_config, write_tiny
    from train.calibrate import main as calibrate
    from train.config import CalibrateConfig
    from train.tasks import train_joint

    flags = argparse.ArgumentParser()
    flags.add_argument("--cases", type=int, default=1000)
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--first", type=int, default=None)
    flags.add_argument("--kinds", nargs="*", default=[])
    asked = flags.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, run = write_tiny(Path(folder) / "data"), Path(folder) / "run"
        make_label_maps(LabelMapsConfig(data, run))
        train_joint(joint_config(data, run))
        calibrate(CalibrateConfig(data, run, workers=0, device="cpu"))
        first = asked.seed * 1_000_000 if asked.first is None else asked.first
        began = time.monotonic()
        faults = fuzz(data, run, asked.cases, first, tuple(asked.kinds))
    for case, said in faults.items():
        print(f"{case}: {said}")
    print(f"{asked.cases:,} cases, {len(faults):,} faults, {time.monotonic() - began:.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
