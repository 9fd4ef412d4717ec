"""A dataset from a Mapillary of our own: complete, true to its world, licensed, and made again from what lies there."""

import errno
import json
import logging
import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dataset.manifest import MANIFEST, SCHEMA, coordinates, read_manifest
from fetch.client import Exhausted
from fetch.config import PackConfig, ThinConfig
from fetch.mapillary.cli import run
from fetch.mapillary.config import MapillaryConfig, RecheckConfig
from fetch.mapillary.maintenance import recheck
from fetch.mapillary.pictures import forward_view
from fetch.mapillary.tiles import OVERVIEW_ZOOM
from fetch.pack import run as pack
from fetch.rejected import read_rejected
from fetch.thin import crowded
from fetch.thin import run as run_thin
from geocells import grid
from tests.mapillary_kills import faults_of
from tests.mapillary_stub import HTML, TOKEN, Stub, World

IMAGES = 6000
"""Of the whole planet; enough that some in the region have each flaw."""
REGION = (-27.0, 22.0, -14.0, 38.0)
"""South, west, north, east of a part of the demo planet with many pictures."""


@pytest.fixture(scope="module")
def world():
    return World(0, IMAGES, gone_share=0.04, doubtful_share=0.04, bbox=REGION)


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv("MAPILLARY_TOKEN", TOKEN)


def config(stub, out, stage="all", **more):
    service = {"graph_url": stub.url, "tiles_url": stub.url, "image_hosts": ("127.0.0.1",)}
    pace = {"requests_per_second": 0, "tiles_per_second": 0, "threads": 8, "backoff_s": 0.01, "timeout_s": 1}
    return MapillaryConfig(
        stage=stage, out=out, **{"per_cell": 8, "bbox": REGION, "max_per_sequence": 6, **service, **pace, **more}
    )


@pytest.fixture(scope="module")
def finished(world, tmp_path_factory):
    """Return a finished dataset, the requests that made it, and what was logged."""
    patch, out, said = pytest.MonkeyPatch(), tmp_path_factory.mktemp("world") / "data", []
    patch.setenv("MAPILLARY_TOKEN", TOKEN)
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.DEBUG)
    with Stub(world) as stub:
        assert run(config(stub, out)) == 0
    logging.getLogger().removeHandler(handler)
    patch.undo()
    return out, stub, "\n".join(said)


@pytest.fixture
def data(finished, tmp_path):
    """Return a copy of a finished dataset to change."""
    return Path(shutil.copytree(finished[0], tmp_path / "data"))


def cells_of(out):
    with sqlite3.connect(out / "mapillary.sqlite") as db:
        return {
            cell: (state, reason, pixels)
            for cell, state, reason, pixels in db.execute("select cell, state, reason, pixels from cell")
        }


def test_the_survey_finds_every_occupied_cell_and_only_those(world, finished):
    occupied = set(grid.encode(world.latlon, 8).tolist())
    seen = {cell for cell, (_, _, pixels) in cells_of(finished[0]).items() if pixels}
    assert occupied <= seen
    # Beyond them only cells that share a square of the survey, above or below.
    touching = {int(c) for c in grid.neighbours(np.array(sorted(occupied)), 8)[:, [0, 4]].ravel()} | occupied
    assert seen <= touching


def test_the_dataset_is_true_to_its_world(finished):
    assert faults_of(finished[1], finished[0]) == []


def test_cells_are_ok_short_with_a_reason_or_empty(world, finished):
    photos, cells = read_manifest(finished[0]), cells_of(finished[0])
    count = np.bincount(grid.encode(coordinates(photos), 8), minlength=4**8)
    assert {state for state, _, _ in cells.values()} == {"ok", "short", "empty"}
    for cell, (state, reason, pixels) in cells.items():
        assert (state == "ok") == (count[cell] == 8)
        assert (state == "empty") == (pixels == 0)
        assert (reason != "") == (state == "short")
    assert count.max() == 8


