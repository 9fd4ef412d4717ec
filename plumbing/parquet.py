"""Parquet files from anywhere: read as plain columns, or refused in one line."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from plumbing.text import counted

ROWS_A_BYTE, SMALL = 32, 2_000_000
"""A file of more rows than `SMALL` that has more of them than `ROWS_A_BYTE` for each of its bytes holds nothing but repetition."""


def read_columns(
    source: Path | IO[bytes], columns: Sequence[str] | None = None, again: str = "make it again"
) -> pa.Table:
    """Read the columns of a Parquet file that it has of those wanted, all when None.

    What pandas and others noted in its metadata is ignored: it could name columns that are not there, or be anything.

    Args:
        source: a file, or one that is open.
        columns: names.
        again: what the message tells to do.

    Raises:
        ValueError: it cannot be read; the message names it.
    """
    name = source if isinstance(source, Path) else getattr(source, "name", "the table")
    try:
        size = source.stat().st_size if isinstance(source, Path) else 0
        with pq.ParquetFile(source) as file:
            rows, there = file.metadata.num_rows, file.schema_arrow.names
            if rows > SMALL and size and rows > ROWS_A_BYTE * size:
                raise ValueError(f"it says that it has {rows:,} rows in {counted(size, 'byte')}")
            table = file.read([column for column in dict.fromkeys(there) if columns is None or column in columns])
            return plain(table)
    except MemoryError:
        raise ValueError(f"{name} cannot be read (it does not fit into memory): {again}") from None
    # Damaged files raise errors of Arrow, the system, and of whoever reads their metadata.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{name} cannot be read ({reason}): {again}") from None


def plain(table: pa.Table) -> pa.Table:
    """Return a table without metadata, and without types that only other programs know.

    Raises:
        ValueError: two of its columns have one name.
    """
    if len(set(table.column_names)) < len(table.column_names):
        raise ValueError("it has two columns of one name")
    columns = [
        column.cast(column.type.storage_type) if isinstance(column.type, pa.BaseExtensionType) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)
