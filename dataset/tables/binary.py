"""Tables that are not text: Parquet with or without pictures inside, GeoParquet, and workbooks of spreadsheets."""

import io
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dataset.tables.headings import TITLE_LINES, is_known, joined_headings, known_count, known_headings
from plumbing.parquet import plain
from plumbing.text import counted

log = logging.getLogger(__name__)

LEAST_KNOWN = 3
"""A further sheet with so many known headings, such as a file, a latitude and a longitude, has photographs too."""


@dataclass
class EmbeddedPictures:
    """Pictures inside a Parquet file, read a row group at a time.

    Attributes:
        path: the file.
        column: the column of bytes, or of structs with `bytes`, as Hugging Face writes it.
        nested: whether it is the latter.
    """

    path: Path
    column: str
    nested: bool
    _starts: list[int] = field(default_factory=list)
    _group: int = -1
    _pictures: pa.ChunkedArray | None = None

    def read(self, row: int) -> bytes | None:
        """Return the bytes of a row, None where it has none; rows in order read each group once."""
        with pq.ParquetFile(self.path) as file:
            if not self._starts:
                sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
                self._starts = [sum(sizes[:group]) for group in range(len(sizes))]
            group = max(g for g, start in enumerate(self._starts) if start <= row)
            if group != self._group:
                name = f"{self.column}.bytes" if self.nested else self.column
                table = file.read_row_group(group, columns=[name])
                column = table.column(0)
                self._pictures = pa.chunked_array([c.field("bytes") for c in column.chunks]) if self.nested else column
                self._group = group
        assert self._pictures is not None, "read above"
        value: bytes | None = self._pictures[row - self._starts[group]].as_py()
        return value


