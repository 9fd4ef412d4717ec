"""One's own photographs become a dataset, and every one that does not is named with its reason."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dataset.manifest import read_manifest
from dataset.picture_finder import PictureFinder
from fetch.rejected import read_rejected
from fetch.sources.config import ImportConfig
from fetch.sources.imports import run

ROOT = Path(__file__).parent.parent


def save(path: Path, seed: int = 0, gps: tuple[float, float] | None = None, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8))
    exif = Image.Exif()
    if gps:
        lat, lon = gps
        exif.get_ifd(0x8825).update(
            {1: "S" if lat < 0 else "N", 2: (abs(lat), 0.0, 0.0), 3: "W" if lon < 0 else "E", 4: (abs(lon), 0.0, 0.0)}
        )
    picture.save(path, exif=exif.tobytes(), **options)
    return path


def make_table(folder: Path, *rows: str, header: str = "id,path,latitude,longitude") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "t.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder / "t.csv"


def imported(source: Path, out: Path, **settings) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the manifest by source id, and the reason of each photograph left out."""
    run(ImportConfig(source=source, out=out, **settings))
    return read_manifest(out).set_index("source_id"), {r.id: r.reason for r in read_rejected(out)}


def test_each_bad_row_is_named_with_its_reason_and_the_good_ones_are_taken(tmp_path):
    good = save(tmp_path / "good.jpg")
    for i in range(9):
        save(tmp_path / f"g{i}.jpg", seed=i)
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:-300])
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    save(tmp_path.parent / "outside.jpg")
    source = make_table(
        tmp_path,
        "good,good.jpg,48.5,2.5",
        "nan,good.jpg,nan,2.5",
        "null-island,good.jpg,0,0",
        "lacking,good.jpg,48,-999",
        "cut,cut.jpg,48,2",
        "text,text.jpg,48,2",
        "empty,empty.jpg,48,2",
        "gone,gone.jpg,48,2",
        "nothing,,48,2",
        "out,../outside.jpg,48,2",
        "sly,x/../../outside.jpg,48,2",
        "twice,./good.jpg,48,2",
        *(f"g{i},g{i}.jpg,{i},{i + 1}" for i in range(9)),
    )
    photos, left = imported(source, tmp_path / "d")
    assert sorted(photos.index) == sorted(["good", *(f"g{i}" for i in range(9))])
    assert left == {
        "nan": "without coordinates",
        "null-island": "at (0, 0)",
        "lacking": "without coordinates",
        "cut": "unreadable",
        "text": "unreadable",
        "empty": "unreadable",
        "gone": "missing",
        "nothing": "without a picture",
        "out": "outside the folder of pictures",
        "sly": "outside the folder of pictures",
        "twice": "listed twice",
    }


@pytest.mark.parametrize("mode", ["CMYK", "I;16", "P", "animated", "RGBA"])
def test_pictures_of_every_kind_are_taken(mode, tmp_path):
    path = tmp_path / {"CMYK": "a.jpg", "animated": "a.gif"}.get(mode, "a.png")
    if mode == "animated":
        frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
        frames[0].save(path, save_all=True, append_images=frames[1:])
    else:
        Image.new(mode, (16, 16)).save(path)
    photos, left = imported(make_table(tmp_path, f"a,{path.name},1,2"), tmp_path / "d")
    assert (photos.index.tolist(), left) == (["a"], {})


def test_osv5m_pictures_are_found_in_their_numbered_folders(tmp_path):
    save(tmp_path / "images" / "train" / "07" / "123.jpg")
    source = make_table(tmp_path, "123,1,2,sq,ann", header="id,latitude,longitude,sequence,creator_username")
    photos, _ = imported(source, tmp_path / "d")
    assert photos.loc["123", ["sequence_id", "creator"]].tolist() == ["sq", "ann"]


def test_pictures_are_found_in_the_folder_named_by_images(tmp_path):
    save(tmp_path / "pictures" / "a.jpg", 1)
    save(tmp_path / "pictures" / "sub" / "b.jpg", 2)
    absolute = save(tmp_path / "elsewhere" / "c.jpg", 3)
    source = make_table(
        tmp_path / "tables",
        "a,a.jpg,1,2",
        "b,sub\\b.jpg,1,2",
        f"c,{absolute},1,2",
        "d,../pictures/sub/../b.jpg,1,2",
        "e,../pictures/a.jpg,1,2",
        "f,../elsewhere/c.jpg,1,2",
    )
    photos, left = imported(source, tmp_path / "d", images=tmp_path / "pictures")
    assert sorted(photos.index) == ["a", "b", "c"]
    assert left == {"d": "missing", "e": "listed twice", "f": "outside the folder of pictures"}