def test_the_survey_lies_beside_the_manifest_for_the_map(world, finished):
    survey = pd.read_parquet(finished[0] / "survey.parquet")
    cells = cells_of(finished[0])
    assert [grid.parse_id(text)[0] for text in survey["cell"]] == sorted(cells)
    assert survey["photographs"].sum() == len(read_manifest(finished[0]))
    assert survey["state"].tolist() == [cells[cell][0] for cell in sorted(cells)]
    assert survey["searched_at_utc"].str.match(r"20\d\d-\d\d-\d\dT").all()


def test_the_cells_without_a_photograph_are_listed_with_the_reason(world, finished):
    table = pd.read_csv(finished[0] / "empty_cells.csv", keep_default_na=False)
    taken = set(grid.encode(coordinates(read_manifest(finished[0])), 8).tolist())
    assert [grid.parse_id(text)[0] for text in table["cell"]] == sorted(set(cells_of(finished[0])) - taken)
    assert set(table["state"]) == {"empty", "short"}
    nothing = table[table["state"] == "empty"]
    assert set(nothing["reason"]) == {"searched, nothing exists"}
    assert (
        table.loc[table["state"] == "short", "reason"]
        .str.startswith("pictures exist, none could be used: 0 of 8")
        .all()
    )
    occupied = set(grid.encode(world.latlon, 8).tolist())
    assert not occupied & {grid.parse_id(text)[0] for text in nothing["cell"]}
    places = table[["latitude", "longitude"]].to_numpy(dtype=float)
    assert grid.format_ids(grid.encode(places, 8), 8) == table["cell"].tolist()


def test_before_pictures_are_fetched_empty_cells_are_known_as_such(world, tmp_path):
    with Stub(world) as stub:
        for stage in ("survey", "plan"):
            assert run(config(stub, tmp_path / "data", stage)) == 0
    survey = pd.read_parquet(tmp_path / "data" / "survey.parquet")
    assert set(survey["state"]) == {"open", "empty"}
    assert ((survey["state"] == "empty") == (survey["squares"] == 0)).all()
    assert (pd.read_csv(tmp_path / "data" / "empty_cells.csv")["cell"] == survey["cell"]).all()


def test_the_status_counts_missing_tiles_of_the_area_that_was_asked_for(world, data, capsys):
    assert run(MapillaryConfig(stage="status", out=data)) == 0
    said = capsys.readouterr().out.splitlines()[0]
    assert said.endswith("tiles, 0 missing of --bbox -27 22 -14 38; the rest of the planet was not asked for")
    assert run(MapillaryConfig(stage="status", out=data, bbox=(10, 100, 20, 120))) == 0
    assert " 6 missing of --bbox 10 100 20 120;" in capsys.readouterr().out


def test_at_most_as_many_requests_are_in_flight_as_there_are_threads(finished):
    assert 1 < finished[1].max_in_flight <= 8


def test_the_manifest_names_creator_page_licence_and_modification(world, finished):
    photos = read_manifest(finished[0])
    assert photos.columns.tolist() == SCHEMA.names
    for row in photos.itertuples():
        k = world.at[int(row.id)]
        assert row.url == f"https://www.mapillary.com/app/?pKey={row.id}"
        assert (row.creator, row.sequence_id) == (world.creator[k], world.sequence[k])
        assert (row.latitude, row.longitude) == tuple(world.latlon[k])
        assert row.captured_at_utc == pd.Timestamp(int(world.captured[k]), unit="ms", tz="UTC")
        assert (row.licence, row.modification, row.source) == ("CC-BY-SA-4.0", "thumbnail by Mapillary", "Mapillary")
        assert (finished[0] / row.path).read_bytes() == world.jpeg(k)
    assert set(photos["split"]) == {"train", "calibration", "test"}


def test_creators_are_thanked_beside_it(finished):
    photos, text = read_manifest(finished[0]), (finished[0] / "ATTRIBUTION.md").read_text()
    assert "https://creativecommons.org/licenses/by-sa/4.0/" in text
    for creator, count in photos["creator"].value_counts().items():
        assert f"- {creator.replace('-', chr(92) + '-')}: {count}\n" in text


