"""Degrees as people write them, a column at a time: signs, decimal commas, degrees with minutes and seconds, hemispheres.

What one value leaves open the others of its column decide: whether a comma is a decimal mark, whether O is east or west. A
column is read whole, or refused with the values that prevent it.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NOTHING = frozenset({
    "", "nan", "na", "n/a", "#n/a", "<na>", "null", "none", "nil", "nat", "-", "--", "—", "–", "?", ".", "unknown", "undefined",
    "missing", "no data", "not available", "\\n",
})  # fmt: skip
"""What tables have where a value is missing, in small letters."""

SIDES = {
    "N": "n north nord norte norden noord с.ш. с.ш сш 北 北纬 北緯",
    "S": "s south sud sued sur sul suden zuid ю.ш. ю.ш юш 南 南纬 南緯",
    "E": "e east est este leste ost osten oost в.д. в.д вд 东 東 东经 東経 東經",
    "W": "w west ouest oeste ovest westen з.д. з.д зд 西 西经 西経 西經",
    "O": "o",
}
"""Words for the hemispheres. O is Ost or Ouest: the other letters of the column tell."""

_SIDE_OF = {word: side for side, words in SIDES.items() for word in words.split()}
_LABELS = frozenset({"lat", "latitude", "lon", "lng", "long", "longitude"})

_SIGNS = str.maketrans(
    {
        **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d", "-"),
        "\uff0b": "+",
        **dict.fromkeys("º˚ᵒ\u2070\ufffd¡ø", "°"),
        **dict.fromkeys("′’‘´`ʹ\u02bc\u2032\uff07", "'"),
        **dict.fromkeys("″”“„ʺ\u2033\uff02", '"'),
        "\u066b": ".",
        **dict.fromkeys("Â\u200b\u200e\u200f\u202a\u202c\ufeff"),
    }
)
"""Characters that are written, copied or decoded in place of another: of keyboards, spreadsheets, old code pages."""

_NUMBER = r"(?>\d+(?:[.,]\d+)*[.,]?|[.,]\d+)"
_ANGLE = re.compile(
    rf"""(?P<before>[^\W\d_][^\d°'"+-]*?)?\s*(?P<sign>[-+])?\s*
    (?P<degrees>{_NUMBER})\s*(?P<mark>°)?
    (?:(?P<dash>-)|[\s:]*)(?:(?P<minutes>{_NUMBER})\s*(?:'|(?=:|-|\s|$|[^\W\d_]))
    (?:-|[\s:]*)(?:(?P<seconds>{_NUMBER})\s*"?)?)?
    \s*(?P<after>[^\W\d_][^\d°'"+-]*)?""",
    re.VERBOSE,
)
_LETTERED = re.compile(
    r"(\d+)\s*d(?:eg\w*)?\.?\s*(\d+)\s*m(?:in\w*)?\.?\s*([\d.,]+)\s*s(?:ec\w*)?\.?(?![^\W\d_]{2})", re.I
)
_WORDS = tuple(
    (re.compile(rf"(?<=\d)\s*(?:{words})\b\.?", re.I), mark)
    for words, mark in (
        ("degrees?|degs?|grad|d", "°"),
        ("minutes?|mins?|minuten|m", "'"),
        ("seconds?|secs?|sekunden", '"'),
    )
)
_SCIENTIFIC = re.compile(r"([-+]?)(\d+(?:[.,]\d*)?e[-+]?\d+)", re.IGNORECASE)
_SIMPLE = re.compile(
    r"""([-+]?)(\d+)°\s?(\d+)'\s?(\d+(?:[.,]\d+)?)"\s?([NSEWO]?)|([-+]?)(\d+(?:[.,]\d+)?)\s?°?\s?([NSEWO]?)"""
)
"""The two notations that large tables have; the whole grammar takes several times as long."""
_XMP = re.compile(r"(\d+),(\d+)(\.\d+)?(?:,(\d+(?:\.\d+)?))?\s*([NSEW])")


@dataclass(frozen=True)
class _Angle:
    """A value as it is written: its sign, degrees, minutes and seconds as texts, and its hemisphere."""

    sign: str
    parts: tuple[str, ...]
    side: str


@dataclass
class Column:
    """A column of degrees.

    Attributes:
        degrees: (N,) values, NaN where one is missing or cannot be read.
        missing: (N,) where the table says nothing.
        unreadable: (N,) where it says what cannot be read.
        notes: what was decided for the whole column, in words.
        sides: hemispheres that are named.
    """

    degrees: NDArray[np.float64]
    missing: NDArray[np.bool_]
    unreadable: NDArray[np.bool_]
    notes: list[str] = field(default_factory=list)
    sides: frozenset[str] = frozenset()


def is_missing(texts: pd.Series) -> NDArray[np.bool_]:
    """Return where a column of stripped texts says nothing."""
    return np.asarray(texts.str.casefold().isin(NOTHING), dtype=bool)


def read_degrees(values: pd.Series) -> Column:
    """Read a column of degrees, in whatever notation.

    Args:
        values: numbers or texts.

    Raises:
        ValueError: the column contradicts itself, so that some values could be read in two ways.
    """
    if pd.api.types.is_numeric_dtype(values):
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        return Column(numbers, np.isnan(numbers), np.zeros(len(numbers), dtype=bool))
    texts = values.astype(object).where(values.notna(), "").astype(str).str.strip()
    missing = is_missing(texts)
    numbers = pd.to_numeric(texts.mask(missing), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    column = Column(numbers, missing, np.isnan(numbers) & ~missing)
    return column if not column.unreadable.any() else _read_written(texts, column)


def _read_written(texts: pd.Series, column: Column) -> Column:
    """Read what plain numbers do not cover, each distinct text once."""
    code, distinct = pd.factorize(texts.mask(column.missing))
    angles = [_angle(str(text)) for text in distinct]
    known = [angle for angle in angles if angle is not None]
    _check_thousands(known)
    column.notes += _check_marks(known)
    east_is_o = _east_is_o({angle.side for angle in known})
    found = np.array([np.nan if angle is None else _value(angle, east_is_o) for angle in angles] + [np.nan])
    column.degrees = found[code]
    column.unreadable = np.isnan(column.degrees) & ~column.missing
    column.sides = frozenset(angle.side for angle in known if angle.side)
    return column


def _plain(text: str) -> str:
    """Return a text in the characters that the grammar knows."""
    text = text.translate(_SIGNS).replace("''", '"').replace('""', '"')
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = " ".join(text.split())
    if text.startswith('="') and text.endswith('"'):
        text = text[2:-1]
    text = text.strip("'").strip() if text.startswith("'") else text
    text = _LETTERED.sub(r"\1°\2'\3" + '"', text)
    for words, mark in _WORDS:
        text = words.sub(mark, text)
    return text


def _angle(text: str) -> _Angle | None:
    """Return a value by its parts, None where it is not an angle."""
    if simple := _SIMPLE.fullmatch(text):
        sign, degrees, minutes, seconds, side, decimal_sign, decimal, decimal_side = simple.groups()
        if decimal is not None:
            return _Angle(decimal_sign, (decimal,), decimal_side)
        return _Angle(sign, (degrees, minutes, seconds), side)
    text = _plain(text)
    if scientific := _SCIENTIFIC.fullmatch(text):
        sign, number = scientific.groups()
        return _Angle(sign, (number,), "") if np.isfinite(float(number.replace(",", "."))) else None
    if xmp := _XMP.fullmatch(text):
        degrees, minutes, fraction, seconds, side = xmp.groups()
        # One comma alone is a decimal mark.
        if fraction or seconds:
            return _Angle("", (degrees, minutes + (fraction or ""), *([seconds] if seconds else [])), side)
    found = _ANGLE.fullmatch(text)
    if found is None:
        return None
    words = [_word(found[name]) for name in ("before", "after")]
    sides = [word for word in words if word]
    if None in words or len(sides) > 1 or (found["dash"] and not sides):
        return None
    parts = [found[name] for name in ("degrees", "minutes", "seconds") if found[name]]
    if any("." in part or "," in part for part in parts[:-1]):
        return None
    return _Angle(found["sign"] or "", tuple(parts), str(sides[0]) if sides else "")


def _word(text: str | None) -> str | None:
    """Return the hemisphere of a word, nothing of a label, None of any other word."""
    if not text:
        return ""
    letters = [c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c)]
    word = "".join(letters).strip(" :=,;()")
    for label in _LABELS:
        if word == label:
            return ""
        if word.startswith((f"{label} ", f"{label}:", f"{label}=")):
            word = word[len(label) :].strip(" :=")
    return _SIDE_OF.get(word) or _SIDE_OF.get(word.rstrip("."))


def _check_thousands(angles: Sequence[_Angle]) -> None:
    """Refuse numbers such as 48.856.614, unless their last groups show that the digits were grouped from the left."""
    grouped = [a.parts[-1] for a in angles if len(re.findall(r"[.,]", a.parts[-1])) > 1]
    if not grouped:
        return
    groups = [re.split(r"[.,]", number) for number in grouped]
    one_mark = len({mark for number in grouped for mark in re.findall(r"[.,]", number)}) == 1
    regular = all(len(g[0]) <= 3 and all(len(part) == 3 for part in g[1:-1]) and len(g[-1]) <= 3 for g in groups)
    if not (one_mark and regular and any(len(g[-1]) < 3 for g in groups)):
        shown = ", ".join(grouped[:3])
        raise ValueError(
            f"have thousands separators, so that their decimal point is lost: {shown}: export the table again with plain decimals, "
            "or with the column formatted as text"
        )


def _check_marks(angles: Sequence[_Angle]) -> list[str]:
    """Return what is to be said of decimal marks; refuse a column with both where a value could be read in two ways."""
    fractions = {mark: [a.parts[-1] for a in angles if a.parts[-1].count(mark) == 1] for mark in ".,"}
    if not fractions[","]:
        return []
    if fractions["."]:
        both = fractions["."] + fractions[","]
        if any(len(re.split(r"[.,]", number)[-1]) == 3 for number in both):
            raise ValueError(
                f"have both decimal points and decimal commas: {fractions['.'][0]} and {fractions[','][0]}: write all of them "
                "with one"
            )
        return ["decimal points and decimal commas"]
    return ["decimal commas"]


def _east_is_o(sides: set[str]) -> bool:
    """Say whether O is Ost, by the other letters of a column.

    Raises:
        ValueError: they do not tell.
    """
    if "O" not in sides:
        return False
    if "W" in sides and "E" not in sides:
        return True
    if "E" in sides and "W" not in sides:
        return False
    raise ValueError("have the letter O, which is Ost (east) or Ouest (west): write E and W")


def _value(angle: _Angle, east_is_o: bool) -> float:
    """Return signed degrees; NaN where minutes, seconds or signs cannot be so."""
    *whole, last = angle.parts
    # Of several marks the first is the decimal one: the others group digits from the left, as checked before.
    first, *rest = re.split(r"[.,]", last)
    numbers = [*(float(part) for part in whole), float(f"{first or 0}.{''.join(rest)}" if rest else first)]
    if any(number > 60 for number in numbers[1:]):
        return float("nan")
    size = sum(number / 60**place for place, number in enumerate(numbers))
    west_or_south = angle.side in ("S", "W") or (angle.side == "O" and not east_is_o)
    if angle.side and angle.sign == "-" and not west_or_south:
        return float("nan")
    return -size if west_or_south or angle.sign == "-" else size
