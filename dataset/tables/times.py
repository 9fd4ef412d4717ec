"""When photographs were taken, as tables say it: one reading for a whole column, and null where it could be another."""

import logging
import re

import numpy as np
import pandas as pd

log = logging.getLogger(__name__)

_EXIF = re.compile(r"^(\d{4})[:_](\d{2})[:_](\d{2})(?:[ T_](\d{2})[:_](\d{2})(?:[:_](\d{2})(?:[._](\d+))?)?)?")
_DIGITS = re.compile(r"^(?:\d{8}|(?:19|20)\d{12}|\d{8}[T_-]\d{4,6}Z?)$")
_NUMERIC = r"^\s*(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})\b"
_WHOLE_DATE = (
    r"\d{4}-\d{2}-\d{2}|\d{8}|[^\W\d_]{3}.*\d{4}|\d{4}.*[^\W\d_]{3}|^\s*\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|"
    r"\d{4}/\d{1,2}/\d{1,2}"
)

UNIX_FROM, EXCEL_FROM, EXCEL_TO = 1e8, 20_000, 80_000
"""Numbers from the first on are Unix times; those between the others days of a spreadsheet, 1954 to 2119."""
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (0, 1))
"""From which number on how many units are a second: nanoseconds, microseconds, milliseconds, seconds."""


def utc_times(texts: pd.Series) -> pd.Series:
    """Return the times of a column, in UTC where no offset is given; null where a text is no date or could be two.

    ISO 8601, EXIF, Unix time in any unit, days of a spreadsheet, dates with names of months or points, and numbers such as
    03/04/2019, whose order the other rows must tell.
    """
    texts = texts.astype(object).where(texts.notna(), "").astype(str).str.strip()
    code, distinct = pd.factorize(texts)
    return pd.Series(_distinct(pd.Series(distinct, dtype=object)).to_numpy()[code], index=texts.index).dt.tz_localize(
        "UTC"
    )


def _distinct(texts: pd.Series) -> pd.Series:
    """Return times in UTC without a zone."""
    numbers = pd.to_numeric(texts, errors="coerce")
    # Dates such as 20200501 are numbers to pandas.
    dates = numbers.between(1e7, 1e8) | numbers.between(1.9e13, 2.1e13) | numbers.isna()
    numbers = numbers.mask(dates & texts.where(dates, "").str.match(_DIGITS))
    times = _of_numbers(numbers)
    left = numbers.isna() & (texts != "")
    if left.any():
        times[left] = _of_texts(texts[left])
    return times


def _of_texts(written: pd.Series) -> pd.Series:
    """Return times of texts that are not numbers, in UTC without a zone."""
    iso = written.str.replace(_EXIF, _iso, regex=True)
    iso = iso.str.replace(r"^(\d{8})[T_-]?(\d{6}|\d{4})(?=Z?$)", r"\1T\2", regex=True)
    numeric = iso.str.extract(_NUMERIC)
    ordered = numeric[0].notna()
    day_first = _day_first(numeric[ordered], bool(iso[ordered].str.match(r"^\s*\d+\.\d+\.").all()))
    if ordered.any() and day_first is None:
        log.info(f"dates such as {written[ordered].iloc[0]!r} could be day or month first: their times are left out")
    plain = iso.mask(ordered | ~iso.str.contains(_WHOLE_DATE, regex=True, na=False))
    times = _parsed(plain, False)
    return times.fillna(_parsed(iso.where(ordered), day_first)) if day_first is not None else times


def _parsed(texts: pd.Series, day_first: bool) -> pd.Series:
    # A text with another shape is worth a warning to pandas; here it is null.
    found = pd.to_datetime(texts, utc=True, errors="coerce", format="mixed", dayfirst=day_first)
    return found.dt.tz_localize(None).astype("datetime64[ms]")


def _iso(match: re.Match[str]) -> str:
    year, month, day, hour, minute, second, fraction = match.groups()
    clock = f"T{hour}:{minute}:{second or '00'}" + (f".{fraction}" if fraction else "") if hour else ""
    return f"{year}-{month}-{day}{clock}"


def _of_numbers(numbers: pd.Series) -> pd.Series:
    seconds = pd.Series(np.nan, index=numbers.index)
    for least, unit in _UNITS:
        seconds = seconds.fillna((numbers / unit).where(numbers >= max(least, UNIX_FROM)))
    days = numbers.where((numbers >= EXCEL_FROM) & (numbers <= EXCEL_TO))
    # Spreadsheets count from the last day but one of 1899, for they take 1900 for a leap year.
    seconds = seconds.fillna((days - 25_569) * 86_400)
    return pd.to_datetime((seconds * 1000).round(), unit="ms", errors="coerce").astype("datetime64[ms]")


def _day_first(parts: pd.DataFrame, dotted: bool) -> bool | None:
    """Return whether the day comes before the month, as between dots; None where no row tells or rows contradict."""
    if not len(parts):
        return None
    first, second = (bool((pd.to_numeric(parts[column]) > 12).any()) for column in (0, 1))
    return (True if dotted and not first else None) if first == second else first