def test_the_token_is_in_no_address_no_log_no_file(finished):
    out, stub, said = finished
    secret = TOKEN.split("|")[2]
    assert stub.wrong == []
    assert said
    assert secret not in said
    assert not any(secret in path for _, path in stub.log)
    files = [path for path in out.rglob("*") if path.is_file()]
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_pictures_lie_apart_also_across_cells(finished):
    latlon = coordinates(read_manifest(finished[0]))
    assert (crowded(latlon, np.arange(len(latlon)), 78.0) == -1).all()


def test_every_rejection_keeps_what_was_measured(world, finished):
    rejected = read_rejected(finished[0])
    assert {r.stage for r in rejected} == {"mapillary"}
    by_reason = {r.reason: r for r in rejected}
    assert float(by_reason["blurred"].value) < float(by_reason["blurred"].threshold) == 60
    assert float(by_reason["with a doubtful position"].value) > 100
    gone = {int(r.id) for r in rejected if r.reason == "deleted at the source"}
    assert gone
    assert gone <= set(world.id[world.gone].tolist())


def test_a_picture_planned_for_one_cell_and_lying_in_another_is_put_where_it_lies(finished):
    with sqlite3.connect(finished[0] / "mapillary.sqlite") as db:
        moved = db.execute("select id, cell from candidate where cell != planned and state = 'accepted'").fetchall()
    assert moved
    photos = read_manifest(finished[0]).set_index("id")
    for image, cell in moved:
        assert photos.at[str(image), "path"] == f"images/{grid.format_id(cell, 8)}/{image}.jpg"


def test_a_second_run_asks_nothing_and_changes_nothing(world, data):
    before = {path: (data / path).read_bytes() for path in ("manifest.parquet", "measures.parquet", "rejected.csv")}
    with Stub(world) as stub:
        assert run(config(stub, data)) == 0
    assert stub.log == []
    assert {path: (data / path).read_bytes() for path in before} == before


def test_threads_and_faults_do_not_change_the_result(world, finished, tmp_path):
    with Stub(world, fault_share=0.05, stall_s=0.4) as stub:
        assert run(config(stub, tmp_path / "d", threads=3, timeout_s=0.3)) == 0
    assert len(stub.faulted) == 9
    assert stub.max_in_flight <= 3
    assert faults_of(stub, tmp_path / "d") == []
    assert set(read_manifest(tmp_path / "d")["id"]) == set(read_manifest(finished[0])["id"])


def test_other_thresholds_are_applied_to_what_lies_there(world, data):
    before = set(read_manifest(data)["id"])
    stored = len(pd.read_parquet(data / "unthinned.parquet"))
    with Stub(world) as stub:
        assert run(config(stub, data, "run", min_sharpness=1500.0)) == 0
        asked = stub.count("images")
        assert len(pd.read_parquet(data / "unthinned.parquet")) == stored + asked
        assert run(config(stub, data, "run")) == 0
        assert stub.count("images") == asked
    assert len(before & set(read_manifest(data)["id"])) > 0.9 * len(before)


def test_fetch_thin_reads_the_dataset(data):
    run_thin(ThinConfig(data=data, min_sharpness=1500.0))
    assert 0 < len(read_manifest(data)) < len(pd.read_parquet(data / "unthinned.parquet"))


def test_fill_brings_more_than_the_survey_shows(world, tmp_path):
    out = tmp_path / "d"
    with Stub(world) as stub:
        for stage in ("survey", "plan", "run"):
            assert run(config(stub, out, stage)) == 0
        before, tiles = set(read_manifest(out)["id"]), stub.count("tiles")
        assert run(config(stub, out, "fill", fill_tiles=2)) == 0
    spent = sqlite3.connect(out / "mapillary.sqlite").execute(
        "select max(n) from (select count(*) as n from filling group by cell)"
    )
    assert spent.fetchone()[0] == 2
    assert stub.count("tiles") > tiles
    assert before < set(read_manifest(out)["id"])


def test_stages_in_the_wrong_order_say_what_is_missing(world, tmp_path):
    with Stub(world) as stub:
        with pytest.raises(ValueError, match=r"the survey lacks .* tiles: run `python -m fetch mapillary survey`"):
            run(config(stub, tmp_path, "plan"))
        with pytest.raises(ValueError, match="there is no plan"):
            run(config(stub, tmp_path, "run"))
    assert stub.log == []


