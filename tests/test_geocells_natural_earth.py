"""Land files of any format, the official download and its cache, and the command that uses them."""

import hashlib
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely

from geocells import grid, natural_earth
from geocells.config import LandConfig, TableConfig
from geocells.land import land_share, touching_land
from geocells.land_cells import main
from geocells.make_table import make_table
from geocells.natural_earth import download_land, read_polygons, user_cache

ISLANDS = np.array([shapely.box(10, 40, 20, 50), shapely.MultiPolygon([shapely.box(100, -30, 101, -29)])])
METRES = np.array([shapely.box(1e6, 5e6, 2e6, 6e6)])


def write(path: Path, polygons: np.ndarray = ISLANDS, crs: str | None = "EPSG:4326", **columns: list[str]) -> Path:
    values = columns or {"featurecla": ["Land"] * len(polygons)}
    pyogrio.raw.write(
        path,
        shapely.to_wkb(polygons),
        [np.array(column, dtype=object) for column in values.values()],
        list(values),
        geometry_type="Unknown" if path.suffix in (".gpkg", ".geojson") else "Polygon",
        crs=crs,
    )
    return path


def area(path: Path) -> float:
    return float(shapely.area(read_polygons(path)[0]).sum())


# Reading


@pytest.mark.parametrize("name", ["land.shp", "land.gpkg", "land.geojson", "land.shp.zip"])
def test_land_is_read_from_any_usual_format(tmp_path, name):
    path = write(tmp_path / name)
    np.testing.assert_array_equal(
        touching_land(read_polygons(path)[0], 6), touching_land(ISLANDS, 6), err_msg=f"read from {name}"
    )


def test_all_formats_of_natural_earth_that_are_at_hand_are_read(shared_data):
    files = sorted((shared_data / "naturalearth").glob("*land.zip"))
    assert len(files) == 3
    assert all(20_000 < area(path) < 23_000 for path in files)  # square degrees


def test_heights_and_empty_or_missing_shapes_are_left_out(tmp_path):
    mixed = np.array([shapely.force_3d(ISLANDS[0], 7), shapely.Polygon(), shapely.Point(1, 2), None])
    polygons, (kinds,) = read_polygons(write(tmp_path / "mixed.gpkg", mixed, kind=["a", "b", "c", "d"]), ("kind",))
    assert kinds.tolist() == ["a"]
    assert not shapely.has_z(polygons).any()


def cut_short(path: Path, tmp_path: Path) -> Path:
    half = tmp_path / "half.zip"
    half.write_bytes(path.read_bytes()[:200])
    return half


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda folder: folder / "nowhere.zip", "no such file"),
        (lambda folder: folder, "cannot be read|not a file of polygons"),
        (lambda folder: cut_short(write(folder / "land.shp.zip"), folder), "not a file of polygons"),
        (lambda folder: write(folder / "p.geojson", np.array([shapely.Point(1, 2)])), "holds no polygons"),
        (lambda folder: write(folder / "metres.gpkg", METRES, "EPSG:3857"), "not in degrees"),
    ],
)
def test_what_is_no_land_file_is_refused_by_name(tmp_path, make, said):
    path = make(tmp_path)
    with pytest.raises(ValueError, match=said) as refusal:
        read_polygons(path)
    assert path.name in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_column_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="has no column ISO_A2"):
        read_polygons(write(tmp_path / "land.gpkg"), ("ISO_A2",))


# The download, from a server on this machine


class Server(http.server.ThreadingHTTPServer):
    """Give out whatever lies in `answers`, and remember what was asked."""

    answers: dict[str, tuple[int, dict[str, str], bytes]]
    asked: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/ne"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        status, headers, body = self.server.answers.get(self.path, (404, {}, b"nothing here"))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    body = write(tmp_path / "source.shp.zip").read_bytes()
    with Server(("127.0.0.1", 0), Handler) as server:
        server.answers, server.asked = {"/ne/50m/physical/ne_50m_land.zip": (200, {}, body)}, []
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def answer(server: Server, body: bytes, status: int = 200, **headers: str) -> None:
    server.answers["/ne/50m/physical/ne_50m_land.zip"] = (status, headers, body)


def body_of(server: Server) -> bytes:
    return server.answers["/ne/50m/physical/ne_50m_land.zip"][2]


def test_the_official_file_is_fetched_once_and_then_read_from_the_cache(server, tmp_path):
    first = download_land("50m", server.url, tmp_path / "cache")
    assert download_land("50m", "http://127.0.0.1:1/unreachable", tmp_path / "cache") == first
    assert server.asked == ["/ne/50m/physical/ne_50m_land.zip"]
    assert area(first) == pytest.approx(101)


