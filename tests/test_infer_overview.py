"""What the index of many answers lists, of single answers and of bulk."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infer import overview
from infer.__main__ import predict
from infer.config import InferConfig
from infer.overview import BULK_INDEX, Overview
from infer.photo_files import unique_names
from infer.prediction import Cell, LevelPrediction, Prediction


def answers(*paths):
    return [replace(Prediction.example(), path=path, input=Path(path).name) for path in paths]


def test_each_answer_has_its_page_its_thumbnail_and_how_far_off_it_is(tmp_path):
    many = answers("in/a b.jpg", "in/50%: c.jpg")
    names = unique_names([Path(p.path) for p in many], ("index",))
    (tmp_path / "thumbnails").mkdir()
    (tmp_path / "thumbnails" / "a b.jpg").write_bytes(b"jpeg")
    found = Overview.of(many, names, tmp_path)
    assert found.page == ["./a%20b.html", "./50%25%3A%20c.html"]
    assert found.thumbnail == ["./thumbnails/a%20b.jpg", None]
    assert found.answer == ["India"] * 2
    assert found.away_km.tolist() == [155.7] * 2
    assert found.known_deg.tolist() == [[12.0, 61.0]] * 2
    assert found.confidence.tolist() == [[0.6]] * 2
    assert (found.coverage, found.area_km2.tolist()) == (0.9, [12e6] * 2)
    assert found.notes == ["An example."]


def test_a_photograph_called_index_leaves_the_name_of_the_index_free():
    assert unique_names([Path("Index.jpg"), Path("b.jpg")], ("index",)) == {
        Path("Index.jpg"): "Index-2",
        Path("b.jpg"): "b",
    }


def test_answers_of_countries_without_points_have_the_size_of_their_sets_and_no_area(tmp_path):
    level = {"country": LevelPrediction("country", (Cell("IN", 0.7, None, None, 9, None),), 0.3, 0.6)}
    nowhere = {"levels": level, "answer_level": "country", "latitude": None, "longitude": None, "place": None}
    found = Overview.of([replace(Prediction.example(), **nowhere)] * 2, {Path("photo.jpg"): "photo"}, tmp_path)
    assert [len(one.classes) for one in found.sets] == [2, 2]
    assert found.coverage is None
    assert np.isnan(found.area_km2).all()
    placed = Overview.of([Prediction.example()], {Path("photo.jpg"): "photo"}, tmp_path)
    assert (placed.sets, placed.coverage) == ([None], 0.9)


def test_of_very_many_answers_some_are_listed_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr(overview, "LISTED", 3)
    many = answers(*(f"{k}.jpg" for k in range(9)))
    found = Overview.of(many, unique_names([Path(p.path) for p in many]), tmp_path)
    assert found.name == ["0.jpg", "3.jpg", "6.jpg"]
    assert found.total == 9


def asked(tiny, run, out, **flags):
    predict(InferConfig(photos=(tiny,), run=run, out=out, workers=0, device="cpu", **flags))


def test_pages_of_many_photographs_are_announced_with_the_flags_that_do_without(
    tiny, tiny_run, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr("infer.predict.MANY_PAGES", 1)
    caplog.set_level("INFO")
    asked(tiny, tiny_run, tmp_path / "one", limit=1)
    asked(tiny, tiny_run, tmp_path / "bare", limit=2, maps=False)
    assert "--no-maps" not in caplog.text
    asked(tiny, tiny_run, tmp_path / "two", limit=2)
    assert caplog.text.count("a page is drawn for each of 2 photographs: --no-maps is faster, --bulk") == 1


def test_predict_writes_an_index_of_several_answers_and_none_of_one(tiny, calibrated, tmp_path, capsys):
    asked(tiny, calibrated, tmp_path / "two", limit=2)
    assert "index.html lists them" in capsys.readouterr().out
    html = (tmp_path / "two" / "index.html").read_text()
    pages = sorted(path.name for path in (tmp_path / "two").glob("*.html") if path.name != "index.html")
    assert len(pages) == 2
    for page in pages:
        assert f'"./{page}"' in html
        assert (tmp_path / "two" / "thumbnails" / f"{Path(page).stem}.jpg").stat().st_size < 4096
    asked(tiny, calibrated, tmp_path / "one", limit=1)
    assert not (tmp_path / "one" / "index.html").exists()
    asked(tiny, calibrated, tmp_path / "bare", limit=2, maps=False)
    assert not (tmp_path / "bare" / "index.html").exists()


def test_bulk_lists_its_answers_on_a_page_that_readers_of_its_table_pass_over(tiny, calibrated, tmp_path, monkeypatch):
    out = tmp_path / "out"
    asked(tiny, calibrated, out, bulk=True, split="all")
    table = pd.read_parquet(out)
    assert len(table) == 60
    first = (out / BULK_INDEX).read_bytes()
    found = Overview.of_bulk(sorted(out.glob("*.parquet")), "run")
    assert found.name == [Path(name).name for name in table["input"]]
    np.testing.assert_array_equal(found.points_deg, table[["latitude", "longitude"]])
    np.testing.assert_array_equal(found.away_km, table["known_distance_km"])
    np.testing.assert_array_equal(found.confidence[:, -1], table["L8_confidence"])
    assert all(cell in answer for answer, cell in zip(found.answer, table["L8_cell"], strict=True))
    assert not any("hypothesis" in note for note in found.notes)
    asked(tiny, calibrated, out, bulk=True, split="all")
    assert (out / BULK_INDEX).read_bytes() == first
    monkeypatch.setattr(overview, "LISTED", 10)
    some = Overview.of_bulk(sorted(out.glob("*.parquet")), "run")
    assert (len(some.name), some.total) == (10, 60)


def test_bulk_says_how_many_could_not_be_read(tiny, calibrated, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(next(tiny.rglob("*.jpg")).read_bytes())
    (folder / "b.jpg").write_bytes(b"\xff\xd8\xff torn")
    asked(folder, calibrated, tmp_path / "out", bulk=True)
    found = Overview.of_bulk(sorted((tmp_path / "out").glob("*.parquet")), "run")
    assert found.notes[0] == "1 of 2 photographs could not be read."
    assert found.name == ["a.jpg"]
    assert found.away_km.tolist() == pytest.approx([np.nan], nan_ok=True)
