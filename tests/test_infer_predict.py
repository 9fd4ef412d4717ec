"""`python -m infer`: photographs in, answers as files and maps out."""

import csv
import hashlib
import json
import re
import shutil
from dataclasses import fields

import geopandas
import numpy as np
import piexif
import pytest
import torch
from PIL import Image

from geocells.sphere import distance_km
from infer.__main__ import predict as main
from infer.config import InferConfig
from infer.export.tables import as_csv, as_geojson
from infer.network.weights import load_network, save_network
from infer.photo_files import find_photos, unique_names
from infer.prediction import Prediction
from tests.tiny import PLACES, write_square


@pytest.fixture
def photo(tmp_path):
    return write_square(tmp_path / "in" / "red.jpg", (230, 40, 40), np.random.default_rng(0))


def run_infer(photos, run, out, **flags):
    """Run the command and return what it wrote."""
    given = {"maps": False, "workers": 0, "device": "cpu", **flags}
    main(InferConfig(photos=tuple(photos), run=run, out=out, **given))
    return json.loads((out / "predictions.json").read_text())


def unreadable_files(folder):
    """Write files that are no photographs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "text.jpg").write_text("this is a letter, not a photograph")
    (folder / "empty.jpg").write_bytes(b"")
    whole = write_square(folder / "whole.jpg", (10, 20, 30), np.random.default_rng(0), side=64).read_bytes()
    (folder / "whole.jpg").unlink()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    return [folder / name for name in ("text.jpg", "empty.jpg", "truncated.jpg")]


def odd_pictures(folder):
    """Write pictures that are read although they are not plain JPEG."""
    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8))
    rgb.convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(rng.integers(0, 65535, (20, 30), dtype=np.uint16)).save(folder / "sixteen.png")
    rgb.quantize(16).save(folder / "palette.png")
    rgb.save(folder / "animated.gif", save_all=True, append_images=[rgb.rotate(90), rgb.rotate(180)])
    rgb.convert("L").save(folder / "grey.bmp")
    Image.new("RGBA", (5, 9), (10, 200, 30, 90)).save(folder / "transparent.webp")
    Image.new("RGB", (1, 1)).save(folder / "pixel.png")
    return sorted(folder.iterdir())


def test_an_answer_has_every_field_of_the_schema(photo, tiny_run, tmp_path):
    (record,) = run_infer([photo], tiny_run, tmp_path / "out")
    assert set(record) == {"format", *(f.name for f in fields(Prediction) if f.name != "drawing")}
    assert (record["input"], record["path"]) == ("red.jpg", str(photo))
    assert record["sha256"] == hashlib.sha256(photo.read_bytes()).hexdigest()
    assert record["point_method"] == "geoscore"
    assert -90 <= record["latitude"] <= 90
    assert -180 <= record["longitude"] <= 180
    assert set(record["place"]) == {"name", "country_code", "country", "distance_km"}
    assert record["metadata"] == []
    assert record["confidence"] is None
    assert [warning.split(":")[0] for warning in record["warnings"]] == ["not calibrated"]
    assert record["provenance"]["run"] == "run"
    assert re.fullmatch(r"[0-9a-f]{64}", record["provenance"]["model_hash"])
    assert record["provenance"]["options"]["coverage"] == [0.5, 0.9]


def test_predictions_json_is_read_back_as_the_same_answers(photo, calibrated, tmp_path):
    (record,) = run_infer([photo], calibrated, tmp_path / "out")
    read = Prediction.from_dict(record)
    assert read.to_dict() == record
    assert read.levels["L8"].confidence == record["levels"][-1]["confidence"] == read.confidence


def test_an_answer_of_an_older_version_is_refused_with_a_line():
    with pytest.raises(
        ValueError, match=r"not an answer of format 2 \(it says nothing, as version 0\.1\.0 did\): predict again"
    ):
        Prediction.from_dict({"input": "a.jpg", "point": {"latitude": 1, "longitude": 2}})


def test_levels_list_the_top_cells_first_and_say_what_is_left(photo, tiny_run, tmp_path):
    (record,) = run_infer([photo], tiny_run, tmp_path / "out", mass=1.0)
    assert [level["level"] for level in record["levels"]] == ["L1", "L3", "L5", "L8"]
    assert [len(level["cells"]) for level in record["levels"]] == [4, 6, 6, 6]
    for level in record["levels"]:
        shares = [cell["probability"] for cell in level["cells"]]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) + level["unlisted_probability"] == pytest.approx(1, abs=1e-4)
        for cell in level["cells"]:
            assert set(cell) == {"id", "probability", "latitude", "longitude", "training_photographs", "bounds"}
            assert len(cell["id"].split("/")) == int(level["level"][1:])


@pytest.mark.parametrize("mass", [0.01, 0.5, 0.9])
def test_what_is_kept_and_what_is_cut_make_one(photo, tiny_run, tmp_path, mass):
    (record,) = run_infer([photo], tiny_run, tmp_path / "out", mass=mass)
    assert record["levels"][-1]["unlisted_probability"] > 0
    for level in record["levels"]:
        assert sum(cell["probability"] for cell in level["cells"]) + level["unlisted_probability"] == pytest.approx(
            1, abs=1e-4
        )


def test_only_the_top_cells_are_listed_and_the_rest_counts_as_cut(photo, tiny_run, tmp_path):
    (whole,) = run_infer([photo], tiny_run, tmp_path / "out", mass=1.0)
    (short,) = run_infer([photo], tiny_run, tmp_path / "out", mass=1.0, top=2)
    for long, level in zip(whole["levels"], short["levels"], strict=True):
        assert level["cells"] == long["cells"][:2]
        assert level["unlisted_probability"] == pytest.approx(
            1 - sum(c["probability"] for c in level["cells"]), abs=1e-4
        )


def test_a_photograph_that_says_where_it_is_from_is_compared_and_not_believed(photo, tiny_run, tmp_path):
    (plain,) = run_infer([photo], tiny_run, tmp_path / "out")
    gps = {
        piexif.GPSIFD.GPSLatitudeRef: b"S",
        piexif.GPSIFD.GPSLatitude: ((33, 1), (52, 1), (12, 1)),
        piexif.GPSIFD.GPSLongitudeRef: b"E",
        piexif.GPSIFD.GPSLongitude: ((151, 1), (12, 1), (36, 1)),
    }
    piexif.insert(piexif.dump({"GPS": gps}), str(photo))
    (record,) = run_infer([photo], tiny_run, tmp_path / "out")
    point = (record["latitude"], record["longitude"])
    assert point == (plain["latitude"], plain["longitude"])
    (exif,) = record["metadata"]
    assert (exif["source"], exif["latitude"], exif["longitude"]) == (
        "EXIF",
        pytest.approx(-33.87),
        pytest.approx(151.21),
    )
    assert exif["distance_km"] == pytest.approx(distance_km(point, (-33.87, 151.21)), abs=0.01)


def test_a_run_of_the_synthetic_planet_warns(photo, tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "synthetic": True}))
    (answer,) = run_infer([photo], run, tmp_path / "out")
    warning = "trained on the synthetic demo planet: its answers about real photographs mean nothing"
    assert warning in answer["warnings"]
    for name in ("predictions.csv", "predictions.geojson"):
        assert warning in (tmp_path / "out" / name).read_text()


def test_tables_and_geojson_say_the_same_as_the_json(tiny, tiny_run, tmp_path):
    records = run_infer([tiny / "images"], tiny_run, tmp_path / "out")
    assert len(records) == 60
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    places = geopandas.read_file(tmp_path / "out" / "predictions.geojson")
    assert places.crs.to_epsg() == 4326
    assert [row["input"] for row in rows] == [record["path"] for record in records]
    assert list(places["input"]) == [record["input"] for record in records]
    for row, geometry, record in zip(rows, places.geometry, records, strict=True):
        assert (float(row["latitude"]), float(row["longitude"])) == (record["latitude"], record["longitude"])
        assert (geometry.y, geometry.x) == pytest.approx((record["latitude"], record["longitude"]))
        assert row["L8_cell"] == record["levels"][-1]["cells"][0]["id"]
        assert row["place"] == record["place"]["name"]
        assert row["exif_latitude"] == ""


def test_what_is_not_known_is_null_in_geojson(photo, tiny_run, tmp_path):
    run_infer([photo], tiny_run, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "predictions.geojson").read_text())
    assert content["features"][0]["properties"]["exif_latitude"] is None


def test_no_answers_are_an_empty_table_and_an_empty_collection():
    assert as_csv([]).strip() == "input"
    assert as_geojson([]) == {"type": "FeatureCollection", "features": []}


@pytest.mark.parametrize("fusion", ["chain", "product", "greedy"])
@pytest.mark.parametrize("point", ["top", "mean", "median", "geoscore"])
def test_every_fusion_and_every_point_answers(photo, tiny_run, tmp_path, fusion, point):
    (record,) = run_infer([photo], tiny_run, tmp_path / "out", fusion=fusion, point=point)
    assert record["point_method"] == point
    if point == "top" and fusion == "chain":
        best = record["levels"][-1]["cells"][0]
        assert (record["latitude"], record["longitude"]) == pytest.approx(
            (best["latitude"], best["longitude"]), abs=1e-4
        )


def test_each_photograph_has_a_page_and_a_picture(photo, tiny_run, tmp_path):
    out = tmp_path / "out"
    run_infer([photo], tiny_run, out, maps=True)
    assert {path.name for path in out.iterdir()} == {
        *("predictions.json", "predictions.csv", "predictions.geojson", "red.html", "red.png")
    }
    assert "<html" in (out / "red.html").read_text()[:400].lower()
    with Image.open(out / "red.png") as picture:
        assert min(picture.size) > 200


def test_two_photographs_of_one_name_have_a_map_each(photo, tiny_run, tmp_path):
    other = photo.parent / "further" / "red.png"
    other.parent.mkdir()
    Image.new("RGB", (9, 9), (10, 10, 200)).save(other)
    out = tmp_path / "out"
    assert len(run_infer([photo, other], tiny_run, out, maps=True)) == 2
    assert {path.name for path in out.glob("*.png")} == {"red.png", "red-2.png"}


def test_names_of_maps_are_unique_whatever_photographs_are_called(tmp_path):
    photos = [tmp_path / name for name in ("a.jpg", "b/a.jpg", "a-2.jpg", "A.png", "c/a-2.jpg", ".jpg", "b/a.b.jpg")]
    names = unique_names(photos)
    assert len({name.lower() for name in names.values()}) == len(photos)
    assert [names[path] for path in photos[:2]] == ["a", "a-2"]


def test_pictures_of_every_kind_are_read(tiny_run, tmp_path):
    (tmp_path / "in").mkdir()
    odd = odd_pictures(tmp_path / "in")
    assert len(odd) == 7
    records = run_infer([tmp_path / "in"], tiny_run, tmp_path / "out", maps=True)
    assert [record["path"] for record in records] == [str(path) for path in odd]


def test_each_file_that_cannot_be_read_is_one_line(photo, tiny_run, tmp_path, caplog, capsys):
    bad = unreadable_files(tmp_path / "bad")
    records = run_infer([*bad, photo], tiny_run, tmp_path / "out", batch_size=2)
    assert [record["path"] for record in records] == [str(photo)]
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith("left out: ")]
    assert len(lines) == 3
    for path, line in zip(bad, lines, strict=True):
        assert str(path) in line
        assert "\n" not in line
    assert "1 of 4 answered (3 could not be read" in capsys.readouterr().out


def test_when_nothing_can_be_read_nothing_is_written(tiny_run, tmp_path):
    bad = unreadable_files(tmp_path / "bad")
    with pytest.raises(ValueError, match=r"no photograph could be read \(3 files\), so"):
        run_infer(bad, tiny_run, tmp_path / "out", maps=True)
    assert not (tmp_path / "out").exists()


def test_answers_that_are_there_survive_a_failing_run(photo, tiny_run, tmp_path):
    run_infer([photo], tiny_run, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(ValueError, match=r"no photograph could be read \(3 files"):
        run_infer(unreadable_files(tmp_path / "bad"), tiny_run, tmp_path / "out")
    assert before == {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_a_folder_is_searched_and_a_file_is_taken_as_it_is(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("b/2.JPG", "b/1.jpeg", "a.png", "b/notes.txt"):
        write_square(tmp_path / name, (1, 2, 3), rng)
    found = [photo.path for photo in find_photos([tmp_path, tmp_path / "b/notes.txt", tmp_path / "a.png"])]
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.png", "b/1.jpeg", "b/2.JPG", "b/notes.txt"]


def test_a_folder_without_pictures_and_a_path_that_is_not_there_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no pictures \(.*\.jpg"):
        find_photos([tmp_path])
    with pytest.raises(ValueError, match="there is no file or folder"):
        find_photos([tmp_path / "gone.jpg"])


def test_a_dataset_folder_is_answered_with_what_it_knows_of_the_truth(tiny):
    photos = find_photos([tiny], "test")
    assert len(photos) == 12
    assert all(distance_km(p.truth_deg, PLACES[p.path.stem.rsplit("-", 1)[0]][:2]) < 150 for p in photos)


def test_batches_and_workers_change_no_answer(tiny, tiny_run, tmp_path):
    one = run_infer([tiny / "images", tiny], tiny_run, tmp_path / "a", batch_size=64)
    other = run_infer([tiny / "images", tiny], tiny_run, tmp_path / "b", batch_size=7)
    for first, second in zip(one, other, strict=True):
        assert first["input"] == second["input"]
        assert first["latitude"] == pytest.approx(second["latitude"], abs=1e-3)
        assert first["longitude"] == pytest.approx(second["longitude"], abs=1e-3)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"photos": ()}, "no photographs given"),
        ({"mass": 0}, "--mass is a share above 0, at most 1, got 0"),
        ({"mass": 1.1}, "--mass is a share"),
        ({"top": 0}, "must be 1 or more"),
        ({"batch_size": 0}, "must be 1 or more"),
        ({"workers": -1}, "0 or more"),
    ],
)
def test_flags_that_cannot_work_are_refused(tmp_path, flags, complaint):
    with pytest.raises(ValueError, match=complaint):
        InferConfig(**{"photos": (tmp_path,), "run": tmp_path, **flags})


def test_a_network_that_answers_no_number_is_not_hidden(photo, tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    network, spec = load_network(run / "joint.safetensors")
    with torch.no_grad():
        network.heads["L1"].bias.fill_(torch.nan)
    save_network(run / "joint.safetensors", network, spec, {})
    with pytest.raises(
        ValueError, match=r"joint\.safetensors is damaged .*heads\.L1\.bias has NaN or infinite weights"
    ):
        run_infer([photo], run, tmp_path / "out")
