"""Columns of coordinates: what their headings say of the numbers, columns of hemispheres, and columns that say the same."""

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from dataset.degrees import is_missing
from dataset.tables.headings import folded

AXES = ("latitude", "longitude")
UNITS = (
    (re.compile(r"(?:^|lat|latitude|lon|lng|long|longitude)e7$"), 1e-7),
    (re.compile(r"(?:^|lat|latitude|lon|lng|long|longitude)(?:e6|micro(?:deg(?:ree)?s?)?|[uµ]deg)$"), 1e-6),
    (re.compile(r"(?:^|lat|latitude|lon|lng|long|longitude)rad(?:ians?)?$"), 180 / np.pi),
)
"""Folded headings, or what stands in their brackets, and how many degrees their unit is."""
NEGATIVE = {"latitude": "s south sud sur sued süd", "longitude": "w west ouest oeste"}
POSITIVE = {"latitude": "n north nord norte", "longitude": "e east est este ost"}
"""Words for the hemispheres, in small letters."""

_BRACKETS = re.compile(r"[(\[{<](.*?)[)\]}>]")
_UNSIGNED = re.compile(r"^(exif|gps)\s*:\s*gps\s*(latitude|longitude)$", re.IGNORECASE)
"""Headings of `exiftool -G`, whose groups EXIF and GPS have the hemisphere under another name."""


def in_degrees(column: pd.Series, heading: str, axis: str) -> pd.Series:
    """Return a column in degrees with signs, where its heading says that it is something else, such as `lon (°W)` or `lat [rad]`.

    Raises:
        ValueError: it has other values than its heading says; a sentence that follows the name of the file.
    """
    scale = next((scale for name in _readings(heading) for said, scale in UNITS if said.search(name)), 1.0)
    sides = {word for inside in _BRACKETS.findall(heading) for word in re.findall(r"[^\W\d_]+", inside.casefold())}
    south_or_west = bool(sides & set(NEGATIVE[axis].split())) and not sides & set(POSITIVE[axis].split())
    if scale == 1.0 and not south_or_west:
        return column
    texts = column.astype(object).where(column.notna(), "").astype(str).str.strip()
    numbers = pd.to_numeric(texts.str.replace(",", ".", regex=False), errors="coerce")
    unread = numbers.isna() & ~is_missing(texts)
    if unread.any():
        raise ValueError(
            f"has {texts[unread].iloc[0][:60]!r} in row {int(np.flatnonzero(unread)[0])} of {heading}, where plain numbers are "
            "needed"
        )
    if south_or_west and (numbers < 0).any():
        raise ValueError(
            f"has {numbers[numbers < 0].iloc[0]:g} in row {int(np.flatnonzero(numbers < 0)[0])} of {heading}: write "
            f"{'south' if axis == 'latitude' else 'west'} without a sign, or leave it out of the heading"
        )
    return numbers * scale * (-1 if south_or_west else 1)


def _readings(heading: str) -> Iterator[str]:
    """Yield a heading, and what stands in its brackets, folded."""
    yield folded(heading)
    yield from (folded(inside) for inside in _BRACKETS.findall(heading))


def side_column(table: pd.DataFrame, free: Sequence[int], texts: pd.Series, axis: str) -> int | None:
    """Return the one unused column that names the hemisphere of coordinates without signs, told by its content; None of none.

    Args:
        table: as it was read.
        free: numbers of the columns that are not used.
        texts: the coordinates.
        axis: latitude or longitude.
    """
    given = texts.astype(object).where(texts.notna(), "").astype(str)
    if given.str.contains(r"-|[^\W\d_]", regex=True).any():
        return None
    words = set(NEGATIVE[axis].split()) | set(POSITIVE[axis].split())
    found = [number for number in free if _only(table.iloc[:, number], words)]
    return found[0] if len(found) == 1 else None


def _only(column: pd.Series, words: set[str]) -> bool:
    texts = column.astype(object).where(column.notna(), "").astype(str).str.strip().str.casefold()
    texts = texts[~is_missing(texts)]
    return bool(len(texts)) and bool(texts.isin(words).all())


def check_signs(headings: Mapping[str, str], photos: pd.DataFrame) -> None:
    """Refuse coordinates of `exiftool -G` whose hemispheres were not exported: all of them would be north and east.

    Raises:
        ValueError: they were not; a sentence that follows the name of the file.
    """
    for axis in AXES:
        heading = headings.get(axis, "")
        if _UNSIGNED.match(heading.strip()) and f"{axis}_side" not in photos:
            texts = photos[axis].astype(str)
            if not texts.str.contains(r"-|[NSEW]\s*$", regex=True).any():
                raise ValueError(
                    f"has {heading} without hemispheres: export {heading}Ref as well, or Composite:GPS{axis.title()} in its place"
                )


def merged(
    table: pd.DataFrame, numbers: Sequence[int], headings: Sequence[str], values: pd.Series
) -> tuple[pd.Series, list[int]]:
    """Return a column whose gaps are filled from others that stand for the same, and which others were taken.

    Rows of a table that was put together from several may have their coordinates under another heading.

    Args:
        table: as it was read.
        numbers: columns that stand for the same, the best one first.
        headings: of the table.
        values: of the best one.

    Raises:
        ValueError: two columns of one heading differ; a sentence that follows the name of the file.
    """
    own = _texts(table.iloc[:, numbers[0]])
    taken = []
    for number in numbers[1:]:
        other = _texts(table.iloc[:, number])
        both = (own != "") & (other != "")
        differ = both & (own != other)
        if differ.any() and headings[number].strip().casefold() == headings[numbers[0]].strip().casefold():
            row = int(np.flatnonzero(differ)[0])
            raise ValueError(
                f"has two columns {headings[number]} that differ ({own.iloc[row]} and {other.iloc[row]} in row {row}): delete or "
                "rename one"
            )
        gaps = (own == "") & (other != "")
        if gaps.any() and not differ.any():
            values = values.astype(object).mask(gaps, table.iloc[:, number])
            own = own.mask(gaps, other)
            taken.append(number)
    return values, taken


def _texts(column: pd.Series) -> pd.Series:
    texts = column.astype(object).where(column.notna(), "").astype(str).str.strip()
    return texts.mask(is_missing(texts), "")
