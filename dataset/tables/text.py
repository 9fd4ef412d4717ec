"""CSV and its relatives: any separator, encoding and title lines, with a line of headings or without one."""

import logging
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from dataset.degrees import read_degrees
from dataset.tables.code_pages import SAMPLE_BYTES, decoded
from dataset.tables.flags import PACKED
from dataset.tables.headings import TITLE_LINES, joined_headings, known_count
from dataset.tables.rows import SEPARATORS, cells_of, read_rows
from plumbing.picture_kinds import PICTURE_SUFFIXES
from plumbing.text import agreeing, counted

log = logging.getLogger(__name__)

PACKED_MARKS = ((b"\x1f\x8b", PACKED[".gz"]), (b"BZh", PACKED[".bz2"]), (b"\xfd7zXZ\0", PACKED[".xz"]))
_SEP_LINE = re.compile(r'"?sep=(.)"?[;,\t]*', re.IGNORECASE)


def content_of(path: Path) -> bytes:
    """Return the content of a file, unpacked where it is compressed.

    Raises:
        ValueError: it cannot be unpacked.
    """
    try:
        with path.open("rb") as file:
            start = file.read(6)
        # Browsers unpack or rename what they download.
        opener = next(
            (opener for mark, opener in PACKED_MARKS if start.startswith(mark)), PACKED.get(path.suffix.lower())
        )
        if opener is None:
            return path.read_bytes()
        with opener(path, "rb") as file:
            return bytes(file.read())
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise ValueError(f"{path} cannot be unpacked ({error}): is the file whole?") from None


def read_text(content: bytes, path: Path, asked: Iterable[str | None]) -> pd.DataFrame:
    """Return the rows of a table as texts, under its headings, or `column 1` and so on where it has none.

    Raises:
        ValueError: it is not regular, is empty, or nothing tells which column is what.
    """
    text = decoded(content, path)
    if not text.strip():
        raise ValueError(f"{path} is empty: there is nothing to import")
    if "\n" not in text:
        text = text.replace("\r", "\n")
    text = _unwrapped(text)
    given = [name for name in asked if name is not None]
    separator, first, has_headings = _layout(text, given)
    lines = text.split("\n", first) if first else [text]
    body = lines[first] if len(lines) > first else ""
    rows = read_rows(body, separator, path, first)
    if not has_headings:
        return _without_headings(rows, path, given)
    headings = [str(name).strip() for name in rows.iloc[0]]
    joined = joined_headings(headings, rows.iloc[1]) if len(rows) > 1 else headings
    rows = rows.iloc[1 if joined == headings else 2 :]
    again = (rows.map(str.strip) == headings).all(axis=1)
    if again.any():
        log.info(
            f"{path}: {counted(int(again.sum()), 'row', 'repeat')} the headings and {agreeing(int(again.sum()), 'are')} skipped"
        )
    return rows[~again].set_axis(joined, axis=1).reset_index(drop=True)


