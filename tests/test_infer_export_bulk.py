import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import infer
from dataset.manifest import read_manifest
from fetch import pack
from fetch.config import PackConfig
from geocells.sphere import distance_km
from infer.__main__ import predict
from infer.config import InferConfig
from infer.export import bulk
from infer.model import TEMPERATURES, load_model
from infer.place_names import nearest_places
from plumbing.files import read_json, write_json

ROOT = Path(__file__).parent.parent


def answered(photos: Path, run: Path, out: Path, **flags) -> pd.DataFrame:
    of_dataset = {"split": "all"} if photos.is_dir() else {}
    predict(InferConfig(photos=(photos,), run=run, out=out, bulk=True, device="cpu", workers=0, **of_dataset, **flags))
    return pd.read_parquet(out)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "PART", 7)


def test_every_photograph_has_one_row_with_a_place_and_a_cell_of_each_level(tiny, tiny_run, tmp_path) -> None:
    table = answered(tiny, tiny_run, tmp_path / "out")
    assert len(table) == table["input"].nunique() == 60
    assert table["latitude"].between(-90, 90).all()
    assert table["longitude"].between(-180, 180).all()
    assert {"L1_cell", "L3_cell", "L5_cell", "L8_cell"} <= set(table)
    assert table["L8_confidence"].isna().all()  # This run is not calibrated.


def test_rows_name_the_town_nearest_to_the_point_and_its_country_within_the_area_that_is_left(tiny, tiny_run, tmp_path):
    table = answered(tiny, tiny_run, tmp_path / "out", limit=20)
    for row in table.itertuples():
        (town,) = nearest_places(np.array([[row.latitude, row.longitude]]))
        assert (row.place, row.country_code, row.country) == (town["name"], town["country_code"], town["country"])
    code = table["country_code"][0]
    elsewhere = answered(tiny, tiny_run, tmp_path / "other", limit=20, exclude=(code,))
    assert code not in set(elsewhere["country_code"])
    assert elsewhere["country"].notna().all()


def test_known_places_of_a_dataset_stand_beside_the_answers_with_their_distance(tiny, tiny_run, tmp_path) -> None:
    table = answered(tiny, tiny_run, tmp_path / "out").set_index("id")
    photos = read_manifest(tiny).set_index("id").loc[table.index]
    np.testing.assert_array_equal(table[["known_latitude", "known_longitude"]], photos[["latitude", "longitude"]])
    away = distance_km(table[["latitude", "longitude"]].to_numpy(), photos[["latitude", "longitude"]].to_numpy())
    np.testing.assert_allclose(table["known_distance_km"], away, atol=1e-3)
    loose = answered(next(tiny.rglob("*.jpg")), tiny_run, tmp_path / "one")
    assert loose[["known_latitude", "known_longitude", "known_distance_km"]].isna().all().all()


def test_rows_of_a_calibrated_run_have_its_confidence(tiny, calibrated, tmp_path) -> None:
    table = answered(tiny, calibrated, tmp_path / "out", limit=5)
    model = infer.load(calibrated, "cpu")
    for row in table.itertuples():
        assert row.L8_confidence == pytest.approx(model.predict(row.input).levels["L8"].confidence, abs=1e-3)


def test_several_processes_answer_every_photograph_once_and_as_one_would(
    tiny, tiny_run, tmp_path, monkeypatch, small_parts
) -> None:
    alone = answered(tiny, tiny_run, tmp_path / "alone").sort_values("input", ignore_index=True)
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in ("0", "1", "2"):
        monkeypatch.setenv("RANK", rank)
        together = answered(tiny, tiny_run, tmp_path / "together")
    together = together.sort_values("input", ignore_index=True)
    pd.testing.assert_frame_equal(together, alone, rtol=1e-4, atol=1e-4)