def test_a_dry_run_asks_nothing_writes_nothing_and_counts_the_survey_as_it_is(world, finished, tmp_path, capsys):
    with Stub(world) as stub:
        assert run(config(stub, tmp_path / "none", dry_run=True, bbox=None)) == 0
        assert "survey           1,024 requests" in capsys.readouterr().out
        assert run(config(stub, finished[0], dry_run=True)) == 0
        assert "survey               0 requests" in capsys.readouterr().out
    assert stub.log == []
    assert not (tmp_path / "none").exists()


def test_panoramas_are_left_out_or_become_a_view_ahead(tmp_path):
    world = World(0, IMAGES, pano_share=0.5, bbox=REGION, gone_share=0.0)
    found = {}
    with Stub(world) as stub:
        for pano in ("drop", "crop"):
            assert run(config(stub, tmp_path / pano, pano=pano, per_cell=1, fill_tiles=0, min_sharpness=0.0)) == 0
            found[pano] = read_manifest(tmp_path / pano)
    assert not found["drop"]["is_pano"].any()
    views = found["crop"][found["crop"]["is_pano"]]
    assert len(views)
    assert set(views["modification"]) == {"view of 90 degrees cut from a panorama"}
    assert set(zip(views["width"], views["height"], strict=True)) == {(1024, 768)}
    assert faults_of(stub, tmp_path / "crop") == []


def test_the_view_ahead_is_gnomonic():
    # Longitude becomes red, latitude green.
    lon, lat = np.meshgrid((np.arange(800) + 0.5) / 800, (np.arange(400) + 0.5) / 400)
    panorama = Image.fromarray((np.stack([lon, lat, lat * 0], axis=-1) * 255).round().astype(np.uint8))
    view = np.asarray(forward_view(panorama), dtype=float) / 255
    assert view[383:385, 511:513, :2].mean() == pytest.approx(0.5, abs=0.01)
    # A field of 90 degrees ends 45 degrees to the right, an eighth of the way around.
    assert view[384, -1, 0] == pytest.approx(0.5 + 1 / 8, abs=0.01)
    # 384 of 512 pixels up is a slope of 0.75.
    assert view[0, 512, 1] == pytest.approx(0.5 - np.degrees(np.arctan(0.75)) / 180, abs=0.01)


def test_verify_finds_what_is_missing_changed_or_stray_and_run_brings_it_back(world, data):
    photos = read_manifest(data)
    (data / photos["path"][0]).unlink()
    (data / photos["path"][1]).write_bytes(b"\xff\xd8\xff no picture")
    stray = data / "images" / "stray.jpg"
    stray.write_bytes(b"x")
    with Stub(world) as stub:
        assert run(config(stub, data, "verify")) == 0
        assert len(read_manifest(data)) == len(photos) - 2
        assert not stray.exists()
        assert run(config(stub, data, "run")) == 0
        assert (stub.count("images"), stub.count("tiles")) == (2, 0)
        assert faults_of(stub, data) == []
    assert read_manifest(data)["id"].tolist() == photos["id"].tolist()


def test_a_state_from_elsewhere_removes_nothing_outside_of_the_dataset(world, data, tmp_path):
    precious = tmp_path / "keep.txt"
    precious.write_text("precious")
    image, written = read_manifest(data)["id"][0], os.path.relpath(precious, data)
    with sqlite3.connect(data / "mapillary.sqlite") as db:
        db.execute("update picture set path = ? where id = ?", [written, int(image)])
    with Stub(world) as stub:
        assert run(config(stub, data, "verify")) == 0
    assert precious.read_text() == "precious"


def test_a_table_from_elsewhere_removes_nothing_outside_of_the_dataset(world, data, tmp_path):
    precious = tmp_path / "keep.txt"
    precious.write_text("precious")
    table = pq.read_table(data / "unthinned.parquet")
    rows = table.to_pylist()
    hostile = {**rows[0], "id": "x", "source_id": rows[0]["source_id"], "path": os.path.relpath(precious, data)}
    pq.write_table(pa.Table.from_pylist([*rows, hostile], table.schema), data / "unthinned.parquet")
    later = World(0, IMAGES, gone_share=0.04, doubtful_share=0.04, bbox=REGION)
    later.gone[later.at[int(rows[0]["source_id"])]] = True
    with Stub(later) as stub:
        recheck(RecheckConfig(data=data, graph_url=stub.url, requests_per_second=0), TOKEN)
    assert precious.read_text() == "precious"
    assert not (data / rows[0]["path"]).exists()