def test_the_progress_of_a_download_knows_its_end(server, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(natural_earth, "BLOCK_BYTES", 100)
    monkeypatch.setattr(
        natural_earth, "progress", lambda blocks, *words: said.append([*words, list(blocks)]) or said[-1][-1]
    )
    path = download_land("50m", server.url, tmp_path / "cache")
    ((_, unit, total, blocks),) = said
    assert (unit, total) == ("block", len(blocks))
    assert b"".join(blocks) == path.read_bytes()


def test_the_hash_of_the_first_download_is_kept_beside_the_file(server, tmp_path):
    path = download_land("50m", server.url, tmp_path / "cache")
    digest = hashlib.sha256(body_of(server)).hexdigest()
    assert sorted(p.name for p in path.parent.iterdir()) == ["ne_50m_land.zip", "ne_50m_land.zip.sha256"]
    assert (path.parent / "ne_50m_land.zip.sha256").read_text() == f"{digest}  ne_50m_land.zip\n"


def test_a_file_that_changed_in_the_cache_is_refused(server, tmp_path):
    path = download_land("50m", server.url, tmp_path / "cache")
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(ValueError, match=r"changed since it was downloaded \(delete it to fetch it again\)"):
        download_land("50m", server.url, tmp_path / "cache")


def test_a_file_without_its_hash_is_fetched_again(server, tmp_path):
    path = download_land("50m", server.url, tmp_path / "cache")
    path.write_bytes(b"half")
    (path.parent / "ne_50m_land.zip.sha256").unlink()
    assert area(download_land("50m", server.url, tmp_path / "cache")) == pytest.approx(101)


def test_a_demanded_hash_is_checked_for_new_and_for_kept_files(server, tmp_path):
    digest = hashlib.sha256(body_of(server)).hexdigest()
    with pytest.raises(ValueError, match=f"has SHA-256 {digest}, not 00"):
        download_land("50m", server.url, tmp_path / "cache", "00")
    assert list((tmp_path / "cache").iterdir()) == []
    download_land("50m", server.url, tmp_path / "cache", digest.upper())
    with pytest.raises(ValueError, match=f"has SHA-256 {digest}, not 00"):
        download_land("50m", server.url, tmp_path / "cache", "00")


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda server: answer(server, b"moved", 404), "404"),
        (lambda server: answer(server, b"<html>sign in</html>"), "something else than a zip file"),
        (
            lambda server: answer(server, body_of(server)[:-50], **{"Content-Length": "999999"}),
            "broke off|cannot fetch",
        ),
        (lambda server: server.answers.clear(), "cannot fetch"),
    ],
)
def test_a_download_that_fails_leaves_nothing_behind(server, tmp_path, change, said):
    change(server)
    with pytest.raises(ValueError, match=said):
        download_land("50m", server.url, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_address_where_nobody_listens_is_refused_in_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"cannot fetch http://127\.0\.0\.1:1/.*name a file with --natural-earth"):
        download_land("50m", "http://127.0.0.1:1", tmp_path)


