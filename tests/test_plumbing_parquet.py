"""Parquet files from anywhere are read as plain columns, or refused in one line."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbing.parquet import read_columns


@pytest.mark.parametrize(
    "noted", [b"{", b"{}", b'{"index_columns": ["gone"], "columns": [], "column_indexes": []}', b"\xff", b"[1]"]
)
def test_what_pandas_noted_cannot_end_a_command(tmp_path, noted):
    table = pa.table({"id": ["a", "b"]}).replace_schema_metadata({b"pandas": noted})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_columns(tmp_path / "a.parquet").to_pandas()["id"].tolist() == ["a", "b"]


def test_an_index_of_pandas_stays_a_column(tmp_path):
    pd.DataFrame({"id": ["a"], "x": [1]}).set_index("id").to_parquet(tmp_path / "a.parquet")
    assert set(read_columns(tmp_path / "a.parquet").column_names) == {"id", "x"}


def test_only_wanted_columns_are_read_each_once(tmp_path):
    pq.write_table(pa.table({"id": ["a"], "x": [1], "y": [2]}), tmp_path / "a.parquet")
    assert read_columns(tmp_path / "a.parquet", ["y", "id", "gone"]).column_names == ["id", "y"]


def test_two_columns_of_one_name_are_refused(tmp_path):
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet cannot be read \(.+\): make it again"):
        read_columns(tmp_path / "a.parquet")


def test_a_small_file_of_a_billion_rows_is_refused_before_it_is_read(tmp_path):
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(3_000_000, dtype=np.int8)), pa.array(["a"]))
    pq.write_table(pa.table({"id": column}), tmp_path / "a.parquet", compression="zstd")
    assert (tmp_path / "a.parquet").stat().st_size < 3_000_000 / 32
    with pytest.raises(ValueError, match="it says that it has 3,000,000 rows in"):
        read_columns(tmp_path / "a.parquet")


@given(st.binary(max_size=200), st.integers(0, 2**31))
def test_damage_anywhere_is_one_line_that_names_the_file(tmp_path_factory, noise, place):
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    pq.write_table(pa.table({"id": ["a", "b"], "x": [1.0, None]}), path)
    content = bytearray(path.read_bytes())
    place %= len(content)
    content[place : place + len(noise)] = noise
    path.write_bytes(content)
    said = str(path)
    try:
        read_columns(path)
    except ValueError as error:
        said = str(error)
    assert str(path) in said
    assert "\n" not in said


def test_metadata_that_is_not_text_is_left_alone(tmp_path):
    table = pa.table({"id": ["a"]}).replace_schema_metadata({b"about": json.dumps({"x": 1}).encode()})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_columns(tmp_path / "a.parquet").schema.metadata is None
