"""A dataset folder is whole, measured and resumable."""

import io
import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dataset.manifest import SCHEMA, read_manifest
from fetch import ingest as ingest_module
from fetch import stored
from fetch.candidates import Candidate, safe_id
from fetch.dataset_counts import counts_report, gini
from fetch.ingest import ingest
from fetch.quality import measure
from fetch.rejected import Rejection, read_rejected, summary
from fetch.sources.config import IngestConfig
from fetch.stored import JOURNAL, MEASURES_SCHEMA
from plumbing.files import read_json, sha256

CONFIG = IngestConfig()


def picture(seed: int, size: tuple[int, int] = (24, 16)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def offered(count: int = 8) -> list[Candidate]:
    return [Candidate(f"c{i}", (10.0 + i, -20.0 * i), picture(i), {"source": "test"}) for i in range(count)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_row_has_its_picture_and_every_picture_its_row(tmp_path):
    ingest(tmp_path / "d", offered(), CONFIG)
    photos = read_manifest(tmp_path / "d")
    assert sorted(photos["path"]) == sorted(
        p.relative_to(tmp_path / "d").as_posix() for p in (tmp_path / "d" / "images").rglob("*.*")
    )
    for row in photos.itertuples():
        with Image.open(tmp_path / "d" / row.path) as stored:
            assert (stored.format, stored.mode, stored.size) == ("JPEG", "RGB", (row.width, row.height))
        assert sha256(tmp_path / "d" / row.path) == row.sha256
    assert photos["latitude"].tolist() == [10.0 + i for i in range(8)]
    assert set(photos["split"]) == {"train", "calibration", "test"}


def test_no_metadata_of_the_original_is_stored(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    file = io.BytesIO()
    picture(1).save(file, "JPEG", exif=exif.tobytes(), comment=b"SecretCamera")
    decoded = Image.open(file)
    ingest(tmp_path / "d", [Candidate("a", (1, 2), file.getvalue()), Candidate("b", (3, 4), decoded)], CONFIG)
    for path in (tmp_path / "d").rglob("*.jpg"):
        assert b"Secret" not in path.read_bytes()
        assert not any(marker in path.read_bytes() for marker in (b"Exif", b"\xff\xfe"))


def test_a_picture_may_be_a_file_bytes_or_decoded(tmp_path):
    file = io.BytesIO()
    picture(1, (200, 100)).save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue())
    forms = [tmp_path / "a.png", file.getvalue(), picture(1, (200, 100))]
    config = IngestConfig(max_side=50)
    ingest(tmp_path / "d", [Candidate(f"c{i}", (i, i), form) for i, form in enumerate(forms)], config)
    photos = read_manifest(tmp_path / "d")
    assert set(zip(photos["width"], photos["height"], strict=True)) == {(50, 25)}
    assert photos["sha256"].nunique() == 1


def test_measures_are_those_of_the_picture(tmp_path):
    ingest(tmp_path / "d", offered(3), CONFIG)
    measures = pq.read_table(tmp_path / "d" / "measures.parquet").to_pylist()
    assert [row["id"] for row in measures] == ["c0", "c1", "c2"]
    for seed, row in enumerate(measures):
        assert row["luma_mean"] == measure(picture(seed)).luma_mean
        assert row["dhash"] == measure(picture(seed)).dhash == read_manifest(tmp_path / "d")["dhash"][seed]


def test_a_dataset_is_the_same_however_many_rows_are_packed_at_a_time(tmp_path, monkeypatch):
    there = [
        replace(one, fields={**one.fields, "creator": None if n % 3 else "ann"}) for n, one in enumerate(offered())
    ]
    ingest(tmp_path / "a" / "d", there[::-1], CONFIG)
    monkeypatch.setattr(ingest_module, "BLOCK", 3)
    report = ingest(tmp_path / "b" / "d", there[::-1], CONFIG)
    one, other = contents(tmp_path / "a" / "d"), contents(tmp_path / "b" / "d")
    assert one.keys() == other.keys()
    assert {name for name in one if one[name] != other[name]} <= {"dataset.json"}, "it says when it was made"
    assert report.photos["id"].tolist() == [f"c{i}" for i in range(8)]


def test_again_changes_nothing_and_writes_no_picture(tmp_path, monkeypatch):
    ingest(tmp_path / "d", offered(), CONFIG)
    before = contents(tmp_path / "d")
    monkeypatch.setattr(stored, "upright_rgb", None)
    report = ingest(tmp_path / "d", offered(), CONFIG)
    assert report.reused == 8
    after = contents(tmp_path / "d")
    assert {k: v for k, v in before.items() if k != "dataset.json"} == {
        k: v for k, v in after.items() if k != "dataset.json"
    }


def test_an_interrupted_run_continues_and_ends_as_an_uninterrupted_one(tmp_path, monkeypatch):
    def failing():
        yield from offered(5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(tmp_path / "d", failing(), CONFIG)
    assert not (tmp_path / "d" / "manifest.parquet").exists()
    with (tmp_path / "d" / JOURNAL).open("a") as journal:
        journal.write('{"id": "torn')
    report = ingest(tmp_path / "d", offered(), CONFIG)
    assert report.reused > 0
    ingest(tmp_path / "once", offered(), CONFIG)
    interrupted, once = contents(tmp_path / "d"), contents(tmp_path / "once")
    assert {k: v for k, v in interrupted.items() if k != "dataset.json"} == {
        k: v for k, v in once.items() if k != "dataset.json"
    }


def test_what_changed_at_the_source_is_stored_again_and_what_went_is_removed(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    ingest(tmp_path / "d", offered(4), CONFIG)
    changed = offered(3)
    changed[0] = Candidate("c0", (10.0, 0.0), picture(99))
    changed[1] = Candidate("c1", (-45.0, 100.0), picture(1))
    report = ingest(tmp_path / "d", changed, CONFIG)
    assert report.reused == 1
    photos = read_manifest(tmp_path / "d")
    assert photos["id"].tolist() == ["c0", "c1", "c2"]
    assert photos["dhash"][0] == measure(picture(99)).dhash
    assert len(list((tmp_path / "d").rglob("*.jpg"))) == 3
    assert "removed 2" in caplog.text


def test_a_file_changed_in_place_is_stored_again(tmp_path):
    picture(1).save(tmp_path / "a.png")
    ingest(tmp_path / "d", [Candidate("a", (1, 2), tmp_path / "a.png")], CONFIG)
    picture(2).save(tmp_path / "a.png")
    os.utime(tmp_path / "a.png", (1, 1))
    assert ingest(tmp_path / "d", [Candidate("a", (1, 2), tmp_path / "a.png")], CONFIG).reused == 0


def test_another_size_stores_all_again(tmp_path):
    ingest(tmp_path / "d", offered(3), CONFIG)
    ingest(tmp_path / "d", offered(3), IngestConfig(max_side=16))
    assert set(read_manifest(tmp_path / "d")["width"]) == {16}


def test_what_cannot_be_read_is_listed_and_the_rest_is_taken(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    bad = [Candidate("bad", (1, 1), b"text"), Candidate("gone", (1, 1), tmp_path / "gone.jpg")]
    early = [Rejection("nowhere", "without coordinates")]
    ingest(tmp_path / "d", [*bad, *offered(2)], CONFIG, rejected=early)
    assert [(r.id, r.reason) for r in read_rejected(tmp_path / "d")] == [
        ("nowhere", "without coordinates"),
        ("bad", "unreadable"),
        ("gone", "unreadable"),
    ]
    assert "left out 3 of 5: 2 unreadable (the first: picture: not a picture that can be read" in caplog.text
    assert f"), 1 without coordinates; {tmp_path / 'd' / 'rejected.csv'} lists each" in caplog.text


def test_without_any_usable_photograph_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match="left out 1 of 1: 1 unreadable"):
        ingest(tmp_path / "d", [Candidate("a", (1, 2), b"text")], CONFIG)
    assert not (tmp_path / "d").exists()


def test_an_out_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "d").write_text("mine")
    with pytest.raises(ValueError, match="is a file"):
        ingest(tmp_path / "d", offered(1), CONFIG)


def test_the_dataset_says_what_it_is(tmp_path):
    ingest(tmp_path / "d", offered(3), IngestConfig(seed=7), about={"synthetic": True})
    dataset = read_json(tmp_path / "d" / "dataset.json")
    assert (dataset["name"], dataset["source"], dataset["photographs"]) == ("d", "test", 3)
    assert dataset["settings"]["seed"] == 7
    assert dataset["synthetic"] is True


def test_fields_go_into_their_columns(tmp_path):
    fields = {"captured_at_utc": "2020-05-01T12:00:00+02:00", "is_pano": True, "creator": "é", "compass_angle": 12.5}
    ingest(tmp_path / "d", [Candidate("a/b", (1, 2), picture(1), fields), *offered(1)], CONFIG)
    row = read_manifest(tmp_path / "d").set_index("source_id").loc["a/b"]
    assert row["captured_at_utc"].isoformat() == "2020-05-01T10:00:00+00:00"
    assert (row["is_pano"], row["creator"], row["compass_angle"]) == (True, "é", 12.5)
    assert pq.read_schema(tmp_path / "d" / "manifest.parquet").equals(SCHEMA)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a/b c", "a_b_c"),
        ("../../etc/passwd", "etc_passwd"),
        (".hidden", "hidden"),
        ("", "photo"),
        ("日本", "photo"),
        ("con", "_con"),
        ("LPT1.x", "_LPT1.x"),
        ("48.85,2.35", "48.85_2.35"),
    ],
)
def test_ids_become_file_names(name, safe):
    assert safe_id(name) == safe


@given(st.text(max_size=300))
def test_any_text_becomes_a_file_name_of_every_system(name):
    safe = safe_id(name)
    assert 0 < len(safe) <= 101
    assert set(safe) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert safe[0] != "."
    assert safe_id(safe) == safe or safe.startswith("_")


def test_ids_that_would_share_a_file_are_told_apart(tmp_path):
    same = [Candidate(name, (1, 2), picture(i)) for i, name in enumerate(["a/b", "a_b", "A_B", "a_b"])]
    ingest(tmp_path / "d", same, CONFIG)
    photos = read_manifest(tmp_path / "d")
    assert set(photos["id"]) == {"a_b", "a_b-2", "A_B-3", "a_b-4"}
    assert len(list((tmp_path / "d").rglob("*.jpg"))) == 4


def test_the_journal_is_plain_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest_module, "_finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ingest(tmp_path / "d", offered(2), CONFIG)
    lines = (tmp_path / "d" / JOURNAL).read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["c0", "c1"]


def test_the_report_counts_cells_and_how_unequal_they_are(tmp_path):
    photos = ingest(tmp_path / "d", offered(), CONFIG).photos
    lines = counts_report(photos).splitlines()
    assert lines[2].split() == ["L1", "2", "4", "7", "1", "0.38"]
    assert lines[5].split()[:2] == ["L8", "8"]


@pytest.mark.parametrize(("counts", "expected"), [([5, 5, 5], 0), ([0, 0, 0, 8], 0.75), ([1, 3], 0.25), ([4], 0)])
def test_gini_agrees_with_its_definition_by_mean_difference(counts, expected):
    assert gini(np.array(counts)) == pytest.approx(expected)


def test_a_summary_reads_as_a_sentence():
    rejections = [Rejection("a", "unreadable"), Rejection("b", "at (0, 0)"), Rejection("c", "unreadable")]
    assert summary(rejections, 1500) == "left out 3 of 1,500: 2 unreadable, 1 at (0, 0)"
    assert summary([], 3) == "left out 0 of 3"


def test_a_foreign_rejected_csv_is_refused(tmp_path):
    (tmp_path / "rejected.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="other columns"):
        read_rejected(tmp_path)
    assert read_rejected(tmp_path / "none") == []


def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim" / "keep.txt"
    path.parent.mkdir()
    path.write_text("precious")
    return path


@pytest.mark.parametrize(
    "name", ["../victim/keep.txt", "/victim/keep.txt", "images/../../victim/keep.txt", "manifest.parquet", 7]
)
def test_a_journal_from_elsewhere_removes_nothing_outside_of_the_pictures(tmp_path, name):
    precious = victim(tmp_path)
    ingest(tmp_path / "d", offered(), CONFIG)
    row = dict.fromkeys(MEASURES_SCHEMA.names, 0)
    written = str(precious) if name == "/victim/keep.txt" else name
    row |= {"id": "x", "sha256": "", "fingerprint": "f", "path": written}
    (tmp_path / "d" / JOURNAL).write_text(json.dumps(row) + "\n")
    ingest(tmp_path / "d", offered(), CONFIG)
    assert precious.read_text() == "precious"
    assert len(read_manifest(tmp_path / "d")) == 8


def test_measures_from_elsewhere_remove_nothing_outside(tmp_path):
    precious = victim(tmp_path)
    ingest(tmp_path / "d", offered(), CONFIG)
    table = pq.read_table(tmp_path / "d" / "measures.parquet")
    rows = [*table.to_pylist(), {**table.to_pylist()[0], "id": "x", "path": "../victim/keep.txt"}]
    pq.write_table(pa.Table.from_pylist(rows, table.schema), tmp_path / "d" / "measures.parquet")
    ingest(tmp_path / "d", offered(), CONFIG)
    assert precious.read_text() == "precious"


def test_a_link_out_of_the_dataset_is_not_followed_to_remove_what_is_there(tmp_path, caplog):
    precious = victim(tmp_path)
    ingest(tmp_path / "d", offered(), CONFIG)
    (tmp_path / "d" / "images" / "link").symlink_to(precious.parent, target_is_directory=True)
    table = pq.read_table(tmp_path / "d" / "measures.parquet")
    rows = [*table.to_pylist(), {**table.to_pylist()[0], "id": "x", "path": "images/link/keep.txt"}]
    pq.write_table(pa.Table.from_pylist(rows, table.schema), tmp_path / "d" / "measures.parquet")
    ingest(tmp_path / "d", offered(), CONFIG)
    assert precious.read_text() == "precious"
    assert "behind links out of" in caplog.text


@pytest.mark.parametrize("line", ["[]", "{}", '{"id": 3}', "null", "[" * 5000, '{"id": "a", "path": "images/a.jpg"}'])
def test_lines_of_a_journal_that_cannot_be_are_passed_by(tmp_path, line):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / JOURNAL).write_text(line + "\n")
    assert len(ingest(tmp_path / "d", offered(2), CONFIG).photos) == 2