def _unwrapped(text: str) -> str:
    """Return a text whose every line was put into quotes as a whole, as spreadsheets do with one column, without these."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    given = [line for line in lines if line.strip()]
    if not all(len(line) > 2 and line[0] == line[-1] == '"' for line in given):
        return text
    cells = [cells_of(line, ",") if line.strip() else [""] for line in lines]
    if not all(len(row) == 1 and (not row[0] or any(mark in row[0] for mark in SEPARATORS)) for row in cells):
        return text
    return "\n".join(row[0] for row in cells)


def _layout(text: str, asked: Sequence[str]) -> tuple[str, int, bool]:
    """Return the separator of a table, its first line, and whether that has the headings."""
    lines = [line.rstrip("\r") for line in text[:SAMPLE_BYTES].split("\n")]
    start = 0
    separators: Sequence[str] = SEPARATORS
    if given := _SEP_LINE.fullmatch(lines[0].strip(" \ufeff")):
        start, separators = 1, [given[1]]
    elif not any(separator in line for line in lines[:TITLE_LINES] for separator in SEPARATORS):
        separators = [*SEPARATORS, " "]
    best = (0, 0, separators[0], start)
    for number, line in enumerate(lines[start : start + TITLE_LINES], start):
        for separator in separators:
            cells = cells_of(line, separator)
            known = known_count(cells, asked)
            # Words of a title line may be headings too; those of a line with several cells are.
            if known and (len(cells) > 1 or len(lines) == start + 1 or _alone(line, lines, number)):
                best = max(
                    best, (known, len(cells), separator, number), key=lambda found: (found[0], -found[3], found[1])
                )
    if best[0]:
        return best[2], best[3], True
    return _regular(lines[start:], separators), start, False


def _alone(line: str, lines: Sequence[str], number: int) -> bool:
    """Say whether a single cell heads a table of one column."""
    following = [other for other in lines[number + 1 : number + 6] if other.strip()]
    return bool(following) and not any(separator in other for other in following for separator in "\t;|")


def _regular(lines: Sequence[str], separators: Sequence[str]) -> str:
    """Return the separator that cuts the most lines into equally many cells, more than one."""

    def score(separator: str) -> tuple[float, int]:
        widths = Counter(len(cells_of(line, separator)) for line in lines[:50] if line.strip())
        width, count = widths.most_common(1)[0] if widths else (1, 0)
        return (count / max(1, sum(widths.values())), width) if width > 1 else (0.0, 1)

    return max(separators, key=score)


def _without_headings(rows: pd.DataFrame, path: Path, asked: Sequence[str]) -> pd.DataFrame:
    """Return a table without headings, or whose headings are not known, under headings as far as the rows tell them.

    Raises:
        ValueError: they do not tell.
    """
    shown = ", ".join(str(cell) for cell in rows.iloc[0])
    values = rows.astype(object)
    if not _is_data(values.iloc[0]):
        return rows.iloc[1:].set_axis([str(name).strip() for name in rows.iloc[0]], axis=1).reset_index(drop=True)
    named = values.set_axis([f"column {number + 1}" for number in range(values.shape[1])], axis=1)
    if asked:
        return named
    degrees = [name for name in named if _is_degrees(named[name])]
    pictures = [name for name in named if are_pictures(named[name])]
    others = [name for name in named if name not in degrees]
    picture = pictures[0] if len(pictures) == 1 else others[0] if len(others) == 1 and not pictures else None
    if picture is None:
        raise ValueError(
            f"{path}: the first line is not a line of headings ({shown}), and no column names pictures: write headings such as "
            "filename,latitude,longitude above it"
        )
    if len(degrees) != 2:
        raise ValueError(
            f"{path}: the first line is not a line of headings ({shown}), and {counted(len(degrees), 'column')} could be "
            "coordinates: write headings above it, or give the numbers of the columns, such as "
            "--path-column 1 --lat-column 2 --lon-column 3"
        )
    first, second = (read_degrees(named[name]).degrees for name in degrees)
    longitude_first = (abs(first) > 90).any() and not (abs(second) > 90).any()
    order = ("longitude", "latitude") if longitude_first else ("latitude", "longitude")
    log.info(f"{path} has no line of headings: {picture} is taken for the picture, {degrees[0]} for the {order[0]}, "
             f"{degrees[1]} for the {order[1]}")  # fmt: skip
    return named.rename(columns={degrees[0]: order[0], degrees[1]: order[1], picture: "picture"})


def _is_data(row: pd.Series) -> bool:
    """Say whether a first row holds values and not headings."""
    return any(
        _is_picture(str(cell)) or _is_degrees(pd.Series([cell], dtype=object)) for cell in row if str(cell).strip()
    )


def _is_degrees(cells: pd.Series) -> bool:
    """Say whether a column could be coordinates: all are degrees, and some have decimals or minutes."""
    try:
        column = read_degrees(cells)
    except ValueError:
        return False
    known = column.degrees[~column.missing]
    fractions = cells.astype(str).str.contains(r"\d\s*[.,°']\s*\d", regex=True).any()
    return bool(len(known)) and not column.unreadable.any() and bool((abs(known) <= 360).all()) and bool(fractions)


def are_pictures(cells: pd.Series) -> bool:
    """Say whether a column holds names of picture files, as far as it holds anything."""
    texts = cells.head(1000).map(lambda cell: cell.strip() if isinstance(cell, str) else "")
    return bool((texts != "").any()) and all(_is_picture(text) for text in texts if text)


def _is_picture(cell: str) -> bool:
    return Path(cell.strip().replace("\\", "/")).suffix.lower() in PICTURE_SUFFIXES
