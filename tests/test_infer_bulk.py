from pathlib import Path

import pandas as pd
import pytest

from fetch import pack
from fetch.config import PackConfig
from infer import bulk, session
from infer.config import InferConfig


def answered(photos: Path, run: Path, out: Path, **flags) -> pd.DataFrame:
    session.main(
        InferConfig(photos=(photos,), run=run, out=out, bulk=True, device="cpu", workers=0, split="all", **flags)
    )
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
    assert (table["L8_probability"] <= table["L1_probability"] + 1e-6).all()


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


def test_a_packed_dataset_without_its_files_is_answered_alike(tiny, tiny_run, tmp_path) -> None:
    pack.run(PackConfig(data=tiny, out=tmp_path / "packed"))
    from_files = answered(tiny, tiny_run, tmp_path / "a").sort_values("L8_probability", ignore_index=True)
    from_shards = answered(tmp_path / "packed", tiny_run, tmp_path / "b").sort_values(
        "L8_probability", ignore_index=True
    )
    columns = ["latitude", "longitude", "L8_cell", "L8_probability"]
    pd.testing.assert_frame_equal(from_files[columns], from_shards[columns])


def test_a_table_of_paths_is_answered_and_an_unreadable_file_keeps_its_row_and_reason(tiny, tiny_run, tmp_path) -> None:
    photo = next(tiny.rglob("*.jpg"))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    pd.DataFrame({"image_path": [str(photo), "broken.jpg"]}).to_csv(tmp_path / "photos.csv", index=False)
    table = answered(tmp_path / "photos.csv", tiny_run, tmp_path / "out").set_index("input")
    assert table.loc[str(photo), "problem"] is None or pd.isna(table.loc[str(photo), "problem"])
    assert "not a picture" in table.loc[str(tmp_path / "broken.jpg"), "problem"]
    assert pd.isna(table.loc[str(tmp_path / "broken.jpg"), "latitude"])


def test_a_table_without_paths_is_refused(tiny_run, tmp_path) -> None:
    pd.DataFrame({"picture": ["a.jpg"]}).to_csv(tmp_path / "photos.csv", index=False)
    with pytest.raises(ValueError, match="has no column of paths"):
        answered(tmp_path / "photos.csv", tiny_run, tmp_path / "out")


def test_without_bulk_a_table_is_a_file_that_is_no_photograph(tiny, tiny_run, tmp_path, caplog) -> None:
    photo = next(tiny.rglob("*.jpg"))
    pd.DataFrame({"path": [str(photo)]}).to_csv(tmp_path / "index.csv", index=False)
    given = (photo, tmp_path / "index.csv")
    session.main(InferConfig(photos=given, run=tiny_run, out=tmp_path / "out", device="cpu", maps=False))
    assert "index.csv: not a picture that can be read" in caplog.text
