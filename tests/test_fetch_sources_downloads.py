"""A table with addresses becomes a dataset: asked for once, continued where it stopped, YFCC100M included."""

import bz2
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dataset.manifest import read_manifest
from dataset.tables.photo_table import read_table
from fetch.rejected import read_rejected
from fetch.sources.config import ImportConfig
from fetch.sources.downloads import DOWNLOADS, NOT_YET, secure
from fetch.sources.imports import PENDING, run
from fetch.sources.yfcc import LONG, SHORT, is_yfcc, read_yfcc
from fetch.subset import Subset, write_subset
from plumbing.files import sha256
from tests.loopback import Reply, loopback


def jpeg(seed: int) -> bytes:
    encoded = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(encoded, "JPEG")
    return encoded.getvalue()


@pytest.fixture
def server():
    with loopback() as running:
        yield running


def config(source, out, **settings):
    quick = {"threads": 4, "requests_per_second": 0, "timeout_s": 1, "backoff_s": 0.001}
    return ImportConfig(source=source, out=out, **{**quick, **settings})


def write(path, frame):
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def world(server, tmp_path):
    """Return a table of twenty pictures at addresses, all of which answer."""
    rows = []
    for i in range(20):
        url = server.gives(f"/p/{i}.jpg", jpeg(i))
        rows.append({"id": f"p{i}", "latitude": i - 9.5, "longitude": 7 * i, "image_url": url, "license": "CC0"})
    return write(tmp_path / "t.csv", pd.DataFrame(rows))


def test_pictures_at_addresses_become_a_dataset_and_a_second_run_asks_nothing(server, world, tmp_path):
    out = tmp_path / "d"
    assert run(config(world, out)) == 0
    photos = read_manifest(out)
    assert len(photos) == 20
    assert photos["licence"].eq("CC0").all()
    assert [sha256(out / path) for path in photos["path"]] == photos["sha256"].tolist()
    assert not (out / DOWNLOADS).exists()
    before, asked = photos, sum(server.asked.values())
    assert run(config(world, out)) == 0
    pd.testing.assert_frame_equal(read_manifest(out), before)
    assert sum(server.asked.values()) == asked == 20


def test_what_is_pending_keeps_its_place_and_what_is_gone_its_reason(server, world, tmp_path):
    out = tmp_path / "d"
    server.gives("/p/3.jpg", Reply(500))
    server.gives("/p/4.jpg", Reply(404))
    server.gives("/p/5.jpg", b"<html>")
    assert run(config(world, out)) == PENDING
    assert {r.id: (r.reason, r.value, r.stage) for r in read_rejected(out)} == {
        "p3": (NOT_YET, "HTTP 500", "download"),
        "p4": ("no longer at their address", "HTTP 404", "download"),
        "p5": ("no pictures (or damaged) at their address", "HTML", "download"),
    }
    asked = dict(server.asked)
    server.gives("/p/3.jpg", jpeg(3))
    assert run(config(world, out)) == 0
    assert len(read_manifest(out)) == 18
    assert {path for path in server.asked if server.asked[path] > asked[path]} == {"/p/3.jpg"}