def test_a_name_that_several_files_have_is_not_guessed(tmp_path):
    save(tmp_path / "1" / "a.jpg")
    save(tmp_path / "2" / "a.jpg")
    finder = PictureFinder(tmp_path, None, tmp_path / "d")
    assert str(finder.find("a.jpg")).startswith("ambiguous")
    assert finder.find("1/a.jpg") == tmp_path / "1" / "a.jpg"
    assert finder.find("1/a") == tmp_path / "1" / "a.jpg"
    assert finder.find("3/a.jpg") == "missing"
    assert finder.find("x" * 5000) == "missing"


def test_a_folder_is_read_by_exif_in_every_hemisphere_and_by_file_names(tmp_path):
    for i, gps in enumerate([(48.5, 2.5), (-33.9, 151.2), (40.7, -74.0), (-22.9, -43.2)]):
        save(tmp_path / "in" / f"sub{i}" / f"{i}.jpg", i, gps)
    save(tmp_path / "in" / "35.5,-120.25.jpg", 5)
    save(tmp_path / "in" / "plain.jpg", 6)
    save(tmp_path / "in" / "zero.jpg", 7, (0, 0))
    (tmp_path / "in" / "camera.dng").write_bytes(b"x")
    (tmp_path / "in" / "empty.jpg").write_bytes(b"")
    (tmp_path / "in" / "page.jpg").write_text("\n<!DOCTYPE html><title>404</title>")
    (tmp_path / "in" / "notes.txt").write_text("x")
    (tmp_path / "in" / ".hidden.jpg").write_text("x")
    photos, left = imported(tmp_path / "in", tmp_path / "d")
    assert photos[["latitude", "longitude"]].round(6).to_numpy().tolist() == [
        [35.5, -120.25],
        [48.5, 2.5],
        [-33.9, 151.2],
        [40.7, -74.0],
        [-22.9, -43.2],
    ]
    assert left == {
        "empty.jpg": "unreadable",
        "page.jpg": "unreadable",
        "camera.dng": "of a kind that is not read: RAW file (.dng)",
        "plain.jpg": "without coordinates",
        "zero.jpg": "at (0, 0)",
    }


def test_a_dataset_inside_the_folder_is_not_imported_again(tmp_path):
    save(tmp_path / "a.jpg", 0, (1.5, 2.5))
    for _ in range(2):
        photos, left = imported(tmp_path, tmp_path / "data")
    assert (len(photos), left) == (1, {})


def test_excluded_ids_are_left_out_and_said(tmp_path, caplog):
    caplog.set_level("INFO")
    for i in range(3):
        save(tmp_path / f"{i}.jpg", i)
    source = make_table(tmp_path, *(f"x/{i},{i}.jpg,1,{i}" for i in range(3)))
    (tmp_path / "no.txt").write_text("x/0\n\nx_2\nunknown\n")
    photos, left = imported(source, tmp_path / "d", exclude=tmp_path / "no.txt")
    assert photos.index.tolist() == ["x/1"]
    assert left == {"x/0": "excluded", "x/2": "excluded"}
    assert "2 photographs left out; the file names 3 ids" in caplog.text


def test_a_limit_reads_rows_and_files_evenly_from_all(tmp_path, caplog):
    caplog.set_level("INFO")
    for i in range(10):
        save(tmp_path / "photos" / f"{i}.jpg", seed=i, gps=(48 + i, 2.5))
    source = make_table(tmp_path / "photos", *(f"{i},{i}.jpg,{48 + i},2.5" for i in range(10)))
    manifest, rejected = imported(source, tmp_path / "of_table", limit=5)
    assert sorted(manifest.index) == ["0", "2", "4", "6", "8"]
    assert rejected == {}
    assert "--limit 5: 5 of 10 rows" in caplog.text
    source.unlink()
    manifest, _ = imported(tmp_path / "photos", tmp_path / "of_folder", limit=2)
    assert sorted(manifest.index) == ["0.jpg", "5.jpg"]
    with pytest.raises(ValueError, match="--limit must be 1 or more, got 0"):
        imported(source, tmp_path / "none", limit=0)