def test_parts_that_are_there_are_not_made_again(tiny, tiny_run, tmp_path, small_parts) -> None:
    out = tmp_path / "out"
    answered(tiny, tiny_run, out)
    parts = sorted(out.glob("*.parquet"))
    assert len(parts) == 9
    parts[4].unlink()
    before = {path: path.stat().st_mtime_ns for path in parts if path.exists()}
    assert len(answered(tiny, tiny_run, out)) == 60
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_answers_of_other_photographs_are_not_mixed(tiny, tiny_run, tmp_path) -> None:
    answered(tiny, tiny_run, tmp_path / "out")
    with pytest.raises(ValueError, match="choose another --out"):
        answered(tiny, tiny_run, tmp_path / "out", limit=5)


def test_answers_of_other_temperatures_are_not_mixed(tiny, tiny_run, tmp_path) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    answered(tiny, run, tmp_path / "out", fusion="chain", point="top")
    record = {"model_hash": load_model(run, torch.device("cpu")).hash, "fusion": "chain", "point": "top"}
    write_json(run / TEMPERATURES, {**record, "temperatures": {"chain": {"L3": 2.0}}})
    with pytest.raises(ValueError, match="holds answers of other photographs or flags"):
        answered(tiny, run, tmp_path / "out", fusion="chain", point="top")


def test_a_packed_dataset_without_its_files_is_answered_alike(tiny, tiny_run, tmp_path) -> None:
    pack.run(PackConfig(data=tiny, out=tmp_path / "packed"))
    from_files = answered(tiny, tiny_run, tmp_path / "a").sort_values("id", ignore_index=True)
    from_shards = answered(tmp_path / "packed", tiny_run, tmp_path / "b").sort_values("id", ignore_index=True)
    columns = ["id", "latitude", "longitude", "L8_cell"]
    pd.testing.assert_frame_equal(from_files[columns], from_shards[columns])


def test_a_table_of_paths_is_answered_and_an_unreadable_file_keeps_its_row_and_reason(tiny, tiny_run, tmp_path) -> None:
    photo = next(tiny.rglob("*.jpg"))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    pd.DataFrame({"image_path": [str(photo), "broken.jpg"]}).to_csv(tmp_path / "photos.csv", index=False)
    table = answered(tmp_path / "photos.csv", tiny_run, tmp_path / "out").set_index("input")
    assert table.loc[str(photo), "problem"] is None or pd.isna(table.loc[str(photo), "problem"])
    assert "not a picture" in table.loc[str(tmp_path / "broken.jpg"), "problem"]
    assert pd.isna(table.loc[str(tmp_path / "broken.jpg"), "latitude"])