def test_an_interrupted_import_continues_with_what_is_missing(server, world, tmp_path, monkeypatch):
    out = tmp_path / "d"

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("fetch.sources.imports.ingest", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(config(world, out))
    assert run(config(world, out)) == 0
    assert (len(read_manifest(out)), sum(server.asked.values())) == (20, 20)


def test_a_picture_that_moves_to_another_place_is_not_asked_for_again(server, world, tmp_path):
    out = tmp_path / "d"
    run(config(world, out))
    moved = pd.read_csv(world)
    moved.loc[2, "latitude"] = 60.5
    run(config(write(world, moved), out))
    photos = read_manifest(out).set_index("id")
    assert photos.loc["p2", "latitude"] == 60.5
    assert sha256(out / photos.loc["p2", "path"]) == photos.loc["p2", "sha256"]
    assert sum(server.asked.values()) == 20
    assert len(list((out / "images").rglob("*.jpg"))) == 20


def test_a_picture_that_lies_here_is_not_asked_for(server, world, tmp_path):
    (tmp_path / "p7.jpg").write_bytes(jpeg(99))
    run(config(world, tmp_path / "d"))
    assert len(read_manifest(tmp_path / "d")) == 20
    assert server.asked["/p/7.jpg"] == 0


def test_one_address_is_one_picture(server, tmp_path):
    url = server.gives("/a.jpg", jpeg(0))
    rows = [{"id": name, "lat": 1, "lon": 2, "photo_url": url} for name in "ab"]
    run(config(write(tmp_path / "t.csv", pd.DataFrame(rows)), tmp_path / "d"))
    assert {r.id: r.reason for r in read_rejected(tmp_path / "d")} == {"b": "listed twice"}


def test_the_column_of_addresses_can_be_named_and_ids_come_from_addresses(server, tmp_path):
    url = server.gives("/x/caf%C3%A9.jpg", jpeg(0))
    table = write(tmp_path / "t.csv", pd.DataFrame([{"lat": 1.5, "lon": 2.5, "Where": f"{url}?s=1"}]))
    with pytest.raises(ValueError, match="no column that names pictures"):
        run(config(table, tmp_path / "d"))
    with pytest.raises(ValueError, match=r"has no column here .--address-column.*lat, lon, Where"):
        run(config(table, tmp_path / "d", address_column="here"))
    run(config(table, tmp_path / "d", address_column="where"))
    assert read_manifest(tmp_path / "d")["source_id"].tolist() == ["café"]
    pd.read_csv(table).to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", {"address": "where"}).photos["address"].tolist() == [f"{url}?s=1"]


def test_only_what_a_list_names_is_asked_for(server, world, tmp_path):
    write_subset(tmp_path / "list.txt", Subset(("p1", "p2", "unknown")))
    run(config(world, tmp_path / "d", only=tmp_path / "list.txt"))
    assert read_manifest(tmp_path / "d")["id"].tolist() == ["p1", "p2"]
    assert sum(server.asked.values()) == 2
    write_subset(tmp_path / "list.txt", Subset(("unknown",)))
    with pytest.raises(ValueError, match=r"has none of its 1 photograph$"):
        run(config(world, tmp_path / "d", only=tmp_path / "list.txt"))


def test_where_nothing_can_be_had_the_message_says_so(server, tmp_path):
    url = server.gives("/a.jpg", Reply(500))
    table = write(tmp_path / "t.csv", pd.DataFrame([{"id": "a", "lat": 1, "lon": 2, "image_url": url}]))
    with pytest.raises(ValueError, match=r"left out 1 of 1: 1 not downloaded yet \(run the command again\)"):
        run(config(table, tmp_path / "d"))
    server.gives("/a.jpg", jpeg(0))
    assert run(config(table, tmp_path / "d")) == 0


def test_plain_http_of_old_tables_becomes_https():
    assert secure("http://farm8.staticflickr.com/1/2.jpg") == "https://farm8.staticflickr.com/1/2.jpg"
    for same in ("https://a.org/b", "http://127.0.0.1/b", "http://localhost/b", "a.jpg", "http://[", ""):
        assert secure(same) == same


# The row that lbsn.vgiscience.org/tutorial/yfcc-introduction shows, with the fields that it leaves out made up.
ROW = {
    "line": "0", "id": "6185218911", "hash": "4e2f7a26a1dfbf165a7e30bdabf7e72a", "user": "39019111@N00",
    "nickname": "gu%C3%BCkxzs+x", "date_taken": "2012-02-16 09:56:37.0", "date_uploaded": "1331840483",
    "device": "Canon+PowerShot", "title": 'IMG_"0520', "description": "My+vacation", "user_tags": "canon",
    "machine_tags": "", "longitude": "-81.804885", "latitude": "24.550558", "accuracy": "12",
    "page": "https://www.flickr.com/photos/39089491@N00/6985418911/", "download": "http://farm8.staticflickr.com/1.jpg",
    "licence": "Attribution License", "licence_url": "http://creativecommons.org/licenses/by/2.0/", "server": "7205",
    "farm": "8", "secret": "s", "secret_original": "o", "extension": "jpg", "marker": "0",
}  # fmt: skip


def yfcc(path, columns, *changes):
    lines = ["\t".join({**ROW, **change}[name] for name in columns) + "\n" for change in changes]
    data = "".join(lines).encode()
    path.write_bytes(bz2.compress(data) if path.suffix == ".bz2" else data)
    return path


@pytest.mark.parametrize("columns", [SHORT, LONG], ids=["23", "25"])
@pytest.mark.parametrize("name", ["yfcc100m_dataset-0", "yfcc100m_dataset.bz2", "y.tsv"])
def test_both_layouts_of_yfcc100m_are_read(columns, name, tmp_path):
    assert (len(SHORT), len(LONG)) == (23, 25)
    changes = [{}, {"marker": "1"}, {"longitude": "", "latitude": "", "accuracy": ""}, {"id": "2", "nickname": ""}]
    path = yfcc(tmp_path / name, columns, *changes)
    assert is_yfcc(path)
    first, second = read_yfcc(path).to_dict("records")
    assert first == {
        "latitude": "24.550558",
        "longitude": "-81.804885",
        "picture": "6185218911",
        "id": "6185218911",
        "creator": "guükxzs x",
        "licence": "http://creativecommons.org/licenses/by/2.0/",
        "url": "https://www.flickr.com/photos/39089491@N00/6985418911/",
        "source": "YFCC100M",
        "address": "http://farm8.staticflickr.com/1.jpg",
    }
    assert (second["id"], second["creator"]) == ("2", "39019111@N00")


def test_yfcc100m_is_imported_from_its_addresses(server, tmp_path):
    changes = [{"id": str(i), "latitude": f"{i}.5", "download": server.gives(f"/{i}.jpg", jpeg(i))} for i in range(8)]
    path = yfcc(tmp_path / "yfcc100m_dataset-3.bz2", SHORT, *changes, {"id": "9", "marker": "1"})
    assert run(config(path, tmp_path / "d")) == 0
    photos = read_manifest(tmp_path / "d").set_index("source_id")
    assert photos["latitude"].to_dict() == {str(i): i + 0.5 for i in range(8)}
    assert photos["longitude"].eq(-81.804885).all()
    assert photos["url"].eq(ROW["page"]).all()


def test_a_line_of_yfcc100m_that_is_torn_is_named(tmp_path):
    path = yfcc(tmp_path / "y", SHORT, {}, {})
    path.write_text(path.read_text()[:-9] + "\n")
    with pytest.raises(ValueError, match=r"line 2: 2\d columns instead of 23"):
        read_yfcc(path)
    with pytest.raises(ValueError, match="no photograph with coordinates"):
        read_yfcc(yfcc(tmp_path / "y", SHORT, {"marker": "1"}))


def test_other_files_are_not_taken_for_yfcc100m(tmp_path):
    for text in ("id,lat,lon\n", "\t".join("x" * 23), "", "\x00\xff"):
        (tmp_path / "f").write_text(text, encoding="latin-1")
        assert not is_yfcc(tmp_path / "f")
    (tmp_path / "f.bz2").write_bytes(b"no bzip2")
    assert not is_yfcc(tmp_path / "f.bz2")