@pytest.mark.parametrize(
    ("rows", "header", "words"),
    [
        (["a,a.jpg"], "id,path", "no column of the latitude"),
        (["a.jpg,120,40", "a.jpg,150,-30", "a.jpg,-100,30"], "path,lat,lon", "swapped"),
        ([], "path,lat,lon", "no rows"),
        (["gone.jpg,1,2"], "path,lat,lon", "no photograph can be used; left out 1 of 1: 1 missing"),
    ],
)
def test_a_table_without_any_use_writes_nothing(rows, header, words, tmp_path):
    save(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=words):
        run(ImportConfig(source=make_table(tmp_path, *rows, header=header), out=tmp_path / "d"))
    assert not (tmp_path / "d").exists()


def test_wrong_paths_are_refused_in_words(tmp_path):
    source = make_table(tmp_path, "a,a.jpg,1,2")
    save(tmp_path / "a.jpg")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("precious")
    (tmp_path / "none").mkdir()
    (tmp_path / "a.zip").touch()
    for settings, words in [
        ({"source": tmp_path / "gone.csv"}, "does not exist"),
        ({"source": tmp_path / "none"}, "holds no photographs"),
        ({"source": tmp_path / "a.zip"}, "neither a folder nor a table"),
        ({"images": tmp_path / "gone"}, "is not a folder"),
        ({"exclude": tmp_path / "gone"}, "does not exist"),
        ({"exclude": tmp_path / "a.jpg"}, "is not text"),
        ({"out": tmp_path / "full"}, "holds other files"),
        ({"source": tmp_path, "out": tmp_path}, "folder of the photographs itself"),
    ]:
        with pytest.raises(ValueError, match=words):
            run(ImportConfig(**{"source": source, "out": tmp_path / "d", **settings}))
    assert (tmp_path / "full" / "mine.txt").read_text() == "precious"


def test_another_source_does_not_overwrite_a_dataset(tmp_path):
    for name in ("one", "two"):
        save(tmp_path / name / "a.jpg", 0, (1.5, 2.5))
    imported(tmp_path / "one", tmp_path / "d")
    with pytest.raises(ValueError, match=r"made from .*one"):
        run(ImportConfig(source=tmp_path / "two", out=tmp_path / "d"))


def test_the_command_ends_with_one_line_and_code_2(tmp_path):
    source = make_table(tmp_path, "a,a.jpg", header="id,path")
    command = [sys.executable, "-m", "fetch", "import", str(source), "--out", str(tmp_path / "d")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("error: ")


def test_all_usable_real_photographs_are_taken(shared_data, tmp_path):
    photos, left = imported(shared_data / "photos" / "photos.csv", tmp_path / "d", max_side=64)
    assert len(photos) == 149
    assert list(left.values()) == ["without coordinates"] * 31
    with (shared_data / "photos" / "photos.csv").open() as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    for source_id, row in photos.iterrows():
        assert (row["latitude"], row["licence"]) == (float(rows[source_id]["latitude"]), rows[source_id]["licence"])


def test_real_camera_files_are_read_as_their_index_says(shared_data, tmp_path):
    photos, left = imported(shared_data / "exif_originals", tmp_path / "d", max_side=64)
    index = pd.read_csv(shared_data / "exif_originals" / "index.csv").set_index("file")
    assert left == {}
    assert sorted(photos.index) == sorted(index.index)
    index = index.loc[photos.index]
    for axis in ("latitude", "longitude"):
        assert photos[axis].to_numpy() == pytest.approx(index[axis].to_numpy(), abs=1e-4)
    turned = photos[(index["orientation"] == 6).to_numpy()]
    assert len(turned) == 1
    assert (turned["height"] > turned["width"]).all()


def test_the_table_of_the_camera_files_is_read_too(shared_data, tmp_path):
    photos, left = imported(shared_data / "exif_originals" / "index.csv", tmp_path / "d", max_side=64)
    assert (len(photos), left) == (15, {})


def test_stored_pictures_carry_no_coordinates(shared_data, tmp_path):
    imported(shared_data / "exif_originals", tmp_path / "d", max_side=64)
    for path in (tmp_path / "d").rglob("*.jpg"):
        with Image.open(io.BytesIO(path.read_bytes())) as stored:
            assert set(stored.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_rows_are_left_out_by_number_and_by_percentiles_of_coordinates(tmp_path, caplog):
    rng = np.random.default_rng(0)
    places = np.column_stack([rng.normal(48.1, 0.01, 200), rng.normal(11.5, 0.01, 200)])
    places[[7, 90]] = (12.0, 11.5), (48.1, 170.0)
    rows = [f"p{k},p{k}.jpg,{lat:.6f},{lon:.6f}" for k, (lat, lon) in enumerate(places)]
    for k in range(200):
        save(tmp_path / f"p{k}.jpg", seed=k)
    source = make_table(tmp_path, *rows)
    caplog.set_level("INFO")
    manifest, rejected = imported(source, tmp_path / "data", percentiles=(1.0, 99.0), exclude_rows=(3, 5))
    kept = np.delete(np.arange(200), [3, 5])
    # As the published code has it: the percentiles of each coordinate, both ends kept.
    low, high = np.percentile(places[kept].round(6), (1, 99), axis=0)
    inside = ((places[kept].round(6) >= low) & (places[kept].round(6) <= high)).all(axis=1)
    assert set(manifest.index) == {f"p{k}" for k in kept[inside]}
    assert rejected["p3"] == rejected["p5"] == "excluded by the number of their row"
    assert {rejected[f"p{k}"] for k in kept[~inside]} == {"outside percentiles 1 to 99 of latitude or longitude"}
    assert 2 <= (~inside).sum() <= 8
    assert "--exclude-rows: 2 rows left out: p3 (row 3), p5 (row 5)" in caplog.text
    assert f"{(~inside).sum()} of 198 photographs lie outside" in caplog.text
    assert "p7" not in manifest.index
    assert "p90" not in manifest.index


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"percentiles": (99.0, 1.0)}, "--percentiles takes two numbers from 0 to 100, the lower first, got 99 1"),
        ({"exclude_rows": (-1,)}, "--exclude-rows counts from 0 below the headings, got -1"),
        ({"exclude_rows": (2,)}, r"--exclude-rows 2: .*t\.csv has 1 row, numbered from 0"),
    ],
)
def test_filters_that_cannot_work_are_refused(tmp_path, flags, complaint):
    save(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=complaint):
        imported(make_table(tmp_path, "a,a.jpg,1,2"), tmp_path / "data", **flags)