def test_a_picture_that_was_written_but_not_entered_is_taken_over(world, data):
    photos = read_manifest(data)
    with sqlite3.connect(data / "mapillary.sqlite") as db:
        db.execute("delete from picture where id = ?", [int(photos["id"][0])])
        db.execute("update candidate set state = 'new' where id = ?", [int(photos["id"][0])])
    (data / ".partial").mkdir(exist_ok=True)
    (data / ".partial" / "1.2").write_bytes(b"half")
    with Stub(world) as stub:
        assert run(config(stub, data, "run")) == 0
        assert stub.count("images") == 0
        assert faults_of(stub, data) == []
    assert read_manifest(data)["id"].tolist() == photos["id"].tolist()


def test_recheck_removes_what_was_deleted_and_run_does_not_bring_it_back(world, data):
    photos = read_manifest(data)
    deleted = photos["id"][::10].tolist()
    later = World(0, IMAGES, gone_share=0.04, doubtful_share=0.04, bbox=REGION)
    later.gone[[later.at[int(image)] for image in deleted]] = True
    with Stub(later) as stub:
        service = {"graph_url": stub.url, "requests_per_second": 0}
        asked = RecheckConfig(data=data, dry_run=True, **service)
        assert sorted(map(str, recheck(asked, TOKEN))) == sorted(deleted)
        assert len(read_manifest(data)) == len(photos)
        recheck(RecheckConfig(data=data, **service), TOKEN)
        assert sorted(set(photos["id"]) - set(read_manifest(data)["id"])) == sorted(deleted)
        assert not any((data / path).exists() for path in photos["path"][::10])
        assert {r.id for r in read_rejected(data) if r.stage == "recheck"} == set(deleted)
        assert faults_of(stub, data) == []
        assert run(config(stub, data, "run")) == 0
    assert not set(read_manifest(data)["id"]) & set(deleted)


def test_recheck_says_which_shards_still_hold_what_was_deleted(world, data, caplog):
    pack(PackConfig(data=data))
    photos = read_manifest(data)
    later = World(0, IMAGES, gone_share=0.04, doubtful_share=0.04, bbox=REGION)
    later.gone[later.at[int(photos["id"][0])]] = True
    with Stub(later) as stub:
        service = {"graph_url": stub.url, "requests_per_second": 0}
        recheck(RecheckConfig(data=data, **service), TOKEN)
    said = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert f"1 shard holds 1 of these pictures, which nothing names any more, such as {photos['shard'][0]}" in said[0]


def test_an_old_survey_is_asked_for_again_once_and_planned_again(world, data):
    with sqlite3.connect(data / "mapillary.sqlite") as db:
        which = f"z = {OVERVIEW_ZOOM} and x = (select min(x) from tile where z = {OVERVIEW_ZOOM})"
        db.execute(f"update tile set fetched_at_utc = '2026-01-02T00:00:00+00:00' where {which}")
        ((old,),) = db.execute(f"select count(*) from tile where {which}").fetchall()
    photos = read_manifest(data)
    with Stub(world) as stub:
        assert run(config(stub, data, "survey")) == 0
        assert stub.count() == 0
        assert run(config(stub, data, "survey", survey_days=30)) == 0
        assert stub.count() == stub.count("tiles") == old > 0
        with sqlite3.connect(data / "mapillary.sqlite") as db:
            assert db.execute("select value from meta where key = 'plan'").fetchall() == [("",)]
        assert run(config(stub, data, "survey", survey_days=30)) == 0
        assert stub.count() == old
        assert run(config(stub, data, "all", survey_days=30)) == 0
        assert stub.count("images") == 0
    assert set(read_manifest(data)["id"]) == set(photos["id"])


