"""Rows of a table as texts: regular ones are read whole, and a row that would shift or swallow others is refused."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from dataset.tables.headings import columns_of
from plumbing.text import counted

Quoting = Literal[0, 1, 2, 3]
SEPARATORS = "\t;,|"
SAMPLE_ROWS = 200
"""So many whole rows tell which columns are numbers."""


@dataclass(frozen=True)
class _Shape:
    """What the whole rows of a table are like.

    Attributes:
        width: cells of a row.
        numbers: columns in which each cell is a number.
        texts: columns in which no cell is one.
        places: columns of latitudes and longitudes.
    """

    width: int
    numbers: frozenset[int]
    texts: frozenset[int]
    places: frozenset[int]

    def fits(self, cells: Sequence[str]) -> bool:
        """Say whether cells are numbers and texts where those of whole rows are."""
        given = [(column, _is_number(cell)) for column, cell in enumerate(cells[: self.width]) if cell.strip()]
        return all(column not in (self.texts if number else self.numbers) for column, number in given)


def read_rows(text: str, separator: str, path: Path, skipped: int) -> pd.DataFrame:
    """Return all rows as texts, the headings among them.

    Args:
        text: of the table, from its headings on.
        separator: of cells.
        path: names the table in messages.
        skipped: lines above.

    Raises:
        ValueError: a row is longer than the first one, or shorter where that would shift it; or a quote swallows rows.
    """
    quoting: Quoting = csv.QUOTE_MINIMAL
    if separator != " " and (why := _irregular(text, separator, skipped)):
        # Exports of tab-separated tables, such as those of GBIF, quote nothing.
        if separator != "\t" or _irregular(text, separator, skipped, csv.QUOTE_NONE):
            raise ValueError(f"{path} is not a regular table: {why}")
        quoting = csv.QUOTE_NONE
    try:
        # With the headings read as a row, a row longer than they are is an error and not a silent shift of columns.
        mark = r"\s+" if separator == " " else separator
        return pd.read_csv(io.StringIO(text), sep=mark, header=None, dtype=str, keep_default_na=False, quoting=quoting)
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty: there is nothing to import") from None
    except pd.errors.ParserError as error:
        return _longer(text, separator, path, skipped, str(error).strip())


def _longer(text: str, separator: str, path: Path, skipped: int, reason: str) -> pd.DataFrame:
    """Return rows of which some are longer than the first one, where that is harmless.

    Raises:
        ValueError: it is not; a shift of columns would be worse.
    """
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=separator))
    except csv.Error as error:
        raise ValueError(f"{path} is not a regular table ({error})") from None
    width = len(rows[0])
    longer = [(number, row) for number, row in enumerate(rows) if len(row) > width]
    if longer and not any(any(cell.strip() for cell in row[width:]) for _, row in longer):
        return pd.DataFrame([(row + [""] * width)[:width] for row in rows if row], dtype=str)
    whole = [row for row in rows[1:] if row]
    if whole and all(len(row) == width + 1 for row in whole):
        first = [int(row[0]) if row[0].strip().isdecimal() else -1 for row in whole]
        if first == list(range(first[0], first[0] + len(first))) and first[0] in (0, 1):
            # R writes the numbers of rows without a heading.
            return pd.DataFrame([["", *rows[0]], *whole], dtype=str)
    if not longer:
        raise ValueError(f"{path} is not a regular table ({reason})")
    number, row = longer[0]
    line = skipped + number + 1 + sum(cell.count("\n") for before in rows[:number] for cell in before)
    raise ValueError(
        f"{path} is not a regular table: line {line} has {counted(len(row), 'field')}, the first line {width}: put texts that have "
        f"a {separator!r} into quotes" + (", and numbers with decimal commas" if separator == "," else "")
    )


def cells_of(line: str, separator: str) -> list[str]:
    """Return the cells of a line."""
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=separator == " "), [])
    except csv.Error:
        return line.split(separator)


def _irregular(text: str, separator: str, skipped: int, quoting: Quoting = csv.QUOTE_MINIMAL) -> str:
    """Return what is wrong with a short row, or with a quote that swallows rows; empty where nothing is."""
    reader = csv.reader(io.StringIO(text), delimiter=separator, quoting=quoting)
    header: list[str] = []
    whole: list[list[str]] = []
    doubtful: list[tuple[int, int, list[str]]] = []
    before = 0
    try:
        for row in reader:
            if row and not header:
                header = row
            elif len(row) >= len(header) and len(whole) < SAMPLE_ROWS and reader.line_num == before + 1:
                whole.append(row)
            elif (0 < len(row) < len(header) and any(map(str.strip, row))) or reader.line_num > before + 1:
                doubtful.append((before + 1 + skipped, reader.line_num + skipped, row))
            before = reader.line_num
    except csv.Error:  # A cell too long for it; pandas reads it.
        return ""
    if not doubtful:
        return ""
    lines = text.split("\n")
    as_written = [cells for line in lines[1:SAMPLE_ROWS] if len(cells := line.split(separator)) == len(header)]
    shape = _shape(header, whole or as_written)
    for first, last, row in doubtful:
        swallowed = [line for line in lines[first - skipped - 1 : last - skipped] if _is_row(shape, separator, line)]
        if len(swallowed) > 1:
            return f"line {first} opens a quote that is closed in line {last}, with rows between them: close it, or delete it"
        if why := _what(shape, separator, first, row):
            return why
    return ""


def _shape(header: list[str], whole: list[list[str]]) -> _Shape:
    columns: list[list[str]] = [[row[n] for row in whole if row[n].strip()] for n in range(len(header))]
    places = columns_of(header, {})
    return _Shape(
        len(header),
        frozenset(n for n, cells in enumerate(columns) if cells and all(map(_is_number, cells))),
        frozenset(n for n, cells in enumerate(columns) if cells and not any(map(_is_number, cells))),
        frozenset(number for axis in ("latitude", "longitude") for number in places.get(axis, [])[:1]),
    )


def _what(shape: _Shape, separator: str, first: int, row: list[str]) -> str:
    """Return what is wrong with a row that is shorter than the headings; empty where nothing is."""
    if len(row) >= shape.width:
        return ""
    count = f"line {first} has {counted(len(row), 'field')}, the first line {shape.width}"
    if len(row) == 1:
        other = next((mark for mark in SEPARATORS if mark != separator and row[0].count(mark) == shape.width - 1), "")
        return f"{count}: it has {other!r} between its fields in place of {separator!r}" if other else ""
    there = {column for column in shape.places if column < len(row) and row[column].strip()}
    cut = there and any(column >= len(row) for column in shape.places)
    if cut or not shape.fits(row):
        return f"{count}, so that its fields could be those of other columns: complete the line (is the file whole?), or delete it"
    return ""


def _is_row(shape: _Shape, separator: str, line: str) -> bool:
    """Say whether a line, whatever its quotes, is a row: as many cells, and numbers where they belong."""
    cells = line.rstrip("\r").split(separator)
    return bool(shape.numbers) and len(cells) == shape.width and all(_is_number(cells[n]) for n in shape.numbers)


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip().strip('"').rstrip("°").replace(",", "."))
    except ValueError:
        return False
    return True