def test_the_cache_is_where_the_user_keeps_such_files(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache() == tmp_path / "natural_earth"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache() == tmp_path / ".cache" / "natural_earth"


# python -m geocells land


def test_the_command_counts_the_land_cells_of_a_file(tmp_path, capsys):
    south = np.array([*ISLANDS, shapely.box(0, -70, 1, -69)])
    main(LandConfig(natural_earth=write(tmp_path / "land.gpkg", south), level=3))
    touched = touching_land(south, 3).sum()
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{touched} of 64 L3 cells touch land"
    assert second.startswith("2 of them lie south of 60 S; by ")  # both rows of L3 there meet at 67.5 S


def test_the_command_answers_from_the_shipped_table_and_says_so(capsys):
    main(LandConfig())
    assert capsys.readouterr().out.splitlines() == [
        "25,727 of 65,536 L8 cells touch land",
        "6,599 of them lie south of 60 S; by the shipped table (Natural Earth 10m land and minor islands)",
    ]


def test_the_command_answers_from_the_download(server, tmp_path, capsys):
    main(LandConfig(download="50m", base_url=server.url, cache=tmp_path / "cache"))
    assert capsys.readouterr().out.startswith(f"{touching_land(ISLANDS, 8).sum()} of 65,536 L8 cells touch land")


def test_the_command_with_natural_earth_50m_prints_the_known_count(shared_data, capsys):
    main(LandConfig(natural_earth=shared_data / "naturalearth" / "ne_50m_land.zip"))
    assert capsys.readouterr().out.startswith(
        "25,185 of 65,536 L8 cells touch land\n6,579 of them lie south of 60 S; by "
    )


@pytest.mark.parametrize("equal_area", [False, True])
def test_the_written_cells_are_those_that_touch_land(tmp_path, equal_area):
    land = write(tmp_path / "land.gpkg")
    for name in ("cells.txt", "cells.csv"):
        main(LandConfig(natural_earth=land, level=5, equal_area=equal_area, out=tmp_path / "new" / name))
    ids = (tmp_path / "new" / "cells.txt").read_text().splitlines()
    cells = np.array([grid.parse_id(text)[0] for text in ids])
    assert cells.tolist() == np.flatnonzero(touching_land(ISLANDS, 5, equal_area)).tolist()
    header, *rows = (tmp_path / "new" / "cells.csv").read_text().splitlines()
    assert header == "id,south,west,north,east"
    assert [row.split(",")[0] for row in rows] == ids
    bounds = np.array([row.split(",")[1:] for row in rows], dtype=float)
    np.testing.assert_array_equal(bounds, grid.bounds_deg(cells, 5, equal_area))


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--level", "0"], "the shipped table knows land for levels 1 to 8, got 0"),
        (["--level", "9"], "the shipped table knows land for levels 1 to 8, got 9"),
        (["--natural-earth", "nowhere.zip"], "nowhere.zip: no such file"),
        (["--natural-earth", "pyproject.toml"], "pyproject.toml: not a file of polygons"),
        (["--natural-earth", "a.zip", "--download", "50m"], "exclude each other"),
        (["--equal-area"], "--equal-area has no effect without --natural-earth PATH or --download"),
        (["--sha256", "00"], "--sha256 00 has no effect without --download"),
        (["--out", "cells.json"], "--out ends in .txt or .csv, got cells.json"),
        (["--download", "50m", "--base-url", "file:///etc"], "--base-url starts with https:// or http://"),
    ],
)
def test_bad_input_is_refused_in_one_line_with_exit_code_2(flags, said):
    done = subprocess.run(
        [sys.executable, "-m", "geocells", "land", *flags],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.count(os.linesep) == 1


# python -m geocells table


FEW_LANDS = shapely.box(
    [10, 22, 150, -60, -180], [40, 45, 0, 10, -90], [20, 22.1, 151, -59, 180], [50, 45.1, 1, 11, -80]
)


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> dict[str, np.ndarray]:
    """Return the table of a world of two countries, an islet of nobody's, far land and an ice cap."""
    folder = tmp_path_factory.mktemp("table")
    regions = np.array([shapely.box(10, 40, 14, 50), shapely.box(14, 40, 20, 50), FEW_LANDS[3]])
    config = TableConfig(
        natural_earth=(write(folder / "land.gpkg", FEW_LANDS),),
        regions=write(folder / "r.gpkg", regions, iso_a3=["NAM", "FRA", "FRA"], name=["K", "Ain", "Martinique"]),
        countries=write(folder / "c.gpkg", regions[:2], ADM0_A3=["NAM", "FRA"], ISO_A2=["NA", "-99"]),
        out=folder / "table.npz",
    )
    make_table(config)
    with np.load(config.out, allow_pickle=False) as file:
        return dict(file)


@pytest.mark.parametrize(
    "place, code",
    [
        ((45, 11), "NA"),  # Namibia, not a missing value
        ((45, 18), "FR"),  # -99 in the file
        ((45.05, 22.05), "FR"),  # nobody's: of the nearest
        ((10.5, -59.5), "MQ"),  # a part of France with a code of its own
        ((0.5, 150.5), ""),  # nobody within reach
        ((-85, 40), "AQ"),
        ((0, 0), ""),
    ],
)
def test_the_table_says_the_country_of_a_cell(table, place, code):
    assert table["countries"][table["country"]][grid.encode(place, 8)] == code


def test_the_table_says_the_share_of_land_of_a_cell(table):
    np.testing.assert_allclose(table["share"] / 255, land_share(FEW_LANDS, 8), atol=1 / 255)


def test_a_cell_that_touches_land_in_a_point_has_a_share_above_0_in_the_table(tmp_path):
    south, west, north, east = grid.bounds_deg(grid.encode((47, 10), 8), 8)
    land = write(tmp_path / "land.gpkg", np.array([shapely.box(west, south, east, north)]))
    config = TableConfig(
        (land,),
        regions=write(tmp_path / "r.gpkg", ISLANDS, iso_a3=["NAM", "NAM"], name=["a", "b"]),
        countries=write(tmp_path / "c.gpkg", ISLANDS, ADM0_A3=["NAM", "NAM"], ISO_A2=["NA", "NA"]),
        out=tmp_path / "table.npz",
    )
    make_table(config)
    around = grid.neighbours(grid.encode((47, 10), 8), 8)
    with np.load(config.out) as table:
        assert table["share"][grid.encode((47, 10), 8)] == 255
        assert np.all(table["share"][around] == 1)
        assert np.sum(table["share"] > 0) == 9


@pytest.mark.slow
def test_the_shipped_table_is_what_its_command_computes(shared_data, tmp_path):
    folder = shared_data / "naturalearth"
    config = TableConfig(
        natural_earth=(folder / "ne_10m_land.zip", folder / "ne_10m_minor_islands.zip"),
        regions=folder / "ne_10m_admin_1_states_provinces.zip",
        countries=folder / "ne_50m_admin_0_countries.zip",
        out=tmp_path / "table.npz",
    )
    shipped = TableConfig.__dataclass_fields__["out"].default
    make_table(config)
    with np.load(config.out) as computed, np.load(Path(__file__).parents[1] / shipped) as ours:
        np.testing.assert_array_equal(computed["countries"][computed["country"]], ours["countries"][ours["country"]])
        np.testing.assert_allclose(computed["share"].astype(int), ours["share"].astype(int), atol=1)