def read_parquet(path: Path, asked: Iterable[str | None]) -> tuple[pd.DataFrame, EmbeddedPictures | None]:
    """Return the columns of Parquet or GeoParquet that are known or asked for, the others empty, and the pictures inside.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        schema = pq.read_schema(path)
        embedded = _embedded(path, schema)
        wanted = [name for name in schema.names if is_known(name, asked) and not (embedded and embedded.column == name)]
        if embedded is not None and embedded.nested and "path" in [f.name for f in schema.field(embedded.column).type]:
            wanted.append(f"{embedded.column}.path")
        geometry = _geometry(schema)
        if geometry is not None and geometry in wanted:
            return _geo(path, wanted, schema), embedded
        # What pandas noted of an index would hide a column, and may be anything.
        frame = plain(pq.read_table(path, columns=wanted)).to_pandas(integer_object_nulls=True)
    # What damaged files make its readers raise is not a closed list.
    except Exception as error:
        raise ValueError(f"{path} cannot be read as Parquet ({_first_line(error)})") from None
    if embedded is not None and embedded.nested and embedded.column in frame:
        frame[embedded.column] = [(value or {}).get("path") for value in frame[embedded.column]]
    # Columns that are not read still count for the message that lists them.
    return frame.reindex(columns=schema.names), embedded


def _embedded(path: Path, schema: pa.Schema) -> EmbeddedPictures | None:
    for name in schema.names:
        kind = schema.field(name).type
        if pa.types.is_struct(kind) and any(f.name == "bytes" and _is_bytes(f.type) for f in kind):
            return EmbeddedPictures(path, name, nested=True)
    for name in schema.names:
        if _is_bytes(schema.field(name).type) and (
            "picture" in known_headings([name])
            or name.casefold() in ("bytes", "image_bytes", "jpg", "jpeg", "png", "content")
        ):
            return EmbeddedPictures(path, name, nested=False)
    return None


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _geometry(schema: pa.Schema) -> str | None:
    try:
        return str(json.loads((schema.metadata or {})[b"geo"])["primary_column"])
    except (KeyError, ValueError, TypeError):
        return None


def _geo(path: Path, wanted: list[str], schema: pa.Schema) -> pd.DataFrame:
    """Return columns of GeoParquet, its geometry in WGS 84."""
    import geopandas

    try:
        frame = geopandas.read_parquet(path, columns=wanted)
        frame = frame if frame.crs is None or frame.crs.is_geographic else frame.to_crs(4326)
    # Nor is this one.
    except Exception as error:
        raise ValueError(f"{path} cannot be read as GeoParquet ({_first_line(error)})") from None
    return pd.DataFrame(frame.astype(object)).reindex(columns=schema.names)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def read_workbook(content: bytes, path: Path, asked: Iterable[str | None]) -> pd.DataFrame:
    """Return the sheet of a workbook (.xlsx, .xls, .xlsb, .ods) that has the most known headings, below these.

    Rows of further sheets follow where these have the same headings. Hidden sheets are not read.

    Raises:
        ValueError: it cannot be read, the package that reads it is not installed, or sheets of photographs differ.
    """
    try:
        sheets = pd.read_excel(io.BytesIO(content), sheet_name=None, header=None, dtype=object, engine="calamine")
        sheets = _visible(content, sheets)
    except ImportError:
        raise ValueError(
            f"{path} is a workbook: pip install python-calamine, or save the sheet as CSV in UTF-8"
        ) from None
    # What damaged workbooks make their reader raise is not a closed list.
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as a workbook ({str(error).splitlines()[0]}): save the sheet as CSV"
        ) from None
    asked = list(asked)
    best, sheet, line = _best(sheets, asked)
    if len(sheets) > 1:
        log.info(f"{path}: the sheet {sheet!r} is read, of {', '.join(map(repr, sheets))}")
    rows = sheets[sheet]
    if not best:
        shown = ", ".join(str(value) for value in (rows.iloc[0] if len(rows) else []))
        raise ValueError(
            f"{path} has no line of headings such as filename, latitude, longitude; it begins with: {shown[:200]}"
        )
    table = _below(rows, line)
    for other in [name for name in sheets if name != sheet]:
        known, first = _headings(sheets[other], asked)
        if known >= min(best, LEAST_KNOWN):
            more = _below(sheets[other], first)
            if list(more.columns) != list(table.columns):
                raise ValueError(
                    f"{path} has photographs in the sheets {sheet!r} and {other!r}, under other headings: save each as CSV, and "
                    "import one, or give both the same headings"
                )
            log.info(
                f"{path}: the sheet {other!r} has the same headings, and its {counted(len(more), 'row', 'follow')}"
            )
            table = pd.concat([table, more], ignore_index=True)
    return table.map(_cell).astype(object)


def _below(rows: pd.DataFrame, line: int) -> pd.DataFrame:
    """Return the rows of a sheet below its line of headings, which may go on in the next one."""
    headings = ["" if pd.isna(value) else str(value).strip() for value in rows.iloc[line]]
    joined = joined_headings(headings, rows.iloc[line + 1]) if len(rows) > line + 1 else headings
    below = rows.iloc[line + (1 if joined == headings else 2) :].set_axis(joined, axis=1)
    return below.loc[
        :, [bool(name) or bool(below.iloc[:, n].notna().any()) for n, name in enumerate(joined)]
    ].reset_index(drop=True)


def _visible(content: bytes, sheets: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the sheets that are not hidden; all, where all are or their reader does not tell."""
    from python_calamine import CalamineWorkbook, SheetVisibleEnum

    about = CalamineWorkbook.from_filelike(io.BytesIO(content)).sheets_metadata
    hidden = {sheet.name for sheet in about if sheet.visible != SheetVisibleEnum.Visible}
    return {name: rows for name, rows in sheets.items() if name not in hidden} or sheets


def _best(sheets: dict[str, pd.DataFrame], asked: list[str | None]) -> tuple[int, str, int]:
    """Return how many headings are known in which line of which sheet, the first of the best."""
    found = [(*_headings(rows, asked), name) for name, rows in sheets.items()]
    known, line, sheet = max(found, key=lambda one: one[0], default=(0, 0, next(iter(sheets))))
    return known, sheet, line


def _headings(rows: pd.DataFrame, asked: list[str | None]) -> tuple[int, int]:
    """Return how many headings are known in the line of a sheet that has the most, and which it is."""
    lines = [[value for value in rows.iloc[line] if not pd.isna(value)] for line in range(min(TITLE_LINES, len(rows)))]
    known = [known_count(line, asked) for line in lines]
    return max(((count, line) for line, count in enumerate(known)), key=lambda one: (one[0], -one[1]), default=(0, 0))


def _cell(value: object) -> object:
    """Return a cell as it would stand in CSV."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return None if value is None or value != value else value