def test_what_does_not_come_is_an_error_and_never_an_empty(world, tmp_path, monkeypatch):
    out = tmp_path / "d"
    cell = (f"{grid.format_id(int(grid.encode(world.latlon[0], 8)), 8)}",)
    monkeypatch.setattr("fetch.mapillary.pictures.Album.obtain", failing)
    with Stub(world) as stub:
        assert run(config(stub, out, cells=cell, bbox=None, fill_tiles=0)) == 0
        (state, reason, _), *_ = cells_of(out).values()
        assert state == "error"
        assert "could not be fetched" in reason
        assert not (out / MANIFEST).exists()
        monkeypatch.undo()
        monkeypatch.setenv("MAPILLARY_TOKEN", TOKEN)
        assert run(config(stub, out, cells=cell, bbox=None, fill_tiles=0)) == 0
    assert len(read_manifest(out)) > 0


def failing(self, facts, url):
    raise Exhausted("HTTP 500")


def test_a_page_of_html_is_never_a_picture_however_often_it_comes(world, tmp_path, monkeypatch):
    monkeypatch.setattr(World, "jpeg", lambda self, k: HTML)
    cell = (f"{grid.format_id(int(grid.encode(world.latlon[0], 8)), 8)}",)
    with Stub(world) as stub:
        assert run(config(stub, tmp_path / "d", "all", cells=cell, bbox=None, fill_tiles=0, per_cell=1)) == 0
    assert not list((tmp_path / "d").rglob("*.jpg"))
    with sqlite3.connect(tmp_path / "d" / "mapillary.sqlite") as db:
        assert db.execute("select distinct state, reason from candidate where reason = 'unreadable'").fetchall() == [
            ("rejected", "unreadable")
        ]


def test_a_full_disk_ends_the_run_in_one_line_and_the_next_one_continues(world, finished, tmp_path, monkeypatch):
    real, calls = os.replace, []

    def full(source, target):
        calls.append(target)
        if len(calls) > 20 and str(target).endswith(".jpg"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr("fetch.mapillary.pictures.os.replace", full)
    with Stub(world) as stub:
        with pytest.raises(OSError, match="No space left"):
            run(config(stub, tmp_path / "d"))
        monkeypatch.setattr("fetch.mapillary.pictures.os.replace", real)
        assert not list((tmp_path / "d" / ".partial").iterdir())
        assert run(config(stub, tmp_path / "d")) == 0
        assert faults_of(stub, tmp_path / "d") == []
    assert set(read_manifest(tmp_path / "d")["id"]) == set(read_manifest(finished[0])["id"])


def test_the_probe_answers_every_question_and_keeps_the_report(world, tmp_path, capsys):
    with Stub(world) as stub:
        assert run(config(stub, tmp_path, "probe")) == 0
        asked = stub.count()
        assert set(stub.wrong) == set()
    said = capsys.readouterr().out
    assert (tmp_path / "probe.txt").read_text().splitlines()[1:] == said.splitlines()
    assert [line.split(".")[0] for line in said.splitlines() if line[0].isdigit()][:13] == [
        str(n) for n in range(1, 14)
    ]
    assert said.endswith(f"{asked} requests\n")
    assert asked <= 60
    for words in (
        "coordinates modulo 16, how many of each: [0, 0, 0, 0, 0, 0, 0,",
        "the SDK's decoder finds as many",
        "zoom 5 on the ocean: HTTP 200, 0 bytes",
        "bytes, application/json code 100/33",
        "code 190/None 'Error validating application'",
        "51 m: HTTP 400",
        "Tried accessing nonexisting field (no_such_field)",
    ):
        assert words in said, said


def test_a_probe_with_a_wrong_token_is_exit_code_3(world, tmp_path):
    with Stub(world, token="another") as stub:
        assert run(config(stub, tmp_path, "probe")) == 3


def test_dataset_json_says_what_it_is_and_not_where_the_token_was(finished):
    about = json.loads((finished[0] / "dataset.json").read_text())
    assert about["source"] == "Mapillary"
    assert about["photographs"] == len(read_manifest(finished[0]))
    assert sum(about["cells"].values()) == len(cells_of(finished[0]))
    assert "token_file" not in about["settings"]