def test_filters_of_tables_are_refused_on_folders(tmp_path):
    save(tmp_path / "photos" / "a.jpg", gps=(1.0, 2.0))
    with pytest.raises(ValueError, match=r"--percentiles 1 99 has no effect on .*photos, which is a folder"):
        imported(tmp_path / "photos", tmp_path / "data", percentiles=(1.0, 99.0))


def test_percentiles_of_a_table_without_coordinates_are_refused(tmp_path):
    save(tmp_path / "a.jpg")
    source = make_table(tmp_path, "a,a.jpg,north", header="id,path,region_id")
    with pytest.raises(ValueError, match="--percentiles 1 99: no row has coordinates: leave it out"):
        imported(source, tmp_path / "data", class_column="region_id", percentiles=(1.0, 99.0))


def test_an_address_in_the_place_of_a_source_is_told_from_a_missing_file(tmp_path):
    with pytest.raises(ValueError, match="does not exist; it is an address: download what is there"):
        run(ImportConfig(source=Path("https://example.org/photos.zip"), out=tmp_path / "d"))
    with pytest.raises(ValueError, match="nowhere does not exist: name a table or a folder"):
        run(ImportConfig(source=Path("nowhere"), out=tmp_path / "d"))


def test_a_folder_with_a_table_says_that_the_table_can_be_imported(tmp_path, caplog):
    caplog.set_level("INFO")
    folder = tmp_path / "in"
    save(folder / "a.jpg")
    (folder / "metadata.csv").write_text("file_name,latitude,longitude\na.jpg,48.5,2.5\n")
    with pytest.raises(ValueError, match="1 without coordinates"):
        run(ImportConfig(source=folder, out=tmp_path / "out"))
    assert f"{folder / 'metadata.csv'} may be the table of these photographs: import it instead" in caplog.text
    run(ImportConfig(source=folder / "metadata.csv", out=tmp_path / "out"))
    assert read_manifest(tmp_path / "out")[["latitude", "longitude"]].to_numpy().tolist() == [[48.5, 2.5]]
    caplog.clear()
    save(tmp_path / "alone" / "a.jpg", gps=(48.5, 2.5))
    run(ImportConfig(source=tmp_path / "alone", out=tmp_path / "other"))
    assert "may be the table" not in caplog.text