def test_missing_and_broken_files_are_counted_by_kind_also_when_their_rows_are_there_already(
    tiny, tiny_run, tmp_path, caplog
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    photo = str(next(tiny.rglob("*.jpg")))
    pd.DataFrame({"file": [photo, "gone.jpg", "broken.jpg", "lost.jpg"]}).to_csv(tmp_path / "p.csv", index=False)
    caplog.set_level(logging.INFO)
    for again in ("", "; 4 of them by an earlier run of the command"):
        caplog.clear()
        answered(tmp_path / "p.csv", tiny_run, tmp_path / "out")
        (last,) = [found.getMessage() for found in caplog.records if "photographs answered" in found.getMessage()]
        assert "out: 1 of 4 photographs answered; 3 could not be read (column problem): 2 missing (first: " in last
        assert "gone.jpg: no such file), 1 not a picture (" in last
        assert last.count(again or "already") == (1 if again else 0)


def test_a_table_of_missing_files_is_refused_and_leaves_nothing(tiny, tiny_run, tmp_path) -> None:
    pd.DataFrame({"file": ["gone.jpg", "lost.jpg"]}).to_csv(tmp_path / "photos.csv", index=False)
    with pytest.raises(
        ValueError, match=r"no photograph could be read, .* \(2 tried\): 2 missing \(first: .*gone.jpg: no such file"
    ):
        answered(tmp_path / "photos.csv", tiny_run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    for name in ("gone.jpg", "lost.jpg"):
        shutil.copy(next(tiny.rglob("*.jpg")), tmp_path / name)
    assert len(answered(tmp_path / "photos.csv", tiny_run, tmp_path / "out")) == 2


def test_a_table_without_paths_is_refused(tiny_run, tmp_path) -> None:
    pd.DataFrame({"what": ["a tower"]}).to_csv(tmp_path / "photos.csv", index=False)
    with pytest.raises(ValueError, match="has no column that names pictures"):
        answered(tmp_path / "photos.csv", tiny_run, tmp_path / "out")


def test_a_table_is_answered_with_and_without_bulk_and_its_places_stand_beside_the_answers(
    tiny, tiny_run, tmp_path
) -> None:
    photo = next(tiny.rglob("*.jpg"))
    (tmp_path / "p0.jpg").write_bytes(photo.read_bytes())
    (tmp_path / "photos.csv").write_text(
        "Dateiname;Breite;Länge\nC:\\Bilder\\p0.jpg;48,8566;2,3522 O\n;1;3 W\n", encoding="utf-8"
    )
    found = answered(tmp_path / "photos.csv", tiny_run, tmp_path / "many")
    assert found["input"].tolist() == [str(tmp_path / "p0.jpg")]
    assert found[["known_latitude", "known_longitude"]].values.tolist() == [[48.8566, 2.3522]]
    predict(
        InferConfig(photos=(tmp_path / "photos.csv",), run=tiny_run, out=tmp_path / "one", device="cpu", maps=False)
    )
    one = pd.read_csv(tmp_path / "one" / "predictions.csv")
    assert one[["known_latitude", "known_longitude"]].values.tolist() == [[48.8566, 2.3522]]


def test_places_of_a_table_that_cannot_be_read_are_said_and_its_photographs_answered(
    tiny, tiny_run, tmp_path, caplog
) -> None:
    photo = next(tiny.rglob("*.jpg"))
    (tmp_path / "photos.csv").write_text(f"path,lat,lon\n{photo},somewhere,2\n")
    found = answered(tmp_path / "photos.csv", tiny_run, tmp_path / "out")
    assert found["known_latitude"].isna().all()
    assert found["latitude"].notna().all()
    assert "'somewhere' (row 0)" in caplog.text


def test_an_interrupted_answering_goes_on_with_any_number_of_processes(
    tiny, tiny_run, tmp_path, monkeypatch, small_parts
) -> None:
    alone = answered(tiny, tiny_run, tmp_path / "alone")
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "1")
    first = answered(tiny, tiny_run, tmp_path / "out")
    assert 0 < len(first) < 60
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    pd.testing.assert_frame_equal(answered(tiny, tiny_run, tmp_path / "out"), alone, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_two_processes_at_once_answer_every_photograph_once(tiny, tiny_run, tmp_path) -> None:
    out = tmp_path / "out"
    flags = [str(tiny), "--run", str(tiny_run), "--out", str(out), "--split", "all", "--bulk", "--device", "cpu"]
    code = "from infer.export import bulk; from infer.config import InferConfig; from plumbing.config import command\n"
    code += "bulk.PART = 7; command(InferConfig, 'infer', 'infer.predict:main')"
    ranks = [{"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)} for rank in range(2)]
    started = [
        subprocess.Popen([sys.executable, "-c", code, *flags], cwd=ROOT, env={**os.environ, **rank}) for rank in ranks
    ]
    assert [process.wait() for process in started] == [0, 0]
    table = pd.read_parquet(out)
    assert sorted(table["id"]) == sorted(read_manifest(tiny)["id"])
    assert sorted(path.name for path in out.iterdir())[0] == "_bulk.json"


def test_rows_keep_the_order_and_the_ids_of_the_manifest_and_say_what_is_to_be_known(tiny, tiny_run, tmp_path) -> None:
    table = answered(tiny, tiny_run, tmp_path / "out")
    photos = read_manifest(tiny)
    assert table["id"].tolist() == photos["id"].tolist()
    assert table["input"].tolist() == [str(tiny / path) for path in photos["path"]]
    (warnings,) = table["warnings"].unique()
    assert warnings.startswith("A hypothesis, not proof; not calibrated: ")


def test_answers_are_those_of_the_files_that_people_open(tiny, tiny_run, tmp_path) -> None:
    table = answered(tiny, tiny_run, tmp_path / "bulk", limit=5)
    predict(
        InferConfig(
            photos=(tiny,), run=tiny_run, out=tmp_path, device="cpu", workers=0, split="all", limit=5, maps=False
        )
    )
    people = pd.read_csv(tmp_path / "predictions.csv")
    assert people["input"].tolist() == table["input"].tolist()
    assert people["L8_cell"].tolist() == table["L8_cell"].tolist()
    np.testing.assert_allclose(people[["latitude", "longitude"]], table[["latitude", "longitude"]], atol=1e-4)


def test_what_is_known_of_the_place_narrows_every_answer(tiny, tiny_run, tmp_path) -> None:
    table = answered(tiny, tiny_run, tmp_path / "out", within=("FR",))
    assert table["L8_cell"].nunique() == 1
    assert table["warnings"].str.contains(r"the model itself put .* inside France \(within FR\)").all()
    with pytest.raises(ValueError, match="choose another --out"):
        answered(tiny, tiny_run, tmp_path / "out")


def test_several_datasets_in_files_and_in_shards_are_answered_together(tiny, tiny_run, tmp_path) -> None:
    pack.run(PackConfig(data=tiny, out=tmp_path / "packed"))
    predict(
        InferConfig(
            photos=(tmp_path / "packed", next(tiny.rglob("*.jpg")), tiny, tmp_path / "packed"),
            run=tiny_run,
            out=tmp_path / "out",
            bulk=True,
            device="cpu",
            workers=0,
            split="calibration",
        )
    )
    table = pd.read_parquet(tmp_path / "out")
    packed, alone, files, again = table[:12], table[12:13], table[13:25], table[25:]
    columns = ["id", "latitude", "longitude", "L8_cell"]
    assert alone["id"].isna().all()
    for other in (files, again):
        pd.testing.assert_frame_equal(
            packed[columns].reset_index(drop=True), other[columns].reset_index(drop=True), rtol=1e-4
        )


def test_flags_of_single_answers_are_refused(tiny, tiny_run) -> None:
    with pytest.raises(ValueError, match="leave out --confidence and --same-place, or --bulk"):
        InferConfig(photos=(tiny,), run=tiny_run, bulk=True, same_place=True, confidence=0.5)


def test_a_packed_dataset_can_be_answered_one_by_one_with_its_pictures_beside_the_maps(
    tiny, tiny_run, tmp_path
) -> None:
    pack.run(PackConfig(data=tiny, out=tmp_path / "packed"))
    out = tmp_path / "out"
    predict(InferConfig(photos=(tmp_path / "packed",), run=tiny_run, out=out, device="cpu", workers=0, limit=2))
    records = read_json(out / "predictions.json")
    assert [record["input"] for record in records] == ["paris-8.jpg", "new-york-8.jpg"]
    for record in records:
        assert Path(record["path"]).read_bytes() == next(tiny.rglob(record["input"])).read_bytes()
        assert (out / f"{Path(record['input']).stem}.html").is_file()


def test_a_shard_cut_short_leaves_its_photographs_out_by_name(tiny, tiny_run, tmp_path, caplog) -> None:
    pack.run(PackConfig(data=tiny, out=tmp_path / "packed"))
    shard = next((tmp_path / "packed" / "shards").glob("test-*.tar"))
    os.truncate(shard, shard.stat().st_size // 2)
    table = answered(tmp_path / "packed", tiny_run, tmp_path / "bulk").set_index("id")
    unread = table["problem"].notna()
    assert 0 < unread.sum() < 12
    assert table.loc[unread, "latitude"].isna().all()
    assert table.loc[unread, "problem"].str.contains("cut short").all()
    predict(
        InferConfig(
            photos=(tmp_path / "packed",), run=tiny_run, out=tmp_path / "out", device="cpu", workers=0, maps=False
        )
    )
    assert "is cut short" in caplog.text
    assert len(read_json(tmp_path / "out" / "predictions.json")) == 12 - unread.sum()
